"""Claim: on maps below 512 x 512 relief transfer leaves no frame inside the border, on terrain that nothing was tuned on.

Six held-out terrains of 20 to 232 m pixels, none of them of another benchmark or test of relief transfer, are exemplars for noise
of 128, 256 and 384 pixels. The roughness of the first four rings of pixels inside the border, relative to that farther inside, is
compared with that of crops of the terrain and with `legacy`, which has no margin. Slope and spectrum are defined in
backend/measures/terrain_statistics.py.
Needs the elevation data beside the repository (../shared/data) or --data.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import backend  # before torch, which loads OpenMP: it sets how waiting threads wait
from benchmarks.machine import describe_machine, print_machine, save_result

TERRAINS = {
    "mackay": ("windninja/mackay.tif", 30.0), "denali": ("windninja/denali.tif", 232.0), "hawaii": ("windninja/hi.tif", 93.0),
    "columbia": ("oggm/dem_Columbia.tif", 100.0), "baltoro": ("oggm/baltoro_srtm_clip.tif", 90.0),
    "south-glacier": ("oggm/dem_SouthGlacier.tif", 20.0),
}  # fmt: skip
SIDES = (128, 256, 384)
MOST_SIDE = 512  # of an exemplar: the middle of a terrain
RINGS = 4
CROPS = 8
NOISE_SEED = 11
LIMIT = 1.6  # a ring this much rougher than the inside shows as a frame
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "elevation"
METHODS = {"margin": False, "legacy": True}


def main(argv: list[str] | None = None) -> int:
    """Print the table, keep the result; 0 when no mean over the terrains shows a frame, else 1."""
    parser = argparse.ArgumentParser(
        prog="relievo.py bench morphology-border", description=(__doc__ or "").split("\n\n", 1)[0]
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the elevation data")
    parser.add_argument("--terrains", nargs="+", choices=TERRAINS, default=list(TERRAINS), help="default: all six")
    parser.add_argument("--sides", nargs="+", type=int, default=SIDES, help="pixels (default: 128 256 384)")
    parser.add_argument("--pictures", type=Path, help="folder for a hillshade of each result")
    options = parser.parse_args(argv)
    if not options.data.is_dir():
        print(f"There is no folder {options.data}; --data names the folder of the elevation data.")
        return 2
    machine = describe_machine()
    print_machine(machine)
    print(f"{'terrain':<15}{'side':>5}  {'method':<8}{'rings, outermost first':<28}{'slope':>8}{'spectrum':>10}")
    rows = [row for name in options.terrains for side in options.sides for row in measure(name, side, options)]
    print()
    means = [summary(rows, side, method) for side in options.sides for method in ("crops", *METHODS)]
    reached = all(max(mean["rings"]) < LIMIT for mean in means if mean["method"] == "margin")
    saved = save_result("morphology-border", {"rows": rows, "means": means, "reached": reached}, machine)
    print(f"\n{saved.name}: {'reached' if reached else 'NOT reached'}")
    return 0 if reached else 1


def measure(name: str, side: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One terrain and one size: the results of each method, and crops of the terrain itself."""
    file, pixel_size_m = TERRAINS[name]
    real = load(options.data / file)
    noise = backend.run(
        "noise", seed=NOISE_SEED, width_px=side, height_px=side, pixel_size_m=pixel_size_m,
        feature_m=0.4 * side * pixel_size_m,
    )["height"].values  # fmt: skip
    rows = []
    for method, legacy in METHODS.items():
        made = backend.run(
            "morphology", height=noise, exemplar=[real], pixel_size_m=pixel_size_m, scale="true", level="exemplar",
            legacy=legacy, seed=1, device="cpu",
        )["height"].values  # fmt: skip
        rows.append(figures(name, side, method, [made], real, pixel_size_m))
        if options.pictures:
            save_hillshade(options.pictures / f"{name}-{side}-{method}.png", made, pixel_size_m)
    if min(real.shape) >= side + 16:
        rows.append(figures(name, side, "crops", crops(real, side), real, pixel_size_m))
    return rows


def figures(
    name: str, side: int, method: str, maps: list[np.ndarray], real: np.ndarray, pixel_size_m: float
) -> dict[str, Any]:
    from backend.measures.terrain_statistics import border_roughness, distribution_error, slope, spectrum_error

    slopes = slope(real, pixel_size_m)
    row = {
        "terrain": name,
        "side": side,
        "method": method,
        "rings": np.mean([border_roughness(height, RINGS) for height in maps], axis=0).tolist(),
        "slope": float(np.mean([distribution_error(slope(height, pixel_size_m), slopes) for height in maps])),
        "spectrum": float(np.mean([spectrum_error(height, real, pixel_size_m) for height in maps])),
    }
    print_row(row)
    return row


def summary(rows: list[dict[str, Any]], side: int, method: str) -> dict[str, Any]:
    """Means over the terrains, printed."""
    own = [row for row in rows if (row["side"], row["method"]) == (side, method)]
    if not own:
        return {"terrain": "mean", "side": side, "method": method, "rings": [float("nan")] * RINGS}
    mean: dict[str, Any] = {"terrain": f"mean of {len(own)}", "side": side, "method": method}
    mean |= {key: np.mean([row[key] for row in own], axis=0).tolist() for key in ("rings", "slope", "spectrum")}
    print_row(mean)
    return mean


def print_row(row: dict[str, Any]) -> None:
    rings = " ".join(f"{ring:5.2f}" for ring in row["rings"])
    print(
        f"{row['terrain']:<15}{row['side']:>5}  {row['method']:<8}{rings:<28}{row['slope']:>8.3f}{row['spectrum']:>10.3f}",
        flush=True,
    )


def load(path: Path) -> np.ndarray:
    """The middle of a terrain, float32 [H, W] m, without holes."""
    import rasterio

    with rasterio.open(path) as file:
        values = file.read(1, masked=True)
    rows, columns = (min(side, MOST_SIDE) for side in values.shape)
    top, left = (values.shape[0] - rows) // 2, (values.shape[1] - columns) // 2
    middle = values[top : top + rows, left : left + columns]
    if np.ma.is_masked(middle):
        raise SystemExit(f"{path} has holes in its middle.")
    return np.ascontiguousarray(np.ma.getdata(middle), np.float32)


def crops(real: np.ndarray, side: int) -> list[np.ndarray]:
    """Squares of the terrain at random places."""
    random = np.random.default_rng(0)
    places = [[random.integers(0, length - side + 1) for length in real.shape] for _ in range(CROPS)]
    return [real[top : top + side, left : left + side] for top, left in places]


def save_hillshade(path: Path, height: np.ndarray, pixel_size_m: float) -> None:
    """As a grey PNG, lit from the north-west at 40 degrees."""
    from PIL import Image

    from backend.measures.shading import hillshade

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((hillshade(height, pixel_size_m) * 255).astype(np.uint8)).save(path)


if __name__ == "__main__":
    raise SystemExit(main())
