"""The plain form of alignment.py's sums: torch operations on any device.

A pixel's shares of its cell's corners are a factor of its row times one of its column, so all sums of all cells are two products
of matrices: the rows' factors times the pixels times the columns' factors. No scattered additions, the same bytes every run.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.photos.constants import COLUMNS, PAIRS

# Of the row's factors high², high low, low² and the column's, by a cell's pair of corners; corners are top left, top right,
# bottom left, bottom right.
PAIR_FACTORS = ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2))


def add_sums(
    model: Tensor, pixels: Tensor, factor: Tensor, shift: Tensor, weights: Tensor, knee: float, cell: float, first_row: int,
    first: int, last: int, cells: Tensor,
) -> None:  # fmt: skip
    """Add rows first to last - 1 of a strip to cells float64 [gy - 1, gx - 1, COLUMNS]; factor * pixels + shift [3] are the
    texture's colours. Pixels without four neighbours have no gradient and are left out."""
    first, last = max(first, 1), min(last, weights.shape[0] - 1)
    width = weights.shape[1]
    if first >= last or width < 3:
        return
    products, weight, square = _products(
        model[first - 1 : last + 1], pixels[first - 1 : last + 1], factor, shift, weights[first:last, 1:-1], knee
    )
    rows = torch.arange(first_row + first, first_row + last, device=weights.device, dtype=torch.float64) + 0.5
    columns = torch.arange(1, width - 1, device=weights.device, dtype=torch.float64) + 0.5
    down, across = _shares(rows / cell, cells.shape[0]), _shares(columns / cell, cells.shape[1])
    squares = _sum_cells(_squared(down), products[:3], _squared(across)) * 0.0625
    for pair, (row, column) in enumerate(PAIR_FACTORS):
        cells[..., 3 * pair : 3 * pair + 3] += squares[:, row, :, column].permute(1, 2, 0)
    forces = _sum_cells(down, products[3:5], across) * 0.25
    for corner in range(4):
        at = 3 * PAIRS + 2 * corner
        cells[..., at : at + 2] += forces[:, corner // 2, :, corner % 2].permute(1, 2, 0)
    totals = _sum_cells(down.sum(0, keepdim=True), torch.stack((weight, square)), across.sum(0, keepdim=True))
    cells[..., COLUMNS - 2 :] += totals[:, 0, :, 0].permute(1, 2, 0)


def _products(
    model: Tensor, pixels: Tensor, factor: Tensor, shift: Tensor, weights: Tensor, knee: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted gx gx, gx gy, gy gy, gx r, gy r [5, h, w] of the inner pixels, their weights and weighted r² [h, w], float64.

    The gradients are four times as large: half of the model's central difference and half of the photograph's.
    """
    shown = pixels.to(torch.float32) * factor
    both = model + shown
    gap = (model - (shown + shift))[1:-1, 1:-1]
    gx, gy = both[1:-1, 2:] - both[1:-1, :-2], both[2:, 1:-1] - both[:-2, 1:-1]
    xx, xy, yy, xr, yr = (part.sum(-1) for part in (gx * gx, gx * gy, gy * gy, gx * gap, gy * gap))
    square = (gap * gap).sum(-1)
    counts = (weights > 0) & (xx + yy + square >= 0)  # NaN, a neighbour being missing, is not
    weight = weights * knee / square.sqrt().clamp(min=knee)
    weighted = torch.stack([weight * part for part in (xx, xy, yy, xr, yr, torch.ones_like(xx), square)])
    weighted = torch.where(counts, weighted, 0.0).to(torch.float64)
    return weighted[:5], weighted[5], weighted[6]


def _shares(place: Tensor, count: int) -> Tensor:
    """[2, count, n]: of each place along an axis (in cells) its cell's first node's share and its second one's; 0 elsewhere."""
    owner = place.to(torch.int64).clamp(max=count - 1)
    own = (owner[None] == torch.arange(count, device=place.device)[:, None]).to(torch.float64)
    second = place - owner
    return torch.stack([own * (1.0 - second), own * second])


def _squared(shares: Tensor) -> Tensor:
    first, second = shares
    return torch.stack([first * first, first * second, second * second])


def _sum_cells(down: Tensor, values: Tensor, across: Tensor) -> Tensor:
    """down [a, gy, h] and across [b, gx, w] times values [k, h, w]: [k, a, gy, b, gx]."""
    part = torch.matmul(values, across.flatten(0, 1).T)
    whole = torch.matmul(down.flatten(0, 1), part)
    return whole.unflatten(2, across.shape[:2]).unflatten(1, down.shape[:2])
