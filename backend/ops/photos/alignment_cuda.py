"""The normal equations of photographs' displacements, on a card: a block of threads a cell, its pixels dealt among them.

Every thread sums its pixels in their order, and the threads' sums are added up in theirs: the same bytes every run. Described in
alignment.py; the products are alignment_plain.py's.
"""

from __future__ import annotations

import math

import numpy as np

from backend.ops.cuda_kernels import SIMULATED, cuda, device_function, kernel
from backend.ops.photos.constants import COLUMNS, PAIRS

BLOCK = 8 if SIMULATED else 128
PITCH = BLOCK + 1  # no two terms of a thread in one bank
# What a thread sums of its pixels: xx, xy, yy by the shares of the cell's row (high², high low, low²) and column (the same), then
# x r and y r by those of its row (high, low) and column, then weight and weighted r².
FORCES, TOTALS, SUMS = 27, 35, 37

_ZERO = np.float32(0)


@kernel
def gather(model, pixels, factor, shift, weights, knee, cell, first_row, first, last, cells):
    """Add rows first to last - 1 of strips to cells [B, gy - 1, gx - 1, COLUMNS] float64; a block of BLOCK threads a cell.

    model [B, h, W, 3], pixels [B, h, W, 3], weights [B, h, W]; factor * pixels + shift [B, 3]: the texture's colours.
    """
    shared = cuda.shared.array((SUMS, PITCH), np.float64)
    lane, block = cuda.threadIdx.x, cuda.blockIdx.x
    own_column, rest = block % cells.shape[2], block // cells.shape[2]
    own_row, photograph = rest % cells.shape[1], rest // cells.shape[1]
    sums = cuda.local.array(SUMS, np.float64)
    for term in range(SUMS):
        sums[term] = 0.0
    top, bottom = _span(own_row, cells.shape[1], cell, first_row, max(first, 1), min(last, weights.shape[1] - 1))
    left, right = _span(own_column, cells.shape[2], cell, 0, 1, weights.shape[2] - 1)
    across = max(right - left, 1)
    for pixel in range(lane, across * max(bottom - top, 0), cuda.blockDim.x):
        row, column = top + pixel // across, left + pixel % across
        y, x = (first_row + row + 0.5) / cell, (column + 0.5) / cell
        inside = min(int(y), cells.shape[1] - 1) == own_row and min(int(x), cells.shape[2] - 1) == own_column
        if column < right and inside and weights[photograph, row, column] > _ZERO:
            _add_pixel(
                model, pixels, factor, shift, weights, knee, photograph, row, column, y - own_row, x - own_column, sums
            )
    for term in range(SUMS):
        shared[term, lane] = sums[term]
    cuda.syncthreads()
    for term in range(lane, SUMS, cuda.blockDim.x):
        total = 0.0
        for other in range(cuda.blockDim.x):
            total += shared[term, other]
        shared[term, 0] = total
    cuda.syncthreads()
    for place in range(lane, COLUMNS, cuda.blockDim.x):
        cells[photograph, own_row, own_column, place] += _column(shared, place)


@device_function
def _span(own, count, cell, before, begin, end):
    """The pixels along an axis that may lie in a cell, a pixel more to each side, within begin to end - 1."""
    low = max(np.int64(math.floor(own * cell)) - 1 - before, begin)
    high = end if own == count - 1 else min(np.int64(math.ceil((own + 1) * cell)) + 1 - before, end)
    return low, high


@device_function
def _color(pixels, factor, photograph, row, column, channel):
    return np.float32(pixels[photograph, row, column, channel]) * factor[photograph, channel]


@device_function
def _add_pixel(model, pixels, factor, shift, weights, knee, photograph, row, column, low, second, sums):
    xx, xy, yy, xr, yr, square = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    for channel in range(3):
        shown = _color(pixels, factor, photograph, row, column, channel) + shift[photograph, channel]
        gap = model[photograph, row, column, channel] - shown
        gx = _both(model, pixels, factor, photograph, row, column + 1, channel) - _both(
            model, pixels, factor, photograph, row, column - 1, channel
        )
        gy = _both(model, pixels, factor, photograph, row + 1, column, channel) - _both(
            model, pixels, factor, photograph, row - 1, column, channel
        )
        xx, xy, yy = xx + gx * gx, xy + gx * gy, yy + gy * gy
        xr, yr, square = xr + gx * gap, yr + gy * gap, square + gap * gap
    if not xx + yy + square >= _ZERO:  # a neighbour is missing
        return
    length = max(np.float32(math.sqrt(square)), np.float32(knee))
    weight = weights[photograph, row, column] * np.float32(knee) / length
    high, first = 1.0 - low, 1.0 - second
    xx, xy, yy, xr, yr = weight * xx, weight * xy, weight * yy, weight * xr, weight * yr
    for part in range(9):
        down = high * high if part < 3 else high * low if part < 6 else low * low
        turn = part % 3
        share = down * (first * first if turn == 0 else first * second if turn == 1 else second * second)
        sums[3 * part] += share * xx
        sums[3 * part + 1] += share * xy
        sums[3 * part + 2] += share * yy
    for corner in range(4):
        share = (high if corner < 2 else low) * (first if corner % 2 == 0 else second)
        sums[FORCES + 2 * corner] += share * xr
        sums[FORCES + 2 * corner + 1] += share * yr
    sums[TOTALS] += weight
    sums[TOTALS + 1] += weight * square


@device_function
def _both(model, pixels, factor, photograph, row, column, channel):
    """Model and photograph together, four times whose mean's gradient the differences are."""
    return model[photograph, row, column, channel] + _color(pixels, factor, photograph, row, column, channel)


@device_function
def _column(sums, place):
    """A number of a cell from its sums; which factors a pair of corners takes says alignment_plain.PAIR_FACTORS."""
    if place >= 3 * PAIRS + 8:
        return sums[TOTALS + place - 3 * PAIRS - 8, 0]
    if place >= 3 * PAIRS:
        return 0.25 * sums[FORCES + place - 3 * PAIRS, 0]
    pair, term = place // 3, place % 3
    part = pair if pair < 2 else 3 if pair == 2 else 4 if pair == 3 else 2 if pair == 4 else pair - 1
    return 0.0625 * sums[3 * part + term, 0]
