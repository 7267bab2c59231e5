"""One Gauss-Newton step of a photograph's displacement from its normal equations: assembled from cells, solved in a band.

backend/ops/photos/alignment.py says what is minimised. Small, on the host, in float64.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas, lapack

from backend.ops.photos.constants import PAIRS

CORNERS = [(a, b) for a in range(4) for b in range(a, 4)]  # pairs in the order of a cell's columns
TWICE = np.array([1.0 if a == b else 2.0 for a, b in CORNERS])


def node_step(
    cells: np.ndarray, nodes: np.ndarray, data_scale: float, bend_scale: float, length_scale: float
) -> tuple[np.ndarray, float, float]:
    """The step of all nodes [gy, gx, 2], and the matrix's and right side's share in it, data alone.

    Minimises data_scale (s' A s - 2 b' s) + bend_scale |second differences of nodes + s|² + length_scale |nodes + s|², A and
    b being assembled from cells [gy - 1, gx - 1, COLUMNS]. Returns step, s'As, b's. Cholesky's factorisation in a band.
    """
    data, force = _gathered(cells)
    band = data * data_scale
    band[0] += length_scale
    side = data_scale * force - length_scale * nodes.ravel()
    _add_bends(band, side, nodes, bend_scale)
    _, step, failed = lapack.dpbsv(band, side, lower=1, overwrite_ab=1)  # pyright: ignore[reportAttributeAccessIssue]
    if failed:
        raise np.linalg.LinAlgError("the normal equations of a displacement are not positive definite")
    quadratic = step @ blas.dsbmv(len(data) - 1, 1.0, data, step, lower=1)  # pyright: ignore[reportAttributeAccessIssue]
    return step.reshape(nodes.shape), float(quadratic), float(force @ step)


def shift_step(
    cells: np.ndarray, nodes: np.ndarray, data_scale: float, bend_scale: float, length_scale: float
) -> tuple[np.ndarray, float, float]:
    """As node_step for nodes that all move alike; there is one cell, and nothing bends."""
    sums = cells.sum(axis=(0, 1))
    xx, xy, yy = TWICE @ sums[: 3 * PAIRS].reshape(PAIRS, 3)
    force = sums[3 * PAIRS : 3 * PAIRS + 8].reshape(4, 2).sum(axis=0)
    data = np.array([[xx, xy], [xy, yy]])
    step = np.linalg.solve(
        data_scale * data + length_scale * np.eye(2), data_scale * force - length_scale * nodes[0, 0]
    )
    return np.broadcast_to(step, nodes.shape), float(step @ data @ step), float(step @ force)


@functools.lru_cache(maxsize=32)
def _corners(rows: int, columns: int) -> np.ndarray:
    """[4, n] int64: the nodes at the corners of every cell of a grid of rows x columns nodes."""
    y, x = np.indices((rows - 1, columns - 1)).reshape(2, -1)
    first = y * columns + x
    return np.stack([first, first + 1, first + columns, first + columns + 1])


def _place(i: np.ndarray, j: np.ndarray, columns: int) -> np.ndarray:
    """Where entry (i, j) and (j, i) of a symmetric matrix is in its lower band, laid flat as LAPACK has it."""
    return np.minimum(i, j) * (4 * columns + 3) + np.abs(i - j)


@functools.lru_cache(maxsize=32)
def _cell_places(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For a grid of nodes: places in the band of what cells add, the columns of their sums in that order, places in the side."""
    corner = _corners(rows, columns)
    places, taken = [], []
    for pair, (a, b) in enumerate(CORNERS):
        for k in range(2):
            for m in range(2):
                if a != b or k >= m:
                    places.append(_place(2 * corner[a] + k, 2 * corner[b] + m, columns))
                    taken.append(3 * pair + k + m)
    side = [2 * corner[a] + k for a in range(4) for k in range(2)]
    return np.concatenate(places), np.array(taken), np.concatenate(side)


def _gathered(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cells' matrix, band[k, j] = entry (j + k, j) in LAPACK's order, and their right side."""
    rows, columns = cells.shape[0] + 1, cells.shape[1] + 1
    places, taken, side = _cell_places(rows, columns)
    size, depth = 2 * rows * columns, 4 * columns + 3
    sums = cells.reshape(-1, cells.shape[-1]).T
    band = np.bincount(places, sums[taken].ravel(), size * depth).reshape(size, depth).T
    return band, np.bincount(side, sums[3 * PAIRS : 3 * PAIRS + 8].ravel(), size)


@dataclass(frozen=True)
class _Bends:
    """What keeps the R second differences of a grid of nodes small.

    band, factors: places in the band and what is added there for each unit of scale. nodes [4, R], weights [4, R, 1]: the
    nodes that each second difference takes, and how. side, pulls, pulling: places in the side, what is added there for each unit of
    scale and second difference, and the place of that in [R, 2], x and y.
    """

    band: np.ndarray
    factors: np.ndarray
    side: np.ndarray
    pulls: np.ndarray
    pulling: np.ndarray
    nodes: np.ndarray
    weights: np.ndarray


@functools.lru_cache(maxsize=32)
def _bends(rows: int, columns: int) -> _Bends:
    """Second differences along rows, along columns, and twice the mixed ones."""
    number, root = np.arange(rows * columns).reshape(rows, columns), float(np.sqrt(2.0))
    kinds = (
        ((number[:, :-2], number[:, 1:-1], number[:, 2:]), (1.0, -2.0, 1.0)),
        ((number[:-2], number[1:-1], number[2:]), (1.0, -2.0, 1.0)),
        ((number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]), (root, -root, -root, root)),
    )
    places, factors, side, pulls, pulling, nodes, shares, first = [], [], [], [], [], [], [], 0
    for grids, weights in kinds:
        taken, count = [grid.ravel() for grid in grids], grids[0].size
        for k in range(2):
            for a, own in enumerate(taken):
                side.append(2 * own + k)
                pulls.append(np.full(count, -weights[a]))
                pulling.append(2 * (first + np.arange(count)) + k)
                for b in range(a, len(taken)):
                    places.append(_place(2 * own + k, 2 * taken[b] + k, columns))
                    factors.append(np.full(count, weights[a] * weights[b]))
        unused = 4 - len(taken)
        nodes.append(np.stack([*taken, *[taken[0]] * unused]))
        shares.append(np.repeat([*weights, *[0.0] * unused], count).reshape(4, count))
        first += count
    listed = (np.concatenate(part) for part in (places, factors, side, pulls, pulling))
    return _Bends(*listed, nodes=np.concatenate(nodes, 1), weights=np.concatenate(shares, 1)[..., None])


def _add_bends(band: np.ndarray, side: np.ndarray, nodes: np.ndarray, scale: float) -> None:
    """Add what keeps second differences small: to the band by the grid alone, to the side by the nodes."""
    bends = _bends(*nodes.shape[:2])
    np.add.at(band.T.reshape(-1), bends.band, scale * bends.factors)
    first, second, third, fourth = bends.weights * nodes.reshape(-1, 2)[bends.nodes]
    bending = (first + second + third + fourth).ravel()
    np.add.at(side, bends.side, scale * bends.pulls * bending[bends.pulling])
