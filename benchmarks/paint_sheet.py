"""The sheet of docs/performance.md: photographs, their segments and their paintings in each style, close-ups, and the relief of the
paint under a raking light.

relievo.py bench paint --sheet docs/images/painting-sheet.jpg
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.paint import SIDE, encoded, photograph
from shared.algorithm import find
from shared.arrays import CLASS_MAP, COLOR_IMAGE, Array
from shared.catalog import algorithms
from shared.srgb import linear_to_srgb, srgb_to_linear

TILE, GAP, CAPTION = 256, 5, 18
REGIONS = 12
SCALE = 2  # of the paintings, so that close-ups show brushes and not pixels
CLOSE = (128, 256, 160)  # the close-up's top, left and side in the first photograph, px
PHOTOGRAPHS = ("kodak/kodim23.png", "skimage/chelsea.png", "kodak/kodim19.png")
STYLES = ("realistic", "painterly", "abstract", "expressionist")
SUN = np.array((-0.80, 0.45, 0.40))  # towards the light: right, up, out of the canvas
Picture = np.ndarray  # sRGB 0..1 [H, W, 3]


def draw(path: Path, data: Path) -> None:
    """Paint the photographs in every style and write the sheet."""
    rows: list[list[Picture]] = []
    close: list[list[Picture]] = []
    for number, name in enumerate(PHOTOGRAPHS):
        picture = photograph(data, name)
        segments, painted = _segments(picture), []
        for style in STYLES:
            painting, lit = _painted(picture, segments, style)
            painted.append(painting)
            if number == 0:
                close.append([_close(painting), _close(lit), lit])
            print(f"{name}: {style}", flush=True)
        rows.append([picture, _colored(segments.values), *painted])
    rows.append([_close(rows[0][0]), _close(rows[0][1]), *(entry[0] for entry in close)])
    rows.append([close[1][2], close[3][2], *(entry[1] for entry in close)])
    _write(path, rows)


def _write(path: Path, rows: list[list[Picture]]) -> None:
    labels = {preset.name: preset.label for preset in find(algorithms(), "paint").presets}
    titles = ["Photograph", "Segments", *(labels[style] for style in STYLES)]
    lit = [f"{labels[style]} in raking light" for style in ("painterly", "expressionist")]
    captions = [titles, *([""] * 6 for _ in PHOTOGRAPHS[1:]), ["Close-ups", *[""] * 5], [*lit, "Close-ups", *[""] * 3]]
    heights = [TILE + GAP + (CAPTION if any(line) else 0) for line in captions]
    sheet = Image.new("RGB", (6 * (TILE + GAP) + GAP, sum(heights) + GAP), (250, 250, 250))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    top = GAP
    for row, line, height in zip(rows, captions, heights, strict=True):
        for place, (values, text) in enumerate(zip(row, line, strict=True)):
            left = GAP + place * (TILE + GAP)
            pen.text((left, top), text, fill=(40, 40, 40), font=font)
            sheet.paste(_tile(values), (left, top + height - TILE - GAP))
        top += height
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=80, optimize=True)


def _segments(picture: Picture) -> Array:
    from backend.algorithms.painting.segmentation import regions

    return Array(CLASS_MAP, regions(srgb_to_linear(picture).astype(np.float32), REGIONS))


def _painted(picture: Picture, segments: Array, style: str) -> tuple[Picture, Picture]:
    """The painting, and the same as thick paint in a raking light."""
    import backend

    image = Array(COLOR_IMAGE, srgb_to_linear(picture).astype(np.float32))
    made = backend.run("paint", image=image, segments=segments, device="cpu", seed=1, preset=style, scale=SCALE)
    normal = made["normal"].values.astype(np.float64)
    sun = SUN / np.linalg.norm(SUN)
    between = sun + np.array((0.0, 0.0, 1.0))  # of light and eye
    half = between / np.linalg.norm(between)
    light = np.clip(normal @ sun, 0, None) / sun[2]
    gloss = 0.10 * np.clip(normal @ half, 0, None) ** 40
    colors = np.clip(made["painting"].values, 0, 1) * (0.25 + 0.75 * light[..., None]) + gloss[..., None]
    return encoded(made["painting"]), linear_to_srgb(np.clip(colors, 0, 1))


def _colored(numbers: np.ndarray) -> Picture:
    """A colour for each segment."""
    hues = np.arange(int(numbers.max()) + 1) * 0.618034 % 1.0
    palette = 0.55 + 0.35 * np.cos(2 * np.pi * (hues[:, None] + np.array((0.0, 1 / 3, 2 / 3))))
    return palette[numbers]


def _close(picture: Picture) -> Picture:
    """The close-up's part of a picture of any size."""
    top, left, side = (round(length * len(picture) / SIDE) for length in CLOSE)
    return picture[top : top + side, left : left + side]


def _tile(picture: Picture) -> Image.Image:
    values = np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    return Image.fromarray(values).resize((TILE, TILE), Image.Resampling.LANCZOS)
