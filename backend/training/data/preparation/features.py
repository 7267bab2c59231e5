"""Features per pixel for clusters.py: slope, relief and relative height at two scales, and colour where there is any. Nothing here
knows a class.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.training.data import cielab, class_maps

NEAR_PX, FAR_PX = 2.0, 8.0  # deviations of the Gaussians that average a neighbourhood
HEIGHT_NAMES = (
    "slope near",
    "slope far",
    "relief",
    "above its surroundings",
    "place between low and high",
    "elevation",
)
COLOR_NAMES = ("lightness", "a", "b", "lightness far", "a far", "b far", "texture")


def names(*, colored: bool) -> tuple[str, ...]:
    return HEIGHT_NAMES + (COLOR_NAMES if colored else ())


def of(height_m: Tensor, pixel_size_m: float, color: Tensor | None) -> Tensor:
    """Features [n, H, W] of heights [H, W] and sRGB colours 0..1 [3, H, W]."""
    height = height_m[None, None] / pixel_size_m
    steepness = _steepness(height)
    far = class_maps.blur(height, FAR_PX)
    relief = class_maps.blur((height - far).square(), FAR_PX).sqrt()
    parts = [
        class_maps.blur(steepness, NEAR_PX).add(1e-3).log(),
        class_maps.blur(steepness, FAR_PX).add(1e-3).log(),
        relief.add(1e-2).log(),
        (height - far) / (relief + 0.05),
        class_maps.relative(height[0, 0])[None, None],
        (height_m[None, None].clamp_min(0.0) / 500.0 + 0.04).sqrt(),
    ]
    if color is not None:
        lab = cielab.from_srgb(color[None])
        near, wide = class_maps.blur(lab, NEAR_PX), class_maps.blur(lab, FAR_PX)
        texture = class_maps.blur((lab[:, :1] - near[:, :1]).square(), FAR_PX).add(1e-5).log()
        parts += [near, wide, texture]
    return torch.cat(parts, dim=1)[0]


def _steepness(height_px: Tensor) -> Tensor:
    east, south = class_maps.slopes(height_px)
    return (east.square() + south.square()).sqrt()
