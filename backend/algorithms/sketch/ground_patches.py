"""Chance for the colour of ground: patches of several sizes down to single pixels, tied to coordinates.

A band of rows draws the same numbers as the whole map. Sums have mean 0 and deviation 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.smoothing import gaussian
from backend.ops.terrain import coordinate_noise

STREAM = 1 << 24
MARGIN = 7  # cells beside a band: four of the smoothing, two of the interpolation, one for what begins inside a cell
DEVIATION = 2.0 * np.sqrt(np.pi)  # that smoothing by one cell takes away
SIZES_PX = (1, 2, 4, 8, 16)
BY_SIZE = {
    "speckles": (0.6, 0.5, 0.4, 0.0, 0.0),
    "stands": (0.0, 0.5, 0.5, 0.45, 0.3),
    "fields": (0.0, 0.0, 0.35, 0.5, 0.7),
}


@dataclass(frozen=True)
class Patches:
    """Maps [h, W]: single pixels and little more (speckles), groves and outcrops (stands), and ground of another kind (fields)."""

    speckles: Tensor
    stands: Tensor
    fields: Tensor


def patches(first_row: int, shape: tuple[int, int], seed: int, device: torch.device) -> Patches:
    """Of a band of rows. All three share no layer of noise, so none tells of another."""
    made = {}
    for number, (name, weights) in enumerate(BY_SIZE.items()):
        total = torch.zeros(shape, device=device)
        for layer, (size, weight) in enumerate(zip(SIZES_PX, weights, strict=True)):
            if weight:
                stream = STREAM + len(SIZES_PX) * number + layer
                total.add_(_layer(size, first_row, shape, stream, seed, device), alpha=weight)
        made[name] = total.div_(float(np.linalg.norm(weights)))
    return Patches(**made)


def _layer(size: int, first_row: int, shape: tuple[int, int], stream: int, seed: int, device: torch.device) -> Tensor:
    """Smooth noise [h, W] whose forms are `size` pixels wide; white at one pixel."""
    rows, columns = shape
    margin = 0 if size == 1 else MARGIN
    first, last = first_row // size - margin, (first_row + rows - 1) // size + margin + 1
    across = range(-margin, (columns - 1) // size + margin + 1)
    values = coordinate_noise.uniform(range(first, last), across, stream=stream, seed=seed, device=device)
    if size == 1:
        return values
    smooth = gaussian(values, 1.0).mul_(DEVIATION)
    large = F.interpolate(smooth[None, None], scale_factor=size, mode="bicubic")[0, 0]
    top, left = first_row - first * size, margin * size
    return large[top : top + rows, left : left + columns]
