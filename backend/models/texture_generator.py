"""A small fully convolutional generator of textures: fields of noise, coarse to fine, become channels of a material.

At each level of a pyramid the features of the coarser one are doubled in size, joined by noise of their own, and go through two
convolutions; the last level has one, and one that makes four pixels of each of its cells. Nothing is normalised over the image and
no convolution pads, so that what stands at a place depends on the noise around it alone: a texture can be made in pieces that
agree, of any size, and on noise that repeats it is a tile. nn.Module only: noise comes from the caller.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (64, 64, 64, 48, 32)  # features of the levels, coarse to fine
NOISES = (16, 8, 8, 4, 4)  # maps of noise that join each level
SLOPE = 0.2  # of the leaky ReLU
FINEST = 2  # pixels per cell of the last level
REACH = 2  # cells to each side that a level's two convolutions of 3 x 3 see; at the last level the head is one of them

Noise = Callable[[int, int, int], Tensor]
"""(level, channels, margin) -> [B, channels, rows, columns] of deviation 1: noise for every cell of the window at that level and
for `margin` more on each side; the same cell of the texture gets the same noise in every window."""


class TextureGenerator(nn.Module):
    """channels: that are made. widths, noises: features and maps of noise by level, coarse to fine."""

    def __init__(self, channels: int, *, widths: Sequence[int] = WIDTHS, noises: Sequence[int] = NOISES) -> None:
        super().__init__()
        if len(widths) != len(noises) or not widths:
            raise ValueError("as many widths as noises, at least one")
        self.channels, self.noises = channels, tuple(noises)
        before = (0, *widths[:-1])
        self.first = nn.ModuleList(nn.Conv2d(a + n, b, 3) for a, n, b in zip(before, noises, widths, strict=True))
        self.second = nn.ModuleList(nn.Conv2d(width, width, 3) for width in widths[:-1])
        self.head = nn.Conv2d(widths[-1], channels * FINEST**2, 3)
        self.margins = _margins(len(widths))

    @property
    def stride(self) -> int:
        """Pixels per cell of the coarsest level: windows begin and end at multiples of it."""
        return FINEST * 2 ** (len(self.noises) - 1)

    def forward(self, noise: Noise) -> Tensor:
        """The window [B, channels, H, W] that the noise is for."""
        values: Tensor | None = None
        for level, first in enumerate(self.first):
            margin = self.margins[level]
            chance = noise(level, self.noises[level], margin)
            values = chance if values is None else _joined(values, chance)
            values = _rectified(first, values)
            if level < len(self.second):
                values = _rectified(self.second[level], values)
        assert values is not None
        made = F.pixel_shuffle(self.head(values), FINEST)
        beyond = FINEST * (self.margins[-1] - REACH)
        return made[:, :, beyond : made.shape[2] - beyond, beyond : made.shape[3] - beyond]


def _joined(values: Tensor, chance: Tensor) -> Tensor:
    """Features [B, C, h, w] at twice their size and noise [B, n, 2 h, 2 w], side by side."""
    if torch.is_grad_enabled():
        return torch.cat([F.interpolate(values, scale_factor=2, mode="nearest"), chance.to(values.dtype)], dim=1)
    batch, channels, rows, columns = values.shape
    whole = values.new_empty(batch, rows, 2, columns, 2, channels + chance.shape[1])  # in one pass over memory
    whole[..., :channels] = values.permute(0, 2, 3, 1)[:, :, None, :, None]
    whole[..., channels:] = chance.permute(0, 2, 3, 1).view(batch, rows, 2, columns, 2, -1)
    return whole.view(batch, 2 * rows, 2 * columns, -1).permute(0, 3, 1, 2)


def _rectified(convolution: nn.Module, values: Tensor) -> Tensor:
    """A convolution and a leaky ReLU: on the CPU in one pass of oneDNN where no gradient is wanted."""
    if torch.is_grad_enabled() or values.device.type != "cpu" or not _can_fuse():
        return F.leaky_relu(convolution(values), SLOPE)
    return torch.ops.mkldnn._convolution_pointwise(
        values, convolution.weight, convolution.bias, [0, 0], [1, 1], [1, 1], 1, "leaky_relu", [SLOPE], ""
    )


@functools.cache
def _can_fuse() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


def _margins(levels: int) -> list[int]:
    """Cells beyond a window that each level takes on each side, the finest at last: what its convolutions need, and at least
    half of what the next one takes, which then takes twice what is left of it."""
    coarsest = REACH
    for _ in range(levels - 1):
        coarsest = math.ceil(coarsest / 2) + REACH
    margins = [coarsest]
    for _ in range(levels - 1):
        margins.append(2 * (margins[-1] - REACH))
    return margins


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """He initialisation of every convolution (He et al. 2015), drawn on the CPU; the four pixels of a cell begin alike."""
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d):
                deviation = math.sqrt(2.0 / (1.0 + SLOPE**2) / module.weight[0].numel())
                if name == "head":
                    each = torch.randn(len(module.weight) // FINEST**2, *module.weight.shape[1:], generator=generator)
                    drawn = each.repeat_interleave(FINEST**2, dim=0)
                else:
                    drawn = torch.randn(module.weight.shape, generator=generator)
                module.weight.copy_(drawn * deviation)
                assert module.bias is not None
                module.bias.zero_()
