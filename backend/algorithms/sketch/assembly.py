"""Terrain of a sketch without a network: landforms of the exemplars that ship, transferred by class onto its large forms, and
valleys that running water cuts into them.

The yardstick for the trained models, and what there is without weights. Only heights are made here; water, draining, flow and
colour are those of every terrain (backend/algorithms/terrain.py). Knows no job.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from backend.algorithms.relief.relief_transfer import TransferSettings, resample, transfer_relief
from backend.algorithms.sketch import fluvial
from backend.algorithms.sketch.base import Base, base, land_classes
from backend.files import exemplars as shipped
from backend.ops.moments import mean, variance
from backend.ops.resampling import nearest, resize
from backend.ops.smoothing import gaussian
from backend.ops.terrain import noise
from shared.painted_classes import PAINTED_CLASSES
from shared.terrain_classes import FOREST, GRASS, HILLS, ROCK, SAND, SNOW, WATER

EXEMPLARS = {
    WATER: "dunes",
    SAND: "dunes",
    GRASS: "badlands",
    FOREST: "alpine",
    HILLS: "badlands",
    ROCK: "alpine",
    SNOW: "alpine",
}
EXEMPLAR_EDITION = 1  # what its settings were chosen on, and what its recipes repeat
WHOLE_PX = (
    512  # of the map's longer side at which exemplars have their own size; on smaller maps they shrink with the map
)
LEAST_PX = 48  # of a side: smaller sketches are continued beyond their border for the transfer
COARSER, TRANSFER_PX = 2, 128  # landforms are transferred at pixels twice as large, but to so many per side at least
MOST_PX = 2048  # of the longer side at which water cuts its valleys; larger terrains are enlarged from there
DEVIATIONS = 3.4  # that a range of heights spans
LANDFORM_PX = 112.0  # at WHOLE_PX
HILL_SHARE = 0.22  # of the longer side: wavelength of the chance that ridges are laid out by
CHANCE_DEVIATION = 0.35  # of three octaves of noise
FORM_SHARE = 0.06  # of the longer side: larger forms of the base are left to the base
SLIT = 0.05  # standard deviations of the heights: a pixel that lies deeper below its neighbours is a slit
CARVED_FROM = 0.75  # of the progress
CUTS = 4  # steps of running water at each size
ROUGH_SHARE = 0.02  # of the relief: noise that lets water branch; more where forms are smaller, to this power
ROUGH_POWER = 1.4
WEAR = {
    WATER: 0.0,
    SAND: 0.5,
    GRASS: 0.8,
    FOREST: 1.0,
    HILLS: 1.0,
    ROCK: 1.0,
    SNOW: 0.8,
}  # how easily water cuts each class
STEPS, FILTERS, ROUNDS = 16, 24, 2  # of the transfer; see TransferSettings

Observe = Callable[[float, str], None]  # share done, stage; may raise


def assemble(
    classes: np.ndarray, size_m: float, *, seed: int, generator: torch.Generator, device: torch.device, observe: Observe
) -> Tensor:
    """Heights [H, W] float32 m above the water of a sketch [H, W] whose longer side is size_m long."""
    rows, columns = classes.shape
    size_m *= max(LEAST_PX, *classes.shape) / max(classes.shape)
    beyond = [max(0, LEAST_PX - side) for side in classes.shape]
    sketch = np.pad(classes, [(part // 2, part - part // 2) for part in beyond], mode="edge")
    forms = base(sketch, size_m)

    def transferring(share: float, stage: str) -> None:
        observe(CARVED_FROM * share, stage)

    landforms = _landforms(sketch, forms, seed, generator, device, transferring)
    height = _with_valleys(sketch, forms, landforms, seed, observe)
    top, left = (part // 2 for part in beyond)
    return height[top : top + rows, left : left + columns].contiguous()


def _with_valleys(sketch: np.ndarray, forms: Base, landforms: Tensor, seed: int, observe: Observe) -> Tensor:
    """Heights [H, W] in metres: large forms, landforms [h, w] of deviation 1, and valleys of running water, the wide ones first."""
    first = (landforms.shape[0], landforms.shape[1])
    rough = forms.relief * (ROUGH_SHARE / forms.form_size**ROUGH_POWER)
    height = resize(forms.height, first) + resize(forms.relief, first) / DEVIATIONS * landforms
    sizes = list(dict.fromkeys([first, _size(sketch.shape, 1.0)]))
    for number, size in enumerate(sizes):

        def cutting(share: float, done: int = number) -> None:
            observe(CARVED_FROM + (1.0 - CARVED_FROM) * (done + share) / len(sizes), "cutting valleys")

        height = fluvial.roughened(resize(height, size), resize(rough, size), seed + number)
        height = fluvial.carved(height, _wear(sketch, size), CUTS, seed, cutting)
    return resize(height, sketch.shape)


def _wear(sketch: np.ndarray, size: Sequence[int]) -> Tensor:
    """How easily water cuts the ground of each class [h, w], 0..1."""
    of_class = torch.tensor([WEAR[entry.like] for entry in PAINTED_CLASSES])
    return of_class[nearest(torch.from_numpy(sketch), size).long()]


def _size(shape: Sequence[int], share: float) -> tuple[int, int]:
    """Of a map that is worked on for a sketch [H, W]: a share of it, but MOST_PX at most and LEAST_PX at least."""
    share *= min(1.0, MOST_PX / max(shape))
    return max(LEAST_PX, round(shape[0] * share)), max(LEAST_PX, round(shape[1] * share))


def _landforms(
    classes: np.ndarray, forms: Base, seed: int, generator: torch.Generator, device: torch.device, observe: Observe
) -> Tensor:
    """Landforms of deviation 1 about 0, each class's exemplar's where it is painted: [h, w], on larger pixels than the sketch's."""
    shape = classes.shape
    whole = min(max(shape), MOST_PX)
    shrink = max(min(1.0, TRANSFER_PX / whole), 1.0 / COARSER)
    size = _size(shape, shrink)
    names, labels = _labels(classes)
    ratio = min(1.0, whole / WHOLE_PX) * shrink * forms.form_size
    exemplars = [_exemplar(name, ratio).to(device) for name in names]
    settings = TransferSettings(steps=STEPS, filters=FILTERS, rounds=ROUNDS, landform_px=LANDFORM_PX * ratio)

    def watch(share: float, stage: str, height: Callable[[], Tensor]) -> bool:
        observe(share, stage)
        return True

    made = transfer_relief(
        resize(_layout(forms, seed), size).to(device), exemplars, settings, generator,
        classes=nearest(torch.from_numpy(labels), size).to(device) if len(names) > 1 else None, observe=watch,
    )  # fmt: skip
    return _without_slits(made.cpu())


def _without_slits(height: Tensor) -> Tensor:
    """The landforms without the cuts one pixel wide by which the transfer drains them: draining cuts the finished land, wider."""
    values = height.numpy()
    middle = ndimage.median_filter(values, 3, mode="nearest")
    return torch.from_numpy(np.where(middle - values > SLIT, middle, values))


def _labels(classes: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The exemplars that a sketch needs, and the number of each pixel's; water has that of the nearest land."""
    of_class = [EXEMPLARS[entry.like] for entry in PAINTED_CLASSES]
    land = land_classes(classes)
    names = sorted({of_class[number] for number in np.unique(land)})
    numbers = [names.index(name) if name in names else 0 for name in of_class]
    return names, np.array(numbers, np.uint8)[land]


def _exemplar(name: str, ratio: float) -> Tensor:
    """A shipped exemplar at a share of its size, its heights with mean 0 and deviation 1."""
    height = torch.from_numpy(shipped.load(name, EXEMPLAR_EDITION).values)
    height = resample(height, [round(side * ratio) for side in height.shape])
    return (height - mean(height)) / variance(height) ** 0.5


def _layout(forms: Base, seed: int) -> Tensor:
    """Where landforms stand high and low: with the base's own forms, which they carry on, and by chance elsewhere."""
    rows, columns = forms.height.shape
    side = forms.form_size * max(rows, columns)
    field = noise.NoiseField(wavelength_px=(HILL_SHARE * side, HILL_SHARE * side), octaves=3, warp=0.3, seed=seed)
    chance = noise.evaluate(field, noise.Window(0, 0, columns, rows))[0, 0] / CHANCE_DEVIATION
    own = forms.height - gaussian(forms.height, FORM_SHARE * side, edge="nearest")
    return chance + (DEVIATIONS * own / forms.relief.clamp_min(1.0)).clamp(-2.0, 2.0)
