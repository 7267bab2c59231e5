"""Profiles along a drainage tree, and the membrane between them, on the CPU: see backend.ops.terrain.rivers.

Threads do not change a byte: sums along the tree have the order that walks_cpu keeps, and bands of the membrane what they need of
each other.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import njit

from backend.ops.kernel_threads import copied, run_in_threads
from backend.ops.terrain import walks_cpu
from backend.ops.terrain.constants import OVER_RELAXATION, SQRT2
from backend.ops.terrain.routing_cpu import NONE, offsets

LEAST_DEEP, MOST_DEEP = 8, 40  # half sweeps of the membrane that go over the map at once


def beyond(cells, most):
    """Where cells [N] are `most` or more, in order."""
    return np.concatenate(
        run_in_threads(lambda first, last: first + np.flatnonzero(cells[first:last] >= most), len(cells))
    )


def looked_up(cells, table, others, values_of_others):
    """Values [N] float64 of whole numbers of cells [N]: table[cells], and given ones for `others`, beyond it."""
    values = np.empty(cells.size)
    run_in_threads(_look_up, cells.size, cells, table, values)
    values[others] = values_of_others
    return values


@njit(cache=True, nogil=True)
def _look_up(begin, end, cells, table, values):
    for cell in range(begin, end):
        values[cell] = table[min(cells[cell], table.size - 1)]


def holds(upstream, codes, fall, still, rules):
    """Where water holds the land, [N] each: whether a cell is a river's or `still` (bool [N] or [0]) water's, the weight of that in
    the membrane, the stiffness of its fall and how far it is to fall to its receiver.

    rules: least cells of a river, cells that hold the membrane by 1 and cells of stiffness 1, least hold of still water.
    """
    river = np.empty(upstream.size, np.bool_)
    made = [np.empty(upstream.size) for _ in range(3)]
    run_in_threads(_holds, upstream.size, upstream, codes.ravel(), fall, still, *map(float, rules), river, *made)
    return river, *made


@njit(cache=True, nogil=True, error_model="numpy")
def _holds(
    begin, end, upstream, flow, fall, still, least, rigid, straight, firmest, river, weight, stiffness, step_fall
):
    for cell in range(begin, end):
        cells = np.float64(upstream[cell])
        hold = cells / rigid
        firm = cells / straight
        held = cells >= least
        if still.size and still[cell]:
            held = True
            hold = max(hold, firmest)
            firm = max(firm, firmest)
        code = flow[cell]
        step = SQRT2 if code == 0 or code == 2 or code == 5 or code == 7 else 1.0
        river[cell] = held
        weight[cell] = hold if held else 0.0
        stiffness[cell] = (firm if held and code != NONE else 0.0) / step
        step_fall[cell] = fall[cell] * step


def risen(z, bed, walk, held, sweeps):
    """What rivers and the slopes beside them have to rise [H, W] float64: heights z [H, W], beds [N] and what holds() returns."""
    river, weight, stiffness, step_fall = held
    target = np.empty(z.shape)
    run_in_threads(_rise, z.size, profile(bed, walk, step_fall, stiffness), river, z.ravel(), target.ravel())
    return membrane(target, weight.reshape(z.shape), sweeps)


@njit(cache=True, nogil=True)
def _rise(begin, end, profile, river, z, target):
    for cell in range(begin, end):
        target[cell] = profile[cell] - z[cell] if river[cell] else 0.0


def profile(bed, walk, fall, stiffness):
    """Heights x [N] that minimise sum (x - bed)^2 + stiffness (x - x[receiver] - fall)^2 and never rise downstream.

    Cells of stiffness 0 are cut off from their receivers. The tree is eliminated from its leaves and filled in from its outlets:
    exact, and as long as the list of cells.
    """
    own, sums, made = (np.empty(bed.size) for _ in range(3))
    run_in_threads(_pull_rows, len(walk.codes), walk.codes, bed, fall, stiffness, own, sums)
    walks_cpu.downstream(_eliminate, walk, walk.ways, walk.codes.shape[1], stiffness, own, sums)
    walks_cpu.upstream(_fill_in, walk, walk.codes, stiffness, own, sums, made)
    return made


@njit(cache=True, nogil=True)
def _pull_rows(begin, end, codes, bed, fall, stiffness, own, sums):
    """The equation of each cell: own x = sums. Terms of it and its donors are added in the order of the cells."""
    rows, columns = codes.shape
    flow = codes.ravel()
    step = offsets(columns)
    for r in range(begin, end):
        for c in range(columns):
            cell = r * columns + c
            weight = 1.0
            total = bed[cell]
            for k in range(9):
                if k == 4:
                    pull = stiffness[cell]
                    if pull > 0.0:
                        weight += pull
                        total += pull * fall[cell]
                    continue
                code = k if k < 4 else k - 1
                if walks_cpu.drains(code, r, c, rows, columns, cell, flow, step):
                    donor = cell + step[code]
                    pull = stiffness[donor]
                    if pull > 0.0:
                        weight += pull
                        total -= pull * fall[donor]
            own[cell] = weight
            sums[cell] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _eliminate(begin, end, bounds, joins, order, ways, columns, stiffness, own, sums):
    step = offsets(columns)
    trunk = bounds[-2]
    for place in range(bounds[begin], bounds[end]):
        cell = np.int64(order[place])
        if place >= trunk:
            packed = joins[place - trunk]
            for at in range(packed & 15):
                _take_out(cell + step[(packed >> (4 + 3 * at)) & 7], cell, stiffness, own, sums)
        elif ways[cell] != NONE:
            _take_out(cell, cell + step[ways[cell]], stiffness, own, sums)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _take_out(cell, receiver, stiffness, own, sums):
    """Bring a cell's equation into its receiver's."""
    pull = stiffness[cell]
    if pull > 0.0:
        share = pull / own[cell]
        own[receiver] -= share * pull
        sums[receiver] += share * sums[cell]


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_in(begin, end, bounds, order, codes, stiffness, own, sums, made):
    flow = codes.ravel()
    step = offsets(codes.shape[1])
    for place in range(bounds[end] - 1, bounds[begin] - 1, -1):
        cell = np.int64(order[place])
        pull = stiffness[cell]
        if pull > 0.0:
            below = made[cell + step[flow[cell]]]
            made[cell] = max((sums[cell] + pull * below) / own[cell], below)
        else:
            made[cell] = sums[cell] / own[cell]


def membrane(target, weight, sweeps):
    """Values [H, W] that minimise sum weight (c - target)^2 + the squared differences of neighbours, nearly.

    Successive over-relaxation from `target`, the cells of one colour of a chessboard before those of the other; nothing is held at
    the border. What a cell becomes depends on its neighbours as the half sweep before left them, so a band of rows can go many half
    sweeps ahead of the others, each on a row less than the one before; what is left round the seams between bands follows. Such a
    front of rows stays in the cache.
    """
    made = copied(target)
    rows, threads = target.shape[0], numba.get_num_threads()
    deepest = max(LEAST_DEEP, min(MOST_DEEP, rows // (2 * threads)))
    for first in range(0, 2 * sweeps, deepest):
        deep = min(deepest, 2 * sweeps - first)
        bands = max(1, min(threads, rows // (2 * deep)))
        bounds = np.arange(bands + 1) * rows // bands
        run_in_threads(_relax_bands, bands, bounds, first, deep, target, weight, made, pieces=bands)
        run_in_threads(_relax_seams, bands - 1, bounds, first, deep, target, weight, made, pieces=bands)
    return made


@njit(cache=True, nogil=True, error_model="numpy")
def _relax_bands(begin, end, bounds, first, deep, target, weight, made):
    """Half sweeps first, first + 1 ... of each band, on a row less at its seams each time, a front of them at once."""
    rows = made.shape[0]
    for band in range(begin, end):
        top = bounds[band]
        bottom = bounds[band + 1]
        for front in range(top, bottom + deep - 1):
            for ahead in range(deep):
                r = front - ahead
                if r >= (top + ahead if top > 0 else 0) and r < (bottom - ahead if bottom < rows else rows):
                    _relax_row(r, (r + first + ahead) & 1, target, weight, made)


@njit(cache=True, nogil=True, error_model="numpy")
def _relax_seams(begin, end, bounds, first, deep, target, weight, made):
    """What _relax_bands left: at each half sweep the rows round a seam, one more to each side than at the one before."""
    for seam in range(begin, end):
        middle = bounds[seam + 1]
        for ahead in range(deep):
            for r in range(middle - ahead, middle + ahead):
                _relax_row(r, (r + first + ahead) & 1, target, weight, made)


@njit(cache=True, nogil=True, error_model="numpy")
def _relax_row(r, start, target, weight, made):
    """The cells start, start + 2 ... of a row."""
    rows, columns = made.shape
    here = made[r]
    held = weight[r]
    aim = target[r]
    inner = r > 0 and r < rows - 1
    above = made[r - 1 if r > 0 else r]
    below = made[r + 1 if r < rows - 1 else r]
    for c in range(start, columns, 2):
        pull = held[c]
        total = pull * aim[c]
        if inner and c > 0 and c < columns - 1:
            total = total + above[c] + below[c] + here[c - 1] + here[c + 1]
            pull = pull + 1.0 + 1.0 + 1.0 + 1.0
        else:
            if r > 0:
                total += above[c]
                pull += 1.0
            if r < rows - 1:
                total += below[c]
                pull += 1.0
            if c > 0:
                total += here[c - 1]
                pull += 1.0
            if c < columns - 1:
                total += here[c + 1]
                pull += 1.0
            if pull == 0.0:  # a map of one cell has no neighbour
                continue
        here[c] += OVER_RELAXATION * (total / pull - here[c])
