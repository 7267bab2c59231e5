"""Relief transfer: a height map takes on the landforms of exemplars, keeps its own layout, and lets water run off.

From coarse to fine, at each level of a pyramid:
  1. the map is put together again from exemplar patches (backend.ops.patches.patch_match): structure;
  2. Adam on the sliced Wasserstein distance between patches (backend.ops.patches.sliced_wasserstein): the right share of
     everything;
  3. every few steps its spectrum is brought nearer to the exemplars' (backend.ops.patches.spectrum) and the map is
     moved to a near one that drains (backend.algorithms.relief.runoff), so that the steps that follow mend what
     draining did to slopes and curvature, and draining mends what they did to the rivers.
Step 3 is the point. Transport alone leaves a quarter of the cells in pits; filling or breaching at the end ruins
slope and curvature; taking turns, each correction is small, and trunk valleys are found at coarse levels where
there are few pits.

Works in units of the exemplars' deviation, on the device of the layout; draining alone goes to the host and back. Knows no
job, file or socket: `observe` is called often and may stop it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.relief import margins
from backend.algorithms.relief.runoff import Runoff
from backend.algorithms.relief.speckles import without_speckles
from backend.algorithms.relief.starts import layout_or_hills, with_mirror_images
from backend.ops.adam import Adam
from backend.ops.dispatch import kernel_threads
from backend.ops.moments import mean, variance
from backend.ops.patches import filter_bank, patch_match, sliced_wasserstein, spectrum
from backend.ops.patches.constants import PATCH
from backend.ops.patches.transport_steps import TransportSteps
from backend.ops.resampling import nearest, resize
from backend.ops.smoothing import gaussian
from backend.ops.sorting import sorted_values, stable_order

log = logging.getLogger(__name__)

LEVEL_RATIO = 0.7
LEAST_EXEMPLAR_PX = 20  # at the coarsest level: a 7 x 7 patch needs room to differ from its neighbours
LEAST_MAP_PX = 12
LAYOUT_SIGMA_PX = 16.0
ONE_THREAD_PX = 96 * 96
CHEAP_PX = 256 * 256
SPECTRUM_PX = 160 * 160  # smaller maps hold too few waves of each length to know a spectrum by
PROFILE_RATIO = (
    0.3  # smaller maps have no rivers yet, only trunks that would lift what lies about them out of the layout
)
TURN_SHARE = 0.05  # of `layout`, at each turn: rivers move the land beside them, and the layout comes back
SOFT_BORDER_PX = 3.0  # deviation of the blend between two classes
ADAM_DECAY = (0.9, 0.98)
ADAM_FLOOR = 0.5  # epsilon of Adam, of the direction's root mean square
LAST_RATE = 0.05  # of the first: the rate falls linearly to it over a level
Observe = Callable[[float, str, Callable[[], Tensor]], bool]  # share done, stage, the map as it stands -> go on?
Watch = Callable[[float, str, Tensor], bool]  # the same within a level


@dataclass(frozen=True, kw_only=True)
class TransferSettings:
    """steps: of transport a level. landform_px: the largest landform taken from the exemplar, in pixels of the map.

    layout 0..1: how firmly heights averaged over LAYOUT_SIGMA_PX stay the user's. drainage: whether water must run
    off. spectrum 0..1: how far towards the exemplars' power spectrum each turn goes. legacy: as in version 0.1, without margins,
    mirror images and hills on flat layouts. profiles: rivers fall as the exemplars' do, instead of by the nearest cuts.
    """

    steps: int = 40
    filters: int = 24
    derivatives: int = 4
    banks: int = 12
    rate: float = 0.03
    landform_px: float = 112.0
    layout: float = 0.1
    drainage: bool = True
    drain_every: int = 5
    cut_share: float = 0.6
    rounds: int = 3
    stride: int = 1
    sharpen: float = 0.2
    spectrum: float = 0.5
    legacy: bool = False
    profiles: bool = False


def transfer_relief(
    layout: Tensor,  # [H, W] float32 m
    exemplars: Sequence[Tensor],  # each [h, w] float32 m, at the layout's pixel size
    settings: TransferSettings,
    generator: torch.Generator,
    *,
    classes: Tensor | None = None,  # [H, W] uint8: which exemplar where; None pools them
    observe: Observe = lambda share, stage, height: True,
) -> Tensor:
    """A height map [H, W] float32 in metres with the exemplars' own elevations and amplitude, and the layout of
    `layout`."""
    shape = (layout.shape[0], layout.shape[1])
    units = _Units.of(exemplars)
    normal = [[units.normal(exemplar)] for exemplar in exemplars]
    margin = 0
    if not settings.legacy:
        layout = layout_or_hills(layout, settings.landform_px, generator)
        normal = with_mirror_images([exemplar for (exemplar,) in normal], layout.numel())
        margin = margins.margin_for(shape)
    labels = torch.zeros(shape, dtype=torch.uint8, device=layout.device) if classes is None else classes
    ratios = level_ratios(shape, [(e.shape[0], e.shape[1]) for e in exemplars], settings.landform_px)
    sizes = [(max(8, round(shape[0] * ratio)), max(8, round(shape[1] * ratio))) for ratio in ratios]
    costs = np.cumsum([0.0] + [rows * columns for rows, columns in sizes])

    def metres(height: Tensor) -> Tensor:
        return units.metres(resample(height, shape))

    height, field, going = None, None, True
    rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    for number, (ratio, size) in enumerate(zip(ratios, sizes, strict=True)):
        at_level = [
            [resample(e, [max(8, round(side * ratio)) for side in e.shape]) for e in images] for images in normal
        ]
        pooled = [exemplar for images in at_level for exemplar in images]
        groups = [pooled] if classes is None else at_level
        beyond = margin if number + 1 == len(ratios) else 0
        runoff = _runoff(groups, nearest(labels, size), units.deviation_m, settings, ratio)
        level = _Level(groups, nearest(labels, size), ratio, settings, beyond, runoff)
        target = match_values(resample(layout, size), pooled)
        height = target if height is None else resample(height, size)
        height = level.hold_layout(height, target)
        field = level.field(field, ratios[number - 1] if number else ratio, rng)

        def watch(share: float, stage: str, state: Tensor, number: int = number) -> bool:
            done = (costs[number] + share * (costs[number + 1] - costs[number])) / costs[-1]
            return observe(float(done), stage, lambda: metres(state))

        with kernel_threads(1) if height.numel() < ONE_THREAD_PX else nullcontext():
            height, field, going = level.run(height, target, field, generator, number, watch)
        if not going:
            break
    assert height is not None  # there is at least one level
    result = without_speckles(metres(height), exemplars)
    runoff = _runoff([exemplars] if classes is None else [[e] for e in exemplars], labels, 1.0, settings, 1.0)
    if runoff and runoff.lacks_rivers:
        log.warning(
            "The exemplar has too few rivers to know their profile by: they are only smoothed. A larger one has more."
        )
    return runoff.fully(result) if runoff else result


def _runoff(
    groups: Sequence[Sequence[Tensor]], labels: Tensor, unit_m: float, settings: TransferSettings, ratio: float
) -> Runoff | None:
    if not settings.drainage:
        return None
    profiles = settings.profiles and ratio >= PROFILE_RATIO
    return Runoff(groups, labels, unit_m, settings.cut_share, profiles=profiles)


@dataclass(frozen=True)
class _Units:
    """Metres to deviations of the first exemplar; each exemplar's own mean is the zero of its heights."""

    mean_m: float
    deviation_m: float

    @staticmethod
    def of(exemplars: Sequence[Tensor]) -> _Units:
        deviation = float(np.mean([math.sqrt(variance(exemplar)) for exemplar in exemplars]))
        return _Units(float(np.mean([mean(exemplar) for exemplar in exemplars])), max(deviation, 1e-3))

    def normal(self, height: Tensor) -> Tensor:
        return ((height.double() - mean(height)) / self.deviation_m).float()

    def metres(self, height: Tensor) -> Tensor:
        return height * self.deviation_m + self.mean_m


class _Level:
    """One level of the pyramid: groups of exemplars and where they apply, at its size, and the three steps.

    What it is given and gives back has its size; patches are matched and moved with a margin beyond. Effort is counted without the
    margin.
    """

    def __init__(
        self, groups: list[list[Tensor]], labels: Tensor, ratio: float, settings: TransferSettings, margin: int,
        runoff: Runoff | None,
    ) -> None:  # fmt: skip
        self._runoff = runoff
        self._groups, self._ratio, self._settings, self._margin = groups, ratio, settings, margin
        self._pixels = labels.numel()
        self._counted = margins.counted(labels, margin) if margin else labels if len(groups) > 1 else None
        self._labels = labels = margins.extended_labels(labels, margin)
        self._atlas = patch_match.Atlas.of(groups)
        self._spectrum = None
        if settings.spectrum > 0 and len(groups) == 1 and self._pixels / ratio**2 >= SPECTRUM_PX:
            self._spectrum = spectrum.measure(groups[0], settings.landform_px * ratio)
        self._shares: list[Tensor | None] = [None]
        if len(groups) > 1:
            sigma = max(1.0, SOFT_BORDER_PX * ratio)
            self._shares = [gaussian((labels == s).float(), sigma) for s in range(len(groups))]

    def field(
        self, coarser: patch_match.Field | None, coarser_ratio: float, rng: np.random.Generator
    ) -> patch_match.Field:
        cheap = self._pixels <= CHEAP_PX
        stride = self._settings.stride if cheap else 2 * self._settings.stride
        shape = (self._labels.shape[0], self._labels.shape[1])
        if coarser is None:
            return patch_match.Field.random(shape, self._atlas, self._labels, stride, rng)
        return coarser.resized(shape, self._atlas, self._labels, stride, self._ratio / coarser_ratio, self._margin)

    def hold_layout(self, height: Tensor, target: Tensor, share: float = 1.0) -> Tensor:
        """Move the low band of the heights towards that of the target, by a share of settings.layout."""
        if self._settings.layout <= 0:
            return height
        sigma = max(LAYOUT_SIGMA_PX * self._ratio, 0.5)
        return height + share * self._settings.layout * gaussian(target - height, sigma, edge="nearest")

    def run(
        self,
        height: Tensor,
        target: Tensor,
        field: patch_match.Field,
        generator: torch.Generator,
        level: int,
        watch: Watch,
    ) -> tuple[Tensor, patch_match.Field, bool]:
        """The map and its field after this level, and whether to go on."""
        height, field, going = self._run(
            margins.extended(height, self._margin), target, field, generator, level,
            lambda share, stage, state: watch(share, stage, margins.inner(state, self._margin)),
        )  # fmt: skip
        return margins.inner(height, self._margin), field, going

    def _run(
        self,
        height: Tensor,
        target: Tensor,
        field: patch_match.Field,
        generator: torch.Generator,
        level: int,
        watch: Watch,
    ) -> tuple[Tensor, patch_match.Field, bool]:
        """run() on the map with its margin."""
        rounds = self._settings.rounds if self._pixels <= CHEAP_PX else 1
        for turn in range(rounds):
            sweeps = 12 if level == 0 and turn == 0 else 4
            height, field = patch_match.reconstruct(height, field, sweeps=sweeps, seed=level * 8 + turn)
            if not watch(0.3 * turn / rounds, "matching landforms", height):
                return height, field, False
        height, going = self._transport(height, target, self._banks(generator), watch)
        return height, field, going

    def _transport(
        self, height: Tensor, target: Tensor, banks: list[list[sliced_wasserstein.FilterBank]], watch: Watch
    ) -> tuple[Tensor, bool]:
        """Adam on the patches, in place, taking turns with the spectrum and drainage."""
        settings = self._settings
        pixels = self._pixels
        steps = steps_at(pixels, settings.steps)
        first_rate = rate_at(pixels / self._ratio**2, settings.rate)
        row_step = 1 if pixels < 40000 else 4 if pixels <= CHEAP_PX else 8
        adam = Adam([height], decay=ADAM_DECAY, epsilon=1e-12, floor=ADAM_FLOOR, patch=PATCH)
        numbers, direction = TransportSteps(banks, height.device), torch.empty_like(height)

        def step_once() -> None:
            direction.zero_()
            for s, share in enumerate(self._shares):
                sliced_wasserstein.ascent(
                    height, numbers.banks[s], row_first=numbers.row_first, row_step=row_step, labels=self._counted, label=s,
                    weight=share, out=direction,
                )  # fmt: skip
            adam.step([height], [direction], numbers.rate)

        move = numbers.repeated(step_once)
        for step in range(steps):
            numbers.set(step % len(banks), step % row_step, first_rate * (1 - (1 - LAST_RATE) * step / steps))
            move()
            if (step + 1) % settings.drain_every == 0:
                height.copy_(self._corrected(height, target, last=step + 1 == steps))
            if not watch(0.3 + 0.7 * (step + 1) / steps, "transporting relief", height):
                return height, False
        return height, True

    def _corrected(self, height: Tensor, target: Tensor, *, last: bool) -> Tensor:
        """The map with its margin, nearer to the exemplars' spectrum but for the last time, drained, and held to `target`. Only
        what lies within the margin is: its mirror image would turn each valley that leaves the map into a basin."""
        settings = self._settings
        part = margins.inner(height, self._margin)
        if self._spectrum and not last:
            part = spectrum.match(part, self._spectrum, settings.spectrum)
        if self._runoff:
            part = self._runoff.nearly(part)
            if settings.profiles:
                part = self.hold_layout(part, target, TURN_SHARE)
                return margins.moved(height, part, self._margin)
        return margins.with_inner(height, part, self._margin)

    def _banks(self, generator: torch.Generator) -> list[list[sliced_wasserstein.FilterBank]]:
        """banks x groups; every second bank is whitened a little: fine relief varies less than height and would be
        unheard."""
        settings = self._settings
        whiten = filter_bank.whitening(self._groups[0][0], settings.sharpen)
        broad = max(2, settings.filters - 2 * settings.derivatives)
        drawn = [
            torch.cat([
                filter_bank.derivative_filters(settings.derivatives, generator),
                filter_bank.random_filters(broad, generator, whiten if n % 2 else None),
            ])
            for n in range(settings.banks if self._pixels <= CHEAP_PX else settings.banks // 2)
        ]  # fmt: skip
        by_group = [sliced_wasserstein.measure_banks(group, drawn) for group in self._groups]
        return [list(banks) for banks in zip(*by_group, strict=True)]


def level_ratios(shape: tuple[int, int], exemplars: Sequence[tuple[int, int]], landform_px: float) -> list[float]:
    """Sizes of the pyramid's levels relative to the map, rising to 1 by LEVEL_RATIO.

    At the coarsest a patch spans landform_px, or a quarter of the map where that is less: else nothing of its layout
    would be left. Map and exemplars must still be large enough there.
    """
    landform_px = min(landform_px, min(shape) / 4)
    least = max(PATCH / landform_px, LEAST_MAP_PX / min(shape), LEAST_EXEMPLAR_PX / min(min(e) for e in exemplars))
    levels = max(0, math.floor(math.log(min(least, 1.0)) / math.log(LEVEL_RATIO) + 1e-9))
    return [LEVEL_RATIO**n for n in range(levels, -1, -1)]


def steps_at(pixels: int, steps: int) -> int:
    """More steps where they are cheap: four times as many on the smallest levels, half on the largest, which only
    refine."""
    return max(1, round(steps * min(max(math.sqrt(CHEAP_PX / pixels), 0.5), 4.0)))


def rate_at(pixels: float, rate: float) -> float:
    """Longer steps, up to three times, for small maps: they have fewer levels to travel in. Large ones would lose
    their layout.
    """
    return rate * min(max(math.sqrt(CHEAP_PX / pixels), 1.0), 3.0)


def resample(height: Tensor, size: Sequence[int]) -> Tensor:
    """A map [H, W] float32 at another size: bicubic, low-passed where its rows become fewer."""
    return resize(height, size, antialias=size[0] < height.shape[0])


def match_values(height: Tensor, exemplars: Sequence[Tensor]) -> Tensor:
    """The map with its values replaced, in order, by those of the exemplars: the layout, at the exemplars' own
    hypsometry."""
    values = sorted_values(torch.cat([exemplar.flatten() for exemplar in exemplars])).double()
    order = stable_order(height.flatten())
    place = (torch.arange(len(order), device=height.device, dtype=torch.float64) + 0.5) / len(order) * (len(values) - 1)
    low = place.long().clamp_max(max(len(values) - 2, 0))
    upper = values[(low + 1).clamp_max(len(values) - 1)]
    matched = torch.empty(len(order), device=height.device)
    matched[order] = ((upper - values[low]) * (place - low) + values[low]).float()
    return matched.reshape(height.shape)
