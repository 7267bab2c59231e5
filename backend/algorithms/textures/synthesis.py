"""Textures from samples: coarse to fine, matching patches and moving their distribution in turns.

At each level of a pyramid
  1. the image is put together again from patches of the samples (backend.ops.patches.patch_match): bricks, leaves and lines are
     kept whole, but the vote blurs, and some parts of the samples are used often and some never;
  2. steps on the sliced Wasserstein distance between patches (backend.ops.patches.sliced_wasserstein) bring back the sharpness
     and every part's right share (transport.py).
They take turns: after matching alone or transport alone, the same time spent gives blurred or scrambled results.

Works on channels of about unit deviation (channels.py), on the device of the samples. `observe` is called after each step and may
stop the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.textures import rows, torus, transport
from backend.ops.dispatch import kernel_threads
from backend.ops.moments import mean, variance
from backend.ops.patches import patch_match, sliced_wasserstein
from backend.ops.patches.constants import PATCH
from backend.ops.patches.transport_steps import TransportSteps
from backend.ops.resampling import nearest, resize

LEVEL_RATIO = 0.7
LEAST_SAMPLE_PX = 20  # at the coarsest level: a patch needs room to differ from its neighbours
LEAST_IMAGE_PX = 12
TURNS = 3  # of matching and transport at a level
FIRST_SWEEPS, SWEEPS, LARGE_SWEEPS = 12, 4, 2
EVENNESS = 0.1  # of the use of the samples' patches
LIMIT_EVERY = 2  # steps
ONE_THREAD_PX = 64 * 64
LARGE_PX = 384 * 384  # from here on every second patch is matched, by fewer sweeps, and banks are smaller
BORDER_PX = 3.0  # deviation of the blend between two samples at the finest level

Observe = Callable[[float, str, Callable[[], Tensor]], bool]  # share done, stage, the image so far -> go on?
Samples = Sequence[Sequence[Tensor]]  # sources, each of parts [C, h, w]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """steps: of transport per level of 256 x 256 pixels; smaller levels get more. structure 0..1: the share of levels, counted
    from the coarsest, on which patches are matched. straight_rows: whether rows of bricks and the like are kept so. wraps:
    whether the last row meets the first, and the last column."""

    steps: int = 30
    structure: float = 1.0
    straight_rows: bool = True
    wraps: torus.Wraps = torus.BOTH


def synthesize(
    samples: Samples,
    labels: Tensor,  # [H, W] uint8: which source where; a side that wraps is even
    settings: Settings,
    generator: torch.Generator,
    *,
    limited: Callable[[Tensor], object] = lambda image: image,
    observe: Observe = lambda share, stage, image: True,
) -> Tensor:
    """An image [C, H, W] with the patches of the samples. limited(image): brings it within the samples' range of values, in
    place."""
    shape = (labels.shape[0], labels.shape[1])
    ratios = level_ratios(shape, [part.shape[1:] for parts in samples for part in parts])
    sizes = [_size(shape, ratio, settings.wraps) for ratio in ratios]
    matched = math.ceil(settings.structure * len(ratios)) or 1
    plans = [_plan(size, number < matched) for number, size in enumerate(sizes)]
    areas = [height * width for height, width in sizes]
    costs = np.cumsum(
        [0.0, *(plan.steps(area, settings.steps) * area for plan, area in zip(plans, areas, strict=True))]
    )
    filters = {plan: plan.drawn(len(samples[0][0]), generator) for plan in dict.fromkeys(plans)}
    rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    guides = [rows.Guide.of(parts, shape, settings.wraps, rng) if settings.straight_rows else None for parts in samples]
    image, field = None, None
    for number, (ratio, size) in enumerate(zip(ratios, sizes, strict=True)):
        at_level = [[_scaled(part, ratio) for part in parts] for parts in samples]
        level = _Level(
            at_level, guides, nearest(labels, size), ratio, plans[number], settings, filters[plans[number]], number
        )
        image = level.beginning(generator) if image is None else torus.enlarged(image, size, settings.wraps)
        if number < matched:
            field = level.field(field, ratio / ratios[number - 1] if number else 1.0, rng)
        else:
            field = None

        def watch(share: float, stage: str, state: Tensor, number: int = number) -> bool:
            done = (costs[number] + share * (costs[number + 1] - costs[number])) / costs[-1]
            return observe(float(done), stage, lambda: resize(state, shape, antialias=False))

        with kernel_threads(1) if image[0].numel() < ONE_THREAD_PX else nullcontext():
            image, field, going = level.run(image, field, limited, watch)
        if not going:
            break
    assert image is not None  # there is at least one level
    return image if image.shape[1:] == shape else resize(image, shape, antialias=False)


class _Level:
    """One level of the pyramid: the samples at its size, where they apply, and the two steps."""

    def __init__(
        self,
        samples: Samples,
        guides: Sequence[rows.Guide | None],
        labels: Tensor,
        ratio: float,
        plan: transport.Plan,
        settings: Settings,
        filters: Sequence[Tensor],
        number: int,
    ) -> None:
        self._samples, self._number = samples, number
        self._labels, self._pixels, self._wraps = labels, labels.numel(), settings.wraps
        self._plan, self._steps = plan, plan.steps(self._pixels, settings.steps)
        self._moved_step = 1 if self._pixels <= transport.MIDDLE_PX else 2
        is_known = self._pixels >= LARGE_PX and rows.are_seen_by_patches(guides, (labels.shape[0], labels.shape[1]))
        self._guide = None if is_known else rows.straight(guides, labels)
        compared = samples if self._guide is None else rows.guided(samples, guides)
        self._atlas = patch_match.Atlas.of(compared, mean_weight=1.0, evenness=EVENNESS)
        self._banks = plan.measured(samples, self._steps, filters)
        self._centres: Tensor | None = None
        self._shares: list[Tensor | None] = [None]
        if len(samples) > 1:  # labels and shares belong to patches by their centres
            self._centres = torus.continued(labels, self._wraps)
            sigma = max(0.7, BORDER_PX * ratio)
            self._shares = [
                torus.continued(torus.smoothed((labels == source).float(), sigma, self._wraps), self._wraps)
                for source in range(len(samples))
            ]

    def beginning(self, generator: torch.Generator) -> Tensor:
        """Noise [C, H, W] with the mean and deviation of the sample of each place."""
        shape = (len(self._samples[0][0]), *self._labels.shape)
        noise = torch.randn(shape, generator=generator).to(self._labels.device)
        image = torch.zeros_like(noise)
        for source, parts in enumerate(self._samples):
            for channel, values in enumerate(zip(*parts, strict=True)):  # the channel in each part
                pooled = torch.cat([value.flatten() for value in values])
                drawn = mean(pooled) + math.sqrt(variance(pooled)) * noise[channel]
                image[channel] = torch.where(self._labels == source, drawn, image[channel])
        return image.contiguous()

    def field(self, coarser: patch_match.Field | None, ratio: float, rng: np.random.Generator) -> patch_match.Field:
        """Matches at this level, carried over from one that is `ratio` times smaller, or random."""
        stride = 1 if self._pixels < LARGE_PX else 2
        labels = torus.continued(self._labels, self._wraps)
        shape = (labels.shape[0], labels.shape[1])
        if coarser is None:
            return patch_match.Field.random(shape, self._atlas, labels, stride, rng)
        return coarser.resized(shape, self._atlas, labels, stride, ratio)

    def run(
        self,
        image: Tensor,
        field: patch_match.Field | None,
        limited: Callable[[Tensor], object],
        watch: Callable[[float, str, Tensor], bool],
    ) -> tuple[Tensor, patch_match.Field | None, bool]:
        """The image and its field after this level, and whether to go on."""
        turn, mover, numbers = 0, self._plan.mover(image, self._wraps), TransportSteps(self._banks, image.device)
        move = numbers.repeated(lambda: mover.move(image, self._direction(image, numbers), numbers.rate))
        count = len(self._banks)
        for step in range(self._steps):
            if field is not None and step >= turn * self._steps / TURNS:
                matched, field = self._matched(image, field, turn)
                image.copy_(matched)  # steps move what lies there
                del matched  # a large map's memory
                turn += 1
            # so that a bank sees other rows at its next turn
            numbers.set(step % count, step + step // count, mover.rate(step / self._steps))
            move()
            if (self._steps - 1 - step) % LIMIT_EVERY == 0:
                limited(image)
            if not watch((step + 1) / self._steps, "making the texture", image):
                return image, field, False
        return image, field, True

    def _matched(self, image: Tensor, field: patch_match.Field, turn: int) -> tuple[Tensor, patch_match.Field]:
        sweeps = FIRST_SWEEPS if self._number == turn == 0 else SWEEPS if self._pixels < LARGE_PX else LARGE_SWEEPS
        compared = image if self._guide is None else torch.cat([image, self._guide])
        field = torus.search(compared, field, sweeps=sweeps, seed=self._number * 8 + turn, wraps=self._wraps)
        return torus.vote(image, field.of_channels(len(image)), self._wraps), field

    def _direction(self, image: Tensor, numbers: TransportSteps) -> Tensor:
        """The way down [C, H, W] on the distance between patches, on one bank of filters."""
        around = torus.continued(image, self._wraps)
        direction = torch.zeros_like(around)
        row_step = 1 if self._pixels < 40000 else 4 if self._pixels <= transport.MIDDLE_PX else 8
        for source, share in enumerate(self._shares):
            sliced_wasserstein.ascent(
                around, numbers.banks[source], row_first=numbers.row_first, row_step=row_step,
                moved_step=self._moved_step, labels=self._centres, label=source, weight=share, out=direction,
            )  # fmt: skip
        return torus.folded(direction, self._wraps)


def _plan(size: tuple[int, int], matched: bool) -> transport.Plan:
    if not matched:
        return transport.LONG
    return transport.SHORT if size[0] * size[1] < LARGE_PX else transport.SHORT_FINE


def level_ratios(shape: tuple[int, int], samples: Sequence[Sequence[int]]) -> list[float]:
    """Sizes of the pyramid's levels relative to the texture, rising to 1 by LEVEL_RATIO; at the coarsest one image and samples are
    as small as patches allow, so that a patch spans the largest features there are."""
    least = max(LEAST_IMAGE_PX / min(shape), LEAST_SAMPLE_PX / min(min(sample) for sample in samples))
    levels = max(0, math.floor(math.log(min(least, 1.0)) / math.log(LEVEL_RATIO) + 1e-9))
    return [LEVEL_RATIO**n for n in range(levels, -1, -1)]


def _size(shape: tuple[int, int], ratio: float, wraps: torus.Wraps) -> tuple[int, int]:
    """A level's size, even where it wraps and odd where not: every second patch is matched on large ones."""
    if ratio == 1:
        return shape
    rows, columns = (
        max(2 * PATCH, 2 * round(side * ratio / 2)) + (not wrap) for side, wrap in zip(shape, wraps, strict=True)
    )
    return rows, columns


def _scaled(part: Tensor, ratio: float) -> Tensor:
    if ratio == 1:
        return part
    return resize(part, [max(PATCH + 1, round(side * ratio)) for side in part.shape[1:]], antialias=True).contiguous()
