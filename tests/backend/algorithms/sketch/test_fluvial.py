"""Valleys of running water in assembled terrain: what drains a hollow is a valley, not a slit."""

from __future__ import annotations

import numpy as np
import torch

from backend.algorithms.sketch import fluvial

SIDE, RADIUS = 128, 36.0  # of the rim around the hollow
BESIDE_PX = 2


def rimmed_hollow() -> torch.Tensor:
    """A plain that falls to the left, and in its middle a hollow 400 m deep behind a rim of 150 m, in metres [SIDE, SIDE]."""
    y, x = torch.meshgrid(torch.arange(float(SIDE)), torch.arange(float(SIDE)), indexing="ij")
    far = torch.hypot(x - SIDE / 2, y - SIDE / 2)
    rim = 150.0 * torch.exp(-(((far - RADIUS) / 8.0) ** 2))
    hollow = 400.0 * torch.exp(-((far / 18.0) ** 2))
    return fluvial.roughened(500.0 + x + rim - hollow, torch.full((SIDE, SIDE), 4.0), seed=1)


def test_the_way_out_of_a_hollow_is_a_valley_with_sides() -> None:
    height = rimmed_hollow()
    made = fluvial.carved(height, torch.full((SIDE, SIDE), 0.1), 4, seed=3, observe=lambda share: None)
    turn = np.arange(0.0, 2.0 * np.pi, 1.0 / RADIUS)  # along the rim, a pixel apart
    rows, columns = (np.rint(SIDE / 2 + RADIUS * part(turn)).astype(int) for part in (np.sin, np.cos))
    before, after = (values[rows, columns].numpy() for values in (height, made))
    cut = before - after
    outlet = int(cut.argmax())
    across = cut[outlet - BESIDE_PX : outlet + BESIDE_PX + 1]
    assert across.min() > 25.0, f"the way out is cut by {across} m from side to side"
