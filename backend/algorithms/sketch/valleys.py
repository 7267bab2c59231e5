"""Sides for the cuts that draining makes: a slit one pixel wide becomes a small valley, no steeper than the land around it.

Only lowers land, and each lowered pixel rises from a neighbour that is lower still: what drained before drains afterwards.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from backend.algorithms.sketch import sides

REACH_PX = 24  # over which the sides of a cut through a plain reach the land
LEAST_CUT = 0.5  # of a side's rise over a pixel: shallower cuts look like the valleys around them


def widened(
    surface_m: np.ndarray, before_m: np.ndarray, is_water: np.ndarray, pixel_size_m: float, seed: int
) -> np.ndarray:
    """The surface float32 [H, W] with sides to its cuts: the land that draining has lowered from `before_m`.

    Water and the land beside it stay as they are.
    """
    if min(surface_m.shape) < 2:
        return surface_m
    rise = sides.rises(before_m, pixel_size_m)
    beside = ndimage.maximum_filter(is_water.view(np.uint8), 3) > 0
    cut = before_m - surface_m
    return sides.lowered(surface_m, (cut > LEAST_CUT * rise) & ~beside, beside, rise, seed, least_m=cut / REACH_PX)
