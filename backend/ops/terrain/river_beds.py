"""The cross-section of rivers wider than a pixel: a level bed, and banks that rise from it to the land without an edge.

Widths grow with the root of the drained area, as those of real rivers do (Leopold and Maddock 1953, US Geological Survey
Professional Paper 252: with the root of the discharge). Plain torch on any device: a loop over the steps from a river to its banks,
never over cells. Heights in any unit, lengths in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

LEAST_HALF_WIDTH = 0.5  # of a river that has a bed: narrower ones are lines
MOST_AT_ONCE = 1 << 20  # pairs of a river and a step
BANKS = 3.0  # half widths from the middle of the river to where its banks meet the land


def half_widths(cells: Tensor, widest: float) -> Tensor:
    """Half the width of rivers that drain so many cells [N]; the whole map, N cells, makes one of width `widest`."""
    return 0.5 * widest * (cells.double() / len(cells)).sqrt()


def with_beds(height: Tensor, half_width: Tensor) -> Tensor:
    """Heights [H, W] with ground near rivers of these half widths [H * W] lowered to their beds and banks; never raised."""
    rows, columns = height.shape
    flat, made = height.flatten(), height.flatten().clone()
    river = torch.nonzero(half_width >= LEAST_HALF_WIDTH)[:, 0]
    if not len(river):
        return height
    radius, widest_first = half_width[river].sort(descending=True, stable=True)
    river = river[widest_first]
    level, row, column = flat[river], river // columns, river % columns
    for steps, count in _steps(BANKS * radius, height.shape):
        down, across, distance = torch.tensor(steps, dtype=torch.float64, device=height.device).T[:, None]
        r, c, wide = (part[:count, None] for part in (row, column, radius))
        r, c = r + down.long(), c + across.long()
        near = (r >= 0) & (r < rows) & (c >= 0) & (c < columns) & (distance < BANKS * wide)
        place = torch.where(near, r * columns + c, river[:count, None])
        beyond = ((distance * wide.reciprocal() - 1.0) / (BANKS - 1.0)).clamp(0.0, 1.0)  # recipes hold the bits of this
        bank = beyond * beyond * (3.0 - 2.0 * beyond)
        bed = level[:count, None]
        lowered = torch.where(near, bed + (flat[place] - bed) * bank, torch.inf)
        made.scatter_reduce_(0, place.flatten(), lowered.flatten(), "amin")
    return torch.minimum(made, flat).reshape(height.shape)


def _steps(reach: Tensor, shape: torch.Size) -> Iterator[tuple[list[tuple[int, int, float]], int]]:
    """Steps (down, across, their length) from a river to its banks, nearest first, some at a time, and how many of the rivers,
    which are given by falling reach, go so far."""
    farthest = math.ceil(float(reach[0]))
    down, across = (range(-min(farthest, side - 1), min(farthest, side - 1) + 1) for side in shape)
    steps = sorted(((dr, dc, math.hypot(dr, dc)) for dr in down for dc in across if dr or dc), key=lambda step: step[2])
    lengths = torch.tensor([length for *_, length in steps], dtype=reach.dtype, device=reach.device)
    counts = (len(reach) - torch.searchsorted(reach.flip(0), lengths, right=True)).tolist()
    first = 0
    while first < len(steps) and counts[first]:
        last = first + max(1, MOST_AT_ONCE // counts[first])
        yield steps[first:last], counts[first]
        first = last
