"""What a transfer starts from where an input holds too little: a flat layout, an exemplar much smaller than the map.

It makes no landforms and knows no pyramid.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from backend.ops.moments import mean, variance
from backend.ops.smoothing import gaussian
from shared.errors import InvalidInput

log = logging.getLogger(__name__)

FLAT = 1e-6  # of the largest height: a smaller spread is the rounding of float32
ROOM = 4  # exemplars of less than a fourth of the map's pixels would repeat within sight of one another
MOST_TURN = 0.15  # correlation of the slopes along the two axes: of landforms that lie across them
MOST_LEAN = 0.35  # skewness of a slope: of landforms that are steeper to one side


def check_relief(exemplars: Sequence[Tensor]) -> None:
    """Raises InvalidInput where no exemplar [h, w] m has any relief. Beside others a flat one may stand: for a lake, say."""
    if all(map(_is_flat, exemplars)):
        raise InvalidInput(
            f"{'The exemplar is' if len(exemplars) == 1 else 'All exemplars are'} flat, such as a lake or a plain: no landforms"
            f" can be taken from {'it' if len(exemplars) == 1 else 'them'}.",
            hint="Give an exemplar with hills or valleys, or none: the Landform setting is used then.",
            field="exemplar",
        )


def layout_or_hills(layout: Tensor, landform_px: float, generator: torch.Generator) -> Tensor:
    """The layout [H, W] m, or random hills of the size of the landforms where it is flat.

    A flat map has no order of heights to keep: what would be kept is that of its rounding or of its rows, a ramp.
    """
    if not _is_flat(layout):
        return layout
    log.warning("The height map is flat: it has no layout to keep, and random hills of the seed take its place.")
    noise = torch.randn(layout.shape, generator=generator)
    return gaussian(noise, min(landform_px, min(layout.shape) / 4) / 6).to(layout.device)


def _is_flat(height: Tensor) -> bool:
    low, high = height.aminmax()
    return float(high - low) <= FLAT * float(torch.maximum(high.abs(), low.abs()))


def with_mirror_images(exemplars: Sequence[Tensor], pixels: int) -> list[list[Tensor]]:
    """Each exemplar [h, w] with those of its mirror images that could be terrain of its kind, if all exemplars together are
    much smaller than a map of `pixels`: its patches then repeat less."""
    if ROOM * sum(exemplar.numel() for exemplar in exemplars) >= pixels:
        return [[exemplar] for exemplar in exemplars]
    return [_mirror_images(exemplar) for exemplar in exemplars]


def _mirror_images(exemplar: Tensor) -> list[Tensor]:
    """The exemplar, and its mirror images across the axes along which its slopes lean to no side."""
    down, across = exemplar.diff(dim=0)[:, 1:], exemplar.diff(dim=1)[1:]
    images = [exemplar]
    deviation = (variance(down) * variance(across)) ** 0.5
    if deviation == 0 or abs(mean(down * across) - mean(down) * mean(across)) > MOST_TURN * deviation:
        return images
    for axis, slope in enumerate((down, across)):
        lean = mean((slope - mean(slope)) ** 3) / variance(slope) ** 1.5
        if abs(lean) <= MOST_LEAN:
            images += [image.flip(axis).contiguous() for image in images]
    return images
