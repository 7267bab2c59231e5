"""Maps that reach beyond their border while they are computed.

A pixel near the edge of what is computed lies under fewer patches, is moved by fewer of them and is the centre of none: it
stays rougher, as a frame inside the border. So a level of the pyramid is computed with a margin, which is cut off. This module
only adds and cuts margins.
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
    """Pixels that the levels of a map [H, W] reach beyond each border."""
    return MARGIN_PX if shape[0] * shape[1] < LARGE_PX else 0


def extended(height: Tensor, margin: int) -> Tensor:
    """A map [H, W] continued by `margin` pixels, less than H and W: mirrored and turned upside down about its border, so that
    slopes go on and water that ran out over the border still does."""
    for axis in (0, 1) if margin else ():
        count = height.shape[axis]
        before = 2 * height.narrow(axis, 0, 1) - height.narrow(axis, 1, margin).flip(axis)
        after = 2 * height.narrow(axis, count - 1, 1) - height.narrow(axis, count - 1 - margin, margin).flip(axis)
        height = torch.cat([before, height, after], dim=axis)
    return height


def extended_labels(labels: Tensor, margin: int) -> Tensor:
    """Labels [H, W] continued by those of the border."""
    rows, columns = (
        torch.arange(-margin, side + margin, device=labels.device).clamp(0, side - 1) for side in labels.shape
    )
    return labels[rows[:, None], columns[None]] if margin else labels


def framed(labels: Tensor, margin: int) -> Tensor:
    """Labels uint8 [H, W] continued by OUTSIDE: patches of the margin are moved, but do not count as the map's."""
    return F.pad(labels, (margin,) * 4, value=OUTSIDE)


def inner(values: Tensor, margin: int) -> Tensor:
    """What is left without the margin."""
    rows, columns = values.shape
    return values[margin : rows - margin, margin : columns - margin].contiguous()
