"""Hillslope creep with plain torch operations on any device: the same equations as hillslope_cpu, solved by doubling.

Thomas's algorithm is two linear recurrences; each is summed in log2 of the side rounds over the whole map, so that the result
agrees with the kernel's to the rounding of float64 but not to the bit.
"""

from __future__ import annotations

import torch
from torch import Tensor


def diffuse(height: Tensor, number: float) -> Tensor:
    """Heights [H, W] float64 after one step; `number` is diffusivity * time / pixel_size^2."""
    if min(height.shape) < 3:
        return height.clone()
    half = 0.5 * number
    return _half_step(_half_step(height, half).T, half).T.contiguous()


def pivot_ratios(half: float, count: int) -> list[float]:
    """What each row of the equations is eliminated with, the same in every line: `count` of them, the first, of the edge, 0."""
    ratios = [0.0]
    while len(ratios) < count:
        ratios.append(half / (1.0 + 2.0 * half - half * ratios[-1]))
    return ratios


def _half_step(height: Tensor, half: float) -> Tensor:
    """Implicit along the rows, explicit across; the edge is held."""
    columns = height.shape[1]
    ratio = torch.tensor(pivot_ratios(half, columns - 1), device=height.device, dtype=height.dtype)
    here = height[1:-1]
    explicit = here + half * (height[:-2] - 2.0 * here + height[2:])
    pivot = 1.0 + 2.0 * half - half * ratio[:-1]
    swept = _recurrence(ratio, torch.cat([here[:, :1], explicit[:, 1:-1] / pivot], dim=1))
    back = torch.cat([here[:, -1:], swept[:, 1:].flip(1)], dim=1)
    solved = _recurrence(torch.cat([ratio[:1], ratio[1:].flip(0)]), back)
    result = height.clone()
    result[1:-1, 1:-1] = solved[:, 1:].flip(1)
    return result


def _recurrence(factor: Tensor, term: Tensor) -> Tensor:
    """x [R, N] of x[:, n] = factor[n] x[:, n - 1] + term[:, n], x[:, 0] = term[:, 0]; factor [N]."""
    x, reach = term.clone(), factor.clone()
    reach[0] = 0.0
    step = 1
    while step < len(factor):
        x = torch.cat([x[:, :step], x[:, step:] + reach[step:] * x[:, :-step]], dim=1)
        reach = torch.cat([reach[:step] * 0.0, reach[step:] * reach[:-step]])
        step *= 2
    return x
