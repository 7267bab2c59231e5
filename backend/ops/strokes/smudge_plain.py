"""Paint pulled along by dry strokes, with plain torch operations on any device: the form that the kernel must equal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.ops.strokes import constants as c
from backend.ops.strokes.bristles import noise, step
from backend.ops.strokes.brush_plain import arc
from backend.ops.strokes.compositing_plain import PIXELS, Batch, Scene
from backend.ops.strokes.constants import TILE
from backend.ops.strokes.curves import nearest


def smudge(scene: Scene, height: Tensor, seed: Tensor, amount: float) -> tuple[Tensor, Tensor]:
    """The image [H, W, 3] and the paint's thickness [H, W]; the scene's canvas is the paint that is there, its strokes are dry.
    seed: int64 [N], 32 bits each."""
    before = torch.cat((scene.canvas, height[..., None]), 2)
    after = before.clone()
    for batch in scene.batches():
        traces, share, reach = _touched(batch, seed[batch.stroke], amount)
        pulled = _pulled(traces, before, reach)
        pulled[..., 3] *= 1 - c.GROOVE * share
        tiles = batch.gather(before)
        for number in range(batch.steps):
            at = batch.at(number)
            tiles[: len(at)].lerp_(pulled[at], share[at][..., None])
        batch.scatter(tiles, after)
    return after[..., :3].contiguous(), after[..., 3].contiguous()


@dataclass
class _Traces:
    """Where pixels lie under their strokes. geometry [P, 8] from the tile's corner on, corner [P, 2] px; t, and across and over,
    the way from the point at t to the pixel, across the stroke and along it, in radii [P, PIXELS]."""

    geometry: Tensor
    corner: Tensor
    t: Tensor
    across: Tensor
    over: Tensor

    def radius(self, t: Tensor) -> Tensor:
        taper = self.geometry[:, 7:8] - self.geometry[:, 6:7]
        return (self.geometry[:, 6:7] + taper * t).clamp_min(0.1)

    def heading(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Speed of the curve [P, PIXELS], and the unit vector along it: row and column."""
        ends = self.geometry[:, :6]
        rows, columns = (
            2 * ((ends[:, 2 + axis, None] - ends[:, axis, None]) * (1 - t)
                 + (ends[:, 4 + axis, None] - ends[:, 2 + axis, None]) * t)
            for axis in (0, 1)
        )  # fmt: skip
        speed = (rows.square() + columns.square() + 1e-9).sqrt()
        return speed, rows / speed, columns / speed

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column on the canvas of the places beside the curve's points at t."""
        _, down, right = self.heading(t)
        radius, ends = self.radius(t), self.geometry[:, :6]
        row, column = (
            (1 - t) ** 2 * ends[:, axis, None] + 2 * t * (1 - t) * ends[:, 2 + axis, None]
            + t**2 * ends[:, 4 + axis, None] + self.corner[:, axis, None]
            for axis in (0, 1)
        )  # fmt: skip
        return (
            row + radius * (self.over * down - self.across * right),
            column + radius * (self.over * right + self.across * down),
        )


def _touched(batch: Batch, seed: Tensor, amount: float) -> tuple[_Traces, Tensor, Tensor]:
    """Of the pairs: their pixels' traces, how much of the paint is pulled, 0..1, and how far, in px [P, PIXELS]."""
    geometry, opacity = batch.shapes()
    inner = torch.arange(PIXELS, device=geometry.device)
    row, column = (inner // TILE + 0.5).to(geometry.dtype)[None], (inner % TILE + 0.5).to(geometry.dtype)[None]
    t, shape = nearest(geometry, row, column)
    traces = _Traces(geometry, batch.corner[batch.tile].to(geometry.dtype), t, t, t)
    radius, (_, down, right) = traces.radius(t), traces.heading(t)
    traces.across = (shape.from_curve[1] * down - shape.from_curve[0] * right) / radius
    traces.over = (shape.from_curve[0] * down + shape.from_curve[1] * right) / radius
    width, side = geometry[:, 6:].amax(1, keepdim=True).clamp_min(0.1), float(max(batch.scene.canvas.shape[:2]))
    hairs = (c.FEWEST_HAIRS + c.HAIRS_PER_SHARE * width / side).clamp_max(c.MOST_HAIRS)
    x = 0.5 * traces.across * hairs
    y = (arc(geometry, t) + traces.over * radius) / (c.HAIR_LENGTH * width)
    own = seed[:, None]
    hair = step(0.6 * noise(x, 0.5 * y, own) + 0.4 * noise(2.3 * x + 31, y, own), 0.2, 0.8)
    soft = (0.4 * hairs / radius).clamp(0.2, 0.8)  # a hair that is no wider than a pixel does not end within it
    from_here = 1 - amount * (1 + soft)
    share = batch.alphas(geometry, opacity) * step(hair, from_here, from_here + soft)
    share = share * step(1 - shape.distance / radius, 0.0, c.DRY_EDGE)
    return traces, share, c.PULL * width * (0.3 + 0.7 * noise(0.6 * x + 57, 0 * y, own))


def _pulled(traces: _Traces, paint: Tensor, reach: Tensor) -> Tensor:
    """The paint [H, W, 4] behind the pixels [P, PIXELS, 4], as far back as `reach` [P, PIXELS] px."""
    total = paint.new_zeros(*reach.shape, paint.shape[2])
    t, weights = traces.t, 0.0
    for sample in range(1, c.PULL_SAMPLES + 1):
        t = (t - reach / c.PULL_SAMPLES / traces.heading(t)[0]).clamp_min(0.0)
        weight = math.exp(-c.PULL_FADING * sample / c.PULL_SAMPLES)
        total += weight * _between(paint, *traces.at(t))
        weights += weight
    return total / weights


def _between(paint: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """[..., C] of an image [H, W, C] at places in px, bilinear."""
    height, width = paint.shape[:2]
    row, column = (row - 0.5).clamp(0.0, height - 1.0), (column - 0.5).clamp(0.0, width - 1.0)
    top, left = row.long(), column.long()
    down, right = (row - top)[..., None], (column - left)[..., None]
    bottom, far = (top + 1).clamp_max(height - 1), (left + 1).clamp_max(width - 1)
    upper = torch.lerp(paint[top, left], paint[top, far], right)
    lower = torch.lerp(paint[bottom, left], paint[bottom, far], right)
    return torch.lerp(upper, lower, down)
