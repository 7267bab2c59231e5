"""What a pixel sees of a texture's pyramid, on the CPU: the geometry that accumulation and sampling share.

The arithmetic is that of backend/ops/texel_pyramid.py, operation by operation, in float32; do not reorder it. Levels
lie one after the other in flat arrays; level 0 of the texture is an array of its own, so that a pyramid need
not copy it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit, prange

from backend.kernels.lanes import peek, uncounted

LevelTable = np.ndarray  # int64 [2, L+1]: the side of each level, and where it starts in a flat array of all levels

TEXELS_A_PIXEL = 3.0**-0.5
PIECE = 4096  # pixels that one thread takes at a time
HALF, ONE, TWO, THREE = np.float32(0.5), np.float32(1), np.float32(2), np.float32(3)


def level_table(sides: Sequence[int]) -> LevelTable:
    """The table of these levels."""
    table = np.zeros((2, len(sides)), np.int64)
    table[0] = sides
    table[1, 1:] = np.cumsum([side * side for side in sides[:-1]])
    return table


@njit(cache=True, inline="always")
def choose_level(footprint, scale, levels):
    """The finer level and the coarser one's share for a footprint; scale = size / sqrt(3), levels = the last level."""
    width = footprint * scale
    level = 0
    while width >= TWO and level < levels:
        width *= HALF
        level += 1
    share = np.float32(0)
    if level < levels and width > ONE:
        share = (width * width - ONE) / THREE
    return level, share


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


@njit(cache=True, inline="always")
def look_up_level(texture, coarse, table, level, across, down):
    """The bilinear look-up in a level at `across`, `down` texels of level 0 from the top left corner."""
    side = table[0, level]
    scale = np.float32(1.0 / (1 << level))
    column, right = locate(across, side, scale)
    row, low = locate(down, side, scale)
    left, up = ONE - right, ONE - low
    start = table[1, level] - table[0, 0] * table[0, 0]
    index = row * side + column
    return look_up(texture, coarse, level, start, side, index, left * up, right * up, left * low, right * low)


@uncounted
def sample_some(texture, coarse, table, uv, footprint, colors, first, last):
    """`sample` for the pixels [first, last)."""
    size = np.float32(table[0, 0])
    scale = np.float32(table[0, 0] * TEXELS_A_PIXEL)
    levels = table.shape[1] - 1
    for p in range(first, last):
        u, v = uv[p, 0], uv[p, 1]
        if np.isnan(u) or np.isnan(v):
            colors[p, 0], colors[p, 1], colors[p, 2] = np.nan, np.nan, np.nan
            continue
        across, down = u * size, (ONE - v) * size
        level, share = choose_level(footprint[p], scale, levels)
        r, g, b = look_up_level(texture, coarse, table, level, across, down)
        if share > 0:
            r1, g1, b1 = look_up_level(texture, coarse, table, level + 1, across, down)
            r, g, b = (ONE - share) * r + share * r1, (ONE - share) * g + share * g1, (ONE - share) * b + share * b1
        colors[p, 0], colors[p, 1], colors[p, 2] = r, g, b


@njit(cache=True, parallel=True)
def sample(texture, coarse, table, uv, footprint):
    """Colours [n, 3] float32 seen at uv [n, 2] with footprint [n]; texture [3, S*S], coarse [3, N]. NaN where uv is NaN."""
    count = uv.shape[0]
    colors = np.empty((count, 3), np.float32)
    for piece in prange((count + PIECE - 1) // PIECE):
        sample_some(texture, coarse, table, uv, footprint, colors, piece * PIECE, min(count, (piece + 1) * PIECE))
    return colors
