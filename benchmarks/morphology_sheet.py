"""The sheet of docs/performance.md: what relief transfer makes of noise beside the real terrains, hillshades, pixel for pixel.

relievo.py bench morphology-peers --sheet docs/images/morphology-structure.jpg
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SHOWN, GAP, CAPTION, PAIRS_A_ROW = 300, 4, 18, 2  # pixels, all but the last


class Pair(NamedTuple):
    """made, real: heights [H, W] m."""

    title: str
    made: np.ndarray
    real: np.ndarray
    pixel_size_m: float


def draw(path: Path, pairs: Sequence[Pair]) -> None:
    """Write the middles of all pairs, result left and real right, two pairs a row."""
    from backend.measures.shading import hillshade

    wide, tall = 2 * SHOWN + 3 * GAP, SHOWN + CAPTION + GAP
    rows = -(-len(pairs) // PAIRS_A_ROW)
    sheet = Image.new("L", (PAIRS_A_ROW * wide, rows * tall + GAP), 250)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, pair in enumerate(pairs):
        left, top = number % PAIRS_A_ROW * wide + GAP, number // PAIRS_A_ROW * tall + GAP
        pen.text((left, top), f"{pair.title}: made of noise; real", fill=40, font=font)
        for place, height in enumerate((pair.made, pair.real)):
            edge = [(side - SHOWN) // 2 for side in height.shape]
            shade = hillshade(height, pair.pixel_size_m)[edge[0] : edge[0] + SHOWN, edge[1] : edge[1] + SHOWN]
            sheet.paste(Image.fromarray((shade * 255).astype(np.uint8)), (left + place * (SHOWN + GAP), top + CAPTION))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=82, optimize=True)
