"""What a file means to a port: a height map in metres on square pixels, a mask, a class map, a colour image.

The formats are formats.py's part, heights metric.py's, all other kinds images.py's. Nothing is guessed in silence: what was
assumed is logged, and what cannot be known is asked for.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from backend.files.kinds import Reading
from backend.files.raster_options import RasterOptions
from backend.files.rasters import images, metric
from backend.files.rasters.formats import load
from backend.files.rasters.nodata import refusal
from backend.files.rasters.pixels import Pixels, apply_scales
from backend.files.segment_names import names_beside
from shared.arrays import AREA_MAP, COLOR_IMAGE, HEIGHT_MAP, THICKNESS_MAP, Array, ArrayKind, check
from shared.classes import Classes

logger = logging.getLogger(__name__)


def read_port(path: Path, reading: Reading) -> Array:
    """What a port takes from a raster file, as the user says it is to be read."""
    return read(
        reading.port.kind,
        path,
        pixel_size_m=reading.pixel_size_m,
        fill_nodata=reading.fill_nodata,
        height_range_m=reading.height_range_m,
        classes=reading.port.classes,
        options=reading.options,
        own_first=reading.own_first,
        over_white=True,
        any_colors=reading.port.any_colors,
    )


def read(
    kind: ArrayKind,
    path: str | Path,
    *,
    pixel_size_m: float | None = None,
    fill_nodata: bool = False,
    height_range_m: tuple[float, float] | None = None,
    classes: Classes = (),
    options: RasterOptions | None = None,
    own_first: bool = False,
    over_white: bool = False,
    any_colors: bool = False,
) -> Array:
    """An array of that kind from a file, checked. Raises InvalidInput where the file cannot be one, and OutOfMemory.

    pixel_size_m: metres per pixel, over what the file says; own_first: only for a file that does not say. fill_nodata: close holes
    from their rim instead of refusing them. height_range_m: heights of black and white, for images with integer levels. classes:
    the palette of a class map, by which colours become class numbers. options: what else is known of the file. over_white: lay
    what is transparent in a colour image over white instead of refusing it. any_colors: each colour of a class map is a class,
    which has a name where a list of them lies beside the file.
    """
    path, options = Path(path), options or RasterOptions()
    pixels = load(path, kind, options)
    if kind in (HEIGHT_MAP, AREA_MAP, THICKNESS_MAP):
        said = metric.Said(
            pixel_size_m=pixel_size_m,
            fill_nodata=fill_nodata,
            height_range_m=height_range_m,
            options=options,
            own_first=own_first,
        )
        return check(metric.read(kind, path, pixels, said), path.name)
    pixels = apply_scales(pixels)
    if over_white and kind is COLOR_IMAGE and _is_transparent(path, pixels):
        return check(Array(kind, images.color_over_white(path, pixels)), path.name)
    if pixels.hole.any() and kind not in images.WITH_HOLES:
        raise refusal(path, pixels.hole, fillable=False)
    values = images.values_of(kind, path, pixels, classes, snap=options.snap_classes, any_colors=any_colors)
    named = names_beside(path, values, images.levels(path, pixels), field=path.name) if any_colors else {}
    return check(Array(kind, values, named), path.name)


def _is_transparent(path: Path, pixels: Pixels) -> bool:
    """Whether an image with levels of colour shows what lies below it; says so."""
    if pixels.values.dtype.kind != "u" or not (pixels.hole.any() or pixels.opacity is not None):
        return False
    clear = pixels.hole if pixels.opacity is None else pixels.hole | (pixels.opacity < 1.0)
    logger.warning("%s: %.2g %% of it is transparent, and laid over white.", path, 100.0 * float(clear.mean()))
    return True


def read_with_holes(kind: ArrayKind, path: str | Path) -> tuple[Array, np.ndarray]:
    """An image from a file, checked, and where it is transparent or has no data, bool [H, W]; what the image has there is 0.

    For what can do without those pixels. Raises InvalidInput and OutOfMemory as read() does.
    """
    path = Path(path)
    pixels = apply_scales(load(path, kind, RasterOptions()))
    values = images.values_of(kind, path, pixels, ())
    values[pixels.hole] = 0.0
    return check(Array(kind, values), path.name), pixels.hole


def read_height(
    path: str | Path,
    pixel_size_m: float | None = None,
    fill_nodata: bool = False,
    height_range_m: tuple[float, float] | None = None,
    options: RasterOptions | None = None,
) -> Array:
    """A HEIGHT_MAP from GeoTIFF, SRTM .hgt, PNG, EXR, ESRI ASCII grid, ENVI .bil, .npy or raw numbers: float32 [H, W] m, north at
    the top, west at the left.

    Pixels come out square: degrees, and pixels wider than high, are resampled at the middle latitude to the coarser of the two
    sides (a 3" tile at 46 degrees north, 93 m high and 64 m wide a pixel, keeps its rows and loses a third of its columns). The
    attributes carry the coordinate system ("crs", WKT) and the transform of the new grid ("transform", six numbers), so that a
    result can be written where it belongs; not where pixel_size_m contradicts them. Raises InvalidInput and OutOfMemory.
    """
    return read(
        HEIGHT_MAP,
        path,
        pixel_size_m=pixel_size_m,
        fill_nodata=fill_nodata,
        height_range_m=height_range_m,
        options=options,
    )
