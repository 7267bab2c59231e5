"""Maps between two grids so that a pixel of the coarse one keeps its mean: averages, and the smooth surface that has them.

The surface is a tensor product of cubic B-splines on the coarse grid whose averages over the coarse pixels are the given values
exactly (a spline histopolation). It bends twice continuously, reproduces planes up to the border, beyond which it goes on
straight, and shows no grid, as bicubic enlargement of averages does. On the host, by sparse matrices along each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu
from torch import Tensor


def averaged(values: Tensor, size: Sequence[int]) -> Tensor:
    """A map [H, W] on fewer pixels: the mean over the area of each, shares of pixels included, float32 [*size]."""
    return _along_both(values, [_averages(new, old) for new, old in zip(size, values.shape, strict=True)])


def smooth(values: Tensor, size: Sequence[int]) -> Tensor:
    """The smooth surface at the pixels of a finer grid, float32 [*size], whose averages are `values` [h, w]."""
    inner = values.cpu().double().numpy()
    level = float(inner.mean())  # float32 holds what lies near 0 best
    made = inner - level
    for axis, new in enumerate(size):
        made = _solved(made, values.shape[axis], new, axis)
    return _along_both(
        torch.from_numpy(made), [_basis(new, old) for new, old in zip(size, values.shape, strict=True)], level
    )


def restored(height: Tensor, kept: Tensor) -> Tensor:
    """The map [H, W] float32 moved by the smooth surface that gives it the averages `kept` [h, w] again."""
    return height + smooth(kept - averaged(height, kept.shape), height.shape)


def _along_both(values: Tensor, matrices: Sequence[sparse.csr_array], level: float = 0.0) -> Tensor:
    down, across = matrices
    source = values.cpu().numpy()
    made = (across @ np.ascontiguousarray((down @ source).T)).T
    return torch.from_numpy(np.ascontiguousarray(made + level, dtype=np.float32)).to(values.device)


def _solved(values: np.ndarray, old: int, new: int, axis: int) -> np.ndarray:
    """The coefficients of the spline along one axis."""
    moved = _factors(new, old).solve(np.ascontiguousarray(np.moveaxis(values, axis, 0)))
    return np.moveaxis(moved, 0, axis)


@lru_cache(maxsize=16)
def _factors(new: int, old: int) -> SuperLU:
    product = _averages(old, new).astype(np.float64) @ _basis(new, old).astype(np.float64)
    return splu(sparse.csc_array(product))


@lru_cache(maxsize=16)
def _averages(new: int, old: int) -> sparse.csr_array:
    """[new, old] shares of the old pixels in each new, larger one."""
    ratio = old / new
    first = np.floor(np.arange(new) * ratio).astype(np.int64)
    place = first[:, None] + np.arange(int(np.ceil(ratio)) + 1)[None]
    low, high = np.arange(new)[:, None] * ratio, (np.arange(new)[:, None] + 1) * ratio
    share = (np.minimum(place + 1, high) - np.maximum(place, low)).clip(0) / ratio
    rows = np.broadcast_to(np.arange(new)[:, None], place.shape)
    inside = (place < old) & (share > 1e-9)
    return sparse.csr_array((share[inside].astype(np.float32), (rows[inside], place[inside])), shape=(new, old))


@lru_cache(maxsize=16)
def _basis(new: int, old: int) -> sparse.csr_array:
    """[new, old] cubic B-splines about the old pixels at the middles of the new ones; those beyond the border go on straight."""
    at = (np.arange(new) + 0.5) * old / new - 0.5
    first = np.floor(at).astype(np.int64)
    t = at - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * (1 - t) ** 3 - 6 * (1 - t) ** 2 + 4, t**3]) / 6
    entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for offset, weight in zip(range(-1, 3), weights, strict=True):
        place = first + offset
        near = place.clip(0, old - 1)
        beyond = place - near  # c[-k] = (1 + k) c[0] - k c[1]
        inward = (near - np.sign(beyond)).clip(0, old - 1)
        entries += [
            (weight * (1 + np.abs(beyond)), np.arange(new), near),
            (-weight * np.abs(beyond), np.arange(new), inward),
        ]
    values, rows, columns = (np.concatenate(part) for part in zip(*entries, strict=True))
    matrix = sparse.csr_array((values.astype(np.float32), (rows, columns)), shape=(new, old))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
