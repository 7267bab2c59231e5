"""Brings photographs whose poses are a pixel off onto the texture: a displacement for each, found by Gauss-Newton.

Pixel p of a photograph shows what the camera as given sees at p - d(p). d is bilinear between nodes (cell_px apart) or one shift.
With R(p) the texture as the photograph would show it and c(p) its corrected colours, a step s minimises

    sum_p w |g · s(p) - (R(p) - c(p))|² / (KEPT sigma²)  +  bending of d + s / BEND_PX²  +  |d + s|² / SHIFT_PX²

g the mean of the gradients of R and c (efficient second-order minimisation, Benhimane and Malis 2004), w robust, sigma² the
residual's variance. Bending is by second differences, so that a shift, a turn and a scale cost nothing there; the last term keeps
photographs that show nothing in place and fixes what all of them could do together. Neither solves for colours nor draws.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, diags, identity, kron
from scipy.sparse.linalg import splu

from backend.kernels import photo_alignment_cpu as kernel

BEND_PX = 0.15  # second difference of d from node to node that is nothing special
SHIFT_PX = 2.0  # a displacement that is nothing special
KEPT = 8.0  # neighbouring residuals go together: one pixel in so many counts as a measurement of its own
LEAST_GAIN = 1e-3  # a step that promises less than this share of the residual is noise
KNEE = 0.05  # residual above which a pixel is weakened


@dataclass(eq=False)
class Displacement:
    """One photograph's displacement. nodes: [gy, gx, 2] float64 px (x, y) at full size; cell_px apart."""

    nodes: np.ndarray
    cell_px: float
    rigid: bool  # one shift for all nodes

    @property
    def is_none(self) -> bool:
        return not self.nodes.any()

    @property
    def shift_px(self) -> np.ndarray:
        """[2] x, y: the mean."""
        return self.nodes.mean(axis=(0, 1))

    @property
    def most_px(self) -> float:
        return float(np.sqrt((self.nodes**2).sum(axis=2)).max())


def displacement(width: int, height: int, method: str, cell_px: float) -> Displacement:
    """None yet, for a photograph of width x height pixels. method: "shift", or "warp" with nodes about cell_px apart."""
    if method == "shift":
        return Displacement(np.zeros((2, 2, 2)), float(max(width, height)), rigid=True)
    cell = max(cell_px, max(width, height) / 64)  # no more than 65 nodes along the longer side
    columns, rows = max(int(np.ceil(width / cell)), 1), max(int(np.ceil(height / cell)), 1)
    return Displacement(np.zeros((rows + 1, columns + 1, 2)), float(cell), rigid=False)


@dataclass(eq=False)
class Evidence:
    """What one pass over a photograph says of its displacement, in pixels of the photograph reduced `reduction` times."""

    displacement: Displacement
    reduction: int
    cells: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rows, columns = self.displacement.nodes.shape[:2]
        self.cells = np.zeros((rows - 1, columns - 1, kernel.COLUMNS))

    def add(
        self, model: np.ndarray, pixels: np.ndarray, gain: np.ndarray, offset: np.ndarray, weights: np.ndarray,
        first_row: int, first: int, last: int,
    ) -> None:  # fmt: skip
        """Add rows first to last - 1 of a strip whose row 0 is the photograph's first_row (the others lend gradients).

        model [h, W, 3] float32, NaN where unseen; pixels [h, W, 3] uint8 or uint16; corrected = gain * decoded + offset;
        weights [h, W].
        """
        kernel.accumulate(
            model, pixels, 1.0 / np.iinfo(pixels.dtype).max, np.asarray(gain, np.float64),
            np.asarray(offset, np.float64), weights, KNEE, self.displacement.cell_px / self.reduction, first_row,
            first, last, self.cells,
        )  # fmt: skip

    def step(self, most_px: float) -> np.ndarray | None:
        """The nodes after a Gauss-Newton step, none longer than most_px; None where the step is not worth taking."""
        nodes = self.displacement.nodes
        total, squared = self.cells[..., -2].sum(), self.cells[..., -1].sum()
        if total <= 0 or squared <= 0:
            return None
        variance = squared / total
        matrix, rhs = self._normal_equations()
        matrix, rhs = matrix / self.reduction**2, rhs / self.reduction  # to pixels at full size
        old = nodes.reshape(-1)
        if self.displacement.rigid:
            both = kron(np.ones((nodes.shape[0] * nodes.shape[1], 1)), identity(2), format="csc")
            data, force = both.T @ matrix @ both, both.T @ rhs
            prior = diags(np.full(2, 1.0 / SHIFT_PX**2))
            shift = old[:2]
            found = splu((data / (KEPT * variance) + prior).tocsc()).solve(force / (KEPT * variance) - prior @ shift)
            step, saved = np.tile(found, len(old) // 2), float(2 * found @ force - found @ (data @ found))
        else:
            prior = _prior(nodes.shape[0], nodes.shape[1])
            step = splu((matrix / (KEPT * variance) + prior).tocsc()).solve(rhs / (KEPT * variance) - prior @ old)
            saved = float(2 * step @ rhs - step @ (matrix @ step))
        if saved < LEAST_GAIN * squared:
            return None
        moved = (old + step).reshape(nodes.shape)
        length = np.sqrt((moved**2).sum(axis=2, keepdims=True))
        return moved * np.minimum(1.0, most_px / np.maximum(length, 1e-12))

    def _normal_equations(self) -> tuple[csc_matrix, np.ndarray]:
        """Matrix [2N, 2N] and right side [2N] over the nodes' x, y, in reduced pixels."""
        rows, columns = self.displacement.nodes.shape[:2]
        corner = np.arange(rows * columns).reshape(rows, columns)
        corners = [corner[:-1, :-1].ravel(), corner[:-1, 1:].ravel(), corner[1:, :-1].ravel(), corner[1:, 1:].ravel()]
        cells = self.cells.reshape(-1, kernel.COLUMNS)
        at_row, at_column, values = [], [], []
        pair = 0
        for a in range(4):
            for b in range(a, 4):
                for (k, m), column in (((0, 0), 0), ((0, 1), 1), ((1, 0), 1), ((1, 1), 2)):
                    value = cells[:, 3 * pair + column]
                    for one, other in ((a, b),) if a == b else ((a, b), (b, a)):
                        at_row.append(2 * corners[one] + k)
                        at_column.append(2 * corners[other] + m)
                        values.append(value)
                pair += 1
        rhs = np.zeros(2 * rows * columns)
        for a in range(4):
            for k in range(2):
                np.add.at(rhs, 2 * corners[a] + k, cells[:, 3 * kernel.PAIRS + 2 * a + k])
        size = (len(rhs), len(rhs))
        entries = (np.concatenate(values), (np.concatenate(at_row), np.concatenate(at_column)))
        return coo_matrix(entries, shape=size).tocsc(), rhs


def _prior(rows: int, columns: int) -> csc_matrix:
    """Bending and length of displacements on a grid of nodes, as a matrix [2N, 2N]."""
    along, down = _second_difference(columns), _second_difference(rows)
    slope_x, slope_y = _difference(columns), _difference(rows)
    bends = [
        kron(identity(rows), along.T @ along),
        kron(down.T @ down, identity(columns)),
        2.0 * kron(slope_y.T @ slope_y, slope_x.T @ slope_x),
    ]
    one = sum(bends[1:], bends[0]) / BEND_PX**2 + identity(rows * columns) / SHIFT_PX**2
    return kron(one, identity(2), format="csc")


def _difference(count: int) -> csc_matrix:
    return diags([-1.0, 1.0], [0, 1], shape=(count - 1, count), format="csc")


def _second_difference(count: int) -> csc_matrix:
    return diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(max(count - 2, 0), count), format="csc")
