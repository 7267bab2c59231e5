"""Gaussian smoothing of maps, the same on every device to the rounding of float32.

On the CPU a numba twin that gives the bytes of scipy.ndimage.gaussian_filter, on CUDA another; elsewhere a convolution in float64
with the same taps (out to four deviations) and the same edges.
"""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.dispatch import Impl, choose

REACH = 4.0  # deviations to which the taps go, as in SciPy

Edge = Literal["nearest", "reflect"]


def gaussian(values: Tensor, sigma: float, *, edge: Edge = "reflect", impl: Impl = "auto") -> Tensor:
    """[H, W] float32 smoothed with a Gaussian of `sigma` pixels.

    edge: what lies beyond the border, its last pixel ("nearest") or the map mirrored with that pixel repeated ("reflect").
    """
    chosen = choose(impl, values.device, cuda=True) if values.dtype == torch.float32 else "plain"
    taps = _taps(sigma, values.device)
    radius = len(taps) // 2
    if chosen == "cpu":
        from backend.ops.smoothing_cpu import smooth

        down, across = (_inside(torch.arange(-radius, side + radius), side, edge).numpy() for side in values.shape)
        return torch.from_numpy(smooth(values.contiguous().numpy(), down, across, taps[: radius + 1].numpy()))
    if chosen == "cuda":
        from backend.ops import smoothing_cuda

        return smoothing_cuda.gaussian(values, taps, nearest=edge == "nearest")
    for axis in (0, 1):  # SciPy rounds to the map's own type after each axis, too
        moved = values.movedim(axis, 1)
        place = torch.arange(-radius, moved.shape[1] + radius, device=values.device)
        padded = moved[:, _inside(place, moved.shape[1], edge)].double()
        smooth = F.conv1d(padded[:, None], taps[None, None])[:, 0]
        values = smooth.to(values.dtype).movedim(1, axis)
    return values.contiguous()


@functools.lru_cache(maxsize=64)
def _taps(sigma: float, device: torch.device) -> Tensor:
    """Weights float64 [2 * radius + 1] of the sum 1."""
    radius = int(REACH * sigma + 0.5)
    taps = np.exp(-0.5 / (sigma * sigma) * np.arange(-radius, radius + 1) ** 2)  # SciPy's own arithmetic
    return torch.from_numpy(taps / taps.sum()).to(device)


def _inside(place: Tensor, side: int, edge: Edge) -> Tensor:
    """The pixel 0..side - 1 whose value stands at each place on or beyond the border."""
    if edge == "nearest":
        return place.clamp(0, side - 1)
    place = place.remainder(2 * side)
    return torch.where(place < side, place, 2 * side - 1 - place)
