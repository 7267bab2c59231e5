"""Solves the normal equations of a texture block by block on the CPU (multiplicative Schwarz, conjugate gradients inside).

Texels couple with near ones only, so a block with a margin around it knows nearly all it needs: it is solved with the
texels outside held fast, its inner part is kept, and the next one follows. A block's planes and vectors are copied out of
the interleaved cells into separate ones that stay in the cache over all iterations; no vector of the texture's size is
needed. Blocks that do not touch go side by side, in four phases, so that threads change no byte.

Window: the square that is copied out. It holds, from outside in, a ring (as wide as a texel of the coarsest level in
use: fixed values that the rows of the region reach), the margin, and the block. It may hang over the texture's edge, where
its planes are zero. Levels within a window are counted from the grid that is solved (0).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.simd import load_16, multiply_add, splat_16, store, where_positive
from backend.ops.texels.cpu.descent import (
    PAD,
    conjugate_gradients,
    hat_levels,
    invert_diagonal,
    invert_hats,
    multiply,
    scratch_lines,
    spread,
)
from backend.ops.texels.cpu.window import add_smoothness, load_level, load_values, local_seams, shares_of

ONE, ZERO = np.float32(1), np.float32(0)
_START = np.int64(0)  # a bare 0 is a type of its own, for which numba compiles a function once more
PIECE = 1 << 16


def column_sums(cells):
    """The sums [8] float64 over all cells [N, 8], in pieces that do not depend on threads."""
    pieces = (cells.shape[0] + PIECE - 1) // PIECE
    sums = np.zeros((pieces, 8))
    run_in_threads(_sum_pieces, pieces, cells, sums)
    result = np.zeros(8)
    for piece in range(pieces):
        result += sums[piece]
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_pieces(begin, end, cells, sums):
    for piece in range(begin, end):
        for i in range(piece * PIECE, min(cells.shape[0], (piece + 1) * PIECE)):
            for k in range(8):
                sums[piece, k] += cells[i, k]


def count_seen(cells, table):
    """How many texels of level 0 some observation of any level reaches."""
    return sum(run_in_threads(_count_seen_rows, int(table[0, 0]), cells, table))


@njit(cache=True, nogil=True, error_model="numpy")
def _count_seen_rows(begin, end, cells, table):
    count = 0
    for row in range(begin, end):
        for column in range(table[0, 0]):
            for level in range(table.shape[1]):
                if cells[table[1, level] + (row >> level) * table[0, level] + (column >> level), 0] > 0:
                    count += 1
                    break
    return count


@njit(cache=True, nogil=True)
def coarsen(fine, fine_side, coarse, coarse_start, coarse_side, result):
    """The matrix and right sides of the next coarser grid, whose texels stand for 2 x 2 of this one's: P' A P, P' b.

    fine [n*n, 8]: this grid's. coarse: cells that hold the next level's own observations from coarse_start on; their sum
    goes to result [m*m, 8]. With P repeating values, nine-point stays nine-point.
    """
    for at in range(coarse_side * coarse_side):
        for term in range(8):
            result[at, term] = coarse[coarse_start + at, term]
    for row in range(fine_side):
        for column in range(fine_side):
            cell = fine[row * fine_side + column]
            at = (row >> 1) * coarse_side + (column >> 1)
            odd_row, odd_column = row & 1, column & 1
            parent = result[at]
            parent[0] += cell[0]
            parent[5] += cell[5]
            parent[6] += cell[6]
            parent[7] += cell[7]
            if odd_column:
                parent[1] += cell[1]
            else:
                parent[0] += 2 * cell[1]
            if odd_row:
                parent[2] += cell[2]
            else:
                parent[0] += 2 * cell[2]
            if odd_row and odd_column:
                parent[3] += cell[3]
            elif odd_row:
                parent[2] += cell[3]
            elif odd_column:
                parent[1] += cell[3]
            else:
                parent[0] += 2 * cell[3]
            if odd_row and odd_column:
                parent[2] += cell[4]
            elif odd_row:
                parent[4] += cell[4]
            elif odd_column:
                parent[0] += 2 * cell[4]
            elif column > 0:
                result[at - 1, 1] += cell[4]


@njit(cache=True)
def load_block(grid, top, left, windows, starts, planes, right_sides, shares):
    """Every level of a window out of the grid's and the coarser levels' cells; `windows` and `starts` are filled in."""
    base, cells, table, first = grid
    at = np.int64(0)
    for level in range(windows.size):
        windows[level], starts[level] = windows[0] >> level, at
        own, start = table[0, first + level], table[1, first + level]
        above, aside = top >> level, left >> level
        if level == 0:
            load_level(base, _START, own, above, aside, windows[0], planes, right_sides, at)
        else:
            load_level(cells, start, own, above, aside, windows[level], planes, right_sides, at)
        shares_of(own, above, windows[level], shares[level, 0])
        shares_of(own, aside, windows[level], shares[level, 1])
        at += windows[level] * windows[level] + PAD


@njit(cache=True)
def first_residual(r, right_side, q, inverse, window):
    """r = right_side - q where texels are unknowns, else 0."""
    minus = splat_16(-ONE)
    r[:] = ZERO
    for i in range(0, window * window, 16):
        missing = multiply_add(minus, load_16(q, i), load_16(right_side, i))
        store(r, i, where_positive(load_16(inverse, i), missing))


@njit(cache=True)
def relax_block(grid, texture, charts, smoothness, shift, seam_rows, seam_table, top, left, ring, margin, block, iterations,
                tolerance, work):  # fmt: skip
    """Solve one block of a grid with all around it held fast; see `relax`. work: planes, right sides and vectors.

    top, left: of the window, in texels of the grid. Returns the iterations of its three channels.
    """
    corners, amounts, differences = seam_table
    planes, right_sides, shares, vectors, lines = work
    x, r, p, q, z = vectors[0], vectors[1], vectors[2], vectors[3], vectors[4]
    inverse, weight = vectors[5], vectors[6]
    levels, side = shares.shape[0], grid[2][0, grid[3]]
    windows, starts = np.zeros(levels, np.int64), np.zeros(levels, np.int64)
    windows[0] = block + 2 * (ring + margin)
    load_block(grid, top, left, windows, starts, planes, right_sides, shares)
    window = windows[0]
    sides, steps = hat_levels(window)
    for vector in (p, q, weight):
        vector[:] = ZERO  # their rims are never written, and must not remember the block before
    p[: window * window] = ONE
    multiply(planes, shares, starts, windows, p, weight, lines)
    add_smoothness(planes, smoothness, charts, shift, side, top, left, window)
    low, high = ring, window - ring
    seams = local_seams(seam_rows, corners, amounts, side, top, left, window, low, high)
    invert_diagonal(planes, shares, starts, windows, seams, low, high, inverse, lines)
    invert_hats(weight, inverse, smoothness, sides, steps, lines)
    system, scales = (planes, shares, starts, windows, seams), (inverse, sides, steps, lines)
    spent = 0
    for channel in range(3):
        for level in range(levels - 2, -1, -1):
            spread(right_sides[channel], shares[level], starts[level], windows[level], starts[level + 1], lines)
        load_values(texture[channel], side, top, left, window, p)
        multiply(planes, shares, starts, windows, p, q, lines)
        first_residual(r, right_sides[channel], q, inverse, window)
        x[: window * window] = p[: window * window]
        for number in range(seam_rows.size):
            for corner in range(8):
                place = seams[0][number, corner]
                if place >= 0:
                    r[place] -= seams[1][number, corner] * differences[channel, seam_rows[number]]
        spent += conjugate_gradients(system, scales, x, r, p, q, z, (high - low) * (high - low), iterations, tolerance)
        inner = ring + margin
        for row in range(inner, min(inner + block, side - top)):
            target, end = (top + row) * side + left, min(inner + block, side - left)
            texture[channel, target + inner : target + end] = x[row * window + inner : row * window + end]
    return spent


def seam_differences(texture, corners, amounts, differences):
    """What every seam row says of the texture as it stands: differences [3, M]."""
    run_in_threads(_differences_of_rows, corners.shape[0], texture, corners, amounts, differences)


@njit(cache=True, nogil=True, error_model="numpy")
def _differences_of_rows(begin, end, texture, corners, amounts, differences):
    for row in range(begin, end):
        for channel in range(3):
            total = ZERO
            for corner in range(8):
                total += amounts[row, corner] * texture[channel, corners[row, corner]]
            differences[channel, row] = total


def relax(base, cells, table, first, texture, charts, smoothness, shift, seam_table, seam_starts, seam_rows, places, ring, margin,
          block, iterations, tolerance, threads):  # fmt: skip
    """Solve blocks that do not touch, `threads` of them side by side: texture [3, n*n] in place. Returns iterations.

    places [B, 2]: the blocks' rows and columns, of one phase. base [n*n, 8]: the grid's own cells, and those of the levels
    first + 1 and on of `cells` by `table` act on its means. charts [S, S] or [1, 1] for none, shift: levels between it and
    the grid. seam_table: corners [M, 8] texels, amounts [M, 8], and `seam_differences` of the texture before this phase;
    block b has the rows seam_rows[seam_starts[b]:seam_starts[b+1]]. block, margin and ring are multiples of the coarsest
    level's texel, the ring at least one of them; block + 2 (margin + ring) is one of 16.
    """
    return sum(
        run_in_threads(
            _relax_blocks, places.shape[0],
            base, cells, table, first, texture, charts, smoothness, shift, seam_table, seam_starts, seam_rows, places, ring,
            margin, block, iterations, tolerance, pieces=threads,
        )
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _relax_blocks(begin, end, base, cells, table, first, texture, charts, smoothness, shift, seam_table, seam_starts, seam_rows,
                  places, ring, margin, block, iterations, tolerance):  # fmt: skip
    if begin == end:
        return 0
    levels = table.shape[1] - first
    across = (table[0, first] + block - 1) // block
    outset = ring + margin
    window = block + 2 * outset
    total = 0
    for level in range(levels):
        total += (window >> level) * (window >> level) + PAD
    sides, steps = hat_levels(window)
    hats = steps[-1] + sides[-1] * sides[-1] + PAD
    spent = 0
    planes, right_sides = np.zeros((5, total), np.float32), np.zeros((3, total), np.float32)
    shares, vectors = np.zeros((levels, 2, window + PAD), np.float32), np.zeros((7, max(total, hats)), np.float32)
    work = (planes, right_sides, shares, vectors, scratch_lines(window))
    for number in range(begin, end):
        y, x = places[number, 0], places[number, 1]
        index = y * across + x
        spent += relax_block(
            (base, cells, table, first), texture, charts, smoothness, shift,
            seam_rows[seam_starts[index] : seam_starts[index + 1]], seam_table,
            y * block - outset, x * block - outset, ring, margin, block, iterations, tolerance, work,
        )  # fmt: skip
    return spent
