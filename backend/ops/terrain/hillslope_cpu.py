"""Hillslope creep on a height grid on the CPU: one linear diffusion step by alternating directions.

Peaceman and Rachford (1955): half a step implicit along rows, half along columns; stable for any step and exact to
second order. Cells on the edge keep their height. Arguments are checked in backend.ops.terrain.erosion.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import copied, run_in_threads

BLOCK = 64  # columns that a thread takes at least


def diffuse(height, number):
    """Heights [H, W] float64 after one step; `number` is diffusivity * time / pixel_size^2."""
    rows, cols = height.shape
    half = 0.5 * number
    if rows < 3 or cols < 3:
        return height.copy()
    middle, result, shares = np.empty_like(height), copied(height), np.empty(max(rows, cols))
    _shares(half, shares)
    run_in_threads(_along_rows, rows, height, half, shares, middle)
    blocks = -(-(cols - 2) // BLOCK)
    run_in_threads(_along_columns, blocks, middle, half, shares, result)
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def _shares(half, shares):
    """Of Thomas's algorithm: those of a row or column are those of every other."""
    shares[0] = 0.0
    for n in range(1, shares.size):
        shares[n] = half / (1.0 + 2.0 * half - half * shares[n - 1])


@njit(cache=True, nogil=True, error_model="numpy")
def _along_rows(begin, end, height, half, shares, middle):
    """Half a step, implicit along the row, explicit across: Thomas's algorithm."""
    rows, cols = height.shape
    for r in range(begin, end):
        for c in range(cols):
            middle[r, c] = height[r, c]
        if r == 0 or r == rows - 1:
            continue
        for c in range(1, cols - 1):
            explicit = height[r, c] + half * (height[r - 1, c] - 2.0 * height[r, c] + height[r + 1, c])
            pivot = 1.0 + 2.0 * half - half * shares[c - 1]
            middle[r, c] = (explicit + half * middle[r, c - 1]) / pivot
        for c in range(cols - 2, 0, -1):
            middle[r, c] += shares[c] * middle[r, c + 1]


@njit(cache=True, nogil=True, error_model="numpy")
def _along_columns(begin, end, middle, half, shares, result):
    """The other half, in blocks of columns."""
    rows, cols = middle.shape
    first = 1 + begin * BLOCK
    last = min(1 + end * BLOCK, cols - 1)
    for r in range(1, rows - 1):
        pivot = 1.0 + 2.0 * half - half * shares[r - 1]
        for c in range(first, last):
            explicit = middle[r, c] + half * (middle[r, c - 1] - 2.0 * middle[r, c] + middle[r, c + 1])
            result[r, c] = (explicit + half * result[r - 1, c]) / pivot
    for r in range(rows - 2, 0, -1):
        for c in range(first, last):
            result[r, c] += shares[r] * result[r + 1, c]
