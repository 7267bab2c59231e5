"""Rivers in painted water: which water is one, and that it falls to its mouth, level across, without steps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from backend.algorithms.sketch import rivers, water

PIXEL_M = 30.0
SIDE = 128
ROW, COLUMN = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
AROUND = np.ones((3, 3), bool)


def grown(mask: np.ndarray, times: int = 1) -> np.ndarray:
    return np.asarray(ndimage.binary_dilation(mask, AROUND, times), bool)


def nearest(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """Row and column of the nearest pixel of the mask, for each pixel."""
    indices = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return tuple(np.asarray(indices))


def rough(seed: int = 0) -> np.ndarray:
    """Hills of a few metres."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(SIDE, SIDE)), 4.0)
    return noise / noise.std() * 4.0


SLOPE = (4.0 * (112.0 - COLUMN) + rough()).astype(np.float32)  # from 448 m on the left to the sea on the right
SEA = COLUMN > 112.0
STREAM = (np.abs(ROW - 60.0 - 14.0 * np.sin(COLUMN / 16.0)) < 2.5) & (COLUMN > 12.0) & ~SEA


def found(height_m: np.ndarray, is_water: np.ndarray) -> water.Bodies:
    return water.with_sea_level(height_m, water.find(height_m, is_water, PIXEL_M))[1]


def check_falls(bodies: water.Bodies) -> None:
    """Every pixel of a river has lower water beside it, but at mouths; and nowhere does the surface step."""
    river = bodies.labels > bodies.lakes
    level = np.where(bodies.mask, bodies.level_m, np.inf)
    lowest = ndimage.minimum_filter(level, footprint=AROUND, mode="constant", cval=np.inf)
    ends = river & (lowest >= level)
    lakes = ndimage.minimum_filter(np.where(river, np.inf, level), footprint=AROUND, mode="constant", cval=np.inf)
    for number in range(bodies.lakes + 1, int(bodies.labels.max()) + 1):
        own = bodies.labels == number
        hollows = ends & own & (level != level[own].min()) & (level != lakes)
        assert not hollows.any(), "but at mouths, and at the lake that the river leaves"
    for axis in (0, 1):
        step = np.abs(np.diff(np.where(bodies.mask, bodies.level_m, np.nan), axis=axis))
        assert np.nanmax(step) < 0.4 * PIXEL_M


def test_a_river_falls_from_the_hills_to_the_sea_as_the_land_does() -> None:
    bodies = found(SLOPE, SEA | STREAM)
    assert (bodies.lakes, int(bodies.labels.max())) == (1, 2)
    check_falls(bodies)
    sea, river = bodies.labels == 1, bodies.labels == 2
    assert set(np.unique(bodies.level_m[sea])) == {0.0}, "the sea is flat"
    shore = river & grown(sea)
    assert (bodies.level_m[shore] < 2.0).all(), "and the river ends at its level"
    assert bodies.level_m[river].max() > 350.0
    banks = grown(river) & ~bodies.mask
    near = nearest(river)
    assert np.abs((SLOPE - bodies.level_m[near])[banks]).max() < 40.0, "neither canyon nor dam"
    across = [np.ptp(bodies.level_m[river[:, column], column]) for column in range(24, 100)]
    assert np.median(across) < 12.0, "level across, but where it runs askew"


def test_high_land_is_cut_and_low_land_is_crossed() -> None:
    ridge = 150.0 * np.exp(-(((COLUMN - 60.0) / 8.0) ** 2)) - 60.0 * np.exp(-(((COLUMN - 90.0) / 6.0) ** 2))
    bodies = found((SLOPE + ridge).astype(np.float32), SEA | STREAM)
    check_falls(bodies)
    on_ridge = bodies.level_m[STREAM & (np.abs(COLUMN - 60.0) < 2.0)]
    assert on_ridge.max() < 300.0, "the ridge is 358 m high there"


def test_a_lake_on_the_way_stays_level_and_the_river_meets_it() -> None:
    lake = np.hypot(ROW - 60.0 - 14.0 * np.sin(60.0 / 16.0), COLUMN - 60.0) < 13.0
    bodies = found(SLOPE, SEA | STREAM | lake)
    assert (bodies.lakes, int(bodies.labels.max())) == (2, 4)
    check_falls(bodies)
    number = bodies.labels[int(60 + 14 * np.sin(60 / 16)), 60]
    levels = np.unique(bodies.level_m[bodies.labels == number])
    assert len(levels) == 1
    beside = grown(bodies.labels == number) & (bodies.labels > bodies.lakes)
    assert np.abs(bodies.level_m[beside] - levels[0]).max() < 0.25 * PIXEL_M, "without a fall"


def test_branches_fall_to_where_they_meet() -> None:
    branch = (np.abs(ROW - 20.0 - 0.55 * COLUMN) < 1.5) & (COLUMN > 20.0) & (COLUMN < 92.0)
    bodies = found(SLOPE, SEA | STREAM | branch)
    check_falls(bodies)
    assert bodies.level_m[branch & (COLUMN < 30.0)].min() > 250.0


@pytest.mark.parametrize("tilt", [1.0, -1.0])
def test_a_river_from_border_to_border_flows_down(tilt: float) -> None:
    height = (tilt * 2.0 * ROW + rough(1)).astype(np.float32)
    bodies = found(height, np.abs(COLUMN - 64.0 - 10.0 * np.sin(ROW / 20.0)) < 2.0)
    assert bodies.lakes == 0
    check_falls(bodies)
    top, bottom = np.nanmean(bodies.level_m[0]), np.nanmean(bodies.level_m[-1])
    assert min(top, bottom) < 1.0, "heights count from its mouth"
    assert (bottom - top) * tilt > 150.0


@pytest.mark.parametrize("shape", ["straight", "diagonal"])
def test_a_river_of_one_pixel(shape: str) -> None:
    step = np.arange(10, 113)
    is_water = SEA.copy()
    is_water[(np.full_like(step, 40) if shape == "straight" else step), step] = True
    bodies = found(SLOPE, is_water)
    assert (bodies.lakes, int(bodies.labels.max())) == (1, 2)
    check_falls(bodies)
    course = bodies.level_m[(np.full_like(step, 40) if shape == "straight" else step), step]
    assert (np.diff(course) <= 0).all()
    assert course[0] > 300.0


def test_a_moat_is_level() -> None:
    moat = np.abs(np.hypot(ROW - 64.0, COLUMN - 64.0) - 40.0) < 2.5
    bodies = found(SLOPE, moat)
    assert len(np.unique(bodies.level_m[moat])) == 1


def test_a_river_around_an_island_falls_on_both_sides() -> None:
    island = np.hypot((ROW - 60.0 - 14.0 * np.sin(50.0 / 16.0)) / 5.0, (COLUMN - 50.0) / 12.0)
    bodies = found(SLOPE, (SEA | STREAM | (island < 1.4)) & ~(island < 0.8))
    check_falls(bodies)


def test_a_river_that_ends_behind_a_beach_flows_to_the_sea() -> None:
    """A beach was painted over its mouth, and its other end leaves the map a little lower."""
    height = (0.02 * COLUMN + rough(2)).astype(np.float32)
    bodies = found(height, SEA | ((np.abs(ROW - 60.0) < 2.5) & (COLUMN < 100.0)))
    river = bodies.labels == 2
    assert np.nanmean(bodies.level_m[:, 98][river[:, 98]]) < np.nanmean(bodies.level_m[:, 0][river[:, 0]])


def test_ponds_bays_and_ragged_coasts_are_no_rivers() -> None:
    ponds = (np.hypot(ROW % 32 - 16, (COLUMN % 32 - 16) / 1.8) < 4.0) & (COLUMN < 100.0)
    coast = 70.0 + rough(3) < COLUMN
    for is_water in (ponds, coast, np.ones((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool), ~coast):
        assert rivers.parts(is_water)[2] == 0
    bodies = found(SLOPE, ponds)
    assert all(len(np.unique(bodies.level_m[bodies.labels == n])) == 1 for n in range(1, bodies.lakes + 1))


def test_the_shape_decides_at_any_size() -> None:
    """A draft of a sketch has the rivers of the final terrain."""
    is_water = SEA | STREAM
    for size in (2, 4):
        large = np.kron(is_water, np.ones((size, size), bool))
        labels, lakes, count = rivers.parts(large)
        assert (lakes, count) == (1, 1)
        assert (labels[::size, ::size][STREAM] == 2).mean() > 0.95
