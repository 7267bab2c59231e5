"""A smooth displacement of a map that has given values on some cells: a stretched membrane that sinks back to 0 away from them.

The solver only: what the values are is backend.ops.terrain.bending. Plain torch on any device; every sum has a fixed order, so
that threads change no byte.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

COARSEST_PX = 4
SWEEPS = 4  # on the finest level; one more on each coarser one
COARSEST_SWEEPS = 40
DAMPING = 0.85


def spread(values: Tensor, fixed: Tensor, pull: Tensor) -> Tensor:
    """Maps float32 [C, H, W] that equal `values` where `fixed` [H, W] is true, and elsewhere make |gradient|^2 + pull * value^2
    small.

    pull [H, W]: 1 / (pixels over which the membrane sinks back)^2; large where it shall be 0. The border is free.
    Cascadic multigrid (Bornemann and Deuflhard 1996, doi:10.1007/s002110050234): solved on a coarse grid, then smoothed on finer
    and finer ones, with more sweeps where cells are few. Exact on the fixed cells.
    """
    levels = [(torch.where(fixed, values, 0.0), fixed.to(values.dtype)[None], pull[None])]
    while min(levels[-1][0].shape[1:]) > 2 * COARSEST_PX:
        levels.append(_coarser(*levels[-1]))
    result = torch.zeros_like(levels[-1][0])
    for depth in range(len(levels) - 1, -1, -1):
        given, share, own_pull = levels[depth]
        if result.shape != given.shape:
            result = F.interpolate(result[None], size=given.shape[1:], mode="bilinear", align_corners=False)[0]
        count = COARSEST_SWEEPS if depth == len(levels) - 1 else SWEEPS + 2 * depth
        result = _smooth(result, given, share > 0, own_pull, count)
    return result


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
    inside.copy_(torch.where(fixed, given, values))
    total = torch.empty_like(values)
    for _ in range(count):
        around[:, 0], around[:, -1] = around[:, 1], around[:, -2]
        around[:, :, 0], around[:, :, -1] = around[:, :, 1], around[:, :, -2]
        torch.add(around[:, :-2, 1:-1], around[:, 2:, 1:-1], out=total)
        total += around[:, 1:-1, :-2]
        total += around[:, 1:-1, 2:]
        inside.mul_(keep).addcmul_(total, share)
    return inside.contiguous()
