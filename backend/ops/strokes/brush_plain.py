"""Strokes painted with a brush, with plain torch operations on any device: the form that the kernel must equal."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.hashing import mix32
from backend.ops.strokes.bristles import mark
from backend.ops.strokes.compositing_plain import PIXELS, Batch, Scene
from backend.ops.strokes.constants import TILE
from backend.ops.strokes.curves import nearest


def seeds(count: int, seed: int, device: torch.device) -> Tensor:
    """int64 [N], 32 bits for each stroke."""
    place = torch.arange(count, device=device)
    return mix32((mix32(place) + seed) & 0xFFFF_FFFF)


def paint(scene: Scene, ends: Tensor, bristles: float, dryness: float, seed: int) -> tuple[Tensor, Tensor]:
    """The painting [H, W, 3] and the paint's thickness [H, W]. ends: colours [N, 3] of the strokes' ends."""
    image = scene.canvas.clone(memory_format=torch.contiguous_format)
    height = image.new_zeros(image.shape[:2])
    own = seeds(len(scene.geometry), seed, scene.geometry.device)
    for batch in scene.batches():
        shares, t, light, thick, pressed = _marks(batch, own[batch.stroke], bristles, dryness)
        color = torch.lerp(scene.color[batch.stroke][:, None], ends[batch.stroke][:, None], t[..., None])
        color = color * light[..., None]
        tiles, heights = batch.gather(scene.canvas), batch.gather(height)
        for step in range(batch.steps):
            at = batch.at(step)
            some, share = slice(len(at)), shares[at]
            tiles[some].lerp_(color[at].clamp(0.0, 1.0), share[..., None])
            heights[some] += share * (thick[at] - pressed[at] * heights[some])
        batch.scatter(tiles, image)
        batch.scatter(heights, height)
    return image, height


def _marks(
    batch: Batch, seed: Tensor, bristles: float, dryness: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Alpha, t*, lightness, thickness and pressure [P, PIXELS] of the pairs."""
    geometry, opacity = batch.shapes()
    shares = batch.alphas(geometry, opacity)
    outside = batch.outside()
    if outside is not None and batch.scene.clip:
        shares = shares * ~outside
    inner = torch.arange(PIXELS, device=geometry.device)
    row, column = (inner // TILE + 0.5).to(geometry.dtype)[None], (inner % TILE + 0.5).to(geometry.dtype)[None]
    t, shape = nearest(geometry, row, column)
    speed = shape.fast.sqrt()
    tangent = shape.speed / speed
    radius = (geometry[:, 6:7] + (geometry[:, 7:8] - geometry[:, 6:7]) * t).clamp_min(0.1)
    across = (shape.from_curve[1] * tangent[0] - shape.from_curve[0] * tangent[1]) / radius
    along = arc(geometry, t) + (shape.from_curve * tangent).sum(0)
    length, width = arc(geometry, torch.ones_like(t[:, :1])), geometry[:, 6:].amax(1, keepdim=True).clamp_min(0.1)
    side = float(max(batch.scene.canvas.shape[:2]))
    out = shape.distance / radius
    opaque, light, thick, pressed = mark(
        along, across, out, radius, length, width, side, seed[:, None], bristles, dryness
    )
    return shares * opaque, t, light, thick, pressed


def arc(geometry: Tensor, t: Tensor) -> Tensor:
    """About the curve's length [P, Q] from its start to t, in px, by Simpson's rule."""
    points = geometry[:, :6].reshape(-1, 3, 2)
    first, turn = 2 * (points[:, 1] - points[:, 0]), 2 * (points[:, 0] - 2 * points[:, 1] + points[:, 2])

    def speed(at: Tensor) -> Tensor:
        return torch.hypot(first[:, :1] + turn[:, :1] * at, first[:, 1:] + turn[:, 1:] * at)

    return t / 6 * (speed(torch.zeros_like(t)) + 4 * speed(t / 2) + speed(t))
