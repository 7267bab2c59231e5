"""One row of a texture's normal equations into its planes, on the CPU; the layout is described in backend/ops/texels/stencil.py.

It must not know pixels: a row comes with its weights.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.simd import load_8, multiply_add, picker, splat_8, store
from backend.ops.texels.constants import PLANES

# A row's number of a texel's eight from (a, b, c, d, nothing, red, green, blue): its couplings, each other corner once
of_right_texel = picker(1, 8, 3, 8, 2, 5, 6, 7)
of_lower_texel = picker(2, 3, 8, 8, 8, 5, 6, 7)
of_last_texel = picker(3, 8, 8, 8, 8, 5, 6, 7)


@njit(cache=True, inline="always")
def add_row(cells, at, side, a, b, c, d, row, j):
    """w (A T0 + B T1 + C T2 + D T3 - color)² on the cell whose top left texel is `at` in `cells` [8 N]; a = w A, b = w B ...

    row: from 8 j on A, B, C, D, 0 and three channels of the color.
    """
    corners = load_8(row, 8 * j)
    here = np.int64(at) * PLANES
    store(cells, here, multiply_add(splat_8(a), corners, load_8(cells, here)))
    store(cells, here + 8, multiply_add(splat_8(b), of_right_texel(corners), load_8(cells, here + 8)))
    here += np.int64(side) * PLANES
    store(cells, here, multiply_add(splat_8(c), of_lower_texel(corners), load_8(cells, here)))
    store(cells, here + 8, multiply_add(splat_8(d), of_last_texel(corners), load_8(cells, here + 8)))
