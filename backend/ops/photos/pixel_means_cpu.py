"""Photographs made smaller by whole numbers: each pixel the mean of a block, rounded. Every row belongs to one thread."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from backend.ops.kernel_threads import parallel_loop

CHUNK = 8  # rows that a thread takes at a time


@parallel_loop
def means(pixels, times, result):
    """result [h, w, 3], written: means of times x times of pixels [H, W, 3] uint8 or uint16; a half is rounded up."""
    rows = result.shape[0]
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        _mean_rows(chunk * CHUNK, min((chunk + 1) * CHUNK, rows), pixels, times, result)


@njit(cache=True, error_model="numpy")
def _mean_rows(begin, end, pixels, times, result):
    count = np.uint64(times * times)
    sums = np.empty(3 * result.shape[1], np.uint64)
    for row in range(begin, end):
        sums[:] = count // np.uint64(2)
        for y in range(row * times, (row + 1) * times):
            for column in range(result.shape[1]):
                for x in range(column * times, (column + 1) * times):
                    for channel in range(3):
                        sums[3 * column + channel] += pixels[y, x, channel]
        for column in range(result.shape[1]):
            for channel in range(3):
                result[row, column, channel] = sums[3 * column + channel] // count
