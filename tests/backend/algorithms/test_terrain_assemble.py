"""Terrain assembled without a network: it obeys the sketch, needs no weights, and shares everything after the heights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

import backend
from backend.algorithms.sketch import assembly, valleys
from backend.algorithms.sketch.base import base, land_classes, vertical_factor
from backend.ops.dispatch import kernel_threads
from backend.ops.terrain.drainage import drain
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
    shore = ndimage.binary_dilation(is_water, np.ones((3, 3), bool))
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
