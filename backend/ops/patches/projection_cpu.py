"""Projections of 7 x 7 patches of any number of channels on filters, on the CPU: their extremes, their histograms, or all of them.

Two filters at a time, one row of seven taps unrolled: that is the shape that the compiler turns into full-width
multiply-adds. Histograms are whole numbers: the bytes do not depend on the number of threads.

These kernels know only arrays [C, H, W] float32 and filters [K, C, 7, 7]; backend.ops.patches.sliced_wasserstein holds
the maths and the plain form that they must equal.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from backend.ops.kernel_threads import parallel_loop, run_in_threads

_FIRST_COLUMN = np.int64(0)  # a bare 0 is a type of its own, for which numba compiles a function once more
ROW_BLOCKS = 16  # worked on side by side, whatever the number of threads
FUSED = {"contract"}  # multiply-add in one rounding; keeps the order of the sums


@njit(cache=True, fastmath=FUSED)
def project_row(image, filters, k, y, x, count, first, second):
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
                project_row(image, filters, k, y, _FIRST_COLUMN, count, first, second)
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
            project_row(image, filters, k, y, _FIRST_COLUMN, count, first, second)
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


@parallel_loop
def projections(image, filters, row_step):
    """float32 [K, h, W - 6]: of every row_step-th row of patches, from the first on."""
    rows, count = (image.shape[1] - 6 + row_step - 1) // row_step, image.shape[2] - 6
    out = np.empty((filters.shape[0], rows, count), np.float32)
    for block in prange(ROW_BLOCKS):
        _projections_of_block(np.int64(block), image, filters, row_step, out)
    return out


@njit(cache=True, error_model="numpy")
def _projections_of_block(block, image, filters, row_step, out):
    for row in range(block, out.shape[1], ROW_BLOCKS):
        for k in range(0, filters.shape[0], 2):
            project_row(image, filters, k, row * row_step, _FIRST_COLUMN, out.shape[2], out[k, row], out[k + 1, row])


@parallel_loop
def histogram(projected, low, scale, bins):
    """Counts int32 [K, bins] of all projections [K, h, w], as projection_histogram() counts them."""
    counts = np.zeros((projected.shape[0], bins), np.int32)
    for k in prange(projected.shape[0]):
        _count(projected[k], low[k], scale[k], counts[k])
    return counts


@njit(cache=True, error_model="numpy")
def _count(values, low, scale, counts):
    zero, top = np.float32(0), np.float32(counts.size - 1)
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            counts[int(min(max((values[row, column] - low) * scale, zero), top))] += 1


def extent(projected):
    """Lowest and highest of projections [K, h, w] on each filter: two arrays [K]."""
    low = np.full(projected.shape[0], np.inf, np.float32)
    high = np.full(projected.shape[0], -np.inf, np.float32)
    run_in_threads(_extent_of_filters, projected.shape[0], projected, low, high)
    return low, high


@njit(cache=True, nogil=True)
def _extent_of_filters(begin, end, projected, low, high):
    for k in range(begin, end):
        for row in projected[k]:
            _widen(row, low, high, k)


def quantiles(counts, low, span, count):
    """float32 [K, count] at even levels 0..1 of the values that histograms int64 [K, bins] from low over span hold."""
    out = np.empty((counts.shape[0], count), np.float32)
    run_in_threads(_quantiles_of_filters, counts.shape[0], counts, low, span, out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _quantiles_of_filters(begin, end, counts, low, span, out):
    bins, last = counts.shape[1], out.shape[1] - 1
    for k in range(begin, end):
        total = np.float64(0)
        for n in range(bins):
            total += counts[k, n]
        b, before, after = 0, np.float64(0), counts[k, 0] / total  # shares below the edges of bin b
        below = counts[k, 0]
        for n in range(last + 1):
            level = n / last
            while after <= level and b < bins - 1:
                b += 1
                before = after
                below += counts[k, b]
                after = below / total
            edge = np.float64(1) if level >= after else (b + (level - before) / (after - before)) / bins
            out[k, n] = low[k] + span[k] * edge
