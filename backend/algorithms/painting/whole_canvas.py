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
from backend.algorithms.painting.descent import Goal, descend, fitted, painted, settled, settled_ends
from backend.algorithms.painting.directions import Directions
from backend.algorithms.painting.groups import Group
from backend.algorithms.painting.leaks import cut_back
from backend.algorithms.painting.plan import Layer
from backend.algorithms.painting.scene import Scene, block_means
from backend.algorithms.painting.stroke_lists import chosen, exchanged, joined, scaled
from backend.algorithms.painting.undercoat import undercoated
from backend.ops.strokes.codec import Strokes
from backend.ops.strokes.removal import removal_cost

ROUNDS = 3  # of a layer's steps, with strokes moved elsewhere in between
MOVED = 0.1  # of the strokes after each round but the last
JOINT_SHARE = 0.5  # steps of all layers together, as a share of a layer's


@dataclass(frozen=True)
class Settings:
    """steps: of each layer. length, bend, flow, detail: see shared/catalog/paint.py."""

    steps: int
    length: float
    bend: float
    flow: float
    detail: float
    varies_opacity: bool = False
    two_colors: bool = False


Progress = Callable[[float, str, Callable[[], Tensor]], bool]  # share, stage and the painting; whether to go on


@dataclass(frozen=True)
class _Part:
    """Strokes of one layer of one group. rank: of the group in the painting order."""

    group: Group
    layer: Layer
    rank: int


@dataclass(frozen=True)
class _Laid:
    """Strokes, and for each the radius of its brush at full resolution, its highest opacity and its rank [N, 3]."""

    strokes: Strokes
    manner: Tensor

    def goal(self, scene: Scene, base: Tensor, settings: Settings, reduction: int = 1) -> Goal:
        brush_px, opacity = self.manner[:, 0] / reduction, self.manner[:, 1]
        return Goal(scene.picture, base, scene.segments, brush_px, opacity, settings.varies_opacity)


def paint(
    scene: Scene, groups: list[Group], settings: Settings, generator: torch.Generator, progress: Progress
) -> Strokes:
    """The strokes of the whole painting, at full resolution and in painting order."""
    made: list[_Laid] = []
    image = scene.canvas
    turns = _turns(groups)
    work = _Work(turns, settings)
    for number, parts in enumerate(turns):
        laid = _layer(scene, image, parts, settings, generator, work.observer(number, progress))
        strokes = cut_back(laid.strokes, scene.segments)
        strokes = replace(strokes, color=fitted(strokes, scene.picture, image))
        made.append(replace(laid, strokes=strokes))
        image = painted(strokes, image)
        if work.stopped:
            break
    del image  # of the size of the canvas, like everything that the next step needs
    laid = _in_order(made)
    strokes, goal = laid.strokes, laid.goal(scene, scene.canvas, settings)
    steps = 0 if work.stopped else work.joint_steps
    strokes = descend(strokes, goal, steps, work.observer(None, progress), rates=(0.3, 0.03)) if steps else strokes
    strokes = cut_back(strokes, scene.segments)
    strokes = undercoated(strokes, laid.manner, scene, generator)
    if settings.two_colors:
        return settled_ends(strokes, scene.picture, scene.canvas)
    return replace(strokes, color=settled(strokes, scene.picture, scene.canvas))


def _turns(groups: list[Group]) -> list[list[_Part]]:
    """What is worked out together: parts of one layer at one resolution, the largest brushes first."""
    parts = [_Part(group, layer, rank) for rank, group in enumerate(groups) for layer in group.layers]
    keys = sorted({(part.layer.number, -part.layer.reduction) for part in parts})
    return [[part for part in parts if (part.layer.number, -part.layer.reduction) == key] for key in keys]


def _in_order(made: list[_Laid]) -> _Laid:
    """All strokes by layer, and in a layer by the ranks of their groups."""
    strokes, manner = joined([laid.strokes for laid in made]), torch.cat([laid.manner for laid in made])
    order = torch.argsort(manner[:, 2], stable=True)
    order = order[torch.argsort(strokes.layer[order], stable=True)]
    return _Laid(chosen(strokes, order), manner[order])


def _layer(
    scene: Scene,
    image: Tensor,
    parts: list[_Part],
    settings: Settings,
    generator: torch.Generator,
    observe: descent.Observe,
) -> _Laid:
    """The strokes of one layer over the image as it is so far, worked out at the layer's resolution."""
    reduction = parts[0].layer.reduction
    small = scene.reduced(reduction)
    base = block_means(image, reduction)
    layings = [_laying(small, part, settings, generator) for part in parts]
    laid = _Laid(
        joined([lay(part.layer.count, base) for lay, part in zip(layings, parts, strict=True)]),
        torch.cat([_manner(part, base.device) for part in parts]),
    )
    goal = laid.goal(small, base, settings, reduction)
    strokes = laid.strokes
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
        strokes = _relocated(strokes, goal, [part.layer.count for part in parts], layings)
    return replace(laid, strokes=scaled(strokes, reduction))


Laying = Callable[[int, Tensor], Strokes]  # how many, and the painting so far


def _laying(small: Scene, part: _Part, settings: Settings, generator: torch.Generator) -> Laying:
    """How strokes of a part are laid where the painting differs most from a reduced scene."""
    radius = part.layer.radius_px / part.layer.reduction
    brush = laying.Brush(radius, settings.length, settings.bend, part.layer.number, part.group.opacity)
    directions = Directions.of(small.picture, radius, settings.flow)

    def laid(count: int, seen: Tensor) -> Strokes:
        weights = placement.attention((seen - small.picture).abs().sum(2), radius, settings.detail)
        weights = part.group.weighted(weights, small.segments.labels)
        places = placement.draw(weights, small.segments.labels, count, generator)
        return laying.lay(places, small.picture, directions, small.segments, brush, generator)

    return laid


def _manner(part: _Part, device: torch.device) -> Tensor:
    row = (part.layer.radius_px, part.group.opacity, float(part.rank))
    return torch.tensor(row, device=device).expand(part.layer.count, -1)


def _relocated(strokes: Strokes, goal: Goal, counts: list[int], layings: list[Laying]) -> Strokes:
    """The strokes with those of each part that earn least laid anew where the picture differs most in it."""
    moved = [int(MOVED * count) for count in counts]
    if not any(moved):
        return strokes
    cost = removal_cost(strokes.geometry, strokes.opacity, strokes.color, goal.base, goal.picture)
    image = painted(strokes, goal.base)
    first = 0
    for count, few, lay in zip(counts, moved, layings, strict=True):
        if few:
            least = first + torch.argsort(cost[first : first + count], stable=True)[:few]
            strokes = exchanged(strokes, least, lay(few, image))
        first += count
    return strokes


class _Work:
    """How the steps of the turns add up, by what each costs."""

    def __init__(self, turns: list[list[_Part]], settings: Settings) -> None:
        self.joint_steps = int(JOINT_SHARE * settings.steps)
        layers = [[part.layer for part in parts] for parts in turns]
        costs = [sum(layer.count * (8 + layer.radius_px / layer.reduction) ** 2 for layer in some) for some in layers]
        whole = sum(layer.count * (8 + layer.radius_px) ** 2 for some in layers for layer in some)
        self._costs = [cost * max(settings.steps, 1) for cost in costs] + [whole * self.joint_steps]
        self._settings = settings
        self._numbers = [some[0].number for some in layers]
        self.stopped = False

    def observer(self, turn: int | None, progress: Progress) -> descent.Observe:
        place = len(self._costs) - 1 if turn is None else turn
        before, here, total = sum(self._costs[:place]), self._costs[place], max(sum(self._costs), 1e-9)
        steps = max(self.joint_steps if turn is None else self._settings.steps, 1)
        stage = "bringing the layers together" if turn is None else f"painting layer {self._numbers[turn] + 1}"

        def observe(step: int, image: Callable[[], Tensor]) -> bool:
            goes_on = progress((before + here * (step + 1) / steps) / total, stage, image)
            self.stopped = self.stopped or not goes_on
            return goes_on

        return observe
