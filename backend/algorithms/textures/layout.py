"""Which sample lies where in a texture: the canvas that it is made on, and borders that look grown.

Every second patch of a large image is matched. So that these cover it, a side that tiles is even, and one that does not is made
odd, by a row or column that is cut off afterwards.
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

STRAY = 0.5  # of a share, by which chance moves the border


@dataclass(frozen=True)
class Canvas:
    """The size of the image that is made, the size that is kept of it, at its top left, and which of its sides wrap."""

    shape: tuple[int, int]
    kept: tuple[int, int]
    wraps: torus.Wraps

    @staticmethod
    def of(height: int, width: int, tile: str) -> Canvas:
        """Raises ValueError for a side that has to tile and is odd."""
        wraps = ("y" in tile, "x" in tile)
        if any(wrap and side % 2 for side, wrap in zip((height, width), wraps, strict=True)):
            raise ValueError("a side that tiles is even")
        rows, columns = (side if wrap else side | 1 for side, wrap in zip((height, width), wraps, strict=True))
        return Canvas((rows, columns), (height, width), wraps)

    def extended(self, values: Tensor) -> Tensor:
        """[..., h, w] of what is kept, over the canvas: its last row and column go on."""
        for axis, side, kept in zip((-2, -1), self.shape, self.kept, strict=True):
            values = values.index_select(axis, torch.arange(side).clamp_max(kept - 1).to(values.device))
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
        noise = torus.smoothed(chance, max(share * sigma, 0.5), canvas.wraps)
        total += share * noise / max(math.sqrt(variance(noise)), 1e-9)
    return total / max(math.sqrt(variance(total)), 1e-9)
