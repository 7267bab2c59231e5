"""Alpha of a stroke for sixteen pixels of a row at a time, and its derivative by hand; the op is backend.ops.strokes.compositing.

The formulas are those of backend/ops/strokes/curves.py, in the same order. A stroke is a row of SHAPE numbers, counted
from a tile's corner: the curve p + t (a + t c), the radius r + t taper, the opacity o + t fade.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.simd import (
    absolute,
    any_at_least,
    larger,
    smaller,
    splat_16,
    square_root,
    where_at_least,
    where_positive,
)
from backend.ops.strokes.constants import (
    CHORDS,
    FLATNESS_PX,
    LEAST_BEND,
    NEWTON_STEPS,
    REACH,
    SAGITTA,
    TAPER_CHORDS,
)

SHAPE = 10  # p row, p column, a row, a column, c row, c column, r, taper, o, fade
CHORD = 8  # start row, start column, along row, along column, the same by its squared length, radius, taper
_ZERO, _HALF, _ONE, _TWO, _THREE = (np.float32(value) for value in (0, 0.5, 1, 2, 3))
_TINY, _FAST_TINY = np.float32(1e-12), np.float32(1e-9)
_ON_CURVE, _LEAST_LOW = np.float32(1e-4), np.float32(1e-3)
_LEAST_BEND, _SAGITTA, _REACH = np.float32(LEAST_BEND), np.float32(SAGITTA), np.float32(REACH)
_FLATNESS, _TAPER_CHORDS = np.float32(FLATNESS_PX), np.float32(TAPER_CHORDS)


@njit(cache=True)
def set_shape(geometry, opacity, top, left, shape, chords):
    """Fill shape [SHAPE] and chords [CHORDS, CHORD] of a stroke [8], [2]; how many chords it has."""
    for axis, corner in enumerate((top, left)):
        start, control, end = geometry[axis] - corner, geometry[2 + axis] - corner, geometry[4 + axis] - corner
        shape[axis], shape[2 + axis] = start, _TWO * (control - start)
        shape[4 + axis] = (end - control) - (control - start)
    shape[6], shape[7] = geometry[6], geometry[7] - geometry[6]
    shape[8], shape[9] = opacity[0], opacity[1] - opacity[0]
    arch = np.sqrt(shape[4] * shape[4] + shape[5] * shape[5])  # |B''| / 2
    length = np.sqrt((geometry[4] - geometry[0]) ** 2 + (geometry[5] - geometry[1]) ** 2)
    tapers = _TAPER_CHORDS * np.abs(shape[7]) / (length + _TINY)
    count = int(np.ceil(min(max(np.sqrt(arch / (np.float32(4) * _FLATNESS)), tapers, _ONE), np.float32(CHORDS))))
    for k in range(count):
        low, high = np.float32(k) / np.float32(count), np.float32(k + 1) / np.float32(count)
        squared = _TINY
        for axis in range(2):
            chords[k, axis] = shape[axis] + low * (shape[2 + axis] + low * shape[4 + axis])
            chords[k, 2 + axis] = shape[axis] + high * (shape[2 + axis] + high * shape[4 + axis]) - chords[k, axis]
            squared += chords[k, 2 + axis] * chords[k, 2 + axis]
        chords[k, 4], chords[k, 5] = chords[k, 2] / squared, chords[k, 3] / squared
        chords[k, 6], chords[k, 7] = shape[6] + low * shape[7], (high - low) * shape[7]
    return count


@njit(cache=True)
def margin(shape, count, softness):
    """How far from the edge, as nearest_chord measures it, alpha can be other than 0 and the whole opacity, in px."""
    arch = np.sqrt(shape[4] * shape[4] + shape[5] * shape[5])
    chord = arch / np.float32(4 * count * count) + np.abs(shape[7]) / np.float32(
        count
    )  # from its arc, and its own taper
    return _REACH * softness + chord + np.float32(0.01)


@njit(cache=True, forceinline=True)
def nearest_chord(row, column, s, chords, count):
    """About t* and the distance from the edge of the pixels at row, column."""
    zero, one = splat_16(_ZERO), splat_16(_ONE)
    end = (
        _ONE if s[7] > _ZERO else _ZERO
    )  # the thick one, which may be nearest although a point on the way there is not
    y, x = row - (s[0] + end * (s[2] + s[4])), column - (s[1] + end * (s[3] + s[5]))
    best = square_root(y * y + x * x) - (s[6] + end * s[7])
    place = splat_16(end * np.float32(count))
    for k in range(count):
        y, x = row - chords[k, 0], column - chords[k, 1]
        along_y, along_x = chords[k, 2], chords[k, 3]
        share = smaller(larger(x * chords[k, 5] + y * chords[k, 4], zero), one)
        off_y, off_x = y - share * along_y, x - share * along_x
        away = square_root(off_y * off_y + off_x * off_x) - (share * chords[k, 7] + chords[k, 6])
        place = where_at_least(away, best, place, share + np.float32(k))
        best = smaller(away, best)
    return place * (_ONE / np.float32(count)), best


@njit(cache=True, forceinline=True)
def place_of(row, column, t, s):
    """As in curves.py: from_curve (row, column), distance, speed (row, column), fast, slope, inward, stiffness before its bound."""
    py, px, ay, ax, cy, cx, _, taper, _, _ = s
    wy, wx = (row - py) - t * (t * cy + ay), (column - px) - t * (t * cx + ax)
    rho = square_root(wy * wy + wx * wx + _TINY)
    sy, sx = t * (_TWO * cy) + ay, t * (_TWO * cx) + ax
    square = sy * sy + sx * sx
    slope = splat_16(_ZERO) - (wy * sy + wx * sx) - rho * taper
    inward = (wy * cy + wx * cx) * _TWO
    return wy, wx, rho, sy, sx, square + _FAST_TINY, slope, inward, square - taper * taper - inward


@njit(cache=True, forceinline=True)
def refine(row, column, t, s):
    """t* by Newton's method."""
    zero, one = splat_16(_ZERO), splat_16(_ONE)
    for _ in range(NEWTON_STEPS):
        _, _, _, _, _, fast, slope, _, raw = place_of(row, column, t, s)
        t = smaller(larger(t - slope / larger(raw, fast * _LEAST_BEND), zero), one)
    return t


@njit(cache=True, forceinline=True)
def _half_plane(distance, low, high, bent):
    """The share of the square, and the parts of it that its derivative needs."""
    zero, one = splat_16(_ZERO), splat_16(_ONE)
    half = (high + low) * _HALF
    by_high = one / high
    by_both = by_high / low
    out = smaller(absolute(distance), half)
    excess = larger(out - (high - low) * _HALF, zero)
    tail = where_positive(half - out, _HALF - out * by_high + excess * excess * by_both * _HALF)
    chord = smaller(by_high, (half - out) * by_both)
    share = where_at_least(zero, distance, one - tail, tail) - bent * chord * chord * chord * _SAGITTA
    return share, out, excess, chord, by_high, by_both


@njit(cache=True, forceinline=True)
def _half_plane_derivative(distance, low, high, bent):
    """Derivatives of the share by distance, low, high and bent."""
    zero, one = splat_16(_ZERO), splat_16(_ONE)
    _, out, excess, chord, by_high, by_both = _half_plane(distance, low, high, bent)
    inside = (high + low) * _HALF - absolute(distance)  # above 0 where the edge crosses the square
    sign = where_at_least(zero, distance, zero - one, one)
    arc = bent * chord * chord * (_THREE * _SAGITTA)  # minus the derivative by the chord's length
    cut = where_positive(excess, by_both)
    by_distance = arc * sign * cut - chord
    quarter = excess * by_both * _HALF
    square = excess * excess * by_both * _HALF
    chord_high = where_positive(excess, cut * _HALF - chord * by_high) - where_at_least(
        zero, excess, by_high * by_high, zero
    )
    chord_low = where_positive(excess, cut * _HALF - chord / low)
    by_high_side = sign * (out * by_high * by_high - quarter - square * by_high) - arc * chord_high
    by_low_side = sign * (quarter - square / low) - arc * chord_low
    by_bent = zero - chord * chord * chord * _SAGITTA
    return (
        where_positive(inside, by_distance), where_positive(inside, by_low_side),
        where_positive(inside, by_high_side), where_positive(inside, by_bent),
    )  # fmt: skip


@njit(cache=True, forceinline=True)
def _edge(t, wy, wx, rho, sy, sx, fast, slope, inward, raw, softness):
    """Components of the edge's normal, larger and smaller, and its curvature with the parts that its derivative needs."""
    zero, one = splat_16(_ZERO), splat_16(_ONE)
    speed = square_root(fast)
    off_curve = splat_16(_ON_CURVE)
    ny = where_at_least(rho, off_curve, absolute(wy) / rho, absolute(sx) / speed)
    nx = where_at_least(rho, off_curve, absolute(wx) / rho, absolute(sy) / speed)
    low, high = larger(smaller(ny, nx), splat_16(_LEAST_LOW)), larger(ny, nx)
    high = larger(high, splat_16(_HALF))
    stiff = larger(raw, fast * _LEAST_BEND)
    turned = zero - inward / stiff
    body = smaller(larger(turned, zero - one), one)
    to_end = smaller(t, one - t)
    past = where_at_least(zero, t, slope, where_at_least(t, one, zero - slope, zero - to_end * fast))
    beyond = past / speed + larger(_HALF - speed, zero) + _HALF
    ending = smaller(larger(beyond, zero), one)
    curved = body + (one - body) * ending
    near = larger(rho * (_ONE / softness), splat_16(_HALF))
    return low, high, curved / near, near, body, ending, beyond, past, speed, stiff, turned


@njit(cache=True, forceinline=True)
def alpha_at(row, column, t, s, softness, thick):
    """Alpha at t*. thick: whether the other edge is too far away to matter."""
    zero, one = splat_16(_ZERO), splat_16(_ONE)
    wy, wx, rho, sy, sx, fast, slope, inward, raw = place_of(row, column, t, s)
    low, high, bent, _, _, _, _, _, _, _, _ = _edge(t, wy, wx, rho, sy, sx, fast, slope, inward, raw, softness)
    radius = t * s[7] + s[6]
    by_softness = _ONE / softness
    share, _, _, _, _, _ = _half_plane((rho - radius) * by_softness, low, high, bent)
    if not thick:
        far, _, _, _, _, _ = _half_plane((rho + radius) * by_softness, low, high, zero)
        share = share - far
    return (t * s[9] + s[8]) * smaller(larger(share, zero), one)


@njit(cache=True, forceinline=True)
def alpha_derivative(row, column, t, s, softness, thick, given):
    """What dL/dalpha = given means for p, a, c (row and column), r, taper, o and fade: ten vectors."""
    zero, one, minus = splat_16(_ZERO), splat_16(_ONE), splat_16(-_ONE)
    cy, cx, r, taper, o, fade = s[4], s[5], s[6], s[7], s[8], s[9]
    wy, wx, rho, sy, sx, fast, slope, inward, raw = place_of(row, column, t, s)
    low, high, bent, near, body, ending, beyond, past, speed, stiff, turned = _edge(
        t, wy, wx, rho, sy, sx, fast, slope, inward, raw, softness
    )
    radius = t * taper + r
    by_softness = _ONE / softness
    share, _, _, _, _, _ = _half_plane((rho - radius) * by_softness, low, high, bent)
    by_near, by_low, by_high, by_bent = _half_plane_derivative((rho - radius) * by_softness, low, high, bent)
    d_rho, d_radius = by_near, zero - by_near
    if not thick:
        far, _, _, _, _, _ = _half_plane((rho + radius) * by_softness, low, high, zero)
        share = share - far
        by_far, far_low, far_high, _ = _half_plane_derivative((rho + radius) * by_softness, low, high, zero)
        d_rho, d_radius = d_rho - by_far, d_radius - by_far
        by_low, by_high = by_low - far_low, by_high - far_high
    covered = smaller(larger(share, zero), one)
    d_opacity = given * covered
    scale = given * (t * fade + o)
    scale = where_at_least(share, zero, where_at_least(one, share, scale, zero), zero)
    d_rho, d_radius = d_rho * scale * by_softness, d_radius * scale * by_softness
    by_low = where_at_least(splat_16(_LEAST_LOW), low, zero, by_low * scale)
    by_high, by_bent = by_high * scale, by_bent * scale
    # the normal
    by_rho = one / rho
    ny, nx = wy * by_rho, wx * by_rho
    size_y, size_x = absolute(ny), absolute(nx)
    turn_y = where_at_least(size_y, size_x, by_high, by_low)
    turn_x = where_at_least(size_y, size_x, by_low, by_high)
    turn_y, turn_x = where_at_least(wy, zero, turn_y, zero - turn_y), where_at_least(wx, zero, turn_x, zero - turn_x)
    off = where_at_least(rho, splat_16(_ON_CURVE), by_rho, zero)
    across = ny * turn_y + nx * turn_x
    w_y, w_x = (turn_y - ny * across) * off, (turn_x - nx * across) * off
    # the curvature
    d_curved = by_bent / near
    d_rho = d_rho - where_at_least(splat_16(_HALF), near, zero, d_curved * bent * by_softness)
    d_body, d_ending = d_curved * (one - ending), d_curved * (one - body)
    d_body = where_at_least(turned, minus, where_at_least(one, turned, d_body, zero), zero) / stiff
    d_inward, d_stiff = zero - d_body, zero - d_body * body
    d_ending = where_at_least(beyond, zero, where_at_least(one, beyond, d_ending, zero), zero)
    d_past = d_ending / speed
    d_speed = zero - d_past * past / speed - where_at_least(splat_16(_HALF), speed, d_ending, zero)
    d_fast = d_speed / speed * _HALF
    to_end = smaller(t, one - t)
    interior = where_positive(to_end, one)
    d_slope = where_at_least(zero, t, d_past, where_at_least(t, one, zero - d_past, zero))
    d_fast = d_fast - d_past * to_end * interior
    d_t = zero - where_at_least(one - t, t, d_past, zero - d_past) * fast * interior
    free = where_at_least(raw, fast * _LEAST_BEND, one, zero)
    d_inward = d_inward - d_stiff * free
    d_fast = d_fast + d_stiff * (free * (_ONE - _LEAST_BEND) + _LEAST_BEND)
    d_taper = zero - d_stiff * free * (_TWO * taper)
    # what is a formula of t, where t* is between the ends
    w_y, w_x = w_y - d_slope * sy + d_inward * (_TWO * cy), w_x - d_slope * sx + d_inward * (_TWO * cx)
    d_rho = d_rho - d_slope * taper
    w_y, w_x = w_y + d_rho * ny, w_x + d_rho * nx
    s_y, s_x = d_fast * sy * _TWO - d_slope * wy, d_fast * sx * _TWO - d_slope * wx
    d_taper = d_taper - d_slope * rho
    d_t = d_t - (w_y * sy + w_x * sx) + (s_y * cy + s_x * cx) * _TWO + d_radius * taper + d_opacity * fade
    moved = zero - d_t * interior / stiff  # t* moves with the slope
    w_y, w_x = w_y - moved * (ny * taper + sy), w_x - moved * (nx * taper + sx)
    s_y, s_x = s_y - moved * wy, s_x - moved * wx
    d_taper = d_taper - moved * rho
    bend = d_inward * _TWO
    return (
        zero - w_y, zero - w_x, s_y - t * w_y, s_x - t * w_x,
        t * (s_y * _TWO - t * w_y) + bend * wy, t * (s_x * _TWO - t * w_x) + bend * wx,
        d_radius, d_taper + d_radius * t, d_opacity, d_opacity * t,
    )  # fmt: skip


@njit(cache=True)
def add_to_ends(sums, row):
    """Derivatives by p, a, c, r, taper, o, fade [10] added to those by geometry and opacity [10]."""
    for axis in range(2):
        row[axis] += sums[axis] - _TWO * sums[2 + axis] + sums[4 + axis]
        row[2 + axis] += _TWO * (sums[2 + axis] - sums[4 + axis])
        row[4 + axis] += sums[4 + axis]
    row[6] += sums[6] - sums[7]
    row[7] += sums[7]
    row[8] += sums[8] - sums[9]
    row[9] += sums[9]


@njit(cache=True, forceinline=True)
def deep_derivative(row, column, t, s, given):
    """As alpha_derivative, where all pixels are wholly covered: the opacity alone matters, at a t* that moves with the curve."""
    zero, one = splat_16(_ZERO), splat_16(_ONE)
    taper, fade = s[7], s[9]
    wy, wx, rho, sy, sx, fast, _, _, raw = place_of(row, column, t, s)
    interior = where_positive(smaller(t, one - t), given * fade)
    moved = zero - interior / larger(raw, fast * _LEAST_BEND)
    by_rho = one / rho
    w_y, w_x = zero - moved * (wy * by_rho * taper + sy), zero - moved * (wx * by_rho * taper + sx)
    s_y, s_x = zero - moved * wy, zero - moved * wx
    return (
        zero - w_y, zero - w_x, s_y - t * w_y, s_x - t * w_x, t * (s_y * _TWO - t * w_y), t * (s_x * _TWO - t * w_x),
        zero, zero - moved * rho, given, given * t,
    )  # fmt: skip


@njit(cache=True)
def is_thick(s, softness):
    """Whether a stroke's two edges never share a pixel."""
    return min(s[6], s[6] + s[7]) > _REACH * softness


@njit(cache=True, forceinline=True)
def none_below(away, bound):
    """Whether no lane of `away` is below the bound."""
    return not any_at_least(splat_16(bound), away)


@njit(cache=True, forceinline=True)
def none_above(away, bound):
    """Whether no lane of `away` is above the bound."""
    return not any_at_least(away, splat_16(bound))
