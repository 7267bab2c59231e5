"""Still water: which parts of a map are lakes or sea, by how level they are.

In a survey water is level to the last bit, over more than a few pixels; a plain of whole metres is level in narrow bands. A map
that transport has made is nowhere quite level: as much of it as of the exemplars is taken for water, the most level parts. On the
host, with SciPy's filters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

CORE_PX = 7  # of a square that lies within every body of water: bands of plains are narrower
ROUND_PX = 5  # of a square that fits into every part of water that is made
LEAST_SHARE = 1e-3
MOST_OF_MEDIAN = 0.2  # of the height range within 3 x 3 pixels: what varies more is land
RIPPLES = 3.0  # of the same range, about the level of a connected part: what lies farther off is a plain that slopes,
DEEP = 0.02  # but nothing that lies within this share of the map's deviation
SQUARE = np.ones((3, 3), bool)


def share_of_still_water(exemplars: Sequence[Tensor], level: float) -> float:
    """Share 0..1 of the cells of maps [h, w] that lie in squares of 3 x 3 pixels that differ by no more than `level`, about water
    of at least CORE_PX in each direction."""
    found = [_connected(_ranges(z, 3) <= level, _ranges(z, CORE_PX) <= level) for z in map(_array, exemplars)]
    return sum(int(mask.sum()) for mask in found) / sum(mask.size for mask in found)


def still_water(height: Tensor, share: float) -> Tensor:
    """The cells bool [H, W] of a map's most level parts, about `share` of it; none for shares below LEAST_SHARE."""
    if share < LEAST_SHARE:
        return torch.zeros(height.shape, dtype=torch.bool, device=height.device)
    z = _array(height)
    ranges = _ranges(z, 3)
    limit = min(float(np.quantile(ranges, share)), MOST_OF_MEDIAN * float(np.median(ranges)))
    smooth = np.asarray(ndimage.binary_closing(ranges <= limit, SQUARE), bool) | (ranges <= limit)
    level = np.asarray(ndimage.binary_dilation(smooth, SQUARE), bool)
    parts, count = _label(level)
    if count:
        surface = np.concatenate([[0.0], ndimage.median(z, parts, np.arange(1, count + 1))])
        level &= np.abs(z - surface[parts]) <= max(RIPPLES * limit, DEEP * float(z.std(dtype=np.float64)))
    return torch.from_numpy(ndimage.binary_opening(level, np.ones((ROUND_PX, ROUND_PX), bool))).to(height.device)


def level_water(height: Tensor, level: float) -> Tensor:
    """The cells bool [H, W] of ground that is level, to `level` within 3 x 3 pixels, over at least CORE_PX in each direction, as
    water is in a survey; none where the whole map is."""
    if not _may_be_level(height, level):
        return torch.zeros(height.shape, dtype=torch.bool, device=height.device)
    z = _array(height)
    if z.max() - z.min() <= level:
        return torch.zeros(height.shape, dtype=torch.bool, device=height.device)
    found = _connected(_ranges(z, 3) <= level, _ranges(z, CORE_PX) <= level)
    return torch.from_numpy(np.asarray(ndimage.binary_dilation(found, SQUARE), bool)).to(height.device)


def _may_be_level(height: Tensor, level: float) -> bool:
    """Whether a square of 3 x 3 pixels at every fourth row and column is; each of CORE_PX holds one. Quick: most maps have none,
    and those on a card need not come to the host."""
    rows, columns = (max(0, (side - 3) // 4 + 1) for side in height.shape)
    if not rows or not columns:
        return False
    parts = torch.stack([height[i : i + 4 * rows : 4, j : j + 4 * columns : 4] for i in range(3) for j in range(3)])
    return bool((parts.amax(0) - parts.amin(0) <= level).any())


def flattened(height: Tensor, still: Tensor) -> Tensor:
    """Heights [H, W] with each connected body of still water at its median height."""
    return _at_one_level(height, still, ndimage.median)


def leveled(height: Tensor, still: Tensor) -> Tensor:
    """Heights [H, W] with each connected body of still water at its lowest height: whatever drained, drains."""
    return _at_one_level(height, still, ndimage.minimum)


def _at_one_level(height: Tensor, still: Tensor, level: Callable[..., Any]) -> Tensor:
    if not bool(still.any()):
        return height
    bodies, count = _label(still.cpu().numpy())
    z = _array(height).copy()
    water = bodies > 0
    z[water] = np.asarray(level(z, bodies, np.arange(1, count + 1)), z.dtype)[bodies[water] - 1]
    return torch.from_numpy(z).to(height.device)


def _label(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """The connected parts of a mask, numbered from 1, and how many there are."""
    bodies = np.empty(mask.shape, np.int32)
    return bodies, int(ndimage.label(mask, SQUARE, output=bodies))  # pyright: ignore[reportArgumentType]


def _connected(candidates: np.ndarray, cores: np.ndarray) -> np.ndarray:
    """The connected parts of the candidates that hold a core."""
    parts, count = _label(candidates)
    kept = np.zeros(count + 1, bool)
    kept[np.unique(parts[cores & candidates])] = True
    kept[0] = False
    return kept[parts]


def _ranges(z: np.ndarray, size: int) -> np.ndarray:
    return ndimage.maximum_filter(z, size, mode="nearest") - ndimage.minimum_filter(z, size, mode="nearest")


def _array(height: Tensor) -> np.ndarray:
    return height.cpu().numpy()
