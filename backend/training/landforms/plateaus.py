"""Level beds, hard and soft: a canyon country, and the mesas that are left of one."""

from __future__ import annotations

import numpy as np

from backend.training.landforms import erosion_cpu, rock
from backend.training.landforms.erosion import carved_along, drainage_area, evolve
from backend.training.landforms.grid import Grid, cut_out, refine

RIVER_DEG = 12.0  # the direction that the river of a canyon takes


def canyon(
    side: int, pixel_size_m: float, seed: int, *, erodibility: float, depth_m: float, layer_m: float, hardness: float,
    million_years: float, river_km2: float,
) -> np.ndarray:  # fmt: skip
    """A plateau of beds that a large river crosses, with side canyons: cliffs in the hard ones, slopes and benches in the soft.

    layer_m: thickness of a pair of beds; hardness: spread of the logarithm of their erodibility. river_km2: what the river drains
    where it comes in.
    """
    z = np.zeros(0)
    for level, (coarse, steps, share) in enumerate(((4, 80, 0.7), (2, 40, 0.2), (1, 30, 0.1))):
        grid = Grid.around(side, pixel_size_m, coarse)
        if level == 0:
            z = plateau_with_a_river(grid, depth_m, seed)
        else:
            z = refine(z) + 0.4 * grid.roughness(12.0 * grid.pixel_size_m, seed + 20 + level, 3)
        along, across = grid.axes(RIVER_DEG)
        river = np.abs(across - _winding(grid, seed)) < 1.5 * grid.pixel_size_m
        edge = np.ones(z.shape, bool)
        edge[1:-1, 1:-1] = False
        z[edge & river & (along > 0)] = 0.0
        entry = np.zeros(z.shape)
        inlet = np.roll(edge, 1, axis=1) & river & (along < 0)
        entry[inlet] = river_km2 * 1e6 / grid.pixel_size_m**2 / max(inlet.sum(), 1)
        weak, angle = bedded(grid, seed, layer_m, hardness)
        z = evolve(
            z, grid.pixel_size_m, 1e6 * million_years * share, steps, seed + 1000 * level,
            strength=lambda within, weak=weak: erodibility * weak(within), exponent=0.5, channel_m2=2.5e4,
            diffusivity=0.004, steepest=angle, falls=1, slides=0.5, inflow=entry,
        )  # fmt: skip
    return cut_out(z, side)


def plateau_with_a_river(grid: Grid, depth_m: float, seed: int) -> np.ndarray:
    """A plateau that leans a little to the river, whose bed winds across it."""
    _, across = grid.axes(RIVER_DEG)
    off = np.abs(across - _winding(grid, seed))
    tilt = depth_m * (0.93 + 0.07 * np.clip(off / (0.35 * grid.side_m), 0.0, 1.0))
    return tilt + 14.0 * grid.roughness(grid.side_m / 4.0, seed, 6) - 60.0 * np.exp(-off / 400.0)


def _winding(grid: Grid, seed: int) -> np.ndarray:
    """Metres that the river lies off its straight line."""
    along, _ = grid.axes(RIVER_DEG)
    generator = np.random.Generator(np.random.PCG64(seed + 40))
    bends = np.zeros(along.shape)
    for wavelength, reach in ((0.75, 0.07), (0.32, 0.045), (0.17, 0.02)):
        phase = generator.uniform(0, 2 * np.pi)
        bends += reach * grid.side_m * np.sin(2 * np.pi * along / (wavelength * grid.side_m) + phase)
    return bends


def bedded(grid: Grid, seed: int, layer_m: float, hardness: float):
    """Erodibility (a factor) and the steepest slope in degrees, as functions of the height within the rock."""
    layers = rock.beds(seed, layer_m, hardness)
    bed = rock.tilted(grid, 75.0, 0.6, 15.0, seed + 3)
    joints = rock.faults(grid, seed + 4, 12, width_m=70.0, directions_deg=(40.0, 125.0))
    patches = 0.5 * grid.roughness(900.0, seed + 7, 6)

    def weak(within: np.ndarray) -> np.ndarray:
        return np.exp(layers(within - bed) + patches + 1.2 * joints)

    def angle(within: np.ndarray) -> np.ndarray:
        hard = layers(within - bed)
        return np.clip(np.where(hard < 0, 50.0 - 22.0 * hard, 31.0 - 5.0 * hard) - 4.0 * patches, 20.0, 76.0)

    return weak, angle


def mesas(
    side: int, pixel_size_m: float, seed: int, *, height_m: float, cap_m: float, erodibility: float, million_years: float,
    plain_m: float,
) -> np.ndarray:  # fmt: skip
    """Tablelands, buttes and spires of a hard bed over soft ones, on a plain of worn-down slopes.

    cap_m: thickness of the hard bed; plain_m: half the width to which a wash of 1.5 km² has planed its valley.
    """
    z = np.zeros(0)
    grid = Grid.around(side, pixel_size_m)
    for level, (coarse, steps, share) in enumerate(((4, 70, 0.75), (2, 30, 0.2), (1, 20, 0.05))):
        grid = Grid.around(side, pixel_size_m, coarse)
        base = 0.012 * (0.7 * grid.side_m - np.abs(grid.axes(35.0)[0])) * 0.25
        if level == 0:
            z = base + height_m + 6.0 * grid.roughness(grid.side_m / 4.0, seed, 6)
            z[[0, -1]], z[:, [0, -1]] = base[[0, -1]], base[:, [0, -1]]
        else:
            z = refine(z) + 0.4 * grid.roughness(12.0 * grid.pixel_size_m, seed + 20 + level, 3)
        joints = rock.faults(grid, seed + 4, 16, width_m=90.0, directions_deg=(40.0, 125.0))
        patches = 0.7 * grid.roughness(1800.0, seed + 7, 6)
        ledges = rock.beds(seed, 0.35 * height_m, 0.35)

        def weak(within: np.ndarray, base=base, joints=joints, patches=patches, ledges=ledges) -> np.ndarray:
            cap = within - base > height_m - cap_m
            return erodibility * np.exp(patches + 1.4 * joints + np.where(cap, -1.6, 0.5 + ledges(within)))

        def angle(within: np.ndarray, base=base, patches=patches, ledges=ledges) -> np.ndarray:
            cap = within - base > height_m - cap_m
            return np.where(cap, 78.0, np.clip(29.0 - 16.0 * ledges(within) - 3.0 * patches, 22.0, 65.0))

        for part in range(4):
            z = evolve(
                z, grid.pixel_size_m, 1e6 * million_years * share / 4, steps // 4, seed + 1000 * level + 100 * part,
                strength=weak, exponent=0.5, channel_m2=1.5e4, diffusivity=0.003, steepest=angle, falls=1, slides=0.6,
            )  # fmt: skip
            area = drainage_area(z, grid.pixel_size_m, seed + part)
            carved_along(z, grid, area, least=1.5e5, width_m=plain_m * share**0.25, height=0.05, power=2.0, growth=0.4)
            erosion_cpu.fail(z, grid.pixel_size_m, np.tan(np.radians(angle(z))), 0.8)
    return cut_out(z, side)
