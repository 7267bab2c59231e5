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

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.photos import alignment_plain
from backend.ops.photos.constants import COLUMNS
from backend.ops.photos.displacement_step import node_step, shift_step

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
    """What one pass over a photograph says of its displacement, in pixels of the photograph reduced `reduction` times.

    cells: [gy - 1, gx - 1, COLUMNS] float64 on `device`, the normal equations of each cell between nodes.
    """

    displacement: Displacement
    reduction: int
    device: torch.device | str = "cpu"
    cells: Tensor = field(init=False)

    def __post_init__(self) -> None:
        rows, columns = self.displacement.nodes.shape[:2]
        self.cells = torch.zeros((rows - 1, columns - 1, COLUMNS), dtype=torch.float64, device=self.device)

    def add(
        self, model: Tensor, pixels: Tensor, gain: np.ndarray, offset: np.ndarray, weights: Tensor, first_row: int, first: int,
        last: int, *, impl: Impl = "auto",
    ) -> None:  # fmt: skip
        """Add rows first to last - 1 of a strip whose row 0 is the photograph's first_row (the others lend gradients).

        model [h, W, 3] float32, NaN where unseen; pixels [h, W, 3] uint8 or uint16; corrected = gain * decoded + offset;
        weights [h, W].
        """
        scale, cell = 1.0 / torch.iinfo(pixels.dtype).max, self.displacement.cell_px / self.reduction
        gain, offset = np.asarray(gain, np.float64), np.asarray(offset, np.float64)
        chosen = choose(impl, weights.device, cuda=True)
        if chosen == "cuda":
            tones = (gain[None] * scale, offset[None])
            _gather_cuda(
                model[None], pixels[None], *tones, weights[None], cell, first_row, first, last, self.cells[None]
            )
            return
        if chosen == "plain":
            factor, shift = (weights.new_tensor(values) for values in (gain * scale, offset))
            alignment_plain.add_sums(
                model, pixels, factor, shift, weights, KNEE, cell, first_row, first, last, self.cells
            )
            return
        from backend.ops.photos.alignment_cpu import accumulate

        accumulate(
            model.numpy(), pixels.numpy(), scale, gain, offset, weights.numpy(), KNEE, cell, first_row, first, last,
            self.cells.numpy(),
        )  # fmt: skip

    def step(self, most_px: float) -> np.ndarray | None:
        """The nodes after a Gauss-Newton step, none longer than most_px; None where the step is not worth taking."""
        nodes, cells = self.displacement.nodes, self.cells.cpu().numpy()
        total, squared = cells[..., -2].sum(), cells[..., -1].sum()
        if total <= 0 or squared <= 0:
            return None
        variance, scale = squared / total, float(self.reduction)
        # the evidence is in reduced pixels, the nodes are in full ones
        solve = shift_step if self.displacement.rigid else node_step
        step, quadratic, linear = solve(
            cells, nodes / scale, 1.0 / (KEPT * variance), (scale / BEND_PX) ** 2, (scale / SHIFT_PX) ** 2
        )
        if 2 * linear - quadratic < LEAST_GAIN * squared:
            return None
        return _no_longer(nodes + _no_longer(step, REACH_PX) * scale, most_px)


@dataclass(eq=False)
class Evidences:
    """Those of B photographs of one size and one grid of nodes, which on a card are gathered as quickly as one.

    cells: [B, gy - 1, gx - 1, COLUMNS] float64 on `device`.
    """

    displacements: Sequence[Displacement]
    reduction: int
    device: torch.device | str = "cpu"
    cells: Tensor = field(init=False)

    def __post_init__(self) -> None:
        rows, columns = self.displacements[0].nodes.shape[:2]
        shape = (len(self.displacements), rows - 1, columns - 1, COLUMNS)
        self.cells = torch.zeros(shape, dtype=torch.float64, device=self.device)

    def add(
        self, model: Tensor, pixels: Tensor, gain: np.ndarray, offset: np.ndarray, weights: Tensor, *, impl: Impl = "auto"
    ) -> None:  # fmt: skip
        """Add whole photographs: model, pixels [B, H, W, 3], gain, offset [B, 3], weights [B, H, W]."""
        chosen, height = choose(impl, weights.device, cuda=True), weights.shape[1]
        if chosen != "cuda":
            for own, cells in enumerate(self.cells):
                alone = Evidence(self.displacements[own], self.reduction, self.device)
                given = (model[own], pixels[own], gain[own], offset[own], weights[own])
                alone.add(*given, 0, 0, height, impl=chosen)
                cells += alone.cells
            return
        cell = self.displacements[0].cell_px / self.reduction
        scaled = np.asarray(gain) / torch.iinfo(pixels.dtype).max
        _gather_cuda(model, pixels, scaled, np.asarray(offset), weights, cell, 0, 0, height, self.cells)

    def each(self) -> list[Evidence]:
        """Every photograph's own, on the host: one wait for all of them."""
        made = []
        for own, cells in zip(self.displacements, self.cells.cpu(), strict=True):
            evidence = Evidence(own, self.reduction)
            evidence.cells = cells
            made.append(evidence)
        return made


def _gather_cuda(
    model: Tensor, pixels: Tensor, factor: np.ndarray, shift: np.ndarray, weights: Tensor, cell: float, first_row: int, first: int,
    last: int, cells: Tensor,
) -> None:  # fmt: skip
    from backend.ops.photos.alignment_cuda import BLOCK, gather

    tones = torch.from_numpy(np.stack([factor, shift]).astype(np.float32)).to(weights.device)
    blocks = cells.shape[0] * cells.shape[1] * cells.shape[2]
    gather.launch(
        blocks * BLOCK, model, pixels, tones[0], tones[1], weights, KNEE, cell, first_row, first, last, cells, block=(BLOCK,)
    )  # fmt: skip


def _no_longer(vectors: np.ndarray, most: float) -> np.ndarray:
    """Vectors [..., 2], shortened where they are longer than `most`."""
    length = np.sqrt((vectors**2).sum(axis=-1, keepdims=True))
    return vectors * np.minimum(1.0, most / np.maximum(length, 1e-12))
