"""Walks along a flow network on the CPU by several threads at once.

A network is a tree, and a square tile of the map holds whole branches of it: the cells that no water reaches from outside the tile.
They are walked tile by tile, each by one thread. What is left, the trunk, a few cells in a hundred, is one piece more, which comes
after all tiles on the way downstream and before them on the way up.

So that no sum depends on threads or tiles, donors are added up in the order in which one walk over the whole map lists them: from
every spring, in the order of the cells, downstream as far as all donors are known. A donor is listed in the walk that begins at the
last spring above it, so that is what they are ordered by. Within a tile walks are listed so; where the trunk takes water in, it is
written down (`joins`). Arguments are checked in backend.ops.terrain.routing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.terrain.routing_cpu import NONE, offsets

TILES = 64  # about so many, but
LEAST_SIDE, MOST_SIDE = 64, 256  # pixels of a tile
LISTED = np.uint8(255)


class Walk(NamedTuple):
    """A flow network in pieces.

    codes: direction codes [H, W] uint8. ways: the same [N], NONE as well where a cell of a tile drains to the trunk. order: all
    cells, donors before receivers, [N] int32, piece after piece. bounds: where pieces begin in it [T + 2] int64, T tiles and the
    trunk, and where it ends.
    joins: the donors of each cell of the trunk, int32: how many, and from 4 bits on their directions, 3 bits each, in order.
    """

    codes: np.ndarray
    ways: np.ndarray
    order: np.ndarray
    bounds: np.ndarray
    joins: np.ndarray


def downstream(kernel: Any, walk: Walk, *args: Any) -> None:
    """kernel(first piece, last piece, bounds, joins, order, *args) over all tiles, then the trunk: donors before receivers."""
    tiles = len(walk.bounds) - 2
    run_in_threads(kernel, tiles, walk.bounds, walk.joins, walk.order, *args)
    kernel(tiles, tiles + 1, walk.bounds, walk.joins, walk.order, *args)


def upstream(kernel: Any, walk: Walk, *args: Any) -> None:
    """kernel(first piece, last piece, bounds, order, *args) over the trunk, then all tiles; it goes from last to first."""
    tiles = len(walk.bounds) - 2
    kernel(tiles, tiles + 1, walk.bounds, walk.order, *args)
    run_in_threads(kernel, tiles, walk.bounds, walk.order, *args)


def walk_of(codes):
    """The Walk along direction codes [H, W], and the cells that drain through each, [N] int32."""
    rows, cols = codes.shape
    side = int(min(max(np.ceil((codes.size / TILES) ** 0.5), LEAST_SIDE), MOST_SIDE))
    tiles = -(-rows // side) * -(-cols // side)
    waiting = np.empty(codes.shape, np.uint8)
    run_in_threads(_count_donors, rows, codes, waiting)
    found, leaf, drained = (np.empty(codes.size, np.int32) for _ in range(3))
    ways = np.empty(codes.size, np.uint8)
    places = np.empty((tiles, 3), np.int64)
    flat = waiting.ravel()
    run_in_threads(_list_tiles, tiles, side, codes, flat, ways, found, leaf, drained, places)
    run_in_threads(_list_trunk_donors, tiles, places, found, codes, flat, ways, leaf, drained)
    bounds = np.concatenate([[0], np.cumsum(places[:, 1] - places[:, 0]), [codes.size]])
    order = np.empty(codes.size, np.int32)
    _list_trunk(places, found, codes, flat, leaf, drained, order[bounds[-2] :])
    joins = np.empty(codes.size - bounds[-2], np.int32)
    run_in_threads(_list_joins, len(joins), order[bounds[-2] :], codes, leaf, joins)
    run_in_threads(_gather_tiles, tiles, places, bounds, found, order)
    return Walk(codes, ways, order, bounds, joins), drained


@njit(cache=True, nogil=True)
def _count_donors(begin, end, codes, counts):
    """How many neighbours drain into each cell, [H, W] uint8."""
    rows, cols = codes.shape
    for r in range(begin, end):
        up = r > 0
        down = r < rows - 1
        for c in range(cols):
            n = 0
            left = c > 0
            right = c < cols - 1
            if up:
                n += codes[r - 1, c] == 6
                n += left and codes[r - 1, c - 1] == 7
                n += right and codes[r - 1, c + 1] == 5
            n += left and codes[r, c - 1] == 4
            n += right and codes[r, c + 1] == 3
            if down:
                n += codes[r + 1, c] == 1
                n += left and codes[r + 1, c - 1] == 2
                n += right and codes[r + 1, c + 1] == 0
            counts[r, c] = n


@njit(cache=True, nogil=True)
def _list_tiles(begin, end, side, codes, waiting, ways, found, leaf, drained, places):
    """The cells of each tile that no water reaches from outside, in order, then the others: into found from places[tile, 0] on, the
    others from places[tile, 1] to places[tile, 2]. leaf: the spring at which a walk began, at the last cell of each."""
    rows, cols = codes.shape
    step = offsets(cols)
    across = (cols + side - 1) // side
    for tile in range(begin, end):
        top = tile // across * side
        left = tile % across * side
        bottom = min(top + side, rows)
        right = min(left + side, cols)
        for r in range(top, bottom):
            for c in range(left, right):
                code = codes[r, c]
                if r == top or r == bottom - 1 or c == left or c == right - 1:
                    below = r + (code > 4) - (code < 3)  # the receiver's row, and its column:
                    aside = c + (code == 2 or code == 4 or code == 7) - (code == 0 or code == 3 or code == 5)
                    if code == NONE or below < top or below >= bottom or aside < left or aside >= right:
                        code = NONE
                ways[r * cols + c] = code
                drained[r * cols + c] = 1
        count = np.int64(top * cols + left * (bottom - top))
        places[tile, 0] = count
        for r in range(top, bottom):
            for start in range(r * cols + left, r * cols + right):
                if waiting[start] != 0:
                    continue
                cell = np.int64(start)
                while True:
                    found[count] = cell
                    count += 1
                    waiting[cell] = LISTED
                    code = ways[cell]
                    if code == NONE:
                        break
                    receiver = cell + step[code]
                    drained[receiver] += drained[cell]
                    waiting[receiver] -= np.uint8(1)
                    if waiting[receiver] != 0:
                        break
                    cell = receiver
                leaf[cell] = start
        places[tile, 1] = count
        for r in range(top, bottom):
            for cell in range(r * cols + left, r * cols + right):
                if waiting[cell] != LISTED:
                    found[count] = cell
                    count += 1
        places[tile, 2] = count


@njit(cache=True, nogil=True)
def _list_trunk_donors(begin, end, places, found, codes, waiting, ways, leaf, drained):
    """What flows from tiles into the cells of the trunk; waiting: how many donors each has in the trunk."""
    rows, cols = codes.shape
    flow = codes.ravel()
    step = offsets(cols)
    for tile in range(begin, end):
        for place in range(places[tile, 1], places[tile, 2]):
            cell = np.int64(found[place])
            row = cell // cols
            col = cell - row * cols
            last = -1
            total = 1
            others = 0
            for k in range(8):
                if not drains(k, row, col, rows, cols, cell, flow, step):
                    continue
                donor = cell + step[k]
                if waiting[donor] == LISTED:
                    ways[donor] = NONE
                    total += drained[donor]
                    last = max(last, leaf[donor])
                else:
                    others += 1
            leaf[cell] = last
            drained[cell] = total
            waiting[cell] = others  # others read no more of it than that it is not LISTED


@njit(cache=True, nogil=True, inline="always")
def drains(k, row, col, rows, cols, cell, flow, step):
    """Whether the neighbour in direction k drains into a cell."""
    if (k < 3 and row == 0) or (k > 4 and row == rows - 1):
        return False
    if ((k == 0 or k == 3 or k == 5) and col == 0) or ((k == 2 or k == 4 or k == 7) and col == cols - 1):
        return False
    return flow[cell + step[k]] == 7 - k


@njit(cache=True, nogil=True)
def _list_trunk(places, found, codes, waiting, leaf, drained, order):
    """The cells of the trunk, donors before receivers."""
    flow = codes.ravel()
    step = offsets(codes.shape[1])
    count = 0
    for tile in range(places.shape[0]):
        for place in range(places[tile, 1], places[tile, 2]):
            cell = np.int64(found[place])
            while waiting[cell] == 0:
                order[count] = cell
                count += 1
                waiting[cell] = LISTED
                if flow[cell] == NONE:
                    break
                receiver = cell + step[flow[cell]]
                drained[receiver] += drained[cell]
                leaf[receiver] = max(leaf[receiver], leaf[cell])
                waiting[receiver] -= np.uint8(1)
                cell = receiver


@njit(cache=True, nogil=True)
def _list_joins(begin, end, trunk, codes, leaf, joins):
    rows, cols = codes.shape
    flow = codes.ravel()
    step = offsets(cols)
    ways = np.empty(8, np.int64)
    for place in range(begin, end):
        cell = np.int64(trunk[place])
        row = cell // cols
        col = cell - row * cols
        count = 0
        for k in range(8):
            if drains(k, row, col, rows, cols, cell, flow, step):
                at = count
                while at > 0 and leaf[cell + step[ways[at - 1]]] > leaf[cell + step[k]]:
                    ways[at] = ways[at - 1]
                    at -= 1
                ways[at] = k
                count += 1
        packed = count
        for at in range(count):
            packed |= ways[at] << (4 + 3 * at)
        joins[place] = packed


@njit(cache=True, nogil=True)
def _gather_tiles(begin, end, places, bounds, found, order):
    for tile in range(begin, end):
        ahead = places[tile, 0] - bounds[tile]
        for place in range(
            bounds[tile], bounds[tile + 1]
        ):  # a loop: numba compiles the assignment of a slice for seconds
            order[place] = found[place + ahead]


def accumulate(walk, source):
    """Sum of `source` [N] float64 over each cell and all cells that drain through it."""
    total = source.copy()
    downstream(_accumulate, walk, walk.ways, walk.codes.shape[1], total)
    return total


@njit(cache=True, nogil=True)
def _accumulate(begin, end, bounds, joins, order, ways, cols, total):
    step = offsets(cols)
    trunk = bounds[-2]
    for place in range(bounds[begin], bounds[end]):
        cell = np.int64(order[place])
        if place >= trunk:
            packed = joins[place - trunk]
            for at in range(packed & 15):
                total[cell] += total[cell + step[(packed >> (4 + 3 * at)) & 7]]
        elif ways[cell] != NONE:
            total[cell + step[ways[cell]]] += total[cell]
