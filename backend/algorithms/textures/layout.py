"""Which sample lies where in a texture: the canvas that it is made on, and borders that look grown.

A direction that does not have to tile is made longer and cut afterwards, so that everything is made on an image that wraps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.textures import torus
from backend.ops.moments import variance
from backend.ops.resampling import bilinear
from backend.ops.smoothing import gaussian

LEAST_MARGIN_PX = 16
MARGIN_SHARE = 0.1  # of the side
STRAY = 0.5  # of a share, by which chance moves the border


@dataclass(frozen=True)
class Canvas:
    """The even size of the image that is made, and the size that is kept of it, at its top left."""

    shape: tuple[int, int]
    kept: tuple[int, int]

    @staticmethod
    def of(height: int, width: int, tile: str) -> Canvas:
        """Raises ValueError for a side that has to tile and is odd."""
        sides = []
        for side, tiles in ((height, "y" in tile), (width, "x" in tile)):
            if tiles and side % 2:
                raise ValueError("a side that tiles is even")
            margin = 0 if tiles else max(LEAST_MARGIN_PX, round(MARGIN_SHARE * side))
            sides.append(side + margin + (side + margin) % 2)
        return Canvas((sides[0], sides[1]), (height, width))

    def extended(self, values: Tensor) -> Tensor:
        """[..., h, w] of what is kept, over the canvas: half of each margin continues one edge, half the other."""
        for axis, side, kept in zip((-2, -1), self.shape, self.kept, strict=True):
            place = torch.arange(side)
            half = kept + (side - kept) // 2
            place = torch.where(place < kept, place, torch.where(place < half, kept - 1, 0))
            values = values.index_select(axis, place.to(values.device))
        return values.contiguous()


def labels(shares: np.ndarray, canvas: Canvas, transition_px: float, generator: torch.Generator) -> Tensor:
    """The sample [H, W] uint8 of each pixel of the canvas, by the sources' shares [N, h, w] of any size: where one passes into
    another the border strays to both sides over about transition_px."""
    wanted = bilinear(torch.from_numpy(np.ascontiguousarray(shares, np.float32))[None], canvas.kept)[0]
    if transition_px <= 0:
        return canvas.extended(wanted).argmax(0).to(torch.uint8)
    sigma = max(transition_px / 4, 0.5)
    soft = canvas.extended(torch.stack([gaussian(share.contiguous(), sigma, edge="nearest") for share in wanted]))
    between = 4.0 * soft * (1.0 - soft)  # 1 in the middle of the transition, 0 beside it
    tilt = torch.linspace(-1.0, 1.0, len(soft))[:, None, None]
    return (soft + STRAY * between * _straying(canvas, sigma, generator) * tilt).argmax(0).to(torch.uint8)


def _straying(canvas: Canvas, sigma: float, generator: torch.Generator) -> Tensor:
    """Smooth chance [H, W] of unit deviation with lobes of the transition's width and finer ones on them."""
    chance, total = torch.randn(canvas.shape, generator=generator), torch.zeros(canvas.shape)
    for share in (1.0, 0.5, 0.25):
        noise = torus.smoothed(chance, max(share * sigma, 0.5))
        total += share * noise / max(math.sqrt(variance(noise)), 1e-9)
    return total / max(math.sqrt(variance(total)), 1e-9)
