"""How large exemplars are on a height map, at which pixel size the two meet, and at which level the result lies.

Fitted exemplars are scaled down in all three directions, so that their slopes stay; at true metres they stay as they are.
Everything that cannot work is refused here, from sizes alone, before anything is computed. This module makes no landforms.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.relief.relief_transfer import resample
from backend.ops.block_means import averaged
from backend.ops.resampling import nearest, resize
from shared.arrays import Array
from shared.catalog.morphology import LEAST_MAP_SIDE
from shared.errors import InvalidInput

log = logging.getLogger(__name__)

LEAST_EXEMPLAR_SIDE = 20  # pixels: less has no room for a few different 7 x 7 patches
MOST_EXEMPLAR_SIDE = 16384
ENOUGH_PX = 2**20  # of an exemplar, to know how wide its landforms are
MOST_REFINED_PX = 2**26
MOST_REFINING_SIDE = 2048  # pixels of an exemplar, at the pixel size of the result
EXPONENT_LAGS = (2, 4, 8, 16)  # pixels
EXPONENT_LIMITS = (1.2, 1.5)  # surveys of pixels of 1 to 5 m on bare slopes have 1.1 to 1.6
BLURRED_PX = 4.0
SAME_SIZE = 1e-3  # share by which pixel sizes may differ that are meant to be the same
COARSER = 2.0  # ratio of pixel sizes from which landforms are computed at the exemplar's: finer ones would be blurred


@dataclass(frozen=True)
class Plan:
    """factor: on the exemplars' metres in all three directions. pixel_size_m: at which landforms are computed, in the map's
    metres. shape: the map's there. sizes: the exemplars' there, [rows, columns] each.

    Heights are computed in the exemplars' own metres, whatever the factor, and multiplied by it at the end: limits and
    tolerances in metres then hold for a sculpt of some centimetres, too.
    """

    factor: float
    pixel_size_m: float
    shape: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]

    def layout(self, height: Tensor) -> Tensor:
        """The map [H, W] m at the pixel size of the plan."""
        return height if height.shape == self.shape else resize(height, self.shape, antialias=True)

    def classes(self, labels: Tensor) -> Tensor:
        return nearest(labels, self.shape)

    def exemplars(self, given: Sequence[Array]) -> list[Tensor]:
        """Heights float32 in their own metres, at the pixel size of the plan."""
        return [
            resample(torch.from_numpy(np.ascontiguousarray(exemplar.values)), size)
            for exemplar, size in zip(given, self.sizes, strict=True)
        ]


def plan(layout: Array, exemplars: Sequence[Array], scale: str, *, legacy: bool = False) -> Plan:
    """How the exemplars come to the map; scale is "fit" or "true".

    Fitted, exemplars of coarser pixels than the map's are scaled down until the coarsest has the map's pixel size, if the
    map's shorter side is less than their longest landform. Where the exemplars' pixels are then still more than twice as large
    as the map's, landforms are computed at theirs: time and memory are bounded by what was measured. legacy: they are enlarged,
    as in version 0.1. Raises InvalidInput.
    """
    rows, columns = layout.values.shape
    if min(rows, columns) < LEAST_MAP_SIDE:
        raise _too_few(layout)
    pixel_size_m, factor = layout.pixel_size_m, 1.0
    coarsest = max(exemplar.pixel_size_m for exemplar in exemplars)
    if scale == "fit" and coarsest > pixel_size_m:
        side_m, widest_m = min(rows, columns) * pixel_size_m, max(landform_m(exemplar) for exemplar in exemplars)
        if side_m < widest_m:
            factor = pixel_size_m / coarsest
            log.warning(
                "The exemplar is scaled to %.3g of its size: its landforms are %.4g m wide, the height map %.4g m.",
                factor, widest_m, side_m,
            )  # fmt: skip
    finest = factor * min(exemplar.pixel_size_m for exemplar in exemplars)
    ratio = finest / pixel_size_m
    shape = (rows, columns)
    if ratio >= COARSER and not legacy:
        pixel_size_m, shape = finest, (round(rows / ratio), round(columns / ratio))
        if min(shape) < LEAST_MAP_SIDE:
            raise _too_small(layout, finest)
    sizes = tuple(_size_at(exemplar, factor, pixel_size_m) for exemplar in exemplars)
    return Plan(factor, pixel_size_m, shape, sizes)


@dataclass(frozen=True)
class RefinementPlan:
    """factor: on the exemplars' metres in all three directions. gain: on their detail besides. sizes: the exemplars' at the pixel
    size of the result, [rows, columns] each."""

    factor: float
    gain: float
    sizes: tuple[tuple[int, int], ...]

    def exemplars(self, given: Sequence[Array]) -> list[Tensor]:
        """Heights float32 m at the pixel size of the result, the middle of what is larger than MOST_REFINING_SIDE."""
        made = []
        for exemplar, size in zip(given, self.sizes, strict=True):
            height = torch.from_numpy(np.ascontiguousarray(exemplar.values))
            height = averaged(height, size) if height.shape != size else height
            top, left = (max(0, (side - MOST_REFINING_SIDE) // 2) for side in size)
            part = height[top : top + MOST_REFINING_SIDE, left : left + MOST_REFINING_SIDE]
            made.append((part * self.factor).contiguous())
        return made


def refinement_plan(layout: Array, exemplars: Sequence[Array], times: int, scale: str) -> RefinementPlan:
    """How the exemplars lend their detail to a map whose pixels become `times` as small; scale is "fit" or "true".

    Exemplars with pixels as fine as the result's lend it as it is. Coarser ones hold nothing so fine: fitted they are scaled
    down in all three directions, so that their slopes stay, until BLURRED_PX pixels of the coarsest become one of the result, or
    fewer where that would leave too little of it: what simulations and surveys hold in single pixels is smooth, or their grid's.
    And their detail is multiplied by factor ^ (H - 1), for terrain that is like itself scaled down by s has heights s ^ H
    times as large, where H is measured from the exemplars (roughness_exponent()) within EXPONENT_LIMITS. Raises InvalidInput.
    """
    rows, columns = layout.values.shape
    pixel_size_m = layout.pixel_size_m / times
    if rows * columns * times**2 > MOST_REFINED_PX:
        most = math.isqrt(MOST_REFINED_PX // (rows * columns))
        can = f"{most} is the most" if most > 1 else "it is too large to be refined at all"
        raise InvalidInput(
            f"Refined {times} times, a map of {columns} x {rows} pixels becomes {columns * times} x {rows * times}, more than"
            f" {MOST_REFINED_PX / 1e6:.0f} million pixels; for this map {can}.",
            hint="Cut out the part that the camera sees.",
            field="refine",
        )  # fmt: skip
    if min(rows, columns) < LEAST_MAP_SIDE:
        raise _too_few(layout)
    coarsest, factor, gain = max(exemplar.pixel_size_m for exemplar in exemplars), 1.0, 1.0
    least_px = -(-LEAST_EXEMPLAR_SIDE * times // 2)  # the first level is up to twice as fine as the map
    if coarsest > pixel_size_m * (1 + SAME_SIZE):
        if scale == "true":
            raise InvalidInput(
                f"An exemplar with pixels of {coarsest:g} m has no detail for pixels of {pixel_size_m:g} m, which"
                f" {layout.pixel_size_m:g} m refined {times} times are.",
                hint="Give an exemplar that is as fine, or set Scale to Fit to Map (--scale fit): its detail is then scaled down.",
                field="exemplar",
            )
        room = min(side * e.pixel_size_m / coarsest for e in exemplars for side in e.values.shape) / least_px
        factor = pixel_size_m / (coarsest * min(max(room, 1.0), BLURRED_PX))
        exponent = float(np.mean([roughness_exponent(exemplar.values) for exemplar in exemplars]))
        gain = factor ** (min(max(exponent, EXPONENT_LIMITS[0]), EXPONENT_LIMITS[1]) - 1)
        log.warning(
            "The exemplar's pixels of %.4g m are coarser than the %.4g m that come out: its detail is scaled to %.3g of its size,"
            " its heights to %.3g.", coarsest, pixel_size_m, factor, factor * gain,
        )  # fmt: skip
    sizes = tuple(_size_at(exemplar, factor, pixel_size_m, least_px) for exemplar in exemplars)
    return RefinementPlan(factor, gain, sizes)


def roughness_exponent(height: np.ndarray) -> float:
    """H of a self-affine surface [H, W] (Hurst's exponent; Turcotte 1997, Fractals and Chaos in Geology and Geophysics, chapter 7):
    second differences over a distance d deviate by d ^ H, above 1 on smooth slopes. Fitted over EXPONENT_LAGS."""
    lags = [lag for lag in EXPONENT_LAGS if 4 * lag < min(height.shape)]
    deviations = []
    for lag in lags:
        bends = (
            np.asarray(z[2 * lag :] + z[: -2 * lag] - 2 * z[lag:-lag], np.float64)
            for z in (height, height.swapaxes(0, 1))
        )
        deviations.append(math.sqrt(sum(float(np.square(bend).mean()) for bend in bends)))
    if len(lags) < 2 or min(deviations) <= 0:
        return 1.0
    return float(np.polyfit(np.log(lags), np.log(deviations), 1)[0])


def landform_m(exemplar: Array) -> float:
    """How far apart the exemplar's ridges are on average, in metres: 2 pi times the deviation of its heights over the root mean
    square of its slopes, which is the wavelength of a map of one wave. 0 for a flat one."""
    height = exemplar.values
    if min(height.shape) < 2:
        return 0.0
    step = max(1, round(math.sqrt(height.size / ENOUGH_PX)))
    rises = np.diff(height[:, ::step], axis=0), np.diff(height[::step], axis=1)
    steepness = math.sqrt(sum(float(np.square(rise).mean(dtype=np.float64)) for rise in rises)) / exemplar.pixel_size_m
    deviation = float(height[::step, ::step].std(dtype=np.float64))
    return 2 * math.pi * deviation / steepness if steepness > 0 else 0.0


def at_level(height: Tensor, layout: Tensor, level: str) -> Tensor:
    """The new heights [H, W] m moved up or down as a whole.

    level "map" gives them the mean of the layout [H, W] m. "auto" leaves them where the layout has no height below 0. Where it
    has both, as many cells lie below 0 as there; where all are below, the mean is the layout's and the highest point stays
    below 0. "exemplar" leaves them alone.
    """
    if level == "exemplar":
        return height
    below = int((layout < 0).sum())
    if level == "auto" and not below:
        return height
    mean_shift = float(layout.double().mean() - height.double().mean())
    if level == "map":
        return height + mean_shift
    if below < layout.numel():
        ordered = height.flatten().double().sort().values
        place = below / layout.numel() * height.numel()
        upper = min(max(int(place), 1), height.numel() - 1)
        return height - float(ordered[upper - 1] + ordered[upper]) / 2
    highest = float(layout.max())
    return height + min(mean_shift, highest - float(height.max()))


def _size_at(
    exemplar: Array, factor: float, pixel_size_m: float, least_px: int = LEAST_EXEMPLAR_SIDE
) -> tuple[int, int]:
    """[rows, columns] of an exemplar at a pixel size; InvalidInput where that leaves less than a few patches, or too many."""
    ratio = factor * exemplar.pixel_size_m / pixel_size_m
    rows, columns = (round(side * ratio) for side in exemplar.values.shape)
    become = (
        f"An exemplar of {exemplar.values.shape[1]} x {exemplar.values.shape[0]} pixels at {exemplar.pixel_size_m:g} m per"
        f" pixel becomes {columns} x {rows} at the height map's {pixel_size_m:g} m"
    )
    if min(rows, columns) < least_px:
        raise InvalidInput(
            f"{become}; at least {least_px} are needed.",
            hint="Use a larger exemplar, or check the pixel size of both maps.",
            field="exemplar",
        )
    if max(rows, columns) > MOST_EXEMPLAR_SIDE:
        raise InvalidInput(
            f"{become}; at most {MOST_EXEMPLAR_SIDE} are allowed.",
            hint="Check the pixel size of both maps, or crop the exemplar.",
            field="exemplar",
        )
    return rows, columns


def _too_few(layout: Array) -> InvalidInput:
    rows, columns = layout.values.shape
    return InvalidInput(
        f"The height map is {columns} x {rows} pixels; relief transfer needs at least {LEAST_MAP_SIDE} pixels to each side.",
        field="height",
    )


def _too_small(layout: Array, finest_m: float) -> InvalidInput:
    rows, columns = layout.values.shape
    sides = " x ".join(f"{side * layout.pixel_size_m:g}" for side in (columns, rows))
    return InvalidInput(
        f"The height map is {sides} m, and at true metres a pixel of the exemplar is {finest_m:g} m: its landforms have no room"
        f" on less than {LEAST_MAP_SIDE * finest_m:g} m.",
        hint="Set Scale to Fit to Map (--scale fit), or check the pixel size of both maps.",
        field="height",
    )
