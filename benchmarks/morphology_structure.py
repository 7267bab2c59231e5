"""Claim: noise takes on the landforms of eight real terrains, four of which nothing was tuned on, and its rivers are rivers.

Beside the gates of morphology-quality the structure has to be right: the concavity of long profiles (slope against drained area),
heights above the nearest river, landform elements (geomorphons) and no trenches one cell wide. Figures are defined in
backend/measures/terrain_structure.py and terrain_statistics.py. Each terrain is 512 x 512 pixels, the layout fractal noise that
knows nothing of it. Windows of the same terrain beside the exemplar, or beside one another where there is less room, are measured
alike: what is no nearer than they are cannot be told from another piece of the same land. Needs the elevation data beside the
repository (../shared/data) or --data.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import backend  # before torch, which loads OpenMP: it sets how waiting threads wait
from benchmarks.machine import RESULTS, describe_machine, machine_slug, print_machine, save_result

SIDE = 512
SHOWN = 420  # pixels of each map in a picture
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "elevation"


class Tile(NamedTuple):
    """corner: of the exemplar, if not its middle. neighbours: corners of two windows without a pixel in common; side: theirs."""

    file: str
    pixel_size_m: float
    tuned: bool
    corner: tuple[int, int] | None = None
    neighbours: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (689, 689))
    side: int = SIDE


TILES = {
    "ticino": Tile("srtm3/N46E008.tif", 90.0, True),
    "coast-range": Tile("srtm3/N49W123.tif", 90.0, True),
    "aconcagua": Tile("srtm3/S33W071.tif", 90.0, True),
    "everest": Tile("srtm3/mt_everest_90m.tif", 90.0, True),
    "vancouver": Tile("srtm3/N49W124.tif", 90.0, False),
    "fuji": Tile("srtm3/mt_fuji_90m.tif", 90.0, False),
    "mackay": Tile("windninja/mackay.tif", 30.0, False, None, ((0, 140), (460, 140)), 458),
    "meghalaya": Tile("misc/Mega_divide.bil", 50.0, False, (200, 400), ((200, 400), (200, 912))),
}

COLUMNS: tuple[tuple[str, str, Callable[[dict[str, Any]], float], Callable[[dict[str, Any]], float]], ...] = (
    ("concavity", "off", lambda row: abs(row["concavity"] - row["concavity_real"]), lambda row: 0.08),
    ("hand", "hand", lambda row: row["hand"], lambda row: 0.12),
    ("geomorphons", "elements", lambda row: row["geomorphons"], lambda row: 0.12),
    ("slots", "slots", lambda row: row["slots"], lambda row: row["slots_real"] + 0.005),
    ("slope", "slope", lambda row: row["slope"], lambda row: 0.08),
    ("curvature", "curv.", lambda row: row["curvature"], lambda row: 0.08),
    ("spectrum", "spectrum", lambda row: row["spectrum"], lambda row: 0.3),
    ("drainage", "drainage", lambda row: row["drainage"], lambda row: 0.03),
    ("pits", "pits", lambda row: row["pits"], lambda row: row["pits_real"] + 0.01),
    ("layout", "layout", lambda row: row["layout"], lambda row: 0.8),
)  # key, heading, what is measured, its gate: at most, but for the layout


def main(argv: list[str] | None = None) -> int:
    """Print the table, keep the result; 0 when every gate holds for every terrain, else 1."""
    parser = argparse.ArgumentParser(
        prog="relievo.py bench morphology-structure", description=(__doc__ or "").split("\n\n", 1)[0]
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the elevation data")
    parser.add_argument("--tiles", nargs="+", choices=TILES, default=list(TILES), help="default: all eight")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 4, 5], help="seeds of the noise (default: 3 4 5)")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of relief transfer, such as drainage=false"
    )
    parser.add_argument("--pictures", type=Path, help="folder for a hillshade of each pair")
    options = parser.parse_args(argv)
    if not options.data.is_dir():
        print(f"There is no folder {options.data}; --data names the folder of the elevation data.")
        return 2
    machine = describe_machine()
    print_machine(machine)
    print(f"{'terrain':<13}{'noise':>10}" + "".join(f"{heading:>10}" for _, heading, _, _ in COLUMNS) + f"{'s':>7}")
    rows = [row for name in options.tiles for row in measure(name, options)]
    made = [row for row in rows if row["noise_seed"] is not None]
    for tuned in (True, False):
        worst(f"worst, {'tuned' if tuned else 'held out'}", [row for row in made if row["tuned"] == tuned])
    if not options.set:  # terrains that were not measured now keep what was measured before
        path = RESULTS / f"morphology-structure-{machine_slug(machine)}.json"
        before = json.loads(path.read_text(encoding="utf-8"))["result"]["rows"] if path.exists() else []
        kept = rows + [row for row in before if row["terrain"] not in options.tiles]
        result = {"rows": kept, "reached": all(row["passes"] for row in kept if row["noise_seed"] is not None)}
        print(f"\n{save_result('morphology-structure', result, machine).name}:", end=" ")
    reached = all(row["passes"] for row in made)
    print("reached" if reached else "NOT reached")
    return 0 if reached else 1


def measure(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of one terrain: its own windows, and one for each noise."""
    tile = TILES[name]
    real = load(options.data / tile.file, tile.corner, SIDE)
    windows = [load(options.data / tile.file, corner, tile.side) for corner in tile.neighbours]
    natural = figures(windows[0], windows[1], windows[1], tile.pixel_size_m)
    rows = [{"terrain": name, "tuned": tile.tuned, "noise_seed": None} | natural]
    print_row(name, "windows", rows[0])
    settings = dict(pair.split("=", 1) for pair in options.set)
    for seed in options.seeds:
        layout = noise(seed, tile.pixel_size_m)
        began = time.perf_counter()
        made = transfer(layout, real, tile.pixel_size_m, seed, settings)
        seconds = time.perf_counter() - began
        row = {"terrain": name, "tuned": tile.tuned, "noise_seed": seed, "seconds": seconds}
        row |= figures(made, real, layout, tile.pixel_size_m)
        rows.append(row)
        print_row(name, str(seed), row)
        if options.pictures:
            save_pair(options.pictures / f"{name}-{seed}.png", made, real, tile.pixel_size_m)
    return rows


def transfer(
    layout: np.ndarray, real: np.ndarray, pixel_size_m: float, seed: int, settings: dict[str, str]
) -> np.ndarray:
    """Relief transfer as a user runs it, but at the exemplar's own level; settings as text."""
    from shared.catalog.morphology import MorphologyParams
    from shared.params import describe

    text = {parameter.name for parameter in describe(MorphologyParams) if parameter.type in ("choice", "str")}
    values = {key: value if key in text else json.loads(value) for key, value in settings.items()}
    given: dict[str, Any] = {"level": "exemplar", "seed": seed, "device": "cpu"} | values
    made = backend.run("morphology", height=layout, exemplar=[real], pixel_size_m=pixel_size_m, **given)
    return made["height"].values


def figures(height: np.ndarray, real: np.ndarray, layout: np.ndarray, pixel_size_m: float) -> dict[str, Any]:
    """All that is measured, and whether every gate holds."""
    from backend.measures import terrain_statistics, terrain_structure

    likeness = terrain_statistics.compare(height, real, pixel_size_m, layout)
    structure = terrain_structure.compare(height, real, pixel_size_m)
    row: dict[str, Any] = dataclasses.asdict(likeness) | dataclasses.asdict(structure)
    return row | {"passes": likeness.passes() and structure.passes()}


def print_row(name: str, what: str, row: dict[str, Any]) -> None:
    """A line of the table; a star behind what misses its gate."""
    cells = []
    for key, _, value, gate in COLUMNS:
        measured, limit = value(row), gate(row)
        missed = measured < limit if key == "layout" else measured > limit
        cells.append(f"{measured:.4f}{'*' if missed else ' '}")
    seconds = f"{row['seconds']:>7.1f}" if "seconds" in row else ""
    print(f"{name:<13}{what:>10}" + "".join(f"{cell:>10}" for cell in cells) + seconds, flush=True)


def worst(name: str, rows: list[dict[str, Any]]) -> None:
    """The worst figure of each column, which is what counts."""
    if not rows:
        return
    cells = [(min if key == "layout" else max)(value(row) for row in rows) for key, _, value, _ in COLUMNS]
    print(f"{name:<23}" + "".join(f"{cell:>9.4f} " for cell in cells))


def load(path: Path, corner: tuple[int, int] | None, side: int) -> np.ndarray:
    """A square of a terrain at a corner (row, column) or of its middle, float32 [side, side] m."""
    import rasterio

    with rasterio.open(path) as file:
        values = file.read(1).astype(np.float32)
    top, left = corner or ((values.shape[0] - side) // 2, (values.shape[1] - side) // 2)
    return np.ascontiguousarray(values[top : top + side, left : left + side])


def noise(seed: int, pixel_size_m: float) -> np.ndarray:
    """The layout: default fractal noise with features of 200 pixels."""
    made = backend.run(
        "noise", seed=seed, width_px=SIDE, height_px=SIDE, pixel_size_m=pixel_size_m, feature_m=200.0 * pixel_size_m
    )
    return made["height"].values


def save_pair(path: Path, made: np.ndarray, real: np.ndarray, pixel_size_m: float) -> None:
    """The middle of result and real terrain side by side, lit from the north-west, as a grey PNG."""
    from PIL import Image

    from backend.measures.shading import hillshade

    edge = (SIDE - SHOWN) // 2
    shades = [hillshade(height, pixel_size_m)[edge:-edge, edge:-edge] for height in (made, real)]
    picture = np.concatenate([shades[0], np.ones((SHOWN, 6)), shades[1]], axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((picture * 255).astype(np.uint8)).quantize(64).save(path, optimize=True)


if __name__ == "__main__":
    raise SystemExit(main())
