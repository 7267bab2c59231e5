"""Where a bent coast has made land and sea: which pixels its left bank is, and how far its water goes on the right."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_propagation

from backend.ops.terrain.curve_sections import Wanted


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
    owner = near.owner
    reaches = near.distance_px * near.pixel_size_m <= wanted.reach_m.astype(np.float32)[owner]
    wet = reaches & is_coast[owner] & (side <= 0) & (ground < level[owner])
    wet = binary_propagation(wet & (side < 0), mask=wet)
    return side > 0, np.where(wet, level[owner], np.float32(np.nan))
