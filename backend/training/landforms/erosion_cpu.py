"""Loops of the landscape simulators on the CPU: drainage, incision, slides, troughs.

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
    return gathered(receiver, order, np.ones(order.size))


@njit(cache=True)
def gathered(receiver, order, source):
    """What comes together in each cell from upstream, float64 [N]; source: what each adds, or takes away where it is below 0. Never
    less than nothing flows on."""
    cells = source.copy()
    for position in range(order.size - 1, -1, -1):
        cell = order[position]
        cells[cell] = max(cells[cell], 0.0)
        if receiver[cell] != cell:
            cells[receiver[cell]] += cells[cell]
    return cells


@njit(cache=True)
def incise(z, receiver, order, cells, pixel_size_m, strength, exponent, channel_m2):
    """z after one implicit step of stream power with n = 1 (Braun and Willett 2013, eq. 22), in place.

    strength: erodibility times years, [H, W]; it is halved where channel_m2 drain, and fades to nothing on the hillslopes above.
    Ground below its receiver stays as it is.
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
        drained = cells[cell] * area
        factor = hard[cell] * drained**exponent / distance * (drained / (drained + channel_m2))
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
def fail(z, pixel_size_m, steepest, share):
    """Landslides: what stands above the highest surface nowhere steeper than ``steepest`` [H, W] goes, by a share, and rivers carry
    it away; the edge is held. In place.

    The surface is the viscosity solution of |grad| = steepest under the heights, by two rounds of fast sweeping (Zhao 2005,
    doi:10.1090/S0025-5718-04-01678-3): slopes are planes and cones, not pyramids along the grid.
    """
    height, width = z.shape
    top = z.copy()
    for sweep in range(8):
        for row in range(1, height - 1):
            y = row if sweep & 1 else height - 1 - row
            for column in range(1, width - 1):
                x = column if sweep & 2 else width - 1 - column
                a, b = min(top[y, x - 1], top[y, x + 1]), min(top[y - 1, x], top[y + 1, x])
                rise = steepest[y, x] * pixel_size_m
                if abs(a - b) >= rise:
                    limit = min(a, b) + rise
                else:
                    limit = 0.5 * (a + b + np.sqrt(2.0 * rise * rise - (a - b) * (a - b)))
                if limit < top[y, x]:
                    top[y, x] = limit
    z -= share * (z - top)


@njit(cache=True)
def still_water(z):
    """The level of the water [H, W] where every hollow is full: the ground elsewhere (Barnes et al. 2014)."""
    height, width = z.shape
    level = np.full((height, width), np.inf)
    heap: list = [(0.0, np.int64(0)) for _ in range(0)]
    for y in range(height):
        for x in range(width):
            if y in (0, height - 1) or x in (0, width - 1):
                level[y, x] = z[y, x]
                heapq.heappush(heap, (z[y, x], np.int64(y * width + x)))
    while len(heap) > 0:
        top, cell = heapq.heappop(heap)
        y, x = cell // width, cell % width
        for k in range(8):
            b, a = y + _ROWS[k], x + _COLS[k]
            if 0 <= b < height and 0 <= a < width and level[b, a] == np.inf:
                level[b, a] = max(z[b, a], top)
                heapq.heappush(heap, (level[b, a], np.int64(b * width + a)))
    return level


@njit(cache=True)
def carve(z, floor_z, reach, depth, power, pixel_size_m):
    """z under troughs, in place: around each cell whose reach [H, W] m is above 0 no ground is higher than
    floor_z + depth (distance / reach)^power, up to 1.5 times its reach. All of them together have no seams."""
    height, width = z.shape
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if reach[y, x] <= 0.0:
                continue
            r = int(1.5 * reach[y, x] / pixel_size_m) + 1
            for b in range(max(1, y - r), min(height - 1, y + r + 1)):
                for a in range(max(1, x - r), min(width - 1, x + r + 1)):
                    share = np.sqrt(float((b - y) ** 2 + (a - x) ** 2)) * pixel_size_m / reach[y, x]
                    if share < 1.5:
                        limit = floor_z[y, x] + depth[y, x] * share**power
                        if limit < z[b, a]:
                            z[b, a] = limit
