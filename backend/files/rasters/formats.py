"""One file's pixels as they are, before anything is made of them: .npy, .exr, and whatever GDAL knows.

Every way in which a file can be broken becomes an InvalidInput that names the file. What the numbers mean is reading.py's part.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenEXR
import rasterio
import rasterio.errors
from rasterio.enums import ColorInterp

from backend.files.rasters.georeference import Georeference
from shared.arrays import MAX_SIDE
from shared.errors import InvalidInput, OutOfMemory

EXR_PIXEL_SIZE = "relievoPixelSize"  # float attribute in the header, m
PNG_COMMENT = "relievo"  # key of the JSON object in a PNG's comment: offset, scale, pixel_size_m

RAW_DRIVERS = {"ENVI", "EHdr"}  # GDAL reads zeros where such a file ends too early


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """values: [H, W, bands] in the file's own type, colour and data bands only; hole: [H, W] bool, True where there is no data.

    colormap: uint8 [256, 3], the colours of an image with a palette.
    pixel_size_m and levels (offset, scale: value = offset + scale * stored) are set where Relievo itself has written the file.
    """

    values: np.ndarray
    hole: np.ndarray
    format: str
    georeference: Georeference | None = None
    pixel_size_m: float | None = None
    levels: tuple[float, float] | None = None
    palette: bool = False
    colormap: np.ndarray | None = None


def load(path: Path) -> Pixels:
    """Everything in the file. Raises InvalidInput, naming the file, where there is none or it is broken; OutOfMemory."""
    if not path.exists():
        raise InvalidInput(f"{path} does not exist.", hint=_neighbour(path), field=str(path))
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder; a file is needed.", field=str(path))
    if path.stat().st_size == 0:
        raise InvalidInput(f"{path} is empty (0 bytes).", field=str(path))
    reader = {".npy": _load_npy, ".exr": _load_exr}.get(path.suffix.lower(), _load_gdal)
    try:
        return reader(path)
    except MemoryError as error:
        raise OutOfMemory(
            f"{path} does not fit into memory.", hint="Crop it or scale it down.", field=str(path)
        ) from error
    except OSError as error:  # rasterio's RasterioIOError is one
        raise _broken(path, str(error.strerror or error)) from error


def _neighbour(path: Path) -> str:
    names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"Did you mean {path.parent / near[0]}?" if near else ""


def _broken(path: Path, reason: str) -> InvalidInput:
    reason = " ".join(
        reason.replace(str(path), "it").replace("See previous exception for details.", "").split()
    ).rstrip(".")
    return InvalidInput(
        f"{path} cannot be read: it is damaged, cut short or of another format ({reason}).",
        hint=_hint(path),
        field=str(path),
    )


def _hint(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in {".bil", ".bsq", ".bip"} and not path.with_suffix(".hdr").exists():
        return f"Its header {path.with_suffix('.hdr').name} is missing."
    if suffix == ".hgt":
        return "An SRTM tile is 1201 x 1201 or 3601 x 3601 two-byte numbers and is named after its corner, such as N46E008.hgt."
    if suffix == ".hdr":
        return "Give the data file beside it (.bil), not the header."
    return "Supported: GeoTIFF, SRTM .hgt, PNG, EXR, ESRI ASCII grid, ENVI .bil and .npy."


def check_size(path: Path, height: int, width: int) -> None:
    """Before a byte of it is read: a header may claim any size."""
    if min(height, width) == 0:
        raise InvalidInput(f"{path} is empty ({height} x {width}).", field=str(path))
    if max(height, width) > MAX_SIDE:
        raise InvalidInput(
            f"{path} is {height} x {width}; at most {MAX_SIDE} per side are supported.",
            hint="Cut it into tiles or scale it down.",
            field=str(path),
        )


# .npy ----------------------------------------------------------------------------------------------------------------------------


def _load_npy(path: Path) -> Pixels:
    try:
        # mapped, not read: a header that claims more than the file holds fails here, before any memory is taken
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise _broken(path, str(error)) from error
    if not isinstance(stored, np.ndarray) or stored.ndim not in (2, 3):
        shape = " x ".join(map(str, stored.shape)) if isinstance(stored, np.ndarray) else "an archive"
        raise InvalidInput(f"{path} holds {shape or 'a single number'}; a map has rows and columns.", field=str(path))
    check_size(path, *stored.shape[:2])
    _check_dtype(path, stored.dtype)
    values = np.array(stored if stored.ndim == 3 else stored[..., None])
    return Pixels(values=values, hole=_not_finite(values), format="npy")


def _check_dtype(path: Path, dtype: np.dtype) -> None:
    if dtype.kind not in "biuf":
        kind = "complex numbers" if dtype.kind == "c" else f"values of type {dtype}"
        raise InvalidInput(f"{path} holds {kind}; a map holds real numbers.", field=str(path))


def _not_finite(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "f":
        return np.zeros(values.shape[:2], bool)
    return np.asarray(~np.isfinite(values).all(axis=2))


# .exr ----------------------------------------------------------------------------------------------------------------------------


def _load_exr(path: Path) -> Pixels:
    try:
        with _quiet_library(), OpenEXR.File(str(path), separate_channels=True, header_only=True) as file:
            low, high = file.header()["dataWindow"]
        check_size(path, int(high[1] - low[1] + 1), int(high[0] - low[0] + 1))
        with _quiet_library(), OpenEXR.File(str(path), separate_channels=True) as file:
            header = dict(file.header())
            channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise _broken(path, str(error)) from error
    names = _image_channels(path, list(channels))
    values = np.stack([channels[name] for name in names], axis=2)
    size = header.get(EXR_PIXEL_SIZE)
    return Pixels(values=values, hole=_not_finite(values), format="exr", pixel_size_m=float(size) if size else None)


def _image_channels(path: Path, names: list[str]) -> list[str]:
    """R, G and B, or R and G, where they are, else the one data channel, whatever its name (Y, Z, height); alpha is left out."""
    layers = {name.rpartition(".")[0] for name in names}
    for layer in sorted(layers):
        colour = [f"{layer}.{c}" if layer else c for c in "RGB"]
        if all(name in names for name in colour):
            return colour
        if all(name in names for name in colour[:2]):  # UV maps need no blue
            return colour[:2]
    data = [name for name in names if name.rpartition(".")[2] not in ("A", "RY", "BY")]
    if len(data) != 1:
        raise InvalidInput(
            f"{path} has the channels {', '.join(names) or 'none'}; one channel, or R, G and B, is needed.",
            hint="Save the height alone as a single-channel image.",
            field=str(path),
        )
    return data


@contextlib.contextmanager
def _quiet_library() -> Iterator[None]:
    """OpenEXR tells of a broken file on the process's own stdout and stderr as well as by an exception; one telling is enough."""
    kept = os.dup(1), os.dup(2)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
            try:
                with contextlib.redirect_stdout(io.StringIO()):  # its Python half prints, too
                    yield
            finally:
                os.dup2(kept[0], 1)
                os.dup2(kept[1], 2)
    finally:
        os.close(kept[0])
        os.close(kept[1])


# GDAL ----------------------------------------------------------------------------------------------------------------------------


def _load_gdal(path: Path) -> Pixels:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        # one thread, and no .aux.xml left beside the user's file
        with rasterio.Env(GDAL_PAM_ENABLED="NO", GDAL_NUM_THREADS="1"), rasterio.open(path) as dataset:
            check_size(path, dataset.height, dataset.width)
            _check_dtype(path, np.dtype(dataset.dtypes[0]))
            _check_raw_length(path, dataset)
            bands = [
                i for i, role in zip(dataset.indexes, dataset.colorinterp, strict=True) if role != ColorInterp.alpha
            ]
            masked = dataset.read(bands, masked=True)
            palette = dataset.colorinterp[0] == ColorInterp.palette
            georeference, driver = _georeference(dataset), dataset.driver
            comment = dataset.tags().get("Comment", "")
            colormap = _colormap(dataset) if palette else None
    values = np.ascontiguousarray(np.moveaxis(masked.data, 0, 2))
    hole = np.ma.getmaskarray(masked).any(axis=0) | _not_finite(values) | _sentinel(values)
    levels, pixel_size_m = _png_comment(path, comment) if driver == "PNG" else (None, None)
    return Pixels(
        values=values,
        hole=hole,
        format=driver,
        georeference=georeference,
        palette=palette,
        colormap=colormap,
        levels=levels,
        pixel_size_m=pixel_size_m,
    )


def _colormap(dataset: rasterio.DatasetReader) -> np.ndarray:
    colors = np.zeros((256, 3), np.uint8)
    for number, rgba in dataset.colormap(1).items():
        if number < len(colors):
            colors[number] = rgba[:3]
    return colors


def _georeference(dataset: rasterio.DatasetReader) -> Georeference | None:
    if dataset.transform.is_identity:  # GDAL's word for "none"
        return None
    return Georeference(crs=dataset.crs.to_wkt() if dataset.crs else "", transform=dataset.transform)


def _check_raw_length(path: Path, dataset: rasterio.DatasetReader) -> None:
    expected = dataset.width * dataset.height * sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    actual = path.stat().st_size
    if dataset.driver in RAW_DRIVERS and not dataset.compression and actual < expected:
        raise _broken(path, f"{actual} bytes, where {dataset.height} x {dataset.width} pixels take {expected}")


def _sentinel(values: np.ndarray) -> np.ndarray:
    """ "No data" that the file forgot to declare: SRTM's -32768, and floats that are no height on any world."""
    first = values[..., 0]
    if values.dtype == np.int16:
        return first == -32768
    return np.abs(first) > 1e30 if values.dtype.kind == "f" else np.zeros(first.shape, bool)


def _png_comment(path: Path, comment: str) -> tuple[tuple[float, float] | None, float | None]:
    """What writing.py left in the comment: how levels become values, and the pixel size. Anybody else's comment is theirs."""
    try:
        ours = json.loads(comment)[PNG_COMMENT]
    except (ValueError, TypeError, KeyError):
        return None, None
    try:
        size = ours.get("pixel_size_m")
        return (float(ours["offset"]), float(ours["scale"])), float(size) if size else None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _broken(path, "its comment is not what Relievo writes") from error
