"""Where features of a height map come from: a random multi-scale convolution bank that needs no download, or
VGG-19.

Both are callables over a map whose heights are scaled so that the exemplars span 0..1, and both say which
layers they have, their stride, and how far a feature sees, so that a map may be cut into tiles. Nothing here is
optimised, and nothing is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.models.vgg19 import LAYERS, Vgg19
from backend.ops.layers.fixed_convolution import convolve
from backend.runtime.device import cpu_computes_bfloat16

FILTER_PX = 7
BANK_SEED = 2016  # of Ustyuzhaninov et al.; the bank is part of the method, not of a job
BLUR = (1.0, 4.0, 6.0, 4.0, 1.0)  # binomial, before every halving
VGG_STYLE = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
VGG_CONTENT = "conv5_2"


@dataclass(frozen=True)
class Layer:
    """stride: pixels of the map to one of the layer. margin: features this near to the map's border rest on
    invented pixels."""

    name: str
    stride: int
    margin: int


class Extractor(Protocol):
    """halo_px: how many pixels around a tile its features depend on. tile_px: side of a tile that fits into a
    few hundred MiB.

    Strides divide ALIGNMENT_PX, so that tiles that begin at its multiples have the features of the whole map.
    """

    style: tuple[Layer, ...]
    content: Layer
    halo_px: int
    tile_px: int

    def __call__(self, relief: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
        """relief: [B, 1, H, W], exemplars span 0..1. Returns name -> float32 [B, C, h, w], differentiable."""
        ...


ALIGNMENT_PX = 32


def random_filters(count: int, generator: torch.Generator) -> Tensor:
    """Orthonormal filters without a mean: [count, 1, 7, 7] float32, count <= 48.

    A filter bank of random directions is as good a texture space as a trained one (Ustyuzhaninov et al. 2016,
    arXiv 1606.00021); orthonormal ones see every direction of a patch once. Without a mean they are blind to
    the height of the place, which is the user's own business.
    """
    if not 0 < count < FILTER_PX**2:
        raise ValueError(f"count must be 1..{FILTER_PX**2 - 1}, got {count}.")
    directions = torch.randn(FILTER_PX**2, count, generator=generator, dtype=torch.float64)
    constant = torch.ones(FILTER_PX**2, 1, dtype=torch.float64)
    basis, _ = torch.linalg.qr(torch.cat([constant, directions], dim=1))
    return basis[:, 1:].T.reshape(count, 1, FILTER_PX, FILTER_PX).float().contiguous()


class ConvolutionBank:
    """ReLU of random filters at several scales of a Gaussian pyramid. Layers are named scale0 (finest) ...
    scaleN.

    scales: how many; each needs a map of at least 4 * 7 px at its own scale (scales_for). Filters differ
    between scales. The content layer, "layout", is the pyramid's next level itself: what the filters, having no
    mean, leave free.
    """

    tile_px = 768

    def __init__(self, scales: int, device: torch.device, *, filters: int = 24, seed: int = BANK_SEED) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.filters = [random_filters(filters, generator).to(device) for _ in range(scales)]
        radius = FILTER_PX // 2
        self.style = tuple(Layer(f"scale{scale}", 2**scale, radius) for scale in range(scales))
        self.content = Layer("layout", 2**scales, 0)
        reach = (radius + 2) * 2 ** (scales - 1)  # the filter, and the blurs below it: 2 + 4 + ... < 2 * stride
        self.halo_px = -(-reach // ALIGNMENT_PX) * ALIGNMENT_PX
        blur = torch.tensor(BLUR, device=device) / sum(BLUR)
        self.blur = blur.outer(blur).reshape(1, 1, len(BLUR), len(BLUR))

    def __call__(self, relief: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
        wanted = set(names)
        found: dict[str, Tensor] = {}
        for layer, filters in zip(self.style, self.filters, strict=True):
            if layer.name in wanted:
                padded = F.pad(relief, (FILTER_PX // 2,) * 4, mode="replicate")
                found[layer.name] = F.relu(convolve(padded, filters.to(relief.dtype)))
            relief = convolve(F.pad(relief, (2, 2, 2, 2), mode="replicate"), self.blur.to(relief.dtype), stride=2)
        if self.content.name in wanted:
            found[self.content.name] = relief
        return found


def scales_for(height: int, width: int, most: int = 5) -> int:
    """How many scales a map of that size carries: 1 where it is smaller than 56 px, at most `most`."""
    scales = 1
    while scales < most and min(height, width) // 2**scales >= 4 * FILTER_PX:
        scales += 1
    return scales


class VggFeatures:
    """VGG-19 on a height map, fed as three equal channels with torchvision's own normalisation.

    The gradient of the three channels adds up in the one height. Padding is replicated, not zero: zeros gave
    the programs of 2024 their noisy frame. bfloat16 on a CPU that computes in it, which is 3 to 4 times as
    fast; statistics are float32 everywhere.
    """

    tile_px = 512
    style = tuple(Layer(name, LAYERS[name][3], 0) for name in VGG_STYLE)
    content = Layer(VGG_CONTENT, LAYERS[VGG_CONTENT][3], 0)
    halo_px = 96  # conv5_2 sees 82 px to each side

    def __init__(self, network: Vgg19, device: torch.device) -> None:
        precision = torch.bfloat16 if device.type == "cpu" and cpu_computes_bfloat16() else torch.float32
        self.network = network.to(device, precision).eval()
        for parameter in self.network.parameters():
            parameter.data = parameter.data.contiguous(
                memory_format=torch.channels_last if parameter.ndim == 4 else torch.contiguous_format
            )
        self.network.requires_grad_(False)

    def __call__(self, relief: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
        image = relief.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        return {name: values.float() for name, values in self.network(image, names).items()}
