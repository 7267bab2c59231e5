"""Patch discriminators (Isola et al. 2017) at several scales, and the hinge loss by which they and a generator learn.

nn.Module and losses only. What the channels are is the training's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from backend.models.symmetric_convolution import SymmetricConv

SLOPE = 0.2


def patches(channels: int, width: int, layers: int = 4) -> nn.Sequential:
    """Logits per patch of a map [B, channels, H, W]: `layers` convolutions of stride 2, doubling `width` up to eightfold."""
    widths = [channels, *(width * min(2**n, 8) for n in range(layers))]
    parts: list[nn.Module] = []
    for inside, outside in pairwise(widths):
        parts += [nn.Conv2d(inside, outside, 4, 2, 1), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, 3, padding=1))


def selu_patches(channels: int, width: int) -> nn.Sequential:
    """Logits per patch of 8 x 8 pixels by three convolutions of 3x3 and stride 2 with SELU, as SPADE-Terrain-GAN has them."""
    widths = [channels, width, 2 * width, 4 * width]
    parts: list[nn.Module] = []
    for inside, outside in pairwise(widths):
        parts += [SymmetricConv(inside, outside, 3, stride=2), nn.SELU()]
    return nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, 1))


class MultiScale(nn.Module):
    """One network of patches per scale: the map itself, and the map made smaller by each of `scales`."""

    def __init__(
        self,
        channels: int,
        width: int,
        scales: Sequence[int] = (1, 4),
        network: Callable[[int, int], nn.Module] = patches,
    ) -> None:
        super().__init__()
        self.scales = tuple(scales)
        self.networks = nn.ModuleList(network(channels, width) for _ in self.scales)

    def forward(self, at_scales: Sequence[Tensor]) -> list[Tensor]:
        """at_scales: the map at each scale, from the caller, who knows which channels are differences."""
        return [network(values).float() for network, values in zip(self.networks, at_scales, strict=True)]


def discriminator_loss(real: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """Hinge loss, the mean over scales: 2 where every logit is 0 (Lim and Ye 2017)."""
    losses = [F.relu(1.0 - r).mean() + F.relu(1.0 + m).mean() for r, m in zip(real, made, strict=True)]
    return sum(losses[1:], losses[0]) / len(losses)


def generator_loss(made: Sequence[Tensor]) -> Tensor:
    """The generator's side of the hinge loss: minus the mean logit."""
    losses = [-m.mean() for m in made]
    return sum(losses[1:], losses[0]) / len(losses)
