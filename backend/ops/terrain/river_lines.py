"""Rivers of a height map as lines: the cells that drain much land, cut where rivers meet, smooth below the grid's resolution.

A path of cells turns by 45 degrees at a time. Each cell's point is first moved across the flow to the lowest place of the parabola
through its own height and those beside it, then all of them are averaged along the flow, larger rivers on through their
confluences, and none goes farther than a cell from where it was. Water is routed where the heights lie, the lines are made on the
host, in float64 and one order: the same bytes for any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from backend.ops.dispatch import Impl
from backend.ops.terrain.routing import route
from shared.curves import DISCHARGE_PER_M2, Line

BANKFULL = 10.0
"""Times the mean discharge: that of a flood that fills the bed, every second year or so."""
WIDTH_AT_1_M3 = 7.2
"""Metres: width = 7.2 m (bankfull discharge in m3/s)^0.5 (Moody and Troutman 2002, doi:10.1002/esp.403; used for all rivers of the
world by Andreadis, Schumann and Pavelsky 2013, doi:10.1002/wrcr.20440). With the discharges here a river is 2.3 m wide where it
drains 1 km2, and 23 m where it drains 100 km2."""

ROUNDS = 24  # of averaging: about three and a half cells to each side
FARTHEST_PX = 1.0
SHORTEST = 4  # cells from a spring to the next confluence: less is a dent in a valley's side
MOST_ASIDE_PX = 0.5  # the lowest place across the flow is in the cell, or the path would go through another


@dataclass(frozen=True)
class _Network:
    """River cells: flat index [n], the number of the next one downstream [n] (-1 where there is none) and of the largest one
    upstream [n] (-1 for springs), how many flow into each [n], and the cells that drain through it [n].
    """

    cells: np.ndarray
    next: np.ndarray
    main: np.ndarray
    donors: np.ndarray
    drained: np.ndarray


def river_lines(
    height: Tensor, pixel_size_m: float, *, least_m2: float, still: Tensor | None = None, impl: Impl = "auto"
) -> list[Line]:
    """The rivers of heights [H, W] in metres that drain at least so much land: a Line, downstream, from spring or confluence to
    confluence or mouth, with its width, its drained land and its level, which never rises downstream. None where none is so large.

    still: bool [H, W], lakes and seas: rivers end at their shores and begin there again.
    """
    flow = route(height.detach(), pixel_size_m, impl=impl)
    upstream, receiver = flow.upstream.cpu().numpy(), flow.receiver.int().cpu().numpy().astype(np.int64)
    z = height.detach().cpu().double().contiguous()
    water = None if still is None else still.cpu().numpy().ravel()
    is_river = upstream >= max(least_m2 / pixel_size_m**2, 2.0)
    network = _network(is_river, upstream, receiver, water)
    is_river[_stubs(network)] = False
    network = _network(is_river, upstream, receiver, water)
    if not len(network.cells):
        return []
    rows, columns = z.shape
    points = _smoothed(_lowest_across(z.numpy(), network), network)
    shares = (points + 0.5) / (columns, rows)
    level = _falling(z.numpy().ravel()[network.cells], network.next)
    return [_line(run, shares, level, network, pixel_size_m) for run in _reaches(network)]


def width_m(drained_m2: np.ndarray) -> np.ndarray:
    """Of the bed of rivers that drain so much land."""
    return WIDTH_AT_1_M3 * np.sqrt(BANKFULL * DISCHARGE_PER_M2 * drained_m2)


def _line(run: np.ndarray, shares: np.ndarray, level: np.ndarray, network: _Network, pixel_size_m: float) -> Line:
    drained = network.drained[run] * pixel_size_m**2
    drained[-1] = drained[-2]  # what joins it there is the next one's
    return Line(
        type="river", points=shares[run], z_m=level[run], width_m=width_m(drained), drained_m2=drained, as_drawn=True
    )  # fmt: skip


# The network ---------------------------------------------------------------------------------------------------------


def _network(is_river: np.ndarray, upstream: np.ndarray, receiver: np.ndarray, water: np.ndarray | None) -> _Network:
    if water is not None:
        is_river = is_river & ~water
        is_river[receiver[is_river & water[receiver]]] = True  # its last cell is in the still water
    cells = np.flatnonzero(is_river)
    number = np.full(len(upstream), -1, np.int64)
    number[cells] = np.arange(len(cells))
    below = np.where(receiver[cells] == cells, -1, number[receiver[cells]])
    if water is not None:
        below[water[cells]] = -1
    donors = np.bincount(below[below >= 0], minlength=len(cells))
    main = np.full(len(cells), -1, np.int64)
    flowing = np.flatnonzero(below >= 0)
    by_size = flowing[np.argsort(upstream[cells[flowing]], kind="stable")]
    main[below[by_size]] = by_size  # the last one written, the largest, stays
    return _Network(cells, below, main, donors, upstream[cells].astype(np.float64))


def _stubs(network: _Network) -> np.ndarray:
    """Flat indices of the cells of rivers that have hardly begun when they join a larger one."""
    found = [np.empty(0, np.int64)]
    for run in _reaches(network):
        joins = network.donors[run[-1]] > 1 and network.main[run[-1]] != run[-2]
        if joins and len(run) <= SHORTEST and not network.donors[run[0]]:
            found.append(network.cells[run[:-1]])
    return np.concatenate(found)


def _reaches(network: _Network) -> list[np.ndarray]:
    """Numbers of the cells of each reach, downstream; its ends are springs, confluences and mouths."""
    below, donors = network.next.tolist(), network.donors.tolist()
    made = []
    for start in np.flatnonzero((network.donors != 1) & (network.next >= 0)).tolist():
        run = [start, below[start]]
        while donors[run[-1]] == 1 and below[run[-1]] >= 0:
            run.append(below[run[-1]])
        made.append(np.array(run))
    return made


def _falling(z: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The greatest height [n] from each cell to its river's mouth: the level of water that passes hollows."""
    level = z.copy()
    ahead = np.where(below >= 0, below, np.arange(len(z)))
    while True:
        level = np.maximum(level, level[ahead])
        further = ahead[ahead]
        if np.array_equal(further, ahead):
            return level
        ahead = further


# Below the grid's resolution -----------------------------------------------------------------------------------------


def _lowest_across(z: np.ndarray, network: _Network) -> np.ndarray:
    """Places [n, 2] (column, row) of the lowest point across the flow near each cell; springs and mouths stay where they are."""
    columns = z.shape[1]
    points = np.stack([network.cells % columns, network.cells // columns], axis=1).astype(np.float64)
    inner = np.flatnonzero((network.next >= 0) & (network.main >= 0))
    along = points[network.next[inner]] - points[network.main[inner]]
    length = np.hypot(*along.T)
    inner, along = inner[length > 0], along[length > 0] / length[length > 0, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    left, here, right = (_between(z, points[inner] + side * across) for side in (-1.0, 0.0, 1.0))
    bend = left - 2.0 * here + right
    is_valley = bend > 0
    aside = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=is_valley)
    points[inner] += aside.clip(-MOST_ASIDE_PX, MOST_ASIDE_PX)[:, None] * across
    return points


def _between(z: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Heights at places (column, row), bilinear; beyond the border that of the border."""
    rows, columns = z.shape
    x, y = points[:, 0].clip(0, columns - 1), points[:, 1].clip(0, rows - 1)
    column, row = np.minimum(x.astype(int), columns - 2), np.minimum(y.astype(int), rows - 2)
    right, down = x - column, y - row
    upper = z[row, column] * (1.0 - right) + z[row, column + 1] * right
    lower = z[row + 1, column] * (1.0 - right) + z[row + 1, column + 1] * right
    return upper * (1.0 - down) + lower * down


def _smoothed(points: np.ndarray, network: _Network) -> np.ndarray:
    """Places [n, 2] averaged along the flow, at most FARTHEST_PX from where they were; springs and mouths do not move."""
    inner = np.flatnonzero((network.next >= 0) & (network.main >= 0))
    above, below = network.main[inner], network.next[inner]
    made, given = points.copy(), points[inner]
    for _ in range(ROUNDS):
        moved = 0.5 * made[inner] + 0.25 * (made[above] + made[below]) - given
        off = np.hypot(*moved.T)
        made[inner] = (
            given + moved * np.divide(FARTHEST_PX, off, out=np.ones_like(off), where=off > FARTHEST_PX)[:, None]
        )
    return made
