"""Hydrology: rivers cut back into the land, soil creeps, rock slides, sediment settles, hollows drain, and the flow is mapped.

The unit of time is the whole run and amounts are relative to the size and the relief of the map, so that one setting
gives one look at any pixel size. Equations are in backend.ops.terrain.erosion and backend.ops.terrain.routing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.algorithms import inland_waters
from backend.algorithms.erosion import narrow_cuts, valleys
from backend.algorithms.erosion.ground import Ground, sediment_mask, wear_mask
from backend.ops.terrain import depressions, lakes, routing
from backend.runtime import threads
from backend.runtime.context import JobContext
from shared.arrays import AREA_MAP, MASK, Array, height_map
from shared.catalog.hydrology import HydrologyParams


def run(params: HydrologyParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array]:
    """Height, flow, sediment and wear after the water, see the ports of shared.catalog.hydrology."""
    source: Array = inputs["height"]
    pixel_size_m = source.pixel_size_m
    given = _tensor(source.values, job)
    strength = None if inputs.get("mask") is None else _tensor(inputs["mask"].values, job)
    total = params.steps + 2
    job.step(0, total, "draining hollows")
    relief_m = float(np.ptp(source.values))
    if params.channels == "cut":
        ground = Ground(_without_depressions(given, params))
        narrow_cuts.erode(ground, params, pixel_size_m, relief_m, strength, job)
    else:
        hardness = None if inputs.get("hardness") is None else _tensor(inputs["hardness"].values, job)
        ground = valleys.shaped(given, params, valleys.Site(pixel_size_m, relief_m, strength, hardness), job)
    job.step(params.steps + 1, total, "mapping the flow")
    height = _without_depressions(ground.height.float(), params)
    if strength is not None:
        height = torch.where(strength > 0, height, given)  # what is protected keeps its hollows too
    job.preview(height=height)
    ground.move_to(height.double())
    area = routing.spread_area if params.flow_model == "multiple" else routing.drainage_area
    attributes = dict(source.attributes)
    beside = job.threads if height.device.type == "cpu" else 1  # a card does one thing at a time, from one thread
    with threads.beside(lambda: area(height, pixel_size_m), beside) as mapped:
        still = lakes.still_lakes(height, pixel_size_m, before=given)
        if params.depressions == "keep" or strength is not None:
            still = lakes.with_filled_hollows(still, pixel_size_m)
        waters = inland_waters.outputs(still, attributes, job.device)
        sediment, wear = sediment_mask(ground, relief_m), wear_mask(ground, relief_m)
        flow = mapped()
    job.step(total, total, "done")
    return {
        "height": height_map(height.cpu().numpy(), **attributes),
        "flow": Array(AREA_MAP, flow.cpu().numpy(), attributes),
        "sediment": Array(MASK, sediment.cpu().numpy(), attributes),
        "wear": Array(MASK, wear.cpu().numpy(), attributes),
        **waters,
    }


def _tensor(values: np.ndarray, job: JobContext) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(job.device)


def _without_depressions(height: Tensor, params: HydrologyParams) -> Tensor:
    if params.depressions == "breach":
        return depressions.breach_depressions(height, wander=params.wander, seed=params.seed)
    if params.depressions == "fill":
        return depressions.fill_depressions(height, epsilon_m=1e-3)
    return height
