"""What a pixel sees of a texture's pyramid, on the CPU: the geometry that the accumulating kernels share.

The arithmetic is that of backend/ops/texels/pyramid.py, operation by operation, in float32; do not reorder it. Levels
lie one after the other in flat arrays; level 0 of the texture is an array of its own, so that a pyramid need
not copy it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.simd import peek

HALF, ONE, TWO, THREE = np.float32(0.5), np.float32(1), np.float32(2), np.float32(3)


@njit(cache=True, inline="always")
def locate(across, side, scale):
    """One axis: the first of the two texels and the second one's weight. across: texels of level 0 from the edge."""
    position = across * scale - HALF
    if position <= 0:
        return np.int64(0), np.float32(0)
    first = np.int64(position)
    if first >= side - 1:
        return side - 2, ONE
    return first, position - np.float32(first)


@njit(cache=True, inline="always")
def blend(plane, i, side, a, b, c, d):
    """The bilinear look-up in a flat plane at the cell whose top left texel is i."""
    return a * peek(plane, i) + b * peek(plane, i + 1) + c * peek(plane, i + side) + d * peek(plane, i + side + 1)


@njit(cache=True, inline="always")
def look_up(texture, coarse, level, start, side, index, a, b, c, d):
    """Three channels of the bilinear look-up at a cell of a level. start: of the level within `coarse`."""
    if level == 0:
        i = index
        return (
            blend(texture[0], i, side, a, b, c, d),
            blend(texture[1], i, side, a, b, c, d),
            blend(texture[2], i, side, a, b, c, d),
        )
    i = index + start
    return (
        blend(coarse[0], i, side, a, b, c, d),
        blend(coarse[1], i, side, a, b, c, d),
        blend(coarse[2], i, side, a, b, c, d),
    )
