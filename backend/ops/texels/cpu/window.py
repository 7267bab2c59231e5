"""What a block of texels is solved with, copied out of a texture's normal equations: its window's planes, ties and seam rows.

Told in backend/ops/texels/cpu/solver.py. Nothing is solved here.
"""

from __future__ import annotations

import numpy as np
from numba import njit

HALF, ONE, ZERO = np.float32(0.5), np.float32(1), np.float32(0)
NO_TEXEL = np.int32(-1)  # its chart: beyond the texture


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
def chart_row(charts, shift, side, y, left, labels):
    """The charts of a grid's row y from column `left` on into `labels`; NO_TEXEL beyond the texture."""
    labels[:] = NO_TEXEL
    if y < 0 or y >= side:
        return
    first, last = max(0, -left), min(labels.size, side - left)
    if charts.shape[0] == 1:
        labels[first:last] = charts[0, 0]
        return
    half, edge = (1 << shift) >> 1, charts.shape[0] - 1
    row = charts[min((y << shift) + half, edge)]
    for column in range(first, last):
        labels[column] = row[min(((left + column) << shift) + half, edge)]


@njit(cache=True)
def add_smoothness(planes, smoothness, charts, shift, side, top, left, window):
    """The Laplacian of the grid: smoothness (T_i - T_j)² for neighbours of one chart. charts [S, S] of level 0, or [1, 1]
    for one chart; shift: levels between it and the grid.
    """
    here, below = np.empty(window + 1, np.int32), np.empty(window + 1, np.int32)
    before = np.zeros(window, np.float32)  # ties of the row above with this one
    ties = np.zeros(window + 1, np.float32)  # of each column with the one before it
    first, last = max(0, -left), min(window, side - left)
    count = last - first
    start = max(0, -top)
    chart_row(charts, shift, side, top + start, left, here)
    for row in range(start, min(window, side - top)):
        chart_row(charts, shift, side, top + row + 1, left, below)
        own, beside, under = here[first:last], here[first + 1 : last + 1], below[first:last]
        at = row * window + first
        diagonal, right, down = planes[0, at : at + count], planes[1, at : at + count], planes[2, at : at + count]
        for i in range(count):
            ties[i + 1] = smoothness if own[i] == beside[i] else ZERO
        for i in range(count):
            lower = smoothness if own[i] == under[i] else ZERO
            diagonal[i] += ties[i] + ties[i + 1] + before[i] + lower
            right[i] -= ties[i + 1]
            down[i] -= lower
            before[i] = lower
        here, below = below, here


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
        p[row * window + first : row * window + last] = texture[source + first : source + last]
