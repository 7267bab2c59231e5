"""The picture of docs/guide/relief.md that shows what each setting of relief transfer does, at one pixel for one of the map.

relievo.py bench relief-sheet [--images docs/images]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import backend
from backend.measures.shading import hillshade
from benchmarks.hydrology_sheet import TILE, compose

SIDE, PIXEL_M, SEED = 512, 30.0, 5
REFINED = 4
SETTINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("default: Keep Layout 0.1", {}),
    ("Keep Layout 0", {"layout": 0.0}),
    ("Keep Layout 0.6", {"layout": 0.6}),
    ("Keep Layout 1", {"layout": 1.0}),
    ("Landform Size 28 px", {"landform_px": 28.0}),
    ("Landform Size 224 px", {"landform_px": 224.0}),
    ("Rivers: Narrow Cuts", {"rivers": "cut"}),
    ("Drain off", {"drainage": False}),
    ("Steps 4", {"steps": 4}),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="relievo.py bench relief-sheet", description=__doc__)
    parser.add_argument("--images", type=Path, default=Path("docs/images"), help="folder that the picture goes to")
    options = parser.parse_args(argv)
    layout = backend.run(
        "noise", width_px=SIDE, height_px=SIDE, pixel_size_m=PIXEL_M, feature_m=9000.0, relief_m=2000.0, seed=SEED
    )["height"].values
    made = [(name, transferred(layout, PIXEL_M, **values)) for name, values in SETTINGS]
    part = made[0][1][200 : 200 + TILE // REFINED, 200 : 200 + TILE // REFINED]
    finer = transferred(made[0][1][168 : 168 + 144, 168 : 168 + 144], PIXEL_M, refine=REFINED)
    edge = (len(finer) - TILE) // 2
    pictures = [
        ("given", shaded(middle(layout), PIXEL_M)),
        *((name, shaded(middle(height), PIXEL_M)) for name, height in made),
        ("a part of the default, enlarged", shaded(part, PIXEL_M).resize((TILE, TILE), Image.Resampling.BICUBIC)),
        (
            f"the same, Refine {REFINED}",
            shaded(finer[edge : edge + TILE, edge : edge + TILE], PIXEL_M / REFINED),
        ),
    ]
    compose(pictures, 6).save(options.images / "relief-settings.jpg", quality=80, optimize=True)
    return 0


def transferred(height: np.ndarray, pixel_size_m: float, **settings: Any) -> np.ndarray:
    return backend.run("morphology", height=height, pixel_size_m=pixel_size_m, seed=SEED, **settings)["height"].values


def middle(height: np.ndarray) -> np.ndarray:
    edge = (len(height) - TILE) // 2
    return height[edge : edge + TILE, edge : edge + TILE]


def shaded(height: np.ndarray, pixel_size_m: float) -> Image.Image:
    return Image.fromarray((hillshade(height, pixel_size_m) * 255).astype(np.uint8))


if __name__ == "__main__":
    raise SystemExit(main())
