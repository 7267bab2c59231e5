"""Plain weighted averaging: every pixel's colour goes to the four texels around its UV, by bilinear weight times the cosine
of facing; a texel is the mean of what it was given. Texels that nothing reached take the mean at the next coarser size.

What a texture baker does without robustness, gains or alignment; one pass, so it is as fast as it is plain.
"""

from __future__ import annotations

import numba
import numpy as np


def average(photographs: np.ndarray, uv_maps: list[np.ndarray], facing_maps: list[np.ndarray], size: int) -> np.ndarray:
    """float32 [size, size, 3], 0..1. photographs: uint8 [V, H, W, 3]; maps [H, W, 2] (NaN: nothing there) and [H, W]."""
    total = np.zeros((size, size, 4), np.float32)
    for photograph, uv, facing in zip(photographs, uv_maps, facing_maps, strict=True):
        _splat(photograph, uv, facing, total)
    return fill(total)


def fill(total: np.ndarray) -> np.ndarray:
    """Means [S, S, 3] of sums [S, S, 4] (colour, weight), empty texels from sums over 2 x 2, 4 x 4 ... texels."""
    weight = total[..., 3:]
    mean = total[..., :3] / np.maximum(weight, 1e-12)
    if total.shape[0] > 1 and (weight < 1e-6).any():
        half = total[0::2, 0::2] + total[1::2, 0::2] + total[0::2, 1::2] + total[1::2, 1::2]
        coarse = fill(half).repeat(2, 0).repeat(2, 1)
        mean = np.where(weight < 1e-6, coarse, mean)
    return mean.astype(np.float32)


@numba.njit(cache=True)
def _splat(photograph: np.ndarray, uv: np.ndarray, facing: np.ndarray, total: np.ndarray) -> None:
    side = total.shape[0]
    for i in range(uv.shape[0]):
        for j in range(uv.shape[1]):
            u, v = uv[i, j, 0], uv[i, j, 1]
            if np.isnan(u):
                continue
            x, y = min(max(u * side - 0.5, 0.0), side - 1.001), min(max((1 - v) * side - 0.5, 0.0), side - 1.001)
            p, q = int(y), int(x)
            a, b = x - q, y - p
            for k in range(4):
                w = (a if k % 2 else 1 - a) * (b if k // 2 else 1 - b) * facing[i, j]
                for c in range(3):
                    total[p + k // 2, q + k % 2, c] += w * photograph[i, j, c] / np.float32(255)
                total[p + k // 2, q + k % 2, 3] += w
