"""Class-adaptive scale and offset in one pass over memory; the op is backend.ops.layers.class_affine.

Arithmetic is float32 whatever the features' type.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.layers.constants import EPSILON, SLOPE
from backend.ops.simd import (
    larger,
    load_8,
    load_features,
    multiply,
    multiply_add,
    peek,
    poke,
    splat_8,
    store_features,
    total,
)  # fmt: skip

_EPSILON, _SLOPE = np.float32(EPSILON), np.float32(SLOPE)
_PURE = np.float32(1.0 - 1e-6)  # from this share on a pixel counts as one class


def class_affine(values, shares, noise, table, made, width):
    """See the op; flat arrays, made is written.

    values, made [rows width C] float32 or bfloat16's bits, C a multiple of eight; shares [rows width classes], noise [rows width],
    table [classes 3 C], float32.
    """
    channels = values.size // noise.size
    run_in_threads(_rows, noise.size // width, width, channels, values, shares, noise, table, made)


@njit(cache=True, nogil=True, error_model="numpy")
def _rows(begin, end, width, channels, values, shares, noise, table, made):
    classes = shares.size // noise.size
    blend = np.empty(3 * channels, np.float32)
    for pixel in range(begin * width, end * width):
        start = pixel * channels
        squares = splat_8(np.float32(0))
        for c in range(start, start + channels, 8):
            part = load_features(values, c)
            squares = multiply_add(part, part, squares)
        size = np.float32(1) / np.sqrt(total(squares) / np.float32(channels) + _EPSILON)
        main, first = 0, pixel * classes
        for k in range(1, classes):
            if peek(shares, first + k) > peek(shares, first + main):
                main = k
        if peek(shares, first + main) >= _PURE:
            _apply(values, made, start, channels, size, peek(noise, pixel), table, main * 3 * channels)
        else:
            _blend(shares, first, classes, table, blend)
            _apply(values, made, start, channels, size, peek(noise, pixel), blend, 0)


@njit(cache=True)
def _blend(shares, first, classes, table, blend):
    """The table's rows [3 C], weighted by the shares of one pixel."""
    blend[:] = np.float32(0)
    for k in range(classes):
        share = peek(shares, first + k)
        if share > np.float32(0):
            for c in range(blend.size):
                poke(blend, c, peek(blend, c) + share * peek(table, k * blend.size + c))


@njit(cache=True)
def _apply(values, made, start, channels, size, noise, table, row):
    sizes, noises, slopes = splat_8(size), splat_8(noise), splat_8(_SLOPE)
    for c in range(0, channels, 8):
        scale, offset = load_8(table, row + c), load_8(table, row + channels + c)
        shift = multiply_add(noises, load_8(table, row + 2 * channels + c), offset)
        value = multiply_add(multiply(load_features(values, start + c), sizes), scale, shift)
        store_features(made, start + c, larger(value, multiply(value, slopes)))
