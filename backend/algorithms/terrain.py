"""Terrain from a sketch: a generator makes heights (and, at continental scale, albedo) of a map of classes; water is levelled, the
land drained, its flow mapped, and ground coloured without any light.

Every step after the network works in metres on the whole map. Parts: backend/algorithms/sketch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.sketch import ground_color, lines, network, water
from backend.ops.resampling import resize
from backend.ops.smoothing import gaussian
from backend.ops.terrain import generator_units, routing
from backend.ops.terrain.drainage import drain
from backend.runtime.context import JobContext
from shared.arrays import AREA_MAP, CLASS_MAP, COLOR_IMAGE, MASK, Array, height_map
from shared.catalog.terrain import WEIGHTS, TerrainParams
from shared.curves import lines_of
from shared.errors import InvalidInput
from shared.terrain_classes import TERRAIN_CLASSES, WATER

BETWEEN_M = 900.0  # pixel size from which on the continental model is nearer, by ratio
DROP_M = 1e-3
STEPS = 7  # after the network, for progress
STEEPEST_GROWTH_DEG = 45.0


def run(params: TerrainParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array | tuple[Array, ...]]:
    """Ground, water and colour of a sketch, see the ports of shared.catalog.terrain."""
    classes = torch.from_numpy(np.ascontiguousarray(inputs["classes"].values)).long()
    pixel_size_m = params.size_m / max(classes.shape)
    scale = chosen_scale(params, pixel_size_m)
    made, tiles = _made(params, classes, pixel_size_m, scale, job)
    height = _metres(made.height, scale, pixel_size_m) * params.relief
    job.preview(height=height)
    base = inputs.get("base")
    if base is not None:
        height = _on_base(height, base, params)
    total = tiles + STEPS
    job.step(tiles + 1, total, "levelling water")
    is_water = (classes == WATER).numpy()
    heights, bodies = _bodies(height.double().numpy(), is_water, absolute=base is not None)
    drawn = lines_of(inputs["curves"].values) if inputs.get("curves") is not None else []
    bent = None
    if drawn:
        job.step(tiles + 2, total, "bending to the lines")
        heights, bodies, bent = lines.bent(heights, bodies, drawn, pixel_size_m)
        classes = lines.classes_of(classes, bodies)
    ground = water.settled(heights, bodies, pixel_size_m)
    job.step(tiles + 3, total, "draining hollows")
    ground, surface = _drained(ground, bodies, params)
    is_wet = torch.from_numpy(bodies.mask)
    roads = torch.zeros_like(is_wet)
    if bent is not None:
        surface = lines.falling(surface, bent.courses, is_wet)
        surface, roads = lines.with_roads(surface, is_wet, drawn, pixel_size_m, bent.river)
        ground = torch.where(is_wet, ground, surface)
    job.preview(height=ground)
    job.step(tiles + 4, total, "mapping the flow")
    flow = routing.spread_area(surface, pixel_size_m)
    job.step(tiles + 5, total, "colouring the ground")
    shares = generator_units.class_shares(classes[None], len(TERRAIN_CLASSES))[0]
    color = made.color.square() if made.color is not None else None
    if color is None:
        color = ground_color.albedo(classes, shares, surface, pixel_size_m, flow, params.seed)
    if bent is not None:
        color = lines.painted(color, bent.river & ~is_wet, roads)
    densities = _densities(shares, surface, pixel_size_m)
    job.step(total, total, "done")
    return _outputs(ground, surface, bodies, color, flow, densities, classes, pixel_size_m)


def chosen_scale(params: TerrainParams, pixel_size_m: float) -> str:
    """The model that a job uses, by the pixel size where the user leaves it open."""
    if params.scale != "auto":
        return params.scale
    return "continental" if pixel_size_m >= BETWEEN_M else "regional"


def _made(
    params: TerrainParams, classes: Tensor, pixel_size_m: float, scale: str, job: JobContext
) -> tuple[network.Made, int]:
    """What the generator makes, and how many tiles it took."""
    name = WEIGHTS[scale]
    tensors = job.weights(name, file=params.weights_file)
    try:
        generator = network.load(tensors, len(TERRAIN_CLASSES), job.device)
    except ValueError as error:
        raise InvalidInput(
            f"{params.weights_file or name} does not hold the weights of a terrain generator: {error}.",
            hint="Use weights.safetensors of a run of: relievo.py train terrain",
            field="weights_file",
        ) from error
    of_scale = generator_units.continental_scale if scale == "continental" else generator_units.regional_scale
    tiles = 1

    def observe(done: int, total: int) -> None:
        nonlocal tiles
        tiles = total
        job.step(done, total + STEPS, "drawing the terrain")

    made = network.generate(
        generator, classes, len(TERRAIN_CLASSES), scale=of_scale(pixel_size_m), seed=params.seed, observe=observe
    )
    return made, tiles


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


def _bodies(height_m: np.ndarray, is_water: np.ndarray, *, absolute: bool) -> tuple[np.ndarray, water.Bodies]:
    """Heights and bodies of water; heights count from the sea unless a base has said where they do."""
    bodies = water.find(height_m, is_water)
    return (height_m, bodies) if absolute else water.with_sea_level(height_m, bodies)


def _drained(ground_m: np.ndarray, bodies: water.Bodies, params: TerrainParams) -> tuple[Tensor, Tensor]:
    """Ground, and the surface of ground and water, float32 [H, W]; the surface without pits where draining is asked for."""
    ground = torch.from_numpy(ground_m).float()
    if not params.drain:
        return ground, torch.from_numpy(bodies.surface(ground_m)).float()
    is_water = torch.from_numpy(bodies.mask)
    surface = torch.from_numpy(bodies.surface(ground_m)).float()
    surface = drain(surface, cut_share=params.rivers, drop=DROP_M, outlets=is_water)
    return torch.where(is_water, ground, surface), surface


def _densities(shares: Tensor, surface: Tensor, pixel_size_m: float) -> Tensor:
    """How densely what grows on each class can stand, [classes, H, W] 0..1: as the class says, less where it is steep."""
    growth = torch.tensor([entry.growth for entry in TERRAIN_CLASSES])
    steepness = ground_color.steepness_deg(surface, pixel_size_m)
    return shares * growth[:, None, None] * (1.0 - steepness / STEEPEST_GROWTH_DEG).clamp(0.0, 1.0)


def _outputs(
    ground: Tensor, surface: Tensor, bodies: water.Bodies, color: Tensor, flow: Tensor, densities: Tensor, classes: Tensor,
    pixel_size_m: float,
) -> dict[str, Array | tuple[Array, ...]]:  # fmt: skip
    attributes = {"pixel_size_m": float(pixel_size_m)}
    return {
        "height": height_map(ground.numpy(), pixel_size_m),
        "albedo": Array(COLOR_IMAGE, np.ascontiguousarray(color.float().numpy()), {}),
        "water": Array(MASK, bodies.mask.astype(np.float32), attributes),
        "water_level": height_map(surface.numpy(), pixel_size_m),
        "flow": Array(AREA_MAP, flow.float().numpy(), attributes),
        "density": tuple(
            Array(MASK, part.float().numpy().clip(0.0, 1.0), {**attributes, "name": entry.name})
            for entry, part in zip(TERRAIN_CLASSES, densities, strict=True)
        ),
        "classes": Array(CLASS_MAP, classes.to(torch.uint8).numpy(), {}),
    }
