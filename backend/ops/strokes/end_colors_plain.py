"""Strokes with a colour at each end, with plain torch operations on any device: the form that the kernel must equal."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from backend.ops.strokes.compositing_plain import PIXELS, Batch, Scene
from backend.ops.strokes.constants import TILE
from backend.ops.strokes.curves import nearest


def paint(scene: Scene, end_color: Tensor) -> Tensor:
    """The painted image [H, W, 3]; the scene's colours are those of the starts."""
    image = scene.canvas.clone(memory_format=torch.contiguous_format)
    for batch in scene.batches():
        shares, places = _marks(batch)
        batch.scatter(_painted(batch, shares, _mixed(batch, places, scene.color, end_color), image), image)
    return image


def gatherer(scene: Scene) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """From colours [2 N, 3] (of the starts, then of the ends), ground and wanted to W^T (W colours + w0 ground - wanted)."""
    count = len(scene.color)

    def gather(colors: Tensor, ground: Tensor, wanted: Tensor) -> Tensor:
        made = torch.zeros_like(colors)
        for batch in scene.batches():
            shares, places = _marks(batch)
            mixed = _mixed(batch, places, colors[:count], colors[count:])
            left = (_painted(batch, shares, mixed, ground) - batch.gather(wanted)) * batch.valid[..., None]
            for step in reversed(range(batch.steps)):
                at = batch.at(step)
                shown = shares[at][..., None] * left[: len(at)]
                own, place = batch.stroke[at], places[at][..., None]
                made.index_add_(0, own, (shown * (1 - place)).sum(1))
                made.index_add_(0, count + own, (shown * place).sum(1))
                left[: len(at)] *= 1 - shares[at][..., None]
        return made

    return gather


def _marks(batch: Batch) -> tuple[Tensor, Tensor]:
    """Alpha and t* [P, PIXELS] of the pairs."""
    geometry, opacity = batch.shapes()
    inner = torch.arange(PIXELS, device=geometry.device)
    row, column = (inner // TILE + 0.5).to(geometry.dtype)[None], (inner % TILE + 0.5).to(geometry.dtype)[None]
    return batch.alphas(geometry, opacity), nearest(geometry, row, column)[0]


def _mixed(batch: Batch, places: Tensor, color: Tensor, end_color: Tensor) -> Tensor:
    """Colours [P, PIXELS, 3] of the pairs' strokes at t* [P, PIXELS]."""
    return torch.lerp(color[batch.stroke][:, None], end_color[batch.stroke][:, None], places[..., None])


def _painted(batch: Batch, shares: Tensor, mixed: Tensor, ground: Tensor) -> Tensor:
    """Tiles [T, PIXELS, 3] of the ground [H, W, 3] with the batch's strokes."""
    tiles = batch.gather(ground).clone()
    for step in range(batch.steps):
        at = batch.at(step)
        tiles[: len(at)].lerp_(mixed[at], shares[at][..., None])
    return tiles
