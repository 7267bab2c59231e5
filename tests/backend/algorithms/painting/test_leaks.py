"""Strokes keep to their segments, and segments are what their map says."""

from __future__ import annotations

import numpy as np
import torch

from backend.algorithms.painting.leaks import cut_back
from backend.algorithms.painting.segments import Segments, without_specks
from backend.ops.strokes.codec import Strokes
from backend.ops.strokes.curves import coverage

CPU = torch.device("cpu")


def _halves() -> Segments:
    classes = np.zeros((40, 60), np.uint8)
    classes[:, 30:] = 7
    return Segments.of(classes, CPU)


def _strokes(rows: list[list[float]], segment: list[int]) -> Strokes:
    count = len(rows)
    return Strokes(
        torch.tensor(rows, dtype=torch.float32),
        torch.ones(count, 2),
        torch.full((count, 3), 0.5),
        torch.zeros(count).int(),
        torch.tensor(segment).int(),
    )


def test_depth_is_measured_from_the_edge_and_not_from_the_border() -> None:
    segments = _halves()
    assert segments.numbers == (0, 7)
    points = torch.tensor([[[0.5, 0.5], [20.0, 28.5], [20.0, 30.0], [20.0, 33.5]]])
    depth = segments.signed_depth(points, torch.tensor([0]))[0]
    torch.testing.assert_close(depth, torch.tensor([29.5, 1.5, 0.0, -3.5]))


def test_what_reaches_over_the_edge_is_cut_back() -> None:
    segments = _halves()
    strokes = _strokes(
        [[20, 10, 20, 25, 20, 40, 4, 4], [10, 10, 10, 15, 10, 20, 3, 3], [30, 40, 30, 45, 30, 50, 3, 3]], [0, 0, 0]
    )
    cut = cut_back(strokes, segments)
    share = coverage(cut.geometry, cut.opacity, (40, 60))
    outside = share[:, :, 30:].sum((1, 2)) / share.sum((1, 2))
    assert outside[0] < 0.02
    assert cut.geometry[0, 7] > 2, "it is shortened and not only made thin"
    torch.testing.assert_close(cut.geometry[1], strokes.geometry[1])
    assert cut.geometry[2, 6:].max() < 1, "one that lies outside altogether becomes a dot"


def test_a_speck_is_painted_with_what_is_beside_it() -> None:
    classes = np.zeros((20, 20), np.uint8)
    classes[10, 10] = 3
    classes[:, 15:] = 5
    classes[5, 18] = 4
    made = without_specks(classes)
    assert made[10, 10] == 0
    assert made[5, 18] == 5
    assert set(np.unique(made)) == {0, 5}
    assert set(np.unique(without_specks(np.arange(256, dtype=np.uint8).reshape(16, 16)))) == {0}, "one is always left"
