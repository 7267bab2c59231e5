"""The normal equations of a texture, gathered from photographs that come and go: one pass over pixels, no matrix.

A pixel of footprint f and weight w sees the colour c. In the model of backend.ops.texels.pyramid it looks at two levels k
with shares t_k, bilinearly, w_k the four weights:   c = m = sum_k t_k w_k . (R_k T).   Its row is split by level: for
each, w t_k (w_k . R_k T - c_k)² with c_k = c + (w_k . R_k T' - m'), the present texture T' telling how much more a level
shows than the blend. By Jensen the split lies above the exact sum of squares and touches it at T': it is a
majoriser, passes with the texture of the pass before descend on the exact problem, and a fixed point solves that.
What the split buys: in every level texels couple with their eight neighbours only, so the matrix is
    sum_k R_k' A_k R_k,   A_k in five planes (itself, right, down, down right, down left), and three of right sides,
whatever the number of photographs. Those eight numbers of a texel lie together: one cache line for two texels.

Robust losses by iteratively re-weighted least squares (Holland and Welsch 1977), the weight from the length of the
residual over the three channels. "l1" and "huber" are one function, w min(1, threshold/|r|), apart by a scale that the
solution does not see: with a small threshold it is an L1 norm rounded off at zero, with a large one Huber's.
"geman-mcclure", w / (1 + (r/threshold)²)², forgets outliers altogether; it wants a good start.

Gradient rows hold differences of neighbouring pixels to the texture's slope. With bilinear weights w(x) in one cell,
(w(x_a) - w(x_b)) . T is exactly (x_a - x_b) . grad w at the midpoint, a row on the same four texels; where the pixels
fall into different cells the slope of the midpoint's cell stands for both, which is exact for textures linear there.
The level is the finest at which the pixels are no further apart than one texel.

It must not know where pixels come from, nor solve: see backend.ops.texel_solver.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from backend.ops.texels import pyramid as texel_pyramid
from backend.ops.texels.cpu import accumulation as kernel
from backend.ops.texels.cpu.binning import deal, tile_side
from backend.ops.texels.cpu.coverage import MOST_PHOTOGRAPHS, mark_coverage
from backend.ops.texels.cpu.rows import PLANES
from backend.ops.texels.observations import LOSSES, Loss, Pixels, Residuals, Settings
from backend.ops.texels.pyramid import Pyramid
from backend.runtime.memory import untouched
from shared.errors import InvalidInput

RGB = (1.0, 1.0, 1.0)
WIPED_BYTES = 64 << 20  # smaller equations are wiped where they are: that is faster than new memory
NO_TEXTURE = (torch.zeros(3, 1), torch.zeros(3, 1))
NOTHING = torch.zeros(0)


class TexelSystem:
    """The normal equations of a texture of size x size texels, all zero at first.

    cells: float32 [N, 8], the texels of all levels one after the other; of each: the diagonal, couplings to the right,
    down, down right and down left neighbours, and the right sides of three channels.
    """

    def __init__(self, size: int, levels: int | None = None, *, device: torch.device | str = "cpu") -> None:
        """levels: the coarsest level that a pixel may look at; None is the default for the size. size: 2 or more."""
        if size < 2:
            raise InvalidInput(f"A texture has at least 2 texels a side, not {size}.", field="size")
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
            return torch.from_numpy(untouched(shape))
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

    def accumulate(
        self,
        uv: np.ndarray | Tensor,
        footprint: np.ndarray | Tensor,
        weight: np.ndarray | Tensor,
        color: np.ndarray | Tensor,
        *,
        gain: Sequence[float] = RGB,
        offset: Sequence[float] = (0.0, 0.0, 0.0),
        pyramid: Pyramid | None = None,
        loss: Loss = "l2",
        threshold: float = 0.02,
        gradient: float = 0.0,
        photograph: int | None = None,
        solve: bool = True,
        shown: Tensor | None = None,
    ) -> Residuals:
        """Take in a strip of a photograph, or any list of pixels.

        uv [rows, W, 2] or [n, 2], u right and v up in 0..1 (NaN: nothing there), footprint [rows, W] or [n] UV units,
        weight likewise (0: skip), color [..., 3] uint8, uint16 or float32 (0..1): contiguous, on this system's device.
        The colour taken is gain * decoded + offset. pyramid: of the present texture; without one the loss must be
        "l2" and the residual is of a black texture. gradient: weight of the gradient rows beside the colours' (0: none;
        needs rows; the last row of a strip has no lower neighbour). photograph: its number, 0 to 65534, to count
        coverage. solve: without it only the residuals are measured. shown: [..., 3] float32, contiguous: the colors that the
        present texture shows at the pixels that count are written there, the others' are left as they are.
        """
        pixels = Pixels.of(uv, footprint, weight, color, self.device)
        if pyramid is None and loss != "l2":
            raise ValueError(f"the loss {loss!r} needs the present texture's pyramid")
        if pyramid is not None and pyramid.sides != self.sides:
            raise ValueError(f"a pyramid of sides {pyramid.sides} for a system of sides {self.sides}")
        if shown is not None:
            if pyramid is None:
                raise ValueError("without the present texture's pyramid nothing is shown")
            if shown.shape != pixels.color.shape or shown.dtype != torch.float32 or not shown.is_contiguous():
                raise ValueError(f"shown is contiguous float32 {tuple(pixels.color.shape)}, not {tuple(shown.shape)}")
        if photograph is not None and not 0 <= photograph < MOST_PHOTOGRAPHS:
            raise ValueError(f"photographs are numbered 0 to {MOST_PHOTOGRAPHS - 1}, not {photograph}")
        if solve and not len(self.cells):
            raise ValueError("this system was released: reset it first")
        if gradient > 0 and pixels.weight.ndim != 2:
            raise ValueError("gradient rows need pixels in rows and columns, not a list of them")
        settings = Settings(
            gain=np.asarray(gain, np.float32),
            offset=np.asarray(offset, np.float32),
            loss=LOSSES[loss],
            threshold=threshold,
            gradient=gradient,
            solve=solve,
        )
        if self.device.type == "cpu":
            return self._accumulate_cpu(pixels, settings, pyramid, photograph, shown)
        from backend.ops.texels.stencil_plain import accumulate_plain  # which knows this class

        return accumulate_plain(self, pixels, settings, pyramid, photograph, shown)

    def touched_map(self) -> Tensor:
        """uint16 [S/2, S/2, 2]: photographs that have touched a place, and the last one's number + 1."""
        if self._touched is None:
            side = -(-self.size // 2)
            self._touched = torch.zeros((side, side, 2), dtype=torch.uint16, device=self.device)
        return self._touched

    def _accumulate_cpu(
        self, pixels: Pixels, settings: Settings, pyramid: Pyramid | None, photograph: int | None, shown: Tensor | None
    ) -> Residuals:
        tile = tile_side(self.levels, settings.gradient > 0)
        across = -(-self.size // tile)
        uv, footprint, weight, color = (part.numpy() for part in pixels.flat())
        texture, coarse = NO_TEXTURE if pyramid is None else (pyramid.texture.reshape(3, -1), pyramid.coarse)
        starts, runs, order, bounds = deal(uv, footprint, weight, self.size, tile, across)
        if photograph is not None:
            touched = self.touched_map().numpy()
            mark_coverage(
                touched, photograph + 1, self.size, self.levels, tile, uv, footprint, starts, runs, order, bounds
            )
        sums = kernel.accumulate(
            self.cells.view(-1).numpy(),
            self.table,
            texture.numpy(),
            coarse.numpy(),
            uv,
            footprint,
            weight,
            color,
            settings.tones(pixels.color.dtype),
            settings.loss,
            np.float32(settings.threshold),
            settings.solve,
            np.float32(settings.gradient if settings.solve else 0.0),
            pixels.weight.shape[-1],
            starts,
            runs,
            order,
            bounds,
            (NOTHING if shown is None else shown).reshape(-1).numpy(),
        )
        return Residuals(torch.from_numpy(sums))


def row_sums(planes: Tensor) -> Tensor:
    """The sums [n, n] of the rows of a level's matrix, from its planes [n, n, 8]."""
    right, down, down_right, down_left = planes[..., 1:5].unbind(-1)
    total = planes[..., :5].sum(-1)
    total[:, 1:] += right[:, :-1]
    total[1:] += down[:-1]
    total[1:, 1:] += down_right[:-1, :-1]
    total[1:, :-1] += down_left[:-1, 1:]
    return total
