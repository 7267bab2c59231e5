"""The normal equations of a photograph's displacement, by cell of its grid of nodes; described in backend/ops/photos/alignment.py.

A strip is cut into spans of rows that lie in one row of cells. A span belongs to one thread and is summed apart; the sums are
added up in one order: no byte depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from backend.ops.kernel_threads import parallel_loop
from backend.ops.photos.constants import COLUMNS, PAIRS
from backend.ops.simd import (
    divide,
    larger,
    load_16,
    multiply,
    multiply_add,
    njit_no_refcount,
    peek,
    poke,
    splat_16,
    square_root,
    store,
    where_positive,
)

SPAN = 32  # rows at most that are summed in float32 before they go on in float64
BLOCK = 64  # columns that are decoded at a time: with SPAN rows they stay in a core's first caches
LANES = 16
_PITCH = BLOCK + LANES  # of a decoded row: a column more to each side, and what the last lanes read beyond
_SUMS = 15  # of a column of pixels: g g (3) by the share of row (3), g r (2) by the share of row (2), weight, weighted residual²


@parallel_loop
def accumulate(model, pixels, scale, gain, offset, weights, knee, cell, first_row, first, last, cells):
    """Add rows first to last - 1 of a strip to cells float64 [gy - 1, gx - 1, COLUMNS].

    model [h, W, 3] float32: the texture as this photograph would show it, NaN where it sees none. pixels [h, W, 3]: as
    decoded; scale brings them to 0..1, gain and offset [3] to the texture's colours. weights [h, W]. knee: residuals above
    it weigh less (Huber). cell: px. first_row: of the photograph, of the strip's row 0. Pixels without four neighbours
    have no gradient and are left out.
    """
    starts, owners = _cut_into_spans(max(first, 1), min(last, weights.shape[0] - 1), first_row, cell, cells.shape[0])
    sums = np.zeros((len(owners), cells.shape[1], COLUMNS))
    for span in prange(len(owners)):
        _add_span(
            model, pixels, scale, gain, offset, weights, knee, cell, first_row, starts[span], starts[span + 1],
            owners[span], sums[span],
        )  # fmt: skip
    for span in range(len(owners)):
        for column in range(cells.shape[1]):
            for k in range(COLUMNS):
                cells[owners[span], column, k] += sums[span, column, k]


@njit(cache=True)
def _cut_into_spans(first, last, first_row, cell, rows):
    """Where spans begin (the last one's end after them), and in which row of cells each lies."""
    starts, owners = np.empty(max(last - first, 0) + 1, np.int64), np.empty(max(last - first, 0), np.int64)
    count = 0
    for i in range(first, last):
        owner = min(int((first_row + i + 0.5) / cell), rows - 1)
        if count == 0 or owner != owners[count - 1] or i - starts[count - 1] == SPAN:
            starts[count], owners[count] = i, owner
            count += 1
    starts[count] = last
    return starts[: count + 1], owners[:count]


@njit(cache=True)
def _add_span(model, pixels, scale, gain, offset, weights, knee, cell, first_row, top, end, owner, cells):
    """Add rows top to end - 1, all of them in one row of cells, to that row's cells [gx - 1, COLUMNS]."""
    width, rows = weights.shape[1], end - top
    factor, shift = (gain * scale).astype(np.float32), offset.astype(np.float32)
    # of each decoded row and channel: model + photograph, for gradients, then model - photograph; the row 0 is top - 1
    decoded = np.zeros((rows + 2) * 6 * _PITCH, np.float32)
    weighed = np.empty(rows * BLOCK, np.float32)
    below, columns = np.empty(rows, np.float32), np.empty(_SUMS * LANES, np.float32)
    for i in range(rows):
        below[i] = (first_row + top + i + 0.5) / cell - owner
    for left in range(1, width - 1, BLOCK):
        count = min(BLOCK, width - 1 - left)
        if not _copy_weights(weights[top:end, left : left + count], weighed):
            continue
        for i in range(rows + 2):
            own = decoded[i * 6 * _PITCH : (i + 1) * 6 * _PITCH]
            across = slice(left - 1, left + count + 1)
            _decode(model[top - 1 + i, across], pixels[top - 1 + i, across], factor, shift, own)
        for begin in range(0, count, LANES):
            _sum_columns(decoded, weighed, below, begin, np.float32(knee), columns)
            for j in range(min(LANES, count - begin)):
                x = (left + begin + j + 0.5) / cell
                column = min(int(x), cells.shape[0] - 1)
                _add_column(columns, j, x - column, cells[column])


@njit(cache=True)
def _copy_weights(weights, weighed):
    """Rows [rows, up to BLOCK] of weights, 0 after them; whether any counts."""
    seen = 0
    for i in range(weights.shape[0]):
        own, given = weighed[i * BLOCK : (i + 1) * BLOCK], weights[i]
        for j in range(given.size):
            own[j] = given[j]
            seen += given[j] > 0
        own[given.size :] = 0
    return seen > 0


@njit(cache=True)
def _decode(model, pixels, factor, shift, own):
    """A row [up to BLOCK + 2, 3] into six rows of _PITCH."""
    for k in range(3):
        both, gap = own[k * _PITCH : (k + 1) * _PITCH], own[(3 + k) * _PITCH : (4 + k) * _PITCH]
        one, add = factor[k], shift[k]
        for j in range(model.shape[0]):
            shown = one * np.float32(pixels[j, k])
            both[j] = model[j, k] + shown
            gap[j] = model[j, k] - (shown + add)


@njit_no_refcount
def _sum_columns(decoded, weighed, below, begin, knee, columns):
    """The sums of sixteen columns of pixels over the rows of a span: columns [_SUMS, 16], written.

    A gradient is half of the model's central difference and half of the photograph's.
    """
    none, one, minus = splat_16(np.float32(0)), splat_16(np.float32(1)), splat_16(np.float32(-1))
    most = splat_16(knee)
    xx_0 = xx_1 = xx_2 = xy_0 = xy_1 = xy_2 = yy_0 = yy_1 = yy_2 = none
    xr_0 = xr_1 = yr_0 = yr_1 = weight_sum = square_sum = none
    for i in range(below.size):
        here = (i + 1) * 6 * _PITCH + begin + 1
        xx, xy, yy, xr, yr, square = none, none, none, none, none, none
        for k in range(3):
            at = here + k * _PITCH
            gap = load_16(decoded, at + 3 * _PITCH)
            gx = multiply_add(load_16(decoded, at - 1), minus, load_16(decoded, at + 1))
            gy = multiply_add(load_16(decoded, at - 6 * _PITCH), minus, load_16(decoded, at + 6 * _PITCH))
            xx, xy, yy = multiply_add(gx, gx, xx), multiply_add(gx, gy, xy), multiply_add(gy, gy, yy)
            xr, yr, square = multiply_add(gx, gap, xr), multiply_add(gy, gap, yr), multiply_add(gap, gap, square)
        weight = load_16(weighed, i * BLOCK + begin)
        weight = where_positive(weight, divide(multiply(weight, most), larger(square_root(square), most)))
        # NaN, a neighbour being missing, is not positive
        weight = where_positive(multiply_add(xx, one, multiply_add(yy, one, multiply_add(square, one, one))), weight)
        low = splat_16(peek(below, i))
        high = multiply_add(low, minus, one)
        upper, both, lower = multiply(high, high), multiply(high, low), multiply(low, low)
        xx = where_positive(weight, multiply(weight, xx))
        xy = where_positive(weight, multiply(weight, xy))
        yy = where_positive(weight, multiply(weight, yy))
        xr = where_positive(weight, multiply(weight, xr))
        yr = where_positive(weight, multiply(weight, yr))
        xx_0, xx_1, xx_2 = multiply_add(upper, xx, xx_0), multiply_add(both, xx, xx_1), multiply_add(lower, xx, xx_2)
        xy_0, xy_1, xy_2 = multiply_add(upper, xy, xy_0), multiply_add(both, xy, xy_1), multiply_add(lower, xy, xy_2)
        yy_0, yy_1, yy_2 = multiply_add(upper, yy, yy_0), multiply_add(both, yy, yy_1), multiply_add(lower, yy, yy_2)
        xr_0, xr_1 = multiply_add(high, xr, xr_0), multiply_add(low, xr, xr_1)
        yr_0, yr_1 = multiply_add(high, yr, yr_0), multiply_add(low, yr, yr_1)
        weight_sum = multiply_add(weight, one, weight_sum)
        square_sum = multiply_add(one, where_positive(weight, multiply(weight, square)), square_sum)
    _store_three(columns, 0, xx_0, xy_0, yy_0)
    _store_three(columns, 3, xx_1, xy_1, yy_1)
    _store_three(columns, 6, xx_2, xy_2, yy_2)
    store(columns, 9 * LANES, xr_0)
    store(columns, 10 * LANES, yr_0)
    store(columns, 11 * LANES, xr_1)
    store(columns, 12 * LANES, yr_1)
    store(columns, 13 * LANES, weight_sum)
    store(columns, 14 * LANES, square_sum)


@njit_no_refcount
def _store_three(columns, row, first, second, third):
    store(columns, row * LANES, first)
    store(columns, (row + 1) * LANES, second)
    store(columns, (row + 2) * LANES, third)


@njit_no_refcount
def _add_to(cell, place, value):
    poke(cell, place, peek(cell, place) + value)


@njit_no_refcount
def _add_column(columns, j, right, cell):
    """Spread the sums of a column of pixels over its cell [COLUMNS]; right: its share of the cell's right corners, 0..1.

    Corners are top left, top right, bottom left, bottom right.
    """
    left = 1.0 - right
    outer, both, inner = left * left, left * right, right * right
    for k in range(3):
        upper = 0.0625 * np.float64(peek(columns, k * LANES + j))
        across = 0.0625 * np.float64(peek(columns, (3 + k) * LANES + j))
        lower = 0.0625 * np.float64(peek(columns, (6 + k) * LANES + j))
        _add_to(cell, k, outer * upper)
        _add_to(cell, 3 + k, both * upper)
        _add_to(cell, 6 + k, outer * across)
        _add_to(cell, 9 + k, both * across)
        _add_to(cell, 12 + k, inner * upper)
        _add_to(cell, 15 + k, both * across)
        _add_to(cell, 18 + k, inner * across)
        _add_to(cell, 21 + k, outer * lower)
        _add_to(cell, 24 + k, both * lower)
        _add_to(cell, 27 + k, inner * lower)
    for k in range(2):
        upper = 0.25 * np.float64(peek(columns, (9 + k) * LANES + j))
        lower = 0.25 * np.float64(peek(columns, (11 + k) * LANES + j))
        _add_to(cell, 3 * PAIRS + k, left * upper)
        _add_to(cell, 3 * PAIRS + 2 + k, right * upper)
        _add_to(cell, 3 * PAIRS + 4 + k, left * lower)
        _add_to(cell, 3 * PAIRS + 6 + k, right * lower)
    _add_to(cell, 3 * PAIRS + 8, np.float64(peek(columns, 13 * LANES + j)))
    _add_to(cell, 3 * PAIRS + 9, np.float64(peek(columns, 14 * LANES + j)))
