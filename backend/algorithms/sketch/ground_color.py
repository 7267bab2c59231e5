"""The colour of ground by class, height, steepness, wetness and chance: an albedo, with no light and no direction in it.

Colours are those of shared/painted_classes.py. Linear RGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.ops.smoothing import gaussian
from backend.ops.terrain import coordinate_noise
from shared.painted_classes import PAINTED_CLASSES, first_like, numbers_like
from shared.srgb import srgb_to_linear
from shared.terrain_classes import HILLS, ROCK, SNOW, WATER

PATCH_PX = (24.0, 7.0, 2.0)  # sizes of patches of another shade, and their shares
PATCH_SHARE = (0.5, 0.3, 0.2)
VARIATION = 0.18  # of the brightness, from patch to patch
SOFT_DEG = 8.0  # over which rock takes over as ground grows steeper
WET_SHARE = 0.02  # of the map's area that drains through ground that is as green as it gets
WET_STRENGTH = 0.35
BREAK_PX = 5.0  # by which borders between classes stray
STREAM = 1 << 24
REACH_PX = 40  # of the smoothing of the largest patches, four of their deviations, and of the borders between classes

_WATERS, _SNOWS, _ROCK = list(numbers_like(WATER)), list(numbers_like(SNOW)), first_like(ROCK, HILLS)


@dataclass(frozen=True)
class Whole:
    """What the colour of a band of rows needs to know of the whole map: its range of heights and its size."""

    low_m: float
    high_m: float
    pixels: int
    pixel_size_m: float


def albedo(
    shares: Tensor, height_m: Tensor, steepness: Tensor, flow_m2: Tensor, seed: int, first_row: int, whole: Whole
) -> Tensor:
    """Linear RGB [h, W, 3] float32 of a band of rows; its colours do not depend on what is more than REACH_PX away.

    shares [classes, h, W] adding up to 1, height_m and steepness [h, W] in metres and degrees, flow_m2 [h, W]: the area that drains
    through. first_row: the band's first row in the map, where its share of the pattern begins.
    """
    patches = _patches(first_row, tuple(height_m.shape), seed, height_m.device)
    weights = _broken_up(shares, patches)
    relative = (height_m - whole.low_m) / max(whole.high_m - whole.low_m, 1.0)
    mix = (relative + 0.35 * patches).clamp(0.0, 1.0)
    low, high = (
        _colors([getattr(entry, name) for entry in PAINTED_CLASSES]).to(height_m) for name in ("ground", "ground_high")
    )
    color = torch.einsum("khw,kc->hwc", weights * (1.0 - mix), low) + torch.einsum("khw,kc->hwc", weights * mix, high)
    rock = low[_ROCK] + (high - low)[_ROCK] * mix[..., None]
    color = _with_rock(color, weights, rock, steepness)
    color = _with_water_nearby(color, weights, flow_m2, whole)
    dry = 1.0 - weights[_WATERS].sum(0) - 0.7 * weights[_SNOWS].sum(0)
    return (color * (1.0 + VARIATION * patches * dry)[..., None]).clamp(0.0, 1.0)


def steepness_deg(height_m: Tensor, pixel_size_m: float) -> Tensor:
    """Slopes [H, W] in degrees, whichever way they face."""
    spacing = float(pixel_size_m)
    if min(height_m.shape) < 2:
        return torch.zeros_like(height_m)
    down, across = torch.gradient(height_m, spacing=spacing)
    return torch.rad2deg(torch.atan(torch.hypot(down, across)))


def _colors(colors: list[tuple[int, int, int]]) -> Tensor:
    return torch.from_numpy(srgb_to_linear(np.array(colors, np.float32) / 255.0))


def _patches(first_row: int, shape: tuple[int, ...], seed: int, device: torch.device) -> Tensor:
    """Smooth chance [h, W] of about -1 to 1, in patches of several sizes."""
    total = torch.zeros(shape, device=device)
    for number, (size, share) in enumerate(zip(PATCH_PX, PATCH_SHARE, strict=True)):
        sigma = size / 3.0
        values = coordinate_noise.uniform(
            range(first_row, first_row + shape[0]), range(shape[1]), stream=STREAM + number, seed=seed, device=device
        )
        smooth = gaussian(values, sigma)
        total += share * smooth * (2.0 * np.sqrt(np.pi) * sigma)  # the deviation that smoothing takes away
    return (total / np.sqrt(np.sum(np.square(PATCH_SHARE)))).clamp(-2.0, 2.0) / 2.0


def _broken_up(shares: Tensor, patches: Tensor) -> Tensor:
    """Shares whose borders follow patches instead of the brush: sharper, and here and there across."""
    wide = torch.stack([gaussian(share.contiguous(), BREAK_PX / 2) for share in shares])
    wide[_WATERS] = shares[_WATERS]
    tilted = wide * torch.exp(
        2.0 * patches * torch.linspace(-1.0, 1.0, len(shares), device=shares.device)[:, None, None]
    )
    tilted[_WATERS] = shares[_WATERS] * tilted.sum(0)
    sharp = tilted.square()
    sharp[_WATERS] = tilted[_WATERS].square()
    return sharp / sharp.sum(0).clamp_min(1e-6)


def _with_rock(color: Tensor, weights: Tensor, rock: Tensor, steepness: Tensor) -> Tensor:
    """Rock where ground is too steep for what grows on it."""
    limits = torch.tensor([entry.slope_deg or 90.0 for entry in PAINTED_CLASSES], device=color.device)
    limit = (weights * limits[:, None, None]).sum(0)
    bare = ((steepness - limit) / SOFT_DEG + 0.5).clamp(0.0, 1.0)[..., None]
    return color * (1.0 - bare) + rock * bare


def _with_water_nearby(color: Tensor, weights: Tensor, flow_m2: Tensor, whole: Whole) -> Tensor:
    """Darker and greener ground along streams, where plants grow at all."""
    wet = (torch.log1p(flow_m2 / whole.pixel_size_m**2) / np.log1p(WET_SHARE * whole.pixels)).clamp(0.0, 1.0) ** 3
    growth = torch.tensor([entry.growth for entry in PAINTED_CLASSES], device=color.device)
    strength = WET_STRENGTH * wet * (weights * growth[:, None, None]).sum(0).clamp(0.0, 1.0)
    lush = color * torch.tensor((0.6, 0.85, 0.6), device=color.device)
    return color + (lush - color) * strength[..., None]
