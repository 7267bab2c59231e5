"""Filling closed depressions of a height grid on the CPU by several threads: what a priority flood makes, without its one queue.

To their spill level: each cell drains into a basin, and the tree of basins (basins_cpu) says how high the water stands in each.
With a tilt: only on the lowest surface that falls by `epsilon` at every step over raised cells is each cell as high as itself or as
its lowest neighbour and epsilon, whichever is more (see depressions_plain.fill). So cells that are too low are raised to that, and
their neighbours after them, until none is: quick where little is to be done; where more is, the flood takes over. Arguments are
checked in backend.ops.terrain.depressions.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import copied, run_in_threads
from backend.ops.terrain import basins_cpu, routing_cpu
from backend.ops.terrain.depressions_cpu import priority_flood

PATIENCE = 16  # a cell in so many may be raised before the flood, which looks at all of them, is quicker


def fill(height, epsilon):
    """Raise every cell of `height` [H, W] float32 in place to the lowest level from which it drains to the edge."""
    if epsilon > 0:
        _tilt(height, epsilon)
    else:
        _level(height)


def _level(height):
    ground = copied(height, np.float64)
    codes = routing_cpu.steepest_receivers(ground, 1.0)
    labels, pits = basins_cpu.basin_labels(codes)
    if not pits.size:
        return
    bits = basins_cpu.pass_bits(ground, labels)
    edges = basins_cpu.basin_tree(ground, codes, labels, bits, pits.size)
    levels = basins_cpu.spill_levels(ground, labels, edges, pits.size)
    run_in_threads(_raise, height.size, labels, levels.astype(np.float32) + np.float32(0), height.ravel())


@njit(cache=True, nogil=True)
def _raise(begin, end, labels, levels, height):
    for cell in range(begin, end):
        if height[cell] < levels[labels[cell]]:
            height[cell] = levels[labels[cell]]


def _tilt(height, epsilon):
    low = np.concatenate(run_in_threads(_low_cells_of_rows, len(height), height, epsilon))
    most = height.size // PATIENCE
    if len(low) <= most:
        raised = copied(height)
        if _raise_in_turn(raised, np.append(low, np.empty(2 * most, np.int64)), len(low), epsilon, most):
            height[...] = raised
            return
    priority_flood(height, epsilon)


@njit(cache=True, nogil=True)
def _low_cells_of_rows(begin, end, height, epsilon):
    """The inner cells less than epsilon above their lowest neighbour."""
    rows, cols = height.shape
    found = np.empty(256, np.int64)
    count = 0
    for r in range(max(begin, 1), min(end, rows - 1)):
        for c in range(1, cols - 1):
            if height[r, c] < _least(height, r, c, epsilon):
                if count == found.size:
                    found = np.append(found, np.empty_like(found))
                found[count] = r * cols + c
                count += 1
    return found[:count]


@njit(cache=True, nogil=True, inline="always")
def _least(height, r, c, epsilon):
    """Epsilon above the lowest neighbour."""
    low = min(height[r - 1, c - 1], height[r - 1, c], height[r - 1, c + 1], height[r, c - 1])
    low = min(low, height[r, c + 1], height[r + 1, c - 1], height[r + 1, c], height[r + 1, c + 1])
    return np.float32(low + epsilon)


@njit(cache=True, nogil=True)
def _raise_in_turn(height, waiting, size, epsilon, most):
    """Whether all was raised in at most so many turns. waiting: the `size` cells that are too low, and room for others."""
    rows, cols = height.shape
    turns = 0
    while size > 0:
        size -= 1
        cell = waiting[size]
        row = cell // cols
        col = cell - row * cols
        least = _least(height, row, col, epsilon)
        if height[row, col] >= least:
            continue
        turns += 1
        if turns > most:
            return False
        height[row, col] = least
        for r in range(max(row - 1, 1), min(row + 2, rows - 1)):
            for c in range(max(col - 1, 1), min(col + 2, cols - 1)):
                if height[r, c] < _least(height, r, c, epsilon):
                    if size == waiting.size:
                        return False
                    waiting[size] = r * cols + c
                    size += 1
    return True
