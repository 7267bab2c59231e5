"""An array into a file, whole or not at all: .npy, 32-bit EXR, GeoTIFF, PNG, JPEG.

The same array makes the same bytes: no date, no host, no thread count goes into a file.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import rasterio
import rasterio.errors
from affine import Affine
from PIL import Image
from rasterio.io import MemoryFile

from backend.files.kinds import Writing
from backend.files.rasters.formats import EXR_PIXEL_SIZE, PNG_COMMENT
from backend.files.rasters.georeference import Georeference
from backend.files.whole_files import put, whole
from shared import png
from shared.arrays import CLASS_MAP, COLOR_IMAGE, COUNT_MAP, TEXTURE, UV_MAP, Array
from shared.cameras.views import uv_to_channels
from shared.errors import InvalidInput
from shared.srgb import linear_to_srgb, srgb_to_linear

JPEG_QUALITY = 95
ROWS_AT_ONCE = 256  # in double precision, so that a large map has no double of itself
_SRGB = (TEXTURE, COLOR_IMAGE)


def write_port(array: Array, path: Path, writing: Writing) -> dict[str, dict[str, Any]]:
    """An output in the format that was asked for; what a reader must know, by the file's name."""
    bits = 8 if writing.format == "png8" else 16
    return {path.name: write(array, path, georeference=writing.georeference, bits=bits)}


def write(
    array: Array, path: str | Path, *, georeference: Georeference | None = None, bits: int = 16
) -> dict[str, Any]:
    """Writes the array in the format of the path's ending (.npy, .exr, .tif, .png) and returns what a reader must know.

    That is {"offset", "scale"} for a PNG (value = offset + scale * level), which stand in its comment too, and {} otherwise.
    georeference: where it lies; without it a GeoTIFF says its pixel size only. bits: of a PNG's sample, 16 or 8. The file
    appears complete or not at all. Raises StorageFull, and InvalidInput where the place cannot be written or the ending is
    unknown.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    encoder = _png_8 if suffix == ".png" and bits == 8 else _ENCODERS.get(suffix)
    if encoder is None:
        raise InvalidInput(
            f"{path.name} does not end in a supported format.",
            hint=f"Available: {', '.join(_ENCODERS)}.",
            field=str(path),
        )
    with whole(path) as temporary:
        return encoder(array, temporary, georeference)


def _npy(array: Array, path: Path, georeference: Georeference | None) -> dict[str, Any]:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array.values), allow_pickle=False)
    put(path, [buffer.getvalue()])
    return {}


def _exr(array: Array, path: Path, georeference: Georeference | None) -> dict[str, Any]:
    """One channel is called Y, luminance: what Blender and image programs show as grey without being asked."""
    values = array.values
    if array.kind is TEXTURE:  # a float image is linear wherever it is opened
        values = texture_to_linear(values)
    values = np.ascontiguousarray(values, dtype=np.float32)
    if array.kind is UV_MAP:
        red, green = uv_to_channels(values)
        channels = {"R": red, "G": green}
    else:
        channels = {"Y": values} if values.ndim == 2 else {"RGB": values}
    header: dict[str, Any] = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    if "pixel_size_m" in array.attributes:
        header[EXR_PIXEL_SIZE] = array.pixel_size_m
    OpenEXR.File(header, channels).write(str(path))
    return {}


def _tif(array: Array, path: Path, georeference: Georeference | None) -> dict[str, Any]:
    values = array.values
    options: dict[str, Any] = {"compress": "deflate", "predictor": 3 if values.dtype.kind == "f" else 2, "tiled": True}
    if values.ndim == 3:
        options["photometric"] = "RGB"
    if georeference is not None:
        options |= {"transform": georeference.transform, "crs": georeference.crs or None}
    elif "pixel_size_m" in array.attributes:
        size_m = array.pixel_size_m
        options["transform"] = Affine(size_m, 0.0, 0.0, 0.0, -size_m, size_m * values.shape[0])
    put(path, [_gdal("GTiff", values, array.kind.unit, options)])
    return {}


def _png(array: Array, path: Path, georeference: Georeference | None) -> dict[str, Any]:
    levels, offset, scale = _levels(array)
    note: dict[str, Any] = {"offset": offset, "scale": scale}
    if "pixel_size_m" in array.attributes:
        note["pixel_size_m"] = array.pixel_size_m
    put(path, png.encode(levels, comment=json.dumps({PNG_COMMENT: note}), srgb=array.kind in _SRGB))
    return {"offset": offset, "scale": scale}


def _png_8(array: Array, path: Path, georeference: Georeference | None) -> dict[str, Any]:
    put(path, png.encode(_bytes_of(array), srgb=array.kind in _SRGB))
    return {"offset": 0.0, "scale": 1.0 / 255.0}


def _jpg(array: Array, path: Path, georeference: Georeference | None) -> dict[str, Any]:
    """Colours at every pixel (no chroma subsampling): a texture is looked at from nearer than a photograph."""
    buffer = io.BytesIO()
    Image.fromarray(_bytes_of(array)).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    put(path, [buffer.getvalue()])
    return {}


def _bytes_of(array: Array) -> np.ndarray:
    """The kind's range (0..1 where it has none) as 0..255, rounded; colours sRGB-encoded."""
    if array.kind is TEXTURE:
        return np.rint(np.arange(65536) / 257.0).astype(np.uint8)[array.values]
    low, high = _range(array) or (0.0, 1.0)
    values = np.clip((array.values - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.rint((linear_to_srgb(values) if array.kind is COLOR_IMAGE else values) * 255.0).astype(np.uint8)


def _range(array: Array) -> tuple[float, float] | None:
    """Lowest and highest value of the kind, None for one that is not bounded on both sides."""
    low, high = array.kind.min, array.kind.max
    return (low, high) if low is not None and high is not None else None


def texture_to_linear(values: np.ndarray) -> np.ndarray:
    """A TEXTURE's uint16 as linear float32, by a table of its 65,536 colours."""
    return srgb_to_linear(np.arange(65536) / 65535.0).astype(np.float32)[values]


def _levels(array: Array) -> tuple[np.ndarray, float, float]:
    """What a PNG stores, and the offset and scale back.

    Classes, counts and textures stay as they are; masks, normals and colours are stretched over their kind's range, everything
    else over its own.
    """
    values = array.values
    if array.kind in (CLASS_MAP, COUNT_MAP, TEXTURE):
        return values, 0.0, 1.0
    if array.kind is COLOR_IMAGE:
        return np.rint(linear_to_srgb(np.clip(values, 0.0, 1.0)) * 65535.0).astype(np.uint16), 0.0, 1.0 / 65535.0
    low, high = _range(array) or (float(values.min()), float(values.max()))
    scale = (high - low) / 65535.0 or 1.0
    levels = np.empty(values.shape, np.uint16)
    for first in range(0, len(values), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        levels[rows] = np.rint((values[rows].astype(np.float64) - low) / scale)
    return levels, low, scale


def _gdal(driver: str, values: np.ndarray, unit: str, options: Mapping[str, Any]) -> bytes:
    """The bytes of a raster file. Made in memory: GDAL would not tell of a full disk before it has left half a file."""
    bands = values[None] if values.ndim == 2 else np.moveaxis(values, 2, 0)
    count, height, width = bands.shape
    with warnings.catch_warnings(), rasterio.Env(GDAL_NUM_THREADS="1"), MemoryFile() as memory:
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with memory.open(
            driver=driver, height=height, width=width, count=count, dtype=bands.dtype.name, **options
        ) as dataset:
            dataset.write(bands)
            if unit and driver == "GTiff":
                dataset.units = (unit,) * count
        return bytes(memory.read())


_ENCODERS: dict[str, Callable[[Array, Path, Georeference | None], dict[str, Any]]] = {
    ".npy": _npy,
    ".exr": _exr,
    ".tif": _tif,
    ".png": _png,
    ".jpg": _jpg,
}
