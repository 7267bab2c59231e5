"""The plain form of view_weights.py: torch operations on any device, whole maps at once, in the kernel's float32 arithmetic."""

from __future__ import annotations

import math

import torch
from torch import Tensor

FAR = 1 << 30  # columns: no silhouette on this side


def silhouettes(depth: Tensor, facing: Tensor, step: float, reach: int) -> Tensor:
    """Along its row, how far each pixel is from a seen one beside which the surface ends or another hides it, at most `reach`:
    [h, W] float32. step: the least relative change of 1/z that counts as a break. Depths may be NaN throughout."""
    seen, inverse = facing > 0, 1.0 / depth
    rim = torch.zeros_like(seen)
    for dy, dx in ((0, 1), (-1, 0), (1, 0)):
        beside = _shifted(seen, dy, dx, False)
        ends = seen & ~beside & _inside(seen, dy, dx)
        other, here = _shifted(depth, dy, dx, torch.nan), depth
        gap = (here - other).abs() > step * torch.minimum(here, other)
        ends |= seen & beside & gap & _is_no_slope(inverse, dy, dx, step)
        rim |= ends
        if dx:  # rows above and below find out for themselves
            rim |= _shifted(seen & beside & ends, 0, -1, False) | (seen & ~_shifted(seen, 0, -1, True))
    return _row_distances(rim, reach)


def _is_no_slope(inverse: Tensor, dy: int, dx: int, step: float) -> Tensor:
    """Whether one of two neighbours lies in front of the other, no crease or slope joining them: 1/z changes by more than twice
    what its slopes to both sides say, and by more than step of itself."""
    beside = _shifted(inverse, dy, dx, torch.nan)
    before, after = _shifted(inverse, -dy, -dx, torch.nan), _shifted(inverse, 2 * dy, 2 * dx, torch.nan)
    steepest = torch.maximum((inverse - before).abs().nan_to_num(nan=0.0), (beside - after).abs().nan_to_num(nan=0.0))
    return (beside - inverse).abs() > 2.0 * steepest + step * torch.maximum(inverse, beside)


def _shifted(values: Tensor, dy: int, dx: int, beyond: float | bool) -> Tensor:
    """What lies dy rows below and dx columns to the right; `beyond` outside of the map."""
    height, width = values.shape
    moved = torch.full_like(values, beyond)
    rows, columns = max(height - abs(dy), 0), max(width - abs(dx), 0)
    if rows and columns:
        to_y, to_x, of_y, of_x = max(-dy, 0), max(-dx, 0), max(dy, 0), max(dx, 0)
        moved[to_y : to_y + rows, to_x : to_x + columns] = values[of_y : of_y + rows, of_x : of_x + columns]
    return moved


def _inside(seen: Tensor, dy: int, dx: int) -> Tensor:
    """Where the neighbour lies within the map."""
    return _shifted(torch.ones_like(seen), dy, dx, False)


def _row_distances(flags: Tensor, reach: int) -> Tensor:
    column = torch.arange(flags.shape[1], device=flags.device).expand(flags.shape)
    last = torch.where(flags, column, -FAR).cummax(1).values
    following = torch.where(flags, column, FAR).flip(1).cummin(1).values.flip(1)
    return torch.minimum(column - last, following - column).clamp(max=reach).to(torch.float32)


def weigh(
    facing: Tensor, footprint: Tensor, distances: Tensor, radius: float, power: float, least_facing: float, least_weight: float
) -> Tensor:  # fmt: skip
    """[h, W] float32: 0 where nothing is seen, else cos^power, faded towards silhouettes within radius px. distances: as from
    silhouettes with a reach of ceil(radius) + 1."""
    height = facing.shape[0]
    squares, most = distances * distances, facing.new_tensor(radius + 1).square()
    nearest = most.expand(facing.shape)
    for down in range(-min(math.ceil(radius), height - 1), min(math.ceil(radius), height - 1) + 1):
        nearest = torch.minimum(nearest, _shifted(squares, down, 0, torch.inf) + float(down * down))
    counts = (facing > facing.new_tensor(least_facing)) & (footprint > 0) & (footprint < 1)
    weights = torch.where(counts, facing.clamp(max=1.0), 0.0)
    if power != 1:
        weights = torch.where(counts, weights**power, 0.0)
    fade = torch.where(nearest >= most, 1.0, (nearest / most).clamp(min=least_weight))
    return weights * fade


def from_border(weights: Tensor, first_row: int, height: int, border: float) -> Tensor:
    """[rows, W] float32: what is left of weights within `border` px of the photograph's border."""
    rows, width = weights.shape
    y = torch.arange(first_row, first_row + rows, device=weights.device, dtype=torch.float64)
    x = torch.arange(width, device=weights.device, dtype=torch.float64)
    nearest = torch.minimum(torch.minimum(y, height - 1 - y)[:, None], torch.minimum(x, width - 1 - x)[None])
    return ((nearest + 0.5) / border).clamp(max=1.0).to(torch.float32)


def dim(weights: Tensor, pixels: Tensor, full: float, share: float) -> None:
    """Leave `share` of the weights of pixels with a channel of at least `full`, in place."""
    level = pixels.to(torch.float32)
    filled = (level >= level.new_tensor(full)).any(-1)
    weights *= torch.where(filled, share, 1.0)
