"""A smooth displacement of a map that has given values on some cells: a stretched membrane that sinks back to 0 away from them.

The solver only: what the values are is bending.py. Plain torch on any device; every sum has a fixed order, so
that threads change no byte. At full resolution only windows of the map are in memory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.terrain.bands import row_bands

COARSEST_PX = 4
SWEEPS = 4  # on the finest level; one more on each coarser one
COARSEST_SWEEPS = 40
DAMPING = 0.85
NOTHING = 1e-20  # smaller values become 0 before they are denormal numbers, which processors are slow with

Window = tuple[slice, slice]
Part = Callable[[Window], tuple[Tensor, Tensor, Tensor]]


class Membrane:
    """Maps float32 [C, H, W] that equal given values where `fixed` [H, W] is true, and elsewhere make |gradient|^2 + pull *
    value^2 small.

    pull [H, W]: 1 / (pixels over which the membrane sinks back)^2; large where it shall be 0. The border is free. `part` gives
    values [C, h, w], fixed [h, w] and pull [h, w] of a window; it is asked again when heights of that window are.
    Cascadic multigrid (Bornemann and Deuflhard 1996, doi:10.1007/s002110050234): solved on a coarse grid, then smoothed on finer
    and finer ones, with more sweeps where cells are few. Exact on the fixed cells.
    """

    def __init__(self, part: Part, shape: tuple[int, int]) -> None:
        self._part, self._shape = part, shape
        self._half = _solved(_halved(part, shape)) if min(shape) > 2 * COARSEST_PX else None

    def at(self, window: Window) -> Tensor:
        """The maps [C, h, w] in a window; what they are at a pixel depends on the window by rounding alone."""
        if self._half is None:
            whole = self._part((slice(0, self._shape[0]), slice(0, self._shape[1])))
            return _settled(*whole, None, COARSEST_SWEEPS)[:, window[0], window[1]]
        wide = tuple(
            slice(max(0, p.start - SWEEPS), min(n, p.stop + SWEEPS)) for p, n in zip(window, self._shape, strict=True)
        )
        values, fixed, pull = self._part((wide[0], wide[1]))
        made = _settled(values, fixed, pull, _enlarged(self._half, self._shape, (wide[0], wide[1])), SWEEPS)
        rows, columns = (slice(p.start - w.start, p.stop - w.start) for p, w in zip(window, wide, strict=True))
        return made[:, rows, columns]


def _settled(values: Tensor, fixed: Tensor, pull: Tensor, start: Tensor | None, count: int) -> Tensor:
    """The finest level after its sweeps."""
    given = torch.where(fixed, values, 0.0)
    return _smooth(torch.zeros_like(given) if start is None else start, given, fixed[None], pull[None], count)


def _halved(part: Part, shape: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """The membrane's values, shares of given cells and pull at half the resolution [C or 1, h, w]."""
    made: list[tuple[Tensor, Tensor, Tensor]] = []
    for rows in row_bands(shape):
        values, fixed, pull = part((rows, slice(0, shape[1])))
        made.append(_coarser(torch.where(fixed, values, 0.0), fixed.to(values.dtype)[None], pull[None]))
    given, share, own_pull = (torch.cat(parts, dim=1) for parts in zip(*made, strict=True))
    return given, share, own_pull


def _solved(finest: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The membrane at half the resolution, from all coarser ones."""
    levels = [finest]
    while min(levels[-1][0].shape[1:]) > 2 * COARSEST_PX:
        levels.append(_coarser(*levels[-1]))
    result, coarsest = torch.zeros_like(levels[-1][0]), len(levels)
    for depth in range(coarsest, 0, -1):
        given, share, own_pull = levels.pop()
        if result.shape != given.shape:
            result = F.interpolate(result[None], size=given.shape[1:], mode="bilinear", align_corners=False)[0]
        result = _smooth(
            result, given, share > 0, own_pull, SWEEPS + 2 * depth if depth < coarsest else COARSEST_SWEEPS
        )
    return result


def _enlarged(half: Tensor, shape: tuple[int, int], window: Window) -> Tensor:
    """A window [C, h, w] at full resolution: what bilinear interpolation of the whole map gives there, but for rounding."""
    if all(part.stop - part.start == side for part, side in zip(window, shape, strict=True)):
        return F.interpolate(half[None], size=shape, mode="bilinear", align_corners=False)[0]
    rows, columns = (_between(part, n, side) for part, n, side in zip(window, half.shape[1:], shape, strict=True))
    first, last = int(rows[0][0]), int(rows[1][-1]) + 1
    lines = _mixed(half[:, first:last], columns, 2)
    return _mixed(lines, (rows[0] - first, rows[1] - first, rows[2]), 1)


def _between(part: slice, count: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two of `count` places between which each of `side` lies, and the share of the second."""
    at = (torch.arange(part.start, part.stop, dtype=torch.float32) + 0.5) * (count / side) - 0.5
    at = at.clamp(min=0.0)
    first = at.long().clamp(max=count - 1)
    return first, (first + 1).clamp(max=count - 1), (at - first).clamp(0.0, 1.0)


def _mixed(values: Tensor, places: tuple[Tensor, Tensor, Tensor], axis: int) -> Tensor:
    first, second, share = (entry.to(values.device) for entry in places)
    share = share[:, None] if axis == 1 else share
    return (values.index_select(axis, first) * (1.0 - share)).add_(values.index_select(axis, second) * share)


def _coarser(given: Tensor, share: Tensor, pull: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Half the resolution: the mean of the given values in each 2 x 2 block; a block with one is given itself."""
    shares = _blocks(share)
    mean = torch.where(shares > 0, _blocks(given * share) / shares.clamp(min=1e-12), 0.0)
    return mean, (shares > 0).to(given.dtype), 4.0 * _blocks(pull)


def _blocks(values: Tensor) -> Tensor:
    """Means of 2 x 2 blocks [C, H, W]; an odd last row or column stands for itself."""
    rows, columns = values.shape[1:]
    padded = F.pad(values[None], (0, columns % 2, 0, rows % 2), mode="replicate")[0]
    return 0.25 * (padded[:, ::2, ::2] + padded[:, 1::2, ::2] + padded[:, ::2, 1::2] + padded[:, 1::2, 1::2])


def _smooth(values: Tensor, given: Tensor, fixed: Tensor, pull: Tensor, count: int) -> Tensor:
    """Damped Jacobi sweeps towards the membrane, in two buffers."""
    channels, rows, columns = values.shape
    share = torch.where(fixed, 0.0, DAMPING / (4.0 + pull))
    keep = torch.where(fixed, 1.0, 1.0 - DAMPING)
    around = values.new_empty(channels, rows + 2, columns + 2)
    inside = around[:, 1:-1, 1:-1]
    for channel in range(channels):  # one after the other, for the sake of memory
        inside[channel] = torch.where(fixed[0], given[channel], F.hardshrink(values[channel], NOTHING))
    total = torch.empty_like(given)
    for _ in range(count):
        around[:, 0], around[:, -1] = around[:, 1], around[:, -2]
        around[:, :, 0], around[:, :, -1] = around[:, :, 1], around[:, :, -2]
        torch.add(around[:, :-2, 1:-1], around[:, 2:, 1:-1], out=total)
        total += around[:, 1:-1, :-2]
        total += around[:, 1:-1, 2:]
        inside.mul_(keep).addcmul_(total, share)
    return inside
