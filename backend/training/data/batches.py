"""What a terrain model learns from in one step, and what all its sources have in common. Knows no network and no file."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.training.data import class_maps

MARGIN_PX = (
    32  # of classes around what is compared with the real map: a network must not learn the zeros beyond a border
)


@dataclass(frozen=True)
class Batch:
    """Crops of real ground and the classes that a person would have painted for them.

    height [B, 1, S, S]: in the model's unit; regional with mean 0. height_m: the same in metres. color: sRGB 0..1 [B, 3, S, S]
    with its light, or None. classes: int64 [B, S + 2 MARGIN_PX, ...]. shares [B, classes, S + 2 MARGIN_PX, ...]: the same with soft
    edges. pixel_size_m [B]. scale [B]: the same in the model's own unit.
    """

    height: Tensor
    height_m: Tensor
    color: Tensor | None
    classes: Tensor
    shares: Tensor
    pixel_size_m: Tensor
    scale: Tensor


def inner(values: Tensor) -> Tensor:
    """Without the margin."""
    return values[..., MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def strengths(generator: torch.Generator) -> tuple[float, float]:
    """How coarsely a class map is drawn: pixels of averaging, and of the smoothing into blobs."""
    draws = torch.rand(2, generator=generator)
    return 1.5 * 4.0 ** float(draws[0]), 1.0 * 8.0 ** float(draws[1])


def without_steps(height_m: Tensor, step_m: float) -> Tensor:
    """Heights [B, 1, H, W] as smooth as their rounding to `step_m` allows: terraces in plains would be learned as landforms."""
    return class_maps.blur(height_m, 2.0).maximum(height_m - step_m / 2).minimum(height_m + step_m / 2)
