"""Land beside painted water: it comes to the water's level gently, from above and from below, and far from it nothing changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from backend.algorithms.sketch import shores, water

PIXEL_M = 30.0
AROUND = np.ones((3, 3), bool)


def grown(mask: np.ndarray, times: int = 1) -> np.ndarray:
    return np.asarray(ndimage.binary_dilation(mask, AROUND, times), bool)


def nearest(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """Row and column of the nearest pixel of the mask, for each pixel."""
    indices = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return tuple(np.asarray(indices))


def hills(rows: int, columns: int, metres: float = 60.0) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(rows, columns)), 6)
    return (noise / noise.std() * metres).astype(np.float32)


def lake_between(drop_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Heights with a step of this height through the middle of a lake: one shore lies high, the other low."""
    column = np.mgrid[0:160, 0:160][1]
    height = hills(160, 160, 10.0) + np.where(column < 80, np.float32(drop_m), np.float32(0.0))
    row, column = np.mgrid[0:160, 0:160]
    return height, np.hypot(row - 80, column - 80) < 14


@pytest.mark.parametrize("level", ["low", "high"])
def test_land_meets_a_lake_in_slopes_and_not_in_walls(level: str) -> None:
    height, lake = lake_between(240.0)
    known = np.where(lake, np.float32(0.0 if level == "low" else 240.0), np.float32(np.nan))
    bodies = water.find(height, lake, PIXEL_M, (known,))
    ground = shores.settled(height, bodies, PIXEL_M, 0)
    at = bodies.level_m[80, 80]
    beside = grown(lake) & ~lake
    assert (ground[beside] > at).all(), "no water spills"
    away = np.abs(np.mgrid[0:160, 0:160][1] - 80) > 8  # the step itself is no shore
    near = grown(lake, 3) & ~lake & away
    assert np.abs(ground[near] - at).max() < 100.0, "the land at the shore is near the water's level"
    steep = np.hypot(*np.gradient(ground)) / PIXEL_M
    ring = grown(lake, 28) & ~grown(lake, 2)
    assert steep[ring & away].max() < 1.0
    far = ~grown(lake, 60)
    np.testing.assert_allclose(ground[far], height[far], atol=0.01)


def test_a_dam_is_wide() -> None:
    height = np.full((96, 96), -30.0, np.float32)
    lake = np.zeros((96, 96), bool)
    lake[40:56, 40:56] = True
    known = np.where(lake, np.float32(5.0), np.float32(np.nan))
    bodies = water.find(height, lake, PIXEL_M, (known,))
    ground = shores.settled(height, bodies, PIXEL_M, 0)
    land = grown(lake) & ~lake
    assert (ground[land] > 5.0).all()
    assert ground[0, 0] == -30.0
    assert (ground[48, 58:62] > -25.0).all()


def test_beds_lie_below_the_water_and_banks_above_it_also_along_a_river() -> None:
    row, column = np.mgrid[0:128, 0:128]
    height = (3.0 * (128 - column)).astype(np.float32) + hills(128, 128, 5.0)
    is_water = (np.abs(row - 60 - 10 * np.sin(column / 12)) < 2) | (column > 115)
    bodies = water.find(height, is_water, PIXEL_M)
    assert bodies.labels.max() > bodies.lakes, "it is a river"
    ground = shores.settled(height, bodies, PIXEL_M, 0)
    assert (ground[is_water] < bodies.level_m[is_water]).all()
    near = nearest(is_water)
    banks = grown(is_water) & ~is_water
    assert (ground > bodies.level_m[near])[banks].all()


def test_shores_are_made_in_bands_that_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    height = hills(300, 60, 900.0)
    bodies = water.find(height, np.kron(np.eye(6, 2) > 0, np.ones((50, 30))) > 0, PIXEL_M)
    whole = shores.settled(height, bodies, PIXEL_M, 0)
    monkeypatch.setattr(shores, "BAND_ROWS", 23)
    np.testing.assert_array_equal(shores.settled(height, bodies, PIXEL_M, 0), whole)


@pytest.mark.parametrize("shape", [(1, 9), (3, 3), (7, 30), (33, 65)])
def test_maps_of_any_size(shape: tuple[int, int]) -> None:
    height, is_water = hills(*shape), np.zeros(shape, bool)
    is_water[:, : shape[1] // 3] = True
    bodies = water.find(height, is_water, PIXEL_M)
    ground = shores.settled(height, bodies, PIXEL_M, 0)
    assert np.isfinite(ground).all()
    assert (ground[is_water] < bodies.level_m[is_water]).all()


def test_any_number_of_threads_gives_the_same_bytes() -> None:
    height, lake = lake_between(240.0)
    bodies = water.find(height, lake, PIXEL_M)
    before, made = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        made.append(shores.settled(height, bodies, PIXEL_M, 0).tobytes())
    torch.set_num_threads(before)
    assert made[0] == made[1]
