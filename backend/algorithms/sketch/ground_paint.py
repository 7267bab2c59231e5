"""Adds up the colours of a band of ground: so much of this, so much of that, each with its own grain."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.sketch.ground_form import Form
from backend.algorithms.sketch.ground_patches import Patches
from shared.painted_classes import PaintedClass
from shared.srgb import srgb_to_linear
from shared.terrain_classes import RGB, TERRAIN_CLASSES


@dataclass(frozen=True)
class Place:
    """A band of ground. height_m [h, W] in metres; shore: 0..1, next to water; cliffs: 0..1, where steep ground is near."""

    form: Form
    patches: Patches
    height_m: Tensor
    shore: Tensor
    cliffs: Tensor
    pixel_size_m: float


class Paint:
    """color: linear [3, h, W], of all that was added. grain, shade: how strongly single pixels and hollows show there. rock: how
    much of each pixel is rock that is still to be painted.
    """

    def __init__(self, shape: tuple[int, int], device: torch.device) -> None:
        self.color = torch.zeros(3, *shape, device=device)
        self.grain, self.shade, self.rock = (torch.zeros(shape, device=device) for _ in range(3))

    def add(self, amount: Tensor, rgb: RGB, grain: float, shade: float) -> None:
        """amount [h, W] of the pixel, of a colour in sRGB."""
        for channel, value in zip(self.color, linear(rgb), strict=True):
            channel.add_(amount, alpha=value)
        self.grain.add_(amount, alpha=grain)
        self.shade.add_(amount, alpha=shade)

    def blend(self, amount: Tensor, mix: Tensor, low: RGB, high: RGB, grain: float, shade: float) -> None:
        """Two colours, all of the second where mix [h, W] is 1."""
        upper = amount * mix
        self.add(amount - upper, low, grain, shade)
        self.add(upper, high, grain, shade)


@functools.cache
def linear(rgb: RGB) -> tuple[float, float, float]:
    red, green, blue = srgb_to_linear(np.array(rgb, np.float32) / 255.0).tolist()
    return red, green, blue


def ramp(values: Tensor, begin: float, end: float) -> Tensor:
    """0 up to begin, 1 from end on."""
    return ((values - begin) / (end - begin)).clamp_(0.0, 1.0)


def darker(rgb: RGB, by: float) -> RGB:
    """The colour at this share of its sRGB values."""
    red, green, blue = (round(by * value) for value in rgb)
    return red, green, blue


@functools.cache
def beside(entry: PaintedClass, rgb: RGB) -> RGB:
    """A colour that goes with the ground of the built-in class, as it goes with the ground of a user's own."""
    built_in = TERRAIN_CLASSES[entry.like].ground
    red, green, blue = (
        min(round(value * own / usual), 255) for value, own, usual in zip(rgb, entry.ground, built_in, strict=True)
    )
    return red, green, blue
