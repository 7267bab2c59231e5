"""The parts of a picture as an image that people can edit: a palette PNG with the parts' numbers, each in a colour of its own."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from backend.files.reports import readable_json
from backend.files.whole_files import whole, write_bytes
from shared.classes import hex_color

GOLDEN = 0.61803398875  # of the circle of hues from one part to the next: neighbours in number are far apart in colour


def write(numbers: np.ndarray, path: Path) -> None:
    """Class numbers uint8 [H, W]. Raises StorageFull, and InvalidInput where the file cannot be written."""
    picture = Image.fromarray(np.ascontiguousarray(numbers, np.uint8))
    picture.putpalette([level for number in range(256) for level in color(number)])
    with whole(path) as temporary:
        picture.save(temporary, optimize=True)


def write_names(names: Sequence[str], path: Path) -> None:
    """What each number stands for, as JSON: a list of {"number", "name", "color"}. Raises as write() does."""
    rows = [
        {"number": n, "name": name, "color": hex_color([level / 255 for level in color(n)])}
        for n, name in enumerate(names)
    ]
    write_bytes(path, readable_json({"segments": rows}).encode())


def color(number: int) -> tuple[int, int, int]:
    """sRGB levels of a part; no two of 256 are the same."""
    hue = (number * GOLDEN) % 1.0
    lightness, saturation = (0.45, 0.62, 0.3, 0.75)[number % 4], (0.75, 0.55, 0.6)[number % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, saturation)
    return round(255 * red), round(255 * green), round(255 * blue)
