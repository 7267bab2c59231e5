"""One file's pixels as they are, before anything is made of them: .npy, raw grids, .exr, and what GDAL's named drivers know.

Every way in which a file can be broken becomes an InvalidInput that names the file. What the numbers mean is reading.py's part.
"""

from __future__ import annotations

from pathlib import Path

from backend.files.raster_options import RasterOptions
from backend.files.rasters import exr, gdal, numbers
from backend.files.rasters.pixels import Pixels, broken
from shared.arrays import HEIGHT_MAP, ArrayKind
from shared.errors import InvalidInput, OutOfMemory
from shared.plain_files import require_plain

EXR_PIXEL_SIZE = exr.PIXEL_SIZE
PNG_COMMENT = gdal.PNG_COMMENT


def load(path: Path, kind: ArrayKind = HEIGHT_MAP, options: RasterOptions | None = None) -> Pixels:
    """What the file has for this kind of map.

    Raises InvalidInput, naming the file, where there is none or it is broken, and OutOfMemory.
    """
    options = options or RasterOptions()
    if require_plain(path) == 0:
        raise InvalidInput(f"{path} is empty (0 bytes).", field=str(path))
    try:
        return _load(path, kind, options)
    except MemoryError as error:
        raise OutOfMemory(
            f"{path} does not fit into memory.", hint="Crop it or scale it down.", field=str(path)
        ) from error
    except OSError as error:  # rasterio's RasterioIOError is one
        raise broken(path, str(error.strerror or error)) from error


def _load(path: Path, kind: ArrayKind, options: RasterOptions) -> Pixels:
    suffix = path.suffix.lower()
    if suffix == ".exr":
        return exr.load(path, kind, options.layer)
    if suffix == ".npy":
        return numbers.load_npy(path)
    raw = suffix in numbers.RAW_SUFFIXES and not path.with_suffix(".hdr").exists()
    if raw or (options.raw_size and suffix not in gdal.SELF_DESCRIBED):
        return numbers.load_raw(path, options.raw_size, options.raw_type)
    return gdal.load(path, options.layer)
