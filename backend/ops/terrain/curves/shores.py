"""Where a bent coast has made land and sea: which pixels its left bank is, and how far its water goes on the right."""

from __future__ import annotations

from typing import cast

import numpy as np
from scipy.ndimage import label

from backend.ops.terrain.bands import row_bands
from backend.ops.terrain.curves.sections import Wanted


def shores(wanted: Wanted, ground: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """land [H, W] bool: the strip on the left of coasts, the line included. sea_m float32: the level of the water on the right as
    far as the coast reaches and the ground [H, W] is no higher, in one piece with the coast; NaN elsewhere.
    """
    near, shape = wanted.near, ground.shape
    is_coast = np.concatenate([np.full(len(run.row), run.line.type == "coast") for run in near.runs])
    side = np.zeros(shape, np.int8)
    side.ravel()[wanted.pixel] = wanted.shore
    level = np.full(len(is_coast), np.nan, np.float32)
    level[is_coast] = ground.ravel()[near.pixel[is_coast]]
    wet = np.zeros(shape, bool)
    for rows in row_bands(shape):
        owner = near.owner[rows]
        reaches = near.distance_px[rows] * near.pixel_size_m <= wanted.reach_m.astype(np.float32)[owner]
        wet[rows] = reaches & is_coast[owner] & (side[rows] <= 0) & (ground[rows] < level[owner])
    wet = _joined_to(wet & (side < 0), wet)
    sea_m = np.full(shape, np.nan, np.float32)
    for rows in row_bands(shape):
        sea_m[rows][wet[rows]] = level[near.owner[rows][wet[rows]]]
    return side > 0, sea_m


def _joined_to(start: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The pieces of `inside` [H, W] that hold pixels of `start`."""
    labels, count = cast("tuple[np.ndarray, int]", label(inside))
    kept = np.zeros(count + 1, bool)
    kept[labels[start]] = True
    return kept[labels]
