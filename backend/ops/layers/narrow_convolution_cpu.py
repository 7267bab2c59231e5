"""A 3x3 convolution to a few numbers per pixel; the op is backend.ops.layers.narrow_convolution. Arithmetic is float32."""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.simd import load_8, load_features, multiply_add, splat_8, total


def narrow_convolution(values, taps, bias, made):
    """See the op; made float32 [B, K, h, w] is written.

    values flat [B h w C], float32 or bfloat16's bits, C a multiple of eight; taps flat [K 3 3 C] and bias [K] float32.
    """
    count, kinds, height, width = made.shape
    run_in_threads(_rows, count * height, height, width, taps.size // (9 * kinds), values, taps, bias, made)


@njit(cache=True, nogil=True)
def _rows(begin, end, height, width, channels, values, taps, bias, made):
    for row in range(begin, end):
        image, y = row // height, row % height
        top, bottom = max(y - 1, 0), min(y + 1, height - 1)
        for k in range(bias.size):
            target = made[image, k, y]
            for x in range(width):
                left, right = max(x - 1, 0), min(x + 1, width - 1)
                sums = splat_8(np.float32(0))
                for v in range(top, bottom + 1):
                    at = ((image * height + v) * width + left) * channels
                    tap = ((k * 3 + v - y + 1) * 3 + left - x + 1) * channels
                    for c in range(
                        0, (right - left + 1) * channels, 8
                    ):  # neighbours lie one after the other, as taps do
                        sums = multiply_add(load_features(values, at + c), load_8(taps, tap + c), sums)
                target[x] = total(sums) + bias[k]
