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
        grey = picture.movedim(2, 0)
        padded = F.pad(grey[None], (1, 1, 1, 1), mode="replicate")[0]
        down = 0.5 * (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1])
        across = 0.5 * (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2])
        sigma = max(1.0, radius_px)
        rr, cc, rc = (
            gaussian(_summed(one * two), sigma) for one, two in ((down, down), (across, across), (down, across))
        )
        spread = torch.sqrt((rr - cc).square() + 4 * rc.square())
        angle = 0.5 * torch.atan2(2 * rc, rr - cc)  # of the steepest direction, from the rows' axis
        along = torch.stack([-torch.sin(angle), torch.cos(angle)], dim=2)
        return cls(along, (spread / (rr + cc + NOISE)).clamp(0, 1).square())


def _summed(channels: Tensor) -> Tensor:
    """[3, H, W] -> [H, W], added in this order whatever the number of threads."""
    return (channels[0] + channels[1] + channels[2]).contiguous()
