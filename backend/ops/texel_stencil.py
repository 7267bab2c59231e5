"""The normal equations of a texture, gathered from photographs that come and go: one pass over pixels, no matrix.

A pixel of footprint f and weight w sees the colour c. In the model of backend.ops.texel_pyramid it looks at two levels k
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
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from backend.kernels import texel_accumulation_cpu as kernel
from backend.kernels.texel_coverage_cpu import MOST_PHOTOGRAPHS, REACH, mark_coverage
from backend.kernels.texel_dealing_cpu import deal, tile_side
from backend.ops import texel_pyramid
from backend.ops.texel_pyramid import Pyramid
from shared.errors import InvalidInput

Loss = Literal["l2", "l1", "huber", "geman-mcclure"]
LOSSES: dict[str, int] = {"l2": kernel.L2, "l1": kernel.HUBER, "huber": kernel.HUBER, "geman-mcclure": kernel.REDESCEND}
PLANES = kernel.PLANES
RGB = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Residuals:
    """What one photograph says of the texture: sums over its pixels, [22] float64. Add those of its strips.

    The pixels' robust weights w; m is the colour the texture gives, c the photograph's decoded one BEFORE gain and
    offset, r = gain c + offset - m. Three numbers a channel where it says so.
    """

    sums: Tensor

    def __add__(self, other: Residuals) -> Residuals:
        return Residuals(self.sums + other.sums)

    def _host(self) -> np.ndarray:
        return self.sums.cpu().numpy()

    @property
    def count(self) -> int:
        """Pixels that were used."""
        return int(self._host()[0])

    @property
    def weight(self) -> float:
        """sum w."""
        return float(self._host()[1])

    @property
    def squared(self) -> float:
        """sum w |r|², |r| the length over the channels."""
        return float(self._host()[2])

    @property
    def absolute(self) -> float:
        """sum |r| without any weight."""
        return float(self._host()[3])

    @property
    def model(self) -> np.ndarray:
        """sum w m, [3]."""
        return self._host()[4:7]

    @property
    def photograph(self) -> np.ndarray:
        """sum w c, [3]."""
        return self._host()[7:10]

    @property
    def model_squared(self) -> np.ndarray:
        """sum w m², [3]."""
        return self._host()[10:13]

    @property
    def product(self) -> np.ndarray:
        """sum w m c, [3]."""
        return self._host()[13:16]

    @property
    def photograph_squared(self) -> np.ndarray:
        """sum w c², [3]."""
        return self._host()[16:19]

    @property
    def plain_squared(self) -> np.ndarray:
        """sum over used pixels of r², without any weight, [3]: for PSNR."""
        return self._host()[19:22]


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
            return torch.from_numpy(np.zeros(shape, np.float32))
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


NO_TEXTURE = (torch.zeros(3, 1), torch.zeros(3, 1))
NOTHING = torch.zeros(0)
DECODING = {torch.uint8: 1 / 255, torch.uint16: 1 / 65535, torch.float32: 1.0}


@dataclass(frozen=True)
class Settings:
    """How pixels are taken in: see TexelSystem.accumulate."""

    gain: np.ndarray
    offset: np.ndarray
    loss: int
    threshold: float
    gradient: float
    solve: bool

    def tones(self, dtype: torch.dtype) -> np.ndarray:
        """Decoding, gain and offset of three channels, float32 [3, 3]."""
        return np.stack((np.full(3, DECODING[dtype], np.float32), self.gain, self.offset))


@dataclass(frozen=True)
class Pixels:
    """A strip of pixels: uv [..., 2], footprint [...], weight [...], color [..., 3], contiguous."""

    uv: Tensor
    footprint: Tensor
    weight: Tensor
    color: Tensor

    @classmethod
    def of(cls, uv: Any, footprint: Any, weight: Any, color: Any, device: torch.device) -> Pixels:
        """Checked: ValueError for shapes that do not go together, a type that is not taken, or another device."""
        parts = cls(*(_tensor(part) for part in (uv, footprint, weight, color)))
        shape = parts.weight.shape
        fits = (parts.uv.shape, parts.footprint.shape, parts.color.shape) == ((*shape, 2), shape, (*shape, 3))
        if not fits or len(shape) not in (1, 2):
            shapes = [tuple(part.shape) for part in (parts.uv, parts.footprint, parts.weight, parts.color)]
            raise ValueError(f"pixels of shapes {shapes} do not go together")
        if parts.color.dtype not in DECODING:
            raise ValueError(f"colors are uint8, uint16 or float32, not {parts.color.dtype}")
        for part in (parts.uv, parts.footprint, parts.weight):
            if part.dtype != torch.float32 or part.device.type != device.type:
                raise ValueError(f"expected float32 on {device}, not {part.dtype} on {part.device}")
        return parts

    def flat(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As lists of pixels."""
        return self.uv.reshape(-1, 2), self.footprint.reshape(-1), self.weight.reshape(-1), self.color.reshape(-1, 3)


def _tensor(values: Any) -> Tensor:
    """Contiguous, sharing memory where that can be; read-only arrays are copied, for kernels are compiled for one kind."""
    if isinstance(values, Tensor):
        return values.contiguous()
    array = np.ascontiguousarray(values)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def accumulate_plain(
    system: TexelSystem,
    pixels: Pixels,
    settings: Settings,
    pyramid: Pyramid | None,
    photograph: int | None,
    shown: Tensor | None = None,
) -> Residuals:
    """`TexelSystem.accumulate` in plain torch operations, on any device; in the precision of system.cells."""
    uv, footprint, weight, color = pixels.flat()
    used = ((uv >= 0) & (uv <= 1)).all(-1) & (weight > 0) & (weight < torch.inf) & (footprint > 0)
    precision = system.cells.dtype
    uv, footprint, weight = uv[used].to(precision), footprint[used].to(precision), weight[used].to(precision)
    decoding, gain, offset = torch.from_numpy(settings.tones(color.dtype)).to(uv)
    decoded = color[used].to(precision) * decoding
    target = decoded * gain + offset
    finer, share = texel_pyramid.choose_levels(footprint, system.size, system.levels)
    place = texel_pyramid.to_texels(uv, system.size)
    rows = []
    model = torch.zeros_like(target)
    for level, side in enumerate(system.sides):
        amount = torch.where(finer == level, 1 - share, torch.where(finer == level - 1, share, torch.zeros_like(share)))
        index, weights = texel_pyramid.cells(place, level, side)
        own = torch.zeros_like(target)
        if pyramid is not None:
            flat = pyramid[level].reshape(3, -1)
            corners = torch.stack([flat[:, index + step] for step in (0, 1, side, side + 1)], -1)
            own = (corners * weights).sum(-1).T
            model = model + amount[:, None] * own
        rows.append((amount, index, weights, own))
    if shown is not None:
        shown.view(-1, 3)[used] = model.to(shown.dtype)
    residual = target - model
    squared = (residual**2).sum(-1)
    robust = weight * robust_weight_plain(squared, settings.loss, settings.threshold)
    if settings.solve:
        for level, (amount, index, weights, own) in enumerate(rows):
            add_rows_plain(system.level(level), index, robust * amount, weights, residual + own)
        if settings.gradient > 0:
            used = used.reshape(pixels.weight.shape)
            rows_high, columns = used.shape
            for first, second in (
                ((slice(None), slice(columns - 1)), (slice(None), slice(1, None))),
                (slice(rows_high - 1), slice(1, None)),
            ):
                add_gradients_plain(system, pixels, settings, pyramid, used, first, second)
    if photograph is not None:
        mark_coverage_plain(system.touched_map(), photograph + 1, system, uv, footprint)
    return Residuals(_sums_plain(robust, model, decoded, residual, squared))


def robust_weight_plain(squared: Tensor, loss: int, threshold: float) -> Tensor:
    """The factors on pixels' weights for the squared lengths of their residuals."""
    if loss == kernel.L2:
        return torch.ones_like(squared)
    if loss == kernel.HUBER:
        return threshold / squared.sqrt().clamp(min=threshold)
    return (1 + squared / threshold**2) ** -2


def add_rows_plain(level: Tensor, index: Tensor, weight: Tensor, corners: Tensor, target: Tensor) -> None:
    """Rows weight (corners . T - target)² into the planes of a level [n, n, 8]; index as from texel_pyramid.cells."""
    side = level.shape[0]
    a, b, c, d = (corners * weight[:, None]).unbind(-1)
    p, q, r, s = corners.unbind(-1)
    nothing = torch.zeros_like(a)
    couplings = (
        (a * p, a * q, a * r, a * s, nothing),
        (b * q, nothing, b * s, nothing, b * r),
        (c * r, c * s, nothing, nothing, nothing),
        (d * s, nothing, nothing, nothing, nothing),
    )
    cells = level.reshape(side * side, PLANES)
    for step, own, coupling in zip((0, 1, side, side + 1), (a, b, c, d), couplings):
        values = torch.cat((torch.stack(coupling, -1), own[:, None] * target), -1)
        if cells.is_cuda:
            cells.index_put_((index + step,), values, accumulate=True)  # sorts: the same bytes every time
        else:
            cells.index_add_(0, index + step, values)


def add_gradients_plain(
    system: TexelSystem,
    pixels: Pixels,
    settings: Settings,
    pyramid: Pyramid | None,
    used: Tensor,
    first: Any,
    second: Any,
) -> None:
    """The gradient rows of the pixels maps[first] with their neighbours maps[second]; used [rows, W]."""
    precision, size = system.cells.dtype, system.size
    both = used[first] & used[second]
    (p, q), (wide_p, wide_q), (weight_p, weight_q), (color_p, color_q) = (
        [part[place][both].to(precision) for place in (first, second)]
        for part in (pixels.uv, pixels.footprint, pixels.weight, pixels.color)
    )
    p, q = texel_pyramid.to_texels(p, size), texel_pyramid.to_texels(q, size)
    step = q - p
    distance = step.abs().amax(-1)
    close = distance <= float(kernel.SAME_SURFACE) * torch.maximum(wide_p, wide_q) * size
    level_of = torch.zeros_like(distance, dtype=torch.int64)
    for level in range(system.levels):
        level_of = torch.where((level_of == level) & (distance * 2.0**-level > 1), level + 1, level_of)
    close &= distance * torch.exp2(-level_of.to(precision)) <= 2
    decoding, gain, _ = torch.from_numpy(settings.tones(pixels.color.dtype)).to(p)
    for level, side in enumerate(system.sides):
        here = close & (level_of == level)
        index, corners = texel_pyramid.cells((p[here] + q[here]) / 2, level, side)
        dx, dy = (step[here] * 2.0**-level).unbind(-1)
        up, down = corners[:, 0] + corners[:, 1], corners[:, 2] + corners[:, 3]
        left, right = corners[:, 0] + corners[:, 2], corners[:, 1] + corners[:, 3]
        slope = torch.stack(
            (-up * dx - left * dy, up * dx - right * dy, left * dy - down * dx, down * dx + right * dy), -1
        )
        target = (color_q[here] - color_p[here]) * decoding * gain
        weight = settings.gradient * torch.minimum(weight_p[here], weight_q[here])
        if settings.loss != kernel.L2 and pyramid is not None:
            flat = pyramid[level].reshape(3, -1)
            shown = (torch.stack([flat[:, index + step] for step in (0, 1, side, side + 1)], -1) * slope).sum(-1).T
            weight = weight * robust_weight_plain(((target - shown) ** 2).sum(-1), settings.loss, settings.threshold)
        add_rows_plain(system.level(level), index, weight, slope, target)


def mark_coverage_plain(touched: Tensor, number: int, system: TexelSystem, uv: Tensor, footprint: Tensor) -> None:
    """Count photograph `number` once at every place of `touched` [h, h, 2], 2 x 2 texels each, that a pixel covers."""
    side = touched.shape[0]
    x, y = texel_pyramid.to_texels(uv, system.size).unbind(-1)
    reach = (0.5 * footprint * system.size).clamp(max=REACH * 2.0**system.levels)
    left, right = ((x + sign * reach).to(torch.int64).clamp(0) >> 1 for sign in (-1, 1))
    top, bottom = ((y + sign * reach).to(torch.int64).clamp(0) >> 1 for sign in (-1, 1))
    right, bottom = right.clamp(max=side - 1), bottom.clamp(max=side - 1)
    now = torch.zeros((side, side), dtype=torch.bool, device=uv.device)
    for down in range(int((bottom - top).max()) + 1 if len(uv) else 0):
        for across in range(int((right - left).max()) + 1):
            row, column = top + down, left + across
            inside = (row <= bottom) & (column <= right)
            now[row[inside], column[inside]] = True
    counts, last = touched.to(torch.int32).unbind(-1)
    counts = counts + (now & (last != number))
    touched.copy_(torch.stack((counts, torch.where(now, number, last)), -1).to(torch.uint16))


def _sums_plain(w: Tensor, m: Tensor, c: Tensor, residual: Tensor, squared: Tensor) -> Tensor:
    w, m, c, residual, squared = (part.double() for part in (w, m, c, residual, squared))
    wm, wc = w[:, None] * m, w[:, None] * c
    scalars = torch.stack((torch.ones_like(w).sum(), w.sum(), (w * squared).sum(), squared.sqrt().sum()))
    return torch.cat((scalars, *((part).sum(0) for part in (wm, wc, wm * m, wm * c, wc * c, residual**2))))
