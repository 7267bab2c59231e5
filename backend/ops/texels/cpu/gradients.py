"""Gradient rows of a texture's normal equations, on the CPU: differences of neighbouring pixels to the texture's slope.

What a row is: see backend/ops/texels/stencil.py; colours' own rows are accumulation.py's.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from backend.ops.simd import njit_no_refcount, poke
from backend.ops.texels.constants import HUBER, L2
from backend.ops.texels.constants import SAME_SURFACE as FOOTPRINTS_APART
from backend.ops.texels.cpu.binning import counts
from backend.ops.texels.cpu.chunks import ZERO
from backend.ops.texels.cpu.look_up import HALF, ONE, TWO, locate, look_up
from backend.ops.texels.cpu.rows import add_row

SAME_SURFACE = np.float32(FOOTPRINTS_APART)


@njit(cache=True, inline="always")
def robust_weight(squared, loss, threshold):
    """The factor on a pixel's weight for the squared length of its residual."""
    if loss == L2:
        return ONE
    if loss == HUBER:
        return ONE if squared <= threshold * threshold else threshold / math.sqrt(squared)
    kept = ONE / (ONE + squared / (threshold * threshold))
    return kept * kept


@njit(cache=True, inline="always")
def take_difference(
    cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, strength, p, q, scratch
):
    """The gradient row of the neighbours p and q; see backend/ops/texels/stencil.py. Nothing where a fold lies between them."""
    texels = np.float32(table[0, 0])
    x0, y0 = uv[p, 0] * texels, (ONE - uv[p, 1]) * texels
    x1, y1 = uv[q, 0] * texels, (ONE - uv[q, 1]) * texels
    distance = max(abs(x1 - x0), abs(y1 - y0))
    if distance > SAME_SURFACE * max(footprint[p], footprint[q]) * texels:
        return
    level, shrink = 0, ONE
    while shrink * distance > ONE and level < table.shape[1] - 1:
        level += 1
        shrink *= HALF
    if shrink * distance > TWO:
        return
    side = table[0, level]
    column, right = locate((x0 + x1) * HALF, side, shrink)
    row, low = locate((y0 + y1) * HALF, side, shrink)
    dx, dy = (x1 - x0) * shrink, (y1 - y0) * shrink
    left, up = ONE - right, ONE - low
    a, b, c, d = -up * dx - left * dy, up * dx - right * dy, left * dy - low * dx, low * dx + right * dy
    at = row * side + column
    red = (np.float32(color[q, 0]) - np.float32(color[p, 0])) * tones[0, 0] * tones[1, 0]
    green = (np.float32(color[q, 1]) - np.float32(color[p, 1])) * tones[0, 1] * tones[1, 1]
    blue = (np.float32(color[q, 2]) - np.float32(color[p, 2])) * tones[0, 2] * tones[1, 2]
    w = strength * min(weight[p], weight[q])
    if loss != L2:
        start = table[1, level] - table[0, 0] * table[0, 0]
        r, g, v = look_up(texture, coarse, level, start, side, at, a, b, c, d)
        w *= robust_weight((red - r) ** 2 + (green - g) ** 2 + (blue - v) ** 2, loss, threshold)
    for place, value in enumerate((a, b, c, d, ZERO, red, green, blue)):
        poke(scratch, place, value)
    add_row(cells, table[1, level] + at, side, w * a, w * b, w * c, w * d, scratch, 0)


@njit_no_refcount
def take_gradients(cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, strength, width,
                   runs, scratch):  # fmt: skip
    """The gradient rows of all pixels of one tile's runs with their right and lower neighbours. width: of the strip."""
    count = weight.size
    for run in range(runs.shape[0]):
        first = np.int64(runs[run, 0])
        for p in range(first, first + runs[run, 1]):
            for step in range(2):
                q = p + width if step else p + 1
                if q >= count or (step == 0 and q % width == 0):
                    continue
                if not counts(uv[q, 0], uv[q, 1], footprint[q], weight[q]):
                    continue
                take_difference(
                    cells,
                    table,
                    texture,
                    coarse,
                    uv,
                    footprint,
                    weight,
                    color,
                    tones,
                    loss,
                    threshold,
                    strength,
                    p,
                    q,
                    scratch,
                )
