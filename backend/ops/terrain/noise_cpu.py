"""Fast twins, in numba, of the noise in backend/ops/terrain/noise.py: equal to it bit for bit, for any number of threads.

Gradient noise is linear in the gradients, so its interpolation along x can be done once per lattice row instead
of once per pixel: row j of the lattice becomes two curves A_j(x), B_j(x) with noise(x, y) = (1-w)(A_j + f B_j)
+ w(A_j+1 + (f-1) B_j+1), where f is the place between the lattice rows and w its fade. A pixel then costs four
products an octave, and the hash is paid once per lattice row: the finest octave of 8 costs half of all hashing.
All loops run along x over contiguous float32 and vectorise; no fastmath, because fused or reordered sums would
differ between a loop's body and its tail.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.hashing_cpu import mix32
from backend.ops.kernel_threads import run_in_threads
from backend.ops.terrain.constants import BILLOW, FBM, SINE, SQRT2

BAND = 64  # rows computed together by one thread; a pure matter of speed

_ONE = np.float32(1.0)
_TWO = np.float32(2.0)
_SIX = np.float32(6.0)
_TEN = np.float32(10.0)
_FIFTEEN = np.float32(15.0)
_SQRT2 = np.float32(SQRT2)
_TO_UNIT = np.float32(2.0**-31)
_TO_JITTER = np.float32(2.0**-16)
_QUARTER = np.uint32(0x40000000)
_S0, _S1, _S2 = np.float32(SINE[0]), np.float32(SINE[1]), np.float32(SINE[2])
_LOW16 = np.uint32(0xFFFF)


@njit(inline="always")
def _sine(h):
    u = np.float32(np.int32(h)) * _TO_UNIT
    s = u * u
    return u * (_ONE - s) * (_S0 + s * (_S1 + s * _S2))


@njit(inline="always")
def gradient(h, axes_only):
    if axes_only:
        along_x = (h >> np.uint32(30)) & np.uint32(1)
        sign = _ONE - _TWO * np.float32(np.int32(h >> np.uint32(31)))
        g = np.float32(np.int32(along_x))
        return sign * g, sign * (_ONE - g)
    return _sine(h), _sine(np.uint32(h + _QUARTER))


@njit(inline="always")
def fade(f):
    return f * f * f * (f * (f * _SIX - _FIFTEEN) + _TEN)


@njit
def _lattice_row(left, right, frac, row_key, axes_only, a, b):
    for x in range(a.size):
        g0x, g0y = gradient(mix32(left[x] ^ row_key), axes_only)
        g1x, g1y = gradient(mix32(right[x] ^ row_key), axes_only)
        f = frac[x]
        u = fade(f)
        p = g0x * f
        a[x] = p + u * (g1x * (f - _ONE) - p)
        b[x] = g0y + u * (g1y - g0y)


@njit
def _blend_rows(a0, b0, a1, b1, c0, c1, c2, c3, out):
    for x in range(out.size):
        out[x] = c0 * a0[x] + c1 * b0[x] + (c2 * a1[x] + c3 * b1[x])


@njit
def _add_fbm(n, amplitude, out):
    for x in range(out.size):
        out[x] += amplitude * n[x]


@njit
def _blend_add_fbm(a0, b0, a1, b1, c0, c1, c2, c3, amplitude, out):
    for x in range(out.size):
        out[x] += amplitude * (c0 * a0[x] + c1 * b0[x] + (c2 * a1[x] + c3 * b1[x]))


@njit
def _add_billow(n, amplitude, out):
    for x in range(out.size):
        out[x] += amplitude * abs(n[x])


@njit
def _add_ridged(n, amplitude, weight, out):
    for x in range(out.size):
        crest = _ONE - abs(n[x])
        crest = crest * crest * weight[x]
        weight[x] = min(crest * _TWO, _ONE)
        out[x] += amplitude * crest


@njit
def add_octave(n, amplitude, kind, weight, out):
    """Add one octave n (float32 [W]) to out; weight carries a ridged sum's memory from octave to octave and
    starts at 1."""
    if kind == FBM:
        _add_fbm(n, amplitude, out)
    elif kind == BILLOW:
        _add_billow(n, amplitude, out)
    else:
        _add_ridged(n, amplitude, weight, out)


def gradient_rows(left, right, frac, cells, below, above, rise, amplitude, kind, axes_only, offset, out):
    """Fractal gradient noise on an upright grid, added octave by octave to ``offset`` in ``out`` (float32 [H, W]).

    left, right: uint32 [O, W] keys of each pixel's lattice columns; frac: float32 [O, W] place between them.
    cells: int64 [O, H] lattice row; below, above: uint32 [O, H] keys of it and of the next; rise: float32 [O,
    H] place between. amplitude: float32 [O]; kind: FBM, BILLOW or RIDGED; axes_only: four gradients along the
    axes instead of all directions.
    """
    run_in_threads(
        _gradient_bands, (out.shape[0] + BAND - 1) // BAND,
        left, right, frac, cells, below, above, rise, amplitude, kind, axes_only, offset, out,
    )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def _gradient_bands(
    begin, end, left, right, frac, cells, below, above, rise, amplitude, kind, axes_only, offset, out
):  # fmt: skip
    octaves = amplitude.size
    height, width = out.shape
    for band in range(begin, end):
        curves = np.empty((octaves, 2, 2, width), np.float32)  # [octave, parity of the lattice row, A or B, x]
        noise = np.empty(width, np.float32)
        weight = np.empty(width, np.float32)
        held = np.zeros(octaves, np.int64)
        for y in range(band * BAND, min(height, (band + 1) * BAND)):
            row = out[y]
            row[:] = offset
            weight[:] = _ONE
            first = y == band * BAND
            for o in range(octaves):
                cell = cells[o, y]
                low, high = cell & 1, (cell + 1) & 1
                curve = curves[o]
                if first or (cell != held[o] and cell != held[o] + 1):
                    _lattice_row(left[o], right[o], frac[o], below[o, y], axes_only, curve[low, 0], curve[low, 1])
                if first or cell != held[o]:
                    _lattice_row(left[o], right[o], frac[o], above[o, y], axes_only, curve[high, 0], curve[high, 1])
                held[o] = cell
                a0, b0, a1, b1 = curve[low, 0], curve[low, 1], curve[high, 0], curve[high, 1]
                f = rise[o, y]
                w = fade(f)
                c0, c2 = _SQRT2 * (_ONE - w), _SQRT2 * w
                c1, c3 = c0 * f, c2 * (f - _ONE)
                if kind == FBM:  # one pass instead of two
                    _blend_add_fbm(a0, b0, a1, b1, c0, c1, c2, c3, amplitude[o], row)
                    continue
                _blend_rows(a0, b0, a1, b1, c0, c1, c2, c3, noise)
                add_octave(noise, amplitude[o], kind, weight, row)
