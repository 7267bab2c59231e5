"""Bilinear samples of a stack of texture levels and their transpose, on the CPU: out of the levels, and back into them.

Levels lie one after another as texels [P, 3], so that a sample's two texels of a row are neighbours in memory. Going back,
blocks of rows of texels are assigned to bands; each band is one thread's and takes its samples in their order, and chunks of
samples that have nothing for a band are passed over: the bytes do not depend on the number of threads. These kernels
know only arrays; backend/ops/texels/sampling.py holds the plain form that they must equal.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads

CHUNK = 128  # samples
BANDS = 64  # bits of a chunk's mask
BLOCK_ROWS = 16


@njit(inline="always")
def _first_level(level, levels, summed):
    """The finest level of a sample, how many it takes, and the weight of the second of two."""
    if summed:
        return 0, levels, 0.0
    place = min(max(level, 0.0), levels - 1.0)
    first = min(int(place), max(levels - 2, 0))
    part = place - first
    return first, 2 if part > 0 else 1, part


@njit(inline="always")
def _taps(u, v, sizes, k):
    """Column and row of a sample's first texel in level k, steps to the second, and the parts of the second."""
    size, scale = sizes[k], sizes[0] / (1 << k)
    x = min(max(u * scale - 0.5, 0.0), size - 1.0)
    y = min(max((1.0 - v) * scale - 0.5, 0.0), size - 1.0)
    left, top = int(x), int(y)
    return left, top, min(left + 1, size - 1) - left, min(top + 1, size - 1) - top, x - left, y - top


def gather(texels, offsets, sizes, uv, level, out):
    """out [n, 3] = colours at uv [n, 2], 0 where it is NaN.

    texels [P, 3]; level k is sizes[k]² of them from offsets[k] on, rows from the top, each 2^k of level 0 wide.
    level [n]: which level, fractions between two; of shape [0]: the sum of all levels.
    """
    run_in_threads(_gather_samples, uv.shape[0], texels, offsets, sizes, uv, level, out)


@njit(cache=True, nogil=True, error_model="numpy")
def _gather_samples(begin, end, texels, offsets, sizes, uv, level, out):
    summed = level.size == 0
    for n in range(begin, end):
        out[n, 0] = out[n, 1] = out[n, 2] = 0
        if np.isnan(uv[n, 0]) or np.isnan(uv[n, 1]):
            continue
        first, count, part = _first_level(0.0 if summed else level[n], sizes.size, summed)
        for k in range(first, first + count):
            weight = 1.0 if summed else (part if k > first else 1.0 - part)
            left, top, right, down, fx, fy = _taps(uv[n, 0], uv[n, 1], sizes, k)
            a = offsets[k] + top * sizes[k] + left
            b = a + down * sizes[k]
            wa, wb = weight * (1.0 - fy), weight * fy
            for c in range(3):
                out[n, c] += wa * ((1.0 - fx) * texels[a, c] + fx * texels[a + right, c]) + wb * (
                    (1.0 - fx) * texels[b, c] + fx * texels[b + right, c]
                )


@njit(inline="always")
def _band(row):
    return (row // BLOCK_ROWS) % BANDS


def scatter(texels, offsets, sizes, uv, level, values):
    """texels += the transpose of gather applied to values [n, 3]; arguments as there. In place."""
    first_row = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes[:-1], dtype=np.int64)))
    masks = np.zeros((uv.shape[0] + CHUNK - 1) // CHUNK, np.uint64)
    run_in_threads(_find_bands, masks.size, sizes, uv, level, first_row, masks)
    run_in_threads(_scatter_bands, BANDS, texels, offsets, sizes, uv, level, values, first_row, masks)


@njit(cache=True, nogil=True, error_model="numpy")
def _find_bands(begin, end, sizes, uv, level, first_row, masks):
    """Of each chunk of samples the bands that it has something for, a bit each."""
    summed, samples, levels = level.size == 0, uv.shape[0], sizes.size
    for chunk in range(begin, end):
        mask = np.uint64(0)
        for n in range(chunk * CHUNK, min((chunk + 1) * CHUNK, samples)):
            if np.isnan(uv[n, 0]) or np.isnan(uv[n, 1]):
                continue
            first, count, _ = _first_level(0.0 if summed else level[n], levels, summed)
            for k in range(first, first + count):
                _, top, _, down, _, _ = _taps(uv[n, 0], uv[n, 1], sizes, k)
                mask |= np.uint64(1) << np.uint64(_band(first_row[k] + top))
                mask |= np.uint64(1) << np.uint64(_band(first_row[k] + top + down))
        masks[chunk] = mask


@njit(cache=True, nogil=True, error_model="numpy")
def _scatter_bands(begin, end, texels, offsets, sizes, uv, level, values, first_row, masks):
    summed, samples, levels = level.size == 0, uv.shape[0], sizes.size
    for band in range(begin, end):
        for chunk in range(masks.size):
            if not (masks[chunk] >> np.uint64(band)) & np.uint64(1):
                continue
            for n in range(chunk * CHUNK, min((chunk + 1) * CHUNK, samples)):
                if np.isnan(uv[n, 0]) or np.isnan(uv[n, 1]):
                    continue
                first, count, part = _first_level(0.0 if summed else level[n], levels, summed)
                for k in range(first, first + count):
                    weight = 1.0 if summed else (part if k > first else 1.0 - part)
                    left, top, right, down, fx, fy = _taps(uv[n, 0], uv[n, 1], sizes, k)
                    for row in range(2):
                        y, wy = (top + down, weight * fy) if row else (top, weight * (1.0 - fy))
                        if _band(first_row[k] + y) != band:
                            continue
                        a = offsets[k] + y * sizes[k] + left
                        for c in range(3):
                            texels[a, c] += wy * (1.0 - fx) * values[n, c]
                            texels[a + right, c] += wy * fx * values[n, c]
