"""Rivers that cut into the land step by step: what every way of eroding has in common."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from backend.ops.terrain import erosion, routing
from backend.runtime.context import JobContext
from shared.catalog.hydrology import HydrologyParams

REACH = 2.0  # at amount 1 a step in a river that drains a tenth of the map would travel this many sides of the map
CREEP_LENGTH = 0.012  # at smoothing 1 creep rounds features of this share of a side of the map
MEMORY = 8  # steps over which the drained area is averaged: strayed water then spreads as over many directions


def erosion_law(
    params: HydrologyParams, shape: tuple[int, ...], pixel_size_m: float, relief_m: float
) -> erosion.ErosionLaw:
    """The constants of the equation, in metres and runs, that the relative settings mean on this map.

    A step in a river that drains A travels K A^m a run (for n = 1): `amount` says how many sides of the map that is
    where A is a tenth of the map. For other n the same speed is kept at the map's mean slope from divide to edge.
    """
    side_m = min(shape) * pixel_size_m
    slope = mean_slope(shape, pixel_size_m, relief_m)
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


def mean_slope(shape: tuple[int, ...], pixel_size_m: float, relief_m: float) -> float:
    """From divide to edge, m / m: the whole relief over half a side."""
    return max(relief_m / (0.5 * min(shape) * pixel_size_m), 1e-6)


class Incision:
    """Stream power on one grid, step after step; remembers the water and the sediment of the steps before."""

    def __init__(self, params: HydrologyParams, law: erosion.ErosionLaw, pixel_size_m: float, job: JobContext) -> None:
        self._wander, self._law, self._pixel_size_m = params.wander, law, pixel_size_m
        self._smallest_valley = params.valley_size / 100.0
        self._years = 1.0 / params.steps
        self._seeds = torch.randint(0, 2**31 - 1, (params.steps,), generator=job.generator).tolist()
        self._drained: Tensor | None = None
        self.settled: Tensor | None = None  # what the last step has laid down, metres [H * W]

    def step(self, number: int, height: Tensor, strength: Tensor | None, report: Callable[[], None]) -> Tensor:
        """Heights [H, W] float64 after step `number`; `strength` [H, W] scales K. report() is called between its parts."""
        flow = routing.route(height, self._pixel_size_m, jitter=self._wander, seed=self._seeds[number])
        report()
        now = flow.upstream.double()
        self._drained = now if self._drained is None else self._drained + (now - self._drained) / MEMORY
        smallest = (self._smallest_valley * min(height.shape)) ** 2
        cells = self._drained * (self._drained / (self._drained + smallest))
        rate = erosion.stream_rate(flow, self._law, self._years, cells=cells, strength=strength)
        report()
        after, self.settled = erosion.incise_and_settle(height, flow, self._law, rate, guess=self.settled)
        report()
        return after
