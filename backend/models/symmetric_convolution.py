"""Convolutions over maps that are mirrored at their border, the border pixels included, as in SPADE-Terrain-GAN; Glorot's
initial weights. nn.Module only.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SymmetricConv(nn.Conv2d):
    """A convolution of an odd `size` whose input continues beyond its border as its own mirror image: d c b a | a b c d."""

    def __init__(self, inside: int, outside: int, size: int, stride: int = 1) -> None:
        super().__init__(inside, outside, size, stride)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(mirrored(input, self.kernel_size[0] // 2))


def mirrored(values: Tensor, margin: int) -> Tensor:
    """[B, C, H, W] with `margin` pixels more on each side; the margin is at most as wide as the map."""
    if margin == 1:
        return F.pad(values, (1, 1, 1, 1), mode="replicate")  # the same thing for one pixel, and faster
    for axis in (2, 3):
        side = values.shape[axis]
        if side < margin:  # at the coarsest levels of small maps
            places = torch.arange(-margin, side + margin, device=values.device).remainder(2 * side)
            values = values.index_select(axis, torch.minimum(places, 2 * side - 1 - places))
            continue
        before, after = values.narrow(axis, 0, margin).flip(axis), values.narrow(axis, side - margin, margin).flip(axis)
        values = torch.cat([before, values, after], dim=axis)
    return values


def glorot(network: nn.Module, generator: torch.Generator) -> None:
    """Glorot and Bengio's uniform initial weights (2010) for every convolution and dense layer, drawn on the CPU; biases zero."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            outside, inside = module.weight.shape[:2]
            limit = math.sqrt(6.0 / ((inside + outside) * module.weight[0, 0].numel()))
            with torch.no_grad():
                module.weight.copy_((torch.rand(module.weight.shape, generator=generator) * 2.0 - 1.0) * limit)
                if module.bias is not None:
                    module.bias.zero_()
