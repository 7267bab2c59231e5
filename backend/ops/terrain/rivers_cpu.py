"""Profiles along a drainage tree, and the membrane between them, on the CPU: see backend.ops.terrain.rivers.

Both run on one thread: their sums have one order, and on half a million cells they take a tenth of a second.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.terrain.constants import OVER_RELAXATION


@njit(cache=True, nogil=True)
def profile(bed, order, parent, fall, stiffness):
    """Heights x [N] that minimise sum (x - bed)^2 + stiffness (x - x[parent] - fall)^2 and never rise downstream.

    order: each cell after its parent, which is -1 at outlets. Cells of stiffness 0 are cut off from their parents. The tree is
    eliminated from its leaves and filled in from its outlets: exact, and as long as the list of cells.
    """
    own = np.ones(bed.size)
    sums = bed.copy()
    for cell in range(bed.size):
        pull = stiffness[cell]
        if pull > 0.0:
            own[cell] += pull
            sums[cell] += pull * fall[cell]
            own[parent[cell]] += pull
            sums[parent[cell]] -= pull * fall[cell]
    for n in range(order.size - 1, -1, -1):
        cell = order[n]
        pull = stiffness[cell]
        if pull > 0.0:
            share = pull / own[cell]
            own[parent[cell]] -= share * pull
            sums[parent[cell]] += share * sums[cell]
    made = bed.copy()
    for n in range(order.size):
        cell = order[n]
        below = parent[cell]
        pull = stiffness[cell]
        if pull > 0.0:
            made[cell] = max((sums[cell] + pull * made[below]) / own[cell], made[below])
        else:
            made[cell] = sums[cell] / own[cell]
    return made


@njit(cache=True, nogil=True)
def membrane(target, weight, sweeps):
    """Values [H, W] that minimise sum weight (c - target)^2 + the squared differences of neighbours, nearly.

    Successive over-relaxation from `target`, the cells of one colour of a chessboard before those of the other; nothing is held at
    the border.
    """
    rows, columns = target.shape
    made = target.copy()
    for _ in range(sweeps):
        for colour in range(2):
            for r in range(rows):
                for c in range((r + colour) & 1, columns, 2):
                    pull = weight[r, c]
                    total = pull * target[r, c]
                    if r > 0:
                        total += made[r - 1, c]
                        pull += 1.0
                    if r < rows - 1:
                        total += made[r + 1, c]
                        pull += 1.0
                    if c > 0:
                        total += made[r, c - 1]
                        pull += 1.0
                    if c < columns - 1:
                        total += made[r, c + 1]
                        pull += 1.0
                    if pull > 0.0:  # a map of one cell has no neighbour
                        made[r, c] += OVER_RELAXATION * (total / pull - made[r, c])
    return made
