"""Terrain from a sketch: water lies level, land drains, tiles agree, seeds and threads do what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy import ndimage

import backend
from backend.algorithms.sketch import network
from backend.algorithms.terrain import chosen_method, chosen_scale
from backend.ops.dispatch import kernel_threads
from backend.runtime import weights
from shared.arrays import CLASS_MAP, Array, height_map
from shared.catalog.terrain import TerrainParams
from shared.errors import InvalidInput
from shared.terrain_classes import FOREST, GRASS, ROCK, SAND, TERRAIN_CLASSES, WATER
from shared.weights import WEIGHTS

SIDE = 96


def sketch(side: int = SIDE) -> np.ndarray:
    """An island with a lake in a grassy hollow."""
    axis = np.linspace(-1.0, 1.0, side)
    distance = np.hypot(axis[:, None], axis[None])
    classes = np.select(
        [distance > 0.9, distance > 0.8, distance > 0.55, distance > 0.3], [WATER, SAND, FOREST, ROCK], GRASS
    )
    classes[distance < 0.12] = WATER
    return classes.astype(np.uint8)


def terrain(classes: np.ndarray, **params: Any) -> dict[str, Any]:
    inputs = {name: params.pop(name) for name in ("base",) if name in params}
    return backend.run("terrain", classes=Array(CLASS_MAP, classes), **inputs, **{"size_m": 8000.0, **params})


@pytest.fixture(scope="module")
def island() -> dict[str, Any]:
    return terrain(sketch())


def test_the_sea_is_at_0_and_lakes_are_level(island: dict[str, Any]) -> None:
    level, ground = island["water_level"].values, island["height"].values
    labels, count = cast("tuple[np.ndarray, int]", ndimage.label(sketch() == WATER))
    assert count == 2
    sea, lake = (level[labels == number] for number in (labels[0, 0], labels[SIDE // 2, SIDE // 2]))
    assert np.abs(sea).max() == 0.0
    assert np.ptp(lake) == 0.0
    assert lake[0] > 0.0
    wet = sketch() == WATER
    assert (ground[wet] < level[wet]).all(), "beds lie below the water"
    assert (ground[~wet] == level[~wet]).all()
    assert (ground[~wet & ndimage.binary_dilation(labels == labels[0, 0])] > 0.0).all(), (
        "the shore stands above the sea"
    )
    np.testing.assert_array_equal(island["water"].values, wet.astype(np.float32))


def test_land_drains_to_the_border_or_to_a_lake(island: dict[str, Any]) -> None:
    level, wet = island["water_level"].values, sketch() == WATER
    lowest = ndimage.minimum_filter(level, 3, mode="nearest")
    inside = np.zeros_like(wet)
    inside[1:-1, 1:-1] = True
    assert (lowest < level)[inside & ~wet].all()


def test_mountains_stand_where_they_are_painted(island: dict[str, Any]) -> None:
    ground, classes = island["height"].values, sketch()
    assert ground[classes == ROCK].mean() > ground[classes == FOREST].mean() > ground[classes == SAND].mean() > 0.0


def test_colors_are_those_of_the_classes_and_know_no_light(island: dict[str, Any]) -> None:
    albedo, classes = island["albedo"].values, sketch()
    assert albedo[classes == SAND].mean() > albedo[classes == FOREST].mean()
    forest = albedo[classes == FOREST]
    assert (forest[:, 1] > forest[:, 2]).mean() > 0.9, "forests are green"


def test_densities_come_by_class(island: dict[str, Any]) -> None:
    densities, classes = island["density"], sketch()
    assert len(densities) == len(TERRAIN_CLASSES)
    assert densities[WATER].values.max() == 0.0
    assert densities[FOREST].values[classes == FOREST].mean() > 0.2
    assert densities[FOREST].values[classes == ROCK].mean() < 0.1
    wet = island["water"].values > 0
    assert max(density.values[wet].max() for density in densities) == 0.0, "nothing grows in a lake or the sea"


def test_seeds(island: dict[str, Any]) -> None:
    again = terrain(sketch())
    for name in ("height", "albedo", "flow"):
        assert again[name].values.tobytes() == island[name].values.tobytes()
    rock = [terrain(np.full((SIDE, SIDE), ROCK, np.uint8), seed=seed)["height"].values for seed in (0, 1)]
    assert abs(np.corrcoef(rock[0].ravel(), rock[1].ravel())[0, 1]) < 0.5


@pytest.fixture(scope="module")
def generator() -> Any:
    return network.load(weights.load(WEIGHTS["terrain-regional"]).tensors, len(TERRAIN_CLASSES), torch.device("cpu"))


def test_any_number_of_threads_gives_the_same_bytes(generator: Any) -> None:
    classes = torch.from_numpy(sketch()).long()
    before, made = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        with kernel_threads(threads):
            made.append(network.generate(generator, classes, len(TERRAIN_CLASSES), scale=0.0, seed=5).height)
    torch.set_num_threads(before)
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])


def test_tiles_agree_with_the_whole(generator: Any) -> None:
    classes = torch.from_numpy(sketch(416)).long()
    whole, tiled = (
        network.generate(generator, classes, len(TERRAIN_CLASSES), scale=0.0, seed=5, tile_px=tile).height
        for tile in (768, 192)
    )
    assert float((whole - tiled).abs().max()) < 0.05, "a fifth of a pixel high"
    assert float((whole - tiled).abs().mean()) < 2e-3


def test_a_base_keeps_its_large_forms() -> None:
    ramp = np.broadcast_to(np.linspace(0.0, 900.0, SIDE, dtype=np.float32), (SIDE, SIDE)).copy()
    made = terrain(np.full((SIDE, SIDE), FOREST, np.uint8), base=height_map(ramp, 80.0), drain=False)["height"].values
    assert np.abs(ndimage.gaussian_filter(made - ramp, 12)).mean() < 60.0
    assert np.std(made - ramp) > 5.0, "and gets forms of its own"


@pytest.mark.parametrize("classes", [np.full((8, 8), ROCK), np.full((40, 24), WATER), np.full((33, 65), GRASS)])
def test_small_and_plain_sketches(classes: np.ndarray) -> None:
    made = terrain(classes.astype(np.uint8))
    assert made["height"].values.shape == classes.shape
    assert np.isfinite(made["height"].values).all()


def test_a_painted_river_falls_to_the_sea_and_carries_the_land_s_water() -> None:
    row, column = np.mgrid[0:SIDE, 0:SIDE]
    classes = np.select([column < 30, column < 60], [ROCK, FOREST], GRASS).astype(np.uint8)
    river = (np.abs(row - 48 - np.rint(8 * np.sin(column / 9))) < 2) & (column > 8)
    classes[river | (column > 86)] = WATER
    made = terrain(classes)
    level, ground, flow = (made[name].values for name in ("water_level", "height", "flow"))
    wet = classes == WATER
    assert set(np.unique(level[:, 90:])) == {0.0}, "the sea is flat"
    fall = [float(np.median(level[river[:, x], x])) for x in range(9, 87)]
    assert (np.diff(fall) <= 0.0).all()
    assert fall[0] > fall[-1] + 20.0
    assert (ground[wet] < level[wet]).all()
    assert (ground[~wet] == level[~wet]).all()
    assert flow[river & (column > 80)].max() > 3.0 * flow[river & (column < 30)].max()


def test_the_pixel_size_chooses_the_model() -> None:
    assert chosen_scale(TerrainParams(), 40.0) == "regional"
    assert chosen_scale(TerrainParams(), 5000.0) == "continental"
    assert chosen_scale(TerrainParams(scale="regional"), 5000.0) == "regional"


def test_the_scale_chooses_the_method() -> None:
    assert chosen_method(TerrainParams(), 40.0) == "network"
    assert chosen_method(TerrainParams(), 5000.0) == "assemble"
    assert chosen_method(TerrainParams(method="network"), 5000.0) == "network"
    assert chosen_method(TerrainParams(weights_file="own.safetensors"), 5000.0) == "network"


@pytest.mark.parametrize("method", ["network", "auto"])
def test_a_continent(method: str) -> None:
    made = terrain(sketch(64), size_m=320_000.0, method=method)
    assert np.ptp(made["albedo"].values[32, 8:56], axis=0).max() > 0.02
    assert made["height"].values.max() > 100.0
    assert made["height"].values.min() > -4500.0, "no sea is deeper than seas are"


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    other = tmp_path / "other.safetensors"
    save_file({"layer.weight": torch.zeros(3)}, other)
    with pytest.raises(InvalidInput, match=r"does not hold the weights of a terrain generator"):
        terrain(sketch(), weights_file=str(other))


def test_weights_are_there() -> None:
    for name in ("terrain-regional", "terrain-continental"):
        assert weights.presence(WEIGHTS[name], thorough=True).path
