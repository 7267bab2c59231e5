"""Ranges between uplift and rivers: high mountains, folded ridges, badlands, old hills."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from backend.training.landforms import rock
from backend.training.landforms.erosion import Field, evolve, with_valley_floors
from backend.training.landforms.grid import Grid, cut_out, refine

LEVELS = ((4, 110, 1.0), (2, 40, 0.16), (1, 26, 0.05))  # pixels per cell, steps, part of the time


class Ground(NamedTuple):
    """What a grid of one level is made of. erodibility: a factor on the landscape's, and uplift another; steepest: degrees."""

    erodibility: np.ndarray | Field
    uplift: np.ndarray | float
    steepest: np.ndarray | Field | float


def grown(
    side: int,
    pixel_size_m: float,
    seed: int,
    ground: Callable[[Grid], Ground],
    *,
    erodibility: float,
    uplift_m_per_year: float,
    million_years: float,
    diffusivity: float,
    channel_m2: float,
    start_m: float,
    exponent: float = 0.45,
) -> tuple[np.ndarray, Grid]:
    """A range grown on three grids: the coarse one lays out the valleys, the fine one the gullies. The whole square, not yet cut
    out, and its grid. start_m: height of the hills that it starts from."""
    z = np.zeros(0)
    grid = Grid.around(side, pixel_size_m)
    for level, (coarse, steps, share) in enumerate(LEVELS):
        grid = Grid.around(side, pixel_size_m, coarse)
        made_of = ground(grid)
        if level == 0:
            z = start_m * (2.0 + grid.roughness(grid.side_m / 2.5, seed, 6))
        else:
            z = refine(z) + 0.03 * start_m * grid.roughness(14.0 * grid.pixel_size_m, seed + 20 + level, 4)
        factor = made_of.erodibility

        def strength(within: np.ndarray, factor: np.ndarray | Field = factor) -> np.ndarray:
            return erodibility * (factor(within) if callable(factor) else factor)

        z = evolve(
            z, grid.pixel_size_m, 1e6 * million_years * share, steps, seed + 1000 * level, strength=strength,
            uplift=uplift_m_per_year * np.asarray(made_of.uplift), exponent=exponent, channel_m2=channel_m2,
            diffusivity=diffusivity, steepest=made_of.steepest, falls=1, slides=0.6,
        )  # fmt: skip
    return z, grid


def alpine(side: int, pixel_size_m: float, seed: int, **parameters: float) -> np.ndarray:
    z, grid = high_range(side, pixel_size_m, seed, **parameters)
    z = with_valley_floors(z, grid, seed + 77, area_m2=6e6, depth_m=45.0, slope=0.03)
    return cut_out(z, side)


def high_range(side: int, pixel_size_m: float, seed: int, **parameters: float) -> tuple[np.ndarray, Grid]:
    """High mountains of dipping beds, massive rock and faults: trunk valleys follow what is weak, crests what is hard."""

    def ground(grid: Grid) -> Ground:
        massive = rock.bodies(grid, seed + 3, 5200.0, 0.35)
        crushed = rock.faults(grid, seed + 4, 9, width_m=170.0, directions_deg=(20.0, 95.0))
        patches = 0.55 * grid.roughness(2600.0, seed + 7, 6) + 0.35 * grid.roughness(260.0, seed + 8, 3)
        fine = grid.roughness(420.0, seed + 11, 4) + 0.5 * grid.roughness(130.0, seed + 12, 2) + 0.5 * patches
        bed = rock.folds(grid, seed + 5, direction_deg=35.0, wavelength_m=7000.0, amplitude_m=1800.0)
        layers = rock.beds(seed + 6, 520.0, 0.75)
        _, across = grid.axes(35.0)
        lift = 0.55 + 0.75 * np.exp(
            -(((across + 1500.0 * grid.roughness(9000.0, seed + 9, 2)) / (0.3 * grid.side_m)) ** 2)
        )
        lift = np.clip(lift * (1.0 + 0.22 * grid.roughness(5000.0, seed + 10, 3)), 0.3, 2.0)

        def weak(within: np.ndarray) -> np.ndarray:
            log = patches + (1.0 - massive) * layers(within - bed) - 0.5 * massive + 1.1 * crushed
            return np.exp(log)

        def angle(within: np.ndarray) -> np.ndarray:
            return np.clip(31.0 - 4.0 * (1.0 - massive) * layers(within - bed) + 4.0 * massive - 4.5 * fine, 20.0, 56.0)

        return Ground(weak, lift, angle)

    return grown(side, pixel_size_m, seed, ground, **parameters)
