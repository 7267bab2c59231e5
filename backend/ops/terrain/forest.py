"""Trees of cells, each with one receiver, walked all at once: depths, levels, roots and sums by doubling.

A receiver [N] int64 is the flat index of the cell downstream; a root is its own receiver. In round k each cell looks 2^k cells
ahead, so that log2 of the longest path rounds reach every root. Plain torch on any device; every few rounds the host asks whether
all are there, for each such question waits for the device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDS = 4  # between two questions; a round too many changes nothing


@dataclass(frozen=True)
class Walk:
    """A forest level by level, roots first, as kernels take it: cells by their rank in that order, int32.

    order: flat index of each rank [N]. parent: rank of each rank's receiver [N], a root's its own. starts: first rank of each
    level, N from the end on [N + 2]. donors: ranks by their receivers' rank, roots left to the end [N]; first_donor: where those of
    a rank begin in it [N + 1]. A rank's donors are in the order of their own ranks, so that sums over them have one order."""

    order: Tensor
    parent: Tensor
    starts: Tensor
    donors: Tensor
    first_donor: Tensor


def roots(receiver: Tensor) -> Tensor:
    """The root [N] in which each cell ends."""
    return jumps(receiver)[-1]


def jumps(receiver: Tensor) -> list[Tensor]:
    """Receivers 1, 2, 4, ... cells downstream, until all are roots; at least one entry."""
    ahead = [receiver]
    while True:
        for _ in range(ROUNDS):
            ahead.append(ahead[-1][ahead[-1]])
        if torch.equal(ahead[-1], ahead[-2]):
            return ahead


def depths(receiver: Tensor, ahead: list[Tensor] | None = None) -> Tensor:
    """How many cells downstream of each its root lies [N] int64; 0 for roots. ahead: jumps(receiver), where they are known."""
    depth = (receiver != torch.arange(len(receiver), device=receiver.device)).long()
    for further in jumps(receiver) if ahead is None else ahead:
        depth = depth + depth[further]
    return depth


def levels(receiver: Tensor) -> list[Tensor]:
    """The cells of each depth, roots first, in rising order of their index within a level."""
    depth = depths(receiver)
    order = depth.argsort(stable=True)
    return list(order.split(torch.bincount(depth).tolist()))


def walk(receiver: Tensor, depth: Tensor) -> Walk:
    """The levels without a question to the device. depth: depths(receiver)."""
    count, device = len(receiver), receiver.device
    sorted_depth, order = depth.sort(stable=True)
    numbers = torch.arange(count + 2, device=device)
    rank = torch.empty_like(order).scatter_(0, order, numbers[:count])
    parent = rank[receiver[order]]
    given, donors = torch.where(sorted_depth == 0, count, parent).sort(stable=True)
    parts = (
        order, parent, torch.searchsorted(sorted_depth, numbers), donors, torch.searchsorted(given, numbers[: count + 1]),
    )  # fmt: skip
    return Walk(*(part.int() for part in parts))


def accumulate(receiver: Tensor, source: Tensor, ahead: list[Tensor] | None = None) -> Tensor:
    """The sum [N] of `source` over each cell and all that drain through it; exact for whole numbers. ahead: jumps(receiver), where
    they are known."""
    total = source.clone()
    here = torch.arange(len(receiver), device=receiver.device)
    going = receiver != here  # cells that have not yet passed their root
    for further in jumps(receiver) if ahead is None else ahead:
        # the others hand nothing on, to themselves: on a card sums that all go to a few roots would wait for one another
        handed = torch.where(going, total, torch.zeros_like(total))
        total = total.index_add(0, torch.where(going, further, here), handed)
        going = going & going[further]
    return total
