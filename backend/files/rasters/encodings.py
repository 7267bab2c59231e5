"""Heights that web maps pack into the colours of an image: Terrarium (Mapzen, AWS) and Terrain-RGB (Mapbox, MapTiler).

https://github.com/tilezen/joerd/blob/master/docs/formats.md and https://docs.mapbox.com/data/tilesets/reference/mapbox-terrain-rgb-v1
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.files.rasters.pixels import Pixels, row_blocks
from shared.errors import InvalidInput

_WEIGHTS = {"terrarium": (256.0, 1.0, 1.0 / 256.0, -32768.0), "terrain-rgb": (6553.6, 25.6, 0.1, -10000.0)}
"""Metres per level of red, green and blue, and the height of black."""

PLAUSIBLE_M = (-11_500.0, 9_000.0)  # of this planet: who packs heights into colours maps the Earth


def decode(path: Path, pixels: Pixels, encoding: str) -> np.ndarray:
    """float32 [H, W] metres from 8-bit R, G and B. Raises InvalidInput for other images."""
    values = pixels.colormap[pixels.values[..., 0]] if pixels.colormap is not None else pixels.values
    if values.dtype != np.uint8 or values.shape[2] < 3:
        raise InvalidInput(
            f"{path} has {values.shape[2]} bands of {values.dtype}; heights in colours ({encoding}) take R, G and B of 8 bits.",
            hint="Leave --encoding out if the file holds heights themselves.",
            field=str(path),
        )
    return _heights(values, encoding)


def recognised(pixels: Pixels) -> str:
    """The encoding under which a colour image is a terrain of this planet with steps of a terrain; "" for none."""
    values = pixels.values
    if values.dtype != np.uint8 or values.shape[2] < 3 or pixels.palette:
        return ""
    for encoding in _WEIGHTS:
        heights = _heights(values, encoding)[~pixels.hole]
        if heights.size and PLAUSIBLE_M[0] <= heights.min() and heights.max() <= PLAUSIBLE_M[1]:
            return encoding
    return ""


def _heights(values: np.ndarray, encoding: str) -> np.ndarray:
    red, green, blue, base = _WEIGHTS[encoding]
    out = np.empty(values.shape[:2], np.float32)
    for rows in row_blocks(len(values)):
        block = values[rows].astype(np.float64)
        out[rows] = block[..., 0] * red + block[..., 1] * green + block[..., 2] * blue + base
    return out
