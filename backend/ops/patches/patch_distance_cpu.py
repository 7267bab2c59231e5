"""Distances between the 7 x 7 patches of an image and of an atlas, on the CPU: two forms.

Where a difference in mean counts as any other, a distance is a plain sum of squares: the atlas then lies in memory with the
channels of a pixel side by side (packed_atlas), so that a row of a patch is one run of 7 C numbers that are compared eight at a
time, and what cannot be nearer than the best so far is given up after some rows. Otherwise map by map.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.patches.constants import PATCH
from backend.ops.simd import (
    load_8,
    multiply,
    multiply_add,
    njit_no_refcount,
    poke,
    splat_8,
    subtract,
    total_in_halves,
)

AREA = np.float32(PATCH * PATCH)
LANES = 8
_ZERO = np.float32(0)


def packed_atlas(atlas):
    """float32 [A, B, C] of an atlas [C, A, B], flat, with room behind it for a vector that begins at its last number."""
    flat = np.ascontiguousarray(atlas.transpose(1, 2, 0), np.float32).ravel()
    return np.concatenate([flat, np.zeros(LANES, np.float32)])


def lanes_of_row(channels):
    """float32 [8]: 1 for the numbers of the last vector of a patch's row that belong to it, 0 for what lies behind."""
    return (np.arange(LANES) < (PATCH * channels - 1) % LANES + 1).astype(np.float32)


@njit_no_refcount
def pack_rows(image, top, strip):
    """Lay the 7 rows of an image [C, H, W] from `top` on into a strip, flat [7, W, C], as the atlas lies."""
    channels, width = image.shape[0], image.shape[2]
    for i in range(PATCH):
        for channel in range(channels):
            at = i * width * channels + channel
            for x in range(width):
                poke(strip, at + x * channels, image[channel, top + i, x])


@njit_no_refcount
def squared_distance(strip, at, pitch, atlas, start, atlas_pitch, vectors, last, bound):
    """Sum of squared differences of a patch of a strip and one of a packed atlas, whose first numbers are those; a part of it,
    at least `bound`, where it is no less than that.

    pitch, atlas_pitch: from row to row. vectors: that a row takes; last: lanes_of_row().
    """
    sums, keep, total = splat_8(_ZERO), load_8(last, 0), _ZERO
    for i in range(PATCH):
        a, b = at + i * pitch, start + i * atlas_pitch
        for vector in range(vectors - 1):
            difference = subtract(load_8(strip, a + LANES * vector), load_8(atlas, b + LANES * vector))
            sums = multiply_add(difference, difference, sums)
        behind = LANES * (vectors - 1)
        difference = multiply(subtract(load_8(strip, a + behind), load_8(atlas, b + behind)), keep)
        sums = multiply_add(difference, difference, sums)
        if i == 1 or i == 3 or i == PATCH - 1:
            total = total_in_halves(sums)
            if total >= bound:
                return total
    return total


@njit(cache=True)
def distance(image, qy, qx, atlas, cy, cx, mean_weight):
    """Sum of squared differences of two patches, their difference in mean counted mean_weight times in each channel."""
    total = np.float32(0)
    for channel in range(image.shape[0]):
        total += _distance_of_maps(image[channel], qy, qx, atlas[channel], cy, cx, mean_weight)
    return total


@njit(cache=True, fastmath={"contract", "reassoc"})
def _distance_of_maps(image, qy, qx, atlas, cy, cx, mean_weight):
    total = np.float32(0)
    squares = np.float32(0)
    for i in range(PATCH):
        for j in range(PATCH):
            e = image[qy + i, qx + j] - atlas[cy + i, cx + j]
            total += e
            squares += e * e
    return squares - (np.float32(1) - mean_weight) * total * total / AREA
