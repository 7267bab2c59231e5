"""Layers of hard and soft rock: rivers cut the soft ones faster, slopes stand steep in the hard ones and lie back in the others."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backend.ops.resampling import interpolate
from shared.catalog.hydrology import HydrologyParams

HARD_SHARE = 0.35  # of the thickness of a layer: its upper part, a cliff; the rest is soft, a bench
CLIFF_SHARE = 0.85  # of the rise of a layer that its cliff takes at full contrast
VARIATION = 0.3  # how far layers differ in thickness
HARDNESS = 0.05  # rate of wear in hard layers at full contrast, where soft ones wear at 1
BLUNT = 0.1  # of a layer's thickness: the ground must be worn by so much before its form shows half


class Strata:
    """Layers through a terrain. Heights are metres, float64 [H, W]; layers tilt about the middle of the map."""

    def __init__(
        self, height: Tensor, params: HydrologyParams, pixel_size_m: float, generator: torch.Generator
    ) -> None:
        self._contrast = params.strata
        relief_m = float(height.max() - height.min())
        self._thickness_m = max(params.layer_thickness / 100.0 * relief_m, 1e-6)
        self._tilt, self._angle = math.tan(math.radians(params.dip)), math.radians(params.dip_direction)
        tops = height + self._offset(height, pixel_size_m)
        low, high = float(tops.min()) - 2.0 * relief_m, float(tops.max()) + self._thickness_m
        count = min(math.ceil((high - low) / (self._thickness_m * (1.0 - VARIATION))), 100_000)
        uneven = 1.0 + VARIATION * (2.0 * torch.rand(count, generator=generator, dtype=torch.float64) - 1.0)
        self.bases_m = low + torch.cat([torch.zeros(1), self._thickness_m * uneven.cumsum(0)]).to(height)

    def rate(self, height: Tensor, pixel_size_m: float) -> Tensor:
        """How fast the rock at the surface wears [H, W], HARDNESS to 1."""
        hard = self._part(height + self._offset(height, pixel_size_m)) > 1.0 - HARD_SHARE
        return torch.where(hard, HARDNESS**self._contrast, 1.0)

    def benched(self, height: Tensor, worn_m: Tensor, pixel_size_m: float) -> Tensor:
        """Heights with cliffs in the hard layers and benches in the soft ones where the ground has been worn by `worn_m` [H, W].

        The same order of heights along any slope that is worn alike: what drained still drains.
        """
        offset = self._offset(height, pixel_size_m)
        knots = torch.stack([self.bases_m[:-1], self.bases_m[:-1] + (1.0 - HARD_SHARE) * self.bases_m.diff()], 1)
        steps = torch.stack([self.bases_m[:-1], self.bases_m[:-1] + (1.0 - CLIFF_SHARE) * self.bases_m.diff()], 1)
        moved = interpolate(height + offset, knots.flatten(), steps.flatten()) - offset - height
        shows = worn_m / (worn_m + BLUNT * self._thickness_m)
        return height + self._contrast * shows * moved

    def _part(self, depth: Tensor) -> Tensor:
        """Where in its layer a depth lies, 0 at the base, 1 at the top."""
        layer = (torch.searchsorted(self.bases_m, depth.contiguous(), right=True) - 1).clamp(0, len(self.bases_m) - 2)
        return (depth - self.bases_m[layer]) / (self.bases_m[layer + 1] - self.bases_m[layer])

    def _offset(self, height: Tensor, pixel_size_m: float) -> Tensor:
        """What layers that dip add to the height at which a flat one would lie [H, W]."""
        rows, columns = (
            torch.arange(n, dtype=torch.float64, device=height.device) - 0.5 * (n - 1) for n in height.shape
        )
        along = math.sin(self._angle) * columns[None] - math.cos(self._angle) * rows[:, None]
        return self._tilt * pixel_size_m * along
