"""The generator of SPADE-Terrain-GAN: a map of classes becomes lightness, two colour channels and height, by SPADE residual blocks.

Version 1.0 normalises features per map and scales them by convolutions over the classes (SPADE, Park et al. 2019), with noise
added before each activation. Version 1.1 (modulated=True) replaces that by modulated convolutions as in StyleGAN2 (Karras et al.
2020) without a residual path, and adds up what every scale contributes. nn.Module only: latent and noise come from the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backend.models.symmetric_convolution import SymmetricConv

STRIDE = 32  # pixels of the map per feature at the coarsest level
WIDTH, MODULATED_WIDTH = 768, 512  # channels at the coarsest level of versions 1.0 and 1.1
HIDDEN = 128  # channels between the classes and their scales and offsets
SKIPPED = 32  # channels in which the scales of version 1.1 are added up
LATENT = 16
CHANNELS = 4  # lightness, a, b, height, before their tanh
SLOPE = 0.2
EPSILON = 1e-5
DEMODULATION = 1e-8
HALVINGS = (1, 1, 1, 2, 4, 8, 16)  # of the channels after each block
RISES = (1, 3, 4, 5, 6)  # blocks before which the map is enlarged twofold

Noise = Callable[[int, int, tuple[int, int]], Tensor]
"""(number, channels, (rows, columns)) -> [B, channels, rows, columns] of deviation 1."""


class ClassScales(nn.Module):
    """Convolutions of 5x5 over the classes: `outputs` scales or offsets per channel of the features, per pixel."""

    def __init__(self, classes: int, channels: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden = SymmetricConv(classes, hidden, 5)
        self.outputs = nn.ModuleList(SymmetricConv(hidden, channels, 5) for _ in range(outputs))

    def forward(self, classes: Tensor) -> list[Tensor]:
        hidden = F.relu(self.hidden(classes))
        return [output(hidden) for output in self.outputs]


class Spade(nn.Module):
    """x (1 + scale) + offset of features with mean 0 and deviation 1 over the map."""

    def __init__(self, classes: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.scales = ClassScales(classes, channels, hidden, 2)

    def forward(self, values: Tensor, classes: Tensor) -> Tensor:
        scale, offset = self.scales(classes)
        variance, mean = torch.var_mean(values, dim=(2, 3), correction=0, keepdim=True)
        return (values - mean) * torch.rsqrt(variance + EPSILON) * (1.0 + scale) + offset


class AddedNoise(nn.Module):
    """Adds noise, independent per channel and pixel, times a learned strength per channel that starts at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, values: Tensor, noise: Tensor) -> Tensor:
        return values + self.strength * noise.to(values.dtype)


class SpadeBlock(nn.Module):
    """SPADE, noise, activation and a convolution of 3x3, twice, beside a shortcut: version 1.0."""

    def __init__(self, classes: int, inside: int, outside: int, hidden: int) -> None:
        super().__init__()
        middle = min(inside, outside)
        self.spade_1, self.noise_1, self.conv_1 = (
            Spade(classes, inside, hidden), AddedNoise(inside), SymmetricConv(inside, middle, 3),
        )  # fmt: skip
        self.spade_2, self.noise_2, self.conv_2 = (
            Spade(classes, middle, hidden), AddedNoise(middle), SymmetricConv(middle, outside, 3),
        )  # fmt: skip
        self.shortcut = nn.Conv2d(inside, outside, 1, bias=False) if inside != outside else None
        self.spade_shortcut = Spade(classes, inside, hidden) if inside != outside else None

    def forward(self, values: Tensor, classes: Tensor, noise: Iterator[Noise]) -> Tensor:
        size = (int(values.shape[2]), int(values.shape[3]))
        inner = values
        for number, (spade, added, conv) in enumerate(
            ((self.spade_1, self.noise_1, self.conv_1), (self.spade_2, self.noise_2, self.conv_2))
        ):
            inner = added(spade(inner, classes), next(noise)(number, inner.shape[1], size))
            inner = conv(F.leaky_relu(inner, SLOPE))
        if self.shortcut is not None and self.spade_shortcut is not None:
            values = self.shortcut(self.spade_shortcut(values, classes))
        return values + inner


class ModulatedConv(nn.Module):
    """A convolution of 3x3 whose input is scaled per pixel by the classes, x (1 + scale), and whose output is divided by what that
    makes of its strength: the root of the weights' square sum per output, plus the scales' mean square sum.

    The original multiplies the first by the map's pixels, H W, and takes the second as a sum over them, so that features shrink
    as a map grows. Divided by H W, as here, they keep their size on any map.
    """

    def __init__(self, classes: int, inside: int, outside: int, hidden: int) -> None:
        super().__init__()
        self.scales = ClassScales(classes, inside, hidden, 1)
        self.conv = SymmetricConv(inside, outside, 3)

    def forward(self, values: Tensor, classes: Tensor) -> Tensor:
        (scale,) = self.scales(classes)
        weight, bias = self.conv.weight, self.conv.bias
        assert bias is not None
        energy = weight.square().sum((1, 2, 3))[None] + scale.square().mean((2, 3)).sum(1, keepdim=True)
        plain = self.conv(values * (1.0 + scale)) - bias[:, None, None]
        return plain * torch.rsqrt(energy + DEMODULATION)[:, :, None, None] + bias[:, None, None]


class ModulatedBlock(nn.Module):
    """A modulated convolution, noise and activation, twice, without a residual path: version 1.1."""

    def __init__(self, classes: int, inside: int, outside: int, hidden: int) -> None:
        super().__init__()
        middle = min(inside, outside)
        self.conv_1, self.noise_1 = ModulatedConv(classes, inside, middle, hidden), AddedNoise(middle)
        self.conv_2, self.noise_2 = ModulatedConv(classes, middle, outside, hidden), AddedNoise(outside)

    def forward(self, values: Tensor, classes: Tensor, noise: Iterator[Noise]) -> Tensor:
        size = (int(values.shape[2]), int(values.shape[3]))
        for number, (conv, added) in enumerate(((self.conv_1, self.noise_1), (self.conv_2, self.noise_2))):
            values = conv(values, classes)
            values = F.leaky_relu(added(values, next(noise)(number, values.shape[1], size)), SLOPE)
        return values


class SpadeGenerator(nn.Module):
    """classes: how many. width: channels at the coarsest level, a multiple of 16. modulated: version 1.1 instead of 1.0."""

    def __init__(self, classes: int, *, width: int, hidden: int = HIDDEN, modulated: bool = False) -> None:
        super().__init__()
        if width % HALVINGS[-1]:
            raise ValueError(f"a width of {width}; it must be a multiple of {HALVINGS[-1]}")
        widths = [width, *(width // halving for halving in HALVINGS)]
        block = ModulatedBlock if modulated else SpadeBlock
        self.dense = nn.Linear(LATENT, width)
        self.blocks = nn.ModuleList(block(classes, a, b, hidden) for a, b in pairwise(widths))
        self.skips = nn.ModuleDict(
            {str(last): nn.Conv2d(widths[last + 1], SKIPPED, 1) for last in _ends_of_scales()} if modulated else {}
        )
        self.head = nn.Conv2d(SKIPPED if modulated else widths[-1], CHANNELS, 1)

    def forward(self, classes: Tensor, latent: Tensor, noise: Noise) -> Tensor:
        """Raw lightness, a, b and height [B, 4, H, W], before tanh.

        classes: one-hot or shares [B, classes, H, W] of any size; what is no multiple of STRIDE is continued at its border and
        cut off again. latent [B, LATENT] in 0..1. noise: see Noise; two maps per block, numbered from 0.
        """
        rows, columns = (int(side) for side in classes.shape[2:])
        padding = (0, -columns % STRIDE, 0, -rows % STRIDE)
        whole = F.pad(classes, padding, mode="replicate") if any(padding) else classes
        coarse = (whole.shape[2] // STRIDE, whole.shape[3] // STRIDE)
        values = self.dense(latent)[:, :, None, None].expand(-1, -1, *coarse)
        seen = _resized(whole, coarse)
        total: Tensor | None = None
        for number, block in enumerate(self.blocks):
            if number in RISES:
                values = F.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
                seen = _resized(whole, (int(values.shape[2]), int(values.shape[3])))
            values = block(values, seen, _from(noise, 2 * number))
            if str(number) in self.skips:
                part = self.skips[str(number)](values)
                total = part if total is None else part + _resized(total, (int(part.shape[2]), int(part.shape[3])))
        return self.head(F.leaky_relu(values if total is None else total, SLOPE))[..., :rows, :columns]


def _ends_of_scales() -> list[int]:
    """The last block at each size of the map."""
    return [*(rise - 1 for rise in RISES), len(HALVINGS) - 1]


def _resized(values: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(values.shape[2:]) == size:
        return values
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False)


def _from(noise: Noise, first: int) -> Iterator[Noise]:
    """The same noise, numbered from `first`."""
    while True:
        yield lambda number, channels, size: noise(first + number, channels, size)
