"""Cells without a height, filled smoothly from around them: push-pull over a pyramid of halves. NumPy only.

Source: S. J. Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4 (pull to coarser levels, push back to
finer ones).
"""

from __future__ import annotations

import numpy as np

from ..shared.errors import InvalidInput


def close(heights: np.ndarray) -> np.ndarray:
    """Heights [H, W] with every NaN replaced; all others as they were. Raises InvalidInput when there is nothing to
    fill from.
    """
    known = np.isfinite(heights)
    if known.all():
        return heights
    if not known.any():
        raise InvalidInput("The map has no height at all to fill its gaps from.")
    return np.where(known, heights, _pull_push(np.where(known, heights, 0.0), known.astype(heights.dtype)))


def _pull_push(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """values [H, W] with weights 0..1; where a weight is below 1, what is missing comes from the next coarser level."""
    if min(values.shape) == 1 or weights.min() >= 1.0:
        return np.where(weights > 0, values, np.average(values, weights=weights))
    total = _halve(weights)
    coarse = _halve(values * weights) / np.maximum(total, 1e-12)
    filled = _double(_pull_push(coarse, np.minimum(total, 1.0)), values.shape)
    return weights * values + (1.0 - weights) * filled


def _halve(values: np.ndarray) -> np.ndarray:
    """Sums of 2 x 2 cells; an odd last row or column stands alone."""
    padded = np.pad(values, ((0, values.shape[0] % 2), (0, values.shape[1] % 2)))
    return padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]


def _double(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bilinear: each fine cell is three parts its own coarse cell and one part the next, along each axis."""
    for axis in (0, 1):
        before = np.take(values, np.maximum(np.arange(values.shape[axis]) - 1, 0), axis)
        after = np.take(values, np.minimum(np.arange(values.shape[axis]) + 1, values.shape[axis] - 1), axis)
        pair = np.stack([0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after], axis + 1)
        values = pair.reshape([2 * size if number == axis else size for number, size in enumerate(values.shape)])
    return values[: shape[0], : shape[1]]
