"""Claim: noise takes on the landforms of four real terrains so that slope, curvature, spectrum, rivers, pits and
layout are right at once.

Each terrain is the middle 512 x 512 pixels of an SRTM tile (3 arc seconds, taken as 90 m). The layout is fractal
noise of the project's own engine that knows nothing of it. Every gate must hold for every pair; the figures are
defined in backend/measures/terrain_statistics.py. Two of them are described in a second convention as well: the spectrum in
decades of power (log10), drainage area in plain decades; the gates hold in the first.
Needs the elevation data beside the repository (../shared/data) or
--data.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np

import backend  # before torch, which loads OpenMP: it sets how waiting threads wait
from benchmarks.machine import describe_machine, print_machine, save_result

SIDE, PIXEL_SIZE_M = 512, 90.0
SHOWN = 420  # pixels of each map in a picture
TERRAINS = ("N46E008", "N49W123", "S33W071", "mt_everest_90m")
NAMES = {"N46E008": "Ticino Alps", "N49W123": "Coast Range", "S33W071": "Aconcagua", "mt_everest_90m": "Everest"}
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "elevation" / "srtm3"
GATES = "gates: slope, curvature <= 0.08; spectrum <= 0.3; drainage <= 0.03; pits <= real + 1 %; layout >= 0.8"


def main(argv: list[str] | None = None) -> int:
    """Print the table, keep the result; 0 when every gate holds for every terrain, else 1."""
    parser = argparse.ArgumentParser(
        prog="relievo.py bench morphology-quality", description=(__doc__ or "").split("\n\n", 1)[0]
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the SRTM tiles")
    parser.add_argument(
        "--terrains", nargs="+", default=TERRAINS, help="names of tiles (default: the four of the claim)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 4, 5], help="seeds of the noise (default: 3 4 5)")
    parser.add_argument("--copies", action="store_true", help="also measure the share of copied patches (slow)")
    parser.add_argument("--pictures", type=Path, help="folder for a hillshade of each pair")
    options = parser.parse_args(argv)
    if not options.data.is_dir():
        print(f"There is no folder {options.data}; --data names the folder of the SRTM tiles.")
        return 2
    machine = describe_machine()
    print_machine(machine)
    print(GATES)
    heads = ["slope", "curv.", "spectrum", "(log10)", "drainage", "(decades)", "pits", "real"]
    heads += ["layout", "held-out", "copied", "s"]
    print(f"{'terrain':<13}{'noise':>6}" + "".join(f"{head:>10}" for head in heads))
    rows = [measure(name, seed, options) for name in options.terrains for seed in options.seeds]
    reached = all(row["passes"] for row in rows)
    print(f"\n{save_result('morphology-quality', {'pairs': rows, 'reached': reached}, machine).name}: "
          f"{'reached' if reached else 'NOT reached'}")  # fmt: skip
    return 0 if reached else 1


def measure(name: str, seed: int, options: argparse.Namespace) -> dict:
    """One terrain and one noise: run, print a line, return the figures."""
    from backend.measures import terrain_statistics

    real, layout = load(options.data / f"{name}.tif"), noise(seed)
    began = time.perf_counter()
    made = backend.run(
        "morphology",
        height=layout,
        exemplar=[real],
        pixel_size_m=PIXEL_SIZE_M,
        level="exemplar",
        seed=seed,
        device="cpu",
    )["height"].values
    seconds = time.perf_counter() - began
    figures = terrain_statistics.compare(made, real, PIXEL_SIZE_M, layout)
    copied = terrain_statistics.copied_share(made, real, stride=16) if options.copies else None
    cells = [f"{value:.3f}" for value in (figures.slope, figures.curvature, figures.spectrum)]
    decades = {
        "spectrum_log10": figures.spectrum / np.log(10),
        "drainage_decades": figures.drainage * np.log10(real.size),
    }
    cells += [
        f"{decades['spectrum_log10']:.3f}",
        f"{figures.drainage:.4f}",
        f"{decades['drainage_decades']:.4f}",
        *(f"{value:.3f}" for value in (figures.pits, figures.pits_real, figures.layout)),
    ]
    cells += [f"{figures.held_out:.4f}", "-" if copied is None else f"{copied:.3f}", f"{seconds:.1f}"]
    verdict = "ok" if figures.passes() else "FAILED"
    print(
        f"{NAMES.get(name, name)[:12]:<13}{seed:>6}" + "".join(f"{cell:>10}" for cell in cells) + f"  {verdict}",
        flush=True,
    )
    if options.pictures:
        save_pair(options.pictures / f"morphology-{name.lower()}.png", layout, made, real)
    return (
        {
            "terrain": name,
            "noise_seed": seed,
            "seconds": seconds,
            "copied": copied,
            "passes": figures.passes(),
        }
        | dataclasses.asdict(figures)
        | {name: float(value) for name, value in decades.items()}
    )


def load(path: Path) -> np.ndarray:
    """The middle of a tile, float32 [512, 512] m."""
    import rasterio

    with rasterio.open(path) as file:
        values = file.read(1).astype(np.float32)
    top, left = ((side - SIDE) // 2 for side in values.shape)
    return np.ascontiguousarray(values[top : top + SIDE, left : left + SIDE])


def noise(seed: int) -> np.ndarray:
    """The layout: default fractal noise with features of 18 km."""
    made = backend.run("noise", seed=seed, width_px=SIDE, height_px=SIDE, pixel_size_m=PIXEL_SIZE_M, feature_m=18000.0)
    return made["height"].values


def save_pair(path: Path, layout: np.ndarray, made: np.ndarray, real: np.ndarray) -> None:
    """The middle of layout, result and real terrain side by side as a grey PNG; the layout at the real terrain's deviation."""
    from PIL import Image

    from backend.measures.shading import hillshade

    scaled = (layout - layout.mean()) / layout.std() * real.std()
    edge = (SIDE - SHOWN) // 2
    shown = [hillshade(height, PIXEL_SIZE_M)[edge:-edge, edge:-edge] for height in (scaled, made, real)]
    gap = np.ones((SHOWN, 6))
    picture = np.concatenate([shown[0], gap, shown[1], gap, shown[2]], axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((picture * 255).astype(np.uint8)).quantize(64).save(path, optimize=True)


if __name__ == "__main__":
    raise SystemExit(main())
