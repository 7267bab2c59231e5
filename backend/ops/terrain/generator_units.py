"""What the numbers of the terrain generators mean: heights, pixel sizes, and shares of classes.

Regional models count heights in pixels, so that one model serves all pixel sizes; continental ones by a square root, so that plains
and peaks have one range. Training and inference both come here.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

REGIONAL_UNIT_PX = 4.0  # pixels per unit of height: slopes of mountains come to about 0.1
REGIONAL_M = (30.0, 180.0)  # metres per pixel of the data that the regional model was trained on
CONTINENTAL_UNIT_M = 500.0
CONTINENTAL_M = (4000.0, 10000.0)
SOFT_EDGE_PX = 5  # over which one class passes into another
_SOFTENING = 0.04  # keeps the square root's slope finite at the sea


def regional_scale(pixel_size_m: float) -> float:
    """The pixel size as the regional model reads it: 0 at 60 m, 1 at 120 m; held to what there are data of."""
    return math.log2(min(max(pixel_size_m, REGIONAL_M[0]), REGIONAL_M[1]) / 60.0)


def continental_scale(pixel_size_m: float) -> float:
    """The pixel size as the continental model reads it: 0 at 5 km, 1 at 10 km; held to what there are data of."""
    return math.log2(min(max(pixel_size_m, CONTINENTAL_M[0]), CONTINENTAL_M[1]) / 5000.0)


def to_continental(height_m: Tensor) -> Tensor:
    """Heights in the continental model's unit: a signed square root."""
    return height_m.sign() * ((height_m.abs() / CONTINENTAL_UNIT_M + _SOFTENING).sqrt() - math.sqrt(_SOFTENING))


def from_continental(height: Tensor) -> Tensor:
    """The inverse of to_continental(), metres."""
    return height.sign() * ((height.abs() + math.sqrt(_SOFTENING)).square() - _SOFTENING) * CONTINENTAL_UNIT_M


def class_shares(classes: Tensor, count: int) -> Tensor:
    """Shares float32 [B, count, H, W] of classes int64 [B, H, W]: soft over SOFT_EDGE_PX where two meet, so that borders are no
    steps."""
    hard = F.one_hot(classes, count).permute(0, 3, 1, 2).float()
    reach = SOFT_EDGE_PX // 2
    padded = F.pad(hard, (reach,) * 4, mode="replicate")
    return F.avg_pool2d(
        F.avg_pool2d(padded, (SOFT_EDGE_PX, 1), 1), (1, SOFT_EDGE_PX), 1
    )  # ten readings per pixel, not 25
