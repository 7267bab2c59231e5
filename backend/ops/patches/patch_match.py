"""A map re-told in the patches of exemplars: each of its patches finds its nearest landform, and they vote.

Gives relief transfer what marginal distributions cannot: ridges that go on, valleys that join (the idea of Kwatra
et al. 2005, EM on patches, with the coarse-to-fine field of Granot et al. 2022, arXiv 2103.15545). What the vote
blurs and how often it uses which exemplar patch is put right afterwards by backend.ops.sliced_wasserstein. Knows no
pyramid beyond carrying its field to another size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.ops.patches import patch_match_cpu as kernel

PATCH = kernel.PATCH
MEAN_WEIGHT = 0.1  # of a difference in mean height: a landform may be used higher or lower, but not anywhere
DRAWS = 5
FENCE = np.float32(1e3)  # a row of it between pooled exemplars, in deviations: no patch across it is ever the nearest
_ACROSS = np.exp(-(((np.arange(PATCH) - PATCH // 2) / 1.5) ** 2) / 2)
WINDOW = np.outer(_ACROSS, _ACROSS).astype(np.float32)


@dataclass(frozen=True)
class Atlas:
    """Groups of exemplars in one array; zones int32 [S, 4]: first and last row and column of a patch's corner, for
    each group."""

    values: np.ndarray
    zones: np.ndarray

    @staticmethod
    def of(groups: Sequence[Sequence[np.ndarray]]) -> Atlas:
        """Maps [h, w] of one group are pooled: any of them may be used where the group applies. They are cut to a
        common width."""
        widths = [min(e.shape[1] for e in group) for group in groups]
        rows = sum(len(e) + 1 for group in groups for e in group)
        values = np.full((rows, max(widths)), FENCE, np.float32)
        zones, top = [], 0
        for group, width in zip(groups, widths, strict=True):
            first = top
            for exemplar in group:
                values[top : top + len(exemplar), :width] = exemplar[:, :width]
                top += len(exemplar) + 1
            zones.append((first, top - 1 - PATCH, 0, width - PATCH))
        return Atlas(values, np.array(zones, np.int32))


class Field:
    """The match of every stride-th patch of a map, as the top left corner in an atlas."""

    def __init__(
        self, shape: tuple[int, int], atlas: Atlas, zone_of: np.ndarray, stride: int, rng: np.random.Generator
    ) -> None:
        """Random matches. shape is the map's; zone_of uint8 [H, W] the group that each of its pixels takes."""
        self._lay_out(shape, atlas, zone_of, stride)
        y0, y1, x0, x1 = np.moveaxis(self._zones[self._zone_of], -1, 0)
        self.y = rng.integers(y0, y1 + 1, dtype=np.int32)
        self.x = rng.integers(x0, x1 + 1, dtype=np.int32)

    def _lay_out(self, shape: tuple[int, int], atlas: Atlas, zone_of: np.ndarray, stride: int) -> None:
        self._atlas, self._zones, self._stride = atlas.values, atlas.zones, stride
        half = PATCH // 2
        grid = tuple((side - PATCH) // stride + 1 for side in shape)
        self._zone_of = np.ascontiguousarray(zone_of[half::stride, half::stride][: grid[0], : grid[1]])

    def resized(self, shape: tuple[int, int], atlas: Atlas, zone_of: np.ndarray, stride: int, ratio: float) -> Field:
        """The same matches on a map and an atlas that are `ratio` times as large."""
        finer = object.__new__(Field)
        finer._lay_out(shape, atlas, zone_of, stride)
        rows, columns = finer._zone_of.shape
        at_y = np.minimum((np.arange(rows) * stride / (ratio * self._stride)).astype(np.int64), self.y.shape[0] - 1)
        at_x = np.minimum((np.arange(columns) * stride / (ratio * self._stride)).astype(np.int64), self.y.shape[1] - 1)
        coarse = np.ix_(at_y, at_x)
        tops = self._zones[
            self._zone_of[coarse], 0
        ]  # scale inside the exemplar: rounding moves each one's place in the atlas
        new_tops = finer._zones[self._zone_of[coarse], 0]
        finer.y = np.rint((self.y[coarse] - tops) * ratio).astype(np.int32) + new_tops
        finer.x = np.rint(self.x[coarse] * ratio).astype(np.int32)
        return finer

    def retell(self, height: np.ndarray, *, sweeps: int, seed: int) -> np.ndarray:
        """`sweeps` of search, then the vote: a new map [H, W] float32."""
        radius = max(2, max(self._atlas.shape) // 4)
        for sweep in range(sweeps):
            jump = (4, 2, 1, 1)[sweep % 4]
            self.y, self.x = kernel.improve(
                height, self._atlas, self.y, self.x, self._zones, self._zone_of, self._stride, np.float32(MEAN_WEIGHT),
                seed * 64 + sweep, jump, DRAWS, radius,
            )  # fmt: skip
        return kernel.vote(height, self._atlas, self.y, self.x, self._stride, WINDOW)
