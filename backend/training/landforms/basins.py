"""Ranges that rise along faults between basins, with alluvial fans from every valley mouth.

Source: Bull (1964, USGS Professional Paper 352-E): a fan is steeper the less its catchment.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from backend.training.landforms import erosion_cpu, rock
from backend.training.landforms.erosion import SPREAD, evolve
from backend.training.landforms.grid import Grid, cut_out, soft_max
from backend.training.landforms.mountains import Ground, grown

FAN_SLOPE = 0.11  # of a fan from 1 km²
LEAST_M2 = 1.5e5


def fans(side: int, pixel_size_m: float, seed: int, *, basin_m: float, **parameters: float) -> np.ndarray:
    """Two tilted ranges and the basin between them. basin_m: depth of gravel above the floor from which the ranges rise."""

    def ground(grid: Grid) -> Ground:
        patches = 0.5 * grid.roughness(2200.0, seed + 7, 6) + 0.3 * grid.roughness(260.0, seed + 8, 3)
        bed = rock.tilted(grid, 115.0, 24.0, 260.0, seed + 5)
        layers = rock.beds(seed + 6, 420.0, 0.6)

        def weak(within: np.ndarray) -> np.ndarray:
            return np.exp(patches + layers(within - bed))

        def angle(within: np.ndarray) -> np.ndarray:
            fine = grid.roughness(420.0, seed + 11, 4) + 0.5 * grid.roughness(130.0, seed + 12, 2)
            return np.clip(29.0 - 4.0 * layers(within - bed) - 4.0 * fine, 18.0, 55.0)

        return Ground(weak, raised(grid, seed), angle)

    z, grid = grown(side, pixel_size_m, seed, ground, **parameters)
    return cut_out(with_fans(z, grid, seed, basin_m), side)


def raised(grid: Grid, seed: int) -> np.ndarray:
    """Uplift, 0..1: sharp at each range's fault, fading behind it; none in the basin."""
    _, across = grid.axes(115.0)
    bend = 900.0 * grid.roughness(6000.0, seed + 9, 3)
    x = (across + bend) / grid.side_m
    lift = np.zeros(x.shape)
    for front, width, rate in ((-0.03, 0.5, 1.0), (0.19, 0.4, 0.75)):
        behind = (front - x) if front < 0 else (x - front)
        lift = np.maximum(lift, rate / (1.0 + np.exp(-behind / 0.012)) * np.clip(1.15 - behind / width, 0.0, 1.0))
    ends = 0.75 + 0.35 * grid.roughness(8000.0, seed + 10, 2)
    return np.clip(lift * np.clip(ends, 0.25, 1.3), 0.0, 1.5)


def with_fans(z: np.ndarray, grid: Grid, seed: int, basin_m: float) -> np.ndarray:
    """The land under gravel: a basin floor, and a cone from each place where a stream leaves the mountains."""
    low = raised(grid, seed) < 0.12
    receiver, order = erosion_cpu.drain(z, SPREAD, seed + 70)
    area = (erosion_cpu.cells_upstream(receiver, order) * grid.pixel_size_m**2).reshape(z.shape)
    mouth = ~low & low.ravel()[receiver].reshape(z.shape) & (area > LEAST_M2)
    floor = np.quantile(z[low], 0.3) + basin_m + 0.004 * grid.axes(25.0)[0]
    gravel = floor + 0.8 * grid.roughness(900.0, seed + 71, 4)
    top = np.zeros(z.shape)
    east, south = grid.axes(0.0)
    generator = np.random.Generator(np.random.PCG64(seed + 72))
    for y, x in zip(*np.nonzero(mouth), strict=True):
        slope = FAN_SLOPE * (area[y, x] / 1e6) ** -0.25 * np.exp(0.15 * generator.normal())
        reach = 1300.0 * (area[y, x] / 1e6) ** 0.42 * np.exp(0.2 * generator.normal())
        share = np.hypot(east - east[y, x], south - south[y, x]) / reach
        top = np.maximum(top, 0.5 * slope * reach * np.clip(1.0 - share, 0.0, None) ** 1.7)
    surface = gravel + top + 0.12 * np.sqrt(top) * grid.roughness(260.0, seed + 73, 4)
    z = soft_max(z, ndimage.gaussian_filter(surface, 1.0), 4.0)
    return evolve(
        z, grid.pixel_size_m, 2e4, 14, seed + 74, strength=np.full(z.shape, 1.2e-5), channel_m2=1e4, diffusivity=0.01,
        steepest=44.0,
    )  # fmt: skip
