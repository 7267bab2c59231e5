"""A small hourglass that draws a height map from fixed noise (Ulyanov, Vedaldi & Lempitsky 2018, "Deep Image
Prior").

Optimising its weights instead of the heights favours what convolutions draw easily: coherent forms before
speckle. The default is narrower than the paper's (32 channels for 128, 2 skip channels for 4), which a CPU can
afford. nn.Module only.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2  # of the leaky ReLU
NOISE_RANGE = 0.1  # the paper draws its input from U(0, 1/10)


class Unit(nn.Module):
    """Convolution, instance norm (the paper's batch norm at batch 1), leaky ReLU; reflected borders."""

    def __init__(self, inputs: int, outputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, width, stride, width // 2, padding_mode="reflect")
        self.norm = nn.InstanceNorm2d(outputs, affine=True)

    def forward(self, values: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.convolution(values)), SLOPE)


class Hourglass(nn.Module):
    """Encoder and decoder with narrow skips. Weights and input noise are drawn from `generator`, nothing from
    global state.

    height, width: size of the map, each at least 2**(depth + 1). depth: how often the map is halved. forward()
    takes no argument and returns [1, 1, height, width], unbounded.
    """

    noise: Tensor

    def __init__(
        self, height: int, width: int, *, generator: torch.Generator, channels: int = 32, skips: int = 2, depth: int = 4
    ):
        super().__init__()
        if min(height, width) < 2 ** (depth + 1):
            raise ValueError(
                f"The map must be at least {2 ** (depth + 1)} px for depth {depth}, got {height} x {width}."
            )
        self.down = nn.ModuleList(
            nn.Sequential(Unit(channels, channels, 3, stride=2), Unit(channels, channels, 3)) for _ in range(depth)
        )
        self.skip = nn.ModuleList(Unit(channels, skips, 1) for _ in range(depth))
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.InstanceNorm2d(channels + skips, affine=True),
                Unit(channels + skips, channels, 3),
                Unit(channels, channels, 1),
            )
            for _ in range(depth)
        )
        self.draw = nn.Conv2d(channels, 1, 1)
        self.register_buffer("noise", torch.rand(1, channels, height, width, generator=generator) * NOISE_RANGE)
        _initialise(self, generator)

    def forward(self) -> Tensor:
        values = self.noise
        beside = []
        for down, skip in zip(self.down, self.skip, strict=True):
            beside.append(skip(values))
            values = down(values)
        for up, skipped in zip(reversed(self.up), reversed(beside), strict=True):
            values = F.interpolate(values, size=skipped.shape[2:], mode="bilinear", align_corners=False)
            values = up(torch.cat([values, skipped], dim=1))
        return self.draw(values)


def _initialise(network: nn.Module, generator: torch.Generator) -> None:
    """PyTorch's own default (uniform within 1 / sqrt(fan in)), from an explicit generator."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            bound = 1.0 / math.sqrt(module.weight[0].numel())
            with torch.no_grad():
                for parameter in (module.weight, module.bias):
                    if parameter is not None:
                        parameter.copy_((torch.rand(parameter.shape, generator=generator) * 2 - 1) * bound)
