"""Sliced Wasserstein on 7 x 7 patches of any number of channels, on the CPU: project, transport by table, project back, one cached
tile at a time.

The projections of a map on K filters are K times the map; they are never stored. Each tile is projected on two
filters, moved through the table and spread back while it lies in the second-level cache, so memory is that of the
map and time that of the arithmetic. Two filters at a time, one row of seven taps unrolled: that is the shape that
the compiler turns into full-width multiply-adds.

Histograms are whole numbers and each tile writes its own cells: the bytes do not depend on the number of threads.
These kernels know only arrays [C, H, W] float32 and filters [K, C, 7, 7]; backend.ops.patches.sliced_wasserstein holds
the maths and the plain form that they must equal.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from backend.ops.kernel_threads import parallel_loop, run_in_threads

TILE_ROWS, TILE_COLUMNS = 32, 256
_FIRST_COLUMN = np.int64(0)  # a bare 0 is a type of its own, for which numba compiles a function once more
ROW_BLOCKS = 8  # histograms kept side by side, whatever the number of threads
FUSED = {"contract"}  # multiply-add in one rounding; keeps the order of the sums


@njit(cache=True, fastmath=FUSED)
def _project_row(image, filters, k, y, x, count, first, second):
    """first, second [count] = projections of the patches with top left (y, x + c) on the filters k and k + 1."""
    for n in range(7 * filters.shape[1]):
        channel, i = n // 7, n % 7
        row = image[channel, y + i, x : x + count + 6]
        p, q = filters[k, channel, i], filters[k + 1, channel, i]
        p0, p1, p2, p3, p4, p5, p6 = p[0], p[1], p[2], p[3], p[4], p[5], p[6]
        q0, q1, q2, q3, q4, q5, q6 = q[0], q[1], q[2], q[3], q[4], q[5], q[6]
        if n == 0:
            first[:] = 0.0
            second[:] = 0.0
        for c in range(count):
            first[c] += (
                p0 * row[c]
                + p1 * row[c + 1]
                + p2 * row[c + 2]
                + p3 * row[c + 3]
                + p4 * row[c + 4]
                + p5 * row[c + 5]
                + p6 * row[c + 6]
            )
            second[c] += (
                q0 * row[c]
                + q1 * row[c + 1]
                + q2 * row[c + 2]
                + q3 * row[c + 3]
                + q4 * row[c + 4]
                + q5 * row[c + 5]
                + q6 * row[c + 6]
            )


@njit(cache=True, fastmath=FUSED)
def _spread_row(out, first, second, p, q, count):
    """Add a row p, q [7] of two filters, turned round, to a row of the gradient; first and second reach 6 to its left."""
    p0, p1, p2, p3, p4, p5, p6 = p[0], p[1], p[2], p[3], p[4], p[5], p[6]
    q0, q1, q2, q3, q4, q5, q6 = q[0], q[1], q[2], q[3], q[4], q[5], q[6]
    for c in range(count):
        out[c] += (
            p0 * first[c + 6] + p1 * first[c + 5] + p2 * first[c + 4] + p3 * first[c + 3]
            + p4 * first[c + 2] + p5 * first[c + 1] + p6 * first[c]
            + q0 * second[c + 6] + q1 * second[c + 5] + q2 * second[c + 4] + q3 * second[c + 3]
            + q4 * second[c + 2] + q5 * second[c + 1] + q6 * second[c]
        )  # fmt: skip


def projection_extent(image, filters):
    """Lowest and highest projection on each filter: two arrays [K]."""
    low = np.full((ROW_BLOCKS, filters.shape[0]), np.inf, np.float32)
    high = np.full((ROW_BLOCKS, filters.shape[0]), -np.inf, np.float32)
    run_in_threads(_extent_of_blocks, ROW_BLOCKS, image, filters, low, high)
    return low.min(axis=0), high.max(axis=0)


@njit(cache=True, nogil=True, fastmath=FUSED, error_model="numpy")
def _extent_of_blocks(begin, end, image, filters, low, high):
    count, rows, bank = image.shape[2] - 6, image.shape[1] - 6, filters.shape[0]
    first, second = np.empty(count, np.float32), np.empty(count, np.float32)
    for block in range(begin, end):
        for y in range(block, rows, ROW_BLOCKS):
            for k in range(0, bank, 2):
                _project_row(image, filters, k, y, _FIRST_COLUMN, count, first, second)
                _widen(first, low[block], high[block], k)
                _widen(second, low[block], high[block], k + 1)


@njit(cache=True)
def _widen(values, low, high, k):
    """Make low[k] and high[k] take in all values."""
    least, most = low[k], high[k]
    for value in values:
        least = value if value < least else least
        most = value if value > most else most
    low[k], high[k] = least, most


@parallel_loop
def projection_histogram(image, filters, low, scale, bins, row_first, row_step, labels, label):
    """Counts int32 [K, bins] of the projections of every row_step-th row of patches, from row_first on.

    bin = (projection - low[k]) * scale[k], what lies outside goes to the end bins. labels [H, W] uint8 restricts
    the count to patches whose centre has that label; pass an array of shape (0, 0) to count them all.
    """
    counts = np.zeros(
        (ROW_BLOCKS, filters.shape[0], bins), np.int32
    )  # a map of 2^31 patches would be needed to overflow
    for block in prange(ROW_BLOCKS):
        _histogram_of_block(
            np.int64(block), image, filters, low, scale, row_first, row_step, labels, label, counts[block]
        )
    return _added(counts)


@njit(cache=True)
def _added(counts):
    """By hand: numba compiles the message of an error that cannot happen into a sum of arrays, which takes two seconds."""
    total = counts[0]
    for block in range(1, counts.shape[0]):
        for k in range(total.shape[0]):
            for b in range(total.shape[1]):
                total[k, b] += counts[block, k, b]
    return total


@njit(cache=True, fastmath=FUSED, error_model="numpy")
def _histogram_of_block(block, image, filters, low, scale, row_first, row_step, labels, label, counts):
    count, rows, bank = image.shape[2] - 6, image.shape[1] - 6, filters.shape[0]
    zero, top = np.float32(0), np.float32(counts.shape[1] - 1)
    first, second = np.empty(count, np.float32), np.empty(count, np.float32)
    for y in range(row_first + block * row_step, rows, ROW_BLOCKS * row_step):
        if labels.size and not _any_label(labels[y + 3, 3 : count + 3], label):
            continue
        for k in range(0, bank, 2):
            _project_row(image, filters, k, y, _FIRST_COLUMN, count, first, second)
            low_first, low_second, scale_first, scale_second = low[k], low[k + 1], scale[k], scale[k + 1]
            for c in range(count):
                first[c] = min(max((first[c] - low_first) * scale_first, zero), top)
                second[c] = min(max((second[c] - low_second) * scale_second, zero), top)
            if labels.size == 0:
                counts_first, counts_second = counts[k], counts[k + 1]
                for c in range(count):
                    counts_first[int(first[c])] += 1
                    counts_second[int(second[c])] += 1
            else:
                for c in range(count):
                    if labels[y + 3, c + 3] == label:
                        counts[k, int(first[c])] += 1
                        counts[k + 1, int(second[c])] += 1


@njit(cache=True)
def _any_label(labels, label):
    found = False
    for value in labels:
        found |= value == label
    return found


@njit(cache=True, nogil=True)
def transport_table(counts, quantiles, low, scale):
    """Displacement T(v) - v at the bin edges, float32 [K, bins + 1]; T = inverse target distribution of the own
    distribution.

    counts int32 [K, bins] of the map, quantiles float32 [K, Q] of the target at Q evenly spaced levels 0..1.
    """
    bank, bins = counts.shape
    last = quantiles.shape[1] - 1
    table = np.zeros((bank, bins + 1), np.float32)
    for k in range(bank):
        total = 0
        for b in range(bins):
            total += counts[k, b]
        if total == 0:
            continue
        below = 0
        for b in range(bins + 1):
            level = below / total * last
            j = min(int(level), last - 1)
            target = quantiles[k, j] + (level - j) * (quantiles[k, j + 1] - quantiles[k, j])
            table[k, b] = target - (low[k] + b / scale[k])
            if b < bins:
                below += counts[k, b]
    return table


@njit(cache=True, fastmath=FUSED)
def _transport(values, low, scale, table, top):
    """Replace projections by their displacement, linear between the bin edges."""
    for c in range(values.size):
        f = min(max((values[c] - low) * scale, np.float32(0)), top)
        j = np.int32(f)
        edge = table[j]
        values[c] = edge + (f - np.float32(j)) * (table[j + 1] - edge)


@parallel_loop
def add_gradient(image, filters, low, scale, table, weight, out):
    """out [C, H, W] += sum over filters and patches of weight * displacement * filter: the way down, minus the gradient.

    weight [H, W] holds a factor for each patch, at its centre; pass an array of shape (0, 0) for 1 everywhere.
    """
    height, width = image.shape[1:]
    across = (width + TILE_COLUMNS - 1) // TILE_COLUMNS
    for tile in prange((height + TILE_ROWS - 1) // TILE_ROWS * across):
        y0, x0 = (tile // across) * TILE_ROWS, (tile % across) * TILE_COLUMNS
        y1, x1 = min(height, y0 + TILE_ROWS), min(width, x0 + TILE_COLUMNS)
        _gradient_of_tile(y0, y1, x0, x1, image, filters, low, scale, table, weight, out)


@njit(cache=True)
def _any_weight(weight, top, bottom, left, right):
    """Whether any patch with its centre there has a weight: one source of several lies in some tiles only."""
    for y in range(top, bottom):
        for x in range(left, right):
            if weight[y, x] != 0:
                return True
    return False


@njit(cache=True, fastmath=FUSED, error_model="numpy")
def _gradient_of_tile(y0, y1, x0, x1, image, filters, low, scale, table, weight, out):
    bank, bins = filters.shape[0], table.shape[1] - 1
    top = np.float32(bins) * np.float32(1.0 - 1e-6)
    top_row, bottom_row = max(0, y0 - 6), min(image.shape[1] - 6, y1)  # patches that reach into the tile
    left, right = max(0, x0 - 6), min(image.shape[2] - 6, x1)
    rows, count, shift = bottom_row - top_row, right - left, left - (x0 - 6)
    if weight.size and not _any_weight(weight, top_row + 3, bottom_row + 3, left + 3, right + 3):
        return
    first = np.zeros((rows, x1 - x0 + 6), np.float32)
    second = np.zeros((rows, x1 - x0 + 6), np.float32)
    for k in range(0, bank, 2):
        for r in range(rows):
            a, b = first[r, shift : shift + count], second[r, shift : shift + count]
            _project_row(image, filters, k, top_row + r, left, count, a, b)
            _transport(a, low[k], scale[k], table[k], top)
            _transport(b, low[k + 1], scale[k + 1], table[k + 1], top)
            if weight.size:
                for c in range(count):
                    a[c] *= weight[top_row + r + 3, left + c + 3]
                    b[c] *= weight[top_row + r + 3, left + c + 3]
        for n in range(7 * filters.shape[1]):
            channel, i = n // 7, n % 7
            p, q = filters[k, channel, i], filters[k + 1, channel, i]
            for r in range(rows):
                y = top_row + r + i
                if y0 <= y < y1:
                    _spread_row(out[channel, y, x0:x1], first[r], second[r], p, q, x1 - x0)
