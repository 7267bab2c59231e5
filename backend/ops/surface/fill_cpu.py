"""Colours carried outwards from known texels, one level of a mip chain at a time, on the CPU.

state uint8 [H, W]: 0 known, r = reached by the r-th ring, 255 not yet reached. Each thread writes its own texels and reads
only ones that nobody writes in that sweep. backend/ops/surface/fill.py says what the levels are for.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.surface.constants import UNREACHED


def grow(texture, state, ring):
    """Give texels beside those of lower rings the mean of them, corners counting half. texture [3, H, W], in place."""
    run_in_threads(_grow_rows, state.shape[0], texture, state, ring)


@njit(cache=True, nogil=True, error_model="numpy")
def _grow_rows(begin, end, texture, state, ring):
    rows, columns = state.shape
    for i in range(begin, end):
        for j in range(columns):
            if state[i, j] != UNREACHED:
                continue
            total = np.float32(0)
            red, green, blue = np.float32(0), np.float32(0), np.float32(0)
            for y in range(max(i - 1, 0), min(i + 2, rows)):
                for x in range(max(j - 1, 0), min(j + 2, columns)):
                    if state[y, x] < ring:
                        weight = np.float32(1.0) if y == i or x == j else np.float32(0.5)
                        total += weight
                        red += weight * texture[0, y, x]
                        green += weight * texture[1, y, x]
                        blue += weight * texture[2, y, x]
            if total > 0:
                texture[0, i, j], texture[1, i, j], texture[2, i, j] = red / total, green / total, blue / total
                state[i, j] = ring


def halve(texture, state):
    """The next level: (means of the reached texels of 2 x 2, its state). A last odd row or column is a block of its own."""
    rows, columns = (state.shape[0] + 1) // 2, (state.shape[1] + 1) // 2
    mean = np.zeros((3, rows, columns), np.float32)
    reached = np.full((rows, columns), UNREACHED, np.uint8)
    run_in_threads(_halve_rows, rows, texture, state, mean, reached)
    return mean, reached


@njit(cache=True, nogil=True, error_model="numpy")
def _halve_rows(begin, end, texture, state, mean, reached):
    for i in range(begin, end):
        for j in range(reached.shape[1]):
            count = 0
            red, green, blue = np.float32(0), np.float32(0), np.float32(0)
            for y in range(2 * i, min(2 * i + 2, state.shape[0])):
                for x in range(2 * j, min(2 * j + 2, state.shape[1])):
                    if state[y, x] != UNREACHED:
                        count += 1
                        red += texture[0, y, x]
                        green += texture[1, y, x]
                        blue += texture[2, y, x]
            if count > 0:
                mean[0, i, j], mean[1, i, j], mean[2, i, j] = red / count, green / count, blue / count
                reached[i, j] = 0


def take_from_coarser(texture, state, coarser):
    """Give every texel that was not reached the colour of the coarser texel over it. In place."""
    run_in_threads(_take_rows_from_coarser, state.shape[0], texture, state, coarser)


@njit(cache=True, nogil=True, error_model="numpy")
def _take_rows_from_coarser(begin, end, texture, state, coarser):
    for i in range(begin, end):
        for j in range(state.shape[1]):
            if state[i, j] == UNREACHED:
                for c in range(3):
                    texture[c, i, j] = coarser[c, i // 2, j // 2]
