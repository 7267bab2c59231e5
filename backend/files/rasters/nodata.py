"""Cells without data: those that a file declares, those that it forgot to declare, and how they are filled.

A value that stands for no data and is taken for a height makes a pit of 10 km; so what looks like one is refused, or filled where
that was asked for, and either is said with its count and place.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from backend.files.raster_options import RasterOptions
from backend.files.rasters import gdal
from backend.files.rasters.membrane import fill
from backend.files.rasters.pixels import Pixels
from shared.errors import InvalidInput
from shared.heights import Sentinel, place, undeclared_nodata

logger = logging.getLogger(__name__)

KEEP = "none"


def find(path: Path, band: np.ndarray, pixels: Pixels, options: RasterOptions, *, stretched: bool) -> np.ndarray:
    """[H, W] bool: where the stored band has no data.

    stretched: its levels are spread over a range of heights that the user gave, so that all of them are heights. Logs values that
    the file does not declare; "none" for --nodata keeps every finite value.
    """
    finite = np.isfinite(band) if band.dtype.kind == "f" else np.ones(band.shape, bool)
    if options.nodata == KEEP:
        return ~finite
    if options.nodata:
        value = float(options.nodata)
        return pixels.hole | (np.abs(band - value) <= 1e-6 * abs(value))
    hole = pixels.hole
    if stretched or band.dtype.kind == "b" or (band.dtype.itemsize == 1 and band.dtype.kind == "u"):
        return hole
    levels = band.dtype.kind == "u" and pixels.georeference is None
    found = undeclared_nodata(band, ~hole & finite, levels=levels)
    if band.dtype == np.int16 and (band == -32768).any():  # SRTM's void, whatever else is there
        found = [*found, Sentinel(value=-32768.0, hole=(band == -32768) & ~hole)]
    for one in found:
        fresh = one.hole & ~hole
        if fresh.any():
            _tell(path, one.value, fresh)
        hole = hole | one.hole
    return hole


def _tell(path: Path, value: float, hole: np.ndarray) -> None:
    logger.warning(
        "%s: %.7g in %d of its cells (%s) is taken for no data, which the file does not declare. If it is a height: --nodata none.",
        path,
        value,
        np.count_nonzero(hole),
        place(hole),
    )


def filled(path: Path, values: np.ndarray, hole: np.ndarray, pixels: Pixels, *, asked: bool) -> np.ndarray:
    """float32 [H, W] without holes. Raises InvalidInput where there are some and filling was not asked for."""
    if not hole.any():
        return values
    if hole.all():
        alpha = "Its alpha channel is 0 everywhere: save it without alpha." if pixels.alpha else ""
        raise InvalidInput(f"{path} has no data in any of its {hole.size} cells.", hint=alpha, field=str(path))
    if not asked:
        raise refusal(path, hole, fillable=True)
    logger.info("Filled %d cells without data.", int(np.count_nonzero(hole)))
    return fill(values, hole)


def refusal(path: Path, hole: np.ndarray, *, fillable: bool) -> InvalidInput:
    count = int(np.count_nonzero(hole))
    return InvalidInput(
        f"{path} has no data in {count} of its {hole.size} cells ({_percent(count / hole.size)}), in {place(hole)}.",
        hint="--fill-nodata fills them smoothly from their rim; or crop the map."
        if fillable
        else "Transparent or empty pixels are not read here: fill them in an image editor, or crop the image.",
        field=str(path),
    )


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %" if share >= 0.1 else f"{100.0 * share:.2g} %"


def is_image(pixels: Pixels) -> bool:
    return pixels.format in gdal.IMAGES
