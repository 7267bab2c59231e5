"""The shadow generator of SPADE-Terrain-GAN: shading learned from the differences of the heights, added to the lightness alone.

What remains without it is the flat texture: colour that is meant to have no light in it. nn.Module only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backend.models.symmetric_convolution import SymmetricConv

WIDTH = 32
SLOPE = 0.2


class ShadowGenerator(nn.Module):
    """Two layers over the differences of neighbouring heights: 641 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = SymmetricConv(2, WIDTH, 3)
        self.head = nn.Conv2d(WIDTH, 1, 1)

    def forward(self, raw: Tensor) -> Tensor:
        """Lightness with its shading, a, b and height, each in -1..1, of raw ones [B, 4, H, W]."""
        shading = self.head(F.leaky_relu(self.conv(differences(torch.tanh(raw[:, 3:]))), SLOPE))
        return torch.tanh(torch.cat([raw[:, :1] + shading, raw[:, 1:]], dim=1))


def differences(height: Tensor) -> Tensor:
    """Each height less the one above it, and less the one to its left, [B, 2, H, W] of [B, 1, H, W]; the first row's and
    column's are those of the second."""
    rows, columns = height.diff(dim=2), height.diff(dim=3)
    return torch.cat([torch.cat([rows[:, :, :1], rows], dim=2), torch.cat([columns[..., :1], columns], dim=3)], dim=1)
