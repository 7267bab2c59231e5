"""Sides for the cuts that draining makes: a slit one pixel wide becomes a small valley, no steeper than the land around it.

Only lowers land, and each lowered pixel rises from a neighbour that is lower still: what drained before drains afterwards.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

REACH_PX = 24  # over which the sides of a cut through a plain reach the land
MOST_STEPS = 128  # by then all sides have met it, for they grow steeper
STEEPENING = 1.04  # per pixel, so that sides also end where the land rises as they do
SAMPLE_PX = 4  # steepness of the land is looked at on every fourth pixel
AROUND_PX = 12.0  # over which it is averaged
LEAST_SHARE = 0.3  # of the mean steepness of the whole map: sides are that steep in plains, too
STEEPER = 1.4  # than the land around, so that sides end
LEAST_CUT = 0.5  # of a side's rise over a pixel: shallower cuts look like the valleys around them
NOISE_PX, NOISE_SIZES_PX = 256, (1.0, 3.0)
NOISE = 0.6  # sides with spurs and gullies: steepness varies by a factor exp(NOISE)


def widened(
    surface_m: np.ndarray, before_m: np.ndarray, is_water: np.ndarray, pixel_size_m: float, seed: int
) -> np.ndarray:
    """The surface float32 [H, W] with sides to its cuts: the land that draining has lowered from `before_m`.

    Water and the land beside it stay as they are.
    """
    if min(surface_m.shape) < 2:
        return surface_m
    wide = surface_m.shape[1] + 2
    rise = np.pad(_rise(before_m, pixel_size_m), 1).ravel()
    height = np.pad(surface_m, 1, constant_values=-np.inf).ravel()  # nothing lowers the frame
    beside = np.asarray(ndimage.binary_dilation(is_water, np.ones((3, 3), bool)), bool)
    kept: np.ndarray = np.pad(beside, 1).ravel()
    cut = np.pad(before_m - surface_m, 1).ravel()
    frontier = np.flatnonzero((cut > LEAST_CUT * rise) & ~kept)
    chance = _chance(seed)
    steps = [(down * wide + across, np.hypot(down, across)) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    depth = np.zeros_like(height)  # of the cut that a lowered pixel belongs to
    depth[frontier] = cut[frontier]
    for number in range(MOST_STEPS):
        start = height[frontier]
        least = np.maximum(rise[frontier], depth[frontier] / REACH_PX) * np.float32(STEEPENING**number)
        steep = least * chance[frontier // wide % NOISE_PX, frontier % wide % NOISE_PX]
        lowered = []
        for step, length in steps:
            place = frontier + step
            side = start + (steep * length).astype(np.float32)
            lower = (side < height[place]) & ~kept[place]
            height[place[lower]] = side[lower]  # no two pixels of one step meet in a place
            depth[place[lower]] = depth[frontier[lower]]
            lowered.append(place[lower])
        frontier = np.unique(np.concatenate(lowered))
        if not frontier.size:
            break
    return height.reshape(-1, wide)[1:-1, 1:-1].copy()


def _rise(height_m: np.ndarray, pixel_size_m: float) -> np.ndarray:
    """Metres float32 [H, W] by which sides rise over one pixel: a little more than the land around them."""
    sample = SAMPLE_PX if min(height_m.shape) >= 2 * SAMPLE_PX else 1
    down, across = np.gradient(height_m[::sample, ::sample].astype(np.float32))
    steep = np.hypot(down, across) / sample
    around = ndimage.gaussian_filter(steep, AROUND_PX / sample, mode="nearest")
    around = STEEPER * np.maximum(around, LEAST_SHARE * steep.mean()) + np.float32(_least_rise(height_m, pixel_size_m))
    rows, columns = (np.arange(side) // sample for side in height_m.shape)
    return around[rows[:, None], columns[None]]


def _least_rise(height_m: np.ndarray, pixel_size_m: float) -> float:
    """Metres by which a side rises over one pixel, at least: more than the rounding of heights."""
    return 8.0 * float(np.spacing(np.float32(np.abs(height_m).max()))) + 1e-4 * pixel_size_m


def _chance(seed: int) -> np.ndarray:
    """Factors about 1, float32 [NOISE_PX, NOISE_PX], that tile the plane."""
    white = np.random.default_rng(seed).standard_normal((len(NOISE_SIZES_PX), NOISE_PX, NOISE_PX))
    octaves = [
        ndimage.gaussian_filter(part, size, mode="wrap") for part, size in zip(white, NOISE_SIZES_PX, strict=True)
    ]
    return np.exp(NOISE * np.mean([part / part.std() for part in octaves], axis=0)).astype(np.float32)
