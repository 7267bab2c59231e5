"""What a file means to a port: a height map in metres on square pixels, a mask, a class map, a colour image.

The formats are formats.py's part, degrees and north georeference.py's. Nothing is guessed in silence: what was assumed is logged,
and what cannot be known is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio.fill

from backend.files.kinds import Reading
from backend.files.rasters import georeference as geo
from backend.files.rasters.formats import Pixels, load
from shared.arrays import (
    AREA_MAP,
    CLASS_MAP,
    COLOR_IMAGE,
    COUNT_MAP,
    DEPTH_MAP,
    HEIGHT_MAP,
    MASK,
    NORMAL_MAP,
    TEXTURE,
    THICKNESS_MAP,
    UV_MAP,
    Array,
    ArrayKind,
    check,
)
from shared.cameras.views import uv_from_channels
from shared.classes import Classes, nearest_class
from shared.errors import InvalidInput
from shared.srgb import linear_to_srgb, srgb_to_linear

logger = logging.getLogger(__name__)

SIZE_CONFLICT = 0.01


def read_port(path: Path, reading: Reading) -> Array:
    """What a port takes from a raster file, as the user says it is to be read."""
    return read(
        reading.port.kind,
        path,
        pixel_size_m=reading.pixel_size_m,
        fill_nodata=reading.fill_nodata,
        height_range_m=reading.height_range_m,
        classes=reading.port.classes,
    )


def read(
    kind: ArrayKind,
    path: str | Path,
    *,
    pixel_size_m: float | None = None,
    fill_nodata: bool = False,
    height_range_m: tuple[float, float] | None = None,
    classes: Classes = (),
) -> Array:
    """An array of that kind from a file, checked. Raises InvalidInput where the file cannot be one.

    pixel_size_m: metres per pixel, for files that do not say; a file's own word wins. fill_nodata: close holes from their rim
    instead of refusing them. height_range_m: heights of black and white, for images with integer levels. classes: the palette
    of a class map, by which colours become class numbers.
    """
    path = Path(path)
    pixels = load(path)
    if kind in (HEIGHT_MAP, AREA_MAP, THICKNESS_MAP):
        return check(_metric(kind, path, pixels, pixel_size_m, fill_nodata, height_range_m), path.name)
    if kind in _WITH_HOLES:
        return check(Array(kind, _WITH_HOLES[kind](path, pixels)), path.name)
    if pixels.hole.any():
        raise _holes(path, pixels.hole, fillable=False)
    if kind is CLASS_MAP:
        return check(Array(kind, _classes(path, pixels, classes)), path.name)
    return check(Array(kind, _IMAGES.get(kind, _numbers)(path, pixels)), path.name)


def read_height(
    path: str | Path,
    pixel_size_m: float | None = None,
    fill_nodata: bool = False,
    height_range_m: tuple[float, float] | None = None,
) -> Array:
    """A HEIGHT_MAP from GeoTIFF, SRTM .hgt, PNG, EXR, ESRI ASCII grid, ENVI .bil or .npy: float32 [H, W] m, north at the top.

    Pixels come out square: degrees, and pixels wider than high, are resampled at the middle latitude to the coarser of the two
    sides (a 3" tile at 46 degrees north, 93 m high and 64 m wide a pixel, keeps its rows and loses a third of its columns). The
    attributes carry the coordinate system ("crs", WKT) and the transform of the new grid ("transform", six numbers), so that a
    result can be written where it belongs. Raises InvalidInput.
    """
    return read(HEIGHT_MAP, path, pixel_size_m=pixel_size_m, fill_nodata=fill_nodata, height_range_m=height_range_m)


# Metric maps ---------------------------------------------------------------------------------------------------------------------


def _metric(
    kind: ArrayKind,
    path: Path,
    pixels: Pixels,
    pixel_size_m: float | None,
    fill: bool,
    height_range_m: tuple[float, float] | None,
) -> Array:
    values, hole = _metres(path, pixels, height_range_m), pixels.hole
    if hole.any():
        if hole.all():
            raise InvalidInput(f"{path} has no data in any of its {hole.size} cells.", field=str(path))
        if not fill:
            raise _holes(path, hole, fillable=True)
        values = _filled(values, hole)
    reference = pixels.georeference
    if reference is not None:
        values, reference = geo.north_up(values, reference)
    sides_m = geo.pixel_sides_m(reference, values.shape) if reference is not None else None
    if reference is None or sides_m is None:
        size_m = _asked_size(path, pixels, pixel_size_m, degrees=reference is not None)
        return Array(kind, np.ascontiguousarray(values), {"pixel_size_m": size_m})
    shape, size_m = geo.square_shape(values.shape, sides_m)
    if shape != values.shape:
        values, reference = geo.resample(values, reference, shape)
    if pixel_size_m and abs(pixel_size_m / size_m - 1.0) > SIZE_CONFLICT:
        logger.warning(
            "%s has its own pixel size, %.6g m per pixel; the %.6g m given applies only to files that have none.",
            path,
            size_m,
            pixel_size_m,
        )
    return Array(kind, np.ascontiguousarray(values), {"pixel_size_m": size_m, **reference.attributes})


def _asked_size(path: Path, pixels: Pixels, pixel_size_m: float | None, *, degrees: bool) -> float:
    size_m = pixels.pixel_size_m or pixel_size_m
    if size_m:
        return float(size_m)
    what = "is in degrees and has no coordinate system" if degrees else "has no pixel size"
    raise InvalidInput(f"{path} {what}.", hint="Give the metres per pixel with --pixel-size.", field=str(path))


def _metres(path: Path, pixels: Pixels, height_range_m: tuple[float, float] | None) -> np.ndarray:
    """Heights as float32 [H, W] from the file's one data band."""
    band = _one_band(path, pixels)
    if band.dtype.kind == "f":
        return band.astype(np.float32)
    levels = float(np.iinfo(band.dtype).max) if band.dtype.kind in "iu" else 1.0
    if pixels.levels:
        offset, scale = pixels.levels
    elif height_range_m:
        offset, scale = height_range_m[0], (height_range_m[1] - height_range_m[0]) / levels
    else:
        offset, scale = 0.0, 1.0
        if pixels.format in ("PNG", "JPEG"):
            logger.warning(
                "%s does not state its heights: one level is read as one metre. Set them with --height-range LOW HIGH.",
                path,
            )
    if band.dtype.itemsize == 1:
        logger.warning("%s has 8 bits: its heights have 256 levels, which show as terraces.", path)
    return (offset + scale * band.astype(np.float64)).astype(np.float32)


def _one_band(path: Path, pixels: Pixels) -> np.ndarray:
    """[H, W]: the only band, or the grey of three equal ones, as image programs save it."""
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
        f"{path} is {what}; one band is needed here.",
        hint=f"Extract one: rio stack {path.name} --bidx 1 -o height.tif"
        if bands != 3
        else "Save it as a grey 16-bit image.",
        field=str(path),
    )


def _holes(path: Path, hole: np.ndarray, *, fillable: bool) -> InvalidInput:
    count = int(np.count_nonzero(hole))
    return InvalidInput(
        f"{path} has no data in {count} of its {hole.size} cells ({100.0 * count / hole.size:.2g} %).",
        hint="--fill-nodata fills them from their rim; or crop the map."
        if fillable
        else "Fill them or crop the image.",
        field=str(path),
    )


def _filled(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Holes closed by inverse-distance weighting from their rim (GDAL's fill), smoothed so that its rays do not show."""
    solid = np.where(hole, np.float32(0.0), values)
    reach = float(sum(values.shape))
    filled = rasterio.fill.fillnodata(
        solid, mask=(~hole).astype(np.uint8), max_search_distance=reach, smoothing_iterations=2
    )
    logger.info("Filled %d cells without data.", int(np.count_nonzero(hole)))
    return np.where(hole, filled, values).astype(np.float32)


# Images --------------------------------------------------------------------------------------------------------------------------


def _mask(path: Path, pixels: Pixels) -> np.ndarray:
    """0..1: integer levels over their full range, float values as they are."""
    band = _one_band(path, pixels)
    if band.dtype.kind == "f":
        return band.astype(np.float32)
    full = 1.0 if band.dtype.kind == "b" else float(np.iinfo(band.dtype).max)
    return (band / full).astype(np.float32)


def _classes(path: Path, pixels: Pixels, classes: Classes) -> np.ndarray:
    """Class numbers as they stand in the file; colours by the nearest of the port's classes, where it declares some."""
    if classes and (pixels.palette or pixels.values.shape[2] >= 3):
        return nearest_class(_encoded(path, pixels), classes)
    band = pixels.values[..., 0] if pixels.palette else _one_band(path, pixels)
    if classes and band.max() >= len(classes):
        raise InvalidInput(
            f"{path} holds the class {band.max()}; there are {len(classes)}, numbered from 0: "
            f"{', '.join(name for name, _ in classes)}.",
            hint="Give class numbers, or a colour image in the classes' colours.",
            field=str(path),
        )
    if band.min() < 0 or band.max() > 255 or not np.array_equal(band, np.rint(band)):
        raise InvalidInput(
            f"{path} runs from {band.min()} to {band.max()}; a class map holds whole numbers from 0 to 255.",
            field=str(path),
        )
    return band.astype(np.uint8)


def _color(path: Path, pixels: Pixels) -> np.ndarray:
    """Linear RGB: float values as they are, integer levels taken for sRGB."""
    values = _rgb(path, pixels)
    if values.dtype.kind == "f":
        return np.ascontiguousarray(values, dtype=np.float32)
    return srgb_to_linear(values / float(np.iinfo(values.dtype).max)).astype(np.float32)


def _encoded(path: Path, pixels: Pixels) -> np.ndarray:
    """sRGB 0..1: integer levels as they are, float values encoded."""
    values = _rgb(path, pixels)
    if values.dtype.kind == "f":
        return linear_to_srgb(np.clip(values, 0.0, 1.0))
    return values / np.float32(np.iinfo(values.dtype).max)


def _rgb(path: Path, pixels: Pixels) -> np.ndarray:
    """[H, W, 3] in the file's own type: a palette's colours looked up, grey in all three channels."""
    values = pixels.values
    if pixels.colormap is not None:
        return pixels.colormap[values[..., 0]]
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    if values.shape[2] != 3:
        raise InvalidInput(f"{path} has {values.shape[2]} bands; a colour image has R, G and B.", field=str(path))
    return values


def _texture(path: Path, pixels: Pixels) -> np.ndarray:
    """sRGB in 16 bits."""
    return np.rint(_encoded(path, pixels).astype(np.float64) * 65535.0).astype(np.uint16)


def _normals(path: Path, pixels: Pixels) -> np.ndarray:
    """Unit vectors: float values as they are, integer levels from -1 to 1. Lengths that compression has changed are mended."""
    values = _rgb(path, pixels)
    if values.dtype.kind != "f":
        values = values.astype(np.float32) * np.float32(2.0 / np.iinfo(values.dtype).max) - np.float32(1.0)
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    if float(np.median(np.abs(length - 1.0))) > 0.2:
        raise InvalidInput(
            f"{path} is not a normal map: its vectors have a median length of {float(np.median(length)):.2f}, not 1.",
            hint="Is it a bump or a colour map?",
            field=str(path),
        )
    return (values / np.maximum(length, 1e-6)).astype(np.float32)


def _counts(path: Path, pixels: Pixels) -> np.ndarray:
    band = _one_band(path, pixels)
    if band.min() < 0 or band.max() > 65535 or not np.array_equal(band, np.rint(band)):
        raise InvalidInput(
            f"{path} runs from {band.min()} to {band.max()}; counts must be whole numbers from 0 to 65535.",
            field=str(path),
        )
    return band.astype(np.uint16)


def _numbers(path: Path, pixels: Pixels) -> np.ndarray:
    """Float values as they are; integer levels as Relievo wrote them, else over 0..1."""
    band = _one_band(path, pixels)
    if band.dtype.kind == "f":
        return band.astype(np.float32)
    if pixels.levels:
        return (pixels.levels[0] + pixels.levels[1] * band.astype(np.float64)).astype(np.float32)
    return _mask(path, pixels)


def _uv(path: Path, pixels: Pixels) -> np.ndarray:
    """[H, W, 2], v up: an EXR holds u and 1 - v (shared/cameras/views.py), .npy the map as it is."""
    values = pixels.values
    if values.dtype.kind != "f" or values.shape[2] < 2:
        raise InvalidInput(
            f"{path} is not a UV map: it has {values.shape[2]} channels of {values.dtype}.",
            hint="A UV map is an EXR with R = u and G = 1-v, or .npy [rows, columns, 2] with u and v.",
            field=str(path),
        )
    if pixels.format == "npy":
        return np.where(pixels.hole[..., None], np.float32(np.nan), values[..., :2]).astype(np.float32)
    return uv_from_channels(values[..., 0], values[..., 1])


def _depth(path: Path, pixels: Pixels) -> np.ndarray:
    """Metres in front of the camera; what is 0, negative or not finite shows no surface."""
    band = _one_band(path, pixels).astype(np.float32)
    with np.errstate(invalid="ignore"):
        return np.where(pixels.hole | ~(band > 0), np.float32(np.nan), band)


_WITH_HOLES: dict[ArrayKind, Callable[[Path, Pixels], np.ndarray]] = {UV_MAP: _uv, DEPTH_MAP: _depth}
_IMAGES: dict[ArrayKind, Callable[[Path, Pixels], np.ndarray]] = {
    MASK: _mask,
    COLOR_IMAGE: _color,
    COUNT_MAP: _counts,
    NORMAL_MAP: _normals,
    TEXTURE: _texture,
}
