"""The compact texture generator: a small convolutional network that learns pictures by the sliced Wasserstein distance between
their patches and its own, without a discriminator
(feed-forward, as in Heitz et al. 2021, arXiv 2006.07229; on patches, Houdard et al.
2022, arXiv 2007.02347).

Each step makes one tile, on noise that repeats, so that every pixel has all its neighbours, and compares it with the sources
(texture_objective.py); what would make it better goes back through the network. Weights are a moving average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.textures.channels import Channels
from backend.models.texture_generator import NOISES, WIDTHS, TextureGenerator, initialise
from backend.ops.patches.constants import PATCH
from backend.runtime.device import cpu_computes_bfloat16
from backend.training.architectures.moving_average import follow
from backend.training.architectures.texture_files import described, file_tensors
from backend.training.architectures.texture_objective import Objective
from backend.training.data import texture_sources
from backend.training.training import Stateful, Training
from shared.params import param
from shared.srgb import linear_to_srgb

WARM_STEPS = 100
LARGEST_GRADIENT = (
    1.0  # of all weights together; it is 0.1 to 1 in a quiet training, and a larger one can throw it back by minutes
)
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
    structure: float = param(
        0.5,
        label="Structure",
        help="How firmly shapes are kept: 1 for bricks and leaves, 0 for sand, plaster and other grain",
        min=0.0,
        max=1.0,
    )
    side: int = param(
        256, label="Side", help="Pixels along a side of a training tile, a multiple of 64", min=64, max=1024, unit="px"
    )
    width: float = param(1.0, label="Width", help="Features of the network, relative to the default", min=0.1, max=4.0)
    filters: int = param(24, label="Filters", help="Compared per scale and step, an even number", min=2, max=128)
    banks: int = param(24, label="Banks", help="Of filters per scale, which take turns", min=1, max=512, role="count")
    rate: float = param(
        1.5e-3, label="Learning Rate", help="Of Adam; it falls to a hundredth at the end", min=1e-6, max=0.1
    )
    length: int = param(
        6000,
        label="Length",
        help="Steps over which the learning rate falls and shapes give way to distributions",
        min=1,
        role="count",
    )


class TextureCompact(Training):
    """Textures by a small, fast generator."""

    name = "texture"
    params_type = TextureCompactParams
    licence = "that of the pictures"
    steps = 6000
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
        self._objective = Objective(
            images,
            structure=params.structure,
            filters=params.filters,
            banks=params.banks,
            side=params.side,
            generator=generator,
        )

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
        direction, distance = self._objective.direction(tile.detach()[0], self._done(number), generator)
        self._adam.zero_grad()
        tile.backward(-direction[None])
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), LARGEST_GRADIENT)
        self._adam.step()
        follow(self._average, self._network, number)
        return {"distance": distance}

    def _tile(self, network: TextureGenerator, side: int, generator: torch.Generator) -> Tensor:
        """A tile [1, C, side, side] on random noise that repeats."""
        chance = repeating_noise(network.stride, side, generator, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            return network(chance).float()

    def _done(self, number: int) -> float:
        return min(1.0, number / self.params.length)

    def _set_rate(self, number: int) -> None:
        share = self._done(number)
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
