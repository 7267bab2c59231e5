"""The large forms of a terrain built without a network: smooth heights that follow the hints of a sketch's classes.

Water lies low and the land rises from it; each class stands at its height, mountains rise towards their middle, borders are slopes
and no steps. Away from mountains the land declines to plains, over a hundred kilometres and more: a map of a landscape hardly shows
it, a continent has lowlands. Other lengths are shares of the map, so that a draft of few pixels has the forms of the final terrain.
Makes no landforms: those are transferred onto this (assembly.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from scipy import ndimage

from backend.ops.resampling import resize
from backend.ops.smoothing import gaussian
from shared.painted_classes import PAINTED_CLASSES
from shared.terrain_classes import FOREST, GRASS, HILLS, ROCK, SAND, SNOW, TERRAIN_CLASSES, WATER

HINTS_SIDE_M = 20_000.0  # the map that the classes' hints are of
LARGE_MAP_POWER = 0.85  # heights grow with the side of small maps, and much more slowly on large ones
BLENDS = (
    (0.010, 0.25),
    (0.030, 0.35),
    (0.080, 0.40),
)  # deviations, of the side, and shares of the passages between classes
RISE_SHARE = 0.06  # of the side, over which a class rises from its border towards its middle
MIDDLE_SHARE = 0.6  # of a class's relief by which its middle stands above its border
VALLEY_SHARE = 0.05  # of the side, over which land rises from water beside it
FALL_SHARE = 0.15  # of the land's height that comes with distance from water alone
SIDES_M = 100_000.0, 1_000_000.0  # of maps: up to the first a landscape, from the second on a continent
LEAST_FORM_SIZE = (
    0.45  # forms of a continent, in shares of the map's side, against those of a landscape: it has many ranges
)
# a continent's deserts and steppes are no beaches and meadows, and its hills are ranges; measured on real ground at 4 km per pixel
LARGE_HEIGHT = {WATER: 1.0, SAND: 20.0, GRASS: 2.3, FOREST: 1.0, HILLS: 1.4, ROCK: 1.0, SNOW: 1.0}
LARGE_RELIEF = {WATER: 1.0, SAND: 6.0, GRASS: 2.0, FOREST: 2.0, HILLS: 2.8, ROCK: 1.15, SNOW: 1.15}
MOUNTAINS = (HILLS, ROCK, SNOW)
# what is left of the heights and the relief of low classes away from mountains: shares, and metres over which each is lost
HEIGHT_DECLINE = ((0.58, 100_000.0), (0.37, 600_000.0), (0.05, np.inf))
RELIEF_DECLINE = ((0.75, 80_000.0), (0.15, 250_000.0), (0.10, np.inf))
WORK_PX = 512  # of the longer side, at most; there is nothing smaller in the result


@dataclass(frozen=True)
class Base:
    """height, relief float32 [H, W]: metres above the water, and the height range of landforms that belongs there. form_size:
    how large landforms are in shares of the map, 1 on a map of a landscape.
    """

    height: torch.Tensor
    relief: torch.Tensor
    form_size: float


def base(classes: np.ndarray, size_m: float) -> Base:
    """Large forms of a sketch [H, W] whose longer side is size_m long."""
    shape = classes.shape
    step = max(1, -(-max(shape) // WORK_PX))
    is_water = water_of(classes)
    distance = _distance(is_water)[::step, ::step]  # of the whole sketch: a thin river is not lost
    coarse = np.ascontiguousarray(classes[::step, ::step])
    side = max(shape)
    factor = vertical_factor(size_m)
    large = continental(size_m)
    form_size = 1.0 - (1.0 - LEAST_FORM_SIZE) * large
    height, relief = (part[land_classes(coarse)] * np.float32(factor) for part in _hints(large))
    height += MIDDLE_SHARE * relief * _towards_middle(coarse, form_size * side / step)
    apart_m = _from_mountains(coarse) * size_m / max(coarse.shape)
    height *= _decline(apart_m, HEIGHT_DECLINE)
    relief *= _decline(apart_m, RELIEF_DECLINE)
    height, relief = (_blended(part, form_size * side / step) for part in (height, relief))
    open_land = distance / (distance + VALLEY_SHARE * side) if is_water.any() else np.ones_like(height)
    far = distance / max(float(distance.max()), 1.0) if is_water.any() else np.zeros_like(height)
    height = height * open_land * (1.0 - FALL_SHARE + FALL_SHARE * far)
    relief = relief * np.sqrt(open_land)
    return Base(_enlarged(height, shape), _enlarged(relief, shape), form_size)


def vertical_factor(size_m: float) -> float:
    """What the hints' metres are multiplied by on a map of this side: 1 at HINTS_SIDE_M."""
    ratio = size_m / HINTS_SIDE_M
    return ratio * (2.0 / (1.0 + ratio)) ** LARGE_MAP_POWER


def continental(size_m: float) -> float:
    """0 on a map of a landscape to 1 on one of a continent, by the logarithm of its side."""
    smallest, largest = SIDES_M
    return float(np.clip(np.log(size_m / smallest) / np.log(largest / smallest), 0.0, 1.0))


def water_of(classes: np.ndarray) -> np.ndarray:
    """Where a sketch has water, bool [H, W]."""
    return np.array([entry.like == WATER for entry in PAINTED_CLASSES])[classes]


def land_classes(classes: np.ndarray) -> np.ndarray:
    """The classes, water replaced by the land nearest to it: rivers through mountains do not flatten them from afar."""
    is_water = water_of(classes)
    if is_water.all() or not is_water.any():
        return classes
    nearest = ndimage.distance_transform_edt(is_water, return_distances=False, return_indices=True)
    return classes[tuple(cast("np.ndarray", nearest))]


def _hints(large: float) -> tuple[np.ndarray, np.ndarray]:
    """Height and relief of each class in metres, float32: 0 as on a map of HINTS_SIDE_M, 1 as of a continent's."""
    height = [entry.height_m * LARGE_HEIGHT[entry.like] ** large for entry in PAINTED_CLASSES]
    relief = [entry.relief_m * LARGE_RELIEF[entry.like] ** large for entry in PAINTED_CLASSES]
    return np.array(height, np.float32), np.array(relief, np.float32)


def _distance(is_water: np.ndarray) -> np.ndarray:
    """Pixels to the nearest water, float32; zero in water."""
    if not is_water.any():
        return np.zeros(is_water.shape, np.float32)
    return cast("np.ndarray", ndimage.distance_transform_edt(~is_water)).astype(np.float32)


def _from_mountains(classes: np.ndarray) -> np.ndarray:
    """Pixels to the nearest hills, rock or snow, [H, W] float32; without any, they are taken to lie half a map's side away."""
    least = TERRAIN_CLASSES[HILLS].height_m
    mountains = np.array([e.like in MOUNTAINS or e.height_m >= least for e in PAINTED_CLASSES])[classes]
    most = np.full(classes.shape, max(classes.shape) / 2.0, np.float32)
    if not mountains.any():
        return most
    return cast("np.ndarray", ndimage.distance_transform_edt(~mountains)).astype(np.float32)


def _decline(apart_m: np.ndarray, parts: Sequence[tuple[float, float]]) -> np.ndarray:
    """Sum of the parts, each of which falls to 1 / e over its length in metres."""
    total = np.zeros(apart_m.shape, np.float32)
    for share, length in parts:
        total += share * np.exp(-apart_m / np.float32(length))
    return total


def _towards_middle(classes: np.ndarray, side: float) -> np.ndarray:
    """0 at the border to a lower class, to 1 far from it: [H, W] float32."""
    result = np.zeros(classes.shape, np.float32)
    is_water = water_of(classes)
    level = np.where(is_water, -np.inf, np.array([entry.height_m for entry in PAINTED_CLASSES])[classes])
    for number in np.unique(classes[~is_water]):
        below = level < PAINTED_CLASSES[number].height_m
        if below.any():
            distance = cast("np.ndarray", ndimage.distance_transform_edt(~below))
            mine = classes == number
            result[mine] = 1.0 - np.exp(-distance[mine] / (RISE_SHARE * side))
    return result


def _blended(values: np.ndarray, side: float) -> np.ndarray:
    """Values [H, W] smoothed over several shares of the map's side, added up by weight."""
    wide = torch.from_numpy(values)
    total = torch.zeros_like(wide)
    for sigma, weight in BLENDS:
        total += weight * gaussian(wide, max(0.5, sigma * side), edge="nearest")
    return total.numpy()


def _enlarged(values: np.ndarray, shape: tuple[int, ...]) -> torch.Tensor:
    return resize(torch.from_numpy(np.ascontiguousarray(values, np.float32)), shape).clamp_min(0.0)
