"""Flow directions and drained cells with plain torch operations on any device: the forms that routing_cpu must equal.

Directions and counts are the same to the bit; sums of fractions add up in another order.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backend.ops.hashing import finalise64, shift_right
from backend.ops.hashing_constants import GOLDEN_64
from backend.ops.terrain import forest, grid
from backend.ops.terrain.constants import NO_RECEIVER

CONTOUR = (0.25, 0.5, 0.25, 0.5, 0.5, 0.25, 0.5, 0.25)  # contour length over distance: sqrt(2)/4 over sqrt(2) is 0.25


def hash_bits(cell: Tensor, seed: int) -> Tensor:
    """64 bits (in int64) that depend on nothing but the arguments: SplitMix64."""
    return finalise64(((seed << 32) + cell + 1) * (GOLDEN_64 - (1 << 64)))


def receiver_codes(height: Tensor, pixel_size: float, jitter: float = 0.0, seed: int = 0) -> Tensor:
    """Direction codes [H, W] uint8 of steepest descent on height [H, W] float64, NO_RECEIVER on the edge and in pits.

    With jitter 0..1 each falling slope is first shortened by up to that share at random: see routing_cpu.random_receivers.
    """
    rows, columns = height.shape
    codes = torch.full((rows, columns), NO_RECEIVER, dtype=torch.uint8, device=height.device)
    if rows < 3 or columns < 3:
        return codes
    z = grid.inner(height)
    best, found = torch.zeros_like(z), grid.inner(codes).clone()
    bits = best  # read where jitter > 0
    if jitter > 0:
        bits = hash_bits(grid.inner(torch.arange(rows * columns, device=height.device).reshape(rows, columns)), seed)
    for code, (dr, dc) in enumerate(grid.DIRECTIONS):
        slope = (z - grid.inner(height, code)) / (math.sqrt(2.0 * pixel_size * pixel_size) if dr and dc else pixel_size)
        if jitter > 0:
            chance = ((shift_right(bits, 8 * code) if code else bits) & 255).double() + 0.5
            slope = slope * (1.0 - jitter * (chance / 256.0))
        steeper = slope > best
        best = torch.where(steeper, slope, best)
        found = torch.where(steeper, code, found)
    codes[1:-1, 1:-1] = found
    return codes


def drainage_order(codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cells in an order that puts donors before receivers, [N] int32, the cells draining through each, [N] int32, and how far each
    lies from its outlet, [N] int64."""
    receiver = grid.receivers(codes)
    ahead = forest.jumps(receiver)
    depth = forest.depths(receiver, ahead)
    order = depth.argsort(stable=True, descending=True)
    return order.int(), forest.accumulate(receiver, torch.ones_like(receiver), ahead).int(), depth


def spread_cells(height: Tensor) -> Tensor:
    """Cells draining through each cell [H, W] float64 when water goes to all lower neighbours: see routing_cpu.spread_cells.

    Wave after wave of those cells whose higher neighbours have all been; the sums agree with the kernel's to 1e-12.
    """
    rows, columns = height.shape
    flat = height.flatten()
    step = grid.offsets(columns, height.device)[:8]
    weight = torch.tensor(CONTOUR, device=height.device, dtype=torch.float64)
    inside = ~grid.edge_mask(rows, columns, height.device).flatten()
    total = torch.ones_like(flat)
    waiting = torch.zeros(len(flat), dtype=torch.int64, device=height.device)
    givers = inside.nonzero()[:, 0]
    near = givers[:, None] + step
    waiting.index_add_(0, near.flatten(), (flat[near] < flat[givers, None]).flatten().long())
    wave = (inside & (waiting == 0)).nonzero()[:, 0]
    while len(wave):
        near = wave[:, None] + step
        fall = (flat[wave, None] - flat[near]).clamp_min(0.0)
        part = weight * fall
        given = total[wave, None] * (part / part.sum(1, keepdim=True))
        lower = fall > 0.0
        total.index_add_(0, near.flatten(), torch.where(lower, given, 0.0).flatten())
        waiting.index_add_(0, near.flatten(), -lower.flatten().long())
        reached = near[lower].unique()
        wave = reached[(waiting[reached] == 0) & inside[reached]]
    return total.reshape(rows, columns)
