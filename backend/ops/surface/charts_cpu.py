"""UV triangles on the texel grid, on the CPU: which texels a chart touches, and how many triangles lie over a texel's centre.

Corners are whole numbers of 1/256 texel, so every test is exact: triangles that share an edge share every texel centre
out between them by the top-left rule, once each. Each strip of rows is one thread's, and takes its triangles in their
order: the bytes do not depend on the number of threads. These kernels know only arrays; backend/ops/surface/charts.py
says what they mean.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.surface.constants import SUBTEXELS

STRIP_ROWS = 64


@njit(cache=True, nogil=True)
def _sort_into_strips(corners, rows):
    """starts [strips + 1], members: the triangles of strip s, ascending, are members[starts[s] : starts[s + 1]]."""
    strips = (rows + STRIP_ROWS - 1) // STRIP_ROWS
    height = STRIP_ROWS * SUBTEXELS
    starts = np.zeros(strips + 1, np.int64)
    for n in range(corners.shape[0]):
        first, last = _strips_of(corners, n, height, strips)
        for s in range(first, last + 1):
            starts[s + 1] += 1
    for s in range(strips):
        starts[s + 1] += starts[s]
    members, filled = np.empty(starts[strips], np.int64), starts[:-1].copy()
    for n in range(corners.shape[0]):
        first, last = _strips_of(corners, n, height, strips)
        for s in range(first, last + 1):
            members[filled[s]] = n
            filled[s] += 1
    return starts, members


@njit(inline="always")
def _strips_of(corners, n, height, strips):
    """First and last strip that triangle n reaches; last < first where it reaches none."""
    low = min(corners[n, 0, 1], corners[n, 1, 1], corners[n, 2, 1])
    high = max(corners[n, 0, 1], corners[n, 1, 1], corners[n, 2, 1])
    return max(low // height, 0), min(high // height, strips - 1)


@njit(inline="always")
def _turned(corners, n):
    """The corners x0 y0 x1 y1 x2 y2 in the order that makes the edge functions positive inside, and twice the area."""
    x0, y0 = corners[n, 0, 0], corners[n, 0, 1]
    x1, y1 = corners[n, 1, 0], corners[n, 1, 1]
    x2, y2 = corners[n, 2, 0], corners[n, 2, 1]
    area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
    if area < 0:
        return x0, y0, x2, y2, x1, y1, -area
    return x0, y0, x1, y1, x2, y2, area


@njit(inline="always")
def _owns_edge(dx, dy):
    """Whether a centre on this edge (direction, y downwards, inside to its right) is the triangle's: the top-left rule."""
    return dy < 0 or (dy == 0 and dx > 0)


@njit(inline="always")
def _at(ax, ay, bx, by, x, y):
    """Edge function of a -> b at (x, y): positive inside."""
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax)


@njit(inline="always")
def _covers(x0, y0, x1, y1, x2, y2, x, y):
    """Whether the triangle has the point (x, y), its own edges by the top-left rule."""
    e0, e1, e2 = _at(x0, y0, x1, y1, x, y), _at(x1, y1, x2, y2, x, y), _at(x2, y2, x0, y0, x, y)
    return (
        (e0 > 0 or (e0 == 0 and _owns_edge(x1 - x0, y1 - y0)))
        and (e1 > 0 or (e1 == 0 and _owns_edge(x2 - x1, y2 - y1)))
        and (e2 > 0 or (e2 == 0 and _owns_edge(x0 - x2, y0 - y2)))
    )


@njit(inline="always")
def _most(ax, ay, bx, by, left, top):
    """The largest value of the edge function of a -> b on the texel whose corner is (left, top)."""
    x = left if by > ay else left + SUBTEXELS
    y = top + SUBTEXELS if bx > ax else top
    return _at(ax, ay, bx, by, x, y)


def cover_counts(corners, rows, columns):
    """uint8 [rows, columns]: triangles over each texel's centre, 255 and more as 255. corners int64 [N, 3, 2]: x, y in
    1/256 texel, y downwards."""
    counts = np.zeros((rows, columns), np.uint8)
    starts, members = _sort_into_strips(corners, rows)
    run_in_threads(_count_in_strips, starts.size - 1, corners, starts, members, counts)
    return counts


@njit(cache=True, nogil=True, error_model="numpy")
def _count_in_strips(begin, end, corners, starts, members, counts):
    rows, columns = counts.shape
    half = SUBTEXELS // 2
    for s in range(begin, end):
        for m in range(starts[s], starts[s + 1]):
            x0, y0, x1, y1, x2, y2, area = _turned(corners, members[m])
            if area == 0:
                continue
            top = max(min(y0, y1, y2) // SUBTEXELS, s * STRIP_ROWS)
            bottom = min(max(y0, y1, y2) // SUBTEXELS, (s + 1) * STRIP_ROWS - 1, rows - 1)
            left, right = max(min(x0, x1, x2) // SUBTEXELS, 0), min(max(x0, x1, x2) // SUBTEXELS, columns - 1)
            for i in range(top, bottom + 1):
                for j in range(left, right + 1):
                    inside = _covers(x0, y0, x1, y1, x2, y2, j * SUBTEXELS + half, i * SUBTEXELS + half)
                    if inside and counts[i, j] < 255:
                        counts[i, j] += 1


def chart_map(corners, numbers, rows, columns):
    """int32 [rows, columns]: the chart of each texel, 0 where no triangle has a share of it.

    corners int64 [N, 3, 2] as in cover_counts; numbers int32 [N], the triangles' charts, 1 and up. A texel goes to the
    chart over its centre, else to the first that touches it.
    """
    charts = np.zeros((rows, columns), np.int32)
    starts, members = _sort_into_strips(corners, rows)
    run_in_threads(_map_strips, starts.size - 1, corners, numbers, starts, members, charts)
    return charts


@njit(cache=True, nogil=True, error_model="numpy")
def _map_strips(begin, end, corners, numbers, starts, members, charts):
    rows, columns = charts.shape
    half = SUBTEXELS // 2
    for s in range(begin, end):
        for by_touch in range(2):
            for m in range(starts[s], starts[s + 1]):
                n = members[m]
                x0, y0, x1, y1, x2, y2, area = _turned(corners, n)
                if area == 0:
                    continue
                top = max(min(y0, y1, y2) // SUBTEXELS, s * STRIP_ROWS)
                bottom = min((max(y0, y1, y2) - 1) // SUBTEXELS, (s + 1) * STRIP_ROWS - 1, rows - 1)
                left = max(min(x0, x1, x2) // SUBTEXELS, 0)
                right = min((max(x0, x1, x2) - 1) // SUBTEXELS, columns - 1)
                for i in range(top, bottom + 1):
                    for j in range(left, right + 1):
                        if charts[i, j] != 0:
                            continue
                        x, y = j * SUBTEXELS, i * SUBTEXELS
                        if by_touch:
                            inside = (
                                _most(x0, y0, x1, y1, x, y) > 0
                                and _most(x1, y1, x2, y2, x, y) > 0
                                and _most(x2, y2, x0, y0, x, y) > 0
                            )
                        else:
                            inside = _covers(x0, y0, x1, y1, x2, y2, x + half, y + half)
                        if inside:
                            charts[i, j] = numbers[n]
