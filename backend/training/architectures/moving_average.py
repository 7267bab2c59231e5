"""The exponential moving average of weights: what ships of a generator that was trained against discriminators."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def follow(kept: nn.Module, learned: nn.Module, step: int) -> None:
    """Moves `kept` towards `learned`: an average over a tenth of the steps so far, a thousand at most."""
    share = max(1e-3, 1.0 / (0.1 * step + 1.0))
    for average, value in zip(kept.parameters(), learned.parameters(), strict=True):
        average.lerp_(value, share)
