"""Alpha of a stroke at one pixel on a card, and its derivative by hand; the op is backend.ops.strokes.compositing.

The formulas are those of backend/ops/strokes/coverage_cpu.py for one lane. A stroke is a row of SHAPE numbers, the curve
p + t (a + t c), the radius r + t taper, the opacity o + t fade, how many chords it has, and how far from its edge a pixel can be
covered in part. Pixels are counted from p, so that nothing but p depends on where a stroke lies.
"""

from __future__ import annotations

import math

import numpy as np

from backend.ops.cuda_kernels import device_function
from backend.ops.strokes.constants import CHORDS, FLATNESS_PX, LEAST_BEND, NEWTON_STEPS, REACH, SAGITTA, TAPER_CHORDS

SHAPE = 12  # p row, p column, a row, a column, c row, c column, r, taper, o, fade, chords, margin
_ZERO, _HALF, _ONE, _TWO, _THREE, _FOUR = (np.float32(value) for value in (0, 0.5, 1, 2, 3, 4))
_TINY, _FAST_TINY, _MARGIN = np.float32(1e-12), np.float32(1e-9), np.float32(0.01)
_ON_CURVE, _LEAST_LOW = np.float32(1e-4), np.float32(1e-3)
_LEAST_BEND, _SAGITTA, _REACH = np.float32(LEAST_BEND), np.float32(SAGITTA), np.float32(REACH)
_FLATNESS, _TAPER_CHORDS, _CHORDS = np.float32(FLATNESS_PX), np.float32(TAPER_CHORDS), np.float32(CHORDS)


@device_function
def set_shape(geometry, opacity, n, softness, shapes):
    """Fill row n of shapes [N, SHAPE] from geometry [N, 8] and opacity [N, 2]."""
    for axis in range(2):
        start, control, end = geometry[n, axis], geometry[n, 2 + axis], geometry[n, 4 + axis]
        shapes[n, axis], shapes[n, 2 + axis] = start, _TWO * (control - start)
        shapes[n, 4 + axis] = (end - control) - (control - start)
    taper = geometry[n, 7] - geometry[n, 6]
    shapes[n, 6], shapes[n, 7] = geometry[n, 6], taper
    shapes[n, 8], shapes[n, 9] = opacity[n, 0], opacity[n, 1] - opacity[n, 0]
    arch = math.sqrt(shapes[n, 4] * shapes[n, 4] + shapes[n, 5] * shapes[n, 5])
    down, across = geometry[n, 4] - geometry[n, 0], geometry[n, 5] - geometry[n, 1]
    tapers = _TAPER_CHORDS * abs(taper) / (math.sqrt(down * down + across * across) + _TINY)
    count, wanted = _ONE, max(math.sqrt(arch / (_FOUR * _FLATNESS)), tapers)
    while count < wanted and count < _CHORDS:
        count += _ONE
    shapes[n, 10] = count
    shapes[n, 11] = _REACH * softness + arch / (_FOUR * count * count) + abs(taper) / count + _MARGIN


@device_function
def shape_at(shapes, n):
    return (
        shapes[n, 0], shapes[n, 1], shapes[n, 2], shapes[n, 3], shapes[n, 4], shapes[n, 5],
        shapes[n, 6], shapes[n, 7], shapes[n, 8], shapes[n, 9], shapes[n, 10], shapes[n, 11],
    )  # fmt: skip


@device_function
def nearest_chord(y, x, s):
    """About t* and the distance from the edge of the place y, x px from p."""
    end = _ONE if s[7] > _ZERO else _ZERO  # the thick one, which may be nearest although a point on the way is not
    off_y, off_x = y - end * (s[2] + s[4]), x - end * (s[3] + s[5])
    best = math.sqrt(off_y * off_y + off_x * off_x) - (s[6] + end * s[7])
    place, from_y, from_x = end, _ZERO, _ZERO
    for k in range(int(s[10])):
        high = np.float32(k + 1) / s[10]
        to_y, to_x = high * (s[2] + high * s[4]), high * (s[3] + high * s[5])
        along_y, along_x = to_y - from_y, to_x - from_x
        off_y, off_x = y - from_y, x - from_x
        share = (off_y * along_y + off_x * along_x) / (along_y * along_y + along_x * along_x + _TINY)
        share = min(max(share, _ZERO), _ONE)
        off_y, off_x = off_y - share * along_y, off_x - share * along_x
        at = min((np.float32(k) + share) / s[10], _ONE)
        away = math.sqrt(off_y * off_y + off_x * off_x) - (s[6] + at * s[7])
        if away < best:
            place, best = at, away
        from_y, from_x = to_y, to_x
    return place, best


@device_function
def place_of(y, x, t, s):
    """As in curves.py: from_curve (row, column), distance, speed (row, column), fast, slope, inward, stiffness before its bound."""
    wy, wx = y - t * (t * s[4] + s[2]), x - t * (t * s[5] + s[3])
    rho = math.sqrt(wy * wy + wx * wx + _TINY)
    sy, sx = t * (_TWO * s[4]) + s[2], t * (_TWO * s[5]) + s[3]
    square = sy * sy + sx * sx
    slope = -(wy * sy + wx * sx) - rho * s[7]
    inward = (wy * s[4] + wx * s[5]) * _TWO
    return wy, wx, rho, sy, sx, square + _FAST_TINY, slope, inward, square - s[7] * s[7] - inward


@device_function
def refine(y, x, t, s):
    """t* by Newton's method."""
    for _ in range(NEWTON_STEPS):
        _, _, _, _, _, fast, slope, _, raw = place_of(y, x, t, s)
        t = min(max(t - slope / max(raw, fast * _LEAST_BEND), _ZERO), _ONE)
    return t


@device_function
def half_plane(distance, low, high, bent):
    """The share of the square, and the parts of it that its derivative needs."""
    half = (high + low) * _HALF
    by_high = _ONE / high
    by_both = by_high / low
    out = min(abs(distance), half)
    excess = max(out - (high - low) * _HALF, _ZERO)
    tail = _HALF - out * by_high + excess * excess * by_both * _HALF if out < half else _ZERO
    chord = min(by_high, (half - out) * by_both)
    share = (_ONE - tail if distance <= _ZERO else tail) - bent * chord * chord * chord * _SAGITTA
    return share, out, excess, chord, by_high, by_both


@device_function
def half_plane_derivative(distance, low, high, bent):
    """Derivatives of the share by distance, low, high and bent."""
    if abs(distance) >= (high + low) * _HALF:
        return _ZERO, _ZERO, _ZERO, _ZERO
    _, out, excess, chord, by_high, by_both = half_plane(distance, low, high, bent)
    sign = -_ONE if distance <= _ZERO else _ONE
    arc = bent * chord * chord * (_THREE * _SAGITTA)  # minus the derivative by the chord's length
    quarter, square = excess * by_both * _HALF, excess * excess * by_both * _HALF
    cut = chord_low = _ZERO
    chord_high = -by_high * by_high
    if excess > _ZERO:
        cut, chord_high, chord_low = by_both, by_both * _HALF - chord * by_high, by_both * _HALF - chord / low
    by_distance = arc * sign * cut - chord
    by_high_side = sign * (out * by_high * by_high - quarter - square * by_high) - arc * chord_high
    by_low_side = sign * (quarter - square / low) - arc * chord_low
    return by_distance, by_low_side, by_high_side, -chord * chord * chord * _SAGITTA


@device_function
def edge_of(t, place, softness):
    """The smaller and the larger component of the edge's normal, and its curvature with the parts that its derivative needs. place:
    of place_of."""
    wy, wx, rho, sy, sx, fast, slope, inward, raw = place
    speed = math.sqrt(fast)
    ny, nx = abs(sx) / speed, abs(sy) / speed
    if rho >= _ON_CURVE:
        ny, nx = abs(wy) / rho, abs(wx) / rho
    low, high = max(min(ny, nx), _LEAST_LOW), max(max(ny, nx), _HALF)
    stiff = max(raw, fast * _LEAST_BEND)
    turned = -inward / stiff
    body = min(max(turned, -_ONE), _ONE)
    past = -min(t, _ONE - t) * fast
    if t <= _ZERO:
        past = slope
    elif t >= _ONE:
        past = -slope
    beyond = past / speed + max(_HALF - speed, _ZERO) + _HALF
    ending = min(max(beyond, _ZERO), _ONE)
    near = max(rho / softness, _HALF)
    return low, high, (body + (_ONE - body) * ending) / near, near, body, ending, beyond, past, speed, stiff, turned


@device_function
def covered(y, x, t, s, softness):
    """The share of the pixel's square that is covered, at t*."""
    place = place_of(y, x, t, s)
    low, high, bent, _, _, _, _, _, _, _, _ = edge_of(t, place, softness)
    radius = t * s[7] + s[6]
    share, _, _, _, _, _ = half_plane((place[2] - radius) / softness, low, high, bent)
    if min(s[6], s[6] + s[7]) <= _REACH * softness:  # two edges may share the pixel
        far, _, _, _, _, _ = half_plane((place[2] + radius) / softness, low, high, _ZERO)
        share = share - far
    return min(max(share, _ZERO), _ONE)


@device_function
def cover(y, x, s, softness, placed):
    """Alpha, t*, whether the stroke touches the pixel y, x px from p, and whether it covers the whole of it.

    placed: whether t* is asked for where it does not matter to alpha; where it is not, it is 0 there.
    """
    t, away = nearest_chord(y, x, s)
    touched, deep = away <= s[11], away < -s[11]
    if not touched:
        return _ZERO, _ZERO, touched, deep
    if deep and s[9] == _ZERO and not placed:
        return s[8], _ZERO, touched, deep
    t = refine(y, x, t, s)
    share = _ONE if deep else covered(y, x, t, s, softness)
    return (t * s[9] + s[8]) * share, t, touched, deep


@device_function
def alpha_derivative(y, x, t, s, softness, given, made, i):
    """What dL/dalpha = given means for p, a, c (row and column), r, taper, o and fade: made[:10, i]."""
    taper, fade = s[7], s[9]
    place = place_of(y, x, t, s)
    wy, wx, rho, sy, sx, fast, _, _, raw = place
    low, high, bent, near, body, ending, beyond, past, speed, stiff, turned = edge_of(t, place, softness)
    radius = t * taper + s[6]
    share, _, _, _, _, _ = half_plane((rho - radius) / softness, low, high, bent)
    by_near, by_low, by_high, by_bent = half_plane_derivative((rho - radius) / softness, low, high, bent)
    d_rho, d_radius = by_near, -by_near
    if min(s[6], s[6] + taper) <= _REACH * softness:
        far, _, _, _, _, _ = half_plane((rho + radius) / softness, low, high, _ZERO)
        by_far, far_low, far_high, _ = half_plane_derivative((rho + radius) / softness, low, high, _ZERO)
        share = share - far
        d_rho, d_radius, by_low, by_high = d_rho - by_far, d_radius - by_far, by_low - far_low, by_high - far_high
    d_opacity = given * min(max(share, _ZERO), _ONE)
    scale = given * (t * fade + s[8]) if _ZERO <= share <= _ONE else _ZERO
    d_rho, d_radius = d_rho * scale / softness, d_radius * scale / softness
    by_low = by_low * scale if low > _LEAST_LOW else _ZERO
    by_high, by_bent = by_high * scale, by_bent * scale
    # the normal
    ny, nx = wy / rho, wx / rho
    turn_y, turn_x = by_low, by_high
    if abs(ny) >= abs(nx):
        turn_y, turn_x = by_high, by_low
    turn_y, turn_x = turn_y if wy >= _ZERO else -turn_y, turn_x if wx >= _ZERO else -turn_x
    across = ny * turn_y + nx * turn_x
    w_y = w_x = _ZERO
    if rho >= _ON_CURVE:
        w_y, w_x = (turn_y - ny * across) / rho, (turn_x - nx * across) / rho
    # the curvature
    d_curved = by_bent / near
    if near > _HALF:
        d_rho -= d_curved * bent / softness
    d_body = d_curved * (_ONE - ending) / stiff if -_ONE <= turned <= _ONE else _ZERO
    d_inward, d_stiff = -d_body, -d_body * body
    d_ending = d_curved * (_ONE - body) if _ZERO <= beyond <= _ONE else _ZERO
    d_past = d_ending / speed
    d_fast = (-d_past * past / speed - (d_ending if speed <= _HALF else _ZERO)) / speed * _HALF
    d_slope = d_t = _ZERO
    inner = _ZERO < t < _ONE
    if t <= _ZERO:
        d_slope = d_past
    elif t >= _ONE:
        d_slope = -d_past
    else:
        d_fast -= d_past * min(t, _ONE - t)
        d_t = -(d_past if _ONE - t >= t else -d_past) * fast
    if raw >= fast * _LEAST_BEND:
        d_inward -= d_stiff
        d_fast += d_stiff
        d_taper = -d_stiff * (_TWO * taper)
    else:
        d_fast += d_stiff * _LEAST_BEND
        d_taper = _ZERO
    # what is a formula of t, where t* is between the ends
    d_rho -= d_slope * taper
    w_y += d_rho * ny - d_slope * sy + d_inward * (_TWO * s[4])
    w_x += d_rho * nx - d_slope * sx + d_inward * (_TWO * s[5])
    s_y, s_x = d_fast * sy * _TWO - d_slope * wy, d_fast * sx * _TWO - d_slope * wx
    d_taper -= d_slope * rho
    d_t += (s_y * s[4] + s_x * s[5]) * _TWO - (w_y * sy + w_x * sx) + d_radius * taper + d_opacity * fade
    moved = -d_t / stiff if inner else _ZERO  # t* moves with the slope
    w_y, w_x = w_y - moved * (ny * taper + sy), w_x - moved * (nx * taper + sx)
    s_y, s_x = s_y - moved * wy, s_x - moved * wx
    d_taper -= moved * rho
    bend = d_inward * _TWO
    made[0, i], made[1, i], made[2, i], made[3, i] = -w_y, -w_x, s_y - t * w_y, s_x - t * w_x
    made[4, i] = t * (s_y * _TWO - t * w_y) + bend * wy
    made[5, i] = t * (s_x * _TWO - t * w_x) + bend * wx
    made[6, i], made[7, i], made[8, i], made[9, i] = d_radius, d_taper + d_radius * t, d_opacity, d_opacity * t
