"""Claim: the landscapes that ship are shaped like real ones of their kind, and none is combed.

Each simulated landscape that has real kin among the elevation data is measured beside it: concavity of long profiles (gate: within
0.08), heights above the nearest river in deviations of the heights, landform elements (geomorphons), slope in units of its own
mean and curvature in its own deviation, since pixels differ. Combing is how evenly ridges follow one another
(backend/measures/landform_spacing.py; gate: no more than the most even of those kin and of four more ranges); the first edition's
alpine exemplar, which looked like a fingerprint, is measured to show that the gate finds it. Landscapes without kin here are
printed only; dunes, drumlins and folded ridges are evenly spaced in nature too. Needs the elevation data beside the repository
(../shared/data) or --data.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backend.files import exemplars
from backend.measures.landform_spacing import combing
from backend.measures.terrain_statistics import curvature, slope, wasserstein
from backend.measures.terrain_structure import geomorphons, structure
from benchmarks.machine import describe_machine, print_machine, save_result

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "elevation"
SIDE = 512
CONCAVITY = 0.08


class Kin(NamedTuple):
    """A real terrain. corner: row and column of the window of it, if not its middle."""

    place: str
    file: str
    pixel_size_m: float
    corner: tuple[int, int] | None = None


KIN = {
    "alpine": Kin("Ticino Alps", "srtm3/N46E008.tif", 90.0),
    "canyon": Kin("edge of the Meghalaya plateau", "misc/Mega_divide.bil", 50.0, (200, 400)),
    "volcanic": Kin("Fuji", "srtm3/mt_fuji_90m.tif", 90.0, (511, 617)),
    "glacial": Kin("Ötztal Alps", "oggm/hef_srtm.tif", 90.0),
    "fans": Kin("Lost River Range", "windninja/mackay.tif", 30.0),
    "lava": Kin("Mauna Kea", "windninja/hi.tif", 92.77),
}
RANGES = (  # further real mountains that combing is held to
    Kin("Aconcagua", "srtm3/S33W071.tif", 90.0),
    Kin("Coast Range", "srtm3/N49W123.tif", 90.0),
    Kin("Everest", "srtm3/mt_everest_90m.tif", 90.0),
    Kin("Baltoro", "oggm/baltoro_srtm_clip.tif", 90.0),
)


def main(argv: list[str] | None = None) -> int:
    """Print the table, keep the result; 0 when every gate holds, else 1."""
    parser = argparse.ArgumentParser(
        prog="relievo.py bench landscapes", description=(__doc__ or "").split("\n\n", 1)[0]
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the elevation data")
    options = parser.parse_args(argv)
    if not options.data.is_dir():
        print(f"There is no folder {options.data}; --data names the folder of the elevation data.")
        return 2
    machine = describe_machine()
    print_machine(machine)
    real = {name: _figures(load(options.data, kin), kin.pixel_size_m) for name, kin in KIN.items()}
    most_even = max(
        *(figures["combing"] for figures in real.values()), *(combing(load(options.data, kin)) for kin in RANGES)
    )
    rows = [_row(name, 2, real.get(name), most_even) for name in exemplars.NAMES] + [
        _row("alpine", 1, real["alpine"], most_even)
    ]
    _print(rows, most_even)
    gated = [row for row in rows if row["edition"] == 2 and row["kin"]]
    reached = all(row["passes"] for row in gated)
    result = {"rows": rows, "most_even": most_even, "reached": reached}
    print(f"\n{save_result('landscapes', result, machine).name}:", "reached" if reached else "NOT reached")
    return 0 if reached else 1


def load(data: Path, kin: Kin) -> np.ndarray:
    """The window of a real terrain, float32 [up to SIDE, up to SIDE] m."""
    import rasterio

    with rasterio.open(data / kin.file) as file:
        values = file.read(1).astype(np.float32)
    top, left = kin.corner or [max(0, (side - SIDE) // 2) for side in values.shape]
    return np.ascontiguousarray(values[top : top + SIDE, left : left + SIDE])


def _figures(height: np.ndarray, pixel_size_m: float) -> dict[str, Any]:
    """concavity and combing, and the distributions in units that do not depend on the pixels."""
    of = structure(height, pixel_size_m)
    slopes, bends = slope(height, pixel_size_m), curvature(height, pixel_size_m)
    return {
        "concavity": of.concavity, "combing": combing(height), "hand": of.hand / np.std(height, dtype=np.float64),
        "elements": geomorphons(height, pixel_size_m), "slope": slopes / slopes.mean(), "curvature": bends / bends.std(),
    }  # fmt: skip


def _row(name: str, edition: int, real: dict[str, Any] | None, most_even: float) -> dict[str, Any]:
    """A landscape beside its kin: its own concavity and combing, and how far the distributions are from the real ones."""
    array = exemplars.load(name, edition)
    assert array.pixel_size_m is not None
    made = _figures(array.values, array.pixel_size_m)
    row: dict[str, Any] = {
        "landscape": name, "edition": edition, "kin": KIN[name].place if real else "", "concavity": made["concavity"],
        "combing": made["combing"],
    }  # fmt: skip
    if real:
        row |= {
            "concavity_real": real["concavity"], "combing_real": real["combing"], "hand": wasserstein(made["hand"], real["hand"]),
            "elements": float(np.abs(made["elements"] - real["elements"]).sum()),
            "slope": wasserstein(made["slope"], real["slope"]), "curvature": wasserstein(made["curvature"], real["curvature"]),
            "passes": abs(made["concavity"] - real["concavity"]) <= CONCAVITY and made["combing"] <= most_even,
        }  # fmt: skip
    return row


def _print(rows: list[dict[str, Any]], most_even: float) -> None:
    print(f"{'landscape':<16}{'concavity':>16}{'combing':>16}{'hand':>8}{'elements':>10}{'slope':>8}{'curv.':>8}  kin")
    for row in rows:
        name = row["landscape"] + (" (first)" if row["edition"] == 1 else "")
        pairs = []
        for key in ("concavity", "combing"):
            beside = f" ({row[f'{key}_real']:.3f})" if row["kin"] else ""
            pairs.append(f"{row[key]:.3f}{beside}")
        wide = {"hand": 8, "elements": 10, "slope": 8, "curvature": 8}
        rest = "".join(f"{row[key]:>{width}.3f}" for key, width in wide.items()) if row["kin"] else " " * 34
        star = "" if row.get("passes", True) else " *"
        print(f"{name:<16}{pairs[0]:>16}{pairs[1]:>16}{rest}  {row['kin']}{star}")
    print(f"the real one's in brackets; the most even real one: {most_even:.3f}; * misses a gate")


if __name__ == "__main__":
    raise SystemExit(main())
