"""Simulated landscapes: the exemplars that ship, and the command that makes them again to the byte.

Each kind is uplifted and worn by stream power, creep and rock falls, or blown, from a seed; no elevation data
enters. Two things keep the grid out of sight: water draws its way among all lower neighbours
(landscapes_cpu.drain), and the finished map is cut out of a larger one at an angle. What the parameters
mean is described where they are used; a recipe beside each map holds them all.

Sources: Braun and Willett (2013) for the incision, Barnes et al. (2014) for the drainage, Werner (1995) for the dunes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine
from scipy import ndimage

from backend.files import exemplars
from backend.ops.terrain.noise import NoiseField, Window, evaluate
from backend.training import landscapes_cpu
from shared.params import suggestion

log = logging.getLogger(__name__)

SIDE_PX = 512
CODE_VERSION = 1  # rises when a recipe gives other bytes
TURN_DEG = 27.0  # far from all eight directions of the grid
MARGIN_PX = 40  # rows near the outlets that never ship

Strength = Callable[[np.ndarray], np.ndarray]


def simulate(recipe: Mapping[str, Any]) -> np.ndarray:
    """The height map [side_px, side_px] of a recipe, float32 metres."""
    simulator = SIMULATORS[recipe["simulator"]]
    heights = simulator(recipe["side_px"], recipe["pixel_size_m"], recipe["seed"], **recipe["parameters"])
    return (np.round(heights / recipe["step_m"]) * recipe["step_m"]).astype(np.float32)


# ---- the physics ----


def rough(side: int, wavelength_px: float, seed: int, octaves: int = 4) -> np.ndarray:
    """Fractal noise [side, side] of deviation about 1."""
    field = NoiseField(wavelength_px=(wavelength_px, wavelength_px), octaves=octaves, seed=seed)
    return evaluate(field, Window(0, 0, side, side)).numpy()[0, 0].astype(np.float64) / 0.35


def creep(z: np.ndarray, number: float) -> None:
    """Linear diffusion in place; number: diffusivity · time / pixel². Explicit, in as many stable rounds as it
    takes."""
    rounds = max(1, int(np.ceil(number / 0.2)))
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
    strength: np.ndarray | Strength,  # erodibility K [H, W], m^(1 - 2m) a year, or a function of the heights
    uplift: np.ndarray | float = 0.0,  # m a year
    exponent: float = 0.45,  # m of K A^m S
    diffusivity: float = 0.02,  # m² a year
    steepest: np.ndarray | Strength | float = 40.0,  # degrees at which rock falls
    falls: int = 3,  # rounds of rock fall a step
) -> np.ndarray:
    """Heights after ``years``: uplift, incision, creep, falls. The edge is an outlet and stays."""
    z = np.ascontiguousarray(z, np.float64).copy()
    span = years / steps
    lift = np.broadcast_to(np.asarray(uplift, np.float64) * span, z.shape)
    for step in range(steps):
        z[1:-1, 1:-1] += lift[1:-1, 1:-1]
        receiver, order = landscapes_cpu.drain(z, 0.7, seed + step)
        cells = landscapes_cpu.cells_upstream(receiver, order)
        weak = strength(z) if callable(strength) else strength
        landscapes_cpu.incise(z, receiver, order, cells, pixel_size_m, np.ascontiguousarray(weak * span), exponent)
        creep(z, diffusivity * span / pixel_size_m**2)
        angle = steepest(z) if callable(steepest) else np.broadcast_to(steepest, z.shape)
        landscapes_cpu.slide(z, pixel_size_m, np.tan(np.radians(angle)), falls)
    return z


def refine(z: np.ndarray) -> np.ndarray:
    """Twice the rows and columns, cubic, pixel centres kept in place."""
    return np.asarray(ndimage.zoom(z, 2, order=3, mode="nearest", grid_mode=True))


def cut_out(z: np.ndarray, side: int, mode: str = "constant") -> np.ndarray:
    """The middle [side, side], turned by TURN_DEG."""
    offsets = np.arange(side) - (side - 1) / 2.0
    rows, columns = np.meshgrid(offsets, offsets, indexing="ij")
    cosine, sine, middle = np.cos(np.radians(TURN_DEG)), np.sin(np.radians(TURN_DEG)), (z.shape[0] - 1) / 2.0
    where = [middle + rows * cosine - columns * sine, middle + rows * sine + columns * cosine]
    return np.asarray(ndimage.map_coordinates(z, where, order=3, mode=mode))


def whole_side(side: int) -> int:
    """Pixels of the square from which cut_out takes its own, a multiple of four for the coarse levels."""
    turn = np.cos(np.radians(TURN_DEG)) + np.sin(np.radians(TURN_DEG))
    return int(np.ceil((side * turn + 2 * MARGIN_PX) / 4.0)) * 4


def drainage_area(z: np.ndarray, pixel_size_m: float, seed: int) -> np.ndarray:
    """Square metres that drain through each cell, [H, W]."""
    receiver, order = landscapes_cpu.drain(z, 0.7, seed)
    return (landscapes_cpu.cells_upstream(receiver, order) * pixel_size_m**2).reshape(z.shape)


# ---- the kinds of landscape ----


def mountains(
    side: int,
    pixel_size_m: float,
    seed: int,
    *,
    erodibility: float,
    uplift_m_per_year: float,
    diffusivity: float,
    steepest_deg: float,
    hard_rock: float,
    million_years: float,
) -> np.ndarray:
    """A range between uplift and rivers, grown on three grids: the coarse one lays out the valleys, the fine
    one the gullies.

    hard_rock: spread of the logarithm of the erodibility from place to place. Returns the whole square, not yet
    cut out.
    """
    whole = whole_side(side)
    z = np.zeros(0)
    for level, (coarse, steps, share) in enumerate(((4, 90, 1.0), (2, 30, 0.1), (1, 24, 0.04))):
        n = whole // coarse
        rock = hard_rock * (rough(n, n / 12, seed + 7, 5) + (0.6 * rough(n, 9, seed + 8, 3) if level == 2 else 0.0))
        lift = uplift_m_per_year * np.clip(1.0 + 0.2 * rough(n, n / 2.5, seed + 9, 3), 0.5, 2.0)
        if level == 0:
            z = 60.0 * rough(n, n / 4, seed) + 300.0
        else:
            z = refine(z) + 2.0 * rough(n, 12, seed + 20 + level, 3)
        z = evolve(
            z, pixel_size_m * coarse, 1e6 * million_years * share, steps, seed + 1000 * level,
            strength=erodibility * np.exp(rock), uplift=lift, diffusivity=diffusivity, steepest=steepest_deg,
        )  # fmt: skip
    return z


def alpine(side: int, pixel_size_m: float, seed: int, **parameters: float) -> np.ndarray:
    return cut_out(mountains(side, pixel_size_m, seed, **parameters), side)


def glacial(
    side: int,
    pixel_size_m: float,
    seed: int,
    *,
    ice_area_km2: float,
    depth_m: float,
    width_m: float,
    **parameters: float,
) -> np.ndarray:
    """Mountains whose larger valleys were filled by ice: troughs with a flat floor and steep walls, then some rain.

    ice_area_km2: catchment from which a valley held a glacier. depth_m, width_m: of the trough of a catchment
    ten times as large; both grow with its fifth root.
    """
    z = mountains(side, pixel_size_m, seed, **parameters)
    area = drainage_area(z, pixel_size_m, seed)
    dry = area < ice_area_km2 * 1e6
    row, column = np.asarray(ndimage.distance_transform_edt(dry, return_distances=False, return_indices=True))
    distance = ndimage.gaussian_filter(np.asarray(ndimage.distance_transform_edt(dry)) * pixel_size_m, 2.5)
    size = (area / (ice_area_km2 * 1e7)) ** 0.2
    floor_z = ndimage.gaussian_filter((z - depth_m * size)[row, column], 5.0)
    reach = width_m * ndimage.gaussian_filter(size[row, column], 8.0)
    trough = floor_z + 0.65 * reach * (distance / reach) ** 3
    z = soft_min(z, trough, 25.0)
    return cut_out(
        evolve(
            z, pixel_size_m, 1.2e4, 12, seed + 5000, strength=np.full(z.shape, parameters["erodibility"]),
            uplift=0.0, diffusivity=0.03, steepest=52.0, falls=4,
        ),
        side,
    )  # fmt: skip


def soft_min(a: np.ndarray, b: np.ndarray, blend_m: float) -> np.ndarray:
    """The lower of two surfaces, rounded where they meet within blend_m."""
    return 0.5 * (a + b - np.sqrt((a - b) ** 2 + blend_m**2))


def canyon(
    side: int,
    pixel_size_m: float,
    seed: int,
    *,
    erodibility: float,
    depth_m: float,
    layer_m: float,
    hardness: float,
    million_years: float,
) -> np.ndarray:
    """A plateau of hard and soft beds into which a river net cuts down: terraces, cliffs, side canyons, flat
    rims between them.

    layer_m: thickness of a pair of beds; hardness: spread of the logarithm of their erodibility.
    """
    whole = whole_side(side)
    z = np.zeros(0)
    for level, (coarse, steps, share) in enumerate(((4, 60, 0.6), (2, 40, 0.25), (1, 36, 0.15))):
        n = whole // coarse
        dip = 40.0 * rough(n, n / 2, seed + 3, 2)
        beds = strata(seed, layer_m, hardness)
        if level == 0:
            z = depth_m + 25.0 * rough(n, n / 3, seed, 5)
            z[[0, -1]] = z[:, [0, -1]] = 0.0
        else:
            z = refine(z) + 0.5 * rough(n, 10, seed + 20 + level, 3)
            z[[0, -1]] = z[:, [0, -1]] = 0.0

        def weak(heights: np.ndarray, dip: np.ndarray = dip, beds: Any = beds) -> np.ndarray:
            return erodibility * beds(heights - dip)

        def angle(heights: np.ndarray, dip: np.ndarray = dip, beds: Any = beds) -> np.ndarray:
            return np.where(beds(heights - dip) < 1.0, 68.0, 33.0)

        z = evolve(
            z, pixel_size_m * coarse, 1e6 * million_years * share, steps, seed + 1000 * level,
            strength=weak, exponent=0.5, diffusivity=0.004, steepest=angle, falls=6,
        )  # fmt: skip
    return cut_out(z, side)


def strata(seed: int, layer_m: float, hardness: float) -> Strength:
    """Erodibility against height, around 1: beds of uneven thickness, alternately hard and soft."""
    generator = np.random.Generator(np.random.PCG64(seed))
    thickness = layer_m * generator.uniform(0.25, 0.9, 400)
    tops = np.cumsum(thickness) - 40.0 * layer_m
    values = np.exp(hardness * np.where(np.arange(400) % 2, 1.0, -1.0) * generator.uniform(0.5, 1.3, 400))

    def beds(heights: np.ndarray) -> np.ndarray:
        return values[np.clip(np.searchsorted(tops, heights), 0, 399)]

    return beds


def badlands(side: int, pixel_size_m: float, seed: int, **parameters: float) -> np.ndarray:
    """Soft clay: the mountains' equations at a few metres a pixel, with gullies close together and sharp divides."""
    return cut_out(mountains(side, pixel_size_m, seed, **parameters), side)


def volcanic(
    side: int,
    pixel_size_m: float,
    seed: int,
    *,
    height_m: float,
    radius_m: float,
    crater_m: float,
    cones: int,
    erodibility: float,
    thousand_years: float,
) -> np.ndarray:
    """A stratovolcano with a crater and younger cinder cones on its flanks, cut by radial gullies."""
    n = whole_side(side)
    generator = np.random.Generator(np.random.PCG64(seed))
    rows, columns = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    warp = 350.0 * rough(n, n / 5, seed + 1, 4), 350.0 * rough(n, n / 5, seed + 2, 4)
    centre = (n - 1) / 2.0 + np.array((0.04, -0.05)) * side
    east, north = (columns - centre[1]) * pixel_size_m + warp[0], (rows - centre[0]) * pixel_size_m + warp[1]
    distance = np.hypot(east, north)
    z = height_m * np.exp(-((distance / radius_m) ** 0.9)) + 35.0 * rough(n, n / 8, seed + 3, 6)
    z = soft_min(z, height_m * 0.80 + 0.75 * (distance - 0.25 * crater_m), 60.0)
    z = evolve(
        z, pixel_size_m, 1e3 * thousand_years, 40, seed,
        strength=erodibility * np.exp(0.5 * rough(n, 30, seed + 4, 4)), diffusivity=0.01, steepest=37.0,
    )  # fmt: skip
    for _ in range(cones):
        angle, far = generator.uniform(0, 2 * np.pi), generator.uniform(0.45, 1.3)
        wide = generator.uniform(220.0, 480.0)
        across = np.hypot(east - far * radius_m * np.cos(angle), north - far * radius_m * np.sin(angle))
        cone = 0.55 * np.maximum(wide - across, 0.0)
        z = z + soft_min(cone, 0.26 * wide + 0.5 * across, 20.0).clip(0.0)
    weak = np.full((n, n), erodibility)
    z = evolve(z, pixel_size_m, 1.5e4, 10, seed + 99, strength=weak, diffusivity=0.02, steepest=36.0)
    return cut_out(z, side)


def dunes(
    side: int,
    pixel_size_m: float,
    seed: int,
    *,
    sand_slabs: int,
    rounds: int,
    hop_px: int,
    keep_sand: float,
    keep_bare: float,
) -> np.ndarray:
    """Transverse dunes and barchans of sand blown over a gently rolling plain."""
    n = side
    generator = np.random.Generator(np.random.PCG64(seed))
    field = NoiseField(wavelength_px=(n / 4, n / 4), octaves=4, seed=seed, period_px=(n, n))
    supply = evaluate(field, Window(0, 0, n, n)).numpy()[0, 0].astype(np.float64) / 0.35
    sand = generator.poisson(np.clip(sand_slabs * (1.0 + 0.45 * supply), 1.0, None)).astype(np.int32)
    for turn in range(rounds):
        landscapes_cpu.blow(sand, 50, hop_px, keep_bare, keep_sand, n * n, seed + 131 * turn)
    slab_m = pixel_size_m / 3.0
    z = ndimage.gaussian_filter(sand.astype(np.float64), 1.5, mode="wrap") * slab_m
    ground = NoiseField(wavelength_px=(n / 2, n / 2), octaves=3, seed=seed + 5, period_px=(n, n))
    z += 6.0 * evaluate(ground, Window(0, 0, n, n)).numpy()[0, 0]
    return cut_out(np.pad(z, n // 4, mode="wrap"), side)


SIMULATORS: Mapping[str, Callable[..., np.ndarray]] = {
    "alpine": alpine, "canyon": canyon, "badlands": badlands, "dunes": dunes, "volcanic": volcanic, "glacial": glacial,
}  # fmt: skip

_ALPS = {
    "erodibility": 1.3e-5, "uplift_m_per_year": 1.0e-3, "diffusivity": 0.025, "steepest_deg": 42.0,
    "hard_rock": 0.2, "million_years": 5.0,
}  # fmt: skip
# help: a line for people; step_m: heights are multiples of it, which halves the file and is far below what a
# pixel can show.
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "alpine": {
        "help": "high mountains with sharp crests and deep branching valleys, 30 m per pixel",
        "pixel_size_m": 30.0, "seed": 8, "step_m": 0.125, "parameters": _ALPS,
    },
    "canyon": {
        "help": "a plateau of hard and soft beds cut by terraced canyons, 20 m per pixel",
        "pixel_size_m": 20.0, "seed": 4, "step_m": 0.125,
        "parameters": {
            "erodibility": 6e-6, "depth_m": 1100.0, "layer_m": 220.0, "hardness": 0.9, "million_years": 1.2,
        },
    },
    "badlands": {
        "help": "soft ground cut into close gullies and narrow divides, 4 m per pixel",
        "pixel_size_m": 4.0, "seed": 3, "step_m": 0.015625,
        "parameters": {
            "erodibility": 2.2e-3, "uplift_m_per_year": 8e-3, "diffusivity": 0.045, "steepest_deg": 45.0,
            "hard_rock": 0.3, "million_years": 0.02,
        },
    },
    "dunes": {
        "help": "crescents and ridges of blown sand on a plain, 5 m per pixel",
        "pixel_size_m": 5.0, "seed": 6, "step_m": 0.015625,
        "parameters": {"sand_slabs": 12, "rounds": 160, "hop_px": 5, "keep_sand": 0.6, "keep_bare": 0.4},
    },
    "volcanic": {
        "help": "a volcano with a crater, cinder cones and radial gullies, 30 m per pixel",
        "pixel_size_m": 30.0, "seed": 2, "step_m": 0.125,
        "parameters": {
            "height_m": 2900.0, "radius_m": 4200.0, "crater_m": 900.0, "cones": 7, "erodibility": 1.5e-5,
            "thousand_years": 160.0,
        },
    },
    "glacial": {
        "help": "mountains whose valleys ice has widened into troughs, 30 m per pixel",
        "pixel_size_m": 30.0, "seed": 5, "step_m": 0.125,
        "parameters": _ALPS
        | {"diffusivity": 0.04, "ice_area_km2": 1.5, "depth_m": 70.0, "width_m": 1100.0},
    },
}  # fmt: skip


# ---- files ----


def full_recipe(name: str, side_px: int = SIDE_PX) -> dict[str, Any]:
    """All that the bytes depend on, as it is written beside the map."""
    libraries = {library: metadata.version(library) for library in ("numpy", "scipy", "numba")}
    return {
        "name": name, "simulator": name, "side_px": side_px, **RECIPES[name], "code_version": CODE_VERSION,
        "made_with": libraries,
    }  # fmt: skip


def write(folder: Path, recipe: Mapping[str, Any], heights: np.ndarray) -> None:
    """NAME.tif (float32 metres, deflate with the floating-point predictor) and NAME.json in the folder."""
    path = folder / f"{recipe['name']}.tif"
    pixel = recipe["pixel_size_m"]
    # a metric coordinate system of nowhere: without one a reader could not tell metres from degrees
    options = {"crs": 'LOCAL_CS["simulated",UNIT["metre",1]]', "transform": Affine(pixel, 0, 0, 0, -pixel, 0)}
    with rasterio.open(
        path, "w", driver="GTiff", width=heights.shape[1], height=heights.shape[0], count=1, dtype="float32",
        compress="deflate", predictor=3, zlevel=9, tiled=True, blockxsize=512, blockysize=512, **options,
    ) as file:  # fmt: skip
        file.write(heights, 1)
    document = dict(recipe) | {"sha256": hashlib.sha256(np.ascontiguousarray(heights, "<f4").tobytes()).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Make the exemplars again: about a minute each."""
    parser = argparse.ArgumentParser(prog="relievo.py train landscapes", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help=f"which ones: {', '.join(RECIPES)} [default: all]")
    parser.add_argument("--out", type=Path, default=exemplars.FOLDER, help="folder [default: where they ship]")
    options = parser.parse_args(argv)
    unknown = [name for name in options.names if name not in RECIPES]
    if unknown:
        parser.error(f"there is no landscape {unknown[0]!r}; {suggestion(unknown[0], RECIPES)}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or RECIPES:
        log.info("simulating %s", name)
        recipe = full_recipe(name)
        write(options.out, recipe, simulate(recipe))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
