"""The spatial GAN (Jetchev, Bergmann and Vollgraf 2016, arXiv 1611.08207), its encoder for mode regularisation, and the periodic
dimensions of PSGAN (Bergmann, Jetchev and Vollgraf 2017, arXiv 1705.06566).

A field of noise z [B, channels, h, w] becomes an image of 2^L (h - 1) + 1 by 2^L (w - 1) + 1 pixels: every cell of noise is a
place of the texture, so that a larger field is a larger texture and a periodic field a tile. nn.Module only: fields of noise come
from the caller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

KERNEL = 5
SLOPE = 0.2  # of the leaky ReLU
DEVIATION = 0.02  # of initial weights
MOMENTUM = 0.1  # of running statistics: 1 minus the decay of .9
EPSILON = 1e-5
WAVES_HIDDEN = 60  # of the network that sets the wave numbers


def image_side(cells: int, layers: int) -> int:
    """Pixels along a side that a field of so many cells becomes."""
    return 2**layers * (cells - 1) + 1


def footprint_px(layers: int) -> int:
    """Pixels along a side that one cell of noise changes: 5, 13, 29, 61, 125 for one to five layers."""
    side = 1
    for _ in range(layers):
        side = 2 * (side - 1) + KERNEL
    return side


class Waves(nn.Module):
    """Wave numbers of the periodic dimensions, radians per cell: learned, and by the global dimensions where there are any."""

    def __init__(self, periodic: int, around: int) -> None:
        super().__init__()
        self.base = nn.Parameter(torch.zeros(periodic, 2))
        self.network = (
            nn.Sequential(nn.Linear(around, WAVES_HIDDEN), nn.ReLU(), nn.Linear(WAVES_HIDDEN, 2 * periodic))
            if around
            else None
        )

    def forward(self, around: Tensor) -> Tensor:
        """[B, periodic, 2], down and across, of global dimensions [B, around]."""
        numbers = self.base.expand(len(around), -1, -1)
        return numbers if self.network is None else numbers + self.network(around).view_as(numbers)


class SpatialGenerator(nn.Module):
    """`layers` transposed convolutions of 5x5 and stride 2: width * 2^(layers - 2) channels and halving, `outside` at last.

    leaky: leaky ReLU, as the regularised variant has it. local, around, periodic: channels of the field that are drawn per cell,
    that are one number for the whole field, and that are waves over it; forward() takes all of them as one field (field()).
    """

    def __init__(
        self, outside: int, *, layers: int = 5, width: int = 64, local: int = 100, around: int = 0, periodic: int = 0,
        leaky: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layers, self.local, self.around, self.periodic = layers, local, around, periodic
        self.waves = Waves(periodic, around) if periodic else None
        widths = [local + around + periodic, *(width * 2 ** (layers - 2 - n) for n in range(layers - 1)), outside]
        parts: list[nn.Module] = []
        for number in range(layers):
            last = number == layers - 1
            parts.append(nn.ConvTranspose2d(widths[number], widths[number + 1], KERNEL, 2, KERNEL // 2, bias=False))
            if not last:
                parts += [
                    nn.BatchNorm2d(widths[number + 1], eps=EPSILON, momentum=MOMENTUM),
                    nn.LeakyReLU(SLOPE) if leaky else nn.ReLU(),
                ]
        self.stack = nn.Sequential(*parts, nn.Tanh())

    def forward(self, field: Tensor) -> Tensor:
        """Images -1..1 [B, outside, H, W] of fields [B, local + around + periodic, h, w]."""
        return self.stack(field)

    def field(
        self, noise: Tensor, around: Tensor, phases: Tensor, *, period: tuple[int, int] = (0, 0),
        first: tuple[int, int] = (0, 0),
    ) -> Tensor:  # fmt: skip
        """The whole field of noise [B, local, h, w] in -1..1, global dimensions [B, around] and phases [B, periodic] in radians.

        period: cells after which waves repeat, down and across; 0 for as they are. first: row and column of the field's first cell.
        """
        rows, columns = noise.shape[2:]
        parts = [noise]
        if self.around:
            parts.append(around[:, :, None, None].expand(-1, -1, rows, columns))
        if self.waves is not None:
            down, across = (
                _angles(number, start, count, cells)
                for number, start, count, cells in zip(
                    self.waves(around).unbind(2), first, (rows, columns), period, strict=True
                )
            )
            parts.append(torch.sin(down[..., None] + across[:, :, None] + phases[:, :, None, None]).to(noise.dtype))
        return torch.cat(parts, dim=1)


def _angles(numbers: Tensor, start: int, count: int, period: int) -> Tensor:
    """Radians [B, periodic, count] along one side; a wave number becomes the nearest of those that fit the period."""
    place = torch.arange(start, start + count, device=numbers.device)
    if period:
        unit = 2.0 * math.pi / period
        numbers, place = torch.round(numbers / unit) * unit, place % period
    return numbers[..., None].double() * place


def discriminator(inside: int, *, layers: int = 5, width: int = 64) -> nn.Sequential:
    """Logits [B, 1, h, w], one per cell, of images; the probability that a cell is real is their sigmoid."""
    return _halving(inside, 1, layers, width)


def encoder(inside: int, outside: int, *, layers: int = 5, width: int = 64) -> nn.Sequential:
    """The field -1..1 [B, outside, h, w] of noise that would make an image: a discriminator's shape with tanh at the end."""
    network = _halving(inside, outside, layers, width)
    network.append(nn.Tanh())
    return network


def _halving(inside: int, outside: int, layers: int, width: int) -> nn.Sequential:
    widths = [inside, *(width * 2**n for n in range(layers - 1)), outside]
    parts: list[nn.Module] = []
    for number in range(layers):
        ends = number in (0, layers - 1)
        parts.append(nn.Conv2d(widths[number], widths[number + 1], KERNEL, 2, KERNEL // 2, bias=ends))
        if not ends:
            parts.append(nn.BatchNorm2d(widths[number + 1], eps=EPSILON, momentum=MOMENTUM))
        if number != layers - 1:
            parts.append(nn.LeakyReLU(SLOPE))
    return nn.Sequential(*parts)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Weights of N(0, .02), scales of normalisation of N(1, .02), wave numbers of U(0, pi) and no offsets, drawn on the CPU."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * DEVIATION)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(1.0 + DEVIATION * torch.randn(module.weight.shape, generator=generator))
                module.bias.zero_()
            elif isinstance(module, Waves):
                module.base.copy_(math.pi * torch.rand(module.base.shape, generator=generator))


@torch.no_grad()
def settle(network: nn.Module, batches: Sequence[Tensor]) -> None:
    """Running statistics that are the mean over these inputs: what averaged weights need, whose activations nobody has seen."""
    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a cumulative mean
    network.train()
    for batch in batches:
        network(batch)
    network.eval()
    for layer in layers:
        layer.momentum = MOMENTUM
