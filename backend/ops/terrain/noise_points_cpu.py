"""Fast twins, in numba, of noise at displaced points: warped gradient noise and Worley noise (see
backend/ops/terrain/noise.py).

A warp moves every pixel by its own amount, so nothing can be shared along a row as in noise_cpu; the keys of
all cells in reach are tabled instead, and a pixel is a pure function of them. Equal to the op for any number of
threads: bit for bit, but for the last bit of Worley's square root, which torch does not round correctly on
every machine.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.hashing_cpu import mix32
from backend.ops.kernel_threads import run_in_threads
from backend.ops.terrain.constants import PERLIN, WORLEY_F1
from backend.ops.terrain.noise_cpu import _LOW16, _ONE, _SQRT2, _TO_JITTER, add_octave, fade, gradient

_FAR = np.float32(1e9)


@njit
def _place(
    shift_x, shift_y, column0, period, global_y, reach, fx, fy, i, j, frequency_x, frequency_y, start_x, start_y
):
    """Cell and place in the cell of each pixel of a row, for one octave."""
    for x in range(fx.size):
        global_x = column0 + x if period == 0 else (column0 + x) % period
        cx = (np.float64(global_x) + np.float64(shift_x[x]) * reach) * frequency_x + start_x
        cy = (np.float64(global_y) + np.float64(shift_y[x]) * reach) * frequency_y + start_y
        ix, iy = np.floor(cx), np.floor(cy)
        fx[x], fy[x] = np.float32(cx - ix), np.float32(cy - iy)
        i[x], j[x] = np.int64(ix), np.int64(iy)


@njit
def _perlin(columns, rows, i, j, first_column, first_row, fx_row, fy_row, axes_only, out):
    for x in range(out.size):
        fx, fy = fx_row[x], fy_row[x]
        c, r = np.uint64(i[x] - first_column), np.uint64(j[x] - first_row)
        left, right, above, below = columns[c], columns[c + np.uint64(1)], rows[r], rows[r + np.uint64(1)]
        gx, gy = gradient(mix32(left ^ above), axes_only)
        n00 = gx * fx + gy * fy
        gx, gy = gradient(mix32(right ^ above), axes_only)
        n10 = gx * (fx - _ONE) + gy * fy
        gx, gy = gradient(mix32(left ^ below), axes_only)
        n01 = gx * fx + gy * (fy - _ONE)
        gx, gy = gradient(mix32(right ^ below), axes_only)
        n11 = gx * (fx - _ONE) + gy * (fy - _ONE)
        u, w = fade(fx), fade(fy)
        top = n00 + u * (n10 - n00)
        bottom = n01 + u * (n11 - n01)
        out[x] = _SQRT2 * (top + w * (bottom - top))


@njit(inline="always")
def _nearer(columns, rows, c, r, dx, dy, fx, fy, first, second):
    h = mix32(columns[np.uint64(c + dx)] ^ rows[np.uint64(r + dy)])
    px = np.float32(dx) + np.float32(np.int32(h & _LOW16)) * _TO_JITTER - fx
    py = np.float32(dy) + np.float32(np.int32(h >> np.uint32(16))) * _TO_JITTER - fy
    d = px * px + py * py
    return min(first, d), min(second, max(first, d))


@njit
def _worley(columns, rows, i, j, first_column, first_row, fx_row, fy_row, second_too, out):
    """Distances to the nearest two of the points, one a cell: 3x3 cells first, the ring around them only where
    a point in it could still be nearer than the second found."""
    for x in range(out.size):
        fx, fy = fx_row[x], fy_row[x]
        c, r = i[x] - first_column, j[x] - first_row
        first, second = _FAR, _FAR
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                first, second = _nearer(columns, rows, c, r, dx, dy, fx, fy, first, second)
        reach = _ONE + min(min(fx, _ONE - fx), min(fy, _ONE - fy))
        if (second if second_too else first) > reach * reach:
            for dy in range(-2, 3):
                for dx in range(-2, 3):
                    if abs(dx) == 2 or abs(dy) == 2:
                        first, second = _nearer(columns, rows, c, r, dx, dy, fx, fy, first, second)
        out[x] = np.sqrt(second) - np.sqrt(first) if second_too else np.sqrt(first)


def noise_points(
    column0, row0, shift_x, shift_y, reach, frequency_x, frequency_y, start_x, start_y, period_x, period_y,
    columns, rows, first_column, first_row, amplitude, basis, kind, axes_only, offset, out,
):  # fmt: skip
    """Fractal noise at pixel (column0 + x, row0 + y) + reach · shift, added octave by octave to ``offset``
    in ``out``.

    shift_x, shift_y: float32 [H, W] pixels; reach: float64 [O], the share of the shift that an octave follows.
    frequency_*, start_*: float64 [O], position in cells = pixel · frequency + start. period_*: pixels, 0 for
    none. columns, rows: uint32 [O, N] cell keys, of which entry 0 is cell first_column[o], first_row[o]. basis:
    PERLIN, WORLEY_F1 or WORLEY_F2_F1; the rest as in gradient_rows.
    """
    run_in_threads(
        _noise_point_rows, out.shape[0],
        column0, row0, shift_x, shift_y, reach, frequency_x, frequency_y, start_x, start_y, period_x, period_y,
        columns, rows, first_column, first_row, amplitude, basis, kind, axes_only, offset, out,
    )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def _noise_point_rows(
    begin, end, column0, row0, shift_x, shift_y, reach, frequency_x, frequency_y, start_x, start_y, period_x, period_y,
    columns, rows, first_column, first_row, amplitude, basis, kind, axes_only, offset, out,
):  # fmt: skip
    width = out.shape[1]
    fx, fy, noise = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    i, j = np.empty(width, np.int64), np.empty(width, np.int64)
    weight = np.empty(width, np.float32)
    for y in range(begin, end):
        weight[:] = _ONE
        global_y = row0 + y if period_y == 0 else (row0 + y) % period_y
        out[y] = offset
        for o in range(amplitude.size):
            _place(
                shift_x[y], shift_y[y], column0, period_x, global_y, reach[o], fx, fy, i, j,
                frequency_x[o], frequency_y[o], start_x[o], start_y[o],
            )  # fmt: skip
            if basis == PERLIN:
                _perlin(columns[o], rows[o], i, j, first_column[o], first_row[o], fx, fy, axes_only, noise)
            else:
                second_too = basis != WORLEY_F1
                _worley(columns[o], rows[o], i, j, first_column[o], first_row[o], fx, fy, second_too, noise)
            add_octave(noise, amplitude[o], kind, weight, out[y])
