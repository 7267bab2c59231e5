"""Lower ranges by the same equations, of other rock: folded ridges, old hills, badlands, granite domes, karst."""

from __future__ import annotations

import numpy as np

from backend.training.landforms import erosion_cpu, karst_cpu, rock
from backend.training.landforms.erosion import creep, with_valley_floors
from backend.training.landforms.grid import Grid, cut_out
from backend.training.landforms.mountains import Ground, grown


def folded(side: int, pixel_size_m: float, seed: int, *, wavelength_m: float, **parameters: float) -> np.ndarray:
    """Ridge and valley: folded beds of hard sandstone stand out as long, sharp ridges that double back where a fold plunges;
    rivers run in the soft beds between them and break through in gaps."""

    def ground(grid: Grid) -> Ground:
        bed = rock.folds(grid, seed + 5, direction_deg=28.0, wavelength_m=wavelength_m, amplitude_m=0.24 * wavelength_m)
        layers = rock.beds(seed + 6, 0.16 * wavelength_m, 1.15)
        patches = 0.3 * grid.roughness(1600.0, seed + 7, 6)

        def weak(within: np.ndarray) -> np.ndarray:
            return np.exp(layers(within - bed) + patches)

        def angle(within: np.ndarray) -> np.ndarray:
            fine = grid.roughness(330.0, seed + 11, 4)
            return np.clip(21.0 - 9.0 * layers(within - bed) - 2.5 * fine, 8.0, 45.0)

        return Ground(weak, 1.0 + 0.15 * grid.roughness(9000.0, seed + 9, 2), angle)

    z, grid = grown(side, pixel_size_m, seed, ground, **parameters)
    return cut_out(with_valley_floors(z, grid, seed + 77, area_m2=8e6, depth_m=14.0, slope=0.015), side)


def hills(side: int, pixel_size_m: float, seed: int, **parameters: float) -> np.ndarray:
    """Old hills under soil: broad, rounded tops, hollows that branch, flat valley floors."""

    def ground(grid: Grid) -> Ground:
        patches = 0.9 * grid.roughness(2200.0, seed + 7, 6) + 0.5 * rock.beds(seed + 6, 160.0, 1.0)(
            rock.tilted(grid, 50.0, 9.0, 60.0, seed + 5)
        )
        lift = np.clip(1.0 + 0.5 * grid.roughness(6000.0, seed + 9, 2), 0.2, 2.2)
        return Ground(np.exp(1.2 * patches), lift, 27.0 + 3.0 * grid.roughness(500.0, seed + 11, 3))

    z, grid = grown(side, pixel_size_m, seed, ground, **parameters)
    z = with_valley_floors(z, grid, seed + 77, area_m2=8e5, depth_m=7.0, slope=0.012)
    return erosion_cpu.still_water(cut_out(z, side))


def badlands(side: int, pixel_size_m: float, seed: int, **parameters: float) -> np.ndarray:
    """Soft clay in thin beds: gullies close together, knife-edged divides, flat washes."""

    def ground(grid: Grid) -> Ground:
        layers = rock.beds(seed + 6, 16.0, 0.55)
        bed = rock.tilted(grid, 60.0, 1.5, 6.0, seed + 5)
        patches = 0.45 * grid.roughness(330.0, seed + 7, 6)

        def weak(within: np.ndarray) -> np.ndarray:
            return np.exp(layers(within - bed) + patches)

        def angle(within: np.ndarray) -> np.ndarray:
            fine = grid.roughness(55.0, seed + 11, 4)
            return np.clip(36.0 - 7.0 * layers(within - bed) - 4.0 * fine, 22.0, 62.0)

        return Ground(weak, np.clip(1.0 + 0.35 * grid.roughness(900.0, seed + 9, 3), 0.3, 2.0), angle)

    z, grid = grown(side, pixel_size_m, seed, ground, **parameters)
    return cut_out(with_valley_floors(z, grid, seed + 77, area_m2=2.5e4, depth_m=2.5, slope=0.012), side)


def domes(side: int, pixel_size_m: float, seed: int, **parameters: float) -> np.ndarray:
    """Granite: masses without joints are left as bare, round domes above walls; crushed rock between them wears away."""

    def ground(grid: Grid) -> Ground:
        massive = np.maximum(rock.bodies(grid, seed + 3, 750.0, 0.22), 0.85 * rock.bodies(grid, seed + 13, 340.0, 0.2))
        joints = rock.faults(grid, seed + 4, 14, width_m=55.0, directions_deg=(15.0, 100.0))
        patches = 0.4 * grid.roughness(700.0, seed + 7, 5)
        weak = np.exp(patches + 1.2 * joints * (1.0 - massive) - 2.6 * massive)
        fine = grid.roughness(160.0, seed + 11, 4)
        return Ground(weak, 1.0, np.clip(27.0 + 41.0 * massive**2 - 4.0 * fine * (1.0 - massive), 18.0, 68.0))

    z, grid = grown(side, pixel_size_m, seed, ground, **parameters)
    massive = np.maximum(rock.bodies(grid, seed + 3, 750.0, 0.22), 0.85 * rock.bodies(grid, seed + 13, 340.0, 0.2))
    for _ in range(6):  # sheets that flake off round what has no joints
        creep(z, 0.5 * massive[1:-1, 1:-1])
    cracks = rock.faults(grid, seed + 14, 30, width_m=14.0, directions_deg=(15.0, 100.0))
    z = z - 5.0 * cracks * massive + 0.8 * (1.0 - massive) * grid.roughness(80.0, seed + 15, 4)
    return cut_out(with_valley_floors(z, grid, seed + 77, area_m2=1e6, depth_m=10.0, slope=0.02), side)


def karst(
    side: int, pixel_size_m: float, seed: int, *, thick_m: float, spacing_m: float, plain: float, steps: int
) -> np.ndarray:
    """Cone and tower karst: rain sinks where it gathers and dissolves the limestone there most, so that hollows deepen between
    towers down to the water table, where a plain of clay spreads (Fleurant et al. 2008, doi:10.1002/esp.1556)."""
    grid = Grid.around(side, pixel_size_m)
    joints = rock.faults(grid, seed + 4, 14, width_m=60.0, directions_deg=(30.0, 110.0))
    z = (
        thick_m
        + 0.10 * thick_m * grid.roughness(spacing_m, seed, 3)
        + 0.35 * thick_m * grid.roughness(6.0 * spacing_m, seed + 1, 3)
    )
    z -= 0.2 * thick_m * joints
    hard = np.exp(0.35 * grid.roughness(2.0 * spacing_m, seed + 2, 4))
    angle = np.tan(np.radians(np.clip(58.0 + 8.0 * grid.roughness(90.0, seed + 3, 4), 38.0, 76.0)))
    table = plain * thick_m * (0.55 + 0.12 * grid.roughness(9.0 * spacing_m, seed + 6, 2))
    for step in range(steps):
        water = karst_cpu.sinking(z, 1.2, seed + step)
        rate = (water * grid.pixel_size_m**2 / spacing_m**2) ** 0.45 * (1.0 + 1.5 * joints) / hard
        z = np.maximum(z - 2.4 * thick_m / steps * np.minimum(rate, 1.2), np.minimum(z, table))
        creep(z, 0.03)
        erosion_cpu.fail(z, grid.pixel_size_m, angle, 0.4)
    floor = table + 0.4 * grid.roughness(300.0, seed + 8, 4)
    return cut_out(np.maximum(z, floor), side)
