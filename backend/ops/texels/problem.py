"""What the texture solver is asked beside the normal equations: seam rows, smoothness, and how long to go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from backend.ops.texels import pyramid


@dataclass(frozen=True)
class Seams:
    """Pairs of places that show the same point of the surface: rows weight |T(uv_a) - T(uv_b)|².

    uv_a, uv_b [M, 2] float32, u right, v up, 0..1. weight [M] float32, relative to what a seen texel weighs on average.
    """

    uv_a: np.ndarray
    uv_b: np.ndarray
    weight: np.ndarray

    def rows(self, size: int, level: int, side: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Texels [M, 8] int64 of a level and their weights [M, 8] float32, each times the root of the row's weight."""
        places = [pyramid.to_texels(torch.as_tensor(uv, dtype=torch.float32), size) for uv in (self.uv_a, self.uv_b)]
        found = [pyramid.cells(place, level, side) for place in places]
        root = torch.as_tensor(self.weight, dtype=torch.float32).mul(scale).sqrt()[:, None]
        steps = torch.tensor((0, 1, side, side + 1))
        corners = torch.cat([index[:, None] + steps for index, _ in found], 1)
        amounts = torch.cat([found[0][1] * root, -found[1][1] * root], 1)
        return corners.numpy(), amounts.numpy()


NO_SEAMS = Seams(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, np.float32))


@dataclass(frozen=True)
class Problem:
    """What `solve` was asked: smoothness and seam_scale in absolute weights."""

    smoothness: float
    charts: np.ndarray
    seams: Seams
    seam_scale: float
    sweeps: int
    iterations: int
    tolerance: float
    alive: Callable[[], object]
