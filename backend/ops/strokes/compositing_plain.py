"""Painting strokes with plain torch operations on any device: the forms that the kernels must equal.

Tiles are taken in batches, the deepest first, and all strokes of the same depth at once. Nothing is kept for the way back but the
strokes: alphas are computed again, a bounded number of them at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from backend.ops.strokes.constants import TILE
from backend.ops.strokes.curves import alpha
from backend.ops.strokes.tiles import Pairs, pair_up

MOST_PAIRS = 2**12  # of tile and stroke at a time: autograd keeps some 60 numbers for each of their 2^20 pixels
PIXELS = TILE * TILE


@dataclass
class Scene:
    """Strokes, canvas and segments of one picture."""

    geometry: Tensor  # [N, 8]
    opacity: Tensor  # [N, 2]
    color: Tensor  # [N, 3]
    canvas: Tensor  # [H, W, 3]
    labels: Tensor | None  # [H, W]
    of_stroke: Tensor | None  # [N]
    clip: bool
    softness: float

    @cached_property
    def pairs(self) -> Pairs:
        return pair_up(self.geometry, (self.canvas.shape[0], self.canvas.shape[1]), self.softness)

    def batches(self) -> Iterator[Batch]:
        return (Batch(self, begin, end) for begin, end in self.pairs.chunks(MOST_PAIRS))


class Batch:
    """Some tiles of a scene, the deepest first: their pixels and their strokes."""

    def __init__(self, scene: Scene, begin: int, end: int) -> None:
        pairs, device = scene.pairs, scene.geometry.device
        self.scene = scene
        first = torch.tensor(pairs.first[begin : end + 1], device=device)
        self.depth = first.diff()  # [T] not rising
        self.steps = pairs.first[begin + 1] - pairs.first[begin]
        self.pairs = slice(pairs.first[begin], pairs.first[end])
        self.stroke = pairs.stroke[self.pairs]
        self.starts = first[:-1] - first[0]  # [T] where a tile's pairs begin in the batch
        # how many tiles have a stroke at each depth: they are the first ones
        self.count = (self.depth[None] > torch.arange(self.steps, device=device)[:, None]).sum(1).tolist()
        inner = torch.arange(PIXELS, device=device)
        height, width = scene.canvas.shape[:2]
        row, column = pairs.top[begin:end, None] + inner // TILE, pairs.left[begin:end, None] + inner % TILE
        self.valid = (row < height) & (column < width)  # [T, PIXELS]
        self.pixel = torch.where(self.valid, row * width + column, 0)
        self.corner = torch.stack((pairs.top[begin:end], pairs.left[begin:end]), 1)
        self.tile = torch.repeat_interleave(torch.arange(end - begin, device=device), self.depth)

    def gather(self, values: Tensor) -> Tensor:
        """[T, PIXELS, ...] of an image [H, W, ...]."""
        return values.flatten(0, 1)[self.pixel]

    def scatter(self, values: Tensor, image: Tensor) -> None:
        """Write [T, PIXELS, ...] to an image [H, W, ...]; pixels beyond the canvas are left out."""
        image.view(-1, *image.shape[2:])[self.pixel[self.valid]] = values[self.valid]

    def shapes(self) -> tuple[Tensor, Tensor]:
        """Geometry [P, 8], from the tile's corner on so that float32 suffices, and opacity [P, 2] of the pairs."""
        corner = self.corner[self.tile].to(self.scene.geometry.dtype)
        shift = torch.cat((corner.repeat(1, 3), torch.zeros_like(corner)), 1)
        return self.scene.geometry[self.stroke] - shift, self.scene.opacity[self.stroke]

    def alphas(self, geometry: Tensor, opacity: Tensor) -> Tensor:
        """[P, PIXELS]; 0 outside the canvas."""
        inner = torch.arange(PIXELS, device=geometry.device)
        row, column = (inner // TILE + 0.5).to(geometry.dtype), (inner % TILE + 0.5).to(geometry.dtype)
        return alpha(geometry, opacity, row[None], column[None], self.scene.softness) * self.valid[self.tile]

    def outside(self) -> Tensor | None:
        """[P, PIXELS] whether a pixel is not of the pair's stroke's segment; None where there are no segments."""
        if self.scene.labels is None or self.scene.of_stroke is None:
            return None
        segment = self.scene.of_stroke[self.stroke][:, None]
        return (self.gather(self.scene.labels)[self.tile] != segment) & (segment >= 0)

    def at(self, step: int) -> Tensor:
        """Where the pairs of one depth stand in the batch, one of each tile that is so deep."""
        return self.starts[: self.count[step]] + step


def paint(scene: Scene) -> tuple[Tensor, Tensor]:
    """The painted image [H, W, 3] and the leak, a scalar."""
    image = scene.canvas.clone(memory_format=torch.contiguous_format)
    leaks = []
    with torch.no_grad():
        for batch in scene.batches():
            shares = batch.alphas(*batch.shapes())
            outside = batch.outside()
            if outside is not None and scene.clip:
                shares = shares * ~outside
            elif outside is not None:
                leaks.append((shares * outside).sum(dtype=torch.float64))
            color = scene.color[batch.stroke]
            tiles = batch.gather(scene.canvas)
            for step in range(batch.steps):
                at = batch.at(step)
                tiles[: len(at)].lerp_(color[at][:, None], shares[at][..., None])
            batch.scatter(tiles, image)
    return image, torch.stack(leaks).sum().to(image.dtype) if leaks else image.new_zeros(())


def gradients(
    scene: Scene, image: Tensor, leak: Tensor, *, shapes: bool = True
) -> tuple[Tensor | None, Tensor | None, Tensor]:
    """dL/dgeometry, dL/dopacity (None without `shapes`) and dL/dcolor of dL/dimage [H, W, 3] and dL/dleak."""
    made = scene.geometry.new_zeros(len(scene.pairs.stroke), 13)
    for batch in scene.batches():
        geometry, opacity = batch.shapes()
        with torch.set_grad_enabled(shapes):
            geometry.requires_grad_(shapes)
            opacity.requires_grad_(shapes)
            shares = batch.alphas(geometry, opacity)
            outside = batch.outside()
            if outside is not None and scene.clip:
                shares = shares * ~outside
        by_share, by_color = _backward(batch, shares.detach(), batch.gather(image))
        if outside is not None and not scene.clip:
            by_share += leak * outside
        if shapes:
            found = torch.autograd.grad(shares, (geometry, opacity), by_share)
            made[batch.pairs, :10] = torch.cat(found, 1)
        made[batch.pairs, 10:] = by_color
    summed = torch.segment_reduce(made[scene.pairs.by_stroke], "sum", lengths=scene.pairs.per_stroke, axis=0)
    return (summed[:, :8] if shapes else None), (summed[:, 8:10] if shapes else None), summed[:, 10:]


def _backward(batch: Batch, shares: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """dL/dalpha [P, PIXELS] and dL/dcolor [P, 3] from dL/dimage [T, PIXELS, 3]."""
    color = batch.scene.color[batch.stroke]
    before = before_each(batch, shares)
    by_share, by_color = torch.empty_like(shares), torch.empty_like(color)
    for step in reversed(range(batch.steps)):
        at = batch.at(step)
        some = wanted[: len(at)]
        by_share[at] = (some * (color[at][:, None] - before[at])).sum(2)
        by_color[at] = (some * shares[at][..., None]).sum(1)
        some *= 1 - shares[at][..., None]
    return by_share, by_color


def before_each(batch: Batch, shares: Tensor) -> Tensor:
    """[P, PIXELS, 3] what was on the canvas before each pair's stroke."""
    color = batch.scene.color[batch.stroke]
    before = shares.new_empty(*shares.shape, 3)
    tiles = batch.gather(batch.scene.canvas)
    for step in range(batch.steps):
        at = batch.at(step)
        before[at] = tiles[: len(at)]
        tiles[: len(at)].lerp_(color[at][:, None], shares[at][..., None])
    return before


def removal_costs(scene: Scene, error: Tensor, weight: Tensor) -> Tensor:
    """[N] of the finished painting's error [H, W, 3] and the pixels' weight [H, W]."""
    made = scene.geometry.new_zeros(len(scene.pairs.stroke))
    for batch in scene.batches():
        shares = batch.alphas(*batch.shapes())
        outside = batch.outside()
        if outside is not None and scene.clip:
            shares = shares * ~outside
        color, before = scene.color[batch.stroke], before_each(batch, shares)
        errors, weights = batch.gather(error), batch.gather(weight)
        shown = torch.ones_like(weights)
        costs = torch.empty_like(color[:, 0])
        for step in reversed(range(batch.steps)):
            at = batch.at(step)
            some = slice(len(at))
            change = (shown[some] * shares[at])[..., None] * (before[at] - color[at][:, None])
            costs[at] = ((change * (change + 2 * errors[some])).sum(2) * weights[some]).sum(1)
            shown[some] *= 1 - shares[at]
        made[batch.pairs] = costs
    return torch.segment_reduce(made[scene.pairs.by_stroke], "sum", lengths=scene.pairs.per_stroke)
