"""The cross-section of rivers wider than a pixel: a level bed, and banks that rise from it to the land without an edge.

Widths grow with the root of the drained area, as those of real rivers do (Leopold and Maddock 1953, US Geological Survey
Professional Paper 252: with the root of the discharge). Plain torch on any device: a loop over the steps from a river to its banks,
never over cells. Heights in any unit, lengths in pixels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEAST_HALF_WIDTH = 0.5  # of a river that has a bed: narrower ones are lines
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
    radius = half_width[river]
    level, row, column = flat[river], river // columns, river % columns
    reach = math.ceil(BANKS * float(radius.max()))
    for dr in range(-reach, reach + 1):
        for dc in range(-reach, reach + 1):
            distance = math.hypot(dr, dc)
            inside = (row + dr >= 0) & (row + dr < rows) & (column + dc >= 0) & (column + dc < columns)
            near = inside & (distance < BANKS * radius)
            if distance == 0.0 or not bool(near.any()):
                continue
            place = (river + dr * columns + dc)[near]
            across = ((distance / radius[near] - 1.0) / (BANKS - 1.0)).clamp(0.0, 1.0)
            bank = across * across * (3.0 - 2.0 * across)
            made.scatter_reduce_(0, place, level[near] + (flat[place] - level[near]) * bank, "amin")
    return torch.minimum(made, flat).reshape(height.shape)
