"""Patches on an image whose edges meet where it tiles, and end where it does not.

Where the image wraps, every pixel is the corner of a patch and lies under as many patches as any other, so that nothing marks the
place of the wrap. The ops know no wrap: they are given the image continued by the width of a patch. Where it does not wrap,
pixels at its edge lie under fewer patches, which patches_on() counts.

`wraps` says for rows and for columns whether the last meets the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from backend.ops.patches import patch_match
from backend.ops.patches.constants import PATCH
from backend.ops.resampling import resize
from backend.ops.smoothing import gaussian

REACH = PATCH - 1

Wraps = tuple[bool, bool]
BOTH: Wraps = (True, True)


def continued(image: Tensor, wraps: Wraps = BOTH, before: int = 0, after: int = REACH) -> Tensor:
    """[..., H, W] of any type with `before` more rows and columns in front and `after` behind, along sides that wrap."""
    for axis, wrap in zip((-2, -1), wraps, strict=True):
        if wrap:
            side = image.shape[axis]
            front, back = image.narrow(axis, side - before, before), image.narrow(axis, 0, after)
            image = torch.cat([front, image, back], dim=axis)
    return image.contiguous()


def folded(direction: Tensor, wraps: Wraps = BOTH) -> Tensor:
    """A direction [C, H + 6, W + 6] of a continued image as one [C, H, W] of the image: what lies beyond belongs to the other
    edge."""
    for axis, wrap in zip((-2, -1), wraps, strict=True):
        if wrap:
            side = direction.shape[axis] - REACH
            direction.narrow(axis, 0, REACH).add_(direction.narrow(axis, side, REACH))
            direction = direction.narrow(axis, 0, side)
    return direction.contiguous()


def enlarged(image: Tensor, size: Sequence[int], wraps: Wraps = BOTH) -> Tensor:
    """An image [C, H, W] at the size of the next level; sides that wrap are even before and after.

    Pixels at the wrap come from the image turned by half a side. Enlarged as if it ended there it would get a crease, to which
    joints and other lines are drawn.
    """
    made = resize(image, size, antialias=False).contiguous()
    if tuple(image.shape[1:]) == tuple(size):
        return made
    for axis, wrap in enumerate(wraps, 1):
        others = (wraps[0] and axis != 1, wraps[1] and axis != 2)
        for channel in range(len(image) if wrap else 0):  # one by one: large sets would not fit twice
            one, side = image[channel : channel + 1], size[axis - 1]
            turned = enlarged(one.roll(one.shape[axis] // 2, axis), size, others).roll(-(side // 2), axis)
            for first in (0, side - REACH):
                made[channel : channel + 1].narrow(axis, first, REACH).copy_(turned.narrow(axis, first, REACH))
    return made


def patches_on(shape: tuple[int, int], wraps: Wraps = BOTH) -> Tensor:
    """How many patches lie on each pixel, float32 [H, W]: 49, and fewer near an edge that does not wrap."""
    sides = []
    for side, wrap in zip(shape, wraps, strict=True):
        place = torch.arange(side)
        count = torch.minimum(place + 1, side - place).clamp_max(min(PATCH, side - PATCH + 1))
        sides.append(torch.full_like(place, PATCH) if wrap else count)
    return (sides[0][:, None] * sides[1][None]).float()


def smoothed(share: Tensor, sigma: float, wraps: Wraps = BOTH) -> Tensor:
    """A share [H, W] smoothed, across the wrap where there is one."""
    reach = min(max(1, int(4 * sigma)), min(share.shape))
    made = gaussian(continued(share, wraps, reach, reach), sigma, edge="nearest")
    for axis, wrap in enumerate(wraps):
        if wrap:
            made = made.narrow(axis, reach, share.shape[axis])
    return made.contiguous()


def search(
    image: Tensor, field: patch_match.Field, *, sweeps: int, seed: int, wraps: Wraps = BOTH
) -> patch_match.Field:
    """Better matches of all patches of an image [C, H, W], stride 1 or a divisor of the sides that wrap."""
    return patch_match.search(continued(image, wraps), field, sweeps=sweeps, seed=seed)


def vote(image: Tensor, field: patch_match.Field, wraps: Wraps = BOTH) -> Tensor:
    """The image [C, H, W] that the matches vote for."""
    stride = field.stride
    before = -(-REACH // stride)  # patches whose corner lies before the first row and which reach into it
    around = replace(
        field,
        **{name: continued(getattr(field, name), wraps, before, 0) for name in ("y", "x", "groups")},
    )
    pixels = before * stride
    made = patch_match.vote(continued(image, wraps, pixels, REACH), around)
    for axis, wrap in enumerate(wraps, 1):
        if wrap:
            made = made.narrow(axis, pixels, image.shape[axis])
    return made.contiguous()
