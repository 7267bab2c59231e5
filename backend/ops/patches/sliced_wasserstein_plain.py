"""Sliced Wasserstein on patches with plain torch operations on any device: the forms that the kernels must equal.

Function by function those of sliced_wasserstein_cpu; filters are taken a few at a time where all projections of a large
map would not fit. Nothing waits for a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.patches.constants import PATCH

MOST_VALUES = 2**27  # projections in memory at once: 512 MiB of float32
HALF = PATCH // 2


def project(image: Tensor, filters: Tensor) -> Tensor:
    """Projections [K, H - 6, W - 6] of the patches of an image [C, H, W] on filters [K, C, 7, 7]."""
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        return F.conv2d(image[None], filters)[0]


def projection_extent(image: Tensor, filters: Tensor, row_step: int = 1) -> tuple[Tensor, Tensor]:
    """Lowest and highest projection on each filter, two [K], of every row_step-th row of patches."""
    parts = [project(image, filters[some])[:, ::row_step].flatten(1).aminmax(dim=1) for some in _some(image, filters)]
    return torch.cat([part.min for part in parts]), torch.cat([part.max for part in parts])


def projection_histogram(
    image: Tensor,
    filters: Tensor,
    low: Tensor,
    scale: Tensor,
    bins: int,
    row_first: int,
    row_step: int,
    labels: Tensor | None = None,
    label: int = 0,
) -> Tensor:
    """Counts float64 [K, bins] of the projections of every row_step-th row of patches, from row_first on.

    bin = (projection - low[k]) * scale[k], what lies outside goes to the end bins. labels [H, W] uint8 restricts the count
    to patches whose centre has that label.
    """
    counts = torch.zeros(len(filters), bins, device=image.device, dtype=torch.float64)
    counted = torch.ones(image.shape[1:], device=image.device, dtype=torch.float64)
    if labels is not None:
        counted = (labels == label).double()
    counted = counted[HALF:-HALF, HALF:-HALF][row_first::row_step].reshape(1, -1)
    for some in _some(image, filters):
        flat = project(image, filters[some])[:, row_first::row_step].flatten(1)
        place = ((flat - low[some, None]) * scale[some, None]).clamp(0, bins - 1).long()
        counts[some].scatter_add_(1, place, counted.expand_as(flat))
    return counts


def quantiles(counts: Tensor, low: Tensor, span: Tensor, count: int) -> Tensor:
    """[K, count] float32 at even levels 0..1 of the values that a histogram [K, bins] from low over span holds."""
    bins = counts.shape[1]
    below = F.pad(counts.cumsum(1), (1, 0)) / counts.sum(1, keepdim=True)
    levels = torch.linspace(0.0, 1.0, count, device=counts.device, dtype=torch.float64).expand(len(counts), count)
    at = (torch.searchsorted(below, levels.contiguous(), right=True) - 1).clamp(0, bins - 1)
    start, end = below.gather(1, at), below.gather(1, at + 1)
    share = (levels - start) / torch.where(end > start, end - start, 1.0)
    edge = torch.where(levels >= 1.0, bins, at + share) / bins
    return (low[:, None] + span[:, None] * edge).float()


def transport_table(counts: Tensor, target: Tensor, low: Tensor, scale: Tensor) -> Tensor:
    """Displacement T(v) - v at the bin edges, float32 [K, bins + 1]; T = inverse target distribution of the own
    distribution.

    counts [K, bins] of the map, target float32 [K, Q]: quantiles at Q evenly spaced levels 0..1. Nothing moves where nothing
    was counted.
    """
    last = target.shape[1] - 1
    total = counts.sum(1, keepdim=True)
    level = F.pad(counts.cumsum(1), (1, 0)) / total.clamp_min(1) * last
    index = level.long().clamp_max(last - 1)
    lower, upper = target.gather(1, index), target.gather(1, index + 1)
    edges = low[:, None].double() + torch.arange(counts.shape[1] + 1, device=low.device) / scale[:, None].double()
    table = lower + (level - index) * (upper - lower) - edges
    return torch.where(total > 0, table, 0.0).float()


def add_gradient(
    image: Tensor,
    filters: Tensor,
    low: Tensor,
    scale: Tensor,
    table: Tensor,
    weight: Tensor | None,
    row_first: int,
    row_step: int,
    out: Tensor,
) -> None:
    """out [C, H, W] += sum over filters and patches of weight * displacement * filter.

    weight [H, W] holds a factor for each patch, at its centre. Of patches, every row_step-th row from row_first on is taken.
    """
    top = (table.shape[1] - 1) * (1.0 - 1e-6)
    for some in _some(image, filters):
        projections = project(image, filters[some])
        place = ((projections.flatten(1) - low[some, None]) * scale[some, None]).clamp(0, top)
        bins = place.long()
        left, right = table[some].gather(1, bins), table[some].gather(1, bins + 1)
        moved = (left + (place - bins) * (right - left)).view_as(projections)
        if weight is not None:
            moved = moved * weight[HALF:-HALF, HALF:-HALF]
        if row_step > 1:
            taken = torch.zeros_like(moved)
            taken[:, row_first::row_step] = moved[:, row_first::row_step]
            moved = taken
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            gathered = F.conv_transpose2d(moved[None], filters[some])[0]
        out += gathered


def _some(image: Tensor, filters: Tensor) -> Iterator[slice]:
    """The filters a few at a time, as many as MOST_VALUES allows."""
    count = max(1, MOST_VALUES // image[0].numel())
    for first in range(0, len(filters), count):
        yield slice(first, min(first + count, len(filters)))
