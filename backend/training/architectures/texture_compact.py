"""The compact texture generator: a small convolutional network that learns pictures by the sliced Wasserstein distance between
their patches and its own, without a discriminator
(feed-forward, as in Heitz et al. 2021, arXiv 2006.07229; on patches, Houdard et al.
2022, arXiv 2007.02347).

Each step makes one tile, on noise that repeats, so that every pixel has all its neighbours, and compares it at five scales with the
sources: at each on one bank of filters out of many, with the distance's closed gradient (backend.ops.patches.sliced_wasserstein),
which goes back through the network. Weights are a moving average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.algorithms.textures import torus
from backend.algorithms.textures.channels import Channels
from backend.models.texture_generator import FINEST, NOISES, WIDTHS, TextureGenerator, initialise
from backend.ops.patches import filter_bank, sliced_wasserstein
from backend.ops.patches.constants import PATCH
from backend.runtime.device import cpu_computes_bfloat16
from backend.training.architectures.moving_average import follow
from backend.training.architectures.texture_files import described, file_tensors
from backend.training.data import texture_sources
from backend.training.training import Stateful, Training
from shared.params import param
from shared.srgb import linear_to_srgb

SCALES = 5
CROP_PX = 128  # of a tile that is compared at a step, at each scale: another place each time
SHARPEN = 0.8  # of what is smooth in the filters of every second bank: fine grain varies little and would be unheard
PHASED_SCALES = 2
FEATURES = 8
FEATURES_SHARE = 1.0
WARM_STEPS = 100
SAMPLE_PX = 512


@dataclass(frozen=True, kw_only=True)
class TextureCompactParams:
    """What is learned, and how large the network is."""

    data_dir: str = param(
        "", label="Data", help="Folder of pictures, or of material sets in folders; several are mixed"
    )
    estimate: bool = param(
        True, label="Estimate Height", help="Learn a height guessed from brightness where pictures have none"
    )
    side: int = param(
        256, label="Side", help="Pixels along a side of a training tile, a multiple of 64", min=64, max=1024, unit="px"
    )
    width: float = param(1.0, label="Width", help="Features of the network, relative to the default", min=0.1, max=4.0)
    filters: int = param(24, label="Filters", help="Compared per scale and step, an even number", min=2, max=128)
    banks: int = param(48, label="Banks", help="Of filters, which take turns", min=1, max=512, role="count")
    rate: float = param(
        2e-3, label="Learning Rate", help="Of Adam; it falls to a hundredth at the end", min=1e-6, max=0.1
    )
    length: int = param(8000, label="Length", help="Steps over which the learning rate falls", min=1, role="count")


class TextureCompact(Training):
    """Textures by a small generator that makes twenty million pixels per second."""

    name = "texture"
    params_type = TextureCompactParams
    licence = "that of the pictures"
    steps = 8000
    keeps_unfinished = True

    def __init__(self, params: TextureCompactParams, device: torch.device, generator: torch.Generator) -> None:
        super().__init__(params, device, generator)
        found = texture_sources.read(params.data_dir, estimate=params.estimate)
        self.data = found.text
        texture_sources.check_sides(found, 2 * PATCH + 2, "Give larger pictures.")
        self._least_px = min(min(next(iter(maps.values())).shape[:2]) for maps in found.maps)
        self._estimated = found.estimated
        self._channels = Channels.of(found.maps)
        self._network = self._new(generator).to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._average = self._new(None).to(device).requires_grad_(False)
        self._average.load_state_dict(self._network.state_dict())
        self._adam = torch.optim.Adam(self._network.parameters(), lr=params.rate, betas=(0.9, 0.99))
        self._half = device.type != "cpu" or cpu_computes_bfloat16()
        images = [self._channels.encode(maps).to(device) for maps in found.maps]
        self._edges = edge_filters(self._channels.count, generator).to(device)
        self._banks = banks(images, self._edges, params, generator)

    def _new(self, generator: torch.Generator | None) -> TextureGenerator:
        network = TextureGenerator(self._channels.count, **self._shape())
        if generator is not None:
            initialise(network, generator)
        return network

    def _shape(self) -> dict[str, Any]:
        return {
            "widths": [max(8, round(width * self.params.width / 8) * 8) for width in WIDTHS],
            "noises": list(NOISES),
        }

    def parts(self) -> Mapping[str, Stateful]:
        return {"network": self._network, "average": self._average, "adam": self._adam}

    def step(self, number: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        self._set_rate(number)
        tile = self._tile(self._network, self.params.side, generator)
        direction, distance = self._direction(tile.detach()[0], generator)
        self._adam.zero_grad()
        tile.backward(-direction[None])
        self._adam.step()
        follow(self._average, self._network, number)
        return {"distance": distance}

    def _tile(self, network: TextureGenerator, side: int, generator: torch.Generator) -> Tensor:
        """A tile [1, C, side, side] on random noise that repeats."""
        chance = repeating_noise(network.stride, side, generator, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            return network(chance).float()

    def _direction(self, tile: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The way down [C, H, W] on the sum of the distances at all scales, and that sum, as its first order tells it."""
        whole = torch.zeros_like(tile)
        total = torch.zeros((), device=tile.device)
        for scale, at_scale in enumerate(self._banks):
            bank, size = at_scale[int(torch.randint(len(at_scale), (), generator=generator))]
            small = F.avg_pool2d(tile[None], 2**scale)[0] if scale else tile
            part, window = crop(small, generator)
            if bank.filters.shape[1] == FEATURES:
                way = self._features_way(part, bank)
            else:
                phases, phase = _phases(window, scale, generator)
                way = sliced_wasserstein.ascent(
                    part, bank, labels=phases, label=phase, weight=(phases == phase).float()
                ) * (int(phases.max()) + 1)
            way *= 1.0 / (size * (part.shape[1] - PATCH + 1) * (part.shape[2] - PATCH + 1) * len(bank.filters))
            total += way.square().sum().sqrt()
            around = torch.zeros_like(small)
            add_window(around, way, window)
            whole += F.interpolate(around[None], scale_factor=2**scale)[0] / 4**scale if scale else around
        return whole, total

    def _features_way(self, part: Tensor, bank: sliced_wasserstein.FilterBank) -> Tensor:
        """The way down [C, h, w] on the distance between the features of patches."""
        part = part.clone().requires_grad_()
        found = features(part, self._edges)
        way = sliced_wasserstein.ascent(found.detach().contiguous(), bank)
        return torch.autograd.grad((found * way).sum(), part)[0] * FEATURES_SHARE

    def _set_rate(self, number: int) -> None:
        share = min(1.0, number / self.params.length)
        factor = min(1.0, (number + 1) / WARM_STEPS) * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * share)))
        for group in self._adam.param_groups:
            group["lr"] = self.params.rate * factor

    # What is shown and kept -----------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, generator: torch.Generator) -> np.ndarray:
        """Two tiles, the second of them twice beside itself."""
        tiles = [self._tile(self._average, SAMPLE_PX // 2, generator)[0] for _ in range(2)]
        pictures = [next(iter(self._channels.decode(tile).values())) for tile in (*tiles, tiles[-1])]
        sheet = np.concatenate(pictures, axis=1)
        sheet = linear_to_srgb(sheet.clip(0.0, 1.0)) if sheet.shape[2] == 3 else np.repeat(sheet[..., :1], 3, axis=2)
        return (sheet * 255.0).round().clip(0, 255).astype(np.uint8)

    def weights(self) -> Mapping[str, Tensor]:
        return file_tensors(self._average, self._channels)

    def description(self) -> Mapping[str, Any]:
        return described(self._channels, self._shape(), sample_px=self._least_px, estimated=list(self._estimated))


def repeating_noise(stride: int, side: int, generator: torch.Generator, device: torch.device) -> Any:
    """Noise for a square tile, drawn level by level, that wraps around: see backend.models.texture_generator.Noise."""

    def cells_of(level: int, channels: int, margin: int) -> Tensor:
        cells = side // stride * 2**level
        drawn = (torch.rand(1, channels, cells, cells, generator=generator) * 2.0 - 1.0) * math.sqrt(3.0)
        place = torch.arange(-margin, cells + margin) % cells
        return drawn[:, :, place[:, None], place].to(device).contiguous(memory_format=torch.channels_last)

    return cells_of


def crop(image: Tensor, generator: torch.Generator) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """A square of a tile [C, H, W] that may lie across its borders, and the rows and columns that it takes, repeated ones too: a
    whole small tile comes with the continuation that its last patches reach into."""
    places = []
    for side in image.shape[1:]:
        first = int(torch.randint(side, (), generator=generator))
        count = min(side, CROP_PX) + torus.REACH
        places.append(((torch.arange(count) + first) % side).to(image.device))
    return image[:, places[0][:, None], places[1]].contiguous(), (places[0], places[1])


def _phases(window: tuple[Tensor, Tensor], scale: int, generator: torch.Generator) -> tuple[Tensor, int]:
    """Which of the pixels of a cell each pixel of a window is, uint8 [h, w], and which of them is compared at this step.

    Distances over all pixels together would not see it if one pixel of each cell were always blurred and another always sharp.
    Coarse scales have too few patches to divide.
    """
    if scale >= PHASED_SCALES:
        return torch.zeros(len(window[0]), len(window[1]), dtype=torch.uint8, device=window[0].device), 0
    phases = (window[0][:, None] % FINEST * FINEST + window[1] % FINEST).to(torch.uint8)
    return phases, int(torch.randint(FINEST**2, (), generator=generator))


def add_window(image: Tensor, values: Tensor, window: tuple[Tensor, Tensor]) -> None:
    """Adds values [C, h, w] to those places of an image [C, H, W]; places may come twice."""
    rows = torch.zeros(image.shape[0], image.shape[1], values.shape[2], device=image.device)
    rows.index_add_(1, window[0], values)
    image.index_add_(2, window[1], rows)


def edge_filters(channels: int, generator: torch.Generator) -> Tensor:
    """[FEATURES, channels, 3, 3] without mean, drawn on the CPU."""
    drawn = torch.randn(FEATURES, channels, 3, 3, generator=generator)
    drawn = drawn - drawn.mean((2, 3), keepdim=True)
    return drawn / drawn.square().sum((1, 2, 3), keepdim=True).sqrt()


def features(image: Tensor, edges: Tensor) -> Tensor:
    """How strongly an image [C, h, w] answers to filters, whatever the sign, over 2 x 2 pixels: [FEATURES, h / 2, w / 2].

    The distance between linear projections hardly hears how grain and edges lie together; in these it is a linear matter (as in
    scattering transforms: Bruna and Mallat 2013, arXiv 1203.1513).
    """
    return F.avg_pool2d(F.conv2d(image[None], edges, padding=1).abs(), 2)[0]


def banks(
    images: Sequence[Tensor], edges: Tensor, params: TextureCompactParams, generator: torch.Generator
) -> list[list[tuple[sliced_wasserstein.FilterBank, float]]]:
    """Scales x banks: filters with what the sources look like through them, and the mean square of that without its mean."""
    made = []
    for scale in range(SCALES):
        small = [F.avg_pool2d(image[None], 2**scale)[0].contiguous() if scale else image for image in images]
        small = [image for image in small if min(image.shape[1:]) >= 2 * PATCH]
        if not small or params.side // 2**scale < 2 * PATCH:
            break
        seen = [features(image, edges).contiguous() for image in small]
        seen = [] if min(min(image.shape[1:]) for image in seen) < 2 * PATCH else seen
        at_scale = []
        for number in range(params.banks):
            if number % 3 == 2 and seen:
                filters = filter_bank.random_filters(params.filters, generator, channels=FEATURES)
                bank = sliced_wasserstein.measure(seen, filters)
                at_scale.append((bank, float(bank.quantiles.var(1).mean())))
                continue
            filters = filter_bank.random_filters(params.filters, generator, channels=len(small[0]))
            if number % 2:
                filters = filter_bank.sharpened(filters, SHARPEN)
            bank = sliced_wasserstein.measure(small, filters)
            at_scale.append((bank, float(bank.quantiles.var(1).mean())))
        made.append(at_scale)
    return made
