"""Strokes (backend/ops/strokes/codec.py) as lists: some of them, several lists as one, and points on their curves."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor

from backend.ops.strokes.codec import Strokes


def radius_of(strokes: Strokes) -> Tensor:
    """The larger of each stroke's two radii [N] px."""
    return strokes.geometry[:, 6:].amax(1)


def scaled(strokes: Strokes, factor: float) -> Strokes:
    """The same strokes on a canvas `factor` times as large."""
    return replace(strokes, geometry=strokes.geometry * factor)


def chosen(strokes: Strokes, which: Tensor) -> Strokes:
    """Some of the strokes, by their numbers or by True."""
    return Strokes(**{name: values[which] for name, values in _held(strokes).items()})


def joined(parts: list[Strokes]) -> Strokes:
    """Those of the first part, then those of the second, and so on; all have end colours, or none."""
    return Strokes(**{name: torch.cat([getattr(part, name) for part in parts]) for name in _held(parts[0])})


def exchanged(strokes: Strokes, which: Tensor, new: Strokes) -> Strokes:
    """The strokes with those of the numbers `which` [M] exchanged for `new` [M]; they keep their places in the painting order."""
    values = {name: held.clone() for name, held in _held(strokes).items()}
    for name, held in values.items():
        held[which] = getattr(new, name)
    return Strokes(**values)


def _held(strokes: Strokes) -> dict[str, Tensor]:
    """Its tensors by name."""
    values = {field.name: getattr(strokes, field.name) for field in fields(Strokes)}
    return {name: held for name, held in values.items() if held is not None}


def points_on(geometry: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Points on the curves [N, count, 2] and the radii there [N, count], evenly spaced in the curve's parameter."""
    t = torch.linspace(0, 1, count, dtype=geometry.dtype, device=geometry.device)[None, :, None]
    start, control, end = geometry[:, None, 0:2], geometry[:, None, 2:4], geometry[:, None, 4:6]
    points = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    return points, torch.lerp(geometry[:, 6:7], geometry[:, 7:8], t[..., 0])
