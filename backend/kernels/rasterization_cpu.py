"""Fast twin, in numba, of the surface maps in backend/ops/rasterization_plain.py: the same float64 operations, strip by strip.

A photograph is cut into strips of BAND rows. `row_ranges` and `bin_triangles` list the triangles that may touch each strip, in
the order of the mesh; `draw_strips` gives every strip to one thread, which z-buffers its triangles in that order and only then
computes what each pixel sees, once. So no pixel depends on the number of threads, on the strip's height or on the rows asked
for. The mathematics is told in backend/ops/rasterization.py. Nothing here allocates more than a strip's worth a thread.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from backend.kernels.surface_shading_cpu import shade

BAND = 16  # rows of a strip: its depths and owners (12 bytes a pixel) stay in a core's second cache up to 5000 columns
RECORD = 11  # numbers a triangle: 1/z, u/z and v/z as a x + b y + c each; facing = [9] / (z |d|); pixel area = [10] z^3
CHUNK = 1024  # triangles that a thread takes at a time
_FEW = 8  # columns that are sooner tried one by one than found by quotients
_MARGIN_PX = 1e-6  # far above the rounding of a projected corner, far below a pixel


@njit(cache=True, error_model="numpy")
def _place(triangle, pose, corners):
    """The corners [3, 3] in camera space. Every triangle rounds a shared corner alike, which is what keeps edges tight."""
    for corner in range(3):
        x, y, z = np.float64(triangle[corner, 0]), np.float64(triangle[corner, 1]), np.float64(triangle[corner, 2])
        for axis in range(3):
            corners[corner, axis] = (
                pose[3 * axis] * x + pose[3 * axis + 1] * y + pose[3 * axis + 2] * z + pose[9 + axis]
            )


@njit(cache=True, error_model="numpy")
def _widen(box, x, y, z, lens):
    inverse = 1.0 / z
    px, py = lens[0] * x * inverse + lens[2], lens[1] * y * inverse + lens[3]
    box[0], box[1] = min(box[0], px), max(box[1], px)
    box[2], box[3] = min(box[2], py), max(box[3], py)


@njit(cache=True, error_model="numpy")
def _bounds(corners, lens, near, box):
    """Pixel bounds x0, x1, y0, y1 of the part of a triangle at least near in front of the camera; False if there is none."""
    box[0], box[1], box[2], box[3] = np.inf, -np.inf, np.inf, -np.inf
    x0, y0, z0 = corners[2, 0], corners[2, 1], corners[2, 2]
    for corner in range(3):
        x1, y1, z1 = corners[corner, 0], corners[corner, 1], corners[corner, 2]
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

    triangles: float32 [N, 3, 5]. pose: float64 [12], the rotation by rows, then the translation. lens: float64 [6],
    fx fy cx cy 1/fx 1/fy. Returns how many triangles have a corner that is no finite number.
    """
    count, broken = triangles.shape[0], 0
    for chunk in prange((count + CHUNK - 1) // CHUNK):
        box, corners = np.empty(4), np.empty((3, 3))
        for index in range(chunk * CHUNK, min((chunk + 1) * CHUNK, count)):
            first[index], last[index] = 1, 0
            _place(triangles[index], pose, corners)
            total = np.float64(0.0)
            for corner in range(3):
                for axis in range(3):
                    total += triangles[index, corner, axis] * 0.0  # NaN and infinity stay, everything else is 0
            if total != 0.0:
                broken += 1
            elif _bounds(corners, lens, near, box):
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
    a = sign * ((ya * zb - yb * za) * lens[4])
    b = sign * ((za * xb - zb * xa) * lens[5])
    edges[row, 0], edges[row, 1] = a, b
    edges[row, 2] = sign * (xa * yb - xb * ya) - (a * lens[2] + b * lens[3])


@njit(cache=True, error_model="numpy")
def _set_up(corners, lens, edges, record):
    """Edge functions [3, 3] and the plane of 1/z of a triangle; its determinant, 0 if the camera sees it edge on."""
    x0, y0, z0 = corners[0, 0], corners[0, 1], corners[0, 2]
    x1, y1, z1 = corners[1, 0], corners[1, 1], corners[1, 2]
    x2, y2, z2 = corners[2, 0], corners[2, 1], corners[2, 2]
    ax, ay, az, bx, by, bz = x1 - x0, y1 - y0, z1 - z0, x2 - x0, y2 - y0, z2 - z0
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    determinant = x0 * nx + y0 * ny + z0 * nz
    if determinant != 0.0:
        sign = 1.0 if determinant > 0.0 else -1.0
        _edge(x1, y1, z1, x2, y2, z2, lens, sign, edges, 0)
        _edge(x2, y2, z2, x0, y0, z0, lens, sign, edges, 1)
        _edge(x0, y0, z0, x1, y1, z1, lens, sign, edges, 2)
        inverse = 1.0 / determinant
        a, b = nx * lens[4] * inverse, ny * lens[5] * inverse
        record[0], record[1], record[2] = a, b, nz * inverse - (a * lens[2] + b * lens[3])
        record[9] = nx * nx + ny * ny + nz * nz  # until _set_up_uv
    return determinant


@njit(cache=True, error_model="numpy")
def _set_up_uv(triangle, has_uv, determinant, lens, edges, record):
    """The rest of the record [RECORD] of a triangle that has won a pixel; an occluder gets NaN."""
    u1, v1 = np.float64(triangle[1, 3]) - triangle[0, 3], np.float64(triangle[1, 4]) - triangle[0, 4]
    u2, v2 = np.float64(triangle[2, 3]) - triangle[0, 3], np.float64(triangle[2, 4]) - triangle[0, 4]
    record[9] = -determinant / np.sqrt(record[9])
    record[10] = abs((u1 * v2 - u2 * v1) / (determinant * lens[0] * lens[1]))
    inverse = 1.0 / abs(determinant)
    for channel in range(2):
        start = np.float64(triangle[0, 3 + channel]) if has_uv else np.nan
        to_1 = (triangle[1, 3 + channel] - start) * inverse
        to_2 = (triangle[2, 3 + channel] - start) * inverse
        for term in range(3):
            record[3 + 3 * channel + term] = start * record[term] + to_1 * edges[1, term] + to_2 * edges[2, term]
    if not has_uv:
        record[9], record[10] = np.nan, np.nan


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
def _claim(nearness, owner, begin, a, rest, nearest, number):
    """Pixels of one row, from column begin on, go to the triangle where it is nearer than what they have; at equal depth the
    first one stays. How many it won. (Loops count from 0 over slices: only so does LLVM see that no index is negative.)"""
    won = 0
    for index in range(nearness.size):
        value = a * (np.float64(begin + index) + 0.5) + rest
        held = nearness[index]
        wins = (value > held) & (value <= nearest)
        nearness[index] = value if wins else held
        owner[index] = number if wins else owner[index]
        won += wins
    return won


@njit(cache=True, error_model="numpy")
def _fill(box, near, top, bottom, edges, record, number, nearness, owner):
    """Z-buffer one triangle into the rows top..bottom - 1 of a strip; how many pixels it won."""
    width, won, nearest = nearness.shape[1], 0, 1.0 / near
    left, right = _first_centre(box[0], width), _last_centre(box[1], width)
    first, last = max(_first_centre(box[2], bottom), top), _last_centre(box[3], bottom)
    a0, a1, a2 = edges[0, 0], edges[1, 0], edges[2, 0]
    b0, b1, b2 = edges[0, 1], edges[1, 1], edges[2, 1]
    for row in range(first, last + 1):
        y = row + 0.5
        rest0, rest1, rest2 = b0 * y + edges[0, 2], b1 * y + edges[1, 2], b2 * y + edges[2, 2]
        rest = record[1] * y + record[2]
        if right - left < _FEW:
            for column in range(left, right + 1):
                x = column + 0.5
                least = min(a0 * x + rest0, min(a1 * x + rest1, a2 * x + rest2))
                if least > 0.0 or (
                    least == 0.0
                    and _covers(a0, b0, rest0, column)
                    and _covers(a1, b1, rest1, column)
                    and _covers(a2, b2, rest2, column)
                ):
                    value = record[0] * x + rest
                    if value > nearness[row - top, column] and value <= nearest:
                        nearness[row - top, column], owner[row - top, column] = value, number
                        won += 1
            continue
        begin, end = _trim(a0, b0, rest0, left, right)
        if begin <= end:
            begin, end = _trim(a1, b1, rest1, begin, end)
        if begin <= end:
            begin, end = _trim(a2, b2, rest2, begin, end)
        if begin <= end:
            run = slice(begin, end + 1)
            won += _claim(nearness[row - top, run], owner[row - top, run], begin, record[0], rest, nearest, number)
    return won


@njit(cache=True, error_model="numpy")
def _draw_strip(
    mesh, occluders, pose, lens, near, members, top, bottom, window, uv, depth, facing, footprint, stretch, seen
):
    width, count = depth.shape[1], mesh.shape[0]
    nearness, owner = np.zeros((bottom - top, width)), np.full((bottom - top, width), -1, np.int32)
    records, numbers = np.empty((members.size, RECORD)), np.empty(members.size, np.int32)
    corners, edges, box, number = np.empty((3, 3)), np.empty((3, 3)), np.empty(4), 0
    for index in members:
        triangle = mesh[index] if index < count else occluders[index - count]
        _place(triangle, pose, corners)
        determinant = _set_up(corners, lens, edges, records[number])
        if determinant == 0.0 or not _bounds(corners, lens, near, box):
            continue
        if _fill(box, near, top, bottom, edges, records[number], number, nearness, owner):
            _set_up_uv(triangle, index < count, determinant, lens, edges, records[number])
            numbers[number] = index
            number += 1
    for row in range(bottom - top):
        shade(
            top + row, owner[row], numbers, records, lens, window,
            uv[row].reshape(2 * width), depth[row], facing[row], footprint[row], stretch[row], seen[row], count,
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
