"""The network that de Guevara et al. 2023 draw strokes with: the one of "Learning to Paint" (Huang, Heng and Zhou 2019,
arXiv 1903.04411), 11.0 million numbers at its published size.

The ten numbers of a stroke's shape go through four linear layers to 16 x 16 cells of 16 channels, and through three pairs of
convolutions, after each of which the cells are doubled in each direction, to an alpha of 128 x 128 pixels. nn.Module only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 128  # pixels along a side of what it draws
NUMBERS = 10  # row0, column0, row1, column1, row2, column2, radius0, radius2, opacity0, opacity2: 0..1
HIDDEN = (512, 1024, 2048)  # published
CELLS, CHANNELS = 16, 16  # that the last linear layer's 4096 numbers stand for
CONVOLUTIONS = ((16, 32), (32, 32), (8, 16), (16, 16), (4, 8), (8, 4))


class StrokeRenderer(nn.Module):
    """Shapes of strokes [N, 10] to their alphas [N, 128, 128]. hidden: neurons of the linear layers but for the last one."""

    def __init__(self, hidden: Sequence[int] = HIDDEN) -> None:
        super().__init__()
        sizes = (NUMBERS, *hidden, CHANNELS * CELLS**2)
        self.linear = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        self.conv = nn.ModuleList(nn.Conv2d(*pair, 3, padding=1) for pair in CONVOLUTIONS)

    def logits(self, shapes: Tensor) -> Tensor:
        """What the sigmoid makes alphas of [N, 128, 128]."""
        for layer in self.linear:
            shapes = F.relu(layer(shapes))
        image = shapes.view(-1, CHANNELS, CELLS, CELLS).contiguous(memory_format=torch.channels_last)
        for first, second in zip(self.conv[::2], self.conv[1::2], strict=True):
            image = F.pixel_shuffle(second(F.relu(first(image))), 2)
        return image[:, 0]

    def forward(self, shapes: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(shapes))


def initialise(network: StrokeRenderer, generator: torch.Generator) -> None:
    """He initialisation of every layer (He et al. 2015), drawn on the CPU."""
    with torch.no_grad():
        for layer in (*network.linear, *network.conv):
            assert isinstance(layer, nn.Linear | nn.Conv2d)
            assert layer.bias is not None
            drawn = torch.randn(layer.weight.shape, generator=generator)
            layer.weight.copy_(drawn * math.sqrt(2.0 / layer.weight[0].numel()))
            layer.bias.zero_()
