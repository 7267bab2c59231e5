"""One Gauss-Newton step of a photograph's displacement from its normal equations: assembled from cells, solved in a band.

backend/ops/photos/alignment.py says what is minimised. Small, on the host, in float64.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded

from backend.ops.photos.constants import PAIRS

CORNERS = [(a, b) for a in range(4) for b in range(a, 4)]  # pairs in the order of a cell's columns
CORNER_PAIRS = np.array(CORNERS).T
TWICE = np.array([1.0 if a == b else 2.0 for a, b in CORNERS])


def node_step(
    cells: np.ndarray, nodes: np.ndarray, data_scale: float, bend_scale: float, length_scale: float
) -> tuple[np.ndarray, float, float]:
    """The step of all nodes [gy, gx, 2], and the matrix's and right side's share in it, data alone.

    Minimises data_scale (s' A s - 2 b' s) + bend_scale |second differences of nodes + s|² + length_scale |nodes + s|², A and
    b being assembled from cells [gy - 1, gx - 1, COLUMNS]. Returns step, s'As, b's. Cholesky's factorisation in a band.
    """
    rows, columns = nodes.shape[:2]
    band = np.zeros((4 * columns + 3, 2 * rows * columns))  # band[k, j] = entry (j + k, j)
    force = _add_cells(band, cells, columns)
    band *= data_scale
    band[0] += length_scale
    side = data_scale * force - length_scale * nodes.ravel()
    _add_bends(band, side, nodes, bend_scale)
    step = solveh_banded(band, side, overwrite_ab=True, lower=True, check_finite=False)
    return step.reshape(nodes.shape), _quadratic(cells, step.reshape(nodes.shape)), float(force @ step)


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


def _place(i: np.ndarray, j: np.ndarray, size: int) -> np.ndarray:
    """Where entry (i, j) and (j, i) of a symmetric matrix is in its lower band, laid flat."""
    return np.abs(i - j) * size + np.minimum(i, j)


@functools.lru_cache(maxsize=32)
def _cell_places(rows: int, columns: int) -> tuple[np.ndarray, list[int], np.ndarray]:
    """For a grid of nodes: places in the band of what cells add, the columns of their sums in that order, places in the side."""
    size, corner = 2 * rows * columns, _corners(rows, columns)
    places, taken = [], []
    for pair, (a, b) in enumerate(CORNERS):
        for k in range(2):
            for m in range(2):
                if a != b or k >= m:
                    places.append(_place(2 * corner[a] + k, 2 * corner[b] + m, size))
                    taken.append(3 * pair + k + m)
    side = [2 * corner[a] + k for a in range(4) for k in range(2)]
    return np.concatenate(places), taken, np.concatenate(side)


def _add_cells(band: np.ndarray, cells: np.ndarray, columns: int) -> np.ndarray:
    """Add the cells' matrix to the band; returns their right side."""
    places, taken, side = _cell_places(cells.shape[0] + 1, columns)
    sums = cells.reshape(-1, cells.shape[-1])
    np.add.at(band.reshape(-1), places, sums[:, taken].T.ravel())
    force = np.zeros(band.shape[1])
    np.add.at(force, side, sums[:, 3 * PAIRS : 3 * PAIRS + 8].T.ravel())
    return force


@dataclass(frozen=True)
class _Bends:
    """What keeps the second differences of a grid of nodes small.

    band, factors: places in the band and what is added there for each unit of scale. stencils: the nodes [A, n] that each
    kind of second difference takes, and with which weights [A]. side: places in the side, by kind, axis and node.
    """

    band: np.ndarray
    factors: np.ndarray
    stencils: list[tuple[np.ndarray, np.ndarray]]
    side: np.ndarray


@functools.lru_cache(maxsize=32)
def _bends(rows: int, columns: int) -> _Bends:
    """Second differences along rows, along columns, and twice the mixed ones."""
    number, root = np.arange(rows * columns).reshape(rows, columns), float(np.sqrt(2.0))
    kinds = (
        ((number[:, :-2], number[:, 1:-1], number[:, 2:]), (1.0, -2.0, 1.0)),
        ((number[:-2], number[1:-1], number[2:]), (1.0, -2.0, 1.0)),
        ((number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]), (root, -root, -root, root)),
    )
    stencils = [(np.stack([nodes.ravel() for nodes in taken]), np.array(weights)) for taken, weights in kinds]
    size, places, factors, side = 2 * rows * columns, [], [], []
    for taken, weights in stencils:
        for k in range(2):
            for a, nodes in enumerate(taken):
                side.append(2 * nodes + k)
                for b in range(a, len(taken)):
                    places.append(_place(2 * nodes + k, 2 * taken[b] + k, size))
                    factors.append(np.full(len(nodes), weights[a] * weights[b]))
    return _Bends(np.concatenate(places), np.concatenate(factors), stencils, np.concatenate(side))


def _add_bends(band: np.ndarray, side: np.ndarray, nodes: np.ndarray, scale: float) -> None:
    """Add what keeps second differences small: to the band by the grid alone, to the side by the nodes."""
    bends = _bends(*nodes.shape[:2])
    np.add.at(band.reshape(-1), bends.band, scale * bends.factors)
    flat, forces = nodes.reshape(-1, 2), []
    for taken, weights in bends.stencils:
        bending = np.einsum("a,ank->kn", weights, flat[taken])
        forces.append(((-scale * weights)[:, None] * bending[:, None]).ravel())  # [2, A, n]
    np.add.at(side, bends.side, np.concatenate(forces))


def _quadratic(cells: np.ndarray, step: np.ndarray) -> float:
    """s'As."""
    own = step.reshape(-1, 2)[_corners(*step.shape[:2])]  # [4, n, 2]
    first, second = CORNER_PAIRS
    (ax, ay), (bx, by) = own[first].transpose(2, 0, 1), own[second].transpose(2, 0, 1)
    xx, xy, yy = cells.reshape(-1, cells.shape[-1])[:, : 3 * PAIRS].reshape(-1, PAIRS, 3).transpose(2, 1, 0)
    return float(TWICE @ (xx * ax * bx + xy * (ax * by + ay * bx) + yy * ay * by).sum(1))
