"""Terrain from a sketch: a generator makes heights (and, at continental scale, albedo) of a map of classes, or they are assembled
without one; water finds its level, the land is drained, its flow mapped, and ground coloured without any light.

Every step after the heights works in metres on the whole map. Parts: backend/algorithms/sketch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.sketch import assembly, cover, lines, network, shores, valleys, water
from backend.ops.resampling import resize
from backend.ops.smoothing import gaussian
from backend.ops.terrain import generator_units, routing
from backend.ops.terrain.drainage import drain
from backend.runtime.context import JobContext
from shared import painted_classes
from shared.arrays import AREA_MAP, CLASS_MAP, COLOR_IMAGE, MASK, Array, height_map
from shared.catalog.terrain import WEIGHTS, TerrainParams
from shared.curves import lines_of
from shared.errors import InvalidInput
from shared.painted_classes import PAINTED_CLASSES
from shared.terrain_classes import TERRAIN_CLASSES, WATER

BETWEEN_M = 900.0  # pixel size from which on the continental model is nearer, by ratio
DROP_M = 1e-3
STAGES = 6  # after the heights, for progress
ASSEMBLY_STEPS = 60  # that assembling heights counts as


class _Stages:
    """Progress: the network's tiles or the assembly, then one stage after the other."""

    def __init__(self, job: JobContext) -> None:
        self._job = job
        self._tiles = self._done = 1

    def tile(self, number: int, tiles: int) -> None:
        self._tiles = self._done = tiles
        self._job.step(number, tiles + STAGES, "drawing the terrain")

    def assembled(self, share: float, stage: str) -> None:
        self._tiles = self._done = ASSEMBLY_STEPS
        self._job.step(int(100 * share * ASSEMBLY_STEPS), 100 * (ASSEMBLY_STEPS + STAGES), stage)

    def next(self, stage: str, share: float = 0.0) -> None:
        """Begin a stage, or go on with it: share of it that is done."""
        if not share:
            self._done += 1
        self._job.step(int(100 * (self._done - 1 + share)), 100 * (self._tiles + STAGES), stage)


@dataclass(frozen=True)
class _Land:
    """Ground, and the surface of ground and water, float32 [H, W] in metres; classes [H, W] with water where it is; masks of what
    lies on the ground by lines.
    """

    ground: Tensor
    surface: Tensor
    classes: Tensor
    is_wet: Tensor
    rivers: Tensor
    roads: Tensor


def run(params: TerrainParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array | tuple[Array, ...]]:
    """Ground, water and colour of a sketch, see the ports of shared.catalog.terrain."""
    painted_classes.check_list()
    if painted_classes.LIST_SHA256:
        job.used_weights["classes"] = painted_classes.LIST_SHA256  # the user's own list: the recipe says which
    classes = torch.from_numpy(np.ascontiguousarray(inputs["classes"].values))
    pixel_size_m = params.size_m / max(classes.shape)
    stages = _Stages(job)
    make = _assembled if chosen_method(params, pixel_size_m) == "assemble" else _drawn
    height, color = make(params, classes, pixel_size_m, job, stages)
    job.preview(height=height)
    land = _settled(params, inputs, classes, height, pixel_size_m, stages)
    del height  # a large map's memory
    job.preview(height=land.ground)
    stages.next("mapping the flow")
    flow = routing.spread_area(land.surface, pixel_size_m)
    stages.next("colouring the ground")
    painted, densities = cover.cover(
        land.classes, land.surface, land.ground, pixel_size_m, flow, params.seed,
        bare=land.is_wet | land.rivers | land.roads, colored=color is None,
        observe=lambda done, rows: stages.next("colouring the ground", done / rows),
    )  # fmt: skip
    color = painted if color is None else color
    assert color is not None
    color = lines.painted(color, land.rivers & ~land.is_wet, land.roads)
    return _outputs(land, color, flow, densities, pixel_size_m)


def _settled(
    params: TerrainParams,
    inputs: Mapping[str, Any],
    classes: Tensor,
    height: Tensor,
    pixel_size_m: float,
    stages: _Stages,
) -> _Land:
    """The land that these heights become: on its base, with level water, bent to its lines, drained."""
    base, curves = inputs.get("base"), inputs.get("curves")
    if base is not None:
        height = _on_base(height, base, params)
    stages.next("levelling water")
    heights, bodies = _bodies(
        height.numpy(), (_as_models(classes) == WATER).numpy(), pixel_size_m, absolute=base is not None
    )
    drawn = lines_of(curves.values) if curves is not None else []
    stages.next("bending to the lines" if drawn else "shaping shores")
    rivers = None
    if drawn:
        heights, bodies, rivers = lines.bent(heights, bodies, drawn, pixel_size_m)
        classes = lines.classes_of(classes, bodies)
    ground = torch.from_numpy(shores.settled(heights, bodies, pixel_size_m, params.seed))
    surface, is_wet = torch.from_numpy(bodies.surface(ground.numpy())), torch.from_numpy(bodies.mask)
    del height, heights, bodies
    stages.next("draining hollows")
    if params.drain:
        surface = _drained(surface, is_wet, params, pixel_size_m)
        ground = torch.where(is_wet, ground, surface)
    if rivers is None:
        nothing = torch.zeros_like(is_wet)
        return _Land(ground, surface, classes, is_wet, nothing, nothing)
    surface = lines.falling(surface, rivers.courses, is_wet)
    surface, roads = lines.with_roads(surface, is_wet, drawn, pixel_size_m, rivers.beds)
    return _Land(torch.where(is_wet, ground, surface), surface, classes, is_wet, rivers.beds, roads)


def chosen_method(params: TerrainParams, pixel_size_m: float) -> str:
    """How heights are made, where the user leaves it open: the continental network's mountains look worse than assembled ones."""
    if params.method != "auto":
        return params.method
    wants_network = params.weights_file or chosen_scale(params, pixel_size_m) == "regional"
    return "network" if wants_network else "assemble"


def chosen_scale(params: TerrainParams, pixel_size_m: float) -> str:
    """The model that a job uses, by the pixel size where the user leaves it open."""
    if params.scale != "auto":
        return params.scale
    return "continental" if pixel_size_m >= BETWEEN_M else "regional"


def _assembled(
    params: TerrainParams, classes: Tensor, pixel_size_m: float, job: JobContext, stages: _Stages
) -> tuple[Tensor, Tensor | None]:
    """Heights [H, W] in metres without a network, and no albedo."""
    height = assembly.assemble(
        classes.numpy(), params.size_m, seed=params.seed, generator=job.generator, device=job.device,
        observe=stages.assembled,
    )  # fmt: skip
    return height * params.relief, None


def _drawn(
    params: TerrainParams, classes: Tensor, pixel_size_m: float, job: JobContext, stages: _Stages
) -> tuple[Tensor, Tensor | None]:
    """What the generator makes: heights [H, W] in metres and, at continental scale, albedo [H, W, 3]."""
    scale = chosen_scale(params, pixel_size_m)
    name = WEIGHTS[scale]
    tensors = job.weights(name, file=params.weights_file)
    try:
        generator = network.load(tensors, len(TERRAIN_CLASSES), job.device)
    except ValueError as error:
        raise InvalidInput(
            f"{params.weights_file or name} does not hold the weights of a terrain generator: {error}.",
            hint="Use weights.safetensors of a run of: relievo.py train terrain --architecture compact",
            field="weights_file",
        ) from error
    of_scale = generator_units.continental_scale if scale == "continental" else generator_units.regional_scale
    made = network.generate(
        generator,
        _as_models(classes),
        len(TERRAIN_CLASSES),
        scale=of_scale(pixel_size_m),
        seed=params.seed,
        observe=stages.tile,
    )
    height = _metres(made.height, scale, pixel_size_m) * params.relief
    return height, None if made.color is None else made.color.square()


def _as_models(classes: Tensor) -> Tensor:
    """The classes [H, W] by the numbers that the models know."""
    return torch.tensor([entry.like for entry in PAINTED_CLASSES], dtype=torch.uint8)[classes.int()]


def _metres(height: Tensor, scale: str, pixel_size_m: float) -> Tensor:
    if scale == "continental":
        return generator_units.from_continental(height)
    return height * (generator_units.REGIONAL_UNIT_PX * pixel_size_m)


def _on_base(height: Tensor, base: Array, params: TerrainParams) -> Tensor:
    """The heights with the large forms of a base [h, w]: their own are replaced, as far as base_share says."""
    shape = (int(height.shape[0]), int(height.shape[1]))
    given = torch.from_numpy(np.ascontiguousarray(base.values))
    wanted = resize(given, shape) if given.shape != height.shape else given
    sigma = max(0.5, params.base_detail / 100.0 * min(shape) / 3.0)
    return height + params.base_share * gaussian((wanted - height).float(), sigma, edge="nearest")


def _bodies(
    height_m: np.ndarray, is_water: np.ndarray, pixel_size_m: float, *, absolute: bool
) -> tuple[np.ndarray, water.Bodies]:
    """Heights and bodies of water; heights count from the sea unless a base has said where they do."""
    bodies = water.find(height_m, is_water, pixel_size_m)
    return (height_m, bodies) if absolute else water.with_sea_level(height_m, bodies)


def _drained(surface: Tensor, is_wet: Tensor, params: TerrainParams, pixel_size_m: float) -> Tensor:
    """The surface of ground and water, float32 [H, W], without pits on land."""
    drained = drain(surface, cut_share=params.rivers, drop=DROP_M, outlets=is_wet)
    return torch.from_numpy(
        valleys.widened(drained.numpy(), surface.numpy(), is_wet.numpy(), pixel_size_m, params.seed)
    )


def _outputs(
    land: _Land, color: Tensor, flow: Tensor, densities: Sequence[Tensor], pixel_size_m: float
) -> dict[str, Array | tuple[Array, ...]]:
    attributes = {"pixel_size_m": float(pixel_size_m)}
    return {
        "height": height_map(land.ground.numpy(), pixel_size_m),
        "albedo": Array(COLOR_IMAGE, np.ascontiguousarray(color.float().numpy()), {}),
        "water": Array(MASK, land.is_wet.float().numpy(), attributes),
        "water_level": height_map(land.surface.numpy(), pixel_size_m),
        "flow": Array(AREA_MAP, flow.float().numpy(), attributes),
        "density": tuple(
            Array(MASK, part.numpy(), {**attributes, "name": entry.name})
            for entry, part in zip(PAINTED_CLASSES, densities, strict=True)
        ),
        "classes": Array(CLASS_MAP, land.classes.to(torch.uint8).numpy(), {}),
    }
