"""Hydrology: hollows are drained, rivers cut back into the land, soil creeps, sediment settles, and the flow is mapped.

The unit of time is the whole run and amounts are relative to the size and the relief of the map, so that one setting
gives one look at any pixel size. Equations are in backend.ops.terrain.erosion and backend.ops.terrain.routing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.algorithms import inland_waters
from backend.ops.terrain import depressions, erosion, lakes, routing
from backend.runtime.context import JobContext
from shared.arrays import AREA_MAP, MASK, Array, height_map
from shared.catalog.hydrology import HydrologyParams

REACH = 2.0  # at amount 1 a step in a river that drains a tenth of the map would travel this many sides of the map
CREEP_LENGTH = 0.012  # at smoothing 1 creep rounds features of this share of a side of the map
SEDIMENT_HALF = 1.0 / 500.0  # share of the relief at which a layer of sediment hides half the rock
WEAR_HALF = 1.0 / 10.0
MEMORY = 8  # steps over which the drained area is averaged: strayed water then spreads as over many directions


def run(params: HydrologyParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array]:
    """Height, flow, sediment and wear after the water, see the ports of shared.catalog.hydrology."""
    source: Array = inputs["height"]
    pixel_size_m = source.pixel_size_m
    given = _tensor(source.values, job)
    strength = None if inputs.get("mask") is None else _tensor(inputs["mask"].values, job)
    total = params.steps + 2
    job.step(0, total, "draining hollows")
    relief_m = float(np.ptp(source.values))
    start = _without_depressions(given, params)
    law = erosion_law(params, start.shape, pixel_size_m, relief_m)
    ground = _Ground(start)
    if params.amount > 0 or params.smoothing > 0 or params.uplift > 0:
        _erode(ground, law, params, pixel_size_m, strength, job)
    job.step(params.steps + 1, total, "mapping the flow")
    height = _without_depressions(ground.height.float(), params)
    if strength is not None:
        height = torch.where(strength > 0, height, given)  # what is protected keeps its hollows too
    job.preview(height=height)
    ground.move_to(height.double())
    area = routing.spread_area if params.flow_model == "multiple" else routing.drainage_area
    flow = area(height, pixel_size_m)
    still = lakes.still_lakes(height, pixel_size_m, before=given)
    if params.depressions == "keep" or strength is not None:
        still = lakes.with_filled_hollows(still, pixel_size_m)
    attributes = dict(source.attributes)
    waters = inland_waters.outputs(still, attributes)
    job.step(total, total, "done")
    return {
        "height": height_map(height.cpu().numpy(), **attributes),
        "flow": Array(AREA_MAP, flow.cpu().numpy(), attributes),
        "sediment": Array(MASK, _cover(ground, SEDIMENT_HALF * relief_m).cpu().numpy(), attributes),
        "wear": Array(MASK, _share(ground.wear, WEAR_HALF * relief_m).cpu().numpy(), attributes),
        **waters,
    }


def _tensor(values: np.ndarray, job: JobContext) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(job.device)


def erosion_law(
    params: HydrologyParams, shape: tuple[int, ...], pixel_size_m: float, relief_m: float
) -> erosion.ErosionLaw:
    """The constants of the equation, in metres and runs, that the relative settings mean on this map.

    A step in a river that drains A travels K A^m a run (for n = 1): `amount` says how many sides of the map that is
    where A is a tenth of the map. For other n the same speed is kept at the map's mean slope from divide to edge.
    """
    side_m = min(shape) * pixel_size_m
    slope = max(relief_m / (0.5 * side_m), 1e-6)
    reach_m = REACH * params.amount**2 * side_m
    erodibility = reach_m / (0.1 * side_m * side_m) ** params.area_exponent * slope ** (1.0 - params.slope_exponent)
    return erosion.ErosionLaw(
        erodibility=erodibility,
        area_exponent=params.area_exponent,
        slope_exponent=params.slope_exponent,
        deposition=params.deposition,
        diffusivity=0.5 * (CREEP_LENGTH * params.smoothing * side_m) ** 2,
        steepest=math.tan(math.radians(params.talus_angle)) if params.talus_angle < 90.0 else math.inf,
        uplift=params.uplift * relief_m,
    )


class _Ground:
    """The surface as it changes, metres, float64: height, sediment on it, rock worn away, all that ever settled."""

    def __init__(self, height: Tensor) -> None:
        self.height = height.double()
        self.sediment, self.wear, self.settled = (torch.zeros_like(self.height) for _ in range(3))

    def move_to(self, height: Tensor) -> None:
        """Take a new surface: gain is sediment; loss takes sediment first and rock after."""
        left = self.sediment + (height - self.height)
        self.wear -= left.clamp_max(0.0)
        self.sediment = left.clamp_min(0.0)
        self.height = height


def _erode(
    ground: _Ground,
    law: erosion.ErosionLaw,
    params: HydrologyParams,
    pixel_size_m: float,
    strength: Tensor | None,
    job: JobContext,
) -> None:
    """params.steps time steps on `ground`; ends early when the user asks for the current result."""
    total = params.steps + 2
    years = 1.0 / params.steps
    low, high = float(ground.height.min()), float(ground.height.max())
    rising = (ground.height - low) * (law.uplift * years / max(high - low, 1e-9))  # high land rises, coasts stay
    if strength is not None:
        rising *= strength
    seeds = torch.randint(0, 2**31 - 1, (params.steps,), generator=job.generator).tolist()
    smallest = (params.valley_size / 100.0 * min(ground.height.shape)) ** 2
    drained: Tensor | None = None
    settled: Tensor | None = None
    for number in range(params.steps):
        if job.finish_early:
            return
        job.step(1 + number, total, "cutting valleys")
        ground.height = ground.height + rising
        flow = routing.route(ground.height, pixel_size_m, jitter=params.wander, seed=seeds[number])
        job.step(1 + number, total, "cutting valleys")
        now = flow.upstream.double()
        drained = now if drained is None else drained + (now - drained) / MEMORY
        cells = drained * (drained / (drained + smallest))
        rate = erosion.stream_rate(flow, law, years, cells=cells, strength=strength)
        job.step(1 + number, total, "cutting valleys")
        after, settled = erosion.incise_and_settle(ground.height, flow, law, rate, guess=settled)
        job.step(1 + number, total, "cutting valleys")
        after = _creep(after, law, pixel_size_m, years, strength)
        erosion.lower_rim(ground.height, after)
        ground.move_to(after)
        if settled is not None:
            ground.settled += settled.reshape(after.shape)
        job.preview(height=lambda: ground.height.float())


def _creep(
    height: Tensor, law: erosion.ErosionLaw, pixel_size_m: float, years: float, strength: Tensor | None
) -> Tensor:
    crept = erosion.creep(height, pixel_size_m, law.diffusivity, years)
    return crept if strength is None else height + (crept - height) * strength


def _without_depressions(height: Tensor, params: HydrologyParams) -> Tensor:
    if params.depressions == "breach":
        return depressions.breach_depressions(height, wander=params.wander, seed=params.seed)
    if params.depressions == "fill":
        return depressions.fill_depressions(height, epsilon_m=1e-3)
    return height


def _share(thickness_m: Tensor, half_m: float) -> Tensor:
    """A thickness as a mask 0..1 that reaches one half at `half_m` and nears one slowly."""
    if half_m <= 0:
        return torch.zeros_like(thickness_m, dtype=torch.float32)
    return (thickness_m / (thickness_m + half_m)).float()


def _cover(ground: _Ground, half_m: float) -> Tensor:
    """How far sediment hides the rock [H, W] 0..1: by the layer that lies there, or by what keeps settling on its way.

    Where as much settles as is worn away the bed is all sediment though no layer grows (Shobe, Tucker and Barnhart
    2017, doi:10.5194/gmd-10-4577-2017, section 2); where little settles and much wears it is bare.
    """
    if half_m <= 0:
        return torch.zeros_like(ground.height, dtype=torch.float32)
    passing = ground.settled / (ground.settled + ground.wear + half_m)
    return torch.maximum(passing, ground.sediment / (ground.sediment + half_m)).float()
