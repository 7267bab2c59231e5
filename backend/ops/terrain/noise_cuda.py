"""Noise on a card: all octaves of a pixel in one thread, so that a map is one launch that writes each height once.

Gradient noise takes a run of pixels down a column: along it the gradients change only with the lattice row, and are hashed only
then (noise_cpu has the closed form). Displaced points, warped or Worley's, take a pixel each. Keys are hashed where they are
needed, not read from tables, so that nothing has to be known on the host, such as how far a warp reaches. Equal to noise_plain to
rounding.

`steps`, `keys`: of the lattices, see noise.DeviceLattices.
"""

from __future__ import annotations

import math

import numpy as np

from backend.ops.cuda_kernels import cuda, device_function, kernel
from backend.ops.hashing_cuda import mix32, splitmix64
from backend.ops.terrain.constants import BILLOW, FBM, PERLIN, SINE, SQRT2, WORLEY_F1

RUN = 16  # pixels down a column for one thread

_ZERO, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
_SIX, _TEN, _FIFTEEN = np.float32(6.0), np.float32(10.0), np.float32(15.0)
_SQRT2, _FAR = np.float32(SQRT2), np.float32(1e9)
_TO_UNIT, _TO_JITTER = np.float32(2.0**-31), np.float32(2.0**-16)
_S0, _S1, _S2 = np.float32(SINE[0]), np.float32(SINE[1]), np.float32(SINE[2])
_QUARTER, _LOW16 = np.uint32(0x40000000), np.uint32(0xFFFF)


@kernel
def gradient_runs(x0, y0, steps, keys, amplitude, kind, axes_only, offset, out):
    """Fractal gradient noise of pixels (x0 + x, y0 + y), added octave by octave to `offset`, in `out` (float32 [H, W]).

    Threads: [runs down, W]. amplitude: float32 [O]; kind: FBM, BILLOW or RIDGED.
    """
    x, run = cuda.grid(2)
    top = run * RUN
    if x >= out.shape[1] or top >= out.shape[0]:
        return
    count = min(RUN, out.shape[0] - top)
    total = cuda.local.array(RUN, np.float32)
    weight = cuda.local.array(RUN, np.float32)
    for n in range(count):
        total[n] = offset
        weight[n] = _ONE
    for o in range(amplitude.size):
        column, fx = _locate(np.float64(_wrapped(x0 + x, keys[o, 0, 1])), steps, o, 0)
        left, right = _key(column, keys, o, 0), _key(column + 1, keys, o, 0)
        u = _fade(fx)
        held = np.int64(0)
        a0, b0, a1, b1 = _ZERO, _ZERO, _ZERO, _ZERO  # what the lattice row above and the one below make of this column
        for n in range(count):
            row, fy = _locate(np.float64(_wrapped(y0 + top + n, keys[o, 1, 1])), steps, o, 1)
            if n == 0 or row != held:
                if n > 0 and row == held + 1:
                    a0, b0 = a1, b1
                else:
                    a0, b0 = _lattice_row(left, right, _key(row, keys, o, 1), fx, u, axes_only)
                a1, b1 = _lattice_row(left, right, _key(row + 1, keys, o, 1), fx, u, axes_only)
                held = row
            w = _fade(fy)
            c0, c2 = _SQRT2 * (_ONE - w), _SQRT2 * w
            noise = c0 * a0 + c0 * fy * b0 + (c2 * a1 + c2 * (fy - _ONE) * b1)
            total[n], weight[n] = _added(noise, amplitude[o], kind, total[n], weight[n])
    for n in range(count):
        out[top + n, x] = total[n]


@kernel
def points(x0, y0, shift_x, shift_y, reach, steps, keys, amplitude, basis, kind, axes_only, offset, out):
    """Fractal noise at pixel (x0 + x, y0 + y) + reach · shift, added octave by octave to `offset`, in `out` (float32 [H, W]).

    shift_x, shift_y: float32 [H, W] pixels; reach: float64 [O], the share of the shift that an octave follows. basis: PERLIN,
    WORLEY_F1 or WORLEY_F2_F1; the rest as in gradient_runs.
    """
    x, y = cuda.grid(2)
    if x >= out.shape[1] or y >= out.shape[0]:
        return
    total, weight = np.float32(offset), _ONE
    dx, dy = np.float64(shift_x[y, x]), np.float64(shift_y[y, x])
    for o in range(amplitude.size):
        column, fx = _locate(np.float64(_wrapped(x0 + x, keys[o, 0, 1])) + dx * reach[o], steps, o, 0)
        row, fy = _locate(np.float64(_wrapped(y0 + y, keys[o, 1, 1])) + dy * reach[o], steps, o, 1)
        if basis == PERLIN:
            noise = _perlin(column, row, fx, fy, keys, o, axes_only)
        else:
            noise = _worley(column, row, fx, fy, keys, o, basis != WORLEY_F1)
        total, weight = _added(noise, amplitude[o], kind, total, weight)
    out[y, x] = total


# Lattices ------------------------------------------------------------------------------------------------------------


@device_function
def _wrapped(number, period):
    """A pixel's or a cell's number, brought into the first period where there is one."""
    return number if period == 0 else number % period


@device_function
def _locate(pixel, steps, o, axis):
    """Cell and place in the cell (float32) of a pixel on one axis of octave o."""
    position = pixel * steps[o, axis, 0] + steps[o, axis, 1]
    cell = math.floor(position)
    return np.int64(cell), np.float32(position - cell)


@device_function
def _key(cell, keys, o, axis):
    """The random key (uint32) of a cell: see lattice.cell_keys."""
    number = np.int64(_wrapped(cell, keys[o, axis, 2])) ^ keys[o, axis, 0]
    return np.uint32(splitmix64(np.uint64(number)) >> np.uint64(32))


# Bases ---------------------------------------------------------------------------------------------------------------


@device_function
def _sine(h):
    u = np.float32(np.int32(h)) * _TO_UNIT
    s = u * u
    return u * (_ONE - s) * (_S0 + s * (_S1 + s * _S2))


@device_function
def _gradient(h, axes_only):
    if axes_only:
        along_x = np.float32((h >> np.uint32(30)) & np.uint32(1))
        sign = _ONE - _TWO * np.float32(h >> np.uint32(31))
        return sign * along_x, sign * (_ONE - along_x)
    return _sine(h), _sine(np.uint32(h + _QUARTER))


@device_function
def _fade(f):
    return f * f * f * (f * (f * _SIX - _FIFTEEN) + _TEN)


@device_function
def _lattice_row(left, right, row_key, f, u, axes_only):
    """What one lattice row makes of a column: A and B of noise_cpu's closed form."""
    g0x, g0y = _gradient(mix32(left ^ row_key), axes_only)
    g1x, g1y = _gradient(mix32(right ^ row_key), axes_only)
    p = g0x * f
    return p + u * (g1x * (f - _ONE) - p), g0y + u * (g1y - g0y)


@device_function
def _perlin(column, row, fx, fy, keys, o, axes_only):
    left, right = _key(column, keys, o, 0), _key(column + 1, keys, o, 0)
    above, below = _key(row, keys, o, 1), _key(row + 1, keys, o, 1)
    u, w = _fade(fx), _fade(fy)
    a0, b0 = _lattice_row(left, right, above, fx, u, axes_only)
    a1, b1 = _lattice_row(left, right, below, fx, u, axes_only)
    upper, lower = a0 + b0 * fy, a1 + b1 * (fy - _ONE)
    return _SQRT2 * (upper + w * (lower - upper))


@device_function
def _worley(column, row, fx, fy, keys, o, second_too):
    """Distance to the nearest of the points, one a cell, or how much further the second is: 5 x 5 cells hold both."""
    across = cuda.local.array(5, np.uint32)
    for d in range(5):
        across[d] = _key(column + d - 2, keys, o, 0)
    first, second = _FAR, _FAR
    for dy in range(-2, 3):
        down = _key(row + dy, keys, o, 1)
        for dx in range(-2, 3):
            h = mix32(across[dx + 2] ^ down)
            px = np.float32(dx) + np.float32(h & _LOW16) * _TO_JITTER - fx
            py = np.float32(dy) + np.float32(h >> np.uint32(16)) * _TO_JITTER - fy
            d2 = px * px + py * py
            second = min(second, max(first, d2))
            first = min(first, d2)
    return np.float32(math.sqrt(second) - math.sqrt(first)) if second_too else np.float32(math.sqrt(first))


@device_function
def _added(noise, amplitude, kind, total, weight):
    """The sum with one octave more, and the memory of a ridged sum, which starts at 1."""
    if kind == FBM:
        return total + amplitude * noise, weight
    if kind == BILLOW:
        return total + amplitude * abs(noise), weight
    crest = _ONE - abs(noise)
    crest = crest * crest * weight
    return total + amplitude * crest, min(crest * _TWO, _ONE)
