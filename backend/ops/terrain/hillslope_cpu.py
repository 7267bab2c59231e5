"""Hillslope creep on a height grid on the CPU: one linear diffusion step by alternating directions.

Peaceman and Rachford (1955): half a step implicit along rows, half along columns; stable for any step and exact to
second order. Cells on the edge keep their height. Arguments are checked in backend.ops.terrain.erosion.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def diffuse(height, number):
    """Heights [H, W] float64 after one step; `number` is diffusivity * time / pixel_size^2."""
    rows, cols = height.shape
    half = 0.5 * number
    middle = height.copy()
    result = height.copy()
    if rows < 3 or cols < 3:
        return result
    ratio = np.empty(cols)
    for r in range(1, rows - 1):  # implicit along the row, explicit across: Thomas's algorithm
        ratio[0] = 0.0
        for c in range(1, cols - 1):
            explicit = height[r, c] + half * (height[r - 1, c] - 2.0 * height[r, c] + height[r + 1, c])
            pivot = 1.0 + 2.0 * half - half * ratio[c - 1]
            ratio[c] = half / pivot
            middle[r, c] = (explicit + half * middle[r, c - 1]) / pivot
        for c in range(cols - 2, 0, -1):
            middle[r, c] += ratio[c] * middle[r, c + 1]
    share = 0.0
    shares = np.empty(rows)
    for r in range(1, rows - 1):  # the pivots of a column are those of every other
        pivot = 1.0 + 2.0 * half - half * share
        share = half / pivot
        shares[r] = share
        for c in range(1, cols - 1):
            explicit = middle[r, c] + half * (middle[r, c - 1] - 2.0 * middle[r, c] + middle[r, c + 1])
            result[r, c] = (explicit + half * result[r - 1, c]) / pivot
    for r in range(rows - 2, 0, -1):
        for c in range(1, cols - 1):
            result[r, c] += shares[r] * result[r + 1, c]
    return result
