"""Drawn lines in a terrain from a sketch: landforms and rivers before the land is drained, roads after it.

Heights are metres. A coast's line settles where its sea is, also against what is painted beside it; other painted water stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.sketch import water
from backend.ops.terrain.bands import row_bands
from backend.ops.terrain.curves.bending import bend
from shared.curves import Line
from shared.painted_classes import first_like, numbers_like
from shared.srgb import srgb_to_linear
from shared.terrain_classes import FOREST, GRASS, SAND, TERRAIN_CLASSES, WATER

ROAD = "road"
GRAVEL = (142, 134, 122)  # sRGB
COVER = 0.85  # to which rivers and roads cover the colour of the ground


@dataclass(frozen=True)
class Rivers:
    """beds bool [H, W]; courses: the flat pixels under the middle of each, in the direction of its flow."""

    beds: Tensor
    courses: tuple[Tensor, ...]


def bent(
    height_m: np.ndarray, bodies: water.Bodies, lines: Sequence[Line], pixel_size_m: float
) -> tuple[np.ndarray, water.Bodies, Rivers]:
    """The heights [H, W] bent to all lines but roads, and the bodies of water with the sea of coasts among them."""
    surface = torch.from_numpy(bodies.surface(height_m)).float()
    made = bend(surface, [line for line in lines if line.type != ROAD], pixel_size_m)
    moved = (made.height != surface).numpy()
    del surface  # a large map's memory
    height_m = np.where(moved, made.height.numpy().astype(height_m.dtype, copy=False), height_m)
    del moved
    rivers = Rivers(made.river, made.courses)
    sea_m, land = made.sea_m.numpy(), made.land.numpy()
    del made
    is_sea = ~np.isnan(sea_m)
    is_water = (bodies.mask | is_sea) & ~land
    if (is_water == bodies.mask).all():
        return height_m, bodies, rivers
    return height_m, water.find(height_m, is_water, pixel_size_m, (sea_m, bodies.level_m)), rivers


def classes_of(classes: Tensor, bodies: water.Bodies) -> Tensor:
    """The classes [H, W] with water where it is now: a new shore is sand."""
    mask = torch.from_numpy(bodies.mask)
    was_wet = torch.isin(classes, torch.tensor(numbers_like(WATER), dtype=classes.dtype))
    dry = torch.where(was_wet, first_like(SAND, GRASS, FOREST), classes)
    return torch.where(mask & ~was_wet, first_like(WATER), torch.where(mask, classes, dry))


def falling(surface: Tensor, courses: Sequence[Tensor], is_water: Tensor) -> Tensor:
    """The drained surface float32 [H, W] with rivers that still fall from pixel to pixel; draining moves them unevenly."""
    surface = surface.clone()
    flat = surface.view(-1)
    for course in courses:
        heights = flat[course]
        lowered = torch.cummin(heights, 0).values
        flat[course] = torch.where(is_water.view(-1)[course], heights, lowered)
    return surface


def with_roads(
    surface: Tensor, is_water: Tensor, lines: Sequence[Line], pixel_size_m: float, rivers: Tensor
) -> tuple[Tensor, Tensor]:
    """The surface float32 [H, W] with roads cut and filled on land, and where they are; water stays as it is."""
    made = bend(surface, [line for line in lines if line.type == ROAD], pixel_size_m, rivers=rivers)
    return torch.where(is_water, surface, made.height), made.road & ~is_water


def painted(color: Tensor, rivers: Tensor, roads: Tensor) -> Tensor:
    """The albedo, linear [H, W, 3], with rivers in the colour of water and roads in that of gravel; `color` is changed."""
    shallow, gravel = (
        torch.from_numpy(srgb_to_linear(np.array(rgb, np.float32) / 255.0)).to(color.dtype)
        for rgb in (TERRAIN_CLASSES[WATER].ground, GRAVEL)
    )
    for mask, rgb in ((rivers, shallow), (roads, gravel)):
        for rows in row_bands(tuple(mask.shape)):
            part, own = color[rows], mask[rows]
            if own.any():
                part[own] = torch.lerp(part[own], rgb, COVER)
    return color
