"""The light in painted relief maps, as a formula: what stands between an albedo and a picture of it.

Natural Earth III's colours carry a shading from the north-west. Its strength was fitted to them (detail of log luminance against
the normals of the heights, five places of 400 x 400 px: heights exaggerated 20 times, 0.6 per unit of the horizontal normal).
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.training.data import class_maps

EXAGGERATION = 20.0
AMBIENT = 0.1
AZIMUTH_DEG, ALTITUDE_DEG = 315.0, 45.0
DETAIL_PX = 6.0  # shading is looked for in what is finer than this
RIDGE = 1e-6  # keeps level ground from dividing by nothing
LUMA = (0.2126, 0.7152, 0.0722)


def normals(height_px: Tensor, exaggeration: float = EXAGGERATION) -> Tensor:
    """Unit normals [B, 3, H, W] (east, south, up) of heights in pixels [B, 1, H, W]."""
    east, south = class_maps.slopes(height_px * exaggeration)
    up = torch.rsqrt(1.0 + east.square() + south.square())
    return torch.cat([-east * up, -south * up, up], dim=1)


def lambert(height_px: Tensor) -> Tensor:
    """The light that falls on ground, linear [B, 1, H, W]; 1 on level ground (Lambert's cosine law with ambient light)."""
    azimuth, altitude = torch.deg2rad(torch.tensor([AZIMUTH_DEG, ALTITUDE_DEG], dtype=torch.float64)).tolist()
    level = torch.tensor(altitude, dtype=torch.float64)
    towards = torch.tensor(
        [
            float(torch.sin(torch.tensor(azimuth)) * torch.cos(level)),
            -float(torch.cos(torch.tensor(azimuth)) * torch.cos(level)),
            float(torch.sin(level)),
        ],
        device=height_px.device,
    )
    cosine = (normals(height_px) * towards[:, None, None]).sum(1, keepdim=True).clamp_min(0.0)
    return AMBIENT + (1.0 - AMBIENT) * cosine / float(torch.sin(level))


def leak(color: Tensor, height_px: Tensor) -> Tensor:
    """How much of the detail of log albedo the direction of the slopes explains: R² per map, [B], 0 without any light in it.

    color: square root of linear RGB [B, 3, H, W]. Least squares on the horizontal normal, both without forms coarser than
    DETAIL_PX.
    """
    luma = (color.square() * torch.tensor(LUMA, device=color.device)[:, None, None]).sum(1, keepdim=True)
    detail = _detail((luma + 0.01).log()).flatten(1)
    east, south = _detail(normals(height_px)[:, :2]).flatten(2).unbind(1)

    def dot(one: Tensor, other: Tensor) -> Tensor:
        return (one * other).sum(1)  # not a matrix product, whose rounding depends on where its numbers lie in memory

    a, b, c = dot(east, east) + RIDGE, dot(east, south), dot(south, south) + RIDGE
    u, v = dot(east, detail), dot(south, detail)
    explained = (c * u.square() - 2.0 * b * u * v + a * v.square()) / (a * c - b.square())
    return explained / dot(detail, detail).clamp_min(RIDGE)


def _detail(values: Tensor) -> Tensor:
    return values - class_maps.blur(values, DETAIL_PX)
