"""Which segments are painted with which brushes, and with how many strokes: one plan for all, or plans of their own for some.

A group without a number of strokes of its own gets the part of the rest that its detail deserves, as places for strokes are drawn
(placement.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.painting import placement
from backend.algorithms.painting.plan import Layer, layers
from backend.algorithms.painting.scene import Scene
from backend.ops.smoothing import gaussian
from shared.errors import InvalidInput, InvalidParameter
from shared.segment_settings import FIELD, SegmentSettings


@dataclass(frozen=True)
class Plan:
    """budget: strokes of the painting. layers: how many. widths, detail: see plan.layers."""

    budget: int
    layers: int
    widths: tuple[float, float]
    detail: float


@dataclass(frozen=True)
class Group:
    """layers: how its segments are painted. labels: their places in Segments.numbers; () for the whole picture. opacity: of its
    strokes."""

    layers: list[Layer]
    labels: tuple[int, ...] = ()
    opacity: float = 1.0

    def weighted(self, weights: Tensor, labels: Tensor) -> Tensor:
        """Weights [H, W] where its segments are, 0 elsewhere. labels: of the pixels [H, W]."""
        return weights * _inside(labels, self.labels) if self.labels else weights


@dataclass
class _Draft:
    """A group without its layers; the first one has no settings and holds what is left over."""

    labels: list[int] = field(default_factory=list)
    settings: SegmentSettings = field(default_factory=SegmentSettings)
    key: str = ""
    strokes: int | None = None


def groups(scene: Scene, plan: Plan, settings: Mapping[str, SegmentSettings]) -> list[Group]:
    """In painting order. settings: of segments by their numbers, see shared.segment_settings. Raises InvalidInput where there are
    too few strokes, and InvalidParameter where the settings give away too many."""
    shape = (scene.picture.shape[0], scene.picture.shape[1])
    named = {key: entry for key, entry in settings.items() if entry.numbers}
    if not named:
        return [Group(layers(shape, plan.budget, plan.layers, plan.widths, plan.detail))]
    place = {number: label for label, number in enumerate(scene.segments.numbers)}
    drafts = [
        _Draft([place[number] for number in entry.numbers if number in place], entry, key)
        for key, entry in named.items()
    ]
    own = {label for draft in drafts for label in draft.labels}
    drafts = [_Draft([label for label in range(scene.segments.count) if label not in own]), *drafts]
    drafts = [draft for draft in drafts if draft.labels]
    _share_out(scene, plan, drafts)
    made = [
        _group(scene, plan, draft) for draft in sorted(drafts, key=lambda draft: draft.settings.order) if draft.strokes
    ]
    if not made:
        raise InvalidParameter(
            "The settings of segments leave no stroke: every segment has 0 strokes.",
            hint="Give one of them some.",
            field=FIELD,
        )
    return made


def _share_out(scene: Scene, plan: Plan, drafts: list[_Draft]) -> None:
    """Say how many strokes each draft gets."""
    for draft in drafts:
        draft.strokes = draft.settings.strokes
        if draft.settings.share is not None:
            draft.strokes = round(plan.budget * draft.settings.share / 100)
    given = sum(draft.strokes or 0 for draft in drafts)
    if given > plan.budget:
        raise InvalidParameter(
            f"The settings of segments give away {given} strokes, and the painting has {plan.budget}.",
            hint=f"Raise Strokes to at least {given}, or give fewer.",
            field=FIELD,
        )
    rest = [draft for draft in drafts if draft.strokes is None]
    left, needed = plan.budget - given, sum(len(draft.labels) for draft in rest)
    if left < needed:
        raise InvalidInput(
            f"{left} strokes are left for {needed} other segments; each needs one.",
            hint="Raise Strokes, or give fewer to the segments with settings.",
            field=FIELD,
        )
    if rest:
        masses = _masses(scene, plan)
        wanted = np.array([masses[draft.labels].sum() for draft in rest]) + 1e-9
        least = np.array([len(draft.labels) for draft in rest])
        counts = least + np.floor((left - needed) * wanted / wanted.sum()).astype(int)
        counts[counts.argmax()] += left - counts.sum()
        for draft, count in zip(rest, counts.tolist(), strict=True):
            draft.strokes = count


def _masses(scene: Scene, plan: Plan) -> np.ndarray:
    """How much of the picture's detail lies in each segment: of what the largest brush would leave over, and of its area."""
    radius = max(0.5 * max(plan.widths) * min(scene.picture.shape[:2]), 1.0)
    residual = sum((channel - gaussian(channel, radius)).abs() for channel in scene.picture.unbind(2))
    assert isinstance(residual, Tensor)
    weights = placement.attention(residual, 0.3 * radius, plan.detail)
    labels, weights = scene.segments.labels.cpu().numpy(), weights.cpu().numpy()
    return np.bincount(labels.ravel(), weights.ravel().astype(np.float64), scene.segments.count)


def _group(scene: Scene, plan: Plan, draft: _Draft) -> Group:
    shape, side = (scene.picture.shape[0], scene.picture.shape[1]), min(scene.picture.shape[:2])
    assert draft.strokes is not None
    inside = _inside(scene.segments.labels, draft.labels)
    deepest = float(scene.segments.depth_px[inside].max())  # a wider brush would be made thinner
    largest, smallest = (min(width, 2 * deepest / side) for width in _widths(plan.widths, draft.settings))
    made = layers(shape, draft.strokes, plan.layers, (largest, smallest), plan.detail, area_px=int(inside.sum()))
    return Group(made, tuple(draft.labels), draft.settings.opacity)


def _widths(plan: tuple[float, float], settings: SegmentSettings) -> tuple[float, float]:
    """Largest and smallest brush: a width that is given bounds the other one, which is the painting's."""
    largest, smallest = max(plan), min(plan)
    if settings.largest is not None:
        largest = settings.largest / 100
        smallest = min(smallest, largest)
    if settings.smallest is not None:
        smallest = settings.smallest / 100
        largest = max(largest, smallest)
    return largest, smallest


def _inside(labels: Tensor, some: Iterable[int]) -> Tensor:
    return torch.isin(labels, torch.tensor(list(some), device=labels.device))
