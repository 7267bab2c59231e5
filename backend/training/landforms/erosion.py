"""Uplift, rivers, creep and rock falls over a grid: what most landscapes have in common.

Sources: Braun and Willett (2013, doi:10.1016/j.geomorph.2012.10.008) for the incision, Barnes et al. (2014,
doi:10.1016/j.cageo.2013.04.024) for the drainage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from backend.training.landforms import erosion_cpu
from backend.training.landforms.grid import Grid, soft_max

Field = Callable[
    [np.ndarray], np.ndarray
]  # of the height within the rock [H, W] m: heights less what was lifted so far
SPREAD = 0.7  # see erosion_cpu.drain


def creep(z: np.ndarray, number: float | np.ndarray) -> None:
    """Linear diffusion in place; number: diffusivity · time / pixel², one or [H - 2, W - 2]. Explicit, in as many stable rounds as
    it takes."""
    rounds = max(1, int(np.ceil(np.max(number) / 0.2)))
    for _ in range(rounds):
        inner = z[1:-1, 1:-1]
        inner += number / rounds * (z[2:, 1:-1] + z[:-2, 1:-1] + z[1:-1, 2:] + z[1:-1, :-2] - 4.0 * inner)


def evolve(
    z: np.ndarray,
    pixel_size_m: float,
    years: float,
    steps: int,
    seed: int,
    *,
    strength: np.ndarray
    | Field,  # erodibility K [H, W], m^(1 - 2m) a year, or a function of the height within the rock
    uplift: np.ndarray | float = 0.0,  # m a year
    exponent: float = 0.45,  # m of K A^m S
    channel_m2: float = 0.0,  # catchment at which a channel has half its strength: smaller ones are hillslopes
    diffusivity: float | np.ndarray = 0.02,  # m² a year
    steepest: np.ndarray | Field | float = 40.0,  # degrees at which rock falls
    falls: int = 3,  # rounds of rock fall a step, which keep the mass
    slides: float = 0.0,  # share of what stands steeper that rivers carry away each step
    inflow: np.ndarray | None = None,  # cells that drain into each cell from beyond the edge [H, W]
) -> np.ndarray:
    """Heights after ``years``: uplift, incision, creep, falls. The edge is an outlet and stays."""
    z = np.ascontiguousarray(z, np.float64).copy()
    span = years / steps
    lift = np.broadcast_to(np.asarray(uplift, np.float64) * span, z.shape)
    rain = np.ones(z.size) if inflow is None else 1.0 + inflow.ravel()
    spread = np.broadcast_to(diffusivity, z.shape)[1:-1, 1:-1] if isinstance(diffusivity, np.ndarray) else diffusivity
    for step in range(steps):
        z[1:-1, 1:-1] += lift[1:-1, 1:-1]
        receiver, order = erosion_cpu.drain(z, SPREAD, seed + step)
        cells = erosion_cpu.gathered(receiver, order, rain)
        within = z - (step + 1) * lift
        weak = strength(within) if callable(strength) else strength
        erosion_cpu.incise(
            z, receiver, order, cells, pixel_size_m, np.ascontiguousarray(weak * span), exponent, channel_m2
        )
        creep(z, spread * span / pixel_size_m**2)
        angle = steepest(within) if callable(steepest) else np.broadcast_to(steepest, z.shape)
        tangent = np.tan(np.radians(angle))
        erosion_cpu.slide(z, pixel_size_m, tangent, falls)
        if slides > 0.0:
            erosion_cpu.fail(z, pixel_size_m, tangent, slides)
    return z


def drainage_area(z: np.ndarray, pixel_size_m: float, seed: int) -> np.ndarray:
    """Square metres that drain through each cell, [H, W]."""
    receiver, order = erosion_cpu.drain(z, SPREAD, seed)
    return (erosion_cpu.cells_upstream(receiver, order) * pixel_size_m**2).reshape(z.shape)


def carved_along(
    z: np.ndarray,
    grid: Grid,
    flux: np.ndarray,
    *,
    least: float,
    width_m: float,
    height: float,
    power: float,
    cut_m: float = 0.0,
    growth: float = 0.35,
) -> None:
    """Troughs along everything whose flux [H, W] exceeds `least`, in place: width_m to either side at ten times that, with walls
    `height` times as high as that; power 2 is a bowl, more a flat floor. cut_m: how far the floor is lowered, at ten times."""
    size = np.where(flux > least, (flux / (10.0 * least)) ** growth, 0.0)
    reach = width_m * size
    erosion_cpu.carve(z, z - cut_m * size, reach, height * reach, power, grid.pixel_size_m)


def with_valley_floors(
    z: np.ndarray, grid: Grid, seed: int, *, area_m2: float, depth_m: float, slope: float
) -> np.ndarray:
    """Valleys of more than area_m2 filled with gravel, depth_m at ten times that: floors that rise by `slope` from the river."""
    area = drainage_area(z, grid.pixel_size_m, seed)
    river = area > area_m2
    if not river.any():
        return z
    found: Any = ndimage.distance_transform_edt(~river, return_indices=True)
    distance, (rows, columns) = found
    depth = depth_m * np.log10(np.maximum(area, 1.0) / area_m2)
    floor = grid.blur((z + depth)[rows, columns], 4.0 * grid.pixel_size_m)
    return soft_max(z, floor + slope * distance * grid.pixel_size_m, 0.25 * depth_m) - 0.125 * depth_m
