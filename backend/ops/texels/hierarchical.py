"""A texture as a sum of levels, each half as fine as the one before (Thies et al. 2019, "Deferred neural rendering", section 4.1,
as NeuralTexGen uses it), and what belongs to that: splitting a texture up, putting it together, its mips, its regulariser.

A level is seen between its texel centres bilinearly, without align_corners, and the sum is taken at the finest level's
texel centres: what is optimised is exactly the texture that is written. Ranges are the caller's; pure functions.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.resampling import bilinear
from backend.ops.texels.sampling import layout_of

WEIGHTS = (8.0, 2.0, 1.0)  # of the finest levels in the regulariser; all others, and the coarsest, have none


def level_weights(levels: int) -> tuple[float, ...]:
    """The original's 8, 2, 1, 0 for four levels; fewer levels keep the first of them, more get 0. The coarsest is free."""
    return (*(WEIGHTS + (0.0,) * levels)[: levels - 1], 0.0)


def zeros(size: int, levels: int, device: torch.device | str = "cpu") -> list[Tensor]:
    """An even grey: levels [3, S_k, S_k] of 0, float32."""
    return [torch.zeros(3, side, side, device=device) for side in layout_of(size, levels).sizes]


def split(texture: Tensor, levels: int) -> list[Tensor]:
    """Levels whose sum the texture [3, S, S] is: a Laplacian pyramid (Burt and Adelson 1983) of box means."""
    means = mips(texture, levels)
    return [
        *(fine - _enlarged(coarse, fine.shape[-1]) for fine, coarse in itertools.pairwise(means)),
        means[-1],
    ]


def compose(levels: Sequence[Tensor]) -> Tensor:
    """The texture [3, S, S] that the levels [3, S_k, S_k], finest first, are the sum of: from the coarsest on, each is brought
    to the next one's size and added. Differentiable."""
    texture = levels[-1]
    for level in reversed(levels[:-1]):
        texture = level + _enlarged(texture, level.shape[-1])
    return texture


def mips(texture: Tensor, levels: int) -> list[Tensor]:
    """The texture [3, S, S] and its box means over 2 x 2 texels, again and again, `levels` in all. Differentiable.

    A last odd row or column is a block of its own, as in backend/ops/texels/pyramid.py.
    """
    found = [texture]
    for _ in layout_of(texture.shape[-1], levels).sizes[1:]:
        found.append(_halved(found[-1]))
    return found


def energy(levels: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """sum_k weights_k mean(level_k²): the original's regulariser, which keeps in coarse levels what they can say."""
    squares = [weight * level.square().mean() for level, weight in zip(levels, weights, strict=True) if weight]
    return torch.stack(squares).sum() if squares else levels[0].new_zeros(())


def add_energy_gradient(levels: Sequence[Tensor], weights: Sequence[float], factor: float) -> None:
    """Add the gradient of factor * energy(levels, weights) to the levels' own, in place and without a copy of any."""
    for level, weight in zip(levels, weights, strict=True):
        if weight * factor and level.grad is not None:
            level.grad.add_(level.detach(), alpha=2 * factor * weight / level.numel())


def _halved(texture: Tensor) -> Tensor:
    return F.avg_pool2d(texture[None], 2, ceil_mode=True, count_include_pad=False)[0]


def _enlarged(level: Tensor, size: int) -> Tensor:
    """A level at twice its size, bilinear; the last row and column fall away where the finer level's size is odd."""
    return bilinear(level[None], [2 * side for side in level.shape[1:]])[0, :, :size, :size]
