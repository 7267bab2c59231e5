"""Triangles before a camera, up to BATCH at a time: corners, edge functions, the plane of 1/z and pixel bounds, in float64.

A batch is one flat array of rows of BATCH numbers, a triangle a column. Rows lie a constant distance apart in it, which is how
LLVM sees that they do not overlap and makes vectors; the operations are those of one triangle after the other, in their order.
The mathematics is described in backend/ops/surface/rasterization.py. Nothing here knows of pixels' owners.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.simd import peek, poke

BATCH = 64
RECORDED = 11  # rows of RECORD
# The first nine rows: x y z of three corners, in the world, then in camera space
EDGES = 9 * BATCH  # a b c of three edge functions a x + b y + c over pixels, above 0 inside
RECORD = 18 * BATCH  # 1/z, u/z and v/z as a x + b y + c each; facing = [9] / (z |d|); pixel area = [10] z^3
DETERMINANT = 29 * BATCH  # 0 where the camera sees the triangle edge on
BOX = 30 * BATCH  # the columns left, right and rows top, bottom whose centres it may cover; none where left > right
SIZE = 41 * BATCH
_LOWEST = 34 * BATCH  # z
_UV = 35 * BATCH  # u v of three corners
_MARGIN_PX = 1e-6  # far above the rounding of a projected corner, far below a pixel


@njit(cache=True, error_model="numpy")
def take(mesh, occluders, members, batch):
    """Corners in the world and UVs of the triangles members (at most BATCH) into the batch's first columns.

    mesh, occluders: float32 [N, 3, 5], the latter counted on after the former.
    """
    own, others, count = mesh.reshape(mesh.size), occluders.reshape(occluders.size), mesh.shape[0]
    for j in range(members.size):
        index = np.int64(members[j])
        flat, base = (own, 15 * index) if index < count else (others, 15 * (index - count))
        for corner in range(3):
            for axis in range(3):
                value = np.float64(peek(flat, base + 5 * corner + axis))
                poke(batch, (3 * corner + axis) * BATCH + j, value)
            for channel in range(2):
                value = np.float64(peek(flat, base + 5 * corner + 3 + channel))
                poke(batch, _UV + (2 * corner + channel) * BATCH + j, value)


@njit(cache=True, error_model="numpy")
def count_broken(count, batch):
    """How many triangles just taken have a corner that is no finite number."""
    broken = 0
    for j in range(count):
        total = 0.0
        for row in range(9):
            total += peek(batch, row * BATCH + j) * 0.0  # NaN and infinity stay, everything else is 0
        broken += total != 0.0
    return broken


@njit(cache=True, error_model="numpy")
def place(pose, count, batch):
    """From the world into camera space. Every triangle rounds a shared corner alike, which is what keeps edges tight."""
    p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11 = pose
    for corner in range(3):
        own = batch[3 * corner * BATCH : 3 * (corner + 1) * BATCH]
        for j in range(count):
            x, y, z = peek(own, j), peek(own, BATCH + j), peek(own, 2 * BATCH + j)
            poke(own, j, p0 * x + p1 * y + p2 * z + p9)
            poke(own, BATCH + j, p3 * x + p4 * y + p5 * z + p10)
            poke(own, 2 * BATCH + j, p6 * x + p7 * y + p8 * z + p11)


@njit(cache=True, error_model="numpy")
def bound(lens, near, width, height, count, batch):
    """BOX, of the part of each triangle that is at least near in front of the camera, within width x height pixels."""
    fx, fy, cx, cy = lens[0], lens[1], lens[2], lens[3]
    for j in range(count):
        z0, z1, z2 = peek(batch, 2 * BATCH + j), peek(batch, 5 * BATCH + j), peek(batch, 8 * BATCH + j)
        poke(batch, _LOWEST + j, _lower(z0, _lower(z1, z2)))
        i0, i1, i2 = 1.0 / z0, 1.0 / z1, 1.0 / z2
        a = fx * peek(batch, j) * i0 + cx
        b = fx * peek(batch, 3 * BATCH + j) * i1 + cx
        c = fx * peek(batch, 6 * BATCH + j) * i2 + cx
        poke(batch, BOX + j, _lower(a, _lower(b, c)))
        poke(batch, BOX + BATCH + j, _higher(a, _higher(b, c)))
        a = fy * peek(batch, BATCH + j) * i0 + cy
        b = fy * peek(batch, 4 * BATCH + j) * i1 + cy
        c = fy * peek(batch, 7 * BATCH + j) * i2 + cy
        poke(batch, BOX + 2 * BATCH + j, _lower(a, _lower(b, c)))
        poke(batch, BOX + 3 * BATCH + j, _higher(a, _higher(b, c)))
    for j in range(count):
        if not peek(batch, _LOWEST + j) >= near:
            _bound_cut(lens, near, j, batch)
    right, bottom = np.float64(width), np.float64(height)
    for j in range(count):
        poke(batch, BOX + j, _first_centre(peek(batch, BOX + j), right))
        poke(batch, BOX + BATCH + j, _last_centre(peek(batch, BOX + BATCH + j), right))
        poke(batch, BOX + 2 * BATCH + j, _first_centre(peek(batch, BOX + 2 * BATCH + j), bottom))
        poke(batch, BOX + 3 * BATCH + j, _last_centre(peek(batch, BOX + 3 * BATCH + j), bottom))


@njit(cache=True, inline="always", error_model="numpy")
def _lower(a, b):
    return a if a < b else b


@njit(cache=True, inline="always", error_model="numpy")
def _higher(a, b):
    return a if a > b else b


@njit(cache=True, inline="always", error_model="numpy")
def _first_centre(low, end):
    """The first pixel whose centre may lie at or beyond low, within 0..end."""
    return _lower(_higher(np.ceil(low - 0.5 - _MARGIN_PX), 0.0), end)


@njit(cache=True, inline="always", error_model="numpy")
def _last_centre(high, end):
    """The last pixel whose centre may lie at or before high, within -1..end - 1."""
    return _lower(_higher(np.floor(high - 0.5 + _MARGIN_PX), -1.0), end - 1.0)


@njit(cache=True, error_model="numpy")
def _bound_cut(lens, near, j, batch):
    """BOX, not yet in whole pixels, of a triangle that reaches behind near; left is infinite where all of it does."""
    low_x, high_x, low_y, high_y = np.inf, -np.inf, np.inf, -np.inf
    x0, y0, z0 = batch[6 * BATCH + j], batch[7 * BATCH + j], batch[8 * BATCH + j]
    for row in range(0, 9 * BATCH, 3 * BATCH):
        x1, y1, z1 = batch[row + j], batch[row + BATCH + j], batch[row + 2 * BATCH + j]
        if z1 >= near:
            px, py = _project(x1, y1, z1, lens)
            low_x, high_x, low_y, high_y = min(low_x, px), max(high_x, px), min(low_y, py), max(high_y, py)
        if (z0 < near) != (z1 < near):  # the edge pierces the near plane
            share = (near - z0) / (z1 - z0)
            px, py = _project(x0 + share * (x1 - x0), y0 + share * (y1 - y0), near, lens)
            low_x, high_x, low_y, high_y = min(low_x, px), max(high_x, px), min(low_y, py), max(high_y, py)
        x0, y0, z0 = x1, y1, z1
    batch[BOX + j], batch[BOX + BATCH + j] = low_x, high_x
    batch[BOX + 2 * BATCH + j], batch[BOX + 3 * BATCH + j] = low_y, high_y


@njit(cache=True, error_model="numpy")
def _project(x, y, z, lens):
    inverse = 1.0 / z
    return lens[0] * x * inverse + lens[2], lens[1] * y * inverse + lens[3]


@njit(cache=True, error_model="numpy")
def set_up(lens, members, meshed, batch):
    """EDGES, RECORD and DETERMINANT from the corners and UVs. Members from meshed on are occluders: no UV, no facing."""
    count = members.size
    _set_up_planes(lens, count, batch)
    for edge in range(3):  # the one that faces this corner
        after, before = 3 * ((edge + 1) % 3) * BATCH, 3 * ((edge + 2) % 3) * BATCH
        _set_up_edge(lens, count, after, before, EDGES + 3 * edge * BATCH, batch)
    for channel in range(2):
        _set_up_uv(count, _UV + channel * BATCH, RECORD + 3 * (channel + 1) * BATCH, batch)
    for j in range(count):
        if members[j] >= meshed:
            for row in range(3, RECORDED):
                poke(batch, RECORD + row * BATCH + j, np.nan)


@njit(cache=True, error_model="numpy")
def _set_up_planes(lens, count, batch):
    fx, fy, cx, cy, step_x, step_y = lens
    for j in range(count):
        x0, y0, z0 = peek(batch, j), peek(batch, BATCH + j), peek(batch, 2 * BATCH + j)
        ax, ay = peek(batch, 3 * BATCH + j) - x0, peek(batch, 4 * BATCH + j) - y0
        bx, by = peek(batch, 6 * BATCH + j) - x0, peek(batch, 7 * BATCH + j) - y0
        az, bz = peek(batch, 5 * BATCH + j) - z0, peek(batch, 8 * BATCH + j) - z0
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        determinant = x0 * nx + y0 * ny + z0 * nz
        inverse = 1.0 / determinant
        a, b = nx * step_x * inverse, ny * step_y * inverse
        poke(batch, RECORD + j, a)
        poke(batch, RECORD + BATCH + j, b)
        poke(batch, RECORD + 2 * BATCH + j, nz * inverse - (a * cx + b * cy))
        poke(batch, DETERMINANT + j, determinant)
        poke(batch, RECORD + 9 * BATCH + j, -determinant / np.sqrt(nx * nx + ny * ny + nz * nz))
        u0, v0 = peek(batch, _UV + j), peek(batch, _UV + BATCH + j)
        u1, v1 = peek(batch, _UV + 2 * BATCH + j) - u0, peek(batch, _UV + 3 * BATCH + j) - v0
        u2, v2 = peek(batch, _UV + 4 * BATCH + j) - u0, peek(batch, _UV + 5 * BATCH + j) - v0
        poke(batch, RECORD + 10 * BATCH + j, abs((u1 * v2 - u2 * v1) / (determinant * fx * fy)))


@njit(cache=True, error_model="numpy")
def _set_up_edge(lens, count, start, end, edge, batch):
    """The edge function from one corner to another: swapping the two, or the sign, negates each number exactly."""
    cx, cy, step_x, step_y = lens[2], lens[3], lens[4], lens[5]
    for j in range(count):
        xa, ya, za = peek(batch, start + j), peek(batch, start + BATCH + j), peek(batch, start + 2 * BATCH + j)
        xb, yb, zb = peek(batch, end + j), peek(batch, end + BATCH + j), peek(batch, end + 2 * BATCH + j)
        sign = 1.0 if peek(batch, DETERMINANT + j) > 0.0 else -1.0
        a = sign * ((ya * zb - yb * za) * step_x)
        b = sign * ((za * xb - zb * xa) * step_y)
        poke(batch, edge + j, a)
        poke(batch, edge + BATCH + j, b)
        poke(batch, edge + 2 * BATCH + j, sign * (xa * yb - xb * ya) - (a * cx + b * cy))


@njit(cache=True, error_model="numpy")
def _set_up_uv(count, uv, plane, batch):
    """u/z or v/z."""
    for term in range(0, 3 * BATCH, BATCH):
        for j in range(count):
            start, inverse = peek(batch, uv + j), 1.0 / abs(peek(batch, DETERMINANT + j))
            to_1 = (peek(batch, uv + 2 * BATCH + j) - start) * inverse
            to_2 = (peek(batch, uv + 4 * BATCH + j) - start) * inverse
            edge_1, edge_2 = peek(batch, EDGES + 3 * BATCH + term + j), peek(batch, EDGES + 6 * BATCH + term + j)
            value = start * peek(batch, RECORD + term + j) + to_1 * edge_1 + to_2 * edge_2
            poke(batch, plane + term + j, value)
