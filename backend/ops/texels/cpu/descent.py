"""Conjugate gradients on a window of texels: its matrix of several levels, and a preconditioner of every scale.

Vectors lie flat, level behind level, PAD numbers behind each, which may be written: loops go by sixteen and run over. Rows are
taken from the top down, so that what runs over a row's end is written again. Told in backend/ops/texels/cpu/solver.py.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.simd import (
    add,
    evens,
    interleave_first,
    interleave_last,
    load_16,
    multiply_add,
    odds,
    splat_16,
    store,
    where_positive,
)
from backend.ops.simd import multiply as multiply_vectors
from backend.ops.simd import total as sum_vector

ONE, ZERO = np.float32(1), np.float32(0)
QUARTER, THREE_QUARTERS = np.float32(0.25), np.float32(0.75)
SLOPES_OF_A_HAT = np.float32(8 / 3)  # the integral of its squared gradient, in two dimensions the same for any width
PAD = 64  # numbers behind a level that vectors of 16 may reach over its end
COARSEST_HATS = 4  # a side
CAUTION = np.float32(
    8
)  # what was seen settles by itself: hats add their moves to those of each texel, and CG pays for it


@njit(cache=True)
def scratch_lines(window):
    """Two rows of scratch [2, ...] for windows of this side."""
    return np.zeros((2, window + 2 * PAD), np.float32)


@njit(cache=True)
def multiply_level(planes, at, window, p, q):
    """q = A p of one level's window, away from its outermost rows and columns, where q is left without meaning.

    p, q [N], levels from `at` on; PAD numbers behind each level may be written.
    """
    own, right, down, down_right, down_left = planes[0], planes[1], planes[2], planes[3], planes[4]
    for i in range(at + window + 1, at + window * window - window - 1, 16):
        row = multiply_vectors(load_16(own, i), load_16(p, i))
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
def restrict(values, shares, at, window, parents, lines):
    """Means of 2 x 2: a level of `values` from the finer one. shares [2, window + PAD] along rows and columns."""
    half, line, across = window // 2, lines[0], shares[1]
    for row in range(half):
        top, low = splat_16(shares[0, 2 * row]), splat_16(shares[0, 2 * row + 1])
        upper = at + 2 * row * window
        for column in range(0, window, 16):
            both = multiply_vectors(low, load_16(values, upper + window + column))
            both = multiply_add(top, load_16(values, upper + column), both)
            store(line, column, multiply_vectors(both, load_16(across, column)))
        for column in range(0, half, 16):
            a, b = load_16(line, 2 * column), load_16(line, 2 * column + 16)
            store(values, parents + row * half + column, add(evens(a, b), odds(a, b)))


@njit(cache=True)
def spread(values, shares, at, window, parents, lines):
    """Add to a level of `values` the shares of their parents' values: the transpose of restrict."""
    half, line, across = window // 2, lines[0], shares[1]
    for row in range(window):
        if row % 2 == 0:
            for column in range(0, half, 16):
                own = load_16(values, parents + (row >> 1) * half + column)
                c = 2 * column
                store(line, c, multiply_vectors(interleave_first(own, own), load_16(across, c)))
                store(line, c + 16, multiply_vectors(interleave_last(own, own), load_16(across, c + 16)))
            line[window : window + PAD] = ZERO
        down, here = splat_16(shares[0, row]), at + row * window
        for column in range(0, window, 16):
            store(values, here + column, multiply_add(down, load_16(line, column), load_16(values, here + column)))


@njit(cache=True)
def multiply(planes, shares, starts, windows, p, q, lines):
    """q = sum_k R_k' A_k R_k p on a window; p's coarser levels are filled in, q's used."""
    levels = windows.size
    for level in range(levels - 1):
        restrict(p, shares[level], starts[level], windows[level], starts[level + 1], lines)
    for level in range(levels):
        multiply_level(planes, starts[level], windows[level], p, q)
    for level in range(levels - 2, -1, -1):
        spread(q, shares[level], starts[level], windows[level], starts[level + 1], lines)


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
def invert_diagonal(planes, shares, starts, windows, seams, low, high, diagonal, lines):
    """1 / the diagonal of a window's matrix into the first level of `diagonal` [N]; 0 where a texel is not an unknown: in
    the ring, beyond the texture, or where no row tells of it.
    """
    diagonal[: planes.shape[1]] = planes[0]
    squared = shares * shares
    for level in range(windows.size - 2, -1, -1):
        spread(diagonal, squared[level], starts[level], windows[level], starts[level + 1], lines)
    places, weights, doubled = seams
    for row in range(places.shape[0]):
        for corner in range(8):
            if places[row, corner] >= 0:
                diagonal[places[row, corner]] += doubled[row] * weights[row, corner] * weights[row, corner]
    window = windows[0]
    diagonal[: low * window] = ZERO
    diagonal[high * window : window * window] = ZERO
    for row in range(low, high):
        own = diagonal[row * window : row * window + window]
        own[:low], own[high:] = ZERO, ZERO
        for i in range(own.size):
            own[i] = ONE / own[i] if own[i] > ZERO else ZERO


@njit(cache=True)
def gather_hats(values, at, window, sums, to, half, lines):
    """What lies of a level of `values` under the parents' hats, into `sums` from `to` on: the transpose of `add_hats`.

    Along an axis a parent takes 1/4, 3/4, 3/4, 1/4 of four children; at the edge the last one again.
    """
    line = lines[0]
    quarter, three = splat_16(QUARTER), splat_16(THREE_QUARTERS)
    for row in range(half):
        top = 2 * row
        upper, lower = at + max(top - 1, 0) * window, at + min(top + 1, window - 1) * window
        here, below = at + top * window, at + min(top + 2, window - 1) * window
        near, far = (THREE_QUARTERS, QUARTER) if top + 1 < window else (ZERO, ZERO)
        last, beyond = splat_16(near), splat_16(far)
        for column in range(0, window, 16):
            lanes = multiply_vectors(quarter, load_16(values, upper + column))
            lanes = multiply_add(three, load_16(values, here + column), lanes)
            lanes = multiply_add(last, load_16(values, lower + column), lanes)
            store(line, column + 1, multiply_add(beyond, load_16(values, below + column), lanes))
        line[0] = line[1]
        line[window + 1] = line[window] if window % 2 == 0 else ZERO
        line[window + 2] = ZERO
        for column in range(0, half, 16):
            c = 2 * column
            a, b = load_16(line, c), load_16(line, c + 16)
            d, e = load_16(line, c + 2), load_16(line, c + 18)
            inner = multiply_vectors(three, add(odds(a, b), evens(d, e)))
            store(sums, to + row * half + column, multiply_add(quarter, add(evens(a, b), odds(d, e)), inner))


@njit(cache=True)
def add_hats(values, at, window, to, half, lines):
    """Add to a level of `values` its parents' values, linearly interpolated."""
    parents, children = lines[0], lines[1]
    quarter, three = splat_16(QUARTER), splat_16(THREE_QUARTERS)
    for row in range(window):
        parent = row >> 1
        other = min(max(parent + (1 if row & 1 else -1), 0), half - 1)
        near, far = to + parent * half, to + other * half
        for column in range(0, half, 16):
            lanes = multiply_vectors(quarter, load_16(values, far + column))
            store(parents, column + 1, multiply_add(three, load_16(values, near + column), lanes))
        parents[0] = parents[1]
        parents[half + 1] = parents[half]
        for column in range(0, half + 1, 16):  # children 2 c - 1 and 2 c lie between parents c - 1 and c
            before, after = load_16(parents, column), load_16(parents, column + 1)
            left = multiply_add(three, before, multiply_vectors(quarter, after))
            right = multiply_add(three, after, multiply_vectors(quarter, before))
            store(children, 2 * column, interleave_first(left, right))
            store(children, 2 * column + 16, interleave_last(left, right))
        children[window + 1 : window + 1 + PAD] = ZERO
        here = at + row * window
        for column in range(0, window, 16):
            store(values, here + column, add(load_16(values, here + column), load_16(children, column + 1)))


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
def invert_hats(weight, inverse, smoothness, sides, steps, lines):
    """1 / the diagonals that the coarser levels of `precondition` divide by. weight [K]: the first level holds each texel's row
    sum; a hat weighs what lies under it, and its slopes cost 8/3 of the smoothness on any level.
    """
    inverse[sides[0] * sides[0] :] = ZERO
    for level in range(1, sides.size):
        gather_hats(weight, steps[level - 1], sides[level - 1], weight, steps[level], sides[level], lines)
        for i in range(steps[level], steps[level] + sides[level] * sides[level]):
            total = CAUTION * max(weight[i], ZERO) + SLOPES_OF_A_HAT * smoothness
            inverse[i] = ONE / total if total > 0 else ZERO


@njit(cache=True)
def precondition(inverse, sides, steps, r, z, lines):
    """z = sum over levels of P_k D_k^-1 P_k' r: Jacobi on every scale at once.

    Bramble, Pasciak and Xu 1990 (doi:10.1090/S0025-5718-1990-1023042-6): with hats for the columns of P_k the condition of
    a Laplacian does not grow with the grid, so holes fill as fast as what was seen settles.
    """
    gather_hats(r, np.int64(0), sides[0], z, steps[1], sides[1], lines)
    for level in range(2, sides.size):
        gather_hats(z, steps[level - 1], sides[level - 1], z, steps[level], sides[level], lines)
    for i in range(0, sides[0] * sides[0], 16):
        store(z, i, multiply_vectors(load_16(inverse, i), load_16(r, i)))
    for i in range(steps[1], z.size - 15, 16):
        store(z, i, multiply_vectors(load_16(inverse, i), load_16(z, i)))
    for level in range(sides.size - 2, -1, -1):
        add_hats(z, steps[level], sides[level], steps[level + 1], sides[level + 1], lines)


@njit(cache=True)
def product(p, q, window):
    """sum p q over a window."""
    result = 0.0
    for row in range(window):
        part = splat_16(ZERO)
        for i in range(row * window, row * window + window, 16):
            part = multiply_add(load_16(p, i), load_16(q, i), part)
        result += sum_vector(part)
    return result


@njit(cache=True)
def descend(x, r, p, q, inverse, step, window):
    """x += step p, r -= step q where texels are unknowns."""
    forth, back = splat_16(step), splat_16(-step)
    one = splat_16(ONE)
    for i in range(0, window * window, 16):
        store(x, i, multiply_add(forth, load_16(p, i), load_16(x, i)))
        change = where_positive(load_16(inverse, i), multiply_vectors(back, load_16(q, i)))
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
        moves += sum_vector(part)
    return moves


@njit(cache=True)
def conjugate_gradients(system, scales, x, r, p, q, z, unknowns, iterations, tolerance):
    """Add to x what solves A e = r where texels are unknowns (Saad 2003, algorithm 9.1). Returns the iterations made.

    system: planes, shares, starts, windows, seams. scales: inverse, sides, steps, lines of `precondition`. r, p, q and z are
    changed. Stops when the root mean square of the step that the preconditioner asks for is below the tolerance.
    """
    planes, shares, starts, windows, seams = system
    inverse, sides, steps, lines = scales
    window = windows[0]
    p[:] = ZERO
    energy, share = 1.0, ZERO
    for iteration in range(iterations):
        precondition(inverse, sides, steps, r, z, lines)
        before, energy = energy, product(r, z, window)
        if iteration > 0:
            share = np.float32(energy / before)
        if turn(p, z, inverse, share, window) <= tolerance * tolerance * unknowns:
            return iteration
        multiply(planes, shares, starts, windows, p, q, lines)
        add_seams(seams, p, q)
        curvature = product(p, q, window)
        if not curvature > 0:
            return iteration
        descend(x, r, p, q, inverse, np.float32(energy / curvature), window)
    return iterations
