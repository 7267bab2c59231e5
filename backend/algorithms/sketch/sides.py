"""Sides of valleys and basins: land is lowered until it rises from what lies below it no more steeply than land around does.

Only lowers, and each lowered pixel rises from a neighbour that is lower still.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

MOST_STEPS = 128  # by then all sides have met the land, for they grow steeper
STEEPENING = 1.04  # per pixel, so that sides also end where the land rises as they do
SAMPLE_PX = 4  # steepness of the land is looked at on every fourth pixel
AROUND_PX = 12.0  # over which it is averaged
LEAST_SHARE = 0.3  # of the mean steepness of the whole map: sides are that steep in plains, too
STEEPER = 1.4  # than the land around, so that sides end
NOISE_PX, NOISE_SIZES_PX = 256, (1.0, 3.0)
NOISE = 0.6  # sides with spurs and gullies: steepness varies by a factor exp(NOISE)


def lowered(
    height_m: np.ndarray,
    start: np.ndarray,
    kept: np.ndarray,
    rise_m: np.ndarray,
    seed: int,
    least_m: np.ndarray | None = None,
    steepening: float = STEEPENING,
) -> np.ndarray:
    """The heights float32 [H, W] with sides that rise from the pixels of `start`; those of `kept` stay.

    start, kept bool [H, W]. rise_m [H, W]: of a side over one pixel, see rises(). least_m [H, W]: the same, at least, for the whole
    side that rises from a pixel. steepening: of sides, per pixel.
    """
    wide = height_m.shape[1] + 2
    height = np.pad(height_m, 1, constant_values=-np.inf).ravel()  # nothing lowers the frame
    stays = np.pad(kept, 1).ravel()
    rise = np.pad(rise_m, 1).ravel()
    least = None if least_m is None else np.pad(least_m, 1).ravel()
    frontier = np.flatnonzero(np.pad(start, 1))
    chance = _chance(seed)
    steps = [(down * wide + across, np.hypot(down, across)) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    for number in range(MOST_STEPS):
        if not frontier.size:
            break
        begin = height[frontier]
        steep = rise[frontier] if least is None else np.maximum(rise[frontier], least[frontier])
        steep = steep * np.float32(steepening**number)
        steep *= chance[frontier // wide % NOISE_PX, frontier % wide % NOISE_PX]
        found = []
        for step, length in steps:
            place = frontier + step
            side = begin + (steep * length).astype(np.float32)
            lower = (side < height[place]) & ~stays[place]
            height[place[lower]] = side[lower]  # no two pixels of one step meet in a place
            if least is not None:
                least[place[lower]] = least[frontier[lower]]
            found.append(place[lower])
        reached = np.sort(np.concatenate(found))
        frontier = reached[np.diff(reached, prepend=-1) > 0]
    return height.reshape(-1, wide)[1:-1, 1:-1].copy()


def rises(height_m: np.ndarray, pixel_size_m: float) -> np.ndarray:
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


@lru_cache(2)
def _chance(seed: int) -> np.ndarray:
    """Factors about 1, float32 [NOISE_PX, NOISE_PX], that tile the plane."""
    white = np.random.default_rng(seed).standard_normal((len(NOISE_SIZES_PX), NOISE_PX, NOISE_PX))
    octaves = [
        ndimage.gaussian_filter(part, size, mode="wrap") for part, size in zip(white, NOISE_SIZES_PX, strict=True)
    ]
    return np.exp(NOISE * np.mean([part / part.std() for part in octaves], axis=0)).astype(np.float32)
