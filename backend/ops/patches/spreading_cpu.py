"""The way back from displacements of projections to pixels, three channels at a time, on the CPU.

Every number that is loaded serves three channels, and sums of 64 pixels stay in registers for all rows of two filters: otherwise
loads take twice as long as the arithmetic.
"""

from __future__ import annotations

from backend.ops.simd import load_16, multiply_add, njit_no_refcount, peek, splat_16, store

LANES = 16
_WIDE = 4 * LANES


@njit_no_refcount
def spread_three(moved, filters, k, channel, above, row_step, sums):
    """sums [C, h, w] of the channels `channel` to `channel` + 2 += displacements times the filters k and k + 1, turned round.

    moved float32 [2, rows, w + 6]: displacements on the two filters of every row_step-th row of patches, 6 more to the left. above:
    the tile's first row less that of the first patches. w is a multiple of LANES.
    """
    width = sums.shape[2]
    tap = (k * filters.shape[1] + channel) * 49
    for y in range(sums.shape[1]):
        column = 0
        while column + _WIDE <= width:
            _spread_wide(moved, filters, tap, y + above, row_step, sums, channel, y, column)
            column += _WIDE
        while column < width:
            _spread_narrow(moved, filters, tap, y + above, row_step, sums, channel, y, column)
            column += LANES


@njit_no_refcount
def _spread_wide(moved, filters, tap, below, row_step, sums, channel, y, column):
    """64 pixels of a row, which lies `below` rows under the first patches' first row."""
    rows, pitch, layer = moved.shape[1], moved.shape[2], sums.shape[1] * sums.shape[2]
    at = (channel * sums.shape[1] + y) * sums.shape[2] + column
    a0, a1, a2, a3 = load_16(sums, at), load_16(sums, at + 16), load_16(sums, at + 32), load_16(sums, at + 48)
    at += layer
    b0, b1, b2, b3 = load_16(sums, at), load_16(sums, at + 16), load_16(sums, at + 32), load_16(sums, at + 48)
    at += layer
    c0, c1, c2, c3 = load_16(sums, at), load_16(sums, at + 16), load_16(sums, at + 32), load_16(sums, at + 48)
    for i in range(below % row_step, 7, row_step):
        row = (below - i) // row_step
        if row < 0 or row >= rows:
            continue
        for one in range(2):
            start = (one * rows + row) * pitch + column + 6
            first_tap = tap + one * filters.shape[1] * 49 + i * 7
            for j in range(7):
                p = splat_16(peek(filters, first_tap + j))
                q = splat_16(peek(filters, first_tap + 49 + j))
                r = splat_16(peek(filters, first_tap + 98 + j))
                v = load_16(moved, start - j)
                a0, b0, c0 = multiply_add(p, v, a0), multiply_add(q, v, b0), multiply_add(r, v, c0)
                v = load_16(moved, start - j + 16)
                a1, b1, c1 = multiply_add(p, v, a1), multiply_add(q, v, b1), multiply_add(r, v, c1)
                v = load_16(moved, start - j + 32)
                a2, b2, c2 = multiply_add(p, v, a2), multiply_add(q, v, b2), multiply_add(r, v, c2)
                v = load_16(moved, start - j + 48)
                a3, b3, c3 = multiply_add(p, v, a3), multiply_add(q, v, b3), multiply_add(r, v, c3)
    _store_four(sums, at, c0, c1, c2, c3)
    _store_four(sums, at - layer, b0, b1, b2, b3)
    _store_four(sums, at - 2 * layer, a0, a1, a2, a3)


@njit_no_refcount
def _store_four(sums, at, first, second, third, fourth):
    store(sums, at, first)
    store(sums, at + 16, second)
    store(sums, at + 32, third)
    store(sums, at + 48, fourth)


@njit_no_refcount
def _spread_narrow(moved, filters, tap, below, row_step, sums, channel, y, column):
    """16 pixels of a row, as _spread_wide()."""
    rows, pitch, layer = moved.shape[1], moved.shape[2], sums.shape[1] * sums.shape[2]
    at = (channel * sums.shape[1] + y) * sums.shape[2] + column
    a, b, c = load_16(sums, at), load_16(sums, at + layer), load_16(sums, at + 2 * layer)
    for i in range(below % row_step, 7, row_step):
        row = (below - i) // row_step
        if row < 0 or row >= rows:
            continue
        for one in range(2):
            start = (one * rows + row) * pitch + column + 6
            first_tap = tap + one * filters.shape[1] * 49 + i * 7
            for j in range(7):
                v = load_16(moved, start - j)
                a = multiply_add(splat_16(peek(filters, first_tap + j)), v, a)
                b = multiply_add(splat_16(peek(filters, first_tap + 49 + j)), v, b)
                c = multiply_add(splat_16(peek(filters, first_tap + 98 + j)), v, c)
    store(sums, at, a)
    store(sums, at + layer, b)
    store(sums, at + 2 * layer, c)
