"""Volcanoes built of one lava flow upon the other, with ash, craters and cinder cones, and worn by rain.

Sources: Karátson et al. (2010, doi:10.1016/j.jvolgeores.2010.03.012) for the regular shape of stratovolcanoes; Wood (1980,
doi:10.1016/0377-0273(80)90040-2) for the shape of cinder cones: crater 0.40 and height 0.18 of their width.
"""

from __future__ import annotations

import numpy as np

from backend.training.landforms import erosion_cpu, lava_cpu
from backend.training.landforms.erosion import evolve
from backend.training.landforms.grid import Grid, cut_out, refine, soft_min

COARSE = 2  # flows are laid on cells twice as wide


def volcanic(
    side: int, pixel_size_m: float, seed: int, *, height_m: float, radius_m: float, crater_m: float, flows: int,
    flow_m: float, cones: int, erodibility: float, thousand_years: float,
) -> np.ndarray:  # fmt: skip
    """A stratovolcano: a cone of ash that grows steeper upward, lava flows down its flanks, a crater with a breach, younger cinder
    cones along a rift, and gullies that keep to the ash between the flows."""
    grid = Grid.around(side, pixel_size_m, COARSE)
    generator = np.random.Generator(np.random.PCG64(seed))
    east, south, distance = _places(grid, side, pixel_size_m, seed)
    z = height_m * np.exp(-((distance / radius_m) ** 0.85)) + 28.0 * grid.roughness(2600.0, seed + 3, 6)
    z = soft_min(z, height_m * 0.76 + 0.8 * (distance - 0.3 * crater_m), 50.0)
    hard = np.zeros(z.shape)
    for number in range(flows):
        vent = _vent(generator, grid, distance, summit=number % 3 != 0, crater_m=crater_m)
        thick = flow_m * np.exp(0.5 * generator.normal())
        _erupt(z, hard, grid, vent, thick, 2.0 * np.exp(0.6 * abs(generator.normal())), seed + number)
        if number % 25 == 24:
            z = _rained(z, grid, hard, erodibility, 1e3 * thousand_years * 25 / flows, seed + number)
    z, hard = refine(z), refine(hard)
    grid = Grid.around(side, pixel_size_m)
    east, south = refine(east), refine(south)
    built = np.zeros(z.shape)
    rift = generator.uniform(0, np.pi)
    for _ in range(cones):
        along, off = generator.normal(0.0, 0.9) * radius_m, generator.normal(0.0, 0.22) * radius_m
        if abs(along) < 0.35 * radius_m:
            continue
        place = along * np.cos(rift) - off * np.sin(rift), along * np.sin(rift) + off * np.cos(rift)
        cone = cinder_cone(np.hypot(east - place[0], south - place[1]), generator.uniform(420.0, 1000.0))
        built = np.maximum(built, cone)
    z += built + 1.5 * grid.roughness(200.0, seed + 8, 3)
    return cut_out(_rained(z, grid, hard, erodibility, 250.0 * thousand_years, seed + 99), side)


def lava(
    side: int,
    pixel_size_m: float,
    seed: int,
    *,
    rise_m: float,
    flows: int,
    flow_m: float,
    cones: int,
    erodibility: float,
) -> np.ndarray:
    """A lava plain on the flank of a shield: flows with levees and lobes over one another, cinder cones in rows, pit craters."""
    grid = Grid.around(side, pixel_size_m, COARSE)
    generator = np.random.Generator(np.random.PCG64(seed))
    along, across = grid.axes(60.0)
    down = along / grid.side_m
    z = rise_m * (0.5 - down + 0.95 * down**2) + 0.1 * rise_m * grid.roughness(0.5 * grid.side_m, seed, 3)
    z += 2.0 * grid.roughness(400.0, seed + 1, 5)
    hard = np.zeros(z.shape)
    rows = [(x, y) for x, y in ((-0.22, -0.2), (0.05, -0.3), (0.2, -0.02), (-0.08, 0.1))]
    for number in range(flows):
        row = rows[number % 4]
        y = int(np.clip((0.5 + row[1] + 0.12 * generator.normal()) * grid.n, 4, grid.n - 5))
        x = int(np.clip((0.5 + row[0] + 0.12 * generator.normal()) * grid.n, 4, grid.n - 5))
        thick = flow_m * np.exp(0.5 * generator.normal())
        _erupt(z, hard, grid, (y, x), thick, generator.uniform(2.0, 5.0), seed + number)
    z, hard = refine(z), refine(hard)
    grid = Grid.around(side, pixel_size_m)
    along, across = grid.axes(0.0)
    built = np.zeros(z.shape)
    for number in range(cones):
        row = rows[number % 4]
        x, y = (r * grid.side_m + 0.09 * grid.side_m * generator.normal() for r in row)
        far = np.hypot(along - x + 25.0 * grid.roughness(500.0, seed + 60, 3), across - y)
        if number % 5 == 4:
            wide = generator.uniform(120.0, 260.0)
            z = soft_min(z, z - 0.35 * wide / (1.0 + np.exp(np.minimum((far - wide) / (0.08 * wide), 50.0))), 1.0)
        else:
            built = np.maximum(built, cinder_cone(far, 260.0 * np.exp(0.55 * abs(generator.normal()))))
    z += built + (0.4 + 0.8 * np.clip(hard, 0.0, 1.0)) * grid.roughness(150.0, seed + 8, 4)
    return cut_out(_rained(z, grid, hard, erodibility, 2e4, seed + 99), side)


def _erupt(
    z: np.ndarray, hard: np.ndarray, grid: Grid, vent: tuple[int, int], thick_m: float, wide_px: float, seed: int
) -> None:
    """One lava flow from a vent (row, column), in place. Small roughness that nobody mapped makes it wander."""
    wander = 0.25 * thick_m * grid.roughness(12.0 * grid.pixel_size_m, seed, 3)
    receiver, _ = erosion_cpu.drain(z + wander, 0.3, seed)
    lava_cpu.flow(z, hard, receiver, vent[0] * grid.n + vent[1], thick_m, wide_px, grid.pixel_size_m, seed)


def cinder_cone(distance: np.ndarray, width_m: float) -> np.ndarray:
    """Heights of a cone of loose cinders with its crater, m."""
    flank = 0.6 * np.maximum(0.5 * width_m - distance, 0.0)
    return soft_min(flank, 0.12 * width_m + 0.55 * np.maximum(distance - 0.06 * width_m, 0.0), 0.04 * width_m).clip(0.0)


def _places(grid: Grid, side: int, pixel_size_m: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Metres east and south of the summit, which is not quite in the middle, and the warped distance from it."""
    east, south = grid.axes(0.0)
    east, south = east + 0.05 * side * pixel_size_m, south - 0.04 * side * pixel_size_m
    bent = [260.0 * grid.roughness(3800.0, seed + n, 4) for n in (1, 2)]
    return east, south, np.hypot(east + bent[0], south + bent[1])


def _vent(
    generator: np.random.Generator, grid: Grid, distance: np.ndarray, *, summit: bool, crater_m: float
) -> tuple[int, int]:
    """Row and column: on the rim of the crater, or anywhere on the upper flanks."""
    ring = (0.45 * crater_m, 0.8 * crater_m) if summit else (crater_m, 5.0 * crater_m)
    rows, columns = np.nonzero((distance > ring[0]) & (distance < ring[1]))
    pick = int(generator.integers(len(rows)))
    return int(rows[pick]), int(columns[pick])


def _rained(z: np.ndarray, grid: Grid, hard: np.ndarray, erodibility: float, years: float, seed: int) -> np.ndarray:
    weak = erodibility * np.exp(0.9 * grid.roughness(1500.0, 7, 6) - 1.2 * np.clip(hard, 0.0, 1.0))
    z = evolve(
        z, grid.pixel_size_m, years, 8, seed, strength=weak, channel_m2=2.5e4, diffusivity=0.01,
        steepest=34.0 + 6.0 * np.clip(hard, 0.0, 1.0), slides=0.3, falls=1,
    )  # fmt: skip
    return np.minimum(erosion_cpu.still_water(z), z + 3.0)
