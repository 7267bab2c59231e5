"""The shape of a brush stroke: how much of a pixel a disc covers that is swept along a quadratic Bezier curve.

The disc's radius runs linearly from one end to the other. With B(t) the curve and r(t) the radius, a pixel lies at the distance
d = min over t of |x - B(t)| - r(t) from the edge, at t*. Its alpha is opacity(t*) times the share of the pixel's square that
a straight edge at d with that normal cuts off, exactly; a bent edge takes the arc over its chord besides, and a stroke that is
thinner than a pixel loses what lies beyond its other edge. Against 64 x 64 samples per pixel the error is below
0.02 from a radius of 1.5 px on, where a stroke does not bend more tightly than its own radius: there two edges share a pixel.

Plain torch on any device, differentiable by autograd in either float type: t* is found without gradient, then one step of Newton's
method with a gradient carries its derivative, as the implicit function theorem has it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.strokes.constants import (
    CHORDS,
    FLATNESS_PX,
    LEAST_BEND,
    NEWTON_STEPS,
    SAGITTA,
    TAPER_CHORDS,
)

_TINY = 1e-12


def coverage(
    geometry: Tensor,  # [N, 8] px
    opacity: Tensor,  # [N, 2] 0..1
    size: tuple[int, int],
    *,
    softness: float = 1.0,
) -> Tensor:
    """Alpha [N, H, W] of each stroke by itself on a canvas of `size` (H, W) px.

    softness: width of the edge in px, 1 for that of a pixel's square; a soft brush has a wider one. For a few strokes or a
    small canvas: nothing is skipped.
    """
    rows = torch.arange(size[0], device=geometry.device, dtype=geometry.dtype) + 0.5
    columns = torch.arange(size[1], device=geometry.device, dtype=geometry.dtype) + 0.5
    row, column = (grid.flatten()[None] for grid in torch.meshgrid(rows, columns, indexing="ij"))
    return alpha(geometry, opacity, row, column, softness).view(len(geometry), *size)


def alpha(geometry: Tensor, opacity: Tensor, row: Tensor, column: Tensor, softness: float) -> Tensor:
    """Alpha [N, Q] of strokes [N, 8], [N, 2] at pixels whose centres are row, column [N or 1, Q]."""
    t, shape = nearest(geometry, row, column)
    r0, r2 = geometry[:, 6:7], geometry[:, 7:8]
    radius = r0 + (r2 - r0) * t
    low, high = _extent(shape)
    bent = _curvature(t, shape, softness)
    near = half_plane((shape.distance - radius) / softness, low, high, bent)
    far = half_plane((shape.distance + radius) / softness, low, high)
    return (opacity[:, :1] + (opacity[:, 1:] - opacity[:, :1]) * t) * (near - far).clamp(0.0, 1.0)


def half_plane(distance: Tensor, low: Tensor, high: Tensor, bent: Tensor | float = 0.0) -> Tensor:
    """Share of a unit square on the inner side of an edge that passes `distance` outside its centre, or, negative, inside.

    low, high: the smaller and the larger of the edge's normal's absolute components. Seen along the normal the square is a
    trapezoid as wide as both together. bent: the edge's curvature, positive where the inside is convex: a chord of length l
    loses an arc of area curvature l^3 / 24.
    """
    half = (high + low) / 2
    out = torch.minimum(distance.abs(), half)
    tail = 0.5 - out / high + (out - (high - low) / 2).clamp_min(0.0).square() / (2 * high * low)
    tail = torch.where(out < half, tail, torch.zeros_like(tail))  # exactly
    chord = torch.minimum(1 / high, (half - out) / (high * low))
    return torch.where(distance > 0, tail, 1 - tail) - bent * SAGITTA * chord**3


class _Shape:
    """Where a pixel lies to its nearest point, all [N, Q] or [2, N, Q] (row, column)."""

    def __init__(self, geometry: Tensor, row: Tensor, column: Tensor, t: Tensor) -> None:
        ends = geometry[:, :6].T.reshape(3, 2, -1, 1)  # point, axis, stroke
        first, second = ends[1] - ends[0], ends[2] - ends[1]
        self.speed = 2 * (first + (second - first) * t)  # B'
        self.turn = 2 * (second - first)  # B''
        at = torch.stack(torch.broadcast_tensors(row, column))
        self.from_curve = (at - ends[0]) - t * (2 * first + t * (second - first))
        self.distance = (self.from_curve.square().sum(0) + _TINY).sqrt()
        taper = geometry[:, 7:8] - geometry[:, 6:7]
        # d/dt of the distance to the edge, times the distance to the curve, and its derivative where it is 0
        self.slope = -(self.from_curve * self.speed).sum(0) - taper * self.distance
        self.inward = (self.from_curve * self.turn).sum(0)
        fast = self.speed.square().sum(0)
        self.fast = fast + 1e-9
        self.stiffness = torch.maximum(fast - taper.square() - self.inward, LEAST_BEND * self.fast)


def nearest(geometry: Tensor, row: Tensor, column: Tensor) -> tuple[Tensor, _Shape]:
    """t* [N, Q] in 0..1 with its derivative, and where the pixel lies to that point."""
    with torch.no_grad():
        t = _nearest_on_chords(geometry, row, column)
        for _ in range(NEWTON_STEPS):
            shape = _Shape(geometry, row, column, t)
            t = (t - shape.slope / shape.stiffness).clamp(0.0, 1.0)
    shape = _Shape(geometry, row, column, t)
    if torch.is_grad_enabled() and geometry.requires_grad:
        inside = (t > 0) & (t < 1)
        t = torch.where(inside, t - (shape.slope - shape.slope.detach()) / shape.stiffness.detach(), t)
        shape = _Shape(geometry, row, column, t)
    return t, shape


def _nearest_on_chords(geometry: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """About where along the curve the edge is nearest: on the polygon of its chords."""
    count = _chords(geometry)
    t = torch.arange(CHORDS + 1, device=geometry.device).minimum(count) / count  # [N, CHORDS + 1], the rest at the end
    t = t.to(geometry.dtype)[:, :, None]
    ends = geometry[:, :6].reshape(-1, 3, 2)
    corners = ends[:, :1] * (1 - t) ** 2 + ends[:, 1:2] * 2 * t * (1 - t) + ends[:, 2:] * t**2
    thick = geometry[:, 7:8] > geometry[:, 6:7]  # the end that may be nearest although a point on the way there is not
    at = thick.to(geometry.dtype) + torch.zeros_like(row + column)
    end = torch.where(thick, ends[:, 2], ends[:, 0])
    best = torch.hypot(row - end[:, :1], column - end[:, 1:]) - geometry[:, 6:].amax(1, keepdim=True)
    for k in range(int(count.max()) if len(geometry) else 0):
        start, along = corners[:, k], corners[:, k + 1] - corners[:, k]
        y, x = row - start[:, :1], column - start[:, 1:]
        share = (y * along[:, :1] + x * along[:, 1:]) / (along.square().sum(1, keepdim=True) + _TINY)
        share = share.clamp(0.0, 1.0)
        place = ((k + share) / count).clamp_max(1.0)
        away = torch.hypot(y - share * along[:, :1], x - share * along[:, 1:])
        away = away - (geometry[:, 6:7] + (geometry[:, 7:8] - geometry[:, 6:7]) * place)
        at = torch.where(away < best, place, at)
        best = torch.minimum(away, best)
    return at


def _chords(geometry: Tensor) -> Tensor:
    """[N, 1] how many chords stand for each curve."""
    points = geometry[:, :6].reshape(-1, 3, 2)
    arch = (points[:, 0] - 2 * points[:, 1] + points[:, 2]).norm(dim=1)
    grows = (geometry[:, 7] - geometry[:, 6]).abs() / ((points[:, 2] - points[:, 0]).norm(dim=1) + _TINY)
    return (arch / (4 * FLATNESS_PX)).sqrt().maximum(TAPER_CHORDS * grows).clamp(1, CHORDS).ceil()[:, None]


def _extent(shape: _Shape) -> tuple[Tensor, Tensor]:
    """The smaller and the larger absolute component of the edge's normal; on the curve itself it is square to the curve."""
    across = (shape.speed / shape.fast.sqrt()).abs().flip(0)
    extent = torch.where(shape.distance < 1e-4, across, (shape.from_curve / shape.distance).abs())
    return extent.amin(0).clamp_min(1e-3), extent.amax(0).clamp_min(0.5)  # a dot has neither


def _curvature(t: Tensor, shape: _Shape, softness: float) -> Tensor:
    """The curvature of the edge at a pixel, in 1 / (width of the edge).

    Along the body it is -w B'' / (stiffness |w|), w the way from the curve to the pixel; round an end it is 1 / |w|. At the end a
    pixel's width goes from the one to the other; a curve that is shorter than that is a dot.
    """
    speed = shape.fast.sqrt()
    body = (-shape.inward / shape.stiffness).clamp(-1.0, 1.0)
    past = torch.where(t <= 0, shape.slope, torch.where(t >= 1, -shape.slope, -torch.minimum(t, 1 - t) * shape.fast))
    round_end = (0.5 + past / speed + (0.5 - speed).clamp_min(0.0)).clamp(0.0, 1.0)
    return (body + (1 - body) * round_end) / (shape.distance / softness).clamp_min(0.5)
