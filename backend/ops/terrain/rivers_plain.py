"""Profiles along a drainage tree, and the membrane between them, with plain torch operations on any device.

The forms that rivers_cpu must equal: the membrane to the bit, the profiles to rounding, for sums over donors have another order.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.terrain.constants import OVER_RELAXATION
from backend.ops.terrain.routing import Flow


def profile(bed: Tensor, flow: Flow, fall: Tensor, stiffness: Tensor) -> Tensor:
    """Heights [N] nearest to `bed` and to the falls, by the weights: see rivers_cpu.profile."""
    receiver, levels = flow.receiver, flow.levels
    pulled = stiffness * fall
    own = (1.0 + stiffness).index_add(0, receiver, stiffness)
    sums = (bed + pulled).index_add(0, receiver, -pulled)
    for cells in reversed(levels[1:]):
        share = stiffness[cells] / own[cells]
        own.index_add_(0, receiver[cells], -share * stiffness[cells])
        sums.index_add_(0, receiver[cells], share * sums[cells])
    made = sums / own
    for cells in levels[1:]:
        below, pull = made[receiver[cells]], stiffness[cells]
        solved = (sums[cells] + pull * below) / own[cells]
        made[cells] = torch.where(pull > 0.0, torch.maximum(solved, below), solved)
    return made


def membrane(target: Tensor, weight: Tensor, sweeps: int) -> Tensor:
    """Values [H, W] held to `target` by the weights and to their neighbours: see rivers_cpu.membrane."""
    rows, columns = target.shape
    held, pull = weight * target, with_neighbours(weight)
    place = torch.arange(rows, device=target.device)[:, None] + torch.arange(columns, device=target.device)
    made = target.clone()
    for sweep in range(2 * sweeps):
        around = F.pad(made, (1, 1, 1, 1))
        total = held + around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
        moved = made + OVER_RELAXATION * (total / pull - made)
        made = torch.where(((place + sweep) % 2 == 0) & (pull > 0.0), moved, made)
    return made


def with_neighbours(weight: Tensor) -> Tensor:
    """The weight of each cell [H, W] and the number of its neighbours, up to four."""
    pull = weight.clone()
    for part in (pull[1:], pull[:-1], pull[:, 1:], pull[:, :-1]):
        part += 1.0
    return pull
