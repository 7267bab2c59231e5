"""Gaussian smoothing of a map on the CPU: the sums of SciPy's correlate1d in their order, many pixels at once, on threads.

Along each axis in turn, in float64, rounded to float32 after each. Taps are even, so that two pixels share one. A block of
columns at a time, whose rows stay in a core's cache while one row after the other looks at them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads

BLOCK = 512  # columns
LEAST_WORK = 1 << 19  # sums of two pixels: less takes no longer than to wake a thread


def smooth(values, down, across, taps):
    """[H, W] float32. down [H + 2 r], across [W + 2 r] int64: the pixel whose value stands at each place from r before the first to
    r beyond the last. taps [r + 1] float64: of the farthest pixel first, of the pixel itself last."""
    height, width = values.shape
    half, made = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    pieces = 0 if values.size * taps.size >= LEAST_WORK else 1
    run_in_threads(_smooth_columns, height, values, down, taps, half, pieces=pieces)
    run_in_threads(_smooth_rows, height, half, across, taps, made, pieces=pieces)
    return made


@njit(cache=True, nogil=True, error_model="numpy")
def _smooth_columns(begin, end, values, place, taps, made):
    radius, width = taps.size - 1, values.shape[1]
    total = np.empty(BLOCK)
    for left in range(0, width, BLOCK):
        right = min(left + BLOCK, width)
        for row in range(begin, end):
            _start(total, values[row, left:right], taps[radius])
            for tap in range(radius):
                above, below = values[place[row + tap], left:right], values[place[row + 2 * radius - tap], left:right]
                _add(total, above, below, taps[tap])
            _finish(total, made[row, left:right])


@njit(cache=True, nogil=True, error_model="numpy")
def _smooth_rows(begin, end, values, place, taps, made):
    radius, width = taps.size - 1, values.shape[1]
    total, line = np.empty(BLOCK), np.empty(width + 2 * radius, np.float32)
    for row in range(begin, end):
        for i in range(line.size):
            line[i] = values[row, place[i]]
        for left in range(0, width, BLOCK):
            count = min(BLOCK, width - left)
            _start(total, line[left + radius : left + radius + count], taps[radius])
            for tap in range(radius):
                far = left + 2 * radius - tap
                _add(total, line[left + tap : left + tap + count], line[far : far + count], taps[tap])
            _finish(total, made[row, left : left + count])


@njit(cache=True)
def _start(total, values, tap):
    for i in range(values.size):
        total[i] = np.float64(values[i]) * tap


@njit(cache=True)
def _add(total, first, second, tap):
    for i in range(first.size):
        total[i] += (np.float64(first[i]) + np.float64(second[i])) * tap


@njit(cache=True)
def _finish(total, made):
    for i in range(made.size):
        made[i] = np.float32(total[i])
