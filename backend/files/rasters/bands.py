"""The one band that a map of numbers is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.files.rasters.encodings import recognised
from backend.files.rasters.pixels import Pixels
from shared.errors import InvalidInput


def one_band(path: Path, pixels: Pixels, *, heights: bool = False) -> np.ndarray:
    """[H, W]: the only band, or the grey of three equal ones, as image programs save it. Raises InvalidInput.

    heights: the band is to hold heights, which colours may encode.
    """
    values = pixels.values
    bands = values.shape[2]
    if pixels.palette:
        raise InvalidInput(
            f"{path} is an image with a palette; its numbers are colours, not heights.",
            hint="Save it as a grey 16-bit image.",
            field=str(path),
        )
    if bands == 1:
        return values[..., 0]
    if bands == 3 and all(np.array_equal(values[..., 0], values[..., i]) for i in (1, 2)):
        return values[..., 0]
    what = "a colour image" if bands == 3 else f"a file of {bands} bands"
    raise InvalidInput(
        f"{path} is {what}; one band is needed here.", hint=_hint(path, pixels, heights), field=str(path)
    )


def _hint(path: Path, pixels: Pixels, heights: bool) -> str:
    if pixels.format == "npy":
        return "Save one of its maps: numpy.save('height.npy', array[..., 0])."
    if pixels.format == "exr":
        return "Save it as one channel, or choose one: --layer R."
    encoding = recognised(pixels) if heights else ""
    if encoding:
        return f"Its colours look like encoded heights: --encoding {encoding} decodes them."
    if pixels.values.shape[2] == 3:
        coded = " If its colours encode heights: --encoding terrarium or terrain-rgb." if heights else ""
        return f"Save it as a grey 16-bit image, or choose a band: --layer 1.{coded}"
    return f"--layer 1 reads the first; or extract one: rio stack {path.name} --bidx 1 -o height.tif"
