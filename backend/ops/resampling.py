"""Maps at another size: the one place where heights, features and labels are resampled to a grid.

Plain torch on any device; nothing here knows a pyramid or a unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.runtime.threads import torch_threads


def resize(values: Tensor, size: Sequence[int], *, antialias: bool | None = None) -> Tensor:
    """[..., H, W] -> [..., *size], bicubic, pixel centres kept in place (corners are not aligned).

    antialias: whether to low-pass first; without an answer, where a side shrinks. Maps that have the size already are
    given back as they are.
    """
    rows, columns = values.shape[-2:]
    if (rows, columns) == tuple(size):
        return values
    if antialias is None:
        antialias = size[0] < rows or size[1] < columns
    image = values.reshape(-1, 1, rows, columns)
    made = F.interpolate(image, size=tuple(size), mode="bicubic", align_corners=False, antialias=antialias)
    return made.reshape(*values.shape[:-2], *size)


def bilinear(image: Tensor, size: Sequence[int]) -> Tensor:
    """[B, C, H, W] -> [B, C, *size], bilinear, pixel centres kept in place; the same bytes for any number of threads.

    On a CPU with a single thread torch takes another path, whose rounding differs: two threads are asked for then.
    """
    alone = image.device.type == "cpu" and torch.get_num_threads() == 1
    with torch_threads(2) if alone else nullcontext():
        return F.interpolate(image, size=tuple(size), mode="bilinear", align_corners=False)


def nearest(values: Tensor, size: Sequence[int]) -> Tensor:
    """[H, W] of any type -> [*size]: the value of the pixel in which each new pixel's centre lies."""
    rows, columns = (
        ((torch.arange(new, device=values.device, dtype=torch.float64) + 0.5) * old / new).long()
        for new, old in zip(size, values.shape, strict=True)
    )
    return values[rows[:, None], columns[None]]


def interpolate(x: Tensor, xp: Tensor, fp: Tensor) -> Tensor:
    """Piecewise linear through (xp, fp) at x, level beyond both ends, as numpy.interp.

    xp [N] rises or stays level; fp [N]; x of any shape, in the type of xp. Where xp stays level the last of its values counts.
    """
    at = (torch.searchsorted(xp, x.contiguous(), right=True) - 1).clamp(0, len(xp) - 2)
    low, high = xp[at], xp[at + 1]
    slope = (fp[at + 1] - fp[at]) / torch.where(high > low, high - low, 1.0)
    made = slope * (x - low) + fp[at]
    return torch.where(x >= xp[-1], fp[-1], torch.where(x <= xp[0], fp[0], made))
