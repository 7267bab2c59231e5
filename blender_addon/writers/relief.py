"""How high a map of heights stands: Blender units between 0 and 1, and the value that stays where the surface is. No bpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..shared.arrays import Array

USUAL_SHARE = 0.025  # height between 0 and 1, of the width that the map covers, where nothing says more
LEAST_SHARE, MOST_SHARE = 0.002, 0.2
RELATIVE_HEIGHT = 0.05  # the same where it is not known how much the map covers
_MOST_PX = 1024  # of a side that is looked at
_LEAST_AGREEMENT = 0.25  # correlation of the heights' slopes with the normals'


@dataclass(frozen=True)
class Relief:
    """middle: of the values, where the surface stays. scale: Blender units between the values 0 and 1."""

    middle: float
    scale: float

    @classmethod
    def of(cls, heights: Array, *, normals: np.ndarray | None = None, width: float = 0.0) -> Relief:
        """Of heights [H, W]. Those in metres stay as they are. Else, where normals [H, W, 3] of the same surface are known, as
        high as these say; width: what the map covers, 0 for unknown.
        """
        middle = float(heights.values.mean())
        if "pixel_size_m" in heights.attributes:
            return cls(middle, 1.0)
        if not width:
            return cls(middle, RELATIVE_HEIGHT)
        share = USUAL_SHARE if normals is None else _share(heights.values, normals) or USUAL_SHARE
        return cls(middle, width * min(max(share, LEAST_SHARE), MOST_SHARE))


def _share(heights: np.ndarray, normals: np.ndarray) -> float:
    """Height between 0 and 1 as a share of the map's width, by least squares of slopes; 0 where the two do not agree."""
    part = slice(None, _MOST_PX), slice(None, _MOST_PX)
    down, across = np.gradient(heights[part].astype(np.float64))
    up = np.maximum(normals[part][..., 2], 0.1)
    wanted = np.stack([normals[part][..., 1] / up, -normals[part][..., 0] / up])  # rows run down, y up
    given = np.stack([down, across])
    agreement, power = float((given * wanted).sum()), float((given**2).sum())
    if power <= 0.0 or agreement < _LEAST_AGREEMENT * np.sqrt(power * float((wanted**2).sum())):
        return 0.0
    return agreement / power / heights.shape[1]
