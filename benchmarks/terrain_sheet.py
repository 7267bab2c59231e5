"""The sheet of docs/performance.md: eight sketches, and of each its albedo, its relief and a view across it.

relievo.py bench terrain --sheet docs/images/terrain-sheet.jpg --pack PACK --held-out PACK
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks import terrain_sketches as sketches
from benchmarks import terrain_view as view
from shared.srgb import linear_to_srgb
from shared.terrain_classes import TERRAIN_CLASSES, WATER

TILE, WIDE, GAP, CAPTION = 260, 420, 6, 18
EXAGGERATED = {"regional": 1.5, "continental": 25.0}
RELIEF_EXAGGERATED = {"regional": 1.0, "continental": 20.0}
PALETTE = np.array([entry.color for entry in TERRAIN_CLASSES], np.uint8)
SEED = 3


def draw(path: Path, pack: Path | None, held_out: Path | None) -> None:
    """Make the eight terrains and write the sheet. Without packs only the sketches made by hand are drawn."""
    chosen = _chosen(pack, held_out)
    width = 3 * TILE + WIDE + 5 * GAP
    sheet = Image.new("RGB", (width, len(chosen) * (TILE + GAP + CAPTION) + GAP), (250, 250, 250))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (title, sketch) in enumerate(chosen):
        top = GAP + number * (TILE + GAP + CAPTION)
        pen.text((GAP, top), title, fill=(40, 40, 40), font=font)
        left = GAP
        for tile in tiles(sketch):
            sheet.paste(tile, (left, top + CAPTION))
            left += tile.width + GAP
        print(title, flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=74, optimize=True)


def _chosen(pack: Path | None, held_out: Path | None) -> list[tuple[str, sketches.Sketch]]:
    regional = {sketch.name: sketch for sketch in sketches.by_hand("regional") + sketches.uniform("regional")}
    continental = {sketch.name: sketch for sketch in sketches.by_hand("continental")}
    found = []
    if held_out is not None:
        real = {sketch.name: sketch for sketch in sketches.regional(held_out, "held-out")[0]}
        found.append(("Held-out Andes (S33W071), 92 m per pixel", real["S33W071 512,0"]))
        found.append(("Held-out Mt. Fuji and surroundings, 92 m per pixel", real["mt_fuji_90m 0,0"]))
    found += [
        ("Island with a lake, by hand, 90 m per pixel", regional["island"]),
        ("River to a coast, by hand, 90 m per pixel", regional["river"]),
        ("Rings, by hand, 90 m per pixel", regional["rings"]),
        ("One class only: rock, 90 m per pixel", regional["only rock"]),
    ]
    if pack is not None:
        found.append(("Held-out South America, 4 km per pixel", sketches.continental(pack, ((1.6, -70.0),))[0]))
    found.append(("The island as a continent, by hand, 4 km per pixel", continental["island"]))
    return found


def tiles(sketch: sketches.Sketch) -> list[Image.Image]:
    """Sketch, albedo, relief and view."""
    from benchmarks.terrain import run

    outputs: dict[str, Any] = run(sketch, SEED, method="auto")  # as users get it
    surface = outputs["water_level"].values.astype(np.float64)
    albedo = outputs["albedo"].values
    water = sketch.classes == WATER
    relief = np.repeat(
        view.shaded(surface, sketch.pixel_size_m, RELIEF_EXAGGERATED[sketch.scale])[..., None], 3, axis=-1
    )
    relief = np.where(water[..., None], relief * (0.72, 0.82, 0.92), relief)
    across = view.view(surface * EXAGGERATED[sketch.scale], albedo, water, sketch.pixel_size_m, (TILE, WIDE))
    return [
        _square(PALETTE[sketch.classes], Image.Resampling.NEAREST),
        _square(_bytes(linear_to_srgb(np.clip(albedo, 0, 1))), Image.Resampling.BOX),
        _square(_bytes(relief), Image.Resampling.BOX),
        Image.fromarray(_bytes(linear_to_srgb(np.clip(across, 0, 1)))),
    ]


def _bytes(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255).round().astype(np.uint8)


def _square(values: np.ndarray, how: Image.Resampling) -> Image.Image:
    return Image.fromarray(values).resize((TILE, TILE), how)
