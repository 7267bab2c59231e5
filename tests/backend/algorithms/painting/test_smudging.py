"""The smudge pass of a painting: which strokes dry brushes follow, and when it comes in a timelapse."""

from __future__ import annotations

import numpy as np
import torch

from backend.algorithms.painting.smudging import NARROWER, dry_strokes
from backend.algorithms.painting.timelapse import frames
from backend.ops.strokes.codec import Strokes, to_columns

SIZE = (48, 64)


def _strokes(layers: list[int], *, seed: int = 0) -> Strokes:
    """Long ones of radius 4 px, in painting order, the first of each layer a dab."""
    random = torch.Generator().manual_seed(seed)
    count = len(layers)
    start = torch.rand(count, 2, generator=random) * 20 + 5
    layer = torch.tensor(layers, dtype=torch.int32)
    first = torch.cat([torch.tensor([True]), layer.diff() > 0])
    end = start + torch.where(first, 1.0, 25.0)[:, None]
    geometry = torch.cat([start, (start + end) / 2, end, torch.full((count, 2), 4.0)], 1)
    color = torch.rand(count, 3, generator=random)
    return Strokes(geometry, torch.ones(count, 2), color, layer, torch.full((count,), -1, dtype=torch.int32))


def test_dry_brushes_follow_the_long_strokes_of_the_middle_layers() -> None:
    strokes = _strokes([0, 0, 1, 1, 1, 2, 2, 3, 3])
    wanted = strokes.geometry[[3, 4, 6]].clone()
    wanted[:, 6:] *= NARROWER
    assert torch.equal(dry_strokes(strokes), wanted)
    two = _strokes([0, 0, 0, 1, 1])
    assert torch.equal(dry_strokes(two)[:, :6], two.geometry[[1, 2, 4], :6]), "of two layers there is none between"


def test_only_the_last_picture_of_a_timelapse_is_smudged() -> None:
    values = to_columns(_strokes([0] * 4 + [1] * 8 + [2] * 4), SIZE).numpy()
    canvas = np.full((*SIZE, 3), 0.5, np.float32)
    dry, wet = (list(frames(values, canvas, 3, smudge=amount)) for amount in (0.0, 1.0))
    assert all(np.array_equal(one, other) for one, other in zip(dry[:-1], wet[:-1], strict=True))
    assert np.abs(dry[-1].astype(int) - wet[-1]).mean() > 1
