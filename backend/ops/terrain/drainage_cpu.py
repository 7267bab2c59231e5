"""The drainage tree of a height grid, and the nearest heights that never rise along it, on the CPU.

The tree is grown from the edge inwards in the order of height (the walk of the priority flood, Barnes et al. 2014),
so inside a closed depression a cell's parent leads back to the spill point along the path by which the flood came
down: the path that a river would cut. These kernels know only arrays; backend.ops.terrain.drainage says what they are
for.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import copied
from backend.ops.terrain import walks_cpu
from backend.ops.terrain.depressions_cpu import INDEX_MASK, _sift_down, _sift_up, order_bits
from backend.ops.terrain.routing_cpu import NONE, offsets


@njit(cache=True, nogil=True)
def drainage_tree(height, outlets):
    """order, parent: int32 [N] flat cells, each after its parent; parent -1 at the edge and where outlets (bool [H, W]) are.

    The heap holds one 64-bit key a cell, height bits above cell index: no two are equal, so the tree is unique.
    """
    rows, columns = height.shape
    cells = rows * columns
    keys = order_bits(height)
    order = np.empty(cells, np.int32)
    parent = np.full(cells, -2, np.int32)  # -2: not seen yet
    heap = np.empty(cells, np.int64)
    size = 0
    for cell in range(cells):
        y = cell // columns
        x = cell - y * columns
        if y == 0 or x == 0 or y == rows - 1 or x == columns - 1 or outlets[y, x]:
            parent[cell] = -1
            heap[size] = keys[cell]
            _sift_up(heap, size)
            size += 1
    for n in range(cells):
        cell = np.int64(heap[0] & INDEX_MASK)
        size -= 1
        heap[0] = heap[size]
        _sift_down(heap, size)
        order[n] = cell
        y = cell // columns
        x = cell - y * columns
        for diagonal in range(2):  # straight neighbours first: shorter, and squarer channels are easier to see
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    if (dy * dy + dx * dx == 2) != (diagonal == 1) or (dy == 0 and dx == 0):
                        continue
                    v, u = y + dy, x + dx
                    if v < 0 or u < 0 or v >= rows or u >= columns:
                        continue
                    other = v * columns + u
                    if parent[other] == -2:
                        parent[other] = cell
                        heap[size] = keys[other]
                        _sift_up(heap, size)
                        size += 1
    return order, parent


@njit(cache=True, nogil=True)
def settle(height, order, parent, outlets, cut_share, drop):
    """(1 - cut_share) * (least surface above) + cut_share * (greatest surface below) that falls by drop to each
    parent.

    height float32 [N] flat, changed in place but at outlets (bool [N]), which no cut lowers.
    """
    filled = height.copy()
    for n in range(order.size):
        cell = order[n]
        if parent[cell] >= 0:
            filled[cell] = max(filled[cell], filled[parent[cell]] + drop)
    for n in range(order.size - 1, -1, -1):
        cell = order[n]
        below = parent[cell]
        if below >= 0 and not outlets[below]:
            height[below] = min(height[below], height[cell] - drop)
    if outlets.any():  # cells lower than the outlet that they drain to
        for n in range(order.size):
            cell = order[n]
            if parent[cell] >= 0:
                height[cell] = max(height[cell], height[parent[cell]] + drop)
    for cell in range(height.size):
        height[cell] = filled[cell] + cut_share * (height[cell] - filled[cell])


def falling(height, walk, cut_share):
    """(1 - cut_share) * (least surface above) + cut_share * (greatest surface below) that never rises along a Walk.

    height float64 [N]; returns the new heights.
    """
    filled, made = np.empty_like(height), np.empty_like(height)
    walks_cpu.upstream(_fill, walk, height, walk.codes, filled)
    walks_cpu.downstream(_carve, walk, copied(height), walk.ways, walk.codes.shape[1], float(cut_share), filled, made)
    return made


@njit(cache=True, nogil=True)
def _fill(begin, end, bounds, order, height, codes, filled):
    flow = codes.ravel()
    step = offsets(codes.shape[1])
    for place in range(bounds[end] - 1, bounds[begin] - 1, -1):
        cell = np.int64(order[place])
        filled[cell] = height[cell]
        if flow[cell] != NONE:
            filled[cell] = max(filled[cell], filled[cell + step[flow[cell]]] + 0.0)


@njit(cache=True, nogil=True)
def _carve(begin, end, bounds, joins, order, carved, ways, columns, cut_share, filled, made):
    step = offsets(columns)
    trunk = bounds[-2]
    for place in range(bounds[begin], bounds[end]):
        cell = np.int64(order[place])
        if place >= trunk:
            packed = joins[place - trunk]
            for at in range(packed & 15):
                carved[cell] = min(carved[cell], carved[cell + step[(packed >> (4 + 3 * at)) & 7]])
        made[cell] = filled[cell] + cut_share * (carved[cell] - filled[cell])
        if place < trunk and ways[cell] != NONE:
            below = cell + step[ways[cell]]
            carved[below] = min(carved[below], carved[cell])
