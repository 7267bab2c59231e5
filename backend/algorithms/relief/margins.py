"""A map that reaches beyond its border while its last level is computed.

A pixel near the edge of what is computed lies under fewer patches and is the centre of none: roughness costs the transport less
there, and a rough frame stays inside the border. A margin, mirrored about the border and cut off afterwards, gives each pixel
of the map as many patches as any other.

Only the last level has one. The patches of an exemplar say which heights lie along its opposite edges (the mean of a slope is
the difference of the edges; that of a slope times a height is the difference of their squares), and a margin takes away the
pull on the map's own edges: with one at every level the distribution of the patches was never reached, however many the
steps. What frame the coarse levels leave, the last one mends.

This module only adds and cuts margins.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.patches.constants import PATCH

MARGIN_PX = PATCH + 1  # the rim of what is computed is rough itself, as far as a patch reaches
OUTSIDE = 255  # label of no exemplar
LARGE_PX = 512 * 512  # on maps from here on the last levels smooth away what is left of the frame of the small ones


def margin_for(shape: tuple[int, int]) -> int:
    """Pixels that the last level of a map [H, W] reaches beyond each border."""
    return MARGIN_PX if shape[0] * shape[1] < LARGE_PX else 0


def extended(height: Tensor, margin: int) -> Tensor:
    """A map [H, W] continued by `margin` pixels, less than H and W, mirrored about its border: no height lies outside the
    range of those that it mirrors, at a corner either."""
    return F.pad(height[None, None], (margin,) * 4, mode="reflect")[0, 0].contiguous() if margin else height


def extended_labels(labels: Tensor, margin: int) -> Tensor:
    """Labels [H, W] continued by those of the border."""
    rows, columns = (
        torch.arange(-margin, side + margin, device=labels.device).clamp(0, side - 1) for side in labels.shape
    )
    return labels[rows[:, None], columns[None]] if margin else labels


def counted(labels: Tensor, margin: int) -> Tensor:
    """Labels uint8 [H, W] continued by OUTSIDE, which takes the place of those at the centre of a patch that reaches into the
    margin: such patches are moved, but do not count as the map's."""
    half = PATCH // 2
    return F.pad(labels[half:-half, half:-half], (margin + half,) * 4, value=OUTSIDE)


def inner(values: Tensor, margin: int) -> Tensor:
    """What is left without the margin."""
    if not margin:
        return values
    return values[margin:-margin, margin:-margin].contiguous()


def with_inner(values: Tensor, part: Tensor, margin: int) -> Tensor:
    """Values with a margin, and `part` in place of what lies within it."""
    if not margin:
        return part
    made = values.clone()
    made[margin:-margin, margin:-margin] = part
    return made


def moved(values: Tensor, part: Tensor, margin: int) -> Tensor:
    """As with_inner(), and the margin moves with the border: rivers lift and lower whole valleys that leave the map, and patches
    across the border would take the step that this leaves there for relief.
    """
    return values + extended(part - inner(values, margin), margin)
