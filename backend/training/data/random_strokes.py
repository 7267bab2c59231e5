"""Strokes drawn at random on patches of 128 pixels, with this project's renderers: what a network learns to draw.

Shapes are the ten numbers 0..1 of a stroke as de Guevara et al. 2023 order them. Alphas are drawn on the CPU whatever the device,
so that all learn the same.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.algorithms.painting.output import brush
from backend.algorithms.painting.patch_renderers import AnalyticRenderer
from backend.algorithms.painting.patch_scheme import BRUSHES, LEAST_RADIUS, SPREAD, UNIFORM
from backend.models.stroke_renderer import NUMBERS, SIDE
from backend.ops.strokes.brush import paint_with_brush
from backend.ops.strokes.codec import from_patch


def shapes(count: int, scheme: float, generator: torch.Generator) -> Tensor:
    """[N, 10]. scheme: share of strokes as the scheme begins them, opaque, as large and long as its passes have them, each pass as
    often as it has strokes; the others are uniform in all numbers, as was published."""
    anything = torch.rand(count, NUMBERS, generator=generator)
    level = torch.multinomial(torch.tensor(UNIFORM, dtype=torch.float32), count, replacement=True, generator=generator)
    largest = torch.tensor(BRUSHES)[level, None]
    spread = torch.tensor((*SPREAD, SPREAD[-1]))[level, None]
    place = torch.rand(count, 2, generator=generator).repeat(1, 2)
    ends = (place + spread * torch.randn(count, 4, generator=generator)).clamp(0, 1)
    radii = LEAST_RADIUS + (largest - LEAST_RADIUS) * torch.rand(count, 2, generator=generator)
    begun = torch.cat([ends[:, :2], anything[:, 2:4], ends[:, 2:], radii, torch.ones(count, 2)], dim=1)
    is_begun = torch.rand(count, 1, generator=generator) < scheme
    return torch.where(is_begun, begun, anything)


def alphas(shapes: Tensor, bristles: float) -> Tensor:
    """What strokes [N, 10] on the CPU cover of each pixel: [N, 128, 128], 0..1.

    bristles: 0 for smooth strokes, else how strongly the hairs of the brush show, up to 1; they are the same for every stroke.
    """
    count = len(shapes)
    numbers = torch.cat([shapes, torch.ones(count, 3)], dim=1)
    with torch.no_grad():
        if not bristles:
            kept = torch.ones(count, 1, dtype=torch.bool)
            return AnalyticRenderer().patches(numbers[:, None], kept, torch.zeros(count, SIDE, SIDE, 3))[..., 0]
        strokes = from_patch(numbers, (0.0, 0.0), SIDE)
        white, black = torch.ones(SIDE, SIDE, 3), torch.zeros(1, 3)  # hairs lighten any other colour
        left = [
            paint_with_brush(geometry[None], opacity[None], black, white, brush(bristles))[0][..., 0]
            for geometry, opacity in zip(strokes.geometry, strokes.opacity, strict=True)
        ]
        return 1 - torch.stack(left)
