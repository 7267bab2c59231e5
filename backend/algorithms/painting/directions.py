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


@dataclass(frozen=True)
class Directions:
    """along: unit vectors (row, column) along the edges [H, W, 2]; either sign. coherence: 0 (none) to 1 (clear) [H, W]."""

    along: Tensor
    coherence: Tensor

    @classmethod
    def of(cls, picture: Tensor, radius_px: float) -> Directions:
        """Of a picture [H, W, 3], for strokes of this radius."""
        sums = [torch.zeros_like(picture[..., 0]) for _ in range(3)]
        for channel in picture.unbind(2):  # one after the other, which takes a third of the memory
            padded = F.pad(channel[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
            down = 0.5 * (padded[2:, 1:-1] - padded[:-2, 1:-1])
            across = 0.5 * (padded[1:-1, 2:] - padded[1:-1, :-2])
            for total, (one, two) in zip(sums, ((down, down), (across, across), (down, across)), strict=True):
                total.addcmul_(one, two)
        rr, cc, rc = (gaussian(total, max(1.0, radius_px)) for total in sums)
        spread = torch.sqrt((rr - cc).square() + 4 * rc.square())
        angle = 0.5 * torch.atan2(2 * rc, rr - cc)  # of the steepest direction, from the rows' axis
        along = torch.stack([-torch.sin(angle), torch.cos(angle)], dim=2)
        return cls(along, (spread / (rr + cc + NOISE)).clamp(0, 1).square())
