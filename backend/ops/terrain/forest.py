"""Trees of cells, each with one receiver, walked all at once: depths, levels, roots and sums by doubling.

A receiver [N] int64 is the flat index of the cell downstream; a root is its own receiver. In round k each cell looks 2^k cells
ahead, so that log2 of the longest path rounds reach every root. Plain torch on any device; a round asks the host once whether
it was the last.
"""

from __future__ import annotations

import torch
from torch import Tensor


def roots(receiver: Tensor) -> Tensor:
    """The root [N] in which each cell ends."""
    ahead = receiver
    while True:
        further = ahead[ahead]
        if torch.equal(further, ahead):
            return ahead
        ahead = further


def jumps(receiver: Tensor) -> list[Tensor]:
    """Receivers 1, 2, 4, ... cells downstream, until all are roots; at least one entry."""
    ahead = [receiver]
    while not torch.equal(further := ahead[-1][ahead[-1]], ahead[-1]):
        ahead.append(further)
    return ahead


def depths(receiver: Tensor) -> Tensor:
    """How many cells downstream of each its root lies [N] int64; 0 for roots."""
    depth = (receiver != torch.arange(len(receiver), device=receiver.device)).long()
    ahead = receiver
    while True:
        depth = depth + depth[ahead]
        further = ahead[ahead]
        if torch.equal(further, ahead):
            return depth
        ahead = further


def levels(receiver: Tensor) -> list[Tensor]:
    """The cells of each depth, roots first, in rising order of their index within a level."""
    depth = depths(receiver)
    order = depth.argsort(stable=True)
    return list(order.split(torch.bincount(depth).tolist()))


def accumulate(receiver: Tensor, source: Tensor) -> Tensor:
    """The sum [N] of `source` over each cell and all that drain through it; exact for whole numbers."""
    total = source.clone()
    here = torch.arange(len(receiver), device=receiver.device)
    ahead = torch.where(receiver == here, len(here), receiver)  # one cell more takes what has passed its root
    ahead = torch.cat([ahead, ahead.new_tensor([len(here)])])
    total = torch.cat([total, total.new_zeros(1)])
    while bool((ahead[:-1] < len(here)).any()):
        total = total.index_add(0, ahead[:-1], total[:-1])
        total[-1] = 0
        ahead = ahead[ahead]
    return total[:-1]
