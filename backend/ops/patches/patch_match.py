"""A map put together again from patches of exemplars: each of its patches finds its nearest one there, and they vote.

Gives relief transfer what marginal distributions cannot: ridges that go on, valleys that join (the idea of Kwatra
et al. 2005, EM on patches, with the coarse-to-fine field of Granot et al. 2022, arXiv 2103.15545). What the vote
blurs and how often it uses which exemplar patch is put right afterwards by backend.ops.patches.sliced_wasserstein.

Plain torch on any device (patch_match_plain.py), a numba twin on the CPU. They sum in another order: where two exemplar
patches are alike to the rounding of float32 they may choose differently. Knows no pyramid beyond carrying its field to
another size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.patches import patch_match_plain as plain
from backend.ops.patches.constants import PATCH

MEAN_WEIGHT = 0.1  # of a difference in mean height: a landform may be used higher or lower, but not anywhere
DRAWS = 5
SEPARATOR = 1e3  # a row of it between pooled exemplars, in deviations: no patch across it is ever the nearest


def vote_window() -> Tensor:
    """Weights float32 [7, 7] of a patch's pixels in the vote: a Gaussian of 1.5 pixels."""
    across = np.exp(-(((np.arange(PATCH) - PATCH // 2) / 1.5) ** 2) / 2)
    return torch.from_numpy(np.outer(across, across).astype(np.float32))


@dataclass(frozen=True)
class Atlas:
    """Groups of exemplars in one map; zones int32 [S, 4]: first and last row and column of a patch's corner, for
    each group."""

    values: Tensor
    zones: Tensor

    @staticmethod
    def of(groups: Sequence[Sequence[Tensor]]) -> Atlas:
        """Maps [h, w] of one group are pooled: any of them may be used where the group applies. They are cut to a
        common width."""
        widths = [min(exemplar.shape[1] for exemplar in group) for group in groups]
        rows = sum(len(exemplar) + 1 for group in groups for exemplar in group)
        values = groups[0][0].new_full((rows, max(widths)), SEPARATOR)
        zones, top = [], 0
        for group, width in zip(groups, widths, strict=True):
            first = top
            for exemplar in group:
                values[top : top + len(exemplar), :width] = exemplar[:, :width]
                top += len(exemplar) + 1
            zones.append((first, top - 1 - PATCH, 0, width - PATCH))
        return Atlas(values, torch.tensor(zones, dtype=torch.int32, device=values.device))


@dataclass(frozen=True)
class Field:
    """The match of every stride-th patch of a map: the top left corner in the atlas, y and x int32 [h, w].

    groups uint8 [h, w]: the group of exemplars that each patch takes.
    """

    atlas: Atlas
    groups: Tensor
    stride: int
    y: Tensor
    x: Tensor

    @staticmethod
    def random(
        shape: tuple[int, int], atlas: Atlas, labels: Tensor, stride: int, generator: np.random.Generator
    ) -> Field:
        """Random matches for a map of that shape; labels uint8 [H, W] the group that each of its pixels takes."""
        groups = _patch_groups(shape, labels, stride)
        y0, y1, x0, x1 = np.moveaxis(atlas.zones.cpu().numpy()[groups.cpu().numpy()], -1, 0)
        y = generator.integers(y0, y1 + 1, dtype=np.int32)
        x = generator.integers(x0, x1 + 1, dtype=np.int32)
        return Field(atlas, groups, stride, *(torch.from_numpy(v).to(atlas.values.device) for v in (y, x)))

    def resized(
        self, shape: tuple[int, int], atlas: Atlas, labels: Tensor, stride: int, ratio: float, margin: int = 0
    ) -> Field:
        """The same matches on a map and an atlas that are `ratio` times as large.

        margin: pixels beyond each border that the new map has on top of what is `ratio` times as large.
        """
        groups = _patch_groups(shape, labels, stride)
        rows, columns = (
            ((torch.arange(count, device=groups.device, dtype=torch.float64) * stride - margin) / (ratio * self.stride))
            .long()
            .clamp(0, coarse - 1)
            for count, coarse in zip(groups.shape, self.y.shape, strict=True)
        )
        y, x, used = (values[rows[:, None], columns[None]] for values in (self.y, self.x, self.groups))
        # scale inside the exemplar: rounding moves the place of each one in the atlas
        tops, new_tops = (zones[:, 0][used.long()] for zones in (self.atlas.zones, atlas.zones))
        y = ((y - tops).double() * ratio).round().int() + new_tops
        return Field(atlas, groups, stride, y, (x.double() * ratio).round().int())


def reconstruct(height: Tensor, field: Field, *, sweeps: int, seed: int, impl: Impl = "auto") -> tuple[Tensor, Field]:
    """`sweeps` of search for better matches of the patches of a map [H, W] float32, then the vote: the new map and the field
    that it is made of."""
    radius = max(2, max(field.atlas.values.shape) // 4)
    y, x = field.y, field.x
    for sweep in range(sweeps):
        jump = (4, 2, 1, 1)[sweep % 4]
        y, x = improve(
            height, Field(field.atlas, field.groups, field.stride, y, x), seed * 64 + sweep, jump, radius, impl
        )
    found = Field(field.atlas, field.groups, field.stride, y, x)
    return vote(height, found, impl=impl), found


def improve(
    height: Tensor, field: Field, seed: int, jump: int, radius: int, impl: Impl = "auto"
) -> tuple[Tensor, Tensor]:
    """One sweep: each patch keeps the best of its match, of those of four neighbours `jump` away moved along, and of DRAWS
    random ones near it, at first within `radius` pixels. Returns the new y and x."""
    if choose(impl, height.device) == "cpu":
        from backend.ops.patches import patch_match_cpu

        new = patch_match_cpu.improve(
            height.numpy(), field.atlas.values.numpy(), field.y.numpy(), field.x.numpy(), field.atlas.zones.numpy(),
            field.groups.numpy(), field.stride, np.float32(MEAN_WEIGHT), seed, jump, DRAWS, radius,
        )  # fmt: skip
        return torch.from_numpy(new[0]), torch.from_numpy(new[1])
    return plain.improve(
        height, field.atlas.values, field.y, field.x, field.atlas.zones, field.groups, field.stride, MEAN_WEIGHT, seed,
        jump, DRAWS, radius,
    )  # fmt: skip


def vote(height: Tensor, field: Field, *, impl: Impl = "auto") -> Tensor:
    """The map [H, W] whose pixel is the weighted mean over the patches on it of their match, at the patch's own mean height."""
    window = vote_window()
    if choose(impl, height.device) == "cpu":
        from backend.ops.patches import patch_match_cpu

        made = patch_match_cpu.vote(
            height.numpy(), field.atlas.values.numpy(), field.y.numpy(), field.x.numpy(), field.stride, window.numpy()
        )
        return torch.from_numpy(made)
    return plain.vote(height, field.atlas.values, field.y, field.x, field.stride, window)


def _patch_groups(shape: tuple[int, int], labels: Tensor, stride: int) -> Tensor:
    """The label at the centre of every stride-th patch, uint8 [h, w]."""
    half = PATCH // 2
    rows, columns = ((side - PATCH) // stride + 1 for side in shape)
    return labels[half::stride, half::stride][:rows, :columns].contiguous()
