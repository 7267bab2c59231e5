"""The closed basins of a flow network on the CPU: their passes, the cheapest way out, and flow turned towards it.

After Cordonnier, Bovy and Braun (2019), "A versatile, linear complexity algorithm for flow routing in topographies
with depressions", doi:10.5194/esurf-7-549-2019: basins are the nodes of a graph, the lowest passes between them its
edges, and its minimum spanning tree says over which pass each basin spills. Works on the direction codes of
routing_cpu; arguments are checked in backend.ops.terrain.routing.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.terrain.routing_cpu import NONE, offsets


def basin_labels(codes):
    """Labels [H*W] int32: 0 for cells that reach the edge, 1.. for the basins of the pits, and the pits [P] int64."""
    labels = np.empty(codes.size, np.int32)
    pits = np.concatenate(run_in_threads(_ends_of_rows, len(codes), codes, labels))
    if pits.size:
        labels[pits] = np.arange(1, pits.size + 1)
        run_in_threads(_label_rows, len(codes), codes, labels)
    return labels, pits


@njit(cache=True, nogil=True)
def _ends_of_rows(begin, end, codes, labels):
    """The pits of these rows; labels: 0 for outlets, -1 for all others."""
    rows, cols = codes.shape
    flow = codes.ravel()
    pits = np.empty(256, np.int64)
    count = 0
    for r in range(begin, end):
        for c in range(cols):
            cell = r * cols + c
            labels[cell] = -1
            if flow[cell] != NONE:
                continue
            if r == 0 or c == 0 or r == rows - 1 or c == cols - 1:
                labels[cell] = 0
                continue
            if count == pits.size:
                pits = np.append(pits, np.empty_like(pits))
            pits[count] = cell
            count += 1
    return pits[:count]


@njit(cache=True, nogil=True)
def _label_rows(begin, end, codes, labels):
    """Each cell gets the label of the end of its way. Others may label the same cells meanwhile: with the same labels."""
    cols = codes.shape[1]
    flow = codes.ravel()
    step = offsets(cols)
    for start in range(begin * cols, end * cols):
        cell = start
        while labels[cell] < 0:
            cell += step[flow[cell]]
        label = labels[cell]
        cell = start
        while labels[cell] < 0:
            labels[cell] = label
            cell += step[flow[cell]]


@njit(cache=True)
def _pass_bits(height, label, r, c, rows, cols):
    """Bits 0..7, one a direction code, of the neighbours over which cell (r, c) may be a lowest pass.

    Such a neighbour lies in another basin and no higher. It is struck out if a cell of the own basin that is lower
    than (r, c) touches it too, for then the two basins meet lower there.
    """
    z = height[r, c]
    own = label[r, c]
    other = 0  # bits in the order round the ring: neighbouring bits are neighbouring cells
    level = 0
    lower = 0
    for ring in range(8):
        rr = r - 1 if ring < 3 else (r + 1 if 4 <= ring < 7 else r)
        cc = c - 1 if ring == 0 or ring >= 6 else (c + 1 if 2 <= ring < 5 else c)
        if rr < 0 or cc < 0 or rr >= rows or cc >= cols or height[rr, cc] > z:
            continue
        if label[rr, cc] != own:
            other |= 1 << ring
            if height[rr, cc] == z:
                level |= 1 << ring
        elif height[rr, cc] < z:
            lower |= 1 << ring
    if other == 0:
        return np.uint8(0)
    axial = lower & 0b10101010  # cells above, right, below and left of the centre also touch each other
    near = (lower << 1) | (lower << 7) | (lower >> 1) | (lower >> 7)
    near |= (axial << 2) | (axial << 6) | (axial >> 2) | (axial >> 6)
    open_ = other & (~near | level)
    codes = (open_ & 0b111) | ((open_ >> 7) & 1) << 3 | ((open_ >> 3) & 1) << 4
    return np.uint8(codes | ((open_ >> 6) & 1) << 5 | ((open_ >> 5) & 1) << 6 | ((open_ >> 4) & 1) << 7)


def pass_bits(height, labels):
    """For each cell [H, W] uint8 the neighbours over which water may leave its basin: candidates for lowest passes."""
    bits = np.empty(height.shape, np.uint8)
    run_in_threads(_pass_bits_of_rows, len(height), height, labels.reshape(height.shape), bits)
    return bits


@njit(cache=True, nogil=True)
def _pass_bits_of_rows(begin, end, height, label, bits):
    rows, cols = height.shape
    mixed = np.empty(cols, np.uint8)
    for r in range(begin, end):
        if r == 0 or r == rows - 1:
            for c in range(cols):
                bits[r, c] = _pass_bits(height, label, r, c, rows, cols)
            continue
        mixed[0] = mixed[cols - 1] = 1
        for c in range(1, cols - 1):
            own = label[r, c]
            differs = (label[r - 1, c - 1] ^ own) | (label[r - 1, c] ^ own) | (label[r - 1, c + 1] ^ own)
            differs |= (label[r, c - 1] ^ own) | (label[r, c + 1] ^ own) | (label[r + 1, c - 1] ^ own)
            differs |= (label[r + 1, c] ^ own) | (label[r + 1, c + 1] ^ own)
            mixed[c] = differs != 0
        for c in range(cols):
            bits[r, c] = _pass_bits(height, label, r, c, rows, cols) if mixed[c] else np.uint8(0)


@njit(cache=True, inline="always")
def _root(parent, basin):
    while parent[basin] != basin:
        parent[basin] = parent[parent[basin]]
        basin = parent[basin]
    return basin


@njit(cache=True)
def _comes_first(a, b, flow, step):
    """Whether `a` precedes `b` in fastscapelib's depth-first order of their common basin (see `basin_tree`)."""
    depth_a = depth_b = 0
    cell = a
    while flow[cell] != NONE:
        cell += step[flow[cell]]
        depth_a += 1
    cell = b
    while flow[cell] != NONE:
        cell += step[flow[cell]]
        depth_b += 1
    above_a = above_b = 0  # generations between each cell and the child of the last common ancestor
    while depth_a > depth_b:
        a += step[flow[a]]
        depth_a -= 1
        above_a += 1
    while depth_b > depth_a:
        b += step[flow[b]]
        depth_b -= 1
        above_b += 1
    if a == b:
        return above_a == 0
    while a + step[flow[a]] != b + step[flow[b]]:
        a += step[flow[a]]
        b += step[flow[b]]
        above_a += 1
        above_b += 1
    if above_a == 0 or above_b == 0:  # all donors of one cell are listed before any of their own donors
        return a < b if above_a == above_b else above_a == 0
    return a > b  # then the last listed is visited first


@njit(cache=True, nogil=True)
def basin_tree(height, codes, labels, bits, basins):
    """The lowest passes that join all basins with the outside: the minimum spanning tree of Cordonnier et al. (2019).

    Boruvka's method on the pass cells themselves: in each round every group of basins takes its lowest pass to another
    group. No sorting, and no table of basin pairs. `bits` come from `pass_bits`; returns edges [E, 2] int64: pass cell,
    neighbour on the other side.

    Passes of one height are ranked by cell, then by the other basin; between two neighbours in that basin
    fastscapelib's choice is taken: the first in neighbour order if the pass cell's basin has the lower number, else
    the first in depth-first order.
    """
    flat = height.ravel()
    flow = codes.ravel()
    step = offsets(height.shape[1])
    group = np.arange(basins + 1)
    edges = np.empty((basins, 2), np.int64)
    best_cell = np.empty(basins + 1, np.int64)
    best_neighbour = np.empty(basins + 1, np.int64)
    best_height = np.empty(basins + 1)
    active = np.flatnonzero(bits)
    ways = bits.ravel()
    size = active.size
    count = 0
    while count < basins and size > 0:
        best_cell[:] = -1
        best_height[:] = np.inf
        kept = 0
        for p in range(size):
            cell = active[p]
            z = flat[cell]
            own = labels[cell]
            own_group = group[own]
            joins = False
            for k in range(8):
                if not ways[cell] >> k & 1:
                    continue
                n = cell + step[k]
                there = group[labels[n]]
                if there == own_group:
                    continue
                joins = True
                for g in (own_group, there):
                    if z < best_height[g]:
                        better = True
                    elif best_cell[g] != cell:
                        better = False
                    elif labels[n] != labels[best_neighbour[g]]:
                        better = labels[n] < labels[best_neighbour[g]]
                    else:
                        by_neighbour = labels[n] == 0 or 0 < own < labels[n]
                        better = not by_neighbour and _comes_first(n, best_neighbour[g], flow, step)
                    if better:
                        best_height[g] = z
                        best_cell[g] = cell
                        best_neighbour[g] = n
            if joins:
                active[kept] = cell
                kept += 1
        size = kept
        for g in range(basins + 1):
            if best_cell[g] < 0:
                continue
            a = _root(group, labels[best_cell[g]])
            b = _root(group, labels[best_neighbour[g]])
            if a != b:
                group[max(a, b)] = min(a, b)
                edges[count, 0] = best_cell[g]
                edges[count, 1] = best_neighbour[g]
                count += 1
        for b in range(basins + 1):
            group[b] = _root(group, b)
    return edges[:count]


@njit(cache=True, nogil=True)
def carve_basins(codes, labels, pits, edges):
    """Turn round, in place, the flow from each basin's pass to its pit, so that the pit drains over the pass."""
    flow = codes.ravel()
    step = offsets(codes.shape[1])
    for edge, side in _from_outside(labels, edges, pits.size):
        cell = edges[edge, 1 - side]
        jump = edges[edge, side] - cell
        code = np.uint8(0)
        while step[code] != jump:
            code += np.uint8(1)
        while True:
            old = flow[cell]
            flow[cell] = code
            if old == NONE:
                break
            cell += step[old]
            code = np.uint8(7) - old


@njit(cache=True, nogil=True)
def spill_levels(height, labels, edges, basins):
    """How high water stands in each basin before it runs over, [basins + 1] float64; below everything outside."""
    flat = height.ravel()
    levels = np.full(basins + 1, -np.inf)
    for edge, side in _from_outside(labels, edges, basins):
        outer = levels[labels[edges[edge, side]]]
        levels[labels[edges[edge, 1 - side]]] = max(
            outer, flat[edges[edge, 0]]
        )  # the pass is no lower than what lies beyond
    return levels


@njit(cache=True, nogil=True)
def _from_outside(labels, edges, basins):
    """The edges of the tree in such an order that each leads from a basin that is known to a new one: number, known end."""
    first = np.zeros(basins + 2, np.int64)  # adjacency of the tree, compressed by basin
    for e in range(edges.shape[0]):
        first[labels[edges[e, 0]] + 1] += 1
        first[labels[edges[e, 1]] + 1] += 1
    for b in range(basins + 1):
        first[b + 1] += first[b]
    fill = first.copy()
    near = np.empty(2 * edges.shape[0], np.int64)
    for e in range(edges.shape[0]):
        for side in range(2):
            b = labels[edges[e, side]]
            near[fill[b]] = 2 * e + side
            fill[b] += 1
    done = np.zeros(basins + 1, np.bool_)
    done[0] = True
    stack = np.empty(basins + 1, np.int64)
    stack[0] = 0
    size = 1
    order = np.empty((edges.shape[0], 2), np.int64)
    count = 0
    while size > 0:
        size -= 1
        b = stack[size]
        for a in range(first[b], first[b + 1]):
            edge = near[a] >> 1
            side = near[a] & 1
            child = labels[edges[edge, 1 - side]]
            if done[child]:
                continue
            done[child] = True
            stack[size] = child
            size += 1
            order[count, 0] = edge
            order[count, 1] = side
            count += 1
    return order[:count]
