"""The photograph that a pinhole would have taken, on a card: a thread a pixel; formulas are undistortion_plain.py's.

float64 for where the lens puts a pixel, float32 for colours.
"""

from __future__ import annotations

import math

import numpy as np

from backend.ops.cuda_kernels import cuda, device_function, kernel

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_THREE_HALVES, _TWO, _FIVE_HALVES = np.float32(1.5), np.float32(2), np.float32(2.5)


@kernel
def undistort(source, fx, fy, cx, cy, k, fisheye, limit, top, made, inside):
    """made [H, W, 3] from source, of one type; inside bool [H, W]. k float64 [8]; top: the type's largest number."""
    column, row = cuda.grid(2)
    height, width = inside.shape
    if row >= height or column >= width:
        return
    x, y, known = _bend(column, row, fx, fy, cx, cy, k, fisheye, limit)
    shows = known and 0.0 <= x <= width and 0.0 <= y <= height
    inside[row, column] = shows
    for channel in range(3):
        made[row, column, channel] = 0
        if shows:
            color = _fetch(source, x, y, channel) + _HALF
            if color > _ZERO:
                made[row, column, channel] = int(min(color, np.float32(top)))


@device_function
def _bend(column, row, fx, fy, cx, cy, k, fisheye, limit):
    """Where the lens puts a pixel, x, y px, and whether within its limit."""
    x, y = (column + 0.5 - cx) / fx, (row + 0.5 - cy) / fy
    s = x * x + y * y
    if fisheye:
        r = math.sqrt(s)
        scale = 1.0
        if r > 1e-12:
            theta = math.atan(r)
            t = theta * theta
            scale = theta * (1.0 + t * (k[0] + t * (k[1] + t * (k[2] + t * k[3])))) / r
        bent_x, bent_y = x * scale, y * scale
    else:
        radial = (1.0 + s * (k[0] + s * (k[1] + s * k[4]))) / (1.0 + s * (k[5] + s * (k[6] + s * k[7])))
        bent_x = x * radial + 2.0 * k[2] * x * y + k[3] * (s + 2.0 * x * x)
        bent_y = y * radial + k[2] * (s + 2.0 * y * y) + 2.0 * k[3] * x * y
    return bent_x * fx + cx, bent_y * fy + cy, s <= limit * limit


@device_function
def _fetch(source, x, y, channel):
    """A colour at x, y px, bicubically, the border repeated."""
    left, upper = math.floor(x - 0.5), math.floor(y - 0.5)
    across, down = np.float32(x - 0.5 - left), np.float32(y - 0.5 - upper)
    first_column, first_row, total = int(np.int64(left)) - 1, int(np.int64(upper)) - 1, _ZERO
    for right in range(4):
        column, own = min(max(first_column + right, 0), source.shape[1] - 1), _ZERO
        for below in range(4):
            row = min(max(first_row + below, 0), source.shape[0] - 1)
            own += _cubic(down, below) * np.float32(source[row, column, channel])
        total += _cubic(across, right) * own
    return total


@device_function
def _cubic(t, place):
    """The weights of four neighbours, 1 + t, t, 1 - t and 2 - t away (Keys 1981, equation 4, a = -1/2)."""
    if place == 0:
        return t * (t * (_ONE - _HALF * t) - _HALF)
    if place == 1:
        return t * t * (_THREE_HALVES * t - _FIVE_HALVES) + _ONE
    if place == 2:
        return t * (t * (_TWO - _THREE_HALVES * t) + _HALF)
    return t * t * (_HALF * t - _HALF)
