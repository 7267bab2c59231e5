"""docs/images/landforms.jpg: every landscape that ships beside what relief transfer makes of one noise with it. Measures nothing.

Each pair is drawn at half its size, lit mostly from the north-west: the exemplar on the left, the result of the default settings on
the right, at the exemplar's own pixel size.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import backend  # before torch, which loads OpenMP: it sets how waiting threads wait
from backend.files import exemplars

SIDE, SHOWN, COLUMNS, GAP, TITLE = 512, 256, 3, 6, 18
SEED = 3
LIGHTS = ((315.0, 0.5), (270.0, 0.2), (0.0, 0.2), (225.0, 0.1))  # degrees from north, and share
HIGH_DEG = 42.0
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "landforms.jpg"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="relievo.py bench landscapes-sheet", description=(__doc__ or "").split("\n\n", 1)[0]
    )
    parser.add_argument("--out", type=Path, default=PICTURE, help="the picture [default: where the guide shows it]")
    options = parser.parse_args(argv)
    draw({name: pair(name) for name in exemplars.NAMES}, options.out)
    print(f"{options.out} ({options.out.stat().st_size / 1e3:.0f} kB)")
    return 0


def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Shades [SIDE, SIDE] in 0..1 of the exemplar and of the noise with its landforms."""
    array = exemplars.load(name)
    size = array.pixel_size_m
    assert size is not None
    noise = backend.run("noise", seed=SEED, width_px=SIDE, height_px=SIDE, pixel_size_m=size, feature_m=200.0 * size)[
        "height"
    ]
    made = backend.run("morphology", height=noise, landform=name, seed=SEED, device="cpu")["height"]
    print(name, flush=True)
    return shade(array.values, size), shade(made.values, size)


def shade(height: np.ndarray, pixel_size_m: float) -> np.ndarray:
    """0..1 [H, W], lit from several sides."""
    south, east = np.gradient(height.astype(np.float64), pixel_size_m)
    level, light = np.cos(np.radians(HIGH_DEG)), np.zeros(height.shape)
    for azimuth, share in LIGHTS:
        toward = np.radians(azimuth)
        lit = level * (south * np.cos(toward) - east * np.sin(toward)) + np.sin(np.radians(HIGH_DEG))
        light += share * np.clip(lit / np.sqrt(1.0 + east**2 + south**2), 0.0, 1.0)
    return np.clip(1.15 * light, 0.0, 1.0) ** 0.9


def draw(pairs: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    from PIL import Image, ImageDraw

    wide, high = 2 * SHOWN + 3 * GAP, SHOWN + TITLE + GAP
    rows = -(-len(pairs) // COLUMNS)
    sheet = Image.new("L", (COLUMNS * wide, rows * high), 255)
    pen = ImageDraw.Draw(sheet)
    for number, (name, shades) in enumerate(pairs.items()):
        top, left = number // COLUMNS * high, number % COLUMNS * wide
        pen.text((left + GAP, top + 3), f"{name}, and noise with it", fill=30)
        for place, values in enumerate(shades):
            picture = Image.fromarray((255 * values).astype(np.uint8)).resize((SHOWN, SHOWN), Image.Resampling.LANCZOS)
            sheet.paste(picture, (left + GAP + place * (SHOWN + GAP // 2), top + TITLE))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=72, optimize=True)


if __name__ == "__main__":
    raise SystemExit(main())
