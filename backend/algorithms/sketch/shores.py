"""The ground below and beside painted water: beds, and land that meets the water as land around it meets valleys.

Never changes where water is or how high it stands. Heights are metres on the host.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from backend.algorithms.sketch import sides
from backend.algorithms.sketch.water import Bodies
from backend.ops.smoothing import gaussian

BED_SLOPE = 0.06
DEEPEST_SHARE, DEEPEST_M = 0.02, 4000.0  # of a body's width, and at most
LAND_STEP_M = 0.5  # that land stands above the water beside it, at least
SHORE_PX, SHORE_REACH_PX = 3.0, 16  # over which land comes down to the water, and where that ends
BANK_PX = 2.0  # how far land beside the water is above it, at least
BANK_SLOPE = 0.04  # land beside the water, at least, where it has to be moved
STEP_PX, ROUND_PX = 4, 4.0  # of the map on which land is moved, and by which its movement is rounded off
BAND_ROWS = 512  # taken at a time, so that memory does not grow with the map


def settled(height_m: np.ndarray, bodies: Bodies, pixel_size_m: float, seed: int) -> np.ndarray:
    """The ground float32 [H, W] with beds under its water, and land that comes down to the water beside it and no lower."""
    ground = height_m.astype(np.float32)
    if not bodies.mask.any():
        return ground
    ground = _beside(ground, bodies, pixel_size_m, seed)
    ground -= _depths(bodies, pixel_size_m)
    return ground


def _beside(ground: np.ndarray, bodies: Bodies, pixel_size_m: float, seed: int) -> np.ndarray:
    """Land, and the level of the water."""
    if bodies.mask.all():
        return bodies.surface(ground)
    land = _with_sides(ground, bodies.level_m, pixel_size_m, seed)
    rows = len(land)
    for top in range(0, rows, BAND_ROWS):
        bottom = min(top + BAND_ROWS, rows)
        wide = slice(max(0, top - SHORE_REACH_PX), min(rows, bottom + SHORE_REACH_PX))
        if bodies.labels[wide].any():
            band = _with_shores(land[wide], bodies.level_m[wide])
            ground[top:bottom] = band[top - wide.start : bottom - wide.start]
        else:
            ground[top:bottom] = land[top:bottom]
    return ground


def _with_sides(ground: np.ndarray, level_m: np.ndarray, pixel_size_m: float, seed: int) -> np.ndarray:
    """Land that leads to the water from above and from below, as far away as it takes at the steepness of the land around.

    Large forms alone are moved, on a coarse map: small ones stay as they are.
    """
    step = STEP_PX if min(ground.shape) >= 2 * STEP_PX else 1
    if min(ground.shape) < 2:
        return ground
    level, wet = _means(level_m, ~np.isnan(level_m), step)
    land, dry = _means(ground, np.isnan(level_m), step)
    is_wet = wet > 0.0
    before = np.where(is_wet, level, land)
    rise = np.maximum(sides.rises(before, step * pixel_size_m), np.float32(BANK_SLOPE * step * pixel_size_m))
    after = before
    for _ in range(2):  # down to the water, then up to it
        after = -sides.lowered(after, is_wet, is_wet, rise, seed, steepening=sides.STEEPENING**step)
    shift, weight = torch.from_numpy(np.stack([dry * (after - land), dry]))
    shift, weight = (gaussian(part, ROUND_PX / step, edge="nearest") for part in (shift, weight))
    shift = shift / weight.clamp_min(1e-6)
    wide = F.interpolate(shift[None, None], scale_factor=float(step), mode="bilinear", align_corners=False)[0, 0]
    return ground + wide.numpy()[: ground.shape[0], : ground.shape[1]]


def _means(values: np.ndarray, chosen: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the chosen values in squares of `step` pixels, 0 where there are none; and the share of the square that is chosen."""
    share = torch.from_numpy(chosen).float()
    total = torch.from_numpy(np.where(chosen, values, np.float32(0.0)))

    def pooled(part: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(part[None, None], step, ceil_mode=True, count_include_pad=False)[0, 0]

    shares = pooled(share)
    return (pooled(total) / shares.clamp_min(1e-6)).numpy(), shares.numpy()


def _with_shores(ground: np.ndarray, level_m: np.ndarray) -> np.ndarray:
    """Land that comes down to the water and is no lower beside it, and the level of the water, in some rows.

    Exact where water is nearer than the rows' end.
    """
    is_land = np.isnan(level_m)
    distance, nearest = cast(
        "tuple[np.ndarray, np.ndarray]", ndimage.distance_transform_edt(is_land, return_indices=True)
    )
    near = np.flatnonzero(is_land & (distance < SHORE_REACH_PX))
    apart = distance.ravel()[near].astype(np.float32)
    row, column = nearest.reshape(2, -1)[:, near]
    level = level_m[row, column]
    shore = np.where(is_land, ground, level_m)
    above = shore.ravel()[near] - level
    above *= np.where(above > 0.0, 1.0 - np.exp(-apart / np.float32(SHORE_PX)), 1.0)
    shore.ravel()[near] = level + np.where(apart <= BANK_PX, np.maximum(above, LAND_STEP_M), above)
    return shore


def _depths(bodies: Bodies, pixel_size_m: float) -> np.ndarray:
    """Metres of water, float32 [H, W]: a bed that slopes away from the shore and levels out."""
    if bodies.mask.all():  # an open sea has no shore to count from
        offshore = np.full(bodies.mask.shape, min(bodies.mask.shape) / 4.0 * pixel_size_m, np.float32)
    else:
        apart = ndimage.distance_transform_edt(np.pad(bodies.mask, 1, mode="edge"))
        offshore = cast("np.ndarray", apart)[1:-1, 1:-1].astype(np.float32) * np.float32(pixel_size_m)
    windows = enumerate(ndimage.find_objects(bodies.labels), 1)
    widest = np.array([0.0] + [offshore[window][bodies.labels[window] == number].max() for number, window in windows])
    deepest = np.clip(DEEPEST_SHARE * 2.0 * widest, 1.0, DEEPEST_M).astype(np.float32)[bodies.labels]
    offshore *= np.float32(-BED_SLOPE)
    offshore /= deepest
    np.expm1(offshore, out=offshore)
    offshore *= -deepest
    offshore[bodies.labels == 0] = 0.0
    return offshore
