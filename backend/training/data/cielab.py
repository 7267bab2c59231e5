"""CIE 1976 L*a*b* under D65 and sRGB (IEC 61966-2-1), in both directions, with gradients.

Tensors of channels -1..1, as networks make them: lightness l with L* = 50 (l + 1), and a, b with a* = 110 a, b* = 110 b.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHROMA = 110.0
WHITE = (0.95047, 1.0, 1.08883)  # D65, 2 degrees
_TO_LINEAR = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)
_DELTA = 6.0 / 29.0


def to_srgb(lab: Tensor) -> Tensor:
    """sRGB 0..1 [B, 3, H, W], clipped to what a screen shows, of l, a, b in -1..1 [B, 3, H, W]."""
    lightness, a, b = lab.unbind(1)
    y = (50.0 * (lightness + 1.0) + 16.0) / 116.0
    parts = torch.stack([y + a * (CHROMA / 500.0), y, y - b * (CHROMA / 200.0)], dim=1)
    tristimulus = torch.where(parts > _DELTA, parts**3, 3.0 * _DELTA**2 * (parts - 4.0 / 29.0)) * _white(lab)
    linear = _mixed(lab.new_tensor(_TO_LINEAR), tristimulus).clamp(0.0, 1.0)
    curved = 1.055 * linear.clamp_min(0.0031308) ** (1.0 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curved)


def from_srgb(color: Tensor) -> Tensor:
    """The inverse of to_srgb(): l, a, b of sRGB 0..1."""
    linear = torch.where(color <= 0.04045, color / 12.92, ((color.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)
    matrix = torch.linalg.inv(color.new_tensor(_TO_LINEAR).double()).to(color.dtype)
    relative = _mixed(matrix, linear) / _white(color)
    roots = relative.clamp_min(_DELTA**3) ** (1.0 / 3.0)
    x, y, z = torch.where(relative > _DELTA**3, roots, relative / (3.0 * _DELTA**2) + 4.0 / 29.0).unbind(1)
    return torch.stack([(116.0 * y - 16.0) / 50.0 - 1.0, 500.0 * (x - y) / CHROMA, 200.0 * (y - z) / CHROMA], dim=1)


def _white(like: Tensor) -> Tensor:
    return like.new_tensor(WHITE)[:, None, None]


def _mixed(matrix: Tensor, channels: Tensor) -> Tensor:
    return torch.einsum("oi,bihw->bohw", matrix, channels)
