"""Where strokes are placed: in proportion to the weights, spread apart, and the same for the same seed."""

from __future__ import annotations

import torch

from backend.algorithms.painting.placement import attention, draw


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_places_follow_the_weights_and_keep_apart() -> None:
    weights = torch.ones(64, 64)
    weights[:, 32:] = 3.0
    places = draw(weights, torch.zeros(64, 64, dtype=torch.int64), 256, _generator())
    assert places.shape == (256, 2)
    assert 188 <= int((places[:, 1] >= 32).sum()) <= 196, "three quarters"
    cells = torch.zeros(8, 4)
    for row, column in places[places[:, 1] >= 32].tolist():
        cells[int(row) // 8, int(column - 32) // 8] += 1
    assert cells.min() >= 4, "six a cell on average: drawn independently some cell would be nearly empty"
    assert cells.max() <= 8


def test_every_segment_gets_its_share() -> None:
    labels = torch.zeros(40, 40, dtype=torch.int64)
    labels[10:14, 20:30] = 1
    places = draw(torch.ones(40, 40), labels, 400, _generator())
    within = labels[tuple(places.long().unbind(1))]
    assert abs(int(within.sum()) - 10) <= 1, "40 of 1600 pixels"


def test_nothing_left_to_do_spreads_strokes_evenly() -> None:
    places = draw(torch.zeros(32, 32), torch.zeros(32, 32, dtype=torch.int64), 64, _generator())
    quarters = [int(((places[:, 0] < 16) == up).sum()) for up in (True, False)]
    assert min(quarters) >= 28


def test_attention_goes_where_the_picture_differs() -> None:
    residual = torch.zeros(48, 48)
    residual[30:36, 8:14] = 1.0
    keen, even = attention(residual, 3.0, 1.0), attention(residual, 3.0, 0.0)
    assert keen[33, 11] > 100 * keen[5, 40]
    assert even[33, 11] < 100 * even[5, 40]
