"""Exposure and white balance of photographs: a gain and a bias for each, so that all show one object in one light.

A photograph's colour is gain * texture + bias, in the sRGB-encoded values of its file (a change of exposure is a gain there too,
for the encoding is nearly a power). All are found together on coarse cells, before there is a texture: the cells' colours
and the photographs' gains take turns (Huber's weights against what only one photograph shows), and cells of one photograph alone
say nothing. Later passes refine them on the texture itself from the sums that the solver keeps. What all photographs could do
together is fixed: the weighted geometric mean of the gains is 1, the weighted mean of the biases 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.photos import color_correction_plain

PRIOR = np.array([2e-4, 2e-2])  # holds gain to 1 and bias to 0 where a photograph shows one colour only
KNEE = 0.05  # residual of a cell above which it is weakened
ROUNDS = 60


@dataclass(frozen=True, eq=False)
class ColorCorrection:
    """gain, bias: [P, 3] float64. A photograph's decoded colour is gain * texture + bias."""

    gain: np.ndarray
    bias: np.ndarray

    def to_texture(self, photograph: int) -> tuple[np.ndarray, np.ndarray]:
        """gain, offset [3] that bring decoded colours to the texture's."""
        gain = 1.0 / self.gain[photograph]
        return gain, -self.bias[photograph] * gain


def no_correction(photographs: int) -> ColorCorrection:
    return ColorCorrection(np.ones((photographs, 3)), np.zeros((photographs, 3)))


class CellColors:
    """Mean colours of coarse cells of the texture as each photograph shows them. Holds only cells that it sees."""

    def __init__(self, tiles: Sequence[int], side: int, *, device: torch.device | str = "cpu") -> None:
        """tiles: UDIM numbers. side: cells along a tile. device: where strips lie."""
        columns, rows = [(tile - 1001) % 10 for tile in tiles], [(tile - 1001) // 10 for tile in tiles]
        self._left, self._bottom = min(columns), min(rows)
        self._width, self._height = max(columns) - self._left + 1, max(rows) - self._bottom + 1
        self._side = side
        shape = (self._width * self._height * side * side, 4)
        self._sums = torch.zeros(shape, dtype=torch.float64, device=device)
        self._photographs: list[np.ndarray] = []
        self._cells: list[np.ndarray] = []
        self._means: list[np.ndarray] = []

    def add(self, uv: Tensor, weights: Tensor, pixels: Tensor, *, impl: Impl = "auto") -> None:
        """A strip of the present photograph: uv [h, W, 2], weights [h, W], pixels [h, W, 3] uint8 or uint16."""
        scale, place = 1.0 / torch.iinfo(pixels.dtype).max, (self._left, self._bottom, self._width, self._side)
        if choose(impl, weights.device) != "cpu":
            color_correction_plain.gather_cells(uv, weights, pixels, scale, *place, self._sums)
            return
        from backend.ops.photos.color_correction_cpu import gather_cells

        gather_cells(uv.numpy(), weights.numpy(), pixels.numpy(), scale, *place, self._sums.numpy())

    def close(self, photograph: int, *, counts: bool = True) -> np.ndarray:
        """End the present photograph; the next strip belongs to another. Returns the cells that it sees, int32.

        counts: whether it has a say in the fit.
        """
        seen = self.note(photograph, self._sums.cpu().numpy(), counts=counts)
        self._sums.zero_()
        return seen

    def sums_of(self, uv: Tensor, weights: Tensor, pixels: Tensor, *, impl: Impl = "auto") -> Tensor:
        """What `note` takes of B whole photographs at once, [B, cells, 4]; arguments as of `add` with an axis more."""
        chosen, sums = choose(impl, weights.device), self._sums.new_zeros((len(weights), *self._sums.shape))
        scale, place = 1.0 / torch.iinfo(pixels.dtype).max, (self._left, self._bottom, self._width, self._side)
        if chosen == "plain":
            color_correction_plain.gather_cells(uv, weights, pixels, scale, *place, sums)
            return sums
        from backend.ops.photos.color_correction_cpu import gather_cells

        for own in range(len(weights)):
            gather_cells(uv[own].numpy(), weights[own].numpy(), pixels[own].numpy(), scale, *place, sums[own].numpy())
        return sums

    def note(self, photograph: int, sums: np.ndarray, *, counts: bool = True) -> np.ndarray:
        """Take in what a photograph's pixels sum up to, [cells, 4] float64; see close."""
        seen = np.flatnonzero(sums[:, 0] > 0)
        if counts:
            self._photographs.append(np.full(len(seen), photograph, np.int32))
            self._cells.append(seen.astype(np.int32))
            self._means.append(sums[seen])
        return seen.astype(np.int32)

    def touches(self, cells: np.ndarray, u0: float, v0: float, u1: float, v1: float) -> bool:
        """Whether one of these cells has a share of the window u0..u1, v0..v1 of the surface's UVs."""
        tile, within = np.divmod(cells, self._side**2)
        u = self._left + tile % self._width + within % self._side / self._side
        v = self._bottom + tile // self._width + within // self._side / self._side
        step = 1.0 / self._side
        return bool(((u < u1) & (u + step > u0) & (v < v1) & (v + step > v0)).any())

    def fit(self, photographs: int, mode: str, *, impl: Impl = "auto") -> tuple[ColorCorrection, np.ndarray]:
        """Gains and biases of all, and each photograph's mean absolute residual [P], NaN where it shares no cell.

        mode: "white-balance" (a gain and a bias a channel), "exposure" (one gain) or "none".
        """
        photograph, cell = np.concatenate(self._photographs), np.concatenate(self._cells)
        sums = np.concatenate(self._means)
        views = np.bincount(cell, minlength=len(self._sums))
        shared = views[cell] > 1
        photograph, sums = photograph[shared], sums[shared]
        used, cell = np.unique(cell[shared], return_inverse=True)
        color = sums[:, 1:] / sums[:, :1]
        weight = sums[:, 0] / max(float(sums[:, 0].mean()), 1e-30) if len(sums) else sums[:, 0]
        made = no_correction(photographs)
        cells = np.zeros((len(used), 3))
        free = np.array([1e30, 1e30]) if mode == "none" else PRIOR  # held so firmly that nothing moves
        rules = (mode != "exposure", mode == "white-balance", KNEE)
        rounds = 4 if mode == "none" else ROUNDS
        if choose(impl) == "cpu":
            from backend.ops.photos.color_correction_cpu import alternate

            cell = cell.astype(np.int32)
            alternate(photograph, cell, weight, color, *rules, free, rounds, made.gain, made.bias, cells)
        else:
            color_correction_plain.alternate(
                torch.from_numpy(photograph.astype(np.int64)), torch.from_numpy(cell), torch.from_numpy(weight),
                torch.from_numpy(color), *rules, torch.from_numpy(free), rounds, torch.from_numpy(made.gain),
                torch.from_numpy(made.bias), torch.from_numpy(cells),
            )  # fmt: skip
        if mode == "none":
            made = no_correction(photographs)
        gap = np.abs(color - (made.gain[photograph] * cells[cell] + made.bias[photograph])).mean(axis=1)
        total = np.bincount(photograph, weights=weight, minlength=photographs)
        with np.errstate(invalid="ignore"):
            return made, np.bincount(photograph, weights=weight * gap, minlength=photographs) / total


def refit(sums: np.ndarray, mode: str, *, impl: Impl = "auto") -> tuple[ColorCorrection, np.ndarray, np.ndarray]:
    """Gains and biases from one pass's sums against the texture, and the scale and shift [3] that its colours take.

    sums: [P, 3, 5] for each photograph and channel: weight, model, decoded, model², model * decoded. A photograph without
    weight gets gain 1, bias 0. mode: as CellColors.fit; "none" gives back no correction.
    """
    made = no_correction(len(sums))
    if mode == "none":
        return made, np.ones(3), np.zeros(3)
    rules = (mode != "exposure", mode == "white-balance")
    if choose(impl) != "cpu":
        given, held, gain, bias = (torch.from_numpy(values) for values in (sums, PRIOR, made.gain, made.bias))
        color_correction_plain.regress(given, *rules, held, gain, bias)
        scale, shift = color_correction_plain.fix_gauge(gain, bias, given)
        return made, scale.numpy(), shift.numpy()
    from backend.ops.photos import color_correction_cpu as kernel

    for photograph, own in enumerate(sums):
        kernel.regress(np.ascontiguousarray(own), *rules, PRIOR, made.gain[photograph], made.bias[photograph])
    scale, shift = kernel.fix_gauge(made.gain, made.bias, np.ascontiguousarray(sums))
    return made, scale, shift
