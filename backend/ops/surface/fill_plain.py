"""The plain form of fill.py's steps: torch operations on any device, in the kernel's order of float32 additions.

state uint8 [H, W]: 0 known, r = reached by the r-th ring, UNREACHED not yet.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn.functional import pad

from backend.ops.surface.constants import UNREACHED


def grow(texture: Tensor, state: Tensor, ring: int) -> None:
    """Give texels beside those of lower rings the mean of them, corners counting half. texture [3, H, W], in place."""
    rows, columns = state.shape
    lower = pad(state < ring, (1, 1, 1, 1))
    colors = pad(torch.where(state < ring, texture, 0), (1, 1, 1, 1))
    total, sums = torch.zeros(state.shape, device=state.device), torch.zeros_like(texture)
    for down, right in itertools.product(range(3), range(3)):
        weight = 1.0 if down == 1 or right == 1 else 0.5
        own = (slice(down, down + rows), slice(right, right + columns))
        total += weight * lower[own]
        sums += weight * colors[:, *own]
    reached = (state == UNREACHED) & (total > 0)
    texture.copy_(torch.where(reached, sums / total, texture))
    state.masked_fill_(reached, ring)


def halve(texture: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """The next level: (means of the reached texels of 2 x 2, its state). A last odd row or column is a block of its own."""
    rows, columns = state.shape
    reached = pad(state != UNREACHED, (0, columns % 2, 0, rows % 2))
    colors = pad(torch.where(state != UNREACHED, texture, 0), (0, columns % 2, 0, rows % 2))
    blocks = [(slice(row, None, 2), slice(column, None, 2)) for row in (0, 1) for column in (0, 1)]
    count, sums = (sum(parts[1:], parts[0]) for parts in (
        [reached[block].to(texture.dtype) for block in blocks], [colors[:, *block] for block in blocks]
    ))  # fmt: skip
    known = count > 0
    mean = torch.where(known, sums / count.clamp(min=1), 0)
    return mean, torch.where(known, 0, UNREACHED).to(torch.uint8)


def take_from_coarser(texture: Tensor, state: Tensor, coarser: Tensor) -> None:
    """Give every texel that was not reached the colour of the coarser texel over it. In place."""
    rows, columns = state.shape
    over = coarser.repeat_interleave(2, 1)[:, :rows].repeat_interleave(2, 2)[:, :, :columns]
    texture.copy_(torch.where(state == UNREACHED, over, texture))
