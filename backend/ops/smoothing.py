"""Gaussian smoothing of maps, the same on every device to the rounding of float32.

On the CPU by SciPy, elsewhere a convolution in float64, or a kernel of a CUDA twin, with the same taps (out to four deviations) and
the same edges.
"""

from __future__ import annotations

import functools
from typing import Literal

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
    chosen = choose(impl, values.device, cuda=True, compiled=False)
    if chosen == "cpu":
        from scipy.ndimage import gaussian_filter

        return torch.from_numpy(gaussian_filter(values.numpy(), sigma, mode=edge))
    taps = _taps(sigma, values.device)
    if chosen == "cuda" and values.dtype == torch.float32:
        from backend.ops import smoothing_cuda

        return smoothing_cuda.gaussian(values, taps, nearest=edge == "nearest")
    radius = len(taps) // 2
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
    distance = torch.arange(-radius, radius + 1, device=device, dtype=torch.float64)
    taps = torch.exp(-0.5 / (sigma * sigma) * distance * distance)
    return taps / taps.sum()


def _inside(place: Tensor, side: int, edge: Edge) -> Tensor:
    """The pixel 0..side - 1 whose value stands at each place on or beyond the border."""
    if edge == "nearest":
        return place.clamp(0, side - 1)
    place = place.remainder(2 * side)
    return torch.where(place < side, place, 2 * side - 1 - place)
