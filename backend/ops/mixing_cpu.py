"""Values of pixels turned by a matrix, kept within bounds and turned back, on the CPU in one pass over memory."""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads


def limit(image, mixing, inverse, mean, low, high):
    """An image [C, H, W], in place: inverse [V, C] times the channels of each pixel, + mean [V], within low and high [V], - mean,
    times mixing [C, V]. All float32."""
    run_in_threads(_limit_rows, image.shape[1], image, mixing, inverse, mean, low, high)


@njit(cache=True, nogil=True, error_model="numpy")
def _limit_rows(begin, end, image, mixing, inverse, mean, low, high):
    channels, values, width = mixing.shape[0], mixing.shape[1], image.shape[2]
    within, row = np.empty((values, width), np.float32), np.empty(width, np.float32)
    for y in range(begin, end):
        for v in range(values):
            row[:] = np.float32(0)
            for channel in range(channels):
                _add(row, image[channel, y], inverse[v, channel])
            _bound(row, mean[v], low[v], high[v], within[v])
        for channel in range(channels):
            row[:] = np.float32(0)
            for v in range(values):
                _add(row, within[v], mixing[channel, v])
            image[channel, y] = row


@njit(cache=True)
def _add(row, other, weight):
    for x in range(row.size):
        row[x] += weight * other[x]


@njit(cache=True)
def _bound(row, mean, low, high, out):
    for x in range(row.size):
        out[x] = min(max(row[x] + mean, low), high) - mean
