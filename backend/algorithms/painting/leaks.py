"""Strokes cut back to their segments: what reaches over the edge is shortened or made thinner, and what lies outside is found.

The rule is that of de Guevara et al. 2023, section 3.4: at least 98 % of a stroke's area and both of its ends lie in its segment.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from backend.algorithms.painting.plan import LEAST_RADIUS_PX
from backend.algorithms.painting.segments import Segments
from backend.algorithms.painting.stroke_lists import points_on
from backend.ops.strokes.codec import Strokes

INSIDE = 0.98
ON_CURVE = 17
THINNER = (1.0, 0.8, 0.6, 0.45, 0.33, 0.25, 0.15)  # radii that are tried, as shares of the stroke's
TOLERANCE_PX = 0.1


def cut_back(strokes: Strokes, segments: Segments) -> Strokes:
    """The strokes, each with the largest part of it that lies in its segment; what lies there already stays as it is."""
    if segments.count == 1 or not len(strokes):
        return strokes
    geometry = strokes.geometry
    points, radii = points_on(geometry, ON_CURVE)
    depth = segments.signed_depth(points, strokes.segment)
    best_area = torch.full_like(depth[:, 0], -1.0)
    first = last = torch.zeros_like(depth[:, 0], dtype=torch.int64)
    share = torch.ones_like(best_area)
    length = _length(points)
    for thinner in THINNER:
        start, end = _longest_run(depth >= thinner * radii - TOLERANCE_PX)
        radius = thinner * radii.mean(1)
        area = torch.where(end >= start, 2 * radius * length * (end - start) / (ON_CURVE - 1) + 3.0 * radius**2, -1.0)
        better = area > best_area * 1.02
        best_area = torch.where(better, area, best_area)
        first, last = torch.where(better, start, first), torch.where(better, end, last)
        share = torch.where(better, thinner, share)
    lost = best_area < 0  # outside, or in a segment that is thinner than any brush: a dot at its deepest point
    deepest = depth.argmax(1)
    first, last = torch.where(lost, deepest, first), torch.where(lost, deepest, last)
    cut = _part(geometry, first / (ON_CURVE - 1), last / (ON_CURVE - 1))
    cut[:, 6:] = (cut[:, 6:] * share[:, None]).clamp_min(LEAST_RADIUS_PX)
    cut[lost, 6:] = LEAST_RADIUS_PX
    return replace(strokes, geometry=cut)


def is_outside(strokes: Strokes, segments: Segments) -> Tensor:
    """Whether a stroke has no point in its segment [N]."""
    points, _ = points_on(strokes.geometry, ON_CURVE)
    return (segments.signed_depth(points, strokes.segment) < 0).all(1)


def _length(points: Tensor) -> Tensor:
    steps = torch.diff(points, dim=1).square().sum(2).sqrt()
    total = torch.zeros_like(steps[:, 0])
    for step in steps.unbind(1):  # in this order whatever the number of threads
        total = total + step
    return total


def _longest_run(inside: Tensor) -> tuple[Tensor, Tensor]:
    """First and last place of the longest run of True in each row [N, T]; 0 and -1 where there is none."""
    start = torch.zeros_like(inside[:, 0], dtype=torch.int64)
    best_start, best_end = start.clone(), start - 1
    for place in range(inside.shape[1]):
        start = torch.where(inside[:, place], start, place + 1)
        longer = place - start > best_end - best_start
        best_start, best_end = torch.where(longer, start, best_start), torch.where(longer, place, best_end)
    return best_start, best_end


def _part(geometry: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """The curves between two of their parameters [N] (de Casteljau)."""
    a, b = first[:, None].to(geometry), last[:, None].to(geometry)
    p0, p1, p2 = geometry[:, 0:2], geometry[:, 2:4], geometry[:, 4:6]

    def blossom(s: Tensor, t: Tensor) -> Tensor:
        return (1 - s) * (1 - t) * p0 + (s * (1 - t) + t * (1 - s)) * p1 + s * t * p2

    r0, r2 = geometry[:, 6:7], geometry[:, 7:8]
    return torch.cat([blossom(a, a), blossom(a, b), blossom(b, b), torch.lerp(r0, r2, a), torch.lerp(r0, r2, b)], dim=1)
