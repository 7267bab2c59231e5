"""Painting on the whole canvas: layer upon layer from the largest brush to the smallest, then all of them together.

Each layer goes where the picture still differs, along its directions, inside its segments. Half-way through its steps strokes that
earn least are moved to where most is left to do, as the discrete proposals of "Differentiable Stroke Planning" (arXiv
2604.02752) do for polylines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.algorithms.painting import descent, laying, placement
from backend.algorithms.painting.descent import Goal, descend, fitted, painted, settled
from backend.algorithms.painting.directions import Directions
from backend.algorithms.painting.leaks import cut_back
from backend.algorithms.painting.plan import Layer
from backend.algorithms.painting.scene import Scene, block_means
from backend.algorithms.painting.stroke_lists import exchanged, joined, scaled
from backend.ops.strokes.codec import Strokes
from backend.ops.strokes.removal import removal_cost

ROUNDS = 3  # of a layer's steps, with strokes moved elsewhere in between
MOVED = 0.1  # of the strokes after each round but the last
JOINT_SHARE = 0.5  # steps of all layers together, as a share of a layer's


@dataclass(frozen=True)
class Settings:
    """steps: of each layer. length, bend, detail: see shared/catalog/paint.py."""

    steps: int
    length: float
    bend: float
    detail: float
    varies_opacity: bool = False


Progress = Callable[[float, str, Callable[[], Tensor]], bool]  # share, stage and the painting; whether to go on


def paint(
    scene: Scene, layers: list[Layer], settings: Settings, generator: torch.Generator, progress: Progress
) -> Strokes:
    """The strokes of the whole painting, at full resolution and in painting order."""
    parts: list[Strokes] = []
    image = scene.canvas
    work = _Work(layers, settings)
    for layer in layers:
        strokes = _layer(scene, image, layer, settings, generator, work.observer(layer, progress))
        strokes = cut_back(strokes, scene.segments)
        strokes = replace(strokes, color=fitted(strokes, scene.picture, image))
        parts.append(strokes)
        image = painted(strokes, image)
        if work.stopped:
            break
    del image  # of the size of the canvas, like everything that the next step needs
    strokes = joined(parts)
    goal = Goal(scene.picture, scene.canvas, scene.segments, _brushes(strokes, layers), settings.varies_opacity)
    steps = 0 if work.stopped else work.joint_steps
    strokes = descend(strokes, goal, steps, work.observer(None, progress), rates=(0.3, 0.03)) if steps else strokes
    strokes = cut_back(strokes, scene.segments)
    return replace(strokes, color=settled(strokes, scene.picture, scene.canvas))


def _layer(
    scene: Scene, image: Tensor, layer: Layer, settings: Settings, generator: torch.Generator, observe: descent.Observe
) -> Strokes:
    """The strokes of one layer over the image as it is so far, worked out at the layer's resolution."""
    small = scene.reduced(layer.reduction)
    base = block_means(image, layer.reduction)
    radius = layer.radius_px / layer.reduction
    brush = laying.Brush(radius, settings.length, settings.bend, layer.number)
    directions = Directions.of(small.picture, radius)
    brushes = torch.full((layer.count,), radius, device=base.device)
    goal = Goal(small.picture, base, small.segments, brushes, settings.varies_opacity)

    def laid(count: int, seen: Tensor) -> Strokes:
        weights = placement.attention((seen - small.picture).abs().sum(2), radius, settings.detail)
        places = placement.draw(weights, small.segments.labels, count, generator)
        return laying.lay(places, small.picture, directions, small.segments, brush, generator)

    strokes = laid(layer.count, base)
    for turn in range(ROUNDS):
        first, last = (settings.steps * part // ROUNDS for part in (turn, turn + 1))
        rates = tuple(1 - (1 - descent.LAST_RATE) * step / max(settings.steps, 1) for step in (first, last))
        keeps_on = True

        def seen(step: int, picture: Callable[[], Tensor], first: int = first) -> bool:
            nonlocal keeps_on
            keeps_on = observe(first + step, picture)
            return keeps_on

        strokes = descend(strokes, goal, last - first, seen, rates=(rates[0], rates[1]))
        if not keeps_on or turn == ROUNDS - 1:
            break
        strokes = _relocated(strokes, goal, laid)
    return scaled(strokes, layer.reduction)


def _relocated(strokes: Strokes, goal: Goal, laid: Callable[[int, Tensor], Strokes]) -> Strokes:
    """The strokes with those that earn least laid anew where the picture differs most."""
    count = int(MOVED * len(strokes))
    if not count:
        return strokes
    cost = removal_cost(strokes.geometry, strokes.opacity, strokes.color, goal.base, goal.picture)
    least = torch.argsort(cost, stable=True)[:count]
    return exchanged(strokes, least, laid(count, painted(strokes, goal.base)))


def _brushes(strokes: Strokes, layers: list[Layer]) -> Tensor:
    """Radius of the brush of each stroke [N] px."""
    return torch.tensor([layer.radius_px for layer in layers], device=strokes.layer.device)[strokes.layer.long()]


class _Work:
    """How the steps of the layers add up, by what each costs."""

    def __init__(self, layers: list[Layer], settings: Settings) -> None:
        self.joint_steps = int(JOINT_SHARE * settings.steps)
        costs = [layer.count * (8 + layer.radius_px / layer.reduction) ** 2 for layer in layers]
        whole = sum(layer.count * (8 + layer.radius_px) ** 2 for layer in layers)
        self._costs = [cost * max(settings.steps, 1) for cost in costs] + [whole * self.joint_steps]
        self._settings = settings
        self._number = {layer.number: place for place, layer in enumerate(layers)}
        self.stopped = False

    def observer(self, layer: Layer | None, progress: Progress) -> descent.Observe:
        place = len(self._costs) - 1 if layer is None else self._number[layer.number]
        before, here, total = sum(self._costs[:place]), self._costs[place], max(sum(self._costs), 1e-9)
        steps = max(self.joint_steps if layer is None else self._settings.steps, 1)
        stage = "bringing the layers together" if layer is None else f"painting layer {layer.number + 1}"

        def observe(step: int, image: Callable[[], Tensor]) -> bool:
            goes_on = progress((before + here * (step + 1) / steps) / total, stage, image)
            self.stopped = self.stopped or not goes_on
            return goes_on

        return observe
