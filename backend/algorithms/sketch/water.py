"""Water of a terrain that was painted: lakes and seas stand level, rivers fall to their mouths.

Says where the surface of the water is, and leaves the ground below and beside it to shores.py. Rivers that nobody painted come from
draining. Heights are metres on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from backend.algorithms.sketch import river_levels, rivers

SHORE_QUANTILE = 0.1  # of the heights along a shore at which its water stands: a few low places do not empty a lake


@dataclass(frozen=True)
class Bodies:
    """labels int32 [H, W]: 0 land, else the number of the body: `lakes` level ones (seas are among them), then rivers.

    level_m float32 [H, W]: of the water's surface, NaN on land; all pixels of a lake have the same.
    """

    labels: np.ndarray
    level_m: np.ndarray
    lakes: int

    @property
    def mask(self) -> np.ndarray:
        return self.labels > 0

    def surface(self, height_m: np.ndarray) -> np.ndarray:
        """Water where there is water and ground elsewhere, [H, W]."""
        return np.where(self.mask, self.level_m.astype(height_m.dtype), height_m)


def find(height_m: np.ndarray, is_water: np.ndarray, pixel_size_m: float, known_m: Sequence[np.ndarray] = ()) -> Bodies:
    """The bodies of water bool [H, W] of a sketch and the levels at which they stand in these heights [H, W].

    A lake's level is a low one of its shore's, so that no land has to be raised by much; where a lake has no shore it is the mean
    of what it covers. known_m: levels [H, W] of lakes as far as they are given, NaN elsewhere; the first that knows a lake counts.
    """
    labels, lakes, _ = rivers.parts(is_water)
    level = np.full(labels.shape, np.nan, np.float32)
    for number, window in enumerate(ndimage.find_objects(labels), 1):
        if number > lakes:
            _set_river(level, height_m, labels, number, window, lakes, pixel_size_m)
        else:
            _set_lake(level, height_m, labels, number, window, known_m)
    return Bodies(labels, level, lakes)


def _around(window: tuple[slice, ...], shape: tuple[int, ...], margin: int) -> tuple[slice, ...]:
    return tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, side))
        for part, side in zip(window, shape, strict=True)
    )


def _set_lake(
    level_m: np.ndarray,
    height_m: np.ndarray,
    labels: np.ndarray,
    number: int,
    window: tuple[slice, ...],
    known_m: Sequence[np.ndarray] = (),
) -> None:
    around = _around(window, labels.shape, 1)
    inside = labels[around] == number
    for known in known_m:
        given = known[around][inside]
        given = given[~np.isnan(given)]
        if given.size:
            level_m[around][inside] = np.median(given)
            return
    shore = (ndimage.maximum_filter(inside.view(np.uint8), 3) > 0) & (labels[around] == 0)
    heights = height_m[around]
    level_m[around][inside] = np.quantile(heights[shore], SHORE_QUANTILE) if shore.any() else heights[inside].mean()


def _set_river(
    level_m: np.ndarray,
    height_m: np.ndarray,
    labels: np.ndarray,
    number: int,
    window: tuple[slice, ...],
    lakes: int,
    pixel_size_m: float,
) -> None:
    around = _around(window, labels.shape, river_levels.MARGIN_PX)
    own = labels[around]
    borders = np.zeros(labels.shape, bool)[around]
    for axis, (part, side) in enumerate(zip(around, labels.shape, strict=True)):
        across = np.moveaxis(borders, axis, 0)
        across[0] |= part.start == 0
        across[-1] |= part.stop == side
    reach = river_levels.Reach(
        river=own == number,
        land_m=np.where(own == 0, height_m[around], np.nan),
        lake_m=np.where((own > 0) & (own <= lakes), level_m[around], np.nan),
        borders=borders,
    )
    levels = river_levels.levels(reach, pixel_size_m)
    if levels is None:
        _set_lake(level_m, height_m, labels, number, window)
    else:
        level_m[around][reach.river] = levels


def with_sea_level(height_m: np.ndarray, bodies: Bodies) -> tuple[np.ndarray, Bodies]:
    """Heights and levels shifted so that the largest lake that reaches the border, the sea, is at 0 m.

    Without one, the lowest river at the border is; without that, the lowest ground.
    """
    edges = np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]
    edge, level = (np.concatenate([values[part] for part in edges]) for values in (bodies.labels, bodies.level_m))
    seas = np.unique(edge[(edge > 0) & (edge <= bodies.lakes)])
    if seas.size:
        sizes = np.bincount(bodies.labels.ravel(), minlength=bodies.lakes + 1)
        zero = level[edge == seas[np.argmax(sizes[seas])]][0]
    elif edge.any():
        zero = np.nanmin(level)
    else:
        zero = np.fmin(height_m.min(), np.fmin.reduce(bodies.level_m, axis=None))
    return height_m - float(zero), Bodies(bodies.labels, bodies.level_m - np.float32(zero), bodies.lakes)
