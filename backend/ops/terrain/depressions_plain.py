"""Filling and breaching closed depressions without a compiler: the same heights as depressions_cpu, to the bit.

A filled surface is the lowest one above the heights from which water runs off, whatever the order in which it is found. Up to the
spill level it is the highest ground on each cell's way out over the lowest passes, which pointer jumping finds; with a fall at
every step a front goes over all its cells at once. Both on any device. Channels are cut one after the other, each through what the
ones before have left, by a search with a heap: that is a Python loop on the host."""

from __future__ import annotations

import heapq
import math

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from backend.ops.hashing_constants import GOLDEN_64, MIX_64_1, MIX_64_2
from backend.ops.terrain import basins_plain, forest, grid, routing_plain
from backend.ops.terrain.drainage_plain import order_keys

WORD = 0xFFFF_FFFF_FFFF_FFFF


def fill(height: Tensor, epsilon: float) -> Tensor:
    """The lowest surface [H, W] float32 above `height` from each cell of which a way leads to the edge that never rises, or
    with epsilon > 0 falls by at least that at every step over raised cells."""
    if epsilon == 0.0:
        return _to_spill_level(height)
    rows, columns = height.shape
    wide = columns + 2
    ground = torch.full((rows + 2, wide), torch.inf, device=height.device)
    ground[1:-1, 1:-1] = height
    level = torch.full_like(ground, -torch.inf)  # a frame that nothing lowers
    level[1:-1, 1:-1] = torch.where(grid.edge_mask(rows, columns, height.device), height, torch.inf)
    step = grid.offsets(wide, height.device)[:8]
    ground, flat = ground.flatten(), level.flatten()
    front = torch.isfinite(flat).nonzero()[:, 0]
    while len(front):
        near = (front[:, None] + step).flatten()
        reached = (flat[front].double() + epsilon).float().repeat_interleave(8)
        reached = torch.maximum(ground[near], reached)
        lower = reached < flat[near]
        near, reached = near[lower], reached[lower]
        flat.scatter_reduce_(0, near, reached, "amin")
        front = near.unique()
    return flat.reshape(rows + 2, wide)[1:-1, 1:-1].contiguous()


def _to_spill_level(height: Tensor) -> Tensor:
    """The lowest surface [H, W] above `height` without inner minima: the highest ground between each cell and the edge along the
    flow that leaves every basin over its lowest pass."""
    z = height.double().contiguous()
    codes, _ = basins_plain.lead_out(z, routing_plain.receiver_codes(z, 1.0))
    level = height.flatten()
    for further in forest.jumps(grid.receivers(codes)):
        level = torch.maximum(level, level[further])
    return level.reshape(height.shape)


def undrained(height: Tensor) -> Tensor:
    """Mask [H, W] of the inner cells none of whose eight neighbours is strictly lower (pits and flats)."""
    mask = torch.zeros(height.shape, dtype=torch.bool, device=height.device)
    if min(height.shape) >= 3:
        low = torch.stack([grid.inner(height, code) for code in range(8)]).amin(0)
        mask[1:-1, 1:-1] = low >= grid.inner(height)
    return mask


def pit_cells(height: np.ndarray, without_outlet: np.ndarray) -> list[int]:
    """The first cell of each level patch without an outlet, as flat indices in order of height, lowest first."""
    open_cells = ~without_outlet
    spreading = open_cells
    while spreading.any():  # a level patch that touches a lower cell or the edge drains, all of it
        rows, columns = np.nonzero(spreading)
        reached = np.zeros_like(open_cells)
        for dr, dc in grid.DIRECTIONS:
            r, c = rows + dr, columns + dc
            there = (r >= 0) & (c >= 0) & (r < height.shape[0]) & (c < height.shape[1])
            r, c, z = r[there], c[there], height[rows[there], columns[there]]
            level = (height[r, c] == z) & ~open_cells[r, c]
            reached[r[level], c[level]] = True
        open_cells = open_cells | reached
        spreading = reached
    labels = np.zeros(height.shape, np.int32)
    ndimage.label(~open_cells, structure=np.ones((3, 3), bool), output=labels)
    _, first = np.unique(labels, return_index=True)
    found = first[~open_cells.ravel()[first]]
    return found[np.argsort(order_keys(height).ravel()[found])].tolist()


def breach(
    height: np.ndarray, pits: list[int], epsilon: float, max_cost: float, max_length: int, wander: float, seed: int
) -> None:
    """Carve a channel from each pit to lower ground, in place on `height` [H, W] float32: see depressions_cpu.breach_pits."""
    rows, columns = height.shape
    flat: list[float] = height.ravel().tolist()
    steps = (-columns, -1, 1, columns, -columns - 1, -columns + 1, columns - 1, columns + 1)
    for pit in pits:
        base = flat[pit]
        if any(flat[pit + step] < base for step in steps):  # an earlier channel came past
            continue
        outlet, parent, length = _way_out(flat, pit, rows, columns, steps, epsilon, max_cost, max_length, wander, seed)
        cell = outlet
        while cell >= 0 and cell != pit:
            flat[cell] = min(flat[cell], float(np.float32(base - epsilon * length[cell])))
            cell = parent[cell]
    height[...] = np.array(flat, np.float32).reshape(height.shape)


def _way_out(
    flat: list[float], pit: int, rows: int, columns: int, steps: tuple[int, ...], epsilon: float, max_cost: float,
    max_length: int, wander: float, seed: int,
) -> tuple[int, dict[int, int], dict[int, int]]:  # fmt: skip
    """Dijkstra's search for the cheapest channel: its last cell (-1 where there is none), and for each cell reached the one
    before it and the number of steps from the pit."""
    base = flat[pit]
    cost, parent, length = {pit: 0.0}, {pit: -1}, {pit: 0}
    heap = [(0.0, pit)]
    while heap:
        here, cell = heapq.heappop(heap)
        if here > cost[cell]:
            continue  # reached more cheaply since
        row, column = divmod(cell, columns)
        if row in (0, rows - 1) or column in (0, columns - 1):
            return cell, parent, length
        if length[cell] >= max_length:
            continue
        level = base - epsilon * (length[cell] + 1)
        for step in steps:
            other = cell + step
            rise = flat[other] - level
            if rise < 0.0:
                parent[other], length[other] = cell, length[cell] + 1
                return other, parent, length
            if wander > 0.0 and rise > 0.0:
                rise *= 1.0 - wander - wander * math.log(_chance(other, seed))
            total = float(np.float32(here + rise))
            if total > max_cost or (other in cost and cost[other] <= total):
                continue
            cost[other], parent[other], length[other] = total, cell, length[cell] + 1
            heapq.heappush(heap, (total, other))
    return -1, parent, length


def _chance(cell: int, seed: int) -> float:
    """A number in (0, 1) for a cell and a seed: SplitMix64 in Python's integers, see routing_cpu.hash_bits."""
    h = (((seed << 32) + cell + 1) * GOLDEN_64) & WORD
    h = ((h ^ (h >> 30)) * MIX_64_1) & WORD
    h = ((h ^ (h >> 27)) * MIX_64_2) & WORD
    return (((h ^ (h >> 31)) >> 11) + 0.5) / 9007199254740992.0
