"""Values of a map between its pixels' centres. NumPy only: Blender and the backend sample alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def bilinear(values: np.ndarray, x: np.ndarray, y: np.ndarray, dtype: npt.DTypeLike = np.float32) -> np.ndarray:
    """Values [H, W, C] at x, y [n] px from the upper left corner, [n, C]; pixel (i, j) is centred at x = j + 0.5,
    y = i + 0.5. Beyond the outermost centres the border goes on. dtype: of the weights."""
    height, width = values.shape[:2]
    x, y = np.clip(x - 0.5, 0, width - 1), np.clip(y - 0.5, 0, height - 1)
    left, top = np.minimum(x.astype(np.intp), max(width - 2, 0)), np.minimum(y.astype(np.intp), max(height - 2, 0))
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    a, b = (x - left).astype(dtype)[:, None], (y - top).astype(dtype)[:, None]
    upper = values[top, left] * (1 - a) + values[top, right] * a
    lower = values[bottom, left] * (1 - a) + values[bottom, right] * a
    return upper * (1 - b) + lower * b
