"""Terrain that obeys drawn lines: rivers fall along them, ridges stand, cliffs step, coasts lie at the water's level, roads are
cut and filled.

Landforms come first, then rivers, then roads, each on the ground that the ones before have left: a river cuts through a ridge, a
road fords a river. On and beside a line the heights are what its section asks for; from there the displacement, not the ground,
fades out over the line's reach, so that the terrain keeps its own detail. Farther away not a bit changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.ops.terrain.curves import sections as sections
from backend.ops.terrain.curves.beside import moved
from backend.ops.terrain.curves.samples import Run, runs
from backend.ops.terrain.curves.sections import Ground
from backend.ops.terrain.curves.shores import shores
from backend.ops.terrain.depressions import check_grid
from shared.curves import Line

LANDFORMS = ("ridge", "cliff", "coast")


@dataclass(frozen=True)
class Bent:
    """height float32 [H, W] in metres, and what lines have made of it, bool [H, W]: the beds of rivers, the surfaces of roads.

    Of coasts: land is the shore on their left; sea_m, float32, the water's level on their right where the ground is no higher, as
    far as they reach; NaN elsewhere. courses: the flat pixels under each river's middle, in the direction of its flow.
    """

    height: Tensor
    river: Tensor
    road: Tensor
    land: Tensor
    sea_m: Tensor
    courses: tuple[Tensor, ...] = ()


def bend(height: Tensor, lines: Sequence[Line], pixel_size_m: float, *, rivers: Tensor | None = None) -> Bent:
    """The map float32 [H, W] bent so that it obeys the lines, which lie on it in shares of its sides (shared.curves.Line).

    rivers [H, W] bool: beds from an earlier call, which roads ford and leave as they are.

    At strength 1: along a river, heights fall from pixel to pixel and its banks are higher; a road is nowhere steeper than its
    slope; a ridge is not below the ground beside it; a cliff's left is higher than its right by its amount; a coast is at its
    level, with the land on its left. Raises InvalidInput for lines of unreasonable length.
    """
    check_grid(height)
    if not pixel_size_m > 0:
        raise ValueError(f"pixel_size_m must be above 0, not {pixel_size_m}")
    shape = (int(height.shape[0]), int(height.shape[1]))
    given = runs([line for line in lines if line.strength > 0], shape, pixel_size_m)
    ground = height.detach().cpu().numpy().astype(np.float32)
    relief = float(np.subtract(*np.quantile(_thinned(ground), (0.98, 0.02)))) if given else 0.0

    def of(*types: str) -> list[Run]:
        return [run for run in given if run.line.type in types]

    road, land, sea_m = np.zeros(shape, bool), np.zeros(shape, bool), np.full(shape, np.nan, np.float32)
    river = np.zeros(shape, bool) if rivers is None else rivers.cpu().numpy().copy()
    held, courses = river.copy(), ()
    if own := of(*LANDFORMS):
        wanted = sections.land(own, Ground(ground, pixel_size_m, relief))
        ground = moved(ground, wanted, None, height.device)
        if of("coast"):
            land, sea_m = shores(wanted, ground)
            held.ravel()[wanted.pixel[wanted.shore != 0]] = True
    if own := of("river"):
        wanted = sections.rivers(own, Ground(ground, pixel_size_m, relief, sea_m))
        ground = moved(ground, wanted, held, height.device)
        river.ravel()[wanted.pixel[wanted.core]] = True
        held.ravel()[wanted.pixel] = True
        courses = tuple(torch.from_numpy(run.course(shape)) for run in wanted.near.runs)
    if own := of("road"):
        wanted = sections.roads(own, Ground(ground, pixel_size_m, relief), river)
        ground = moved(ground, wanted, held, height.device)
        road.ravel()[wanted.pixel] = True

    def on_device(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(height.device)

    return Bent(on_device(ground), on_device(river), on_device(road), on_device(land), on_device(sea_m), courses)


def _thinned(values: np.ndarray) -> np.ndarray:
    step = max(1, max(values.shape) // 512)
    return values[::step, ::step]
