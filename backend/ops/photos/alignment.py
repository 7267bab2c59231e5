"""Brings photographs whose poses are a pixel off onto the texture: a displacement for each, found by Gauss-Newton.

Pixel p of a photograph shows what the camera as given sees at p - d(p). d is bilinear between nodes (cell_px apart) or one shift.
With R(p) the texture as the photograph would show it and c(p) its corrected colours, a step s minimises

    sum_p w |g · s(p) - (R(p) - c(p))|² / (KEPT sigma²)  +  bending of d + s / BEND_PX²  +  |d + s|² / SHIFT_PX²

g the mean of the gradients of R and c (efficient second-order minimisation, Benhimane and Malis 2004), w robust, sigma² the
residual's variance. Bending is by second differences, so that a shift, a turn and a scale cost nothing there; the last term keeps
photographs that show nothing in place and fixes what all of them could do together: slide the texture over the surface. A step is
no longer than REACH_PX of the pixels it was found in, for a gradient tells no more; far moves come about on reduced photographs,
where they are few pixels. Neither solves for colours nor draws.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from backend.ops.photos import alignment_cpu as kernel

BEND_PX = 0.5  # second difference of d from node to node that is nothing special
SHIFT_PX = 2.0  # a displacement that is nothing special
KEPT = 8.0  # neighbouring residuals go together: one pixel in so many counts as a measurement of its own
LEAST_GAIN = 1e-3  # a step that promises less than this share of the residual is noise
MOST_CELLS = 32  # of nodes' cells along a photograph's longer side
REACH_PX = 1.5  # of a step
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
    cell = max(cell_px, max(width, height) / MOST_CELLS)
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
        variance, scale = squared / total, float(self.reduction)
        # the evidence is in reduced pixels, the nodes are in full ones
        solve = _shift_step if self.displacement.rigid else kernel.solve_step
        step, quadratic, linear = solve(
            self.cells, nodes / scale, 1.0 / (KEPT * variance), (scale / BEND_PX) ** 2, (scale / SHIFT_PX) ** 2
        )
        if 2 * linear - quadratic < LEAST_GAIN * squared:
            return None
        return _no_longer(nodes + _no_longer(step, REACH_PX) * scale, most_px)


def _no_longer(vectors: np.ndarray, most: float) -> np.ndarray:
    """Vectors [..., 2], shortened where they are longer than `most`."""
    length = np.sqrt((vectors**2).sum(axis=-1, keepdims=True))
    return vectors * np.minimum(1.0, most / np.maximum(length, 1e-12))


def _shift_step(
    cells: np.ndarray, nodes: np.ndarray, data_scale: float, bend_scale: float, length_scale: float
) -> tuple[np.ndarray, float, float]:
    """As kernel.solve_step for nodes that all move alike; there is one cell, and nothing bends."""
    sums = cells.sum(axis=(0, 1))
    twice = np.array([1.0 if a == b else 2.0 for a in range(4) for b in range(a, 4)])
    xx, xy, yy = twice @ sums[: 3 * kernel.PAIRS].reshape(kernel.PAIRS, 3)
    force = sums[3 * kernel.PAIRS : 3 * kernel.PAIRS + 8].reshape(4, 2).sum(axis=0)
    data = np.array([[xx, xy], [xy, yy]])
    step = np.linalg.solve(
        data_scale * data + length_scale * np.eye(2), data_scale * force - length_scale * nodes[0, 0]
    )
    return np.broadcast_to(step, nodes.shape), float(step @ data @ step), float(step @ force)
