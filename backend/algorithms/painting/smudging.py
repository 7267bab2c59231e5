"""The smudge pass: dry brushes go over a finished painting, along the strokes that are in it, and pull its wet paint along.

A dry stroke goes where a stroke of the painting went and is narrower, so that it stays inside of that one's segment. Those of the
layers between the lowest and the uppermost are taken: they lie along the picture's edges and run under many smaller strokes,
whose paint they mix. Everything follows from the strokes, so saved ones are smudged alike at every size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.algorithms.painting.stroke_lists import radius_of
from backend.ops.strokes.codec import Strokes
from backend.ops.strokes.smudge import smudge

NARROWER = 0.8  # radius of a dry stroke, as a share of that of the stroke that it follows
SHORTEST = 1.0  # distance between the ends, in radii: a dab pulls nothing along


def smudged(strokes: Strokes, painting: Tensor, thickness: Tensor, amount: float) -> tuple[Tensor, Tensor]:
    """A painting [H, W, 3] of the strokes, and its paint's thickness [H, W], after the smudge pass. amount: 0 (none) to 1."""
    if not amount:
        return painting, thickness
    return smudge(dry_strokes(strokes), painting, thickness, amount)


def dry_strokes(strokes: Strokes) -> Tensor:
    """Geometry [M, 8] px, in painting order."""
    layer = strokes.layer
    between = (layer > layer.min()) & (layer < layer.max())
    if not bool(between.any()):
        between = torch.ones_like(between)  # of one layer or two there is none between
    ends = strokes.geometry[:, 4:6] - strokes.geometry[:, :2]
    long = torch.hypot(ends[:, 0], ends[:, 1]) >= SHORTEST * radius_of(strokes)
    geometry = strokes.geometry[between & long].clone()
    geometry[:, 6:] *= NARROWER
    return geometry
