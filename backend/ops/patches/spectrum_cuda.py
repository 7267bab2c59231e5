"""The power of a cosine transform by bands, and its correction, on NVIDIA cards; the op is backend.ops.patches.spectrum.

A row's frequencies of one band lie side by side, and one thread adds them up: sums by atomic operations would differ in the last
place from run to run. No map of frequencies is kept.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import cuda, device_function, kernel
from backend.ops.patches.constants import BANDS_PER_OCTAVE, HIGHEST_FREQUENCY


def band_power(transformed: Tensor, bands: int) -> Tensor:
    """Mean power [bands] float64 of a cosine transform [H, W] float32; nan where a band holds no frequency."""
    sums = torch.empty(2, transformed.shape[0], bands, dtype=torch.float64, device=transformed.device)
    _add_row.launch((bands, transformed.shape[0]), transformed, sums)
    power, count = sums.sum(1).unbind()
    return power / count


def scaled(transformed: Tensor, log_gain: Tensor) -> Tensor:
    """A cosine transform [H, W] float32 times the gain of each frequency, in place. log_gain [bands + 1] float64: at the middle of
    each band, linear between them in the log and level beyond."""
    _scale.launch(tuple(transformed.shape), transformed, log_gain)
    return transformed


@device_function
def _octaves(row, column, height, width):
    """Octaves below HIGHEST_FREQUENCY of a coefficient, the corners (above it) at it."""
    if row == 0 and column == 0:
        return math.log2(HIGHEST_FREQUENCY / 1e-9)
    down, across = row / (2.0 * height), column / (2.0 * width)
    return max(math.log2(HIGHEST_FREQUENCY / math.sqrt(down * down + across * across)), 0.0)


@device_function
def _first_below(row, height, width, band):
    """The first column of a row whose frequency lies in that band or a higher one."""
    low, high = 0, width
    while low < high:
        middle = (low + high) // 2
        # a frequency on the border of two bands goes to the lower one on every device, whatever its last bit
        if math.floor(_octaves(row, middle, height, width) * BANDS_PER_OCTAVE + 1e-9) > band:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _add_row(transformed, sums):
    """Squares and their number, by row and band."""
    row, band = cuda.grid(2)
    height, width = transformed.shape
    if row >= height or band >= sums.shape[2]:
        return
    start, total = _first_below(row, height, width, band), 0.0
    stop = width if band == 0 else _first_below(row, height, width, band - 1)
    for column in range(start, stop):
        value = np.float64(transformed[row, column])
        total += value * value
    sums[0, row, band] = total
    sums[1, row, band] = stop - start


@kernel
def _scale(transformed, log_gain):
    x, y = cuda.grid(2)
    height, width = transformed.shape
    if y < height and x < width:
        last = log_gain.size - 1
        at = min(max(_octaves(y, x, height, width) * BANDS_PER_OCTAVE - 0.5, 0.0), float(last))
        low = min(int(at), last - 1)
        gain = log_gain[low] + (at - low) * (log_gain[low + 1] - log_gain[low])
        transformed[y, x] *= math.exp(gain)
