"""Stream-power erosion with plain torch operations on any device, level by level from the outlets upstream.

A loop over the levels of the flow network, never over cells. It agrees with stream_power_cpu to the rounding of float64: powers
and, for sediment, sums come out in another last place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backend.ops.terrain import forest
from backend.ops.terrain.constants import LAKE_SLOPE, NO_RECEIVER

ALONG_AXIS = (False, True, False, True, True, False, True, False, True)  # by direction code


def incise(
    height: Tensor,  # [H, W] float64
    supply: Tensor | None,  # [N] float64
    codes: Tensor,
    receiver: Tensor,
    levels: Sequence[Tensor],
    rate: Tensor,  # [N] float64
    pixel_size: float,
    slope_exponent: float,
    steepest: float,
    lakes: bool,
) -> Tensor:
    """Heights [H, W] float64 after one step: see stream_power_cpu.incise."""
    flat, result = height.flatten(), height.flatten().clone()
    water = result.clone()  # the level of the lake over each cell, or the ground where it is dry
    diagonal = (2.0 * pixel_size * pixel_size) ** 0.5
    lengths = height.new_tensor([pixel_size if straight else diagonal for straight in ALONG_AXIS])
    weights = height.new_tensor([1.0 / length**slope_exponent for length in lengths.tolist()])
    length, factors = lengths[codes.flatten().long()], rate * weights[codes.flatten().long()]
    tilt = LAKE_SLOPE * pixel_size if lakes else 0.0
    for cells in levels[1:]:
        below = receiver[cells]
        z, floor, surface, factor = flat[cells], result[below], water[below], factors[cells]
        drowned = (z <= surface) | (flat[below] > z)
        laid = z if supply is None else z + supply[cells]
        lowered = _lowered(laid, floor, torch.where(drowned, 0.0, factor), slope_exponent)
        lowered = torch.maximum(torch.minimum(lowered, floor + steepest * length[cells]), floor)
        dry = torch.where(factor > 0.0, lowered, laid)
        wet = z if supply is None else torch.maximum(z, torch.minimum(laid, surface + tilt))
        result[cells] = torch.where(drowned, wet, dry)
        level = torch.maximum(wet, surface + tilt) if lakes else wet
        water[cells] = torch.where(drowned, level, dry)
    return result.reshape(height.shape)


def _lowered(z: Tensor, floor: Tensor, factor: Tensor, n: float) -> Tensor:
    """Heights that a step leaves above their receivers' `floor`, before slopes are limited."""
    if n == 1.0:
        return (z + factor * floor) / (1.0 + factor)
    return floor + solve_fall(torch.where(factor > 0.0, z - floor, 1.0), factor, n)


def solve_fall(before: Tensor, factor: Tensor, n: float) -> Tensor:
    """The root x in (0, before] of x + factor x^n = before: Newton, halving the bracket where it would leave it."""
    low, high = torch.zeros_like(before), before
    x = before / (1.0 + factor * before ** (n - 1.0))
    going = torch.ones_like(before, dtype=torch.bool)
    for _ in range(60):
        power = factor * x**n
        value = x + power - before
        going = going & (value.abs() > 1e-14 * before)
        if not bool(going.any()):
            break
        high = torch.where(going & (value > 0.0), x, high)
        low = torch.where(going & (value <= 0.0), x, low)
        newton = x - value / (1.0 + n * power / x)
        newton = torch.where((newton > low) & (newton < high), newton, 0.5 * (low + high))
        x = torch.where(going, newton, x)
    return x


def settling(
    before: Tensor, after: Tensor, codes: Tensor, receiver: Tensor, upstream: Tensor, rate: Tensor, deposition: float
) -> Tensor:
    """Metres [N] float64 that settle on each cell out of what was worn away upstream: see stream_power_cpu.settling."""
    worn = (before - after).flatten()
    flows = codes.flatten() != NO_RECEIVER
    total = forest.accumulate(receiver, worn)
    passing = torch.zeros_like(worn).index_add(0, receiver, torch.where(flows, total, 0.0))
    share = (deposition / upstream.double()).clamp_max(1.0)
    return torch.where(flows & (rate > 0.0), passing.clamp_min(0.0) * share, 0.0)
