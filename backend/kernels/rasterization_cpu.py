"""Fast twin, in numba, of the surface maps in backend/ops/rasterization_plain.py: the same float64 operations, strip by strip.

A photograph is cut into strips of BAND rows. `row_ranges` and `bin_triangles` list the triangles that may touch each strip, in
the order of the mesh; `draw_strips` gives every strip to one thread, which z-buffers its triangles in that order and only then
computes what each pixel sees, once. So no pixel depends on the number of threads, on the strip's height or on the rows asked
for. The mathematics is told in backend/ops/rasterization.py. Nothing here allocates more than a strip's worth a thread.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

BAND = 16  # rows of a strip: its depths and owners (12 bytes a pixel) stay in a core's second cache up to 5000 columns
RECORD = 11  # numbers a triangle: 1/z, u/z and v/z as a x + b y + c each; facing = [9] / (z |d|); pixel area = [10] z^3
_MARGIN_PX = 1e-6  # far above the rounding of a projected corner, far below a pixel
_ZERO, _ONE, _FOUR, _INFINITE = np.float32(0.0), np.float32(1.0), np.float32(4.0), np.float32(np.inf)


@njit(cache=True, error_model="numpy")
def _corner(triangle, corner, pose):
    """A corner in camera space. Every triangle rounds a shared corner alike, which is what keeps edges tight."""
    x, y, z = np.float64(triangle[corner, 0]), np.float64(triangle[corner, 1]), np.float64(triangle[corner, 2])
    return (
        pose[0] * x + pose[1] * y + pose[2] * z + pose[9],
        pose[3] * x + pose[4] * y + pose[5] * z + pose[10],
        pose[6] * x + pose[7] * y + pose[8] * z + pose[11],
    )


@njit(cache=True, error_model="numpy")
def _widen(box, x, y, z, lens):
    px, py = lens[0] * x / z + lens[2], lens[1] * y / z + lens[3]
    box[0], box[1] = min(box[0], px), max(box[1], px)
    box[2], box[3] = min(box[2], py), max(box[3], py)


@njit(cache=True, error_model="numpy")
def _bounds(triangle, pose, lens, near, box):
    """Pixel bounds x0, x1, y0, y1 of the part of a triangle at least near in front of the camera; False if there is none."""
    box[0], box[1], box[2], box[3] = np.inf, -np.inf, np.inf, -np.inf
    x0, y0, z0 = _corner(triangle, 2, pose)
    for corner in range(3):
        x1, y1, z1 = _corner(triangle, corner, pose)
        if z1 >= near:
            _widen(box, x1, y1, z1, lens)
        if (z0 < near) != (z1 < near):  # the edge pierces the near plane
            share = (near - z0) / (z1 - z0)
            _widen(box, x0 + share * (x1 - x0), y0 + share * (y1 - y0), near, lens)
        x0, y0, z0 = x1, y1, z1
    return box[0] <= box[1]


@njit(cache=True, error_model="numpy")
def _first_centre(low, end):
    """The first pixel whose centre may lie at or beyond low, within 0..end."""
    return np.int64(min(max(np.ceil(low - 0.5 - _MARGIN_PX), 0.0), np.float64(end)))


@njit(cache=True, error_model="numpy")
def _last_centre(high, end):
    """The last pixel whose centre may lie at or before high, within -1..end - 1."""
    return np.int64(min(max(np.floor(high - 0.5 + _MARGIN_PX), -1.0), end - 1.0))


@njit(parallel=True, cache=True, error_model="numpy")
def row_ranges(triangles, pose, lens, near, width, height, first, last):
    """First and last strip (int32 [N]) that each triangle may touch; first > last where it touches no pixel centre.

    triangles: float32 [N, 3, 5]. pose: float64 [12], the rotation by rows, then the translation. lens: float64 [4],
    fx fy cx cy. Returns how many triangles have a corner that is no finite number.
    """
    broken = 0
    for index in prange(triangles.shape[0]):
        box = np.empty(4)
        first[index], last[index] = 1, 0
        total = np.float64(0.0)
        for corner in range(3):
            for axis in range(3):
                total += triangles[index, corner, axis] * 0.0  # NaN and infinity stay, everything else is 0
        if total != 0.0:
            broken += 1
        elif _bounds(triangles[index], pose, lens, near, box):
            top, bottom = _first_centre(box[2], height), _last_centre(box[3], height)
            if top <= bottom and _first_centre(box[0], width) <= _last_centre(box[1], width):
                first[index], last[index] = top // BAND, bottom // BAND
    return broken


@njit(cache=True, error_model="numpy")
def bin_triangles(first, last, strips):
    """The triangles of each strip: starts int64 [strips + 1] into members int32, the mesh's order kept in each strip."""
    starts = np.zeros(strips + 1, np.int64)
    for index in range(first.size):
        for strip in range(first[index], last[index] + 1):
            starts[strip + 1] += 1
    for strip in range(strips):
        starts[strip + 1] += starts[strip]
    members, cursor = np.empty(starts[strips], np.int32), starts.copy()
    for index in range(first.size):
        for strip in range(first[index], last[index] + 1):
            members[cursor[strip]] = index
            cursor[strip] += 1
    return starts, members


@njit(cache=True, error_model="numpy")
def _edge(xa, ya, za, xb, yb, zb, lens, sign, edges, row):
    """The edge function of a -> b over pixels: swapping a and b, or the sign, negates each number exactly."""
    a = sign * ((ya * zb - yb * za) / lens[0])
    b = sign * ((za * xb - zb * xa) / lens[1])
    edges[row, 0], edges[row, 1] = a, b
    edges[row, 2] = sign * (xa * yb - xb * ya) - (a * lens[2] + b * lens[3])


@njit(cache=True, error_model="numpy")
def _set_up(triangle, pose, lens, has_uv, edges, record):
    """Edge functions [3, 3] and the record [RECORD] of a triangle; False if the camera sees it edge on."""
    x0, y0, z0 = _corner(triangle, 0, pose)
    x1, y1, z1 = _corner(triangle, 1, pose)
    x2, y2, z2 = _corner(triangle, 2, pose)
    ax, ay, az, bx, by, bz = x1 - x0, y1 - y0, z1 - z0, x2 - x0, y2 - y0, z2 - z0
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    determinant = x0 * nx + y0 * ny + z0 * nz
    if determinant == 0.0:
        return False
    sign = 1.0 if determinant > 0.0 else -1.0
    _edge(x1, y1, z1, x2, y2, z2, lens, sign, edges, 0)
    _edge(x2, y2, z2, x0, y0, z0, lens, sign, edges, 1)
    _edge(x0, y0, z0, x1, y1, z1, lens, sign, edges, 2)
    size = abs(determinant)
    a, b = nx / lens[0] / determinant, ny / lens[1] / determinant
    record[0], record[1], record[2] = a, b, nz / determinant - (a * lens[2] + b * lens[3])
    u1, v1 = np.float64(triangle[1, 3]) - triangle[0, 3], np.float64(triangle[1, 4]) - triangle[0, 4]
    u2, v2 = np.float64(triangle[2, 3]) - triangle[0, 3], np.float64(triangle[2, 4]) - triangle[0, 4]
    record[10] = abs((u1 * v2 - u2 * v1) / (determinant * lens[0] * lens[1]))
    for channel in range(2):
        start = np.float64(triangle[0, 3 + channel]) if has_uv else np.nan
        to_1 = (triangle[1, 3 + channel] - start) / size
        to_2 = (triangle[2, 3 + channel] - start) / size
        for term in range(3):
            record[3 + 3 * channel + term] = start * record[term] + to_1 * edges[1, term] + to_2 * edges[2, term]
    record[9] = -determinant / np.sqrt(nx * nx + ny * ny + nz * nz) if has_uv else np.nan
    return True


@njit(cache=True, error_model="numpy")
def _covers(a, b, rest, column):
    """Whether an edge function a x + b y + c, with rest = b y + c, holds a pixel centre; on the edge one side of two does."""
    value = a * (column + 0.5) + rest
    return value > 0.0 or (value == 0.0 and (a > 0.0 or (a == 0.0 and b > 0.0)))


@njit(cache=True, error_model="numpy")
def _trim(a, b, rest, left, right):
    """The pixels left..right that an edge function covers. The quotient guesses; the function itself, monotone, decides."""
    if a == 0.0:
        return (left, right) if _covers(a, b, rest, left) else (left, left - 1)
    guess = min(max(-rest / a - 0.5, left - 1.0), right + 1.0)
    if a > 0.0:
        column = np.int64(np.ceil(guess))
        while column > left and _covers(a, b, rest, column - 1):
            column -= 1
        while column <= right and not (column >= left and _covers(a, b, rest, column)):
            column += 1
        return column, right
    column = np.int64(np.floor(guess))
    while column < right and _covers(a, b, rest, column + 1):
        column += 1
    while column >= left and not (column <= right and _covers(a, b, rest, column)):
        column -= 1
    return left, column


@njit(cache=True, error_model="numpy")
def _claim(nearness, owner, a, rest, left, right, nearest, number):
    """Pixels of one row go to the triangle where it is nearer than what they have; at equal depth the first one stays."""
    for column in range(left, right + 1):
        value = a * (column + 0.5) + rest
        held = nearness[column]
        wins = value > held and value <= nearest
        nearness[column] = value if wins else held
        owner[column] = number if wins else owner[column]


@njit(cache=True, error_model="numpy")
def _fill(triangle, pose, lens, near, top, bottom, edges, record, box, number, nearness, owner):
    """Z-buffer one triangle into the rows top..bottom - 1 of a strip."""
    height, width = bottom, nearness.shape[1]
    _bounds(triangle, pose, lens, near, box)
    left, right = _first_centre(box[0], width), _last_centre(box[1], width)
    for row in range(max(_first_centre(box[2], height), top), _last_centre(box[3], height) + 1):
        begin, end, y = left, right, row + 0.5
        for edge in range(3):
            if begin <= end:
                rest = edges[edge, 1] * y + edges[edge, 2]
                begin, end = _trim(edges[edge, 0], edges[edge, 1], rest, begin, end)
        if begin <= end:
            rest = record[1] * y + record[2]
            _claim(nearness[row - top], owner[row - top], record[0], rest, begin, end, 1.0 / near, number)


@njit(cache=True, error_model="numpy")
def _stretch(u_x, u_y, v_x, v_y, size):
    """Ratio of the singular values s1 >= s2 of [[u_x, u_y], [v_x, v_y]], all float32, with size = s1 s2.

    (s1 + s2)² and (s1 - s2)² are the two sums of squares below, so that no small difference of large numbers is taken.
    """
    p, q, r, s = u_x + v_y, u_y - v_x, u_x - v_y, u_y + v_x
    twice = np.sqrt(p * p + q * q) + np.sqrt(r * r + s * s)
    ratio = twice * twice / (_FOUR * size)
    return _INFINITE if size == _ZERO else (_ONE if ratio < _ONE else ratio)


@njit(cache=True, error_model="numpy")
def _shade_run(record, row, begin, end, lens, window, uv, depth, facing, footprint, stretch):
    """What the pixels begin..end - 1 of a row see of one triangle, into the row's arrays."""
    a, b, c = record[0], record[1], record[2]
    ua, ub, uc = record[3], record[4], record[5]
    va, vb, vc = record[6], record[7], record[8]
    y = row + 0.5
    rest, u_rest, v_rest = b * y + c, ub * y + uc, vb * y + vc
    dy = (y - lens[3]) / lens[1]
    for column in range(begin, end):
        x = column + 0.5
        z = 1.0 / (a * x + rest)
        u, v = (ua * x + u_rest) * z, (va * x + v_rest) * z
        depth[column] = z
        dx = (x - lens[2]) / lens[0]
        facing[column] = record[9] / (z * np.sqrt(dx * dx + dy * dy + 1.0))
        if not (window[0] <= u < window[2] and window[1] <= v < window[3]):
            u, v, z = np.nan, np.nan, np.nan  # and all that follows from them
        uv[column, 0], uv[column, 1] = u, v
        u_x, u_y = np.float32((ua - u * a) * z), np.float32((ub - u * b) * z)
        v_x, v_y = np.float32((va - v * a) * z), np.float32((vb - v * b) * z)
        size = np.float32(record[10] * z * z * z)
        footprint[column] = np.sqrt(size)
        stretch[column] = _stretch(u_x, u_y, v_x, v_y, size)


@njit(cache=True, error_model="numpy")
def _shade(row, owner, numbers, records, lens, window, uv, depth, facing, footprint, stretch, triangle, count):
    begin, width = 0, owner.size
    while begin < width:
        number, end = owner[begin], begin + 1
        while end < width and owner[end] == number:
            end += 1
        if number < 0:
            uv[begin:end] = np.nan
            depth[begin:end], facing[begin:end] = np.nan, np.nan
            footprint[begin:end], stretch[begin:end] = np.nan, np.nan
            triangle[begin:end] = -1
        else:
            _shade_run(records[number], row, begin, end, lens, window, uv, depth, facing, footprint, stretch)
            triangle[begin:end] = numbers[number] if numbers[number] < count else -1
        begin = end


@njit(cache=True, error_model="numpy")
def _draw_strip(
    mesh, occluders, pose, lens, near, members, top, bottom, window, uv, depth, facing, footprint, stretch, triangle
):
    width, count = depth.shape[1], mesh.shape[0]
    nearness, owner = np.zeros((bottom - top, width)), np.full((bottom - top, width), -1, np.int32)
    records, numbers = np.empty((members.size, RECORD)), np.empty(members.size, np.int32)
    edges, box, number = np.empty((3, 3)), np.empty(4), 0
    for index in members:
        seen = index < count
        corners = mesh[index] if seen else occluders[index - count]
        if _set_up(corners, pose, lens, seen, edges, records[number]):
            _fill(corners, pose, lens, near, top, bottom, edges, records[number], box, number, nearness, owner)
            numbers[number] = index
            number += 1
    for row in range(bottom - top):
        _shade(
            top + row, owner[row], numbers, records, lens, window,
            uv[row], depth[row], facing[row], footprint[row], stretch[row], triangle[row], count,
        )  # fmt: skip


@njit(parallel=True, cache=True, error_model="numpy")
def draw_strips(
    mesh, occluders, pose, lens, near, order, starts, members, window, first_row,
    uv, depth, facing, footprint, stretch, triangle,
):  # fmt: skip
    """Draw the strips of order (int64) that the outputs' rows, from first_row down, fall into.

    mesh, occluders: float32 [N, 3, 5]. starts, members: of bin_triangles, occluders counted on after the mesh. window:
    float64 [4], u0 v0 u1 v1. uv float32 [rows, W, 2], depth, facing, footprint, stretch float32 and triangle int32
    [rows, W] are overwritten.
    """
    for turn in prange(order.size):
        strip = order[turn]
        top, bottom = max(strip * BAND, first_row), min((strip + 1) * BAND, first_row + depth.shape[0])
        begin, end = top - first_row, bottom - first_row
        _draw_strip(
            mesh, occluders, pose, lens, near, members[starts[strip] : starts[strip + 1]], top, bottom, window,
            uv[begin:end], depth[begin:end], facing[begin:end], footprint[begin:end], stretch[begin:end],
            triangle[begin:end],
        )  # fmt: skip
