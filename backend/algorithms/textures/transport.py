"""How far a texture moves along the directions of transport, and along which filters: two ways.

SHORT, where patches are matched: few filters, steps of a set length (Adam), which leave what was matched recognisable.
LONG, where they are not, and transport has to do all by itself: it looks along some directions of a patch and steps as far as all
of them together would, which over many banks is right for every wavelength; momentum averages over banks. That comes much nearer
to the samples, and would scramble what was matched.

Knows no pyramid and no matching.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.algorithms.textures import torus
from backend.ops.adam import Adam
from backend.ops.patches import filter_bank, sliced_wasserstein
from backend.ops.patches.constants import PATCH

MIDDLE_PX = 256 * 256  # the level whose steps a user sets
RATE, LAST_RATE = 0.15, 0.05  # of a short step, in deviations; the share of it that the last step takes
ADAM_DECAY, ADAM_FLOOR = (0.9, 0.98), 0.5
STRIDE, LAST_STRIDE, MOMENTUM = 1.0, 0.02, 0.8  # the first and the last long step, in whole displacements

Banks = list[list[sliced_wasserstein.FilterBank]]  # banks x sources


@dataclass(frozen=True)
class Plan:
    """filters of a bank, banks that take turns, every how many-th of them looks at a few pixels only, 0 for none; long: which
    steps. more: times the steps of a short plan; least: the smallest share of them, at the largest levels; most: at the smallest.

    What filters over whole patches answer is nearly normal: specks and crisp edges with the same variance as haze look the same.
    """

    filters: int
    banks: int
    local_every: int = 0
    long: bool = False
    more: float = 1.0
    least: float = 0.5
    most: float = 4.0

    def steps(self, pixels: int, steps: int) -> int:
        """More steps where they are cheap, up to `most` times as many at the smallest levels; the largest only refine."""
        return max(1, round(self.more * steps * min(max(math.sqrt(MIDDLE_PX / pixels), self.least), self.most)))

    def drawn(self, channels: int, generator: torch.Generator) -> list[Tensor]:
        """The filters of all banks; every level looks along the same ones."""
        drawn = []
        for number in range(self.banks):
            is_local = self.local_every and number % self.local_every == self.local_every - 1
            draw = filter_bank.local_filters if is_local else filter_bank.random_filters
            drawn.append(draw(self.filters, generator, channels=channels))
        return drawn

    def measured(self, samples: Sequence[Sequence[Tensor]], steps: int, drawn: Sequence[Tensor]) -> Banks:
        """The same filters for all sources, each source's patches seen through them."""
        by_source = [sliced_wasserstein.measure_banks(parts, drawn[:steps], all_extremes=False) for parts in samples]
        return [list(banks) for banks in zip(*by_source, strict=True)]

    def mover(self, image: Tensor, wraps: torus.Wraps) -> Mover:
        return LongSteps(image, wraps, self.filters) if self.long else ShortSteps(image)


SHORT = Plan(filters=32, banks=8, local_every=2)
SHORT_FINE = Plan(filters=16, banks=8, local_every=2)  # at large levels, where each bank is seen by many more patches
LONG = Plan(filters=16, banks=320, long=True, more=2.0, least=0.25, most=2.0)


class ShortSteps:
    """Adam, its rate falling to LAST_RATE of the first."""

    @staticmethod
    def rate(done: float) -> float:
        """Of a step; done 0..1: the share of the level's steps before it."""
        return RATE * (1 - (1 - LAST_RATE) * done)

    def __init__(self, image: Tensor) -> None:
        self._adam = Adam([image.flatten(0, 1)], decay=ADAM_DECAY, epsilon=1e-12, floor=ADAM_FLOOR, patch=1)

    def move(self, image: Tensor, direction: Tensor, rate: float | Tensor) -> None:
        """In place."""
        rows = image.flatten(0, 1)  # of all channels: the fused step takes a map
        self._adam.step([rows], [direction.flatten(0, 1)], rate)


class LongSteps:
    """Whole displacements with momentum, shorter and shorter."""

    def __init__(self, image: Tensor, wraps: torus.Wraps, filters: int) -> None:
        patches = torus.patches_on((image.shape[1], image.shape[2]), wraps)
        self._whole = (len(image) * PATCH**2 / (filters * patches)).to(image.device)  # per pixel
        self._speed = torch.zeros_like(image)

    @staticmethod
    def rate(done: float) -> float:
        """Of a step; done 0..1: the share of the level's steps before it."""
        return STRIDE + (LAST_STRIDE - STRIDE) * done

    def move(self, image: Tensor, direction: Tensor, rate: float | Tensor) -> None:
        """In place, and changes `direction`."""
        direction.mul_(self._whole)
        if isinstance(rate, Tensor):
            image.add_(self._speed.mul_(MOMENTUM).addcmul_(direction, rate))
        else:
            image.add_(self._speed.mul_(MOMENTUM).add_(direction, alpha=rate))


Mover = ShortSteps | LongSteps
