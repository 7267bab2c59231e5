"""Textures of any size by a generator that was trained before (train texture), in pieces that agree, with memory for a few pieces.

A piece is made on one thread, several at a time, so that no byte depends on how many threads there are. Noise belongs to
places of the texture (backend.ops.terrain.coordinate_noise): a piece gets the noise that the whole would have there, and noise that
repeats makes a tile. Knows no job and no file.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.model_files import UnknownModel, check_header
from backend.algorithms.textures.channels import Channels
from backend.algorithms.textures.decoding import Decoder
from backend.models.spatial_gan import SpatialGenerator, footprint_px
from backend.models.texture_generator import FINEST, TextureGenerator
from backend.ops.terrain import coordinate_noise
from backend.runtime import threads
from backend.runtime.device import cpu_computes_bfloat16

FORMAT = 1
CHANNELS = ("mixing", "inverse", "mean", "low", "high")  # tensors of Channels in a file
PIECE_PX, LARGE_PIECE_PX = 512, 1024
ENOUGH = 4  # large pieces have less border that is made twice; taken where there are this many, so that several threads have some
LEVEL_STREAMS = 1024  # streams of noise that a level has

Observe = Callable[[int, int], None]  # pieces done, pieces in all; may raise to stop


@dataclass(frozen=True)
class Place:
    """The texture as a whole: its size, the periods after which it repeats (0: not at all), and its seed."""

    rows: int
    columns: int
    period: tuple[int, int]
    seed: int


class Generator(ABC):
    """A trained generator. stride: pixels per cell of noise: tiles are multiples of it, and pieces begin there."""

    stride: int
    channels: Channels
    sample_px: int
    """The shorter side of the smallest picture that it has learned, 0 where the file does not say."""

    @abstractmethod
    def piece(self, top: int, left: int, rows: int, columns: int, place: Place) -> Tensor:
        """Values [1, V, rows, columns] of a piece whose bounds are multiples of the stride: those of the maps, less their mean."""


def load(tensors: Mapping[str, Tensor], about: Mapping[str, Any], device: torch.device) -> Generator:
    """The generator in a file. Raises UnknownModel."""
    check_header(about, KINDS, FORMAT, "makes no textures")
    kind = KINDS[about["model"]]
    try:
        parts = {name: tensors[f"channels.{name}"].float() for name in CHANNELS}
        channels = Channels(names=tuple(about["maps"]), **parts)
        weights = {
            name.removeprefix("network."): tensor for name, tensor in tensors.items() if name.startswith("network.")
        }
        return kind(channels, about["network"], weights, int(about.get("sample_px", 0)), device)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UnknownModel.of_parts(error) from error


class Compact(Generator):
    """backend.models.texture_generator, in bfloat16 where the device has it."""

    def __init__(
        self, channels: Channels, shape: Mapping[str, Any], weights: Mapping[str, Tensor], sample_px: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        network = TextureGenerator(channels.count, **shape)
        network.load_state_dict(dict(weights))
        exact = device.type == "cpu" and not cpu_computes_bfloat16()
        self.type = torch.float32 if exact else torch.bfloat16
        _fold(network, channels.inverse)
        network.requires_grad_(False).eval().to(device, self.type)
        self.network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.stride, self.channels, self.sample_px, self.device = network.stride, channels, sample_px, device

    def piece(self, top: int, left: int, rows: int, columns: int, place: Place) -> Tensor:
        cells = [part // self.stride for part in (top, left, rows, columns)]

        def noise(level: int, channels: int, margin: int) -> Tensor:
            first_row, first_column, down, across = (part * 2**level for part in cells)
            period = [part // self.stride * 2**level for part in place.period]
            drawn = coordinate_noise.uniform_maps(
                range(first_row - margin, first_row + down + margin),
                range(first_column - margin, first_column + across + margin),
                streams=range(level * LEVEL_STREAMS, level * LEVEL_STREAMS + channels),
                seed=place.seed, period=(period[0], period[1]), device=self.device,
            )  # fmt: skip
            drawn = drawn if level else drawn.to(self.type)  # finer levels convert it as they take it
            return drawn[None].permute(0, 3, 1, 2)

        return self.network(noise)


def _fold(network: TextureGenerator, inverse: Tensor) -> None:
    """Makes the last convolution give values in place of channels."""
    four, count = FINEST**2, inverse.shape[1]
    assert network.head.bias is not None
    weight = network.head.weight.detach().view(count, four, *network.head.weight.shape[1:])
    bias = network.head.bias.detach().view(count, four)
    values = len(inverse)
    head = torch.nn.Conv2d(network.head.in_channels, values * four, network.head.kernel_size[0])
    head.weight = torch.nn.Parameter(torch.einsum("vc,cf...->vf...", inverse, weight).flatten(0, 1))
    head.bias = torch.nn.Parameter(torch.einsum("vc,cf->vf", inverse, bias).flatten(0, 1))
    network.head = head


class SpatialGan(Generator):
    """backend.models.spatial_gan with the statistics of its training: nothing depends on the size of a piece."""

    def __init__(
        self, channels: Channels, shape: Mapping[str, Any], weights: Mapping[str, Tensor], sample_px: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        network = SpatialGenerator(channels.count, **shape)
        network.load_state_dict(dict(weights))
        network.requires_grad_(False).eval().to(device)
        self.network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.stride = 2**network.layers
        self.margin = math.ceil((footprint_px(network.layers) // 2) / self.stride)  # cells whose noise reaches a pixel
        self.channels, self.sample_px, self.device = channels, sample_px, device

    def piece(self, top: int, left: int, rows: int, columns: int, place: Place) -> Tensor:
        first = (top // self.stride - self.margin, left // self.stride - self.margin)
        count = [side // self.stride + 2 * self.margin for side in (rows, columns)]
        period = (place.period[0] // self.stride, place.period[1] // self.stride)
        network = self.network
        drawn = coordinate_noise.uniform_maps(
            range(first[0], first[0] + count[0]), range(first[1], first[1] + count[1]), streams=range(network.local),
            seed=place.seed, period=period, device=self.device,
        )  # fmt: skip
        noise = drawn[None].permute(0, 3, 1, 2) / math.sqrt(3.0)  # -1..1
        chance = torch.Generator().manual_seed(place.seed)
        around = torch.rand(1, network.around, generator=chance) * 2.0 - 1.0
        phases = torch.rand(1, network.periodic, generator=chance) * 2.0 * math.pi
        field = network.field(noise, around.to(self.device), phases.to(self.device), period=period, first=first)
        image = network(field.contiguous(memory_format=torch.channels_last))
        edge = self.margin * self.stride
        image = image[:, :, edge : edge + rows, edge : edge + columns]
        inverse = self.channels.inverse.to(self.device)
        return torch.einsum("vc,bchw->bvhw", inverse, image).contiguous(memory_format=torch.channels_last)


KINDS: Mapping[str, Callable[..., Generator]] = {"texture": Compact, "texture-spatial-gan": SpatialGan}


def generate(
    generator: Generator, place: Place, decoder: Decoder, count: int, *, piece_px: int = 0,
    observe: Observe = lambda done, total: None,
) -> np.ndarray:  # fmt: skip
    """All maps of the texture [H, W, ...] as the decoder lays them out. count: threads. piece_px: changes no value; 0 for the
    faster size, which the texture's own size decides.
    """
    is_large = place.rows * place.columns >= ENOUGH * LARGE_PIECE_PX**2
    piece_px = piece_px or (LARGE_PIECE_PX if is_large else PIECE_PX)
    whole = np.empty((place.rows, place.columns, decoder.width), np.float32)
    step = max(generator.stride, piece_px // generator.stride * generator.stride)
    corners = [(top, left) for top in range(0, place.rows, step) for left in range(0, place.columns, step)]

    def make(corner: tuple[int, int]) -> None:
        top, left = corner
        kept = (min(step, place.rows - top), min(step, place.columns - left))
        rows, columns = (-(-side // generator.stride) * generator.stride for side in kept)
        with torch.inference_mode():
            values = generator.piece(top, left, rows, columns, place)
            decoder.write(values[:, :, : kept[0], : kept[1]], whole[top : top + kept[0], left : left + kept[1]])

    threads.spread(make, corners, 1 if decoder.device.type != "cpu" else count, observe)
    return whole
