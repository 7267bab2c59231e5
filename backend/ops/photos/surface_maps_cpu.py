"""Loops over given UV maps: their slopes, and means of finer maps; described in backend/ops/photos/surface_maps.py.

Every row belongs to one thread, so that no byte depends on their number.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from backend.ops.kernel_threads import parallel_loop, run_in_threads

CHUNK = 4  # rows that a thread takes at a time


def slopes(uv, footprint, stretch, most_jump):
    """Footprint and stretch of a given UV map [H, W, 2] by differences, NaN where no neighbour is of the same chart.

    The smaller of the two one-sided differences is taken on each axis: a chart's border spoils one side only. most_jump: a
    change of u or v above it is never within a chart.
    """
    run_in_threads(_slope_rows, footprint.shape[0], uv, footprint, stretch, most_jump)


@njit(cache=True, nogil=True, error_model="numpy")
def _slope_rows(begin, end, uv, footprint, stretch, most_jump):
    for y in range(begin, end):
        for x in range(footprint.shape[1]):
            footprint[y, x] = stretch[y, x] = np.nan
            if np.isnan(uv[y, x, 0]):
                continue
            ux, vx = _smaller(uv, y, x, 0, 1)
            uy, vy = _smaller(uv, y, x, 1, 0)
            if not (max(abs(ux), abs(vx)) <= most_jump and max(abs(uy), abs(vy)) <= most_jump):
                continue
            area = abs(ux * vy - uy * vx)
            squares = ux * ux + vx * vx + uy * uy + vy * vy
            if area > 0:
                spread = np.sqrt(max(squares * squares - 4 * area * area, 0.0))
                footprint[y, x] = np.sqrt(area)
                stretch[y, x] = (squares + spread) / (2 * area)


@njit(cache=True)
def _smaller(uv, y, x, dy, dx):
    """The smaller of the differences to the next and from the previous pixel; infinite where neither is seen."""
    height, width = uv.shape[:2]
    best_u, best_v = np.inf, np.inf
    for side in (1, -1):
        b, a = y + side * dy, x + side * dx
        if b < 0 or b >= height or a < 0 or a >= width or np.isnan(uv[b, a, 0]):
            continue
        du, dv = side * (uv[b, a, 0] - uv[y, x, 0]), side * (uv[b, a, 1] - uv[y, x, 1])
        if abs(du) + abs(dv) < abs(best_u) + abs(best_v):
            best_u, best_v = du, dv
    return best_u, best_v


@parallel_loop
def reduce_maps(
    uv, depth, facing, footprint, stretch, times, same_chart, out_uv, out_depth, out_facing, out_footprint, out_stretch
):
    """Means of times x times pixels of drawn maps; NaN where a block sees nothing somewhere, or two charts."""
    rows = out_depth.shape[0]
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        _reduce_rows(
            chunk * CHUNK, min((chunk + 1) * CHUNK, rows), uv, depth, facing, footprint, stretch, times, same_chart,
            out_uv, out_depth, out_facing, out_footprint, out_stretch,
        )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _reduce_rows(
    begin, end, uv, depth, facing, footprint, stretch, times, same_chart, out_uv, out_depth, out_facing, out_footprint,
    out_stretch,
):  # fmt: skip
    columns = out_depth.shape[1]
    count = np.float32(times * times)
    for i in range(begin, end):
        for j in range(columns):
            low_u, low_v, high_u, high_v = np.inf, np.inf, -np.inf, -np.inf
            u, v, z, cosine, size, longer, reach = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for y in range(i * times, (i + 1) * times):
                for x in range(j * times, (j + 1) * times):
                    low_u, high_u = min(low_u, uv[y, x, 0]), max(high_u, uv[y, x, 0])
                    low_v, high_v = min(low_v, uv[y, x, 1]), max(high_v, uv[y, x, 1])
                    u += uv[y, x, 0]
                    v += uv[y, x, 1]
                    z += depth[y, x]
                    cosine += facing[y, x]
                    size += footprint[y, x]
                    longer += stretch[y, x]
                    reach = max(reach, footprint[y, x] * np.sqrt(stretch[y, x]))
            out_depth[i, j], out_facing[i, j] = z / count, cosine / count
            if not max(high_u - low_u, high_v - low_v) <= same_chart * reach * (times - 1) or np.isnan(u + size):
                out_uv[i, j, 0] = out_uv[i, j, 1] = out_footprint[i, j] = out_stretch[i, j] = np.nan
                continue
            out_uv[i, j, 0], out_uv[i, j, 1] = u / count, v / count
            out_footprint[i, j], out_stretch[i, j] = size / count * times, longer / count
