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
from numba import njit, prange

from backend.kernels.lanes import load_16, multiply_add, splat_16, store, where_positive
from backend.kernels.lanes import multiply as multiply_lanes
from backend.kernels.lanes import total as sum_lanes

HALF, ONE, ZERO = np.float32(0.5), np.float32(1), np.float32(0)
QUARTER, THREE_QUARTERS = np.float32(0.25), np.float32(0.75)
SLOPES_OF_A_HAT = np.float32(8 / 3)  # the integral of its squared gradient, in two dimensions the same for any width
PIECE = 1 << 16
PAD = 64  # numbers behind a level that vectors of 16 may reach over its end
COARSEST_HATS = 4  # a side
CAUTION = np.float32(
    8
)  # what was seen settles by itself: hats add their moves to those of each texel, and CG pays for it


@njit(cache=True, parallel=True)
def column_sums(cells):
    """The sums [8] float64 over all cells [N, 8], in pieces that do not depend on threads."""
    pieces = (cells.shape[0] + PIECE - 1) // PIECE
    sums = np.zeros((pieces, 8))
    for piece in prange(pieces):
        for i in range(piece * PIECE, min(cells.shape[0], (piece + 1) * PIECE)):
            for k in range(8):
                sums[piece, k] += cells[i, k]
    result = np.zeros(8)
    for piece in range(pieces):
        result += sums[piece]
    return result


@njit(cache=True, parallel=True)
def count_seen(cells, table):
    """How many texels of level 0 some observation of any level reaches."""
    side = table[0, 0]
    counts = np.zeros(side, np.int64)
    for row in prange(side):
        for column in range(side):
            for level in range(table.shape[1]):
                if cells[table[1, level] + (row >> level) * table[0, level] + (column >> level), 0] > 0:
                    counts[row] += 1
                    break
    return counts.sum()


@njit(cache=True)
def coarsen(fine, fine_side, coarse, coarse_start, coarse_side, result):
    """The matrix and right sides of the next coarser grid, whose texels stand for 2 x 2 of this one's: P' A P, P' b.

    fine [n*n, 8]: this grid's. coarse: cells that hold the next level's own observations from coarse_start on; their sum
    goes to result [m*m, 8]. With P repeating values, nine-point stays nine-point.
    """
    result[:] = coarse[coarse_start : coarse_start + coarse_side * coarse_side]
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
def load_level(cells, start, side, top, left, window, planes, right_sides, at):
    """Copy one level's window out of interleaved cells: planes [5, N] and right_sides [3, N] from position `at` on."""
    planes[:, at : at + window * window] = ZERO
    right_sides[:, at : at + window * window] = ZERO
    first, last = max(0, -left), min(window, side - left)
    for row in range(max(0, -top), min(window, side - top)):
        source = start + (top + row) * side + left
        target = at + row * window
        for column in range(first, last):
            cell = cells[source + column]
            here = target + column
            planes[0, here] = cell[0]
            planes[1, here] = cell[1]
            planes[2, here] = cell[2]
            planes[3, here] = cell[3]
            planes[4, here] = cell[4]
            right_sides[0, here] = cell[5]
            right_sides[1, here] = cell[6]
            right_sides[2, here] = cell[7]


@njit(cache=True)
def add_smoothness(planes, smoothness, charts, shift, side, top, left, window):
    """The Laplacian of the grid: smoothness (T_i - T_j)² for neighbours of one chart. charts [S, S] of level 0, or [1, 1]
    for one chart; shift: levels between it and the grid.
    """
    split = charts.shape[0] > 1
    edge = charts.shape[0] - 1
    half = (1 << shift) >> 1
    for row in range(max(0, -top), min(window, side - top)):
        for column in range(max(0, -left), min(window, side - left)):
            here = row * window + column
            y, x = top + row, left + column
            own = charts[min((y << shift) + half, edge), min((x << shift) + half, edge)] if split else charts[0, 0]
            for step in range(2):
                y1, x1 = y + step, x + 1 - step
                if y1 >= side or x1 >= side:
                    continue
                if split and charts[min((y1 << shift) + half, edge), min((x1 << shift) + half, edge)] != own:
                    continue
                planes[0, here] += smoothness
                planes[1 + step, here] -= smoothness
                if step == 0 and column + 1 < window:
                    planes[0, here + 1] += smoothness
                elif step == 1 and row + 1 < window:
                    planes[0, here + window] += smoothness


@njit(cache=True)
def shares_of(side, origin, window, shares):
    """How much of its parent a texel of a level is, along one axis of a window: 1/2, 1 for an only child, 0 for none."""
    for place in range(window):
        texel = origin + place
        if texel < 0 or texel >= side:
            shares[place] = ZERO
        else:
            shares[place] = ONE if texel == side - 1 and side % 2 == 1 else HALF


@njit(cache=True)
def multiply_level(planes, at, window, p, q):
    """q = A p of one level's window, away from its outermost rows and columns, where q is left without meaning.

    p, q [N], levels from `at` on; PAD numbers behind each level may be written.
    """
    own, right, down, down_right, down_left = planes[0], planes[1], planes[2], planes[3], planes[4]
    for i in range(at + window + 1, at + window * window - window - 1, 16):
        row = multiply_lanes(load_16(own, i), load_16(p, i))
        row = multiply_add(load_16(right, i), load_16(p, i + 1), row)
        row = multiply_add(load_16(right, i - 1), load_16(p, i - 1), row)
        row = multiply_add(load_16(down, i), load_16(p, i + window), row)
        row = multiply_add(load_16(down, i - window), load_16(p, i - window), row)
        row = multiply_add(load_16(down_right, i), load_16(p, i + window + 1), row)
        row = multiply_add(load_16(down_right, i - window - 1), load_16(p, i - window - 1), row)
        row = multiply_add(load_16(down_left, i), load_16(p, i + window - 1), row)
        row = multiply_add(load_16(down_left, i - window + 1), load_16(p, i - window + 1), row)
        store(q, i, row)


@njit(cache=True)
def restrict(values, shares, at, window, parents):
    """Means of 2 x 2: a level of `values` from the finer one. shares [2, window] along rows and columns."""
    half = window // 2
    for row in range(half):
        top, low = shares[0, 2 * row], shares[0, 2 * row + 1]
        upper, lower = at + 2 * row * window, at + (2 * row + 1) * window
        for column in range(half):
            c = 2 * column
            left, right = shares[1, c], shares[1, c + 1]
            values[parents + row * half + column] = top * (left * values[upper + c] + right * values[upper + c + 1]) + (
                low * (left * values[lower + c] + right * values[lower + c + 1])
            )


@njit(cache=True)
def spread(values, shares, at, window, parents, squared):
    """Add to a level of `values` the shares of their parents' values: the transpose of restrict; squared: share²."""
    half = window // 2
    for row in range(window):
        down = shares[0, row]
        for column in range(window):
            share = down * shares[1, column]
            if squared:
                share *= share
            values[at + row * window + column] += share * values[parents + (row >> 1) * half + (column >> 1)]


@njit(cache=True)
def multiply(planes, shares, starts, windows, p, q):
    """q = sum_k R_k' A_k R_k p on a window; p's coarser levels are filled in, q's used."""
    levels = windows.size
    for level in range(levels - 1):
        restrict(p, shares[level], starts[level], windows[level], starts[level + 1])
    for level in range(levels):
        multiply_level(planes, starts[level], windows[level], p, q)
    for level in range(levels - 2, -1, -1):
        spread(q, shares[level], starts[level], windows[level], starts[level + 1], False)


@njit(cache=True)
def add_seams(seams, p, q):
    """q += the split or whole seam rows of a window applied to p. seams: places [m, 8] (-1: outside), weights [m, 8]
    (with the square root of the row's weight), doubled [m].
    """
    places, weights, doubled = seams
    for row in range(places.shape[0]):
        difference = ZERO
        for corner in range(8):
            if places[row, corner] >= 0:
                difference += weights[row, corner] * p[places[row, corner]]
        difference *= doubled[row]
        for corner in range(8):
            if places[row, corner] >= 0:
                q[places[row, corner]] += weights[row, corner] * difference


@njit(cache=True)
def invert_diagonal(planes, shares, starts, windows, seams, low, high, diagonal):
    """1 / the diagonal of a window's matrix into the first level of `diagonal` [N]; 0 where a texel is not an unknown: in
    the ring, beyond the texture, or where no row tells of it.
    """
    levels = windows.size
    diagonal[: planes.shape[1]] = planes[0]
    for level in range(levels - 2, -1, -1):
        spread(diagonal, shares[level], starts[level], windows[level], starts[level + 1], True)
    places, weights, doubled = seams
    for row in range(places.shape[0]):
        for corner in range(8):
            if places[row, corner] >= 0:
                diagonal[places[row, corner]] += doubled[row] * weights[row, corner] * weights[row, corner]
    window = windows[0]
    for row in range(window):
        for i in range(row * window, row * window + window):
            known = low <= row < high and low <= i - row * window < high and diagonal[i] > 0
            diagonal[i] = ONE / diagonal[i] if known else ZERO


@njit(cache=True)
def gather_hats(values, at, window, sums, to, half, line):
    """What lies of a level of `values` under the parents' hats, into `sums` from `to` on: the transpose of `add_hats`.

    line: scratch. Along an axis a parent takes 1/4, 3/4, 3/4, 1/4 of four children; at the edge the last one again.
    """
    for row in range(half):
        top = 2 * row
        upper, lower = at + max(top - 1, 0) * window, at + min(top + 1, window - 1) * window
        here, below = at + top * window, at + min(top + 2, window - 1) * window
        near, far = THREE_QUARTERS, QUARTER
        if top + 1 >= window:
            near, far = ZERO, ZERO
        quarter, three, last, beyond = splat_16(QUARTER), splat_16(THREE_QUARTERS), splat_16(near), splat_16(far)
        for column in range(0, window, 16):
            lanes = multiply_lanes(quarter, load_16(values, upper + column))
            lanes = multiply_add(three, load_16(values, here + column), lanes)
            lanes = multiply_add(last, load_16(values, lower + column), lanes)
            store(line, column + 1, multiply_add(beyond, load_16(values, below + column), lanes))
        line[0] = line[1]
        line[window + 1] = line[window] if window % 2 == 0 else ZERO
        line[window + 2] = ZERO
        for column in range(half):
            c = 2 * column
            sums[to + row * half + column] = QUARTER * (line[c] + line[c + 3]) + THREE_QUARTERS * (
                line[c + 1] + line[c + 2]
            )


@njit(cache=True)
def add_hats(values, at, window, to, half, line):
    """Add to a level of `values` its parents' values, linearly interpolated. line [half]: scratch."""
    for row in range(window):
        parent = row >> 1
        other = min(max(parent + (1 if row & 1 else -1), 0), half - 1)
        for column in range(half):
            line[column] = (
                THREE_QUARTERS * values[to + parent * half + column] + QUARTER * values[to + other * half + column]
            )
        here = at + row * window
        values[here] += line[0]
        for column in range(1, half):
            near, far = line[column], line[column - 1]
            values[here + 2 * column - 1] += THREE_QUARTERS * far + QUARTER * near
            values[here + 2 * column] += THREE_QUARTERS * near + QUARTER * far
        if window % 2 == 0:
            values[here + window - 1] += line[half - 1]


@njit(cache=True)
def hat_levels(window):
    """Sides of the levels of a window's preconditioner, and where they start in a flat array of all."""
    count, side = 1, window
    while side > COARSEST_HATS:
        side = (side + 1) // 2
        count += 1
    sides, steps = np.empty(count, np.int64), np.zeros(count, np.int64)
    sides[0] = window
    for level in range(1, count):
        sides[level] = (sides[level - 1] + 1) // 2
        steps[level] = steps[level - 1] + sides[level - 1] * sides[level - 1] + PAD
    return sides, steps


@njit(cache=True)
def invert_hats(weight, inverse, smoothness, sides, steps, line):
    """1 / the diagonals that the coarser levels of `precondition` divide by. weight [K]: the first level holds each texel's row
    sum; a hat weighs what lies under it, and its slopes cost 8/3 of the smoothness on any level.
    """
    inverse[sides[0] * sides[0] :] = ZERO
    for level in range(1, sides.size):
        gather_hats(weight, steps[level - 1], sides[level - 1], weight, steps[level], sides[level], line)
        for i in range(steps[level], steps[level] + sides[level] * sides[level]):
            total = CAUTION * max(weight[i], ZERO) + SLOPES_OF_A_HAT * smoothness
            inverse[i] = ONE / total if total > 0 else ZERO


@njit(cache=True)
def precondition(inverse, sides, steps, r, z, line):
    """z = sum over levels of P_k D_k^-1 P_k' r: Jacobi on every scale at once.

    Bramble, Pasciak and Xu 1990 (doi:10.1090/S0025-5718-1990-1023042-6): with hats for the columns of P_k the condition of
    a Laplacian does not grow with the grid, so holes fill as fast as what was seen settles.
    """
    gather_hats(r, 0, sides[0], z, steps[1], sides[1], line)
    for level in range(2, sides.size):
        gather_hats(z, steps[level - 1], sides[level - 1], z, steps[level], sides[level], line)
    for i in range(0, sides[0] * sides[0], 16):
        store(z, i, multiply_lanes(load_16(inverse, i), load_16(r, i)))
    for i in range(steps[1], z.size - 15, 16):
        store(z, i, multiply_lanes(load_16(inverse, i), load_16(z, i)))
    for level in range(sides.size - 2, -1, -1):
        add_hats(z, steps[level], sides[level], steps[level + 1], sides[level + 1], line)


@njit(cache=True)
def product(p, q, window):
    """sum p q over a window."""
    result = 0.0
    for row in range(window):
        part = splat_16(ZERO)
        for i in range(row * window, row * window + window, 16):
            part = multiply_add(load_16(p, i), load_16(q, i), part)
        result += sum_lanes(part)
    return result


@njit(cache=True)
def descend(x, r, p, q, inverse, step, window):
    """x += step p, r -= step q where texels are unknowns."""
    forth, back = splat_16(step), splat_16(-step)
    one = splat_16(ONE)
    for i in range(0, window * window, 16):
        store(x, i, multiply_add(forth, load_16(p, i), load_16(x, i)))
        change = where_positive(load_16(inverse, i), multiply_lanes(back, load_16(q, i)))
        store(r, i, multiply_add(one, change, load_16(r, i)))


@njit(cache=True)
def turn(p, z, inverse, share, window):
    """p = z + share p where texels are unknowns, 0 elsewhere; z likewise. Returns the sum of z²."""
    keep = splat_16(share)
    moves = 0.0
    for row in range(window):
        part = splat_16(ZERO)
        for i in range(row * window, row * window + window, 16):
            test = load_16(inverse, i)
            wanted = where_positive(test, load_16(z, i))
            part = multiply_add(wanted, wanted, part)
            store(p, i, multiply_add(keep, load_16(p, i), wanted))
        moves += sum_lanes(part)
    return moves


@njit(cache=True)
def conjugate_gradients(system, scales, x, r, p, q, z, unknowns, iterations, tolerance):
    """Add to x what solves A e = r where texels are unknowns (Saad 2003, algorithm 9.1). Returns the iterations made.

    system: planes, shares, starts, windows, seams. scales: inverse, sides, steps, line of `precondition`. r, p, q and z are
    changed. Stops when the root mean square of the step that the preconditioner asks for is below the tolerance.
    """
    planes, shares, starts, windows, seams = system
    inverse, sides, steps, line = scales
    window = windows[0]
    p[:] = ZERO
    energy, share = 1.0, ZERO
    for iteration in range(iterations):
        precondition(inverse, sides, steps, r, z, line)
        before, energy = energy, product(r, z, window)
        if iteration > 0:
            share = np.float32(energy / before)
        if turn(p, z, inverse, share, window) <= tolerance * tolerance * unknowns:
            return iteration
        multiply(planes, shares, starts, windows, p, q)
        add_seams(seams, p, q)
        curvature = product(p, q, window)
        if not curvature > 0:
            return iteration
        descend(x, r, p, q, inverse, np.float32(energy / curvature), window)
    return iterations


@njit(cache=True)
def local_seams(rows, corners, amounts, side, top, left, window, low, high):
    """The seam rows `rows` of a block as `add_seams` takes them: only corners in the region are unknowns.

    A row that reaches beyond the region is doubled: with the far side held, (a - b)² is at most 2 (a - m)² + 2 (b - m)² about
    the present mean m, so that two blocks which move towards each other at once meet and do not change places.
    """
    places = np.full((rows.size, 8), -1, np.int32)
    weights = np.zeros((rows.size, 8), np.float32)
    doubled = np.ones(rows.size, np.float32)
    for number in range(rows.size):
        for corner in range(8):
            y, x = corners[rows[number], corner] // side - top, corners[rows[number], corner] % side - left
            if low <= y < high and low <= x < high:
                places[number, corner] = y * window + x
                weights[number, corner] = amounts[rows[number], corner]
            elif amounts[rows[number], corner] != 0:
                doubled[number] = np.float32(2)
    return places, weights, doubled


@njit(cache=True)
def load_values(texture, side, top, left, window, p):
    """A window of one channel of the texture [n*n] into p; zero beyond the texture."""
    p[: window * window] = ZERO
    first, last = max(0, -left), min(window, side - left)
    for row in range(max(0, -top), min(window, side - top)):
        source = (top + row) * side + left
        for column in range(first, last):
            p[row * window + column] = texture[source + column]


@njit(cache=True)
def relax_block(grid, texture, charts, smoothness, shift, seam_rows, seam_table, top, left, ring, margin, block, iterations,
                tolerance, work):  # fmt: skip
    """Solve one block of a grid with all around it held fast; see `relax`. work: planes, right sides and vectors.

    top, left: of the window, in texels of the grid. Returns the iterations of its three channels.
    """
    base, cells, table, first = grid
    corners, amounts, differences = seam_table
    planes, right_sides, shares, vectors = work
    x, r, p, q, z = vectors[0], vectors[1], vectors[2], vectors[3], vectors[4]
    inverse, weight = vectors[5], vectors[6]
    levels = table.shape[1] - first
    windows, starts = np.zeros(levels, np.int64), np.zeros(levels, np.int64)
    side = table[0, first]
    at = 0
    for level in range(levels):
        windows[level], starts[level] = (block + 2 * (ring + margin)) >> level, at
        own, start = table[0, first + level], table[1, first + level]
        above, aside = top >> level, left >> level
        if level == 0:
            load_level(base, 0, own, above, aside, windows[0], planes, right_sides, 0)
        else:
            load_level(cells, start, own, above, aside, windows[level], planes, right_sides, at)
        shares_of(own, above, windows[level], shares[level, 0])
        shares_of(own, aside, windows[level], shares[level, 1])
        at += windows[level] * windows[level] + PAD
    window = windows[0]
    sides, steps = hat_levels(window)
    line = np.zeros(window + PAD, np.float32)
    p[: window * window] = ONE
    multiply(planes, shares, starts, windows, p, weight)
    add_smoothness(planes, smoothness, charts, shift, side, top, left, window)
    low, high = ring, window - ring
    seams = local_seams(seam_rows, corners, amounts, side, top, left, window, low, high)
    invert_diagonal(planes, shares, starts, windows, seams, low, high, inverse)
    invert_hats(weight, inverse, smoothness, sides, steps, line)
    system, scales = (planes, shares, starts, windows, seams), (inverse, sides, steps, line)
    spent = 0
    for channel in range(3):
        for level in range(levels - 2, -1, -1):
            spread(right_sides[channel], shares[level], starts[level], windows[level], starts[level + 1], False)
        load_values(texture[channel], side, top, left, window, p)
        multiply(planes, shares, starts, windows, p, q)
        r[:] = ZERO
        for i in range(window * window):
            r[i] = right_sides[channel, i] - q[i] if inverse[i] > 0 else ZERO
            x[i] = p[i]
        for number in range(seam_rows.size):
            for corner in range(8):
                place = seams[0][number, corner]
                if place >= 0:
                    r[place] -= seams[1][number, corner] * differences[channel, seam_rows[number]]
        spent += conjugate_gradients(system, scales, x, r, p, q, z, (high - low) * (high - low), iterations, tolerance)
        inner = ring + margin
        for row in range(inner, min(inner + block, side - top)):
            target = (top + row) * side + left
            for column in range(inner, min(inner + block, side - left)):
                texture[channel, target + column] = x[row * window + column]
    return spent


@njit(cache=True, parallel=True)
def seam_differences(texture, corners, amounts, differences):
    """What every seam row says of the texture as it stands: differences [3, M]."""
    for row in prange(corners.shape[0]):
        for channel in range(3):
            total = ZERO
            for corner in range(8):
                total += amounts[row, corner] * texture[channel, corners[row, corner]]
            differences[channel, row] = total


@njit(cache=True, parallel=True)
def relax(base, cells, table, first, texture, charts, smoothness, shift, seam_table, seam_starts, seam_rows, places, ring, margin,
          block, iterations, tolerance):  # fmt: skip
    """Solve blocks that do not touch, one after the other or side by side: texture [3, n*n] in place. Returns iterations.

    places [B, 2]: the blocks' rows and columns, of one phase. base [n*n, 8]: the grid's own cells, and those of the levels
    first + 1 and on of `cells` by `table` act on its means. charts [S, S] or [1, 1] for none, shift: levels between it and
    the grid. seam_table: corners [M, 8] texels, amounts [M, 8], and `seam_differences` of the texture before this phase;
    block b has the rows seam_rows[seam_starts[b]:seam_starts[b+1]]. block, margin and ring are multiples of the coarsest
    level's texel, the ring at least one of them; block + 2 (margin + ring) is one of 16.
    """
    levels = table.shape[1] - first
    across = (table[0, first] + block - 1) // block
    outset = ring + margin
    window = block + 2 * outset
    total = 0
    for level in range(levels):
        total += (window >> level) * (window >> level) + PAD
    sides, steps = hat_levels(window)
    hats = steps[-1] + sides[-1] * sides[-1] + PAD
    spent = np.zeros(places.shape[0], np.int64)
    for number in prange(places.shape[0]):
        y, x = places[number, 0], places[number, 1]
        index = y * across + x
        planes, right_sides = np.zeros((5, total), np.float32), np.zeros((3, total), np.float32)
        shares, vectors = np.empty((levels, 2, window), np.float32), np.zeros((7, max(total, hats)), np.float32)
        spent[number] = relax_block(
            (base, cells, table, first), texture, charts, smoothness, shift,
            seam_rows[seam_starts[index] : seam_starts[index + 1]], seam_table,
            y * block - outset, x * block - outset, ring, margin, block, iterations, tolerance,
            (planes, right_sides, shares, vectors),
        )  # fmt: skip
    return spent.sum()
