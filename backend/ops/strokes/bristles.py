"""What a brush leaves of a stroke: bristles, ragged ends and the thickness of its paint, on tensors of pixels under strokes.

A pixel under a stroke lies at `along`, an arc's length in px from its start, and at `across`, -1 to 1 from one side to the other.
Bristles are noise that varies quickly across and slowly along, drawn from the stroke's own seed. All is measured in shares of the
stroke's radius, so that a stroke looks alike at every size. backend/ops/strokes/brush_cpu.py has the same formulas for one pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.hashing import mix32
from backend.ops.strokes import constants as c


def noise(x: Tensor, y: Tensor, seed: Tensor) -> Tensor:
    """Smooth noise 0..1 at (x, y), with a value drawn for each whole place; seed int64."""
    left, top = x.floor(), y.floor()
    u, v = x - left, y - top
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    column, row = left.long(), top.long()
    corners = [_drawn(column + i, row + j, seed).to(x.dtype) for j in (0, 1) for i in (0, 1)]
    upper = corners[0] + u * (corners[1] - corners[0])
    lower = corners[2] + u * (corners[3] - corners[2])
    return upper + v * (lower - upper)


def _drawn(column: Tensor, row: Tensor, seed: Tensor) -> Tensor:
    key = (column * c.COLUMN_FACTOR + row * c.ROW_FACTOR + seed) & 0xFFFF_FFFF
    return (mix32(key) >> 8) / 2.0**24


def step(value: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """0 below low, 1 above high, smooth between."""
    share = ((value - low) / (high - low)).clamp(0.0, 1.0)
    return share * share * (3 - 2 * share)


def mark(
    along: Tensor,  # [P, Q] px
    across: Tensor,  # [P, Q]
    out: Tensor,  # [P, Q] distance from the curve in radii
    radius: Tensor,  # [P, Q] px there
    length: Tensor,  # [P, 1] px of the stroke
    width: Tensor,  # [P, 1] px, its larger radius
    side: float,  # px of the canvas's longer side
    seed: Tensor,  # [P, 1] int64, 32 bits
    bristles: float,
    dryness: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """How opaque, how light (a factor), how thick a stroke is and how flat it presses what is below, [P, Q] each.

    Thickness is 1 for the largest brush's ridges.
    """
    hairs = (c.FEWEST_HAIRS + c.HAIRS_PER_SHARE * width / side).clamp_max(c.MOST_HAIRS)
    x, y = 0.5 * across * hairs, along / (c.HAIR_LENGTH * width)
    fine = noise(x, y, seed) * 0.6 + noise(2.3 * x + 31, 1.7 * y, seed) * 0.4
    hair = step(0.62 * fine + 0.38 * noise(0.27 * x + 57, 0.5 * y, seed), 0.22, 0.78)
    way = along / length.clamp_min(1e-3)
    before, beyond = -along / radius, (along - length) / radius  # past the ends, in radii
    tip = 1 - c.RAGGED_END * bristles * noise(0.8 * x + 83, 0 * y, seed)
    heel = 1 - c.RAGGED_START * bristles * noise(0.8 * x + 113, 0 * y, seed)
    pixel = radius / max(1.0, side / c.SIDE_PX)  # over which a hair ends
    opaque = 1 - c.STREAK * bristles * (1 - hair) ** 2
    if bristles > 0:
        opaque = (
            opaque * ((tip - beyond) * pixel + 0.5).clamp(0.0, 1.0) * ((heel - before) * pixel + 0.5).clamp(0.0, 1.0)
        )
    gap = 0.6 * dryness * step(way, 0.25, 1.0)
    soft = (0.4 * hairs / radius).clamp(0.1, 0.8)  # a hair that is no wider than a pixel does not end within it
    opaque = opaque * step(hair + 1e-3, gap - soft, gap)
    light = 1 + c.SHADE * bristles * (2 * hair - 1)
    rim = torch.exp(-(((out - c.RIM_AT) / c.RIM_WIDTH) ** 2))
    stop = torch.exp(-(((beyond - c.STOP_AT) / c.STOP_WIDTH) ** 2))
    body = (c.BODY + (c.RIM * rim + c.STOP * stop) * (0.3 + 0.7 * hair)) * (1 - c.THINNING * way.clamp(0.0, 1.0))
    pressed = step(1.03 - out, 0.0, c.ROUNDING) * step(hair, gap - 0.1, gap + 0.2)
    load = (width / (c.FULL_SHARE * side)).clamp_max(1.0).sqrt()
    return opaque, light, load * body * pressed * (1 - c.FURROW * bristles * (1 - hair)), c.LEVELLED * pressed
