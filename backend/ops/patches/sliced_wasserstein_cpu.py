"""Transport of 7 x 7 patches of any number of channels, on the CPU: project, transport by table, project back, one cached tile at a
time.

The projections of a map on K filters are K times the map; those of a large one are never stored. Each tile is projected on two
filters, moved through the table and spread back while it lies in the second-level cache, so memory is that of the
map and time that of the arithmetic. Each tile writes its own cells: the bytes do not depend on the number of threads.

These kernels know only arrays [C, H, W] float32 and filters [K, C, 7, 7]; backend.ops.patches.sliced_wasserstein holds
the maths and the plain form that they must equal.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import njit, prange

from backend.ops.kernel_threads import parallel_loop
from backend.ops.patches.projection_cpu import FUSED, project_row
from backend.ops.patches.spreading_cpu import LANES, spread_three

TILE_ROWS, TILE_COLUMNS = 32, 256
LEAST_ROWS = 8  # of a tile; each tile computes six more, which it shares with the next


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


def add_gradient(image, filters, low, scale, table, weight, row_first, row_step, projected, out):
    """out [C, H, W] += sum over filters and patches of weight * displacement * filter: the way down, minus the gradient.

    weight [H, W] holds a factor for each patch, at its centre; pass an array of shape (0, 0) for 1 everywhere. Of patches, every
    row_step-th row from row_first on is taken. projected: all projections, where they are known, or an array of shape (0, 0, 0).
    """
    rows, across, threads = TILE_ROWS, -(-image.shape[2] // TILE_COLUMNS), numba.get_num_threads()
    while threads > 2 and rows > LEAST_ROWS and -(-image.shape[1] // rows) * across < 2 * threads:
        rows //= 2
    _add_gradient_of_tiles(
        image, filters, low, scale, table, weight, row_first, row_step, projected, out, np.int64(rows)
    )


@parallel_loop
def _add_gradient_of_tiles(
    image, filters, low, scale, table, weight, row_first, row_step, projected, out, tile_rows
):  # fmt: skip
    height, width = image.shape[1:]
    across = (width + TILE_COLUMNS - 1) // TILE_COLUMNS
    for tile in prange((height + tile_rows - 1) // tile_rows * across):
        y0, x0 = (tile // across) * tile_rows, (tile % across) * TILE_COLUMNS
        y1, x1 = min(height, y0 + tile_rows), min(width, x0 + TILE_COLUMNS)
        _gradient_of_tile(
            y0, y1, x0, x1, image, filters, low, scale, table, weight, row_first, row_step, projected, out
        )


@njit(cache=True)
def _any_weight(weight, top, bottom, left, right):
    """Whether any patch with its centre there has a weight: one source of several lies in some tiles only."""
    for y in range(top, bottom):
        for x in range(left, right):
            if weight[y, x] != 0:
                return True
    return False


@njit(cache=True, error_model="numpy")
def _gradient_of_tile(
    y0, y1, x0, x1, image, filters, low, scale, table, weight, row_first, row_step, projected, out
):  # fmt: skip
    top = np.float32(table.shape[1] - 1) * np.float32(1.0 - 1e-6)
    top_row, bottom_row = max(0, y0 - 6), min(image.shape[1] - 6, y1)  # patches that reach into the tile
    left, right = max(0, x0 - 6), min(image.shape[2] - 6, x1)
    top_row += (row_first - top_row) % row_step
    rows = max(0, (bottom_row - top_row + row_step - 1) // row_step)
    count, shift, wide = right - left, left - (x0 - 6), (x1 - x0 + LANES - 1) // LANES * LANES
    if rows == 0 or (weight.size and not _any_weight(weight, top_row + 3, bottom_row + 3, left + 3, right + 3)):
        return
    moved = np.zeros((2, rows, wide + 6), np.float32)
    threes = image.shape[0] // 3 * 3
    sums = np.zeros((threes, y1 - y0, wide), np.float32)
    for k in range(0, filters.shape[0], 2):
        for r in range(rows):
            y = top_row + r * row_step
            a, b = moved[0, r, shift : shift + count], moved[1, r, shift : shift + count]
            if projected.size:
                a[:] = projected[k, y, left:right]
                b[:] = projected[k + 1, y, left:right]
            else:
                project_row(image, filters, k, y, left, count, a, b)
            _transport(a, low[k], scale[k], table[k], top)
            _transport(b, low[k + 1], scale[k + 1], table[k + 1], top)
            if weight.size:
                for c in range(count):
                    a[c] *= weight[y + 3, left + c + 3]
                    b[c] *= weight[y + 3, left + c + 3]
        for channel in range(0, threes, 3):
            spread_three(moved, filters, k, channel, y0 - top_row, row_step, sums)
        for n in range(7 * threes, 7 * filters.shape[1]):
            channel, i = n // 7, n % 7
            p, q = filters[k, channel, i], filters[k + 1, channel, i]
            for r in range(rows):
                y = top_row + r * row_step + i
                if y0 <= y < y1:
                    _spread_row(out[channel, y, x0:x1], moved[0, r], moved[1, r], p, q, x1 - x0)
    for channel in range(threes):
        for y in range(y0, y1):
            for x in range(x0, x1):
                out[channel, y, x] += sums[channel, y - y0, x - x0]
