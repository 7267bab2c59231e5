"""A compact class-adaptive generator: a map of classes becomes heights and, where trained with colour, albedo.

SPADE (Park et al. 2019) modulates features by convolutions over the class map; here, as in CLADE (Tan et al. 2021), each class has
one scale, one offset and one strength of noise per channel, blended where classes meet, which costs next to nothing. Features are
normalised per pixel (Karras et al. 2018), never over the map: what stands at a place depends on its surroundings alone (reach()),
so that a map can be made in overlapping tiles that agree. Heights are a Laplacian pyramid: every level adds its part.
nn.Module only: noise comes from the caller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backend.ops.layers.class_affine import class_affine
from backend.ops.layers.constants import SLOPE
from backend.ops.layers.narrow_convolution import narrow_convolution

STRIDE = 32  # pixels of the map per feature at the coarsest level; sides must be multiples
COARSE_NOISE = 4  # maps of noise at the coarsest level, from which large forms are drawn
WIDTHS = (192, 192, 160, 128, 80, 40)  # channels entering each block, coarse to fine

Noise = Callable[[int, int, tuple[int, int]], Tensor]
"""(number, channels, (rows, columns)) -> [B, channels, rows, columns] of deviation 1; the same number at the same place of the
map is the same noise."""


class ClassAffine(nn.Module):
    """Per-pixel normalisation, then each class's own scale and offset per channel, and its own strength of noise."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, classes))
        self.offset = nn.Parameter(torch.zeros(channels, classes))
        self.strength = nn.Parameter(torch.full((channels, classes), 0.1))

    def forward(self, values: Tensor, shares: Tensor, noise: Tensor) -> Tensor:
        """values [B, C, h, w], shares [B, classes, h, w], noise [B, 1, h, w]; values of the same shape, activated."""
        return class_affine(values, shares, noise, torch.cat([self.scale, self.offset, self.strength]))


class Block(nn.Module):
    """Two 3x3 convolutions on normalised, class-adapted features, beside a 1x1 shortcut."""

    def __init__(self, classes: int, inside: int, outside: int) -> None:
        super().__init__()
        self.affine_1, self.affine_2 = ClassAffine(classes, inside), ClassAffine(classes, inside)
        self.conv_1 = nn.Conv2d(inside, inside, 3, padding=1)
        self.conv_2 = nn.Conv2d(inside, outside, 3, padding=1)
        self.shortcut = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, values: Tensor, shares: Tensor, noises: Sequence[Tensor]) -> Tensor:
        inner = self.conv_1(self.affine_1(values, shares, noises[0]))
        made = self.conv_2(self.affine_2(inner, shares, noises[1]))
        return made + self.shortcut(values) if torch.is_grad_enabled() else made.add_(self.shortcut(values))


class TerrainGenerator(nn.Module):
    """classes: how many. color: whether albedo is made beside heights. widths: channels entering each of the six blocks."""

    def __init__(self, classes: int, *, color: bool, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        if 2 ** (len(widths) - 1) != STRIDE:
            raise ValueError(f"{len(widths)} widths; a stride of {STRIDE} needs {int(math.log2(STRIDE)) + 1}")
        outside = [*widths[1:], widths[-1]]
        self.start = nn.Conv2d(classes + 1 + COARSE_NOISE, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(Block(classes, a, b) for a, b in zip(widths, outside, strict=True))
        self.heights = nn.ModuleList(nn.Conv2d(channels, 1, 3, padding=1) for channels in outside)
        self.color = nn.Conv2d(outside[-1], 3, 3, padding=1) if color else None

    def forward(self, shares: Tensor, scale: Tensor, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """Heights [B, 1, H, W] float32 in the model's unit and albedo [B, 3, H, W] in 0..1 (square root of linear RGB), or None.

        shares [B, classes, H, W]: how much of each class is at each pixel, adding up to 1; H and W multiples of STRIDE.
        scale [B]: the map's pixel size in the model's own logarithmic unit.
        """
        pyramid = [shares]
        for _ in self.blocks[1:]:
            pyramid.append(F.avg_pool2d(pyramid[-1], 2))
        pyramid.reverse()
        rows, columns = (int(side) for side in pyramid[0].shape[2:])
        plane = scale.to(shares.dtype)[:, None, None, None].expand(-1, 1, rows, columns)
        coarsest = torch.cat([pyramid[0], plane, noise(0, COARSE_NOISE, (rows, columns))], dim=1)
        values = self.start(coarsest.contiguous(memory_format=torch.channels_last))
        height: Tensor | None = None
        for level, (block, head) in enumerate(zip(self.blocks, self.heights, strict=True)):
            if level:
                values = F.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
            size = (int(values.shape[2]), int(values.shape[3]))
            values = block(values, pyramid[level], [noise(2 * level + k, 1, size) for k in (1, 2)])
            assert isinstance(head, nn.Conv2d)
            part = self._part(head, values, finest=level == len(self.blocks) - 1)
            height = part if height is None else part + F.interpolate(height, scale_factor=2, mode="bicubic")
        assert height is not None
        if self.color is None:
            return height, None
        color = self.color(values).float() if self.training else _exactly(self.color, values)
        return height, torch.sigmoid(color)

    def _part(self, head: nn.Conv2d, values: Tensor, *, finest: bool) -> Tensor:
        """A level's part of the heights, float32: eight bits of bfloat16 would be seen as steps.

        At the finest level, where parts are small, a training need not pay for that.
        """
        if finest and self.training:
            return head(values).float()
        return _exactly(head, values)


def _exactly(head: nn.Conv2d, values: Tensor) -> Tensor:
    assert head.bias is not None
    return narrow_convolution(values, head.weight, head.bias)


def reach() -> int:
    """Pixels of the map beyond which classes and noise do not change a result: what tiles must overlap by."""
    levels = int(math.log2(STRIDE))
    convolutions = [STRIDE] + [2 * 2 ** (levels - n) for n in range(levels + 1)]  # the first one, then two per block
    between = [2 * 2 ** (levels - n) for n in range(levels + 1)]  # bilinear and bicubic interpolation, and the heads
    return sum(convolutions) + sum(between)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """He initialisation of every convolution (He et al. 2015), drawn on the CPU; heights start small so that coarse levels lead."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            deviation = 0.01 if name.startswith("heights") else math.sqrt(2.0 / (1.0 + SLOPE**2) / fan_in)
            with torch.no_grad():
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * deviation)
                if module.bias is not None:
                    module.bias.zero_()
