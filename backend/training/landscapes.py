"""Simulated landscapes: the exemplars that ship, and the command that makes them again to the byte.

Each kind is uplifted and worn by rivers, creep, rock falls and ice, dissolved, erupted or blown, from a seed; no elevation data
enters. The rules are in backend/training/landforms; here is what each landscape is made with. Two things keep the grid out of
sight: water draws its way among all lower neighbours (erosion_cpu.drain), and the finished map is cut out of a larger one at an
angle. A recipe beside each map holds all of its parameters.
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

from backend.files import exemplars
from backend.training.landforms import basins, ice, mountains, plateaus, uplands, volcanoes, wind
from shared.params import suggestion

log = logging.getLogger(__name__)

SIDE_PX = 512
CODE_VERSION = 2  # rises when a recipe gives other bytes


def simulate(recipe: Mapping[str, Any]) -> np.ndarray:
    """The height map [side_px, side_px] of a recipe, float32 metres."""
    simulator = SIMULATORS[recipe["simulator"]]
    heights = simulator(recipe["side_px"], recipe["pixel_size_m"], recipe["seed"], **recipe["parameters"])
    stepped = (np.round(heights / recipe["step_m"]) * recipe["step_m"]).astype(np.float32)
    return stepped + np.float32(
        0.0
    )  # no zero has a sign: not every reader keeps it, and the bytes are what recipes know a map by


SIMULATORS: Mapping[str, Callable[..., np.ndarray]] = {
    "alpine": mountains.alpine, "glacial": ice.glacial, "canyon": plateaus.canyon, "mesas": plateaus.mesas,
    "badlands": uplands.badlands, "hills": uplands.hills, "ridges": uplands.folded, "domes": uplands.domes,
    "karst": uplands.karst, "fans": basins.fans, "volcanic": volcanoes.volcanic, "lava": volcanoes.lava,
    "blown": wind.blown, "drumlins": ice.drumlins,
}  # fmt: skip

_ALPS = {
    "erodibility": 1.0e-5, "uplift_m_per_year": 1.0e-3, "million_years": 5.0, "diffusivity": 0.012, "channel_m2": 8e4,
    "start_m": 350.0,
}  # fmt: skip
_SAND = {"keep_sand": 0.6, "keep_bare": 0.4}
# help: a line for people; step_m: heights are multiples of it, which halves the file and is far below what a
# pixel can show.
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "alpine": {
        "help": "high mountains with sharp crests and deep branching valleys, 30 m per pixel",
        "pixel_size_m": 30.0, "seed": 8, "step_m": 0.25, "parameters": _ALPS,
    },
    "canyon": {
        "help": "a plateau of hard and soft beds that a river and its side canyons cut in steps, 20 m per pixel",
        "pixel_size_m": 20.0, "seed": 4, "step_m": 0.25,
        "parameters": {
            "erodibility": 4e-6, "depth_m": 1100.0, "layer_m": 260.0, "hardness": 0.9, "million_years": 1.0,
            "river_km2": 4000.0,
        },
    },
    "badlands": {
        "help": "soft ground cut into close gullies and narrow divides, 4 m per pixel",
        "pixel_size_m": 4.0, "seed": 3, "step_m": 0.03125,
        "parameters": {
            "erodibility": 1.6e-3, "uplift_m_per_year": 8e-3, "million_years": 0.03, "diffusivity": 0.01,
            "channel_m2": 150.0, "start_m": 12.0,
        },
    },
    "dunes": {
        "help": "crescents and waves of blown sand on a plain, one wind, 5 m per pixel",
        "pixel_size_m": 5.0, "seed": 6, "step_m": 0.03125, "simulator": "blown",
        "parameters": _SAND | {
            "sand_m": 8.0, "uneven": 0.75, "slab_m": 1.0, "hop_px": 5.0, "rounds": 160, "winds_deg": [0.0], "season": 1,
            "gusty_deg": 6.0, "ground_m": 3.0,
        },
    },
    "volcanic": {
        "help": "a volcano of lava flows and ash with a crater, cinder cones and radial gullies, 30 m per pixel",
        "pixel_size_m": 30.0, "seed": 2, "step_m": 0.25,
        "parameters": {
            "height_m": 2900.0, "radius_m": 4000.0, "crater_m": 700.0, "flows": 150, "flow_m": 22.0, "cones": 12,
            "erodibility": 1.5e-5, "thousand_years": 120.0,
        },
    },
    "glacial": {
        "help": "mountains of cirques, sharp crests and troughs that ice has widened, 30 m per pixel",
        "pixel_size_m": 30.0, "seed": 5, "step_m": 0.25,
        "parameters": _ALPS | {"snow_line": 0.4, "width_m": 800.0, "cut_m": 90.0},
    },
    "hills": {
        "help": "old, rounded hills under soil with branching hollows and flat valley floors, 15 m per pixel",
        "pixel_size_m": 15.0, "seed": 12, "step_m": 0.125,
        "parameters": {
            "erodibility": 1.6e-5, "uplift_m_per_year": 1.2e-4, "million_years": 12.0, "diffusivity": 0.01,
            "channel_m2": 4e3, "start_m": 60.0,
        },
    },
    "ridges": {
        "help": "long ridges of folded hard beds with valleys in the soft ones, 30 m per pixel",
        "pixel_size_m": 30.0, "seed": 7, "step_m": 0.25,
        "parameters": {
            "wavelength_m": 5200.0, "erodibility": 7e-6, "uplift_m_per_year": 2e-4, "million_years": 12.0,
            "diffusivity": 0.02, "channel_m2": 4e4, "start_m": 120.0,
        },
    },
    "mesas": {
        "help": "tablelands with cliffs above long slopes, cut apart by flat-floored washes, 15 m per pixel",
        "pixel_size_m": 15.0, "seed": 9, "step_m": 0.125,
        "parameters": {
            "height_m": 330.0, "cap_m": 90.0, "erodibility": 6e-6, "million_years": 0.8, "plain_m": 200.0,
        },
    },
    "fans": {
        "help": "desert ranges along faults and a basin with alluvial fans, 30 m per pixel",
        "pixel_size_m": 30.0, "seed": 10, "step_m": 0.25,
        "parameters": {
            "basin_m": 120.0, "erodibility": 1.2e-5, "uplift_m_per_year": 8e-4, "million_years": 3.0,
            "diffusivity": 0.015, "channel_m2": 6e4, "start_m": 60.0,
        },
    },
    "domes": {
        "help": "bare granite domes and walls above wooded valleys, 10 m per pixel",
        "pixel_size_m": 10.0, "seed": 11, "step_m": 0.125,
        "parameters": {
            "erodibility": 3e-5, "uplift_m_per_year": 4e-4, "million_years": 2.5, "diffusivity": 0.02,
            "channel_m2": 8e3, "start_m": 60.0,
        },
    },
    "karst": {
        "help": "limestone cones and towers around closed hollows and flat plains, 10 m per pixel",
        "pixel_size_m": 10.0, "seed": 14, "step_m": 0.125,
        "parameters": {"thick_m": 150.0, "spacing_m": 320.0, "plain": 0.7, "steps": 60},
    },
    "lava": {
        "help": "lava flows with levees over one another, and rows of cinder cones, 15 m per pixel",
        "pixel_size_m": 15.0, "seed": 15, "step_m": 0.125,
        "parameters": {"rise_m": 420.0, "flows": 140, "flow_m": 9.0, "cones": 34, "erodibility": 4e-5},
    },
    "drumlins": {
        "help": "a plain of streamlined hills that an ice sheet left, 10 m per pixel",
        "pixel_size_m": 10.0, "seed": 16, "step_m": 0.0625,
        "parameters": {"length_m": 560.0, "elongation": 2.9, "height_m": 22.0, "cover": 2.4},
    },
    "star-dunes": {
        "help": "high dunes with several arms, built by winds from three sides, 10 m per pixel",
        "pixel_size_m": 10.0, "seed": 17, "step_m": 0.0625, "simulator": "blown",
        "parameters": _SAND | {
            "sand_m": 26.0, "uneven": 0.5, "slab_m": 2.0, "hop_px": 4.0, "rounds": 240, "winds_deg": [10.0, 130.0, 250.0],
            "season": 4, "gusty_deg": 12.0, "ground_m": 5.0,
        },
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
