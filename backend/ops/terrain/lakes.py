"""Lakes: the still water of a map, and hollows that would hold some, with how high it stands in them.

A measured or made map has thousands of dents of a few cells that no map shows as lakes; what counts is wide and deep enough. On the
host; heights are metres, cells on the edge of the grid are outlets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from backend.ops.dispatch import Impl
from backend.ops.terrain.depressions import fill_depressions
from backend.ops.terrain.still_water import SQUARE, level_water

LEAST_CELLS = 24
LEAST_DEPTH_PX = 0.03  # at the deepest place: a metre where pixels are 30 m
GAP_PX = 4  # across a bed in a lake
RIPPLES_PX = 0.02  # off its level, what was still water before something ran over it


@dataclass(frozen=True)
class Lakes:
    """where: bool [H, W]. surface: float32 [H, W] in metres, the water's level where it is and the ground elsewhere."""

    where: Tensor
    surface: Tensor


def still_lakes(
    height: Tensor, pixel_size_m: float, *, before: Tensor | None = None, level_m: float | None = None
) -> Lakes:
    """The still water of heights [H, W], or what is left in them of that of a map `before` something ran over it, each body at one
    level, that of its highest cell.

    level_m: how far heights within 3 x 3 pixels of water may differ, what a survey leaves by default. A body less than half of
    which is still about level is gone.
    """
    given = (height if before is None else before).detach()
    water = level_water(given, survey_level(given) if level_m is None else level_m).cpu().numpy()
    z = height.detach().cpu().float()
    parts, count = _parts(water)
    if not count:
        return Lakes(torch.from_numpy(water), z)
    numbers = np.arange(1, count + 1)
    middle = np.append(0.0, ndimage.median(z.numpy(), parts, numbers))
    kept = water & (np.abs(z.numpy() - middle[parts]) <= RIPPLES_PX * pixel_size_m)
    cells = np.bincount(parts.ravel(), minlength=count + 1)
    kept &= (2 * np.bincount(parts[kept], minlength=count + 1) >= cells)[parts]
    highest = np.append(0.0, ndimage.maximum(z.numpy(), np.where(kept, parts, 0), numbers))
    level = np.where(kept, highest[parts], -np.inf).astype(np.float32)
    return _with_narrow_gaps(z.numpy(), level)


def _with_narrow_gaps(z: np.ndarray, level: np.ndarray) -> Lakes:
    """Lakes of these levels (-inf on land), and of the low ground between their parts: beds of what has run through them."""
    square = np.ones((GAP_PX + 1, GAP_PX + 1), bool)
    beside = ndimage.maximum_filter(level, GAP_PX + 1)
    gaps = np.isinf(level) & ndimage.binary_closing(np.isfinite(level), square) & (z <= beside)
    level = np.where(gaps, beside, level)
    where = np.isfinite(level)
    return Lakes(torch.from_numpy(where), torch.from_numpy(np.where(where, level, z)))


def with_filled_hollows(lakes: Lakes, pixel_size_m: float, *, impl: Impl = "auto") -> Lakes:
    """The same, and each hollow that is wide and deep enough filled to where it spills."""
    full = fill_depressions(lakes.surface, impl=impl)
    depth = (full - lakes.surface).numpy()
    parts, count = _parts(depth > 0)
    if not count:
        return lakes
    deepest = np.append(0.0, ndimage.maximum(depth, parts, np.arange(1, count + 1)))
    cells = np.bincount(parts.ravel(), minlength=count + 1)
    is_lake = (cells >= LEAST_CELLS) & (deepest >= LEAST_DEPTH_PX * pixel_size_m)
    is_lake[0] = False
    filled = torch.from_numpy(is_lake[parts])
    return Lakes(lakes.where | filled, torch.where(filled, full, lakes.surface))


def survey_level(height: Tensor) -> float:
    """How far heights of one water may differ in metres: what float32 cannot hold, and a tenth of a millimetre."""
    return max(1e-4, 2.0 * float(np.spacing(np.float32(float(height.abs().max())))))


def _parts(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """The connected parts of a mask, numbered from 1, and how many there are."""
    parts = np.empty(mask.shape, np.int32)
    return parts, int(ndimage.label(mask, SQUARE, output=parts))  # pyright: ignore[reportArgumentType]
