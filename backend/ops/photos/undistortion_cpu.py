"""Straightening a photograph on the CPU: each pixel of the pinhole's picture is fetched, bicubically, from where the lens put it.

Rows are shared between threads and each writes its own, so that the bytes do not depend on their number. What a lens does
is said in shared/cameras/distortion.py; a test holds this to it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads

LANES = 16  # numbers of a row read at once: 4 pixels of 3, and 4 more to fill a register


@njit(inline="always")
def _cubic(t):
    """The weights of four neighbours, 1 + t, t, 1 - t and 2 - t away (Keys 1981, equation 4, a = -1/2), in float32."""
    half, one, two = np.float32(0.5), np.float32(1.0), np.float32(2.0)
    steep, deep = np.float32(1.5), np.float32(2.5)
    return (
        t * (t * (one - half * t) - half),
        t * t * (steep * t - deep) + one,
        t * (t * (two - steep * t) + half),
        t * t * (half * t - half),
    )


@njit(inline="always")
def _clip(value, top):
    return min(max(value, 0), top)


@njit(cache=True)
def _bend_row(
    v: float, lens: np.ndarray, k: np.ndarray, fisheye: bool, limit: float, at_x: np.ndarray, at_y: np.ndarray
) -> None:
    """Where the lens puts the pixels of the row at height v px; NaN beyond its valid radius. lens: fx fy cx cy."""
    fx, fy, cx, cy = lens[0], lens[1], lens[2], lens[3]
    y = (v - cy) / fy
    limit_squared = limit * limit
    for j in range(at_x.size):
        x = (j + 0.5 - cx) / fx
        s = x * x + y * y
        if fisheye:
            r = math.sqrt(s)
            theta = math.atan(r)
            t = theta * theta
            scale = theta * (1.0 + t * (k[0] + t * (k[1] + t * (k[2] + t * k[3])))) / r if r > 1e-12 else 1.0
            bent_x, bent_y = x * scale, y * scale
        else:
            radial = (1.0 + s * (k[0] + s * (k[1] + s * k[4]))) / (1.0 + s * (k[5] + s * (k[6] + s * k[7])))
            bent_x = x * radial + 2.0 * k[2] * x * y + k[3] * (s + 2.0 * x * x)
            bent_y = y * radial + k[2] * (s + 2.0 * y * y) + 2.0 * k[3] * x * y
        if s <= limit_squared:
            at_x[j], at_y[j] = bent_x * fx + cx, bent_y * fy + cy
        else:
            at_x[j], at_y[j] = math.nan, math.nan


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def _fetch_row(
    source: np.ndarray, at_x: np.ndarray, at_y: np.ndarray, lanes: int, top, made: np.ndarray, inside: np.ndarray
) -> None:
    """Fill made [3 W] and inside [W] from source [H, 3 W]: first by columns, over the numbers of 4 neighbouring pixels at once.

    lanes: LANES; known as a number only at run time, the loop over it becomes vector instructions instead of being unrolled.
    """
    height, width = source.shape[0], source.shape[1] // 3
    columns = np.zeros(LANES, np.float32)
    for j in range(at_x.size):
        x, y = at_x[j], at_y[j]
        seen = x >= 0.0 and x <= width and y >= 0.0 and y <= height
        inside[j] = seen
        if not seen:
            made[3 * j] = made[3 * j + 1] = made[3 * j + 2] = 0
            continue
        left, upper = np.int64(math.floor(x - 0.5)), np.int64(math.floor(y - 0.5))
        a0, a1, a2, a3 = _cubic(np.float32(x - 0.5 - left))
        b0, b1, b2, b3 = _cubic(np.float32(y - 0.5 - upper))
        start = 3 * (left - 1)
        if start >= 0 and start + LANES <= 3 * width and upper >= 1 and upper + 2 < height:
            row0, row1 = source[upper - 1, start : start + LANES], source[upper, start : start + LANES]
            row2, row3 = source[upper + 1, start : start + LANES], source[upper + 2, start : start + LANES]
            for c in range(lanes):
                columns[c] = (
                    b0 * np.float32(row0[c])
                    + b1 * np.float32(row1[c])
                    + b2 * np.float32(row2[c])
                    + b3 * np.float32(row3[c])
                )
        else:
            first, second = _clip(upper - 1, height - 1), _clip(upper, height - 1)
            third, last = _clip(upper + 1, height - 1), _clip(upper + 2, height - 1)
            for c in range(12):
                at = 3 * _clip(left - 1 + c // 3, width - 1) + c % 3
                columns[c] = (
                    b0 * np.float32(source[first, at])
                    + b1 * np.float32(source[second, at])
                    + b2 * np.float32(source[third, at])
                    + b3 * np.float32(source[last, at])
                )
        for c in range(3):
            value = a0 * columns[c] + a1 * columns[3 + c] + a2 * columns[6 + c] + a3 * columns[9 + c]
            made[3 * j + c] = np.int32(min(max(value + np.float32(0.5), np.float32(0.0)), top))


def undistort(
    source: np.ndarray,
    lens: np.ndarray,
    k: np.ndarray,
    fisheye: bool,
    limit: float,
    lanes: int,
    top: float,
    made: np.ndarray,
    inside: np.ndarray,
) -> None:
    """Fill made [H, 3 W] and inside [H, W] bool from source [H, 3 W], colours side by side, both uint8 or both uint16.

    lanes: LANES. lens [4]: fx fy cx cy in px. k [8]: coefficients in OpenCV's order. limit: the lens's valid radius.
    top: the largest value.
    """
    run_in_threads(_undistort_rows, inside.shape[0], source, lens, k, fisheye, limit, lanes, top, made, inside)


@njit(cache=True, nogil=True, error_model="numpy")
def _undistort_rows(begin, end, source, lens, k, fisheye, limit, lanes, top, made, inside):
    at_x, at_y = np.empty(inside.shape[1]), np.empty(inside.shape[1])
    for i in range(begin, end):
        _bend_row(i + 0.5, lens, k, fisheye, limit, at_x, at_y)
        _fetch_row(source, at_x, at_y, lanes, np.float32(top), made[i], inside[i])
