"""Canvas that strokes have left uncovered along the edges of segments, painted over from below.

Strokes that keep inside of segments meet at their edges without covering them. Where canvas shows, strokes that earn least become
an undercoat: they run along the edge, as wide as the gap asks for and the segment allows, below all others, and reach BLEED_PX over
the edge, where the neighbour's strokes lie on them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.painting import laying, placement
from backend.algorithms.painting.directions import Directions
from backend.algorithms.painting.scene import Scene
from backend.algorithms.painting.stroke_lists import chosen, joined
from backend.ops.strokes.codec import Strokes
from backend.ops.strokes.compositing import composite
from backend.ops.strokes.removal import removal_cost

ROUNDS = 4
MOST = 0.25  # of a group's strokes
SHOWS = 0.2  # of the canvas at a pixel, from which on it is a gap
STROKE_PX = 24.0  # of gaps that a stroke is taken for
BLEED_PX = 0.6
THINNEST_PX, WIDER = 1.2, 1.5  # radius of a stroke: so many times half the gap's width
LENGTH = 12.0  # in widths of the brush


@dataclass(frozen=True)
class _Group:
    """rank: by which its strokes are known. segments: labels [S]. radius_px, opacity: of its widest brush. quota: strokes of an
    undercoat at most."""

    rank: int
    segments: Tensor
    radius_px: float
    opacity: float
    quota: int


def undercoated(strokes: Strokes, manner: Tensor, scene: Scene, generator: torch.Generator) -> Strokes:
    """As many strokes, those of the undercoat first. manner: for each stroke its brush's radius in px, its opacity, and the rank of
    its group, which keeps its number of strokes [N, 3]."""
    if scene.segments.count == 1:
        return strokes
    ranks = manner[:, 2]
    groups = [_group(strokes, manner, ranks == rank) for rank in ranks.unique()]
    coat: list[tuple[int, Strokes]] = []
    for _ in range(ROUNDS):
        shown = _shown(joined([*_parts(coat), strokes]), scene)
        for group in groups:
            weights = torch.where(torch.isin(scene.segments.labels, group.segments) & (shown > SHOWS), shown, 0.0)
            gap_px = int((weights > 0).sum())
            count = min(group.quota // ROUNDS, -(-gap_px // int(STROKE_PX)))
            if not count:
                continue
            laid = _laid(weights, count, scene, group.radius_px, generator)
            coat.append((group.rank, replace(laid, opacity=laid.opacity * group.opacity)))
            strokes, ranks = _without_least(strokes, ranks, group.rank, count, _parts(coat), scene)
    return joined([*_parts(coat), strokes])


def _group(strokes: Strokes, manner: Tensor, own: Tensor) -> _Group:
    radius, opacity, rank = manner[own].amax(0).tolist()
    return _Group(int(rank), strokes.segment[own].unique(), radius, opacity, int(MOST * int(own.sum())))


def _parts(coat: list[tuple[int, Strokes]]) -> list[Strokes]:
    """The undercoat by the ranks of its groups."""
    return [part for _, part in sorted(coat, key=lambda one: one[0])]


def _shown(strokes: Strokes, scene: Scene) -> Tensor:
    """How much of the canvas is seen beside the strokes, as if all were opaque, 0 to 1 [H, W]."""
    with torch.no_grad():
        canvas, opacity = torch.ones_like(scene.canvas), torch.ones_like(strokes.opacity)
        return composite(strokes.geometry, opacity, torch.zeros_like(strokes.color), canvas)[..., 0]


def _laid(weights: Tensor, count: int, scene: Scene, radius_px: float, generator: torch.Generator) -> Strokes:
    """Strokes along the edges of segments at places drawn by the weights [H, W]."""
    from scipy.ndimage import distance_transform_edt

    segments = scene.segments
    places = placement.draw(weights, segments.labels, count, generator)
    half = torch.from_numpy(np.asarray(distance_transform_edt((weights > 0).cpu().numpy()), np.float32)).to(
        weights.device
    )
    wanted = (WIDER * half[tuple(places.long().unbind(1))]).clamp(THINNEST_PX, radius_px)
    slope = segments.slope()
    along = torch.stack([-slope[..., 1], slope[..., 0]], dim=2)
    edges = Directions(along, torch.ones_like(weights))
    strokes = []
    for radius in wanted.unique():  # lay() takes one brush at a time
        brush = laying.Brush(float(radius), LENGTH, 0.0, 0)
        strokes.append(laying.lay(places[wanted == radius], scene.picture, edges, segments, brush, generator))
    laid = joined(strokes)
    wider = laid.geometry + torch.tensor([0.0] * 6 + [BLEED_PX] * 2, device=places.device)
    return replace(laid, geometry=wider)


def _without_least(
    strokes: Strokes, ranks: Tensor, rank: int, count: int, coat: list[Strokes], scene: Scene
) -> tuple[Strokes, Tensor]:
    """The strokes and their ranks without those of a group that earn least over the undercoat."""
    before = sum(len(part) for part in coat)
    every = joined([*coat, strokes])
    cost = removal_cost(every.geometry, every.opacity, every.color, scene.canvas, scene.picture)[before:]
    cost = torch.where(ranks == rank, cost, torch.full_like(cost, torch.inf))
    kept = torch.ones_like(ranks, dtype=torch.bool)
    kept[torch.argsort(cost, stable=True)[:count]] = False
    return chosen(strokes, kept), ranks[kept]
