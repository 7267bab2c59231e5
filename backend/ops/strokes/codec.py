"""Strokes in pixels of a canvas, as columns of STROKES arrays (shared/strokes.py), and as de Guevara et al. 2023 number them.

In the columns x is a share of the height and y of the width, radii are shares of the longer side, and the control point lies
relative to the ends on each axis, c = p0 + (p2 - p0) p1. Where both ends have the same row or column, that says nothing of c: then
the end is moved by NUDGE_PX, which nobody sees, and the control point is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shared.strokes import COLUMNS, INDEX

NUDGE_PX = 1 / 256
END = slice(INDEX["red2"], INDEX["blue2"] + 1)
PATCH_PX = 128  # the canvas of de Guevara et al. 2023
PATCH_RADIUS_PX = (0.5, 32.0)  # their brush has the radius 0.5 + 32 r px there


@dataclass(frozen=True)
class Strokes:
    """Strokes in pixels, in painting order; float32 but for the two whole numbers."""

    geometry: Tensor  # [N, 8] row0, column0, row1, column1, row2, column2, radius0, radius2; px, control point absolute
    opacity: Tensor  # [N, 2] 0..1
    color: Tensor  # [N, 3] sRGB-encoded 0..1
    layer: Tensor  # [N] int32, 0 is painted first
    segment: Tensor  # [N] int32, -1: none
    end_color: Tensor | None = (
        None  # [N, 3] as color, which is then that of the start; None where every stroke has one colour
    )

    def __len__(self) -> int:
        return len(self.geometry)


def to_columns(strokes: Strokes, size: tuple[int, int]) -> Tensor:
    """float32 [N, 19] of strokes on a canvas (H, W) px; their order becomes the column `order`."""
    values = torch.zeros(len(strokes), len(COLUMNS), device=strokes.geometry.device)
    values[:, :6] = _relative(strokes.geometry[:, :6], size)
    values[:, 6:8] = strokes.geometry[:, 6:] / max(size)
    values[:, 8:10] = strokes.opacity
    values[:, 10:13] = strokes.color
    values[:, END] = strokes.color if strokes.end_color is None else strokes.end_color
    values[:, INDEX["layer"]] = strokes.layer.to(values)
    values[:, INDEX["segment"]] = strokes.segment.to(values)
    values[:, INDEX["order"]] = torch.arange(len(strokes), device=values.device).to(values)
    return values


def from_columns(values: Tensor, size: tuple[int, int]) -> Strokes:
    """The strokes of [N, 19] on a canvas (H, W) px, sorted by layer and in it by order; another size than they were painted at
    scales them."""
    order = torch.argsort(values[:, INDEX["order"]], stable=True)
    values = values[order[torch.argsort(values[order, INDEX["layer"]], stable=True)]]
    geometry = torch.cat((_absolute(values[:, :6], size), values[:, 6:8] * max(size)), 1)
    whole = values.round().int()
    color, end_color = values[:, 10:13].clone(), values[:, END].clone()
    return Strokes(
        geometry,
        values[:, 8:10].clone(),
        color,
        whole[:, INDEX["layer"]],
        whole[:, INDEX["segment"]],
        None if torch.equal(color, end_color) else end_color,
    )


def to_patch(strokes: Strokes, corner: tuple[float, float], side: float) -> Tensor:
    """The thirteen numbers [N, 13] of de Guevara et al. for a square patch of `side` px whose top left is at corner (row, column).

    Nothing is clipped: what lies outside the patch or is too thin or too thick for that brush leaves 0..1.
    """
    least, more = (px * side / PATCH_PX for px in PATCH_RADIUS_PX)
    shift = torch.tensor(corner, device=strokes.geometry.device, dtype=strokes.geometry.dtype).repeat(3)
    places = _relative(strokes.geometry[:, :6] - shift, (side, side))
    return torch.cat((places, (strokes.geometry[:, 6:] - least) / more, strokes.opacity, strokes.color), 1)


def from_patch(
    numbers: Tensor, corner: tuple[float, float], side: float, *, layer: int = 0, segment: int = -1
) -> Strokes:
    """The strokes of [N, 13] of such a patch on the canvas that it lies on."""
    least, more = (px * side / PATCH_PX for px in PATCH_RADIUS_PX)
    shift = torch.tensor(corner, device=numbers.device, dtype=numbers.dtype).repeat(3)
    geometry = torch.cat((_absolute(numbers[:, :6], (side, side)) + shift, least + more * numbers[:, 6:8]), 1)
    belongs = [
        torch.full((len(numbers),), value, dtype=torch.int32, device=numbers.device) for value in (layer, segment)
    ]
    return Strokes(geometry, numbers[:, 8:10].clone(), numbers[:, 10:13].clone(), *belongs)


def _relative(points: Tensor, size: tuple[float, float]) -> Tensor:
    """Absolute px [N, 6] -> shares [N, 6] with a relative control point, which is measured from the ends as they are stored."""
    sides = torch.tensor(size, device=points.device, dtype=torch.float64)
    start, control, end = points.detach().double().view(-1, 3, 2).unbind(1)
    gap = end - start
    lost = (gap.abs() < NUDGE_PX) & ((control - start).abs() > NUDGE_PX)
    end = torch.where(lost, start + torch.where(gap < 0, -NUDGE_PX, NUDGE_PX), end)
    start, end = ((point / sides).float() for point in (start, end))
    gap = end.double() - start.double()
    relative = (control / sides - start.double()) / torch.where(gap == 0, torch.ones_like(gap), gap)
    relative = torch.where(gap == 0, torch.full_like(gap, 0.5), relative)
    return torch.cat((start, relative.float(), end), 1)


def _absolute(shares: Tensor, size: tuple[float, float]) -> Tensor:
    """Shares [N, 6] with a relative control point -> absolute px [N, 6] float32."""
    sides = torch.tensor(size, device=shares.device, dtype=torch.float64)
    start, relative, end = shares.double().view(-1, 3, 2).unbind(1)
    control = start + (end - start) * relative
    return torch.cat((start * sides, control * sides, end * sides), 1).float()
