"""Which way a picture runs: the direction along its edges and how clear that is, by the structure tensor.

Foerstner and Guelch 1987; the coherence is that of Weickert 1999, "Coherence-enhancing diffusion filtering", section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.smoothing import gaussian

NOISE = 2e-5  # of squared encoded values per pixel: a gradient this weak says nothing about a direction

AROUND = ((4.0, 0.3), (10.0, 0.1))  # radii of the brush, and weights of the structure that is seen from there
WAVE = 4 * NOISE  # strength of the wave's structure
WAVES, WAVE_TURN = 0.8, 0.6  # waves across the picture, and how far they turn from the horizontal, rad


@dataclass(frozen=True)
class Directions:
    """along: unit vectors (row, column) along the edges [H, W, 2]; either sign. coherence: 0 (none) to 1 (clear) [H, W]."""

    along: Tensor
    coherence: Tensor

    @classmethod
    def of(cls, picture: Tensor, radius_px: float, flow: float = 0.0) -> Directions:
        """Of a picture [H, W, 3], for strokes of this radius. flow: 0 to 1, how far plain ground takes the directions of what lies
        around it, and of a slow wave where there is nothing."""
        sums = [torch.zeros_like(picture[..., 0]) for _ in range(3)]
        for channel in picture.unbind(2):  # one after the other, which takes a third of the memory
            padded = F.pad(channel[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
            down = 0.5 * (padded[2:, 1:-1] - padded[:-2, 1:-1])
            across = 0.5 * (padded[1:-1, 2:] - padded[1:-1, :-2])
            for total, (one, two) in zip(sums, ((down, down), (across, across), (down, across)), strict=True):
                total.addcmul_(one, two)
        rr, cc, rc = (gaussian(total, max(1.0, radius_px)) for total in sums)
        if flow:
            for factor, weight in AROUND:
                wide = (gaussian(total, factor * max(1.0, radius_px)) for total in sums)
                rr, cc, rc = (near.add(far, alpha=flow * weight) for near, far in zip((rr, cc, rc), wide, strict=True))
            rr, cc, rc = (near + flow * far for near, far in zip((rr, cc, rc), _wave(picture), strict=True))
        spread = torch.sqrt((rr - cc).square() + 4 * rc.square())
        angle = 0.5 * torch.atan2(2 * rc, rr - cc)  # of the steepest direction, from the rows' axis
        along = torch.stack([-torch.sin(angle), torch.cos(angle)], dim=2)
        return cls(along, (spread / (rr + cc + NOISE)).clamp(0, 1).square())


def _wave(picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The structure tensor of slow waves across a picture: by rows, by columns and mixed [H, W]."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    rows, columns = (
        torch.arange(side, device=picture.device, dtype=picture.dtype) / longer for side in (height, width)
    )
    angle = WAVE_TURN * torch.sin(2 * torch.pi * WAVES * (columns[None] + 0.6 * rows[:, None]))
    down, across = torch.cos(angle), torch.sin(angle)  # of the steepest direction
    return WAVE * down * down, WAVE * across * across, WAVE * down * across
