"""How the surface of a painted river falls: along its course to its mouth, level across, as near to its banks as falling allows.

The mouth is a lake or sea, the border of the map, or the end where the land is lowest. A river starts at the level of the lake that
it leaves and ends at that of the lake that it reaches. Heights are metres. Changes no land.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from backend.algorithms.sketch import river_course, rivers
from backend.algorithms.sketch.falling_fit import Ends, Slopes, fitted
from backend.algorithms.sketch.river_course import Pixels

FALL, STEEPEST = 1e-4, 0.25  # of the way, at least and at most
POCKET = 1.5  # widths of the river: shorter branches are bends of its shore
MARGIN_PX = 48  # of the map around a river that it needs to know, at least as far as what follows
NEAR_PX = 24  # a river that ends no farther from a lake flows to it
AROUND_END = 2.0  # widths: land that says how high an end lies
DEAD_END = 0.2  # of the range of heights along the river: so much lower than the others an end in the land is the mouth


@dataclass(frozen=True)
class Reach:
    """A river in a window of its map. land_m [h, w]: NaN in water. lake_m [h, w]: levels of lakes, NaN elsewhere.

    borders bool [h, w]: the pixels at the map's border.
    """

    river: np.ndarray
    land_m: np.ndarray
    lake_m: np.ndarray
    borders: np.ndarray

    @cached_property
    def width_px(self) -> float:
        return 2.0 * rivers.half_width(self.river, rivers.within(self.river)) - 1.0


@dataclass(frozen=True)
class _End:
    pixels: np.ndarray
    level_m: float
    is_lake: bool
    is_open: bool


def levels(reach: Reach, pixel_size_m: float) -> np.ndarray | None:
    """The level of the water on each pixel of the river, in the order of its rows; None where it has no end, as in a moat."""
    pixels = river_course.pixels_of(reach.river)
    banks = _lowest_beside(reach.land_m, pixels)
    if np.isnan(banks).all():
        return None
    ends = _ends(reach, pixels, banks)
    if not ends:
        return None
    mouth = _mouth(ends, float(np.ptp(banks[~np.isnan(banks)])))
    course = river_course.course(pixels, mouth.pixels)
    bottom = mouth.level_m if mouth.is_lake and mouth.is_open else -np.inf
    sources = {
        int(section): end.level_m
        for end in ends
        if end.is_lake and end.is_open and end is not mouth
        for section in np.unique(course.section[end.pixels])
    }
    slopes = Slopes(FALL * pixel_size_m, STEEPEST * pixel_size_m)
    return fitted(course, banks, Ends(bottom, sources), slopes, POCKET * reach.width_px)


def _lowest_beside(values: np.ndarray, pixels: Pixels) -> np.ndarray:
    """The least value of each pixel and its neighbours [N], NaN where all are."""
    padded = np.pad(values, 1, constant_values=np.nan)
    around = [padded[pixels.row + down, pixels.column + across] for down in range(3) for across in range(3)]
    return np.fmin.reduce(around)


def _ends(reach: Reach, pixels: Pixels, banks: np.ndarray) -> list[_End]:
    lakes = _lowest_beside(reach.lake_m, pixels)
    found = [
        _End(np.flatnonzero(lakes == level), float(level), is_lake=True, is_open=True)
        for level in np.unique(lakes[~np.isnan(lakes)])
    ]
    groups, count = ndimage.label(reach.river & reach.borders, np.ones((3, 3), int))  # pyright: ignore[reportGeneralTypeIssues]
    at_border = groups[pixels.row, pixels.column]
    for group in range(1, count + 1):
        own = np.flatnonzero(at_border == group)
        found.append(_End(own, _land_at(reach, pixels, own, banks), is_lake=False, is_open=True))
    is_open = np.zeros(pixels.count, bool)
    for end in found:
        is_open[end.pixels] = True
    for tip in river_course.ends(pixels, reach.width_px):
        near = int(reach.width_px) + 1
        row, column = pixels.row[tip], pixels.column[tip]
        if (is_open & (np.abs(pixels.row - row) <= near) & (np.abs(pixels.column - column) <= near)).any():
            continue
        lake = reach.lake_m[_box(row, NEAR_PX), _box(column, NEAR_PX)]
        own = np.array([tip])
        if np.isnan(lake).all():
            found.append(_End(own, _land_at(reach, pixels, own, banks), is_lake=False, is_open=False))
        else:
            found.append(_End(own, float(np.nanmin(lake)), is_lake=True, is_open=False))
    return found


def _box(middle: int, reach_px: int) -> slice:
    return slice(max(0, middle - reach_px), middle + reach_px + 1)


def _land_at(reach: Reach, pixels: Pixels, own: np.ndarray, banks: np.ndarray) -> float:
    """How high the land around an end is: the lower part of it, so that a bluff does not count."""
    row, column = int(pixels.row[own].mean()), int(pixels.column[own].mean())
    wide = int(AROUND_END * reach.width_px) + 2
    around = reach.land_m[_box(row, wide), _box(column, wide)]
    around = around[~np.isnan(around)]
    return float(np.quantile(around if around.size else banks[~np.isnan(banks)], 0.25))


def _mouth(ends: list[_End], range_m: float) -> _End:
    """The lowest end. In the land, away from lakes, an end has to be lower by far."""

    def height(end: _End) -> float:
        return end.level_m + (0.0 if end.is_open or end.is_lake else DEAD_END * range_m)

    return min(ends, key=height)
