"""Strokes laid down at their places: along the picture's directions, as long as those are clear, inside their segments."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.algorithms.painting.directions import Directions
from backend.algorithms.painting.plan import LEAST_RADIUS_PX
from backend.algorithms.painting.segments import Segments
from backend.ops.strokes.codec import Strokes

TRACE_STEPS = 6  # to each side of the place
ROOM = 0.75  # radius of a stroke as a share of its depth: one as wide as its segment could go nowhere


@dataclass(frozen=True)
class Brush:
    """radius_px: of a stroke. length: longest stroke in widths. bend: how far strokes are bent, 0 to 1. layer: its number.
    opacity: of the strokes."""

    radius_px: float
    length: float
    bend: float
    layer: int
    opacity: float = 1.0


def lay(
    places: Tensor,
    picture: Tensor,
    directions: Directions,
    segments: Segments,
    brush: Brush,
    generator: torch.Generator,
) -> Strokes:
    """Strokes [N] at places [N, 2] px in the colours of the picture [H, W, 3]."""
    segment = segments.labels[tuple(places.long().unbind(1))]
    places = segments.inward(places, torch.full_like(places[:, 0], brush.radius_px / ROOM))
    pixel = tuple(places.long().unbind(1))
    deep = segments.depth_px[pixel]
    radius = (ROOM * deep).clamp(LEAST_RADIUS_PX, brush.radius_px)
    reach = radius * (1 + (brush.length - 1) * directions.coherence[pixel])
    random = torch.randn(len(places), 2, generator=generator).to(places)
    along = _turned(directions.along[pixel], directions.coherence[pixel], random[:, 0])
    start = _trace(places, -along, reach, directions, segments, segment, radius)
    end = _trace(places, along, reach, directions, segments, segment, radius)
    control = 2 * places - 0.5 * (start + end)  # so that the stroke passes through its place
    chord = end - start
    sideways = torch.stack([-chord[:, 1], chord[:, 0]], dim=1)
    control = control + 0.5 * brush.bend * random[:, 1:].clamp(-2, 2) * sideways
    count = len(places)
    return Strokes(
        geometry=torch.cat([start, control, end, radius[:, None], radius[:, None]], dim=1),
        opacity=torch.full((count, 2), brush.opacity, device=places.device),
        color=picture[pixel].clone(),
        layer=torch.full((count,), brush.layer, dtype=torch.int32, device=places.device),
        segment=segment.int(),
    )


def _turned(along: Tensor, coherence: Tensor, random: Tensor) -> Tensor:
    """Directions turned at random, the more the less clear they are."""
    angle = torch.atan2(along[:, 1], along[:, 0]) + (1 - coherence).square() * random
    return torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)


def _trace(
    places: Tensor,
    heading: Tensor,
    reach: Tensor,
    directions: Directions,
    segments: Segments,
    segment: Tensor,
    radius: Tensor,
) -> Tensor:
    """Where a walk along the directions ends that goes `reach` [N] px far, or to where the brush would leave its segment."""
    at, going = places, torch.ones_like(reach, dtype=torch.bool)
    height, width = segments.labels.shape
    for _ in range(TRACE_STEPS):
        ahead = at + heading * (reach / TRACE_STEPS)[:, None]
        depth = segments.signed_depth(ahead[:, None], segment)[:, 0]
        inside = (ahead[:, 0] >= 0) & (ahead[:, 0] < height) & (ahead[:, 1] >= 0) & (ahead[:, 1] < width)
        going = going & inside & (depth >= radius - 0.25)
        at = torch.where(going[:, None], ahead, at)
        pixel = tuple(at.long().unbind(1))
        found, clear = directions.along[pixel], directions.coherence[pixel][:, None]
        found = torch.where((found * heading).sum(1, keepdim=True) < 0, -found, found)
        heading = torch.nn.functional.normalize(torch.lerp(heading, found, clear), dim=1)
    return at
