"""The plain form of undistortion.py: torch operations on any device, some rows at a time.

float64 for where the lens puts a pixel, float32 for colours, as in the kernel; the kernel may round a product and a sum
together, so that a colour at the middle between two numbers may come out one apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PIXELS = 1 << 20  # at a time: about 100 bytes each


@dataclass(frozen=True)
class Lens:
    """fx, fy, cx, cy px; coefficients [8] in OpenCV's order; limit: the radius up to which the formula holds."""

    fx: float
    fy: float
    cx: float
    cy: float
    coefficients: list[float]
    fisheye: bool
    limit: float


def undistort(pixels: Tensor, lens: Lens) -> tuple[Tensor, Tensor]:
    """The pinhole's picture [H, W, 3] and where it shows the photograph [H, W] bool."""
    height, width = pixels.shape[:2]
    source = pixels.reshape(-1, 3)
    source = source if source.dtype == torch.uint8 else source.to(torch.float32)  # CUDA cannot index uint16
    made, inside = torch.empty_like(pixels), torch.empty((height, width), dtype=torch.bool, device=pixels.device)
    top, step = float(torch.iinfo(pixels.dtype).max), max(PIXELS // width, 1)
    for first in range(0, height, step):
        rows = slice(first, min(first + step, height))
        x, y, known = bend(lens, width, rows.start, rows.stop, pixels.device)
        inside[rows] = known & (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
        color = fetch(source, torch.where(inside[rows], x, 0.5), torch.where(inside[rows], y, 0.5), height, width)
        color = (color + 0.5).clamp(0.0, top).to(torch.int32)
        made[rows] = torch.where(inside[rows][..., None], color, 0).to(pixels.dtype)
    return made, inside


def bend(lens: Lens, width: int, first: int, end: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Where the lens puts the pixels of rows first to end - 1: x, y px [rows, W] float64, and whether within its limit."""
    k = lens.coefficients
    y = ((torch.arange(first, end, device=device, dtype=torch.float64) + 0.5 - lens.cy) / lens.fy)[:, None]
    x = ((torch.arange(width, device=device, dtype=torch.float64) + 0.5 - lens.cx) / lens.fx)[None]
    s = x * x + y * y
    if lens.fisheye:
        r = torch.sqrt(s)
        theta = torch.atan(r)
        t = theta * theta
        scale = theta * (1.0 + t * (k[0] + t * (k[1] + t * (k[2] + t * k[3])))) / r
        scale = torch.where(r > 1e-12, scale, 1.0)
        bent_x, bent_y = x * scale, y * scale
    else:
        radial = (1.0 + s * (k[0] + s * (k[1] + s * k[4]))) / (1.0 + s * (k[5] + s * (k[6] + s * k[7])))
        bent_x = x * radial + 2.0 * k[2] * x * y + k[3] * (s + 2.0 * x * x)
        bent_y = y * radial + k[2] * (s + 2.0 * y * y) + 2.0 * k[3] * x * y
    return bent_x * lens.fx + lens.cx, bent_y * lens.fy + lens.cy, s <= lens.limit * lens.limit


def fetch(source: Tensor, x: Tensor, y: Tensor, height: int, width: int) -> Tensor:
    """Colours [..., 3] float32 of source [height * width, 3] at x, y [...] px, bicubically, the border repeated."""
    left, upper = torch.floor(x - 0.5), torch.floor(y - 0.5)
    across, down = cubic((x - 0.5 - left).to(torch.float32)), cubic((y - 0.5 - upper).to(torch.float32))
    left, upper = left.to(torch.int64), upper.to(torch.int64)
    total = torch.zeros((), device=source.device)
    for column in range(4):
        at = (left + column - 1).clamp(0, width - 1)
        own = torch.zeros((), device=source.device)
        for row in range(4):
            place = (upper + row - 1).clamp(0, height - 1) * width + at
            own = own + down[row][..., None] * source[place].to(torch.float32)
        total = total + across[column][..., None] * own
    return total


def cubic(t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The weights of four neighbours, 1 + t, t, 1 - t and 2 - t away (Keys 1981, equation 4, a = -1/2)."""
    return (
        t * (t * (1.0 - 0.5 * t) - 0.5),
        t * t * (1.5 * t - 2.5) + 1.0,
        t * (t * (2.0 - 1.5 * t) + 0.5),
        t * t * (0.5 * t - 0.5),
    )
