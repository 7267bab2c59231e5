"""What the pixels of a row see of the triangles that own them: the second half of backend/ops/surface/rasterization_cpu.py.

A triangle comes as its record of 11 numbers: 1/z, u/z and v/z as a x + b y + c each, then facing * z |d|, then the area in UV
that a pixel covers, over z^3. Loops count from 0 over slices, and few outputs share a loop: only so does LLVM make vectors.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.simd import peek, poke
from backend.ops.surface.triangle_setup_cpu import RECORDED

LONG = 8  # pixels of one owner that are sooner computed by themselves
MIXED = 64  # pixels of short runs that are computed together

_ZERO, _ONE, _FOUR, _INFINITE = np.float32(0.0), np.float32(1.0), np.float32(4.0), np.float32(np.inf)


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
def _see(record, row, begin, lens, uv, depth, facing):
    """Where the pixels of a row, from column begin on, see one triangle. Apart from _measure, for LLVM gives up on vectors
    where more than a few outputs might overlap."""
    a, rest = record[0], record[1] * (row + 0.5) + record[2]
    ua, u_rest = record[3], record[4] * (row + 0.5) + record[5]
    va, v_rest = record[6], record[7] * (row + 0.5) + record[8]
    scale, fx, cx = record[9], lens[0], lens[2]
    dy = (row + 0.5 - lens[3]) / lens[1]
    dy_dy = dy * dy
    for index in range(depth.size):
        x = np.float64(begin + index) + 0.5
        z = 1.0 / (a * x + rest)
        uv[2 * index] = (ua * x + u_rest) * z
        uv[2 * index + 1] = (va * x + v_rest) * z
        depth[index] = z
        dx = (x - cx) / fx
        facing[index] = scale / (z * np.sqrt(dx * dx + dy_dy + 1.0))


@njit(cache=True, error_model="numpy")
def _measure(record, row, begin, footprint, stretch):
    """How coarsely they see it."""
    a, b, rest = record[0], record[1], record[1] * (row + 0.5) + record[2]
    ua, ub, u_rest = record[3], record[4], record[4] * (row + 0.5) + record[5]
    va, vb, v_rest = record[6], record[7], record[7] * (row + 0.5) + record[8]
    area = record[10]
    for index in range(footprint.size):
        x = np.float64(begin + index) + 0.5
        z = 1.0 / (a * x + rest)
        u, v = (ua * x + u_rest) * z, (va * x + v_rest) * z
        u_x, u_y = np.float32((ua - u * a) * z), np.float32((ub - u * b) * z)
        v_x, v_y = np.float32((va - v * a) * z), np.float32((vb - v * b) * z)
        size = np.float32(area * z * z * z)
        footprint[index] = np.sqrt(size)
        stretch[index] = _stretch(u_x, u_y, v_x, v_y, size)


@njit(cache=True, error_model="numpy")
def _leave_out(window, uv, footprint, stretch):
    """Pixels outside the window lose their UV. u and v that are compared are rounded to float32, as they come out."""
    for index in range(footprint.size):
        u, v = uv[2 * index], uv[2 * index + 1]
        if not (window[0] <= u < window[2] and window[1] <= v < window[3]):
            uv[2 * index], uv[2 * index + 1] = np.nan, np.nan
            footprint[index], stretch[index] = np.nan, np.nan


@njit(cache=True, error_model="numpy")
def _gather(records, owner, parts):
    """The records of pixels that belong to several triangles, a column of parts [RECORDED, MIXED] for each."""
    for index in range(owner.size):
        start = np.int64(peek(owner, index)) * RECORDED
        for term in range(RECORDED):
            poke(parts, term * MIXED + index, peek(records, start + term))


@njit(cache=True, error_model="numpy")
def _see_each(parts, row, begin, lens, uv, depth, facing):
    """_see for pixels with a record each."""
    y, fx, cx = row + 0.5, lens[0], lens[2]
    dy = (row + 0.5 - lens[3]) / lens[1]
    dy_dy = dy * dy
    for index in range(depth.size):
        x = np.float64(begin + index) + 0.5
        z = 1.0 / (peek(parts, index) * x + (peek(parts, MIXED + index) * y + peek(parts, 2 * MIXED + index)))
        u_rest = peek(parts, 4 * MIXED + index) * y + peek(parts, 5 * MIXED + index)
        v_rest = peek(parts, 7 * MIXED + index) * y + peek(parts, 8 * MIXED + index)
        uv[2 * index] = (peek(parts, 3 * MIXED + index) * x + u_rest) * z
        uv[2 * index + 1] = (peek(parts, 6 * MIXED + index) * x + v_rest) * z
        depth[index] = z
        dx = (x - cx) / fx
        facing[index] = peek(parts, 9 * MIXED + index) / (z * np.sqrt(dx * dx + dy_dy + 1.0))


@njit(cache=True, error_model="numpy")
def _measure_each(parts, row, begin, footprint, stretch):
    """_measure for pixels with a record each."""
    y = row + 0.5
    for index in range(footprint.size):
        a, b, ua, ub = (
            peek(parts, index), peek(parts, MIXED + index), peek(parts, 3 * MIXED + index), peek(parts, 4 * MIXED + index),
        )  # fmt: skip
        va, vb = peek(parts, 6 * MIXED + index), peek(parts, 7 * MIXED + index)
        x = np.float64(begin + index) + 0.5
        z = 1.0 / (a * x + (b * y + peek(parts, 2 * MIXED + index)))
        u = (ua * x + (ub * y + peek(parts, 5 * MIXED + index))) * z
        v = (va * x + (vb * y + peek(parts, 8 * MIXED + index))) * z
        u_x, u_y = np.float32((ua - u * a) * z), np.float32((ub - u * b) * z)
        v_x, v_y = np.float32((va - v * a) * z), np.float32((vb - v * b) * z)
        size = np.float32(peek(parts, 10 * MIXED + index) * z * z * z)
        footprint[index] = np.sqrt(size)
        stretch[index] = _stretch(u_x, u_y, v_x, v_y, size)


@njit(cache=True, error_model="numpy")
def _run_end(owner, begin, end):
    """Where the pixels from begin on cease to have one owner, at most end."""
    number, at = peek(owner, begin), begin + 1
    while at < end and peek(owner, at) == number:
        at += 1
    return at


@njit(cache=True, error_model="numpy")
def _short_runs_end(owner, begin, end):
    """The end of the short runs that begin here: where a long one begins, at most end."""
    while begin < end:
        run = _run_end(owner, begin, min(end, begin + LONG))
        if run - begin >= LONG:
            break
        begin = run
    return begin


@njit(cache=True, error_model="numpy")
def shade(row, owner, numbers, records, lens, window, parts, uv, depth, facing, footprint, stretch, triangle, count):
    """A row's outputs. Long runs of one owner are computed from its record, pixels of short ones from a record each.

    owner: int32 [W], which of the records (flat); the first, 0, is of no triangle and all NaN. numbers: the triangle that each
    record is of; from count on they are occluders. window: u0 v0 u1 v1. parts: float64 [RECORDED * MIXED], for use. uv:
    float32 [2 W].
    """
    begin, width = (
        np.int64(0),
        owner.size,
    )  # a bare 0 is a type of its own to numba, and all that it is given to compiled twice
    windowed = window[0] > -np.inf or window[1] > -np.inf or window[2] < np.inf or window[3] < np.inf
    while begin < width:
        end = _short_runs_end(owner, begin, min(begin + MIXED, width))
        is_mixed = end > begin
        if not is_mixed:
            end = _run_end(owner, begin, width)
        number, run, flat = owner[begin], slice(begin, end), slice(2 * begin, 2 * end)
        if is_mixed:
            _gather(records, owner[run], parts)
            _see_each(parts, row, begin, lens, uv[flat], depth[run], facing[run])
            _measure_each(parts, row, begin, footprint[run], stretch[run])
        elif number == 0:
            uv[flat], depth[run], facing[run] = np.nan, np.nan, np.nan
            footprint[run], stretch[run] = np.nan, np.nan
        else:
            record = records[number * RECORDED : (number + 1) * RECORDED]
            _see(record, row, begin, lens, uv[flat], depth[run], facing[run])
            _measure(record, row, begin, footprint[run], stretch[run])
        if windowed and (is_mixed or number):
            _leave_out(window, uv[flat], footprint[run], stretch[run])
        if is_mixed:
            for index in range(begin, end):
                seen = peek(numbers, np.int64(peek(owner, index)))
                poke(triangle, index, seen if seen < count else np.int32(-1))
        else:
            triangle[run] = numbers[number] if numbers[number] < count else -1
        begin = end
