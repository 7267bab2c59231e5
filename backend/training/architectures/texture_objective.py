"""What the compact texture generator learns by: how a tile differs from the sources at several scales, and the way to less of it.

Three comparisons of 7 x 7 patches take turns at each scale:
  1. sliced Wasserstein distances of the patches themselves, by filters that look at all of a patch and by filters that look at a
     few pixels of it: grain, contrast and colour, each in its right share;
  2. the same of the answers to edge filters, whatever their sign: how grain and edges lie together, which linear projections
     hardly hear (as scattering transforms do: Bruna and Mallat 2013, arXiv 1203.1513);
  3. the nearest patch of the sources, each of them as near to its users as any (Granot et al. 2022, arXiv 2103.15545): bricks and
     other shapes, which distributions alone allow to be scrambled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.algorithms.textures import torus
from backend.models.texture_generator import FINEST
from backend.ops.patches import filter_bank, sliced_wasserstein
from backend.ops.patches.constants import PATCH

SCALES = 5
CROP_PX = 128  # of a tile that is compared at a step, at each scale: another place each time
PHASED_SCALES = 2
FEATURES = 8
FEATURES_SHARE = 0.5  # of the steps in which answers to edge filters are compared
MATCHED_SCALES = (1, 2, 3)  # of which one a step looks for nearest patches
MATCHED = 512  # patches of the tile, at a step
OFFERED = 4096  # patches of the sources, at a step
MOST_PATCHES = 65536  # of the sources
EVENNESS = 0.02  # of a patch's mean square; small makes the use of the sources' patches even
MATCH_WEIGHT, LAST_MATCH_WEIGHT = 1.0, 0.1  # of the comparison with nearest patches: shapes first, then distributions

Bank = tuple[sliced_wasserstein.FilterBank, float]  # and the mean square of what the sources look like through it


@dataclass(frozen=True)
class Scale:
    """What the sources look like at a scale. patches [M, C * 49] and their mean square variance: for matching; empty where there is
    none."""

    plain: list[Bank]
    edges: list[Bank]
    patches: Tensor
    spread: float


class Objective:
    """How tiles differ from sources [C, h, w].

    structure: weight of the third comparison, 0 for none. filters: per bank, an even number. banks: per scale and comparison.
    side: of the tiles, pixels.
    """

    def __init__(
        self, sources: Sequence[Tensor], *, structure: float, filters: int, banks: int, side: int,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        self._structure = structure
        channels = len(sources[0])
        drawn = torch.randn(FEATURES, channels, 3, 3, generator=generator)
        drawn = drawn - drawn.mean((2, 3), keepdim=True)
        self._edges = (drawn / drawn.square().sum((1, 2, 3), keepdim=True).sqrt()).to(sources[0].device)
        self._scales: list[Scale] = []
        for number in range(SCALES):
            small = [F.avg_pool2d(source[None], 2**number)[0].contiguous() if number else source for source in sources]
            small = [source for source in small if min(source.shape[1:]) >= 2 * PATCH]
            if not small or side // 2**number < 2 * PATCH:
                break
            self._scales.append(self._measured(number, small, filters, banks, generator))

    def _measured(
        self, number: int, sources: list[Tensor], filters: int, banks: int, generator: torch.Generator
    ) -> Scale:
        made = []
        for turn in range(banks):
            draw = filter_bank.local_filters if turn % 2 else filter_bank.random_filters
            made.append(_measure(sources, draw(filters, generator, channels=len(sources[0]))))
        answers = [self._answers(source).contiguous() for source in sources]
        answers = [answer for answer in answers if min(answer.shape[1:]) >= 2 * PATCH]
        edges = [
            _measure(answers, filter_bank.random_filters(filters, generator, channels=FEATURES))
            for _ in range(banks if answers else 0)
        ]
        patches, spread = torch.zeros(0, 0), 0.0
        if number in MATCHED_SCALES:
            patches = torch.cat([_patches(source) for source in sources])
            if len(patches) > MOST_PATCHES:
                patches = patches[torch.randperm(len(patches), generator=generator)[:MOST_PATCHES]]
            spread = float(patches.var(0).sum())
        return Scale(made, edges, patches, spread)

    def direction(self, tile: Tensor, done: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The way down [C, H, W] for a tile, which wraps, and its length, 0-d, for watching the training. done: share of it."""
        whole, total = torch.zeros_like(tile), torch.zeros((), device=tile.device)
        matched = [number for number in MATCHED_SCALES if number < len(self._scales) and self._structure]
        chosen = matched[int(torch.randint(len(matched), (), generator=generator))] if matched else -1
        for number, scale in enumerate(self._scales):
            small = F.avg_pool2d(tile[None], 2**number)[0] if number else tile
            part, window = crop(small, generator)
            way = self._transport(part, window, scale, number, generator)
            if number == chosen:
                weight = self._structure * (MATCH_WEIGHT + done * (LAST_MATCH_WEIGHT - MATCH_WEIGHT))
                way += weight * len(matched) * _matching(part, scale, generator)
            total += way.square().sum().sqrt()
            around = torch.zeros_like(small)
            add_window(around, way, window)
            whole += F.interpolate(around[None], scale_factor=2**number)[0] / 4**number if number else around
        return whole, total

    def _transport(
        self, part: Tensor, window: tuple[Tensor, Tensor], scale: Scale, number: int, generator: torch.Generator
    ) -> Tensor:
        """The way down on a sliced Wasserstein distance, in shares of the sources' own variance, per patch."""
        by_edges = bool(scale.edges) and float(torch.rand((), generator=generator)) < FEATURES_SHARE
        banks = scale.edges if by_edges else scale.plain
        bank, size = banks[int(torch.randint(len(banks), (), generator=generator))]
        if by_edges:
            seen = part.clone().requires_grad_()
            answers = self._answers(seen)
            pull = sliced_wasserstein.ascent(answers.detach().contiguous(), bank)
            way = torch.autograd.grad((answers * pull).sum(), seen)[0]
            count = _patch_count(answers)
        else:
            phases, phase = _phases(window, number, generator)
            here = phases == phase
            way = sliced_wasserstein.ascent(part, bank, labels=phases, label=phase, weight=here.float())
            count = _patch_count(part) / (int(phases.max()) + 1)
        return way / (size * count * len(bank.filters))

    def _answers(self, image: Tensor) -> Tensor:
        """How strongly an image [C, h, w] answers to the edge filters, over 2 x 2 pixels: [FEATURES, h / 2, w / 2]."""
        return F.avg_pool2d(F.conv2d(image[None], self._edges, padding=1).abs(), 2)[0]


def _measure(sources: Sequence[Tensor], filters: Tensor) -> Bank:
    bank = sliced_wasserstein.measure(sources, filters)
    return bank, max(float(bank.quantiles.var(1).mean()), 1e-12)


def _patch_count(image: Tensor) -> int:
    return (image.shape[1] - PATCH + 1) * (image.shape[2] - PATCH + 1)


def _patches(image: Tensor) -> Tensor:
    """[n, C * 49] of an image [C, h, w]."""
    return F.unfold(image[None], PATCH)[0].T


def _matching(part: Tensor, scale: Scale, generator: torch.Generator) -> Tensor:
    """The way of some patches of an image [C, h, w] to the nearest ones of the sources, in shares of their variance, per patch."""
    seen = part.clone().requires_grad_()
    found = _patches(seen)
    found = found[torch.randperm(len(found), generator=generator)[:MATCHED].to(found.device)]
    mine, theirs = found.detach(), scale.patches
    if len(theirs) > OFFERED:
        theirs = theirs[torch.randint(len(theirs), (OFFERED,), generator=generator).to(theirs.device)]
    apart = theirs.square().sum(1) - 2.0 * mine @ theirs.T + mine.square().sum(1, keepdim=True)
    apart = apart.clamp_min(0.0) / (apart.amin(0) + EVENNESS * scale.spread)
    nearest = theirs[apart.argmin(1)]
    loss = 0.5 * (found - nearest).square().sum() / (scale.spread * len(found))
    return -torch.autograd.grad(loss, seen)[0]


def crop(image: Tensor, generator: torch.Generator) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """A square of a tile [C, H, W] that may lie across its borders, and the rows and columns that it takes, repeated ones too: a
    whole small tile comes with the continuation that its last patches reach into."""
    places = []
    for side in image.shape[1:]:
        first = int(torch.randint(side, (), generator=generator))
        count = min(side, CROP_PX) + torus.REACH
        places.append(((torch.arange(count) + first) % side).to(image.device))
    return image[:, places[0][:, None], places[1]].contiguous(), (places[0], places[1])


def add_window(image: Tensor, values: Tensor, window: tuple[Tensor, Tensor]) -> None:
    """Adds values [C, h, w] to those places of an image [C, H, W]; places may come twice."""
    rows = torch.zeros(image.shape[0], image.shape[1], values.shape[2], device=image.device)
    rows.index_add_(1, window[0], values)
    image.index_add_(2, window[1], rows)


def _phases(window: tuple[Tensor, Tensor], number: int, generator: torch.Generator) -> tuple[Tensor, int]:
    """Which of the pixels of a cell each pixel of a window is, uint8 [h, w], and which of them is compared at this step.

    Distances over all pixels together would not see it if one pixel of each cell were always blurred and another always sharp.
    Coarse scales have too few patches to divide.
    """
    if number >= PHASED_SCALES:
        return torch.zeros(len(window[0]), len(window[1]), dtype=torch.uint8, device=window[0].device), 0
    phases = (window[0][:, None] % FINEST * FINEST + window[1] % FINEST).to(torch.uint8)
    return phases, int(torch.randint(FINEST**2, (), generator=generator))
