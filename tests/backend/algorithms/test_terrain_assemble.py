"""Terrain assembled without a network: it obeys the sketch, needs no weights, and shares everything after the heights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

import backend
from backend.algorithms.sketch import assembly, fluvial, valleys
from backend.algorithms.sketch.base import base, land_classes, vertical_factor
from backend.ops.dispatch import kernel_threads
from backend.ops.terrain.drainage import drain
from backend.ops.terrain.routing import route
from backend.runtime import weights
from shared.arrays import CLASS_MAP, Array
from shared.terrain_classes import FOREST, GRASS, ROCK, SAND, SNOW, TERRAIN_CLASSES, WATER

SIDE = 96


def island(side: int = SIDE) -> np.ndarray:
    axis = np.linspace(-1.0, 1.0, side)
    distance = np.hypot(axis[:, None], axis[None])
    bands = [distance > 0.9, distance > 0.8, distance > 0.6, distance > 0.25]
    return np.select(bands, [WATER, SAND, FOREST, ROCK], SNOW).astype(np.uint8)


def assembled(classes: np.ndarray, **params: Any) -> dict[str, Any]:
    return backend.run(
        "terrain", classes=Array(CLASS_MAP, classes), **{"method": "assemble", "size_m": 20_000.0, **params}
    )


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return assembled(island())


def test_classes_stand_at_their_heights(made: dict[str, Any]) -> None:
    ground, classes = made["height"].values, island()
    means = [float(ground[classes == number].mean()) for number in (WATER, SAND, FOREST, ROCK, SNOW)]
    assert means == sorted(means)
    assert 0.0 < means[1] < 60.0
    assert 300.0 < means[4] < 3000.0


def test_the_sea_is_level_and_land_drains(made: dict[str, Any]) -> None:
    level, wet = made["water_level"].values, island() == WATER
    assert np.abs(level[wet]).max() == 0.0
    inside = np.zeros_like(wet)
    inside[1:-1, 1:-1] = True
    assert (ndimage.minimum_filter(level, 3) < level)[inside & ~wet].all()


def test_landforms_are_rougher_where_classes_are() -> None:
    halves = np.full((SIDE, SIDE), GRASS, np.uint8)
    halves[:, SIDE // 2 :] = ROCK
    rough = np.hypot(*np.gradient(assembled(halves)["height"].values))
    grass, rock = (rough[:, columns].mean() for columns in (slice(4, 40), slice(56, 92)))
    assert rock > 4.0 * grass > 0.0


def test_no_weights_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: object, **named: object) -> None:
        raise AssertionError("weights were asked for")

    monkeypatch.setattr(weights, "load", none)
    assert np.isfinite(assembled(island(48))["height"].values).all()


def test_seeds_and_threads(made: dict[str, Any]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with kernel_threads(1):
        again = assembled(island())
    torch.set_num_threads(before)
    assert again["height"].values.tobytes() == made["height"].values.tobytes()
    rock = np.full((SIDE, SIDE), ROCK, np.uint8)
    heights = [assembled(rock, seed=seed)["height"].values.ravel() for seed in (0, 1)]
    assert abs(np.corrcoef(*heights)[0, 1]) < 0.5


@pytest.mark.parametrize("number", range(len(TERRAIN_CLASSES)))
def test_one_class_alone(number: int) -> None:
    made = assembled(np.full((40, 64), number, np.uint8))
    assert made["height"].values.shape == (40, 64)
    height, level = made["height"].values, made["water_level"].values
    if number == WATER:
        assert np.ptp(height) == np.ptp(level) == 0.0
        assert -500.0 < height[0, 0] < level[0, 0]
    else:
        assert np.isfinite(height).all()
        assert np.ptp(height) > 3.0


@pytest.mark.parametrize("size_m", [50.0, 4_000_000.0])
def test_small_sketches_of_any_size(size_m: float) -> None:
    classes = island(8)
    made = assembled(classes, size_m=size_m)
    ground = made["height"].values
    assert ground.shape == (8, 8)
    assert 0.0 < ground[classes != WATER].max() < min(0.5 * size_m, 12_000.0)


def test_a_river_of_one_pixel_lies_in_a_valley() -> None:
    classes = np.full((64, 96), FOREST, np.uint8)
    classes[:, 40] = WATER
    made = assembled(classes)
    height = made["height"].values
    assert (height[:, 40] < height[:, 41]).all()
    assert height[:, 80].mean() > height[:, 44].mean() > height[:, 40].mean()


def test_a_draft_has_the_large_forms_of_the_final_terrain() -> None:
    large, small = (base(island(side), 20_000.0).height for side in (192, 64))
    coarse = torch.nn.functional.avg_pool2d(large[None], 3)[0]
    assert float((coarse - small).abs().mean()) < 0.05 * float(large.max())


def test_heights_grow_slowly_on_large_maps() -> None:
    assert vertical_factor(20_000.0) == 1.0
    assert vertical_factor(2000.0) < 0.2
    assert 2.0 < vertical_factor(4_000_000.0) < 6.0


def test_a_continent_has_lowlands_away_from_its_mountains() -> None:
    classes = np.full((64, 128), FOREST, np.uint8)
    classes[:, :16] = ROCK
    large, small = (base(classes, size_m) for size_m in (1_000_000.0, 20_000.0))
    for values, least in ((large.height, 3.0), (large.relief, 3.0)):
        assert float(values[:, 19].mean()) > least * float(values[:, 100].mean()) > 0.0
    assert float(small.relief[:, 100].mean()) > 0.7 * float(small.relief[:, 40].mean()), "a valley's forest is hilly"
    assert float(large.height[:, 4].mean()) > 2000.0


def test_a_plain_is_assembled_flatter_than_mountains() -> None:
    classes = np.full((SIDE, SIDE), FOREST, np.uint8)
    classes[:, : SIDE // 4] = ROCK
    height = assembled(classes, size_m=2_000_000.0)["height"].values
    rough = np.hypot(*np.gradient(height))
    assert rough[:, 4:20].mean() > 5.0 * rough[:, 70:92].mean() > 0.0


def test_running_water_makes_fine_valleys_and_keeps_large_forms() -> None:
    y, x = np.mgrid[:128, :128] / 128.0
    smooth = torch.from_numpy((np.sin(3.0 * y) + np.cos(4.0 * x)) * 600.0 + 1200.0).float()
    rough = fluvial.roughened(smooth, torch.full_like(smooth, 15.0), seed=3)
    assert 8.0 < float((rough - smooth).std()) < 30.0
    strength = torch.ones_like(smooth)
    strength[:, :20] = 0.0
    heard: list[float] = []
    made = fluvial.carved(rough, strength, 4, 0, heard.append)
    assert heard == [0.0, 0.25, 0.5, 0.75]
    assert torch.equal(made[:, :20], rough[:, :20]), "water keeps its height"
    flow = [np.log(route(height, 1.0).upstream.reshape(128, 128).numpy()) for height in (rough, made)]
    inner = slice(12, 116), slice(36, 116)

    def bowl(height: torch.Tensor) -> np.ndarray:
        return ndimage.laplace(height.numpy().astype(np.float64))[inner]

    before, after = (
        np.corrcoef(area[inner].ravel(), bowl(height).ravel())[0, 1]
        for area, height in zip(flow, (rough, made), strict=True)
    )
    assert after > before + 0.1, "valleys lie where water gathers"
    low = [ndimage.gaussian_filter(height.numpy(), 10.0)[inner] for height in (smooth, made)]
    assert np.abs(low[1] - low[0]).max() < 0.05 * np.ptp(smooth.numpy())


def test_water_does_not_flatten_the_land_beside_it() -> None:
    classes = np.full((9, 9), ROCK)
    classes[4] = WATER
    assert (land_classes(classes) == ROCK).all()
    assert (land_classes(np.full((3, 3), WATER)) == WATER).all()


def test_a_cancelled_assembly_stops() -> None:
    class Stop(Exception):
        pass

    def observe(share: float, stage: str) -> None:
        if share > 0.1:
            raise Stop

    with pytest.raises(Stop):
        assembly.assemble(
            island(), 20_000.0, seed=0, generator=torch.Generator(), device=torch.device("cpu"), observe=observe
        )


def test_cuts_become_valleys_without_pits() -> None:
    rng = np.random.default_rng(0)
    rough = ndimage.gaussian_filter(rng.normal(size=(96, 96)), 2.0) * 400.0
    before = (np.abs(np.arange(96) - 48.0)[None] * -6.0 + rough + 900.0).astype(np.float32)
    is_water = np.zeros((96, 96), bool)
    is_water[60:64, 60:64] = True
    drained = drain(torch.from_numpy(before), cut_share=1.0, drop=1e-3, outlets=torch.from_numpy(is_water)).numpy()
    made = valleys.widened(drained, before, is_water, 30.0, seed=1)
    assert made.dtype == np.float32
    assert (made <= drained).all()
    shore = np.asarray(ndimage.binary_dilation(is_water, np.ones((3, 3), bool)), bool)
    np.testing.assert_array_equal(made[shore], drained[shore])
    slit = (ndimage.median_filter(drained, 3) - drained).max()
    assert (ndimage.median_filter(made, 3) - made)[2:-2, 2:-2].max() < 0.7 * slit
    assert (ndimage.minimum_filter(made, 3) < made)[1:-1, 1:-1][~is_water[1:-1, 1:-1]].all()


def test_land_that_drains_is_left_as_it_is() -> None:
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32), (30, 40)).copy()
    made = valleys.widened(ramp, ramp, np.zeros(ramp.shape, bool), 10.0, seed=0)
    np.testing.assert_array_equal(made, ramp)


def test_a_deep_cut_through_a_plain_has_no_walls() -> None:
    """Its sides meet the land, however far that is: no step where they end."""
    before = np.full((200, 80), 500.0, np.float32)
    drained = before.copy()
    drained[100] = 300.0 - np.arange(80) * 0.01
    made = valleys.widened(drained, before, np.zeros(before.shape, bool), 90.0, seed=0)
    walls = np.abs(np.diff(made[:, 10:70], axis=0))
    assert walls.max() < 60.0, "200 m rise over several pixels"
    assert (made[:20] == 500.0).all(), "and end"
