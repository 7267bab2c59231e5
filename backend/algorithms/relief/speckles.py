"""Single cells of a transferred relief that stand out further than any of the exemplars' do.

Transport of the rarest second differences now and then stacks them on one cell, which a low sun shows as a speckle. This module
looks at a cell and its eight neighbours, nothing larger.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SPECKLE_LEVEL = 0.995


def without_speckles(height: Tensor, exemplars: Sequence[Tensor]) -> Tensor:
    """Lower cells that stand above their eight neighbours further than nearly any of the exemplars, and raise those below."""
    tallest, deepest = (
        max(0.0, max(float(np.quantile(_prominence(sign * e).cpu().numpy(), SPECKLE_LEVEL)) for e in exemplars))
        for sign in (1, -1)
    )
    return height - (_prominence(height) - tallest).clamp_min(0) + (_prominence(-height) - deepest).clamp_min(0)


def _prominence(height: Tensor) -> Tensor:
    """Height above the highest of the eight neighbours [H, W], negative for most cells."""
    rows, columns = height.shape
    padded = F.pad(height[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    around = [padded[r : r + rows, c : c + columns] for r in range(3) for c in range(3) if (r, c) != (1, 1)]
    highest = around[0].clone()
    for neighbour in around[1:]:
        torch.maximum(highest, neighbour, out=highest)
    return height - highest
