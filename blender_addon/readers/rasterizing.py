"""Triangles seen straight from above, exact at sample points: which is highest there, and how high. NumPy only, no
bpy.

Each triangle is cut into rows and each row into a run of samples between two edges, all triangles of a batch at
once, so that no sample outside a triangle is ever looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

REACH = 1e-4  # a sample this far outside an edge, in samples, is on it: vertices are float32
_TRIANGLES_A_BATCH = 1 << 18
_SAMPLES_A_BATCH = 1 << 21


def highest(points: np.ndarray, triangles: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Height of the topmost surface at each sample; NaN where there is none.

    points: float64 [V, 3], x in samples from the left, y in samples from the top (sample (r, c) is at x = c, y =
    r), z any unit. triangles: int [T, 3] of points; triangles that stand on edge are seen as nothing. shape: rows,
    columns. Returns float64 [H, W].
    """
    depth = np.full(shape[0] * shape[1], -np.inf)
    for where, z, _ in _samples(points, triangles, shape):
        np.maximum.at(depth, where, z)
    depth[depth == -np.inf] = np.nan
    return depth.reshape(shape)


def topmost(points: np.ndarray, triangles: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Which triangle is topmost at each sample, int64 [H, W]; -1 where there is none. Of equals the last one counts."""
    depth = np.full(shape[0] * shape[1], -np.inf)
    owner = np.full(shape[0] * shape[1], -1, np.int64)
    for where, z, triangle in _samples(points, triangles, shape):
        np.maximum.at(depth, where, z)
        seen = z >= depth[where]
        owner[where[seen]] = triangle[seen]
    return owner.reshape(shape)


def _samples(
    points: np.ndarray, triangles: np.ndarray, shape: tuple[int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Flat sample number, height and triangle number of every sample in every triangle, in batches of bounded size."""
    for first in range(0, len(triangles), _TRIANGLES_A_BATCH):
        corners, near = _with_samples(points, triangles[first : first + _TRIANGLES_A_BATCH])
        kept, edges, plane = _set_up(corners)
        row, which, left, right = _runs(corners[kept], edges, shape)
        length = right - left + 1
        ends = np.cumsum(length)
        start = 0
        while start < len(row):
            stop = max(start + 1, int(np.searchsorted(ends, (ends[start - 1] if start else 0) + _SAMPLES_A_BATCH)))
            part = slice(start, stop)
            column = _count_up(left[part], length[part])
            of = np.repeat(which[part], length[part])
            rows = np.repeat(row[part], length[part])
            z = plane[of, 0] * column + plane[of, 1] * rows + plane[of, 2]
            yield rows * shape[1] + column, z, first + near[kept[of]]
            start = stop


def _with_samples(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners [T, 3, 3] of the triangles whose bounds hold a sample at all, and their numbers: of a fine mesh seen
    coarsely, few.
    """
    near = np.arange(len(triangles))
    for axis in (1, 0):
        one, other, third = points[:, axis][
            triangles[near].T
        ]  # three long rows: a minimum over an axis of 3 is ten times slower
        low, high = np.minimum(np.minimum(one, other), third), np.maximum(np.maximum(one, other), third)
        near = near[np.ceil(low - REACH) <= np.floor(high + REACH)]
    return points[triangles[near]], near


def _set_up(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles with an area seen from above; their edges as [T, 3, 3] a, b, c with a x + b y + c >= 0 inside (in
    samples from the edge, REACH included), and their planes as [T, 3] with z = p x + q y + r.
    """
    x, y, z = corners[..., 0], corners[..., 1], corners[..., 2]
    double_area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    kept = np.flatnonzero(np.abs(double_area) > 1e-9)
    x, y, z, double_area = x[kept], y[kept], z[kept], double_area[kept]
    following = [1, 2, 0]
    dx, dy = x[:, following] - x, y[:, following] - y
    towards_inside = np.sign(double_area)[:, None] / np.hypot(dx, dy)
    edges = np.stack([-dy * towards_inside, dx * towards_inside, (dy * x - dx * y) * towards_inside + REACH], axis=-1)
    # from the first corner, so that a far origin costs no digits
    p = ((z[:, 1] - z[:, 0]) * (y[:, 2] - y[:, 0]) - (z[:, 2] - z[:, 0]) * (y[:, 1] - y[:, 0])) / double_area
    q = ((z[:, 2] - z[:, 0]) * (x[:, 1] - x[:, 0]) - (z[:, 1] - z[:, 0]) * (x[:, 2] - x[:, 0])) / double_area
    plane = np.stack([p, q, z[:, 0] - p * x[:, 0] - q * y[:, 0]], axis=-1)
    return kept, edges, plane


def _runs(
    corners: np.ndarray, edges: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each row of each triangle that has samples: row, triangle, first and last column."""
    low, high = corners[..., :2].min(axis=1) - REACH, corners[..., :2].max(axis=1) + REACH
    top = np.maximum(np.ceil(low[:, 1]), 0).astype(np.int64)
    bottom = np.minimum(np.floor(high[:, 1]), shape[0] - 1).astype(np.int64)
    count = np.maximum(bottom - top + 1, 0)
    which = np.repeat(np.arange(len(corners)), count)
    row = _count_up(top, count)
    left, right = low[which, 0], high[which, 0]
    outside = np.zeros(len(row), bool)
    for number in range(3):
        a, b, c = (edges[which, number, part] for part in range(3))
        rest = b * row + c
        level = np.abs(a) < 1e-12
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = -rest / a
        left = np.where(~level & (a > 0), np.maximum(left, crossing), left)
        right = np.where(~level & (a < 0), np.minimum(right, crossing), right)
        outside |= level & (rest < 0)
    first = np.maximum(np.ceil(left), 0).astype(np.int64)
    last = np.minimum(np.floor(right), shape[1] - 1).astype(np.int64)
    seen = np.flatnonzero((first <= last) & ~outside)
    return row[seen], which[seen], first[seen], last[seen]


def _count_up(start: np.ndarray, count: np.ndarray) -> np.ndarray:
    """start[0], start[0] + 1 ... (count[0] numbers), start[1] ..."""
    total = int(count.sum())
    offset = np.repeat(np.cumsum(count) - count, count)
    return np.arange(total) - offset + np.repeat(start, count)
