"""The pictures of docs/guide/hydrology.md, at one pixel of the picture for one of the map.

relievo.py bench hydrology-sheet --data FOLDER [--images docs/images]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import backend
from backend.measures.shading import hillshade
from benchmarks.hydrology_land import NOISE_PIXEL_M, drained_land, noise
from benchmarks.morphology_structure import DATA, TILES
from shared.arrays import MASK, Array

TILE, GAP, CAPTION, MAP_SIDE = 300, 6, 18, 512
LAND = "ticino"
SETTINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Erosion 0.1", {"amount": 0.1}),
    ("Erosion 0.6", {"amount": 0.6}),
    ("Soil Creep 0.1", {"smoothing": 0.1}),
    ("Soil Creep 1", {"smoothing": 1.0, "amount": 0.4}),
    ("Smallest Valley 0.3 %", {"valley_size": 0.3, "smoothing": 0.3}),
    ("Smallest Valley 5 %", {"valley_size": 5.0}),
    ("Uplift 0.6", {"uplift": 0.6}),
    ("Rebound 0, Erosion 0.6", {"rebound": 0.0, "amount": 0.6}),
    ("Thermal Erosion 1, Talus 25°", {"debris": 1.0, "talus_angle": 25.0}),
    ("Sediment 2, Erosion 0.5", {"deposition": 2.0, "amount": 0.5}),
    ("River Width 3 %", {"river_width": 3.0}),
    ("Area Exponent 0.6", {"area_exponent": 0.6}),
    ("Strata 0.9", {"strata": 0.9, "layer_thickness": 20.0, "amount": 0.4}),
    ("Strata 0.9, Dip 15°", {"strata": 0.9, "layer_thickness": 20.0, "dip": 15.0, "amount": 0.4}),
    ("Hardness: right half 1", {"hardness": True, "amount": 0.5}),
    ("Rivers: Narrow Cuts", {"channels": "cut"}),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="relievo.py bench hydrology-sheet", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the elevation data")
    parser.add_argument("--images", type=Path, default=Path("docs/images"), help="folder that the pictures go to")
    options = parser.parse_args(argv)
    tile = TILES[LAND]
    land, rough = drained_land(options.data / tile.file)[128:640, 128:640], noise(5, MAP_SIDE)
    from shared.catalog.hydrology import SPEC

    looks = [("given", None), *((preset.label, preset.values) for preset in SPEC.presets if preset.name != "drain")]
    rows = [
        [(name, picture(height, size, values)) for name, values in looks]
        for height, size in ((rough, NOISE_PIXEL_M), (land, tile.pixel_size_m))
    ]
    compose([*rows[0], *rows[1]], len(looks)).save(options.images / "hydrology-presets.jpg", quality=80, optimize=True)
    pair = [rows[1][0], ("Mature, the default", rows[1][2][1]), rows[0][0], ("Mature, the default", rows[0][2][1])]
    compose(pair, 4).save(options.images / "hydrology-before-after.jpg", quality=82, optimize=True)
    given = [("given", picture(rough, NOISE_PIXEL_M, None)), ("default", picture(rough, NOISE_PIXEL_M, {}))]
    made = [(name, picture(rough, NOISE_PIXEL_M, values)) for name, values in SETTINGS]
    compose([*given, *made], 6).save(options.images / "hydrology-settings.jpg", quality=80, optimize=True)
    return 0


def picture(height: np.ndarray, pixel_size_m: float, values: dict[str, Any] | Any) -> Image.Image:
    """The middle of what hydrology makes of heights, or of themselves without values, lit from the north-west."""
    if values is not None:
        settings = dict(values)
        if settings.pop("hardness", False):
            hard = np.zeros(height.shape, np.float32)
            hard[:, height.shape[1] // 2 :] = 1.0
            settings["hardness"] = Array(MASK, hard)
        height = backend.run("hydrology", height=height, pixel_size_m=pixel_size_m, **settings)["height"].values
    shade = hillshade(height, pixel_size_m)
    edge = (len(height) - TILE) // 2
    return Image.fromarray((shade[edge : edge + TILE, edge : edge + TILE] * 255).astype(np.uint8))


def compose(pictures: list[tuple[str, Image.Image]], columns: int) -> Image.Image:
    """Pictures in rows under their names."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("L", (columns * (TILE + GAP) + GAP, rows * (TILE + GAP + CAPTION) + GAP), 250)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (name, image) in enumerate(pictures):
        left, top = GAP + number % columns * (TILE + GAP), GAP + number // columns * (TILE + GAP + CAPTION)
        pen.text((left, top), name, fill=30, font=font)
        sheet.paste(image, (left, top + CAPTION))
    return sheet


if __name__ == "__main__":
    raise SystemExit(main())
