"""Detail on demand: a terrain on pixels `times` as small, which averaged back is the terrain that it was.

Level by level, each at most twice as fine as the one before, from the smooth surface that has the map's averages
(backend.ops.block_means):
  1. every patch of it finds the patch of the exemplar that looks most like it, both without what is finer than the level before,
     and takes over the exemplar's detail there (backend.ops.patches.patch_match). What the two lie on is compared as well, so that
     gullies come to lie on slopes, and floors stay smooth (image analogies, Hertzmann et al. 2001, doi:10.1145/383259.383295);
  2. the detail gets the local strength of the patches that it was taken from, less on ground that is less steep than theirs;
  3. Adam on the sliced Wasserstein distance between its patches and those, both over their local strength, gives back what the
     average of overlapping patches has blurred;
  4. the averages are given back to it.
Water is let off at the end by backend.algorithms.relief.refined_water.

On the device of the map but for the smooth surfaces, the search for patches and water, which are on the host. Knows no job, file
or socket: `observe` is called often and may stop it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.relief.refined_water import let_off
from backend.algorithms.relief.relief_transfer import ADAM_DECAY, ADAM_FLOOR, CHEAP_PX, LAST_RATE, Observe, steps_at
from backend.algorithms.relief.runoff import DROP_M
from backend.algorithms.relief.starts import with_mirror_images
from backend.ops.adam import Adam
from backend.ops.block_means import averaged, restored, smooth
from backend.ops.moments import variance
from backend.ops.patches import filter_bank, patch_match, sliced_wasserstein
from backend.ops.patches.constants import PATCH
from backend.ops.patches.transport_steps import TransportSteps
from backend.ops.resampling import nearest, resize
from backend.ops.smoothing import gaussian

LEAST_RATIO = 1.2  # between two levels
SURROUNDINGS_PX = 8.0  # deviation of the mean that tells how high a place lies in its surroundings
STRENGTH_PX = 4.0  # deviation of the window of a local strength
SLOPE_PX = 2.0  # the same of a local slope
LEAST_UNIT_M = 1e-9
QUIET = 0.02  # of the detail's deviation: weaker detail is not told apart from none
MOST_LOUDER = 1.5  # on ground that is steeper than the exemplar's
MOST_GAIN = 3.0  # of what the average of patches has blurred
SWEEPS = ((8, 4), (3, 2))  # of the first level in each turn, and of those that start from its matches
RATE = 0.05
BANKS, DERIVATIVES = 6, 4
RESTORE_EVERY = 5
WATER_SHARE = 0.15  # of the time


@dataclass(frozen=True, kw_only=True)
class RefinementSettings:
    """times: pixels of the result along a side of one of the map's. gain: on the detail of the exemplars, see
    backend.algorithms.relief.scale.refinement_plan(). steps: of transport at each level. drop_m: the
    fall of water from pixel to pixel, at least."""

    times: int
    gain: float = 1.0
    steps: int = 40
    filters: int = 24
    drainage: bool = True
    drop_m: float = DROP_M


def refine(
    kept: Tensor,  # [H, W] float32 m
    exemplars: Sequence[Tensor],  # each [h, w] float32 m, at the pixel size of the result
    settings: RefinementSettings,
    generator: torch.Generator,
    *,
    classes: Tensor | None = None,  # [H, W] uint8: which exemplar where; None pools them
    observe: Observe = lambda share, stage, height: True,
) -> Tensor:
    """A height map [H * times, W * times] float32 m whose averages over times x times pixels are `kept`."""
    shape = tuple(side * settings.times for side in kept.shape)
    images = with_mirror_images(exemplars, shape[0] * shape[1])
    if classes is None:
        images = [[image for of_one in images for image in of_one]]
    labels = torch.zeros(kept.shape, dtype=torch.uint8) if classes is None else classes
    ratios = refinement_ratios(settings.times)
    costs = np.cumsum([0.0] + [ratio**2 for ratio in ratios]) / sum(ratio**2 for ratio in ratios) * (1 - WATER_SHARE)
    rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    height, before, field, going = kept, 1.0, None, True
    for number, ratio in enumerate(ratios):
        size = [round(side * ratio) for side in kept.shape]
        base = smooth(height, size)
        level = _Level(
            base if number == 0 else restored(base, kept), kept,
            [[_at(image, ratio / settings.times) for image in group] for group in images],
            ratio / before, nearest(labels, size), settings,
        )  # fmt: skip

        def watch(share: float, stage: str, state: Callable[[], Tensor], number: int = number) -> bool:
            done = costs[number] + share * (costs[number + 1] - costs[number])
            return observe(float(done), stage, lambda: resize(state(), shape))

        field = level.field(field, ratio / before, rng)
        height, field, going = level.run(field, number, generator, watch)
        before = ratio
        if not going:
            break
    if tuple(height.shape) != shape:
        height = restored(smooth(height, shape), kept)
    if going and settings.drainage:
        observe(1 - WATER_SHARE, "letting water off", lambda: height)
    return let_off(height, kept, settings.drop_m) if settings.drainage else height


def refinement_ratios(times: int) -> list[float]:
    """Pixels of each level along a side of one of the map's, rising by 2 to `times`."""
    ratios = [times / 2**halvings for halvings in range(math.ceil(math.log2(times)) - 1, -1, -1)]
    return [ratio for ratio in ratios if ratio > LEAST_RATIO]


def _at(exemplar: Tensor, ratio: float) -> Tensor:
    return averaged(exemplar, [round(side * ratio) for side in exemplar.shape])


class _Level:
    """One level: the map without detail and the exemplars at its size, each of those as a base and the detail on it.

    Heights are in units of the deviation of the exemplars' detail, but for what is given and given back.
    """

    def __init__(
        self, base: Tensor, kept: Tensor, groups: Sequence[Sequence[Tensor]], step: float, labels: Tensor,
        settings: RefinementSettings,
    ) -> None:  # fmt: skip
        bases = [[smooth(_at(image, 1 / step), image.shape) for image in group] for group in groups]
        details = [
            [settings.gain * (image - lies_on) for image, lies_on in zip(group, under, strict=True)]
            for group, under in zip(groups, bases, strict=True)
        ]
        self._unit_m = max(
            math.sqrt(np.mean([variance(detail) for group in details for detail in group])), LEAST_UNIT_M
        )
        self._base, self._kept, self._labels, self._settings = base, kept, labels, settings
        self._bases = [[lies_on / self._unit_m for lies_on in group] for group in bases]
        self._details = [[detail / self._unit_m for detail in group] for group in details]
        self._votes = self._atlas(_taken_over, mean_weight=1.0)

    def field(self, coarser: patch_match.Field | None, ratio: float, rng: np.random.Generator) -> patch_match.Field:
        """What the search starts from: the matches of the level before, or any."""
        shape, stride = (self._base.shape[0], self._base.shape[1]), 1 if self._base.numel() <= CHEAP_PX else 2
        if coarser is None:
            return patch_match.Field.random(shape, self._votes, self._labels, stride, rng)
        return coarser.resized(shape, self._votes, self._labels, stride, ratio)

    def run(
        self, field: patch_match.Field, number: int, generator: torch.Generator, watch: Callable[..., bool]
    ) -> tuple[Tensor, patch_match.Field, bool]:
        """The map with its detail, the matches, and whether to go on."""
        base = self._base / self._unit_m
        detail = strength = torch.zeros_like(base)
        for turn, weight in enumerate((0.0, 1.0)):  # there is no detail to compare at first
            atlas = self._atlas(lambda lies_on, above, weight=weight: _compared(lies_on, above, weight))
            field = patch_match.search(
                _compared(base, detail, weight), replace(field, atlas=atlas),
                sweeps=SWEEPS[min(number, 1)][turn], seed=8 * number + turn,
            )  # fmt: skip
            detail, strength = self._vote(field)
            field = replace(field, atlas=self._votes)
            if not watch(0.2 * (turn + 1), "matching detail", lambda found=detail: self._metres(found)):
                return self._metres(detail), field, False
        height, going = self._transport(detail, strength, field, generator, watch)
        return height, field, going

    def _atlas(self, channels: Callable[[Tensor, Tensor], Tensor], mean_weight: float = 0.1) -> patch_match.Atlas:
        pairs = [list(zip(*pair, strict=True)) for pair in zip(self._bases, self._details, strict=True)]
        return patch_match.Atlas.of([[channels(*pair) for pair in group] for group in pairs], mean_weight)

    def _vote(self, field: patch_match.Field) -> tuple[Tensor, Tensor]:
        """The detail [H, W] that the matches give, and its local strength."""
        counted = replace(self._votes, values=self._votes.values[:3])
        detail, square, slope = patch_match.vote(
            self._base.new_zeros(3, *self._base.shape), replace(field, atlas=counted)
        )
        own, theirs = (gaussian(s.contiguous(), SLOPE_PX) for s in (_squared_slope(self._base / self._unit_m), slope))
        louder = (own / theirs.clamp_min(1e-9)).sqrt().clamp_max(MOST_LOUDER)
        strength = _strength(square) * louder
        return detail * (strength / _strength(detail**2).clamp_min(1e-6)).clamp_max(MOST_GAIN), strength

    def _transport(
        self, detail: Tensor, strength: Tensor, field: patch_match.Field, generator: torch.Generator,
        watch: Callable[..., bool],
    ) -> tuple[Tensor, bool]:  # fmt: skip
        """Adam on the patches of the detail over its strength, whose averages are given back every few steps."""
        numbers = TransportSteps([[self._bank(field, generator)] for _ in range(BANKS)], detail.device)
        steps = steps_at(detail.numel(), self._settings.steps)
        row_step = 1 if detail.numel() < 40000 else 4 if detail.numel() <= CHEAP_PX else 8
        moved = (detail / (strength + QUIET)).contiguous()
        adam = Adam([moved], decay=ADAM_DECAY, epsilon=1e-12, floor=ADAM_FLOOR, patch=PATCH)
        direction, height = torch.empty_like(moved), self._metres(detail)

        def step_once() -> None:
            direction.zero_()
            sliced_wasserstein.ascent(
                moved, numbers.banks[0], row_first=numbers.row_first, row_step=row_step,
                moved_step=1 if detail.numel() <= CHEAP_PX else 2, out=direction,
            )  # fmt: skip
            adam.step([moved], [direction], numbers.rate)

        move = numbers.repeated(step_once)
        for step in range(steps):
            numbers.set(step % BANKS, step % row_step, RATE * (1 - (1 - LAST_RATE) * step / steps))
            move()
            if (step + 1) % RESTORE_EVERY == 0 or step + 1 == steps:
                height = self._metres(moved * strength)
                moved.copy_((height - self._base) / self._unit_m / (strength + QUIET))
            if not watch(0.4 + 0.6 * (step + 1) / steps, "transporting detail", lambda made=height: made):
                return height, False
        return height, True

    def _bank(self, field: patch_match.Field, generator: torch.Generator) -> sliced_wasserstein.FilterBank:
        """Filters and how the detail over its strength looks through them in the patches that the map's have found."""
        broad = max(2, self._settings.filters - 2 * DERIVATIVES)
        filters = torch.cat([
            filter_bank.derivative_filters(DERIVATIVES, generator), filter_bank.random_filters(broad, generator)
        ])  # fmt: skip
        return sliced_wasserstein.measure_at(field.atlas.values[3], field.y, field.x, filters)

    def _metres(self, detail: Tensor) -> Tensor:
        """The map [H, W] m with that detail and its own averages."""
        return restored(self._base + self._unit_m * detail, self._kept)


def _compared(base: Tensor, detail: Tensor, weight: float) -> Tensor:
    """[3, H, W] what matches are found by: the ground, how high it lies in its surroundings, and the detail on it."""
    return torch.stack([base, base - gaussian(base, SURROUNDINGS_PX), weight * detail])


def _taken_over(base: Tensor, detail: Tensor) -> Tensor:
    """[4, H, W] what a match gives: detail, its square, the squared slope of the ground, and detail over its local strength."""
    return torch.stack([detail, detail**2, _squared_slope(base), detail / (_strength(detail**2) + QUIET)])


def _strength(square: Tensor) -> Tensor:
    return gaussian(square.contiguous(), STRENGTH_PX).clamp_min(0).sqrt()


def _squared_slope(height: Tensor) -> Tensor:
    down, across = torch.gradient(height)
    return down**2 + across**2
