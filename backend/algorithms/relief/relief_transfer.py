"""Relief transfer: a height map takes on the landforms of exemplars, keeps its own layout, and lets water run off.

From coarse to fine, at each level of a pyramid:
  1. the map is re-told in exemplar patches (backend.ops.patches.patch_match): structure;
  2. Adam on the sliced Wasserstein distance between patches (backend.ops.patches.sliced_wasserstein): the right share of
     everything;
  3. every few steps its spectrum is brought nearer to the exemplars' (backend.ops.patches.spectrum) and the map is
     moved to the nearest one that drains (backend.ops.terrain.drainage), so that the steps
     that follow mend what draining did to slopes and curvature, and draining mends what they did to the rivers.
Step 3 is the point. Transport alone leaves a quarter of the cells in pits; filling or breaching at the end ruins
slope and curvature; taking turns, each correction is small, and trunk valleys are found at coarse levels where
there are few pits.

Works in units of the exemplars' deviation. Knows no job, file or socket: `observe` is called often and may stop it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numba
import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter, maximum_filter

from backend.ops.patches import patch_match, sliced_wasserstein
from backend.ops.patches.spectrum import Spectrum
from backend.ops.terrain.drainage import drain

LEVEL_RATIO = 0.7
LEAST_EXEMPLAR_PX = 20  # at the coarsest level: a 7 x 7 patch needs room to differ from its neighbours
LEAST_MAP_PX = 12
LAYOUT_SIGMA_PX = 16.0
ONE_THREAD_PX = 96 * 96
CHEAP_PX = 256 * 256
SPECTRUM_PX = 160 * 160  # smaller maps hold too few waves of each length to know a spectrum by
SPECKLE_LEVEL = 0.995
SOFT_BORDER_PX = 3.0  # deviation of the blend between two classes
DROP_M = 1e-3
Observe = Callable[[float, str, Callable[[], np.ndarray]], bool]  # share done, stage, the map as it stands -> go on?
Watch = Callable[[float, str, np.ndarray], bool]  # the same within a level


@dataclass(frozen=True, kw_only=True)
class TransferSettings:
    """steps: of transport a level. landform_px: the largest landform taken from the exemplar, in pixels of the map.

    layout 0..1: how firmly heights averaged over LAYOUT_SIGMA_PX stay the user's. drainage: whether water must run
    off. spectrum 0..1: how far towards the exemplars' power spectrum each turn goes.
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


def transfer_relief(
    layout: np.ndarray,  # [H, W] float32 m
    exemplars: Sequence[np.ndarray],  # each [h, w] float32 m, at the layout's pixel size
    settings: TransferSettings,
    generator: torch.Generator,
    *,
    classes: np.ndarray | None = None,  # [H, W] uint8: which exemplar where; None pools them
    observe: Observe = lambda share, stage, height: True,
) -> np.ndarray:
    """A height map [H, W] float32 in metres with the exemplars' own elevations and amplitude, and the layout of
    `layout`."""
    shape = layout.shape
    units = _Units.of(exemplars)
    normal = [units.normal(exemplar) for exemplar in exemplars]
    labels = np.zeros(shape, np.uint8) if classes is None else classes
    ratios = level_ratios(shape, [e.shape for e in exemplars], settings.landform_px)
    sizes = [tuple(max(8, round(side * ratio)) for side in shape) for ratio in ratios]
    costs = np.cumsum([0.0] + [rows * columns for rows, columns in sizes])

    def metres(height: np.ndarray) -> np.ndarray:
        return units.metres(resample(height, shape))

    height, field, going = None, None, True
    rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    for level, (ratio, size) in enumerate(zip(ratios, sizes, strict=True)):
        at_level = [resample(e, tuple(max(8, round(side * ratio)) for side in e.shape)) for e in normal]
        groups = [at_level] if classes is None else [[exemplar] for exemplar in at_level]
        scene = _Level(groups, _nearest(labels, size), ratio, settings)
        wish = match_values(resample(layout, size), at_level)
        height = wish if height is None else resample(height, size)
        height = scene.hold_layout(height, wish)
        field = scene.field(field, ratios[level - 1] if level else ratio, rng)

        def watch(share: float, stage: str, state: np.ndarray, level: int = level) -> bool:
            done = (costs[level] + share * (costs[level + 1] - costs[level])) / costs[-1]
            return observe(float(done), stage, lambda: metres(state))

        with _threads_for(height.size):
            height, going = scene.run(height, field, generator, level, watch)
        if not going:
            break
    assert height is not None  # there is at least one level
    result = without_speckles(metres(height), exemplars)
    return drain(result, cut_share=settings.cut_share, drop=DROP_M) if settings.drainage else result


@dataclass(frozen=True)
class _Units:
    """Metres to deviations of the first exemplar; each exemplar's own mean is the zero of its heights."""

    mean_m: float
    deviation_m: float

    @staticmethod
    def of(exemplars: Sequence[np.ndarray]) -> _Units:
        mean = float(np.mean([e.mean(dtype=np.float64) for e in exemplars]))
        deviation = float(np.mean([e.std(dtype=np.float64) for e in exemplars]))
        return _Units(mean, max(deviation, 1e-3))

    def normal(self, height: np.ndarray) -> np.ndarray:
        return ((height - height.mean(dtype=np.float64)) / self.deviation_m).astype(np.float32)

    def metres(self, height: np.ndarray) -> np.ndarray:
        return height * np.float32(self.deviation_m) + np.float32(self.mean_m)


class _Level:
    """One level of the pyramid: groups of exemplars and where they apply, at its size, and the three steps."""

    def __init__(
        self, groups: list[list[np.ndarray]], labels: np.ndarray, ratio: float, settings: TransferSettings
    ) -> None:
        self._groups, self._labels, self._ratio, self._settings = groups, labels, ratio, settings
        self._atlas = patch_match.Atlas.of(groups)
        self._spectrum = None
        if settings.spectrum > 0 and len(groups) == 1 and labels.size / ratio**2 >= SPECTRUM_PX:
            self._spectrum = Spectrum.of(groups[0], settings.landform_px * ratio)
        self._shares = [sliced_wasserstein.EVEN]
        if len(groups) > 1:
            sigma = max(1.0, SOFT_BORDER_PX * ratio)
            self._shares = [gaussian_filter((labels == s).astype(np.float32), sigma) for s in range(len(groups))]

    def field(
        self, coarser: patch_match.Field | None, coarser_ratio: float, rng: np.random.Generator
    ) -> patch_match.Field:
        stride = self._settings.stride if self._labels.size <= CHEAP_PX else 2 * self._settings.stride
        if coarser is None:
            return patch_match.Field(self._labels.shape, self._atlas, self._labels, stride, rng)
        return coarser.resized(self._labels.shape, self._atlas, self._labels, stride, self._ratio / coarser_ratio)

    def hold_layout(self, height: np.ndarray, wish: np.ndarray) -> np.ndarray:
        """Move the low band of the heights towards the wish's."""
        if self._settings.layout <= 0:
            return height
        sigma = max(LAYOUT_SIGMA_PX * self._ratio, 0.5)
        return height + np.float32(self._settings.layout) * gaussian_filter(wish - height, sigma, mode="nearest")

    def run(
        self, height: np.ndarray, field: patch_match.Field, generator: torch.Generator, level: int, watch: Watch
    ) -> tuple[np.ndarray, bool]:
        """The map after this level, and whether to go on."""
        settings = self._settings
        rounds = settings.rounds if height.size <= CHEAP_PX else 1
        for turn in range(rounds):
            sweeps = 12 if level == 0 and turn == 0 else 4
            height = field.retell(height, sweeps=sweeps, seed=level * 8 + turn)
            if not watch(0.3 * turn / rounds, "matching landforms", height):
                return height, False
        banks = self._banks(generator)
        steps = steps_at(height.size, settings.steps)
        adam = sliced_wasserstein.Adam(height, rate_at(height.size / self._ratio**2, settings.rate), steps)
        row_step = 1 if height.size < 40000 else 4 if height.size <= CHEAP_PX else 8
        labels = self._labels if len(self._groups) > 1 else sliced_wasserstein.ALL
        direction = np.empty_like(height)
        for step in range(steps):
            direction[:] = 0
            for s, share in enumerate(self._shares):
                sliced_wasserstein.ascent(
                    height, banks[step % len(banks)][s], row_first=step % row_step, row_step=row_step,
                    labels=labels, label=s, weight=share, out=direction,
                )  # fmt: skip
            adam.step(height, direction)
            if (step + 1) % settings.drain_every == 0:
                if self._spectrum and step + 1 < steps:
                    height = self._spectrum.matched(height, settings.spectrum)
                if settings.drainage:
                    height = drain(height, cut_share=settings.cut_share)
            if not watch(0.3 + 0.7 * (step + 1) / steps, "transporting relief", height):
                return height, False
        return height, True

    def _banks(self, generator: torch.Generator) -> list[list[sliced_wasserstein.FilterBank]]:
        """banks x groups; every second bank is whitened a little: fine relief varies less than height and would be
        unheard."""
        settings = self._settings
        whiten = sliced_wasserstein.whitening(self._groups[0][0], settings.sharpen)
        banks = []
        for n in range(settings.banks if self._labels.size <= CHEAP_PX else settings.banks // 2):
            broad = max(2, settings.filters - 2 * settings.derivatives)
            filters = np.concatenate([
                sliced_wasserstein.derivative_filters(settings.derivatives, generator),
                sliced_wasserstein.random_filters(broad, generator, whiten if n % 2 else None),
            ])  # fmt: skip
            banks.append([sliced_wasserstein.measure(group, filters) for group in self._groups])
        return banks


@contextmanager
def _threads_for(pixels: int) -> Iterator[None]:
    """One thread for small levels: there the threads would spend longer waiting for each other than working."""
    threads = numba.get_num_threads()
    numba.set_num_threads(1 if pixels < ONE_THREAD_PX else threads)
    try:
        yield
    finally:
        numba.set_num_threads(threads)


def level_ratios(shape: tuple[int, int], exemplars: Sequence[tuple[int, int]], landform_px: float) -> list[float]:
    """Sizes of the pyramid's levels relative to the map, rising to 1 by LEVEL_RATIO.

    At the coarsest a patch spans landform_px, or a quarter of the map where that is less: else nothing of its layout
    would be left. Map and exemplars must still be large enough there.
    """
    landform_px = min(landform_px, min(shape) / 4)
    least = max(
        patch_match.PATCH / landform_px, LEAST_MAP_PX / min(shape), LEAST_EXEMPLAR_PX / min(min(e) for e in exemplars)
    )
    levels = max(0, math.floor(math.log(min(least, 1.0)) / math.log(LEVEL_RATIO) + 1e-9))
    return [LEVEL_RATIO**n for n in range(levels, -1, -1)]


def without_speckles(height: np.ndarray, exemplars: Sequence[np.ndarray]) -> np.ndarray:
    """Lower cells that stand above their eight neighbours further than nearly any of the exemplars, and raise those below.

    Transport of the rarest second differences now and then stacks them on one cell, which a low sun shows as a speckle.
    """
    allowed = [np.quantile(_standing_out(sign * e), SPECKLE_LEVEL) for e in exemplars for sign in (1, -1)]
    tallest = np.float32(max(0.0, max(allowed[0::2])))
    deepest = np.float32(max(0.0, max(allowed[1::2])))
    return height - np.maximum(_standing_out(height) - tallest, 0) + np.maximum(_standing_out(-height) - deepest, 0)


def _standing_out(height: np.ndarray) -> np.ndarray:
    """Height above the highest of the eight neighbours [H, W], negative for most cells."""
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    return height - maximum_filter(height, footprint=ring, mode="nearest")


def steps_at(pixels: int, steps: int) -> int:
    """More steps where they are cheap: four times as many on the smallest levels, half on the largest, which only
    refine."""
    return max(1, round(steps * min(max(math.sqrt(CHEAP_PX / pixels), 0.5), 4.0)))


def rate_at(pixels: float, rate: float) -> float:
    """Longer steps, up to three times, for small maps: they have fewer levels to travel in. Large ones would lose
    their layout.
    """
    return rate * min(max(math.sqrt(CHEAP_PX / pixels), 1.0), 3.0)


def resample(height: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A map at another size, float32 C-contiguous: bicubic, antialiased where it shrinks."""
    if height.shape == tuple(size):
        return np.ascontiguousarray(height, np.float32)
    shrinks = size[0] < height.shape[0]
    image = torch.from_numpy(np.ascontiguousarray(height, np.float32))[None, None]
    return F.interpolate(image, size=tuple(size), mode="bicubic", align_corners=False, antialias=shrinks)[0, 0].numpy()


def _nearest(labels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    rows, columns = ((np.arange(n) + 0.5) * side / n for n, side in zip(size, labels.shape, strict=True))
    return np.ascontiguousarray(labels[np.ix_(rows.astype(np.int64), columns.astype(np.int64))])


def match_values(height: np.ndarray, exemplars: Sequence[np.ndarray]) -> np.ndarray:
    """The map with its values replaced, in order, by those of the exemplars: the layout, at the exemplars' own
    hypsometry."""
    values = np.sort(np.concatenate([e.ravel() for e in exemplars]))
    order = np.argsort(height, axis=None, kind="stable")
    place = (np.arange(order.size) + 0.5) / order.size * (values.size - 1)
    matched = np.empty(order.size, np.float32)
    matched[order] = np.interp(place, np.arange(values.size), values)
    return matched.reshape(height.shape)
