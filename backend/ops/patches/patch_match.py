"""An image put together again from patches of exemplars: each of its patches finds its nearest one there, and they vote.

An image is a map [H, W] or has channels [C, H, W], such as the colours and height of a material: a patch is all of them.

Gives relief and textures what marginal distributions cannot: ridges that go on, bricks with mortar around them (the idea of Kwatra
et al. 2005, EM on patches, with the coarse-to-fine field of Granot et al. 2022, arXiv 2103.15545). What the vote
blurs and how often it uses which exemplar patch is put right afterwards by backend.ops.patches.sliced_wasserstein.

Plain torch on any device (patch_match_plain.py), twins on the CPU and for CUDA. They sum in another order: where two exemplar
patches are alike to the rounding of float32 they may choose differently. Knows no pyramid beyond carrying its field to
another size.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.moments import variance
from backend.ops.patches import patch_match_plain as plain
from backend.ops.patches.constants import PATCH

MEAN_WEIGHT = 0.1  # of a difference in mean height: a landform may be used higher or lower, but not anywhere
DRAWS = 5
MOST_OVERUSE = 8.0  # times its share: what is used more often costs no more
NO_PENALTY = np.empty((0, 0), np.float32)  # what the kernel takes for None
NOT_PACKED = np.empty(0, np.float32)
SEPARATOR = 1e3  # a row of it between pooled exemplars, in deviations: no patch across it is ever the nearest


def vote_window() -> Tensor:
    """Weights float32 [7, 7] of a patch's pixels in the vote: a Gaussian of 1.5 pixels."""
    across = np.exp(-(((np.arange(PATCH) - PATCH // 2) / 1.5) ** 2) / 2)
    return torch.from_numpy(np.outer(across, across).astype(np.float32))


@dataclass(frozen=True)
class Atlas:
    """Groups of exemplars in one image.

    values [C, A, B]. zones int32 [S, 4]: first and last row and column of a patch's corner, for each group. mean_weight 0..1: how
    much a difference in mean counts when patches are compared; what does not count is made up for when they vote. evenness:
    how dear patches become that are used often, see usage_penalty(); 0 for not at all.
    """

    values: Tensor
    zones: Tensor
    mean_weight: float = MEAN_WEIGHT
    evenness: float = 0.0

    @functools.cached_property
    def packed(self) -> np.ndarray:
        """On the CPU: the values as the kernel wants them where a difference in mean counts as any other; else nothing."""
        from backend.ops.patches import patch_distance_cpu

        if self.mean_weight != 1.0:
            return NOT_PACKED
        return patch_distance_cpu.packed_atlas(self.values.numpy())

    @functools.cached_property
    def variance(self) -> Tensor:
        """Of a pixel of the exemplars, all of its channels together: float64 without dimensions, away from the CPU without
        waiting."""
        is_inside = (self.values < SEPARATOR).all(0)
        if self.values.device.type == "cpu":
            return torch.tensor(sum(variance(channel) for channel in self.values[:, is_inside]), dtype=torch.float64)
        values, count = self.values.double(), is_inside.sum()
        mean = torch.where(is_inside, values, 0.0).sum((1, 2), keepdim=True) / count
        return torch.where(is_inside, values - mean, 0.0).square_().sum() / count

    @staticmethod
    def of(groups: Sequence[Sequence[Tensor]], mean_weight: float = MEAN_WEIGHT, evenness: float = 0.0) -> Atlas:
        """Exemplars [h, w] or [C, h, w] of one group are pooled: any of them may be used where the group applies. They are cut to
        a common width."""
        stacks = [[_stack(exemplar) for exemplar in group] for group in groups]
        widths = [min(exemplar.shape[2] for exemplar in group) for group in stacks]
        rows = sum(exemplar.shape[1] + 1 for group in stacks for exemplar in group)
        values = stacks[0][0].new_full((len(stacks[0][0]), rows, max(widths)), SEPARATOR)
        zones, top = [], 0
        for group, width in zip(stacks, widths, strict=True):
            first = top
            for exemplar in group:
                values[:, top : top + exemplar.shape[1], :width] = exemplar[..., :width]
                top += exemplar.shape[1] + 1
            zones.append((first, top - 1 - PATCH, 0, width - PATCH))
        return Atlas(values, torch.tensor(zones, dtype=torch.int32, device=values.device), mean_weight, evenness)


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

    def of_channels(self, count: int) -> Field:
        """The same matches in an atlas of its first channels only, for the vote: what has guided the search is not drawn."""
        return replace(self, atlas=replace(self.atlas, values=self.atlas.values[:count]))

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


def reconstruct(image: Tensor, field: Field, *, sweeps: int, seed: int, impl: Impl = "auto") -> tuple[Tensor, Field]:
    """search(), then the vote: the new image and the field that it is made of."""
    found = search(image, field, sweeps=sweeps, seed=seed, impl=impl)
    return vote(image, found, impl=impl), found


def search(image: Tensor, field: Field, *, sweeps: int, seed: int, impl: Impl = "auto") -> Field:
    """`sweeps` of search for better matches of the patches of an image float32 [H, W] or [C, H, W]."""
    radius = max(2, max(field.atlas.values.shape[1:]) // 4)
    y, x = field.y, field.x
    fair = fair_use(field) if field.atlas.evenness else None
    for sweep in range(sweeps):
        jump = (4, 2, 1, 1)[sweep % 4]
        now = Field(field.atlas, field.groups, field.stride, y, x)
        y, x = improve(image, now, seed * 64 + sweep, jump, radius, impl, fair=fair)
    return Field(field.atlas, field.groups, field.stride, y, x)


def improve(
    image: Tensor, field: Field, seed: int, jump: int, radius: int, impl: Impl = "auto", *, fair: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """One sweep: each patch keeps the best of its match, of those of four neighbours `jump` away moved along, and of DRAWS
    random ones near it, at first within `radius` pixels. Returns the new y and x. fair: fair_use(), where it is known."""
    stack = _stack(image)
    chosen = choose(impl, image.device, cuda=True)
    penalty = usage_penalty(field, fair, impl=impl) if field.atlas.evenness else None
    if chosen == "cuda":
        from backend.ops.patches import patch_match_cuda

        return patch_match_cuda.improve(
            stack, field.atlas.values, field.y, field.x, field.atlas.zones, field.groups, field.stride,
            field.atlas.mean_weight, penalty, seed, jump, DRAWS, radius,
        )  # fmt: skip
    if chosen == "cpu":
        from backend.ops.patches import patch_match_cpu

        new = patch_match_cpu.improve(
            stack.numpy(), field.atlas.values.numpy(), field.y.numpy(), field.x.numpy(), field.atlas.zones.numpy(),
            field.groups.numpy(), field.stride, np.float32(field.atlas.mean_weight),
            NO_PENALTY if penalty is None else penalty.numpy(), seed, jump, DRAWS, radius, field.atlas.packed,
        )  # fmt: skip
        return torch.from_numpy(new[0]), torch.from_numpy(new[1])
    return plain.improve(
        stack, field.atlas.values, field.y, field.x, field.atlas.zones, field.groups, field.stride, field.atlas.mean_weight,
        penalty, seed, jump, DRAWS, radius,
    )  # fmt: skip


def usage_penalty(field: Field, fair: Tensor | None = None, *, impl: Impl = "auto") -> Tensor:
    """What a patch of the atlas costs by how often it and those that overlap it are used, float32 [A, B] by its corner.

    Even use costs nothing; use at u times its share costs evenness * (u - 1) of the exemplars' variance in a patch. Without
    it a few smooth patches take over, and what is rare in an exemplar is lost (the occurrence map of Kaspar et al. 2015,
    doi:10.1111/cgf.12565, in another form). fair: fair_use(), where it is known.
    """
    atlas = field.atlas
    fair = fair_use(field) if fair is None else fair
    cost = atlas.evenness * PATCH**2 * atlas.variance
    if choose(impl, fair.device, cuda=True) == "cuda":
        from backend.ops.patches import patch_match_cuda

        return patch_match_cuda.usage_penalty(field.y, field.x, fair, MOST_OVERUSE, cost.float().reshape(1))
    rows, columns = fair.shape
    place = (field.y.long() * columns + field.x.long()).flatten()
    used = torch.zeros(rows * columns, dtype=torch.int32, device=place.device)
    used.index_add_(0, place, torch.ones_like(place, dtype=torch.int32))
    over = (_window_sums(used.view(rows, columns).float()) / fair.clamp_min(1e-12)).sub_(1.0).clamp_(0.0, MOST_OVERUSE)
    return over.mul_(cost)


def fair_use(field: Field) -> Tensor:
    """How often the patches about each place of the atlas would be used if all were used alike, float32 [A, B] by their corner."""
    atlas = field.atlas
    rows, columns = atlas.values.shape[1:]
    fair = torch.zeros(rows, columns, device=atlas.values.device)
    for group, (y0, y1, x0, x1) in enumerate(zone.unbind() for zone in atlas.zones.unbind()):
        share = (field.groups == group).sum() / ((y1 + 1 - y0) * (x1 + 1 - x0))
        fair += share * _windows_in(y0, y1, rows, fair)[:, None] * _windows_in(x0, x1, columns, fair)
    return fair


def _windows_in(first: Tensor, last: Tensor, count: int, like: Tensor) -> Tensor:
    """How many of first..last lie within half a patch of each place 0..count - 1."""
    place, half = torch.arange(count, device=like.device), PATCH // 2
    most, least = torch.minimum(place + half, last), torch.maximum(place - half, first)
    return (most - least + 1).clamp_min(0).to(like.dtype)


def _window_sums(counts: Tensor) -> Tensor:
    """Sums of whole numbers [A, B] over 7 x 7 about each place."""
    rows = F.avg_pool2d(counts[None, None], (PATCH, 1), 1, (PATCH // 2, 0), divisor_override=1)
    return F.avg_pool2d(rows, (1, PATCH), 1, (0, PATCH // 2), divisor_override=1)[0, 0]


def vote(image: Tensor, field: Field, *, impl: Impl = "auto") -> Tensor:
    """The image whose pixel is the weighted mean over the patches on it of their match, lifted towards the patch's own mean as far
    as a difference in mean does not count."""
    window, stack, weight = _window_on(image.device), _stack(image), field.atlas.mean_weight
    chosen = choose(impl, image.device, cuda=True)
    if chosen == "cuda":
        from backend.ops.patches import patch_match_cuda

        made = patch_match_cuda.vote(stack, field.atlas.values, field.y, field.x, field.stride, window, weight)
    elif chosen == "cpu":
        from backend.ops.patches import patch_match_cpu

        made = torch.from_numpy(patch_match_cpu.vote(
            stack.numpy(), field.atlas.values.numpy(), field.y.numpy(), field.x.numpy(), field.stride, window.numpy(), weight
        ))  # fmt: skip
    else:
        made = plain.vote(stack, field.atlas.values, field.y, field.x, field.stride, window, weight)
    return made[0] if image.dim() == 2 else made


@functools.lru_cache(maxsize=8)
def _window_on(device: torch.device) -> Tensor:
    return vote_window().to(device)


def _stack(image: Tensor) -> Tensor:
    """The same memory as [C, H, W]."""
    return image[None] if image.dim() == 2 else image


def _patch_groups(shape: tuple[int, int], labels: Tensor, stride: int) -> Tensor:
    """The label at the centre of every stride-th patch, uint8 [h, w]."""
    half = PATCH // 2
    rows, columns = ((side - PATCH) // stride + 1 for side in shape)
    return labels[half::stride, half::stride][:rows, :columns].contiguous()
