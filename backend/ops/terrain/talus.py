"""Thermal erosion: rock breaks off slopes that are too steep and comes to rest below them.

Every cell hands ground down to those of its eight neighbours to which it is steeper than the angle of repose, in proportion to the
excess (Musgrave, Kolb and Mace 1989, doi:10.1145/74333.74337, section 3.2). Nothing is lost: what leaves a cell lies on others.
Plain torch on any device; heights and lengths in one unit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.terrain.grid import DIRECTIONS

STEP_SHARE = 0.4  # of the largest excess that moves in one round: half would make two neighbours level at once


def slumped(height: Tensor, pixel_size: float, steepest: Tensor | float, rounds: int) -> Tensor:
    """Heights [H, W] float64 after `rounds` of slides; steepest: the slope that holds, a number or [H, W].

    A slide travels one cell a round. Raises ValueError for a slope that is not above 0.
    """
    limit = torch.as_tensor(steepest, dtype=height.dtype)
    if not bool((limit > 0).all()):
        raise ValueError("steepest must be above 0")
    limit = limit.to(height.device).expand(height.shape)
    lengths = [pixel_size * (2.0 if dr and dc else 1.0) ** 0.5 for dr, dc in DIRECTIONS]
    z = height
    for _ in range(rounds):
        beyond = F.pad(z[None], (1, 1, 1, 1), mode="replicate")[0]
        excess = [
            (z - _shifted(beyond, dr, dc) - limit * length).clamp_min(0.0)
            for (dr, dc), length in zip(DIRECTIONS, lengths, strict=True)
        ]
        total, largest = torch.stack(excess).sum(0), torch.stack(excess).amax(0)
        if z.device.type == "cpu" and not bool((largest > 0).any()):
            break  # a card would wait for the question longer than a round without slides takes, which moves nothing
        share = STEP_SHARE * largest / total.clamp_min(1e-300)
        moved = torch.zeros_like(beyond)
        for (dr, dc), part in zip(DIRECTIONS, excess, strict=True):
            _shifted(moved, dr, dc).add_(share * part)
        z = z - STEP_SHARE * largest + moved[1:-1, 1:-1]
    return z


def _shifted(padded: Tensor, dr: int, dc: int) -> Tensor:
    """The view [H, W] of a map [H + 2, W + 2] that lies one step off its middle."""
    rows, columns = padded.shape
    return padded[1 + dr : rows - 1 + dr, 1 + dc : columns - 1 + dc]
