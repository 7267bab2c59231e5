"""What the ground is made of: beds that fold and dip, faults, and rock that is hard in one place and weak in another.

All are logarithms of erodibility, about 0, on a grid; e to their sum is a factor on a landscape's erodibility.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backend.training.landforms.grid import Grid

BEDS = 400
Beds = Callable[[np.ndarray], np.ndarray]


def beds(seed: int, layer_m: float, hardness: float) -> Beds:
    """Log erodibility against height within the rock: beds of uneven thickness, alternately hard (below 0) and soft.

    layer_m: thickness of a pair of beds, as a rule; hardness: how far either lies from 0.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    thickness = layer_m * np.exp(generator.normal(-0.9, 0.55, BEDS))
    tops = np.cumsum(thickness)
    tops -= tops[BEDS // 2]
    values = hardness * np.where(np.arange(BEDS) % 2, 1.0, -1.0) * generator.uniform(0.4, 1.4, BEDS)

    def found(heights: np.ndarray) -> np.ndarray:
        return values[np.clip(np.searchsorted(tops, heights), 0, BEDS - 1)]

    return found


def folds(grid: Grid, seed: int, *, direction_deg: float, wavelength_m: float, amplitude_m: float) -> np.ndarray:
    """Height of one bed [n, n] m: anticlines and synclines along a direction, that bend, plunge and end."""
    along, across = grid.axes(direction_deg)
    bend = 0.35 * wavelength_m * grid.roughness(4.0 * wavelength_m, seed, 2)
    phase = 2.0 * np.pi * (across + bend) / wavelength_m + 0.8 * grid.roughness(2.5 * wavelength_m, seed + 1, 2)
    plunge = 0.7 + 0.45 * grid.roughness(3.5 * wavelength_m, seed + 2, 2)
    return amplitude_m * plunge * np.sin(phase) + 0.04 * along


def tilted(grid: Grid, direction_deg: float, dip_deg: float, bend_m: float, seed: int) -> np.ndarray:
    """Height of one bed [n, n] m that rises in a direction, and is a little bent."""
    along, _ = grid.axes(direction_deg)
    return np.tan(np.radians(dip_deg)) * along + bend_m * grid.roughness(grid.side_m / 3.0, seed, 3)


def faults(grid: Grid, seed: int, count: int, *, width_m: float, directions_deg: tuple[float, float]) -> np.ndarray:
    """0..1 [n, n]: 1 in the crushed rock of `count` long, slightly winding faults of two sets of directions."""
    generator = np.random.Generator(np.random.PCG64(seed))
    crushed = np.zeros((grid.n, grid.n))
    for number in range(count):
        direction = directions_deg[number % 2] + generator.normal(0.0, 9.0)
        _, across = grid.axes(direction)
        offset = generator.uniform(-0.5, 0.5) * grid.side_m
        bend = 1.2 * width_m * grid.roughness(grid.side_m / 6.0, seed + 50 + number, 3)
        wide = width_m * generator.uniform(0.5, 1.3)
        crushed = np.maximum(crushed, generator.uniform(0.4, 1.0) * np.exp(-(((across - offset + bend) / wide) ** 2)))
    return crushed


def bodies(grid: Grid, seed: int, wavelength_m: float, share: float) -> np.ndarray:
    """0..1 [n, n]: 1 inside massive bodies of rock (plutons) that take about a share of the ground, with soft outlines."""
    field = grid.roughness(wavelength_m, seed, 3)
    level = np.quantile(field, 1.0 - share)
    return 1.0 / (1.0 + np.exp(-(field - level) / 0.07))
