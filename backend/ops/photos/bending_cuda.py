"""Where the pixels of bent photographs look, on a card: a thread a pixel, every photograph of a batch in one launch.

The arithmetic is that of bending.py's plain form.
"""

from __future__ import annotations

import math

import numpy as np

from backend.ops.cuda_kernels import cuda, device_function, kernel

_ZERO, _HALF, _NAN = np.float32(0), 0.5, np.float32(np.nan)


@kernel
def bend(
    uv, footprint, stretch, weights, same_chart, nodes, cell, first_row, above, new_uv, new_footprint, new_weights
):
    """Look every pixel p up at p - d(p) of the drawn maps.

    Threads: new_weights' [B, rows, W]. uv [B, h, W, 2], footprint, stretch, weights [B, h, W]: drawn rows, `above` of them before
    the first that is written. nodes [B, gy, gx, 2] float32.
    """
    column, row, photograph = cuda.grid(3)
    if photograph >= new_weights.shape[0] or row >= new_weights.shape[1] or column >= new_weights.shape[2]:
        return
    y, x = (first_row + row + _HALF) / cell, (column + _HALF) * (1.0 / cell)
    moved_x = _displacement(nodes, photograph, y, x, 0)
    moved_y = _displacement(nodes, photograph, y, x, 1)
    whole_x, whole_y = math.floor(moved_x + _HALF), math.floor(moved_y + _HALF)
    looked_x, looked_y = column + np.int64(whole_x), row + above + np.int64(whole_y)
    u, v, size, weight = _NAN, _NAN, _NAN, _ZERO
    if 0 <= looked_y < weights.shape[1] and 0 <= looked_x < weights.shape[2]:
        weight = max(weights[photograph, looked_y, looked_x], _ZERO)
    if weight > _ZERO:
        size = footprint[photograph, looked_y, looked_x]
        reach = np.float32(same_chart) * size * np.float32(math.sqrt(stretch[photograph, looked_y, looked_x]))
        u, v = uv[photograph, looked_y, looked_x, 0], uv[photograph, looked_y, looked_x, 1]
        across, down = -1 if moved_x < whole_x else 1, -1 if moved_y < whole_y else 1
        du, dv = _step(uv, photograph, looked_y, looked_x, 0, across, reach)
        share = np.float32(abs(moved_x - whole_x))
        u, v = u + share * du, v + share * dv
        du, dv = _step(uv, photograph, looked_y, looked_x, down, 0, reach)
        share = np.float32(abs(moved_y - whole_y))
        u, v = u + share * du, v + share * dv
    new_uv[photograph, row, column, 0], new_uv[photograph, row, column, 1] = u, v
    new_footprint[photograph, row, column], new_weights[photograph, row, column] = size, weight


@device_function
def _displacement(nodes, photograph, y, x, axis):
    """-d of a place in cells, bilinear between nodes."""
    last_row, last_column = nodes.shape[1] - 1, nodes.shape[2] - 1
    y, x = min(y, float(last_row)), min(x, float(last_column))
    top, left = min(int(y), max(last_row - 1, 0)), min(int(x), max(last_column - 1, 0))
    bottom, right = min(top + 1, last_row), min(left + 1, last_column)
    below, beside = y - top, x - left
    high = float(nodes[photograph, top, left, axis])
    before = high + below * (float(nodes[photograph, bottom, left, axis]) - high)
    high = float(nodes[photograph, top, right, axis])
    after = high + below * (float(nodes[photograph, bottom, right, axis]) - high)
    return -(before + beside * (after - before))


@device_function
def _step(uv, photograph, row, column, down, right, reach):
    """What UVs change by towards the neighbour, or from the opposite one where only that is of the same chart."""
    u, v = uv[photograph, row, column, 0], uv[photograph, row, column, 1]
    near_row, near_column, far_row, far_column = row + down, column + right, row - down, column - right
    if 0 <= near_row < uv.shape[1] and 0 <= near_column < uv.shape[2]:
        du, dv = uv[photograph, near_row, near_column, 0] - u, uv[photograph, near_row, near_column, 1] - v
        if abs(du) <= reach and abs(dv) <= reach:
            return du, dv
    if 0 <= far_row < uv.shape[1] and 0 <= far_column < uv.shape[2]:
        du, dv = u - uv[photograph, far_row, far_column, 0], v - uv[photograph, far_row, far_column, 1]
        if abs(du) <= reach and abs(dv) <= reach:
            return du, dv
    return _ZERO, _ZERO
