"""Loops of the landscape simulators on the CPU: drainage, incision, slides, and sand in slabs.

They are apart from the hydrology engine on purpose: what ships in backend/shipped/exemplars is fixed to the byte by its
recipe, and must not change when that engine does. All of it runs on one thread in a fixed order; float64
metres, [H, W], edges are outlets.
"""

from __future__ import annotations

import heapq

import numpy as np
from numba import njit

from backend.ops.hashing_cpu import mix32

_ROWS = np.array((0, 1, 1, 1, 0, -1, -1, -1), np.int64)
_COLS = np.array((1, 1, 0, -1, -1, -1, 0, 1), np.int64)
_DISTANCE = np.array((1.0, 2.0**0.5, 1.0, 2.0**0.5, 1.0, 2.0**0.5, 1.0, 2.0**0.5))


@njit(cache=True)
def chance(counter, seed):
    """A number in [0, 1) from a counter and a seed."""
    h = (np.uint64(counter) * np.uint64(2654435761) + np.uint64(seed) * np.uint64(40503)) & np.uint64(0xFFFFFFFF)
    return float(mix32(np.uint32(h))) / 4294967296.0


@njit(cache=True)
def drain(z, spread, seed):
    """Receiver of every cell and an order with receivers before donors (int32 [N] each); outlets receive themselves.

    A priority flood from the edge (Barnes et al. 2014) gives the order and leads lakes out. On dry ground the
    receiver is drawn among the lower neighbours, with weights slope^(1/spread): over many steps water then
    follows the true slope instead of one of eight directions, which would comb the land.
    """
    height, width = z.shape
    count = height * width
    receiver, order = np.empty(count, np.int32), np.empty(count, np.int32)
    level = np.full((height, width), np.inf)
    heap: list = [(0.0, np.int64(0)) for _ in range(0)]
    for y in range(height):
        for x in range(width):
            if y in (0, height - 1) or x in (0, width - 1):
                level[y, x] = z[y, x]
                receiver[y * width + x] = y * width + x
                heapq.heappush(heap, (z[y, x], np.int64(y * width + x)))
    weights = np.empty(8)
    placed = 0
    while len(heap) > 0:
        top, cell = heapq.heappop(heap)
        order[placed] = cell
        placed += 1
        y, x = cell // width, cell % width
        for k in range(8):
            b, a = y + _ROWS[k], x + _COLS[k]
            if b < 0 or b >= height or a < 0 or a >= width or level[b, a] < np.inf:
                continue
            level[b, a] = max(z[b, a], top)
            receiver[b * width + a] = cell
            heapq.heappush(heap, (level[b, a], np.int64(b * width + a)))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if level[y, x] > z[y, x]:
                continue  # under a lake water goes the way the flood came
            total = 0.0
            for k in range(8):
                fall = (z[y, x] - level[y + _ROWS[k], x + _COLS[k]]) / _DISTANCE[k]
                weights[k] = fall ** (1.0 / spread) if fall > 0 else 0.0
                total += weights[k]
            if total <= 0.0:
                continue
            draw = chance(y * width + x, seed) * total
            for k in range(8):
                draw -= weights[k]
                if weights[k] > 0 and draw <= 0:
                    receiver[y * width + x] = (y + _ROWS[k]) * width + x + _COLS[k]
                    break
    return receiver, order


@njit(cache=True)
def cells_upstream(receiver, order):
    """Cells that drain through each cell, itself included, float64 [N]."""
    cells = np.ones(order.size)
    for position in range(order.size - 1, -1, -1):
        cell = order[position]
        if receiver[cell] != cell:
            cells[receiver[cell]] += cells[cell]
    return cells


@njit(cache=True)
def incise(z, receiver, order, cells, pixel_size_m, strength, exponent):
    """z after one implicit step of stream power with n = 1 (Braun and Willett 2013, eq. 22), in place.

    strength: erodibility times years, [H, W]. Ground below its receiver stays as it is.
    """
    width = z.shape[1]
    flat, hard = z.ravel(), strength.ravel()
    area = pixel_size_m * pixel_size_m
    for position in range(order.size):
        cell = order[position]
        down = receiver[cell]
        if down == cell or flat[cell] <= flat[down]:
            continue
        straight = abs(cell - down) == 1 or abs(cell - down) == width
        distance = pixel_size_m * (1.0 if straight else 2.0**0.5)
        factor = hard[cell] * (cells[cell] * area) ** exponent / distance
        flat[cell] = (flat[cell] + factor * flat[down]) / (1.0 + factor)


@njit(cache=True)
def slide(z, pixel_size_m, steepest, rounds):
    """Rock falls: what stands steeper than the slope ``steepest`` [H, W] towards a neighbour moves there, in
    equal and opposite parts, a share a round; the edge is held. In place."""
    height, width = z.shape
    change = np.zeros_like(z)
    for _ in range(rounds):
        change[:] = 0.0
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                for k in range(4):
                    b, a = y + _ROWS[k], x + _COLS[k]
                    fall = z[y, x] - z[b, a]
                    excess = abs(fall) - steepest[y, x] * pixel_size_m * _DISTANCE[k]
                    if excess > 0:
                        moved = 0.12 * excess * (1.0 if fall > 0 else -1.0)
                        change[y, x] -= moved
                        change[b, a] += moved
        z[1:-1, 1:-1] += change[1:-1, 1:-1]


@njit(cache=True)
def blow(sand, hops, hop, keep_bare, keep_sand, slabs, seed):
    """Werner's dunes (1995, Geology 23): sand [H, W] int32 in slabs on a periodic plain, wind from west to
    east, in place.

    A slab is picked anywhere, flies ``hop`` cells and stays with the chance keep_sand (on sand), keep_bare (on
    rock) or always (in the 15 degree lee shadow), else hops on, ``hops`` times at most. Slopes over one slab
    height slide down.
    """
    height, width = sand.shape
    count = height * width
    for step in range(slabs):
        cell = int(chance(2 * step, seed) * count)
        y, x = cell // width, cell % width
        if sand[y, x] == 0 or _in_shadow(sand, y, x):
            continue
        y, x = _climb(sand, y, x)
        sand[y, x] -= 1
        for flight in range(hops):
            x = (x + hop) % width
            keep = keep_sand if sand[y, x] > 0 else keep_bare
            if _in_shadow(sand, y, x) or flight == hops - 1 or chance(2 * step + 1, seed + 77 * flight) < keep:
                break
        y, x = _descend(sand, y, x)
        sand[y, x] += 1


@njit(cache=True)
def _in_shadow(sand, y, x):
    width = sand.shape[1]
    for back in range(1, 40):  # noqa: SIM110  numba knows no any()
        # slabs are a third of a cell high, so that 15 degrees are four fifths of a slab a cell
        if sand[y, (x - back) % width] - sand[y, x] > 0.8 * back:
            return True
    return False


@njit(cache=True)
def _climb(sand, y, x):
    """The cell from which a slab really comes: up the steepest slope while it is over the angle of repose (two
    slabs a cell)."""
    height, width = sand.shape
    while True:
        best, ny, nx = 2, y, x
        for k in range(0, 8, 2):
            b, a = (y + _ROWS[k]) % height, (x + _COLS[k]) % width
            if sand[b, a] - sand[y, x] + 1 > best:
                best, ny, nx = sand[b, a] - sand[y, x] + 1, b, a
        if ny == y and nx == x:
            return y, x
        y, x = ny, nx


@njit(cache=True)
def _descend(sand, y, x):
    """The cell to which a slab really goes: down the steepest slope while it would be over the angle of repose."""
    height, width = sand.shape
    while True:
        best, ny, nx = 2, y, x
        for k in range(0, 8, 2):
            b, a = (y + _ROWS[k]) % height, (x + _COLS[k]) % width
            if sand[y, x] + 1 - sand[b, a] > best:
                best, ny, nx = sand[y, x] + 1 - sand[b, a], b, a
        if ny == y and nx == x:
            return y, x
        y, x = ny, nx
