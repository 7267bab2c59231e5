"""One step of Adam on a map, on the CPU, in one pass over memory; the op is backend.ops.adam."""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(cache=True, parallel=True)
def adam_step(image, ascent, mean, square, rate, floor, decay_mean, decay_square, correct_mean, correct_square, patch):
    """One step of Adam (Kingma and Ba 2015, algorithm 1) along `ascent`, in place; all arrays float32 [H, W].

    patch: the side of the patches that `ascent` was gathered from; near the edge the step is as short as the pixel's share
    of them.
    """
    one = np.float32(1)
    height, width = image.shape
    for y in prange(height):
        rows = min(y + 1, height - y, patch)
        for x in range(width):
            share = np.float32(rows * min(x + 1, width - x, patch)) / np.float32(patch * patch)
            g = ascent[y, x]
            m = decay_mean * mean[y, x] + (one - decay_mean) * g
            s = decay_square * square[y, x] + (one - decay_square) * g * g
            mean[y, x] = m
            square[y, x] = s
            image[y, x] += share * rate * (m * correct_mean) / (np.sqrt(s * correct_square) + floor)
