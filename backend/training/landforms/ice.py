"""What ice leaves: troughs and cirques in mountains, drumlins on a plain.

Sources: Hergarten (2021, doi:10.5194/esurf-9-937-2021) for ice as a flux with a width that grows with it; Clark et al. (2009,
doi:10.1016/j.quascirev.2008.08.035) for sizes and shapes of drumlins.
"""

from __future__ import annotations

import numpy as np

from backend.training.landforms import erosion_cpu
from backend.training.landforms.erosion import SPREAD, carved_along, evolve
from backend.training.landforms.grid import Grid, cut_out
from backend.training.landforms.mountains import high_range

ADVANCES = 22
WALL_DEG = 46.0


def glacial(
    side: int, pixel_size_m: float, seed: int, *, snow_line: float, width_m: float, cut_m: float, **parameters: float
) -> np.ndarray:
    """High mountains under ice: where snow stays it gathers, flows and widens its valley, deeper where glaciers meet; heads of
    valleys become cirques.

    snow_line: share of the ground below it. width_m, cut_m: half the width of a glacier from 10 km² of snow, and how deep it cuts
    in all.
    """
    z, grid = high_range(side, pixel_size_m, seed, **parameters)
    line = np.quantile(z, snow_line)
    wall = np.tan(np.radians(WALL_DEG + 6.0 * grid.roughness(900.0, seed + 31, 5)))
    for advance in range(ADVANCES):
        flux = ice_flux(z, grid, line, seed + 300 + advance)
        carved_along(z, grid, flux, least=0.12e6, width_m=0.42 * width_m, height=0.45, power=2.2, growth=0.3)
        carved_along(
            z, grid, flux, least=1e6, width_m=width_m, height=0.42, power=3.0, cut_m=cut_m / ADVANCES, growth=0.34
        )
        erosion_cpu.fail(z, grid.pixel_size_m, wall, 0.5)
        z = 0.85 * z + 0.15 * grid.blur(z, 0.8 * pixel_size_m)
    return cut_out(after_the_ice(z, grid, seed, parameters["erodibility"]), side)


def ice_flux(z: np.ndarray, grid: Grid, line: float, seed: int) -> np.ndarray:
    """Square metres of full snow cover whose ice passes each cell [H, W]: gained above the snow line, lost twice as fast below."""
    balance = np.clip((z - line) / 400.0 + 0.35 * grid.roughness(2500.0, 5, 3), -2.0, 1.0)
    smooth = grid.blur(z, 2.5 * grid.pixel_size_m)  # ice flows by its own surface, which is smoother than the bed
    receiver, order = erosion_cpu.drain(smooth, SPREAD, seed)
    return erosion_cpu.gathered(receiver, order, balance.ravel() * grid.pixel_size_m**2).reshape(z.shape)


def after_the_ice(z: np.ndarray, grid: Grid, seed: int, erodibility: float) -> np.ndarray:
    """Twelve thousand years of rain, scree and lakes that fill."""
    rugged = (
        5.0
        * grid.roughness(300.0, seed + 33, 5)
        * np.clip(np.hypot(*np.gradient(z, grid.pixel_size_m)) / 0.6, 0.1, 1.0)
    )
    z = evolve(
        z + rugged, grid.pixel_size_m, 1.5e4, 10, seed + 5000, strength=np.full(z.shape, 0.4 * erodibility),
        channel_m2=2e5, diffusivity=0.02, steepest=40.0 + 6.0 * grid.roughness(240.0, seed + 34, 4), falls=6,
    )  # fmt: skip
    return erosion_cpu.still_water(z)


def drumlins(
    side: int, pixel_size_m: float, seed: int, *, length_m: float, elongation: float, height_m: float, cover: float
) -> np.ndarray:
    """A till plain streamlined by an ice sheet: drumlins blunt upstream and tapered downstream, larger and smaller ones side by
    side, packed in fields with meltwater channels between. cover: their number times area over that of the plain."""
    grid = Grid.around(side, pixel_size_m)
    built = np.zeros((grid.n, grid.n))
    generator = np.random.Generator(np.random.PCG64(seed))
    z = 9.0 * grid.roughness(2600.0, seed, 4) + 1.2 * grid.roughness(300.0, seed + 1, 4)
    turn = 18.0 * grid.roughness(5200.0, seed + 2, 2)
    crowd = np.clip(0.75 + 0.7 * grid.roughness(2200.0, seed + 3, 2), 0.05, 1.6)
    number = int(cover * grid.side_m**2 / (0.6 * length_m**2 / elongation))
    along, across = grid.axes(0.0)
    for _ in range(number):
        y, x = generator.integers(0, grid.n, 2)
        if generator.uniform() * 1.6 > crowd[y, x]:
            continue
        length = length_m * np.exp(0.38 * generator.normal())
        width = length / (elongation * np.exp(0.22 * generator.normal()))
        high = height_m * (length / length_m) ** 0.7 * np.exp(0.3 * generator.normal())
        angle = np.radians(TREND_DEG + turn[y, x] + 4.0 * generator.normal())
        r = int(length / pixel_size_m) + 2
        part = (slice(max(0, y - r), y + r + 1), slice(max(0, x - r), x + r + 1))
        east, south = along[part] - along[y, x], across[part] - across[y, x]
        u = (np.cos(angle) * east + np.sin(angle) * south) / (0.5 * length)
        v = (np.cos(angle) * south - np.sin(angle) * east) / (0.5 * width)
        u = np.where(np.abs(u) < 1.0, u + 0.3 * (1.0 - u**2), 1.0)  # its highest place lies upstream of the middle
        body = high * np.clip(1.0 - u**2 - v**2, 0.0, None) ** 1.3
        built[part] = np.maximum(built[part], body) + 0.15 * np.minimum(built[part], body)
    return cut_out(worn_plain(z + built, grid, seed), side)


TREND_DEG = 24.0


def worn_plain(z: np.ndarray, grid: Grid, seed: int) -> np.ndarray:
    """Ten thousand years of creep and small streams on a plain that drains to its edges; hollows are bogs."""
    z = evolve(
        z + 4e-3 * grid.axes(70.0)[0], grid.pixel_size_m, 1.2e4, 14, seed + 900,
        strength=np.full(z.shape, 4e-5), channel_m2=2e4, diffusivity=0.02, steepest=32.0,
    )  # fmt: skip
    return erosion_cpu.still_water(z)
