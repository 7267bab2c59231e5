"""Textures from samples: coarse to fine, matching patches and moving their distribution in turns, on an image that wraps.

At each level of a pyramid
  1. the image is put together again from patches of the samples (backend.ops.patches.patch_match): bricks, leaves and lines are
     kept whole, but the vote blurs, and some parts of the samples are used often and some never;
  2. steps on the sliced Wasserstein distance between patches (backend.ops.patches.sliced_wasserstein) bring back the sharpness
     and every part's right share.
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

from backend.algorithms.textures import torus
from backend.ops.adam import Adam
from backend.ops.dispatch import kernel_threads
from backend.ops.moments import mean, variance
from backend.ops.patches import filter_bank, patch_match, sliced_wasserstein
from backend.ops.patches.constants import PATCH
from backend.ops.resampling import nearest, resize

LEVEL_RATIO = 0.7
LEAST_SAMPLE_PX = 20  # at the coarsest level: a patch needs room to differ from its neighbours
LEAST_IMAGE_PX = 12
TURNS = 3  # of matching and transport at a level
FIRST_SWEEPS, SWEEPS = 12, 4
EVENNESS = 0.1  # of the use of the samples' patches
FILTERS, BANKS = 32, 8
SHARPEN = 0.8  # of what is smooth in the filters of every second bank: fine grain varies little and would be unheard
RATE, LAST_RATE = 0.15, 0.05  # of a step, in deviations; the share of it that the last step takes
ADAM_DECAY, ADAM_FLOOR = (0.9, 0.98), 0.5
ONE_THREAD_PX = 96 * 96
CHEAP_PX = 256 * 256
STRIDED_PX = 384 * 384  # from here on every second patch is matched
BORDER_PX = 3.0  # deviation of the blend between two samples at the finest level

Observe = Callable[[float, str, Callable[[], Tensor]], bool]  # share done, stage, the image so far -> go on?
Samples = Sequence[Sequence[Tensor]]  # sources, each of parts [C, h, w]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """steps: of transport per level of 256 x 256 pixels; smaller levels get more. structure 0..1: the share of levels, counted
    from the coarsest, on which patches are matched."""

    steps: int = 30
    structure: float = 1.0


def synthesize(
    samples: Samples,
    labels: Tensor,  # [H, W] uint8: which source where; H and W even
    settings: Settings,
    generator: torch.Generator,
    *,
    observe: Observe = lambda share, stage, image: True,
) -> Tensor:
    """An image [C, H, W] that wraps, with the patches of the samples."""
    shape = (labels.shape[0], labels.shape[1])
    ratios = level_ratios(shape, [part.shape[1:] for parts in samples for part in parts])
    sizes = [_even(shape, ratio) for ratio in ratios]
    costs = np.cumsum([0.0, *(steps_at(rows * columns, settings.steps) * rows * columns for rows, columns in sizes)])
    matched = math.ceil(settings.structure * len(ratios)) or 1
    rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    image, field = None, None
    for number, (ratio, size) in enumerate(zip(ratios, sizes, strict=True)):
        at_level = [[_scaled(part, ratio) for part in parts] for parts in samples]
        level = _Level(at_level, nearest(labels, size), ratio, settings, generator, number)
        image = level.beginning(generator) if image is None else resize(image, size, antialias=False).contiguous()
        if number < matched:
            field = level.field(field, ratio / ratios[number - 1] if number else 1.0, rng)
        else:
            field = None

        def watch(share: float, stage: str, state: Tensor, number: int = number) -> bool:
            done = (costs[number] + share * (costs[number + 1] - costs[number])) / costs[-1]
            return observe(float(done), stage, lambda: resize(state, shape, antialias=False))

        with kernel_threads(1) if image[0].numel() < ONE_THREAD_PX else nullcontext():
            image, field, going = level.run(image, field, watch)
        if not going:
            break
    assert image is not None  # there is at least one level
    return image if image.shape[1:] == shape else resize(image, shape, antialias=False)


class _Level:
    """One level of the pyramid: the samples at its size, where they apply, and the two steps."""

    def __init__(
        self,
        samples: Samples,
        labels: Tensor,
        ratio: float,
        settings: Settings,
        generator: torch.Generator,
        number: int,
    ) -> None:
        self._samples, self._number = samples, number
        self._labels, self._pixels = labels, labels.numel()
        self._steps = steps_at(self._pixels, settings.steps)
        self._atlas = patch_match.Atlas.of(samples, mean_weight=1.0, evenness=EVENNESS)
        self._banks = _banks(samples, min(BANKS, self._steps), generator)
        self._centres: Tensor | None = None
        self._shares: list[Tensor | None] = [None]
        if len(samples) > 1:  # labels and shares belong to patches by their centres
            self._centres = torus.continued(labels)
            sigma = max(0.7, BORDER_PX * ratio)
            self._shares = [
                torus.continued(torus.smoothed((labels == source).float(), sigma)) for source in range(len(samples))
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
        stride = 1 if self._pixels < STRIDED_PX else 2
        labels = torus.continued(self._labels)
        shape = (labels.shape[0], labels.shape[1])
        if coarser is None:
            return patch_match.Field.random(shape, self._atlas, labels, stride, rng)
        return coarser.resized(shape, self._atlas, labels, stride, ratio)

    def run(
        self, image: Tensor, field: patch_match.Field | None, watch: Callable[[float, str, Tensor], bool]
    ) -> tuple[Tensor, patch_match.Field | None, bool]:
        """The image and its field after this level, and whether to go on."""
        turns = 0
        adam = Adam([image], decay=ADAM_DECAY, epsilon=1e-12, floor=ADAM_FLOOR)
        row_step = 1 if self._pixels < 40000 else 4 if self._pixels <= CHEAP_PX else 8
        for step in range(self._steps):
            if field is not None and step >= turns * self._steps / TURNS:
                image, field = self._matched(image, field, turns)
                turns += 1
            direction = self._direction(image, step, row_step)
            adam.step([image], [direction], RATE * (1 - (1 - LAST_RATE) * step / self._steps))
            if not watch((step + 1) / self._steps, "making the texture", image):
                return image, field, False
        return image, field, True

    def _matched(self, image: Tensor, field: patch_match.Field, turn: int) -> tuple[Tensor, patch_match.Field]:
        sweeps = FIRST_SWEEPS if self._number == turn == 0 else SWEEPS
        field = torus.search(image, field, sweeps=sweeps, seed=self._number * 8 + turn)
        return torus.vote(image, field), field

    def _direction(self, image: Tensor, step: int, row_step: int) -> Tensor:
        """The way down [C, H, W] on the distance between patches, on one bank of filters."""
        around = torus.continued(image)
        direction = torch.zeros_like(around)
        for source, share in enumerate(self._shares):
            sliced_wasserstein.ascent(
                around, self._banks[step % len(self._banks)][source], row_first=step % row_step, row_step=row_step,
                labels=self._centres, label=source, weight=share, out=direction,
            )  # fmt: skip
        return torus.folded(direction)


def _banks(samples: Samples, count: int, generator: torch.Generator) -> list[list[sliced_wasserstein.FilterBank]]:
    """banks x sources: the same filters for all sources, each source's patches seen through them."""
    channels = len(samples[0][0])
    banks = []
    for number in range(count):
        filters = filter_bank.random_filters(FILTERS, generator, channels=channels)
        if number % 2:
            filters = filter_bank.sharpened(filters, SHARPEN)
        banks.append([sliced_wasserstein.measure(parts, filters) for parts in samples])
    return banks


def level_ratios(shape: tuple[int, int], samples: Sequence[Sequence[int]]) -> list[float]:
    """Sizes of the pyramid's levels relative to the texture, rising to 1 by LEVEL_RATIO; at the coarsest one image and samples are
    as small as patches allow, so that a patch spans the largest features there are."""
    least = max(LEAST_IMAGE_PX / min(shape), LEAST_SAMPLE_PX / min(min(sample) for sample in samples))
    levels = max(0, math.floor(math.log(min(least, 1.0)) / math.log(LEVEL_RATIO) + 1e-9))
    return [LEVEL_RATIO**n for n in range(levels, -1, -1)]


def steps_at(pixels: int, steps: int) -> int:
    """More steps where they are cheap: four times as many at the smallest levels, half at the largest, which only refine."""
    return max(1, round(steps * min(max(math.sqrt(CHEAP_PX / pixels), 0.5), 4.0)))


def _even(shape: tuple[int, int], ratio: float) -> tuple[int, int]:
    """A level's size, of even sides: every second patch is matched on large ones, across the wrap as well."""
    rows, columns = (max(2 * PATCH, 2 * round(side * ratio / 2)) if ratio < 1 else side for side in shape)
    return rows, columns


def _scaled(part: Tensor, ratio: float) -> Tensor:
    if ratio == 1:
        return part
    return resize(part, [max(PATCH + 1, round(side * ratio)) for side in part.shape[1:]], antialias=True).contiguous()
