"""Strokes brought closer to the picture by gradient descent on their shapes, with colours by least squares in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.algorithms.painting.segments import Segments
from backend.algorithms.painting.stroke_lists import points_on, radius_of
from backend.ops.adam import Adam
from backend.ops.strokes.codec import Strokes
from backend.ops.strokes.color_fit import color_fit
from backend.ops.strokes.compositing import composite
from backend.ops.strokes.end_colors import composite_along, end_color_fit

ABSOLUTE = 0.02  # weight of the absolute error beside half the squared one
EDGES = 0.25  # weight of the squared error of differences between neighbours
SOFT = 0.02  # below this an absolute error counts as a squared one
LEAK = 4.0  # squared error per pixel that a stroke gains for each pixel that it reaches beyond its segment
POINT_RATE, RADIUS_RATE, OPACITY_RATE = 0.08, 0.04, 0.02  # per step: of the radius, of the radius, and of full opacity
LAST_RATE = 0.15  # share of the rates that is left at the end
FIT_EVERY = 20
THINNEST, WIDEST = 0.3, 1.6  # radii that a stroke may take, in radii of its brush
ON_CURVE = 5  # points of a stroke that are held to its segment, and that say its colour
SETTLING, HELD_PX = (
    10,
    4.0,
)  # steps of the last fit of colours, and pixels that the picture's own colours count as in it


@dataclass(frozen=True)
class Goal:
    """picture, base [H, W, 3] encoded: what is painted, and what lies below the strokes. brush_px: radius of the brush that
    each stroke is painted with [N]. opacity: of its paint at most [N]."""

    picture: Tensor
    base: Tensor
    segments: Segments
    brush_px: Tensor
    opacity: Tensor
    varies_opacity: bool = False


Observe = Callable[[int, Callable[[], Tensor]], bool]  # step and image; whether to go on


def descend(
    strokes: Strokes, goal: Goal, steps: int, observe: Observe, *, rates: tuple[float, float] = (1.0, LAST_RATE)
) -> Strokes:
    """The strokes after `steps` steps, whose sizes go from the first of the rates to the last."""
    geometry, opacity = strokes.geometry.clone(), strokes.opacity.clone()
    color = fitted(strokes, goal.picture, goal.base)
    low = torch.minimum(THINNEST * goal.brush_px, strokes.geometry[:, 6:].amin(1))[:, None]
    high = torch.maximum(WIDEST * goal.brush_px, radius_of(strokes))[:, None]
    unit = radius_of(strokes).clamp_min(1.0)[:, None]
    unit = torch.cat([POINT_RATE * unit.expand(-1, 6), RADIUS_RATE * unit.expand(-1, 2)], dim=1)
    in_units = geometry / unit
    moments, opacity_moments = Adam([in_units], decay=(0.9, 0.99)), Adam([opacity], decay=(0.9, 0.99))
    for step in range(steps):
        geometry.requires_grad_(True)
        opacity.requires_grad_(goal.varies_opacity)
        image = composite(geometry, opacity, color, goal.base)
        image.backward(gradient(image.detach() - goal.picture))
        slope = geometry.grad
        assert slope is not None
        geometry, seen = geometry.detach(), image.detach()
        del image
        slope = slope + leak_gradient(geometry, strokes.segment, goal.segments)
        size = rates[0] + (rates[1] - rates[0]) * step / max(steps, 1)
        moments.step([in_units], [-slope * unit], size)
        geometry = in_units * unit
        geometry[:, 6:] = torch.clamp(geometry[:, 6:], min=low, max=high)
        in_units = geometry / unit
        if goal.varies_opacity:
            thinner = opacity.grad
            assert thinner is not None
            opacity = opacity.detach()
            opacity_moments.step([opacity], [-thinner], OPACITY_RATE * size)
            opacity = torch.minimum(opacity.clamp_min(0.0), goal.opacity[:, None])
        if (step + 1) % FIT_EVERY == 0:
            color = fitted(replace(strokes, geometry=geometry, opacity=opacity, color=color), goal.picture, goal.base)
        goes_on = observe(step, lambda seen=seen: seen)
        del seen
        if not goes_on:
            break
    strokes = replace(strokes, geometry=geometry, opacity=opacity.detach(), color=color)
    return replace(strokes, color=fitted(strokes, goal.picture, goal.base))


def fitted(strokes: Strokes, picture: Tensor, base: Tensor) -> Tensor:
    """The colours [N, 3] under which the strokes on their base come closest to the picture."""
    return color_fit(strokes.geometry, strokes.opacity, strokes.color, base, picture)


def settled(strokes: Strokes, picture: Tensor, base: Tensor) -> Tensor:
    """As fitted(), from the colours of the picture along the strokes and held to them by HELD_PX pixels.

    A stroke that hardly shows would take any colour for the sake of a few pixels, which is seen where bristles let it through.
    """
    points, _ = points_on(strokes.geometry, ON_CURVE)
    height, width = picture.shape[:2]
    rows, columns = points[..., 0].long().clamp(0, height - 1), points[..., 1].long().clamp(0, width - 1)
    start = picture[rows, columns].mean(1)
    return color_fit(strokes.geometry, strokes.opacity, start, base, picture, steps=SETTLING, keep=HELD_PX)


def settled_ends(strokes: Strokes, picture: Tensor, base: Tensor) -> Strokes:
    """The strokes with a colour at each end, both as in settled()."""
    color = settled(strokes, picture, base)
    color, end_color = end_color_fit(strokes.geometry, strokes.opacity, color, base, picture, keep=HELD_PX)
    return replace(strokes, color=color, end_color=end_color)


def painted(strokes: Strokes, base: Tensor) -> Tensor:
    """The strokes on their base [H, W, 3]."""
    if strokes.end_color is not None:
        return composite_along(strokes.geometry, strokes.opacity, strokes.color, strokes.end_color, base)
    with torch.no_grad():
        return composite(strokes.geometry, strokes.opacity, strokes.color, base)


def gradient(error: Tensor) -> Tensor:
    """Of the loss by the painting [H, W, 3]: squared and absolute error, and the squared error of neighbours' differences."""
    slope = error.square().add_(SOFT * SOFT).rsqrt_().mul_(ABSOLUTE).add_(1).mul_(error)
    for axis in (0, 1):
        step = EDGES * torch.diff(error, dim=axis)
        slope.narrow(axis, 1, step.shape[axis]).add_(step)
        slope.narrow(axis, 0, step.shape[axis]).sub_(step)
    return slope


def leak_gradient(geometry: Tensor, segment: Tensor, segments: Segments) -> Tensor:
    """Of the penalty for strokes that reach out of their segments, by their geometry [N, 8].

    At ON_CURVE points of each curve the radius may not be larger than the depth below the segment's edge.
    """
    if segments.count == 1:
        return torch.zeros_like(geometry)
    geometry = geometry.detach().requires_grad_(True)
    points, radii = points_on(geometry, ON_CURVE)
    beyond = radii - segments.signed_depth(points, segment)
    penalty = LEAK * 0.5 * beyond.clamp_min(0).square() * radii.detach()
    (slope,) = torch.autograd.grad(penalty, geometry, torch.ones_like(penalty))
    return slope
