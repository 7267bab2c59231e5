"""The normal equations of a texture as they are kept: what they hold, how much of it, and how it is forgotten.

What goes in is backend/ops/texels/stencil.py's, what comes out of it backend/ops/texels/solver.py's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.texels import pyramid as texel_pyramid
from backend.ops.texels.constants import PLANES
from backend.runtime.memory import lazy_zeros
from shared.errors import InvalidInput

WIPED_BYTES = 64 << 20  # smaller equations are wiped where they are: that is faster than new memory


class TexelSystem:
    """The normal equations of a texture of size x size texels, all zero at first.

    cells: float32 [N, 8], the texels of all levels one after the other; of each: the diagonal, couplings to the right,
    down, down right and down left neighbours, and the right sides of three channels.
    """

    def __init__(self, size: int, levels: int | None = None, *, device: torch.device | str = "cpu") -> None:
        """levels: the coarsest level that a pixel may look at; None is the default for the size. size: 2 or more."""
        if size < 2:
            raise InvalidInput(f"A texture has at least 2 texels per side, not {size}.", field="size")
        self.size = size
        self.levels = texel_pyramid.default_levels(size) if levels is None else levels
        self.sides = texel_pyramid.level_sides(size, self.levels)
        if self.sides[-1] < 2:
            raise InvalidInput(
                f"A texture of {size} texels has no level {self.levels}.", hint="Ask for fewer levels.", field="levels"
            )
        self.device = torch.device(device)
        self.table = texel_pyramid.level_table(self.sides)
        self.cells = self._no_cells()
        self._touched: Tensor | None = None

    def _no_cells(self) -> Tensor:
        """Zeros that take memory where something is written only: many a texture has gutters, and levels nobody looks at."""
        shape = (sum(side * side for side in self.sides), PLANES)
        if self.device.type == "cpu":
            return torch.from_numpy(lazy_zeros(shape))
        return torch.zeros(shape, device=self.device)

    def level(self, level: int) -> Tensor:
        """The planes of one level, a view [n, n, 8]."""
        start, side = int(self.table[1, level]), self.sides[level]
        return self.cells[start : start + side * side].unflatten(0, (side, side))

    def observation_weight(self) -> Tensor:
        """How much weight of observations each texel has taken in, [S, S] float32: the row sums of the matrix."""
        total = row_sums(self.level(self.levels))
        for level in range(self.levels - 1, -1, -1):
            finer = row_sums(self.level(level))
            texel_pyramid.add_spread(finer, total)
            total = finer
        return total

    def coverage(self) -> Tensor:
        """How many photographs have touched each texel since the last reset, [S, S] uint16 on the CPU; those accumulated
        with their number count. Told for 2 x 2 texels at once.
        """
        if self._touched is None:
            return torch.zeros((self.size, self.size), dtype=torch.uint16)
        counts = self._touched[..., 0].cpu().numpy()
        return torch.from_numpy(counts.repeat(2, 0).repeat(2, 1)[: self.size, : self.size].copy())

    def reset(self) -> None:
        """Forget every observation, coverage included."""
        if 0 < self.cells.nbytes < WIPED_BYTES:
            self.cells.zero_()
        else:
            self.cells = self._no_cells()
        self._touched = None

    def release(self) -> None:
        """Give the equations' memory back. Until the next reset only residuals can be measured."""
        self.cells = torch.zeros((0, PLANES), device=self.device)

    def touched_map(self) -> Tensor:
        """uint16 [S/2, S/2, 2]: photographs that have touched a place, and the last one's number + 1."""
        if self._touched is None:
            side = -(-self.size // 2)
            self._touched = torch.zeros((side, side, 2), dtype=torch.uint16, device=self.device)
        return self._touched


def row_sums(planes: Tensor) -> Tensor:
    """The sums [n, n] of the rows of a level's matrix, from its planes [n, n, 8]."""
    right, down, down_right, down_left = planes[..., 1:5].unbind(-1)
    total = planes[..., :5].sum(-1)
    total[:, 1:] += right[:, :-1]
    total[1:] += down[:-1]
    total[1:, 1:] += down_right[:-1, :-1]
    total[1:, :-1] += down_left[:-1, 1:]
    return total
