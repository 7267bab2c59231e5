"""Patches on an image whose right edge meets its left and whose bottom meets its top.

Every pixel is the corner of a patch and lies under as many patches as any other, so that nothing marks the place where the image
wraps. The ops know no wrap: they are given the image continued by the width of a patch.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from backend.ops.patches import patch_match
from backend.ops.patches.constants import PATCH
from backend.ops.smoothing import gaussian

REACH = PATCH - 1


def continued(image: Tensor, before: int = 0, after: int = REACH) -> Tensor:
    """[..., H, W] of any type with `before` more rows and columns in front and `after` behind."""
    for axis in (-2, -1):
        side = image.shape[axis]
        image = torch.cat([image.narrow(axis, side - before, before), image, image.narrow(axis, 0, after)], dim=axis)
    return image.contiguous()


def folded(direction: Tensor) -> Tensor:
    """A direction [C, H + 6, W + 6] of a continued image as one [C, H, W] of the image: what lies beyond belongs to the other
    edge."""
    rows, columns = direction.shape[-2] - REACH, direction.shape[-1] - REACH
    direction[..., :REACH, :] += direction[..., rows:, :]
    direction[..., :, :REACH] += direction[..., :, columns:]
    return direction[..., :rows, :columns].contiguous()


def smoothed(share: Tensor, sigma: float) -> Tensor:
    """A share [H, W] smoothed across the wrap."""
    reach = min(max(1, int(4 * sigma)), min(share.shape))
    return gaussian(continued(share, reach, reach), sigma)[reach:-reach, reach:-reach].contiguous()


def search(image: Tensor, field: patch_match.Field, *, sweeps: int, seed: int) -> patch_match.Field:
    """Better matches of all patches of an image [C, H, W], stride 1 or a divisor of its sides."""
    return patch_match.search(continued(image), field, sweeps=sweeps, seed=seed)


def vote(image: Tensor, field: patch_match.Field) -> Tensor:
    """The image [C, H, W] that the matches vote for."""
    stride = field.stride
    before = -(-REACH // stride)  # patches whose corner lies before the first row and which reach into it
    around = replace(
        field,
        **{name: continued(getattr(field, name), before, 0) for name in ("y", "x", "groups")},
    )
    pixels = before * stride
    return patch_match.vote(continued(image, pixels, REACH), around)[
        ..., pixels : pixels + image.shape[-2], pixels : pixels + image.shape[-1]
    ].contiguous()


def field_shape(image: Tensor) -> tuple[int, int]:
    """Of the continued image, which is what a Field is made for."""
    return image.shape[-2] + REACH, image.shape[-1] + REACH
