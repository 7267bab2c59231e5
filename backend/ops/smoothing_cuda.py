"""Gaussian smoothing of maps on NVIDIA cards, a thread for each pixel and axis; the op is backend.ops.smoothing."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.cuda_kernels import cuda, kernel


def gaussian(values: Tensor, taps: Tensor, *, nearest: bool) -> Tensor:
    """[H, W] float32 smoothed along both axes with taps float64 [2 * radius + 1]. nearest: the edge, else it reflects."""
    values = values.contiguous()
    between, made = torch.empty_like(values), torch.empty_like(values)
    _smooth.launch(tuple(values.shape), values, taps, True, nearest, between)
    _smooth.launch(tuple(values.shape), between, taps, False, nearest, made)
    return made


@kernel
def _smooth(values, taps, along_columns, nearest, made):
    """Along one axis, added in float64 as SciPy does, whose result is of the map's type after each axis, too."""
    x, y = cuda.grid(2)
    height, width = values.shape
    if y >= height or x >= width:
        return
    radius, total = taps.size // 2, 0.0
    place, side = (y, height) if along_columns else (x, width)
    for n in range(taps.size):
        at = place + n - radius
        if at < 0 or at >= side:
            if nearest:
                at = min(max(at, 0), side - 1)
            else:  # mirrored with the border's pixel repeated, as often as it takes
                at %= 2 * side
                at = min(at, 2 * side - 1 - at)
        total += taps[n] * (values[at, x] if along_columns else values[y, at])
    made[y, x] = total
