"""One file's pixels as its format's reader gives them, and the checks that come before a byte of them is read.

A header may claim any size: it is held against the largest map, against the bytes that the file has, and against the memory that is
free. What the numbers mean is decided in reading.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from backend.files.rasters.georeference import Georeference
from backend.runtime.memory import available_bytes
from shared.arrays import MAX_SIDE
from shared.errors import InvalidInput, OutOfMemory

ROWS_AT_ONCE = 256  # converted in double precision at a time, so that a large map has no double of itself
DENSEST = 1100  # DEFLATE packs at most 1032 bytes into one; nothing that holds a terrain comes near it
SMALL = 1 << 22  # pixels below which a claim is not held against the file's size
SPARSE = 1 << 26  # the same for formats that need not store empty tiles
WORKING_BYTES = 10  # per pixel beside the stored values: float32 result, holes, and a pass over both


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """values: [H, W, bands], colour and data bands only; hole: [H, W] bool, True where there is no data.

    format: GDAL's driver name, "npy", "exr" or "raw". colormap: uint8 [256, 3], the colours of an image with a palette.
    pixel_size_m and levels (offset, scale: value = offset + scale * stored) are set where Relievo itself has written the file.
    scales: (offset, scale) of each band where the file declares them, not applied yet. eight_bits: the file has no more than 256
    levels. unit: of the band, as the file words it. nodata: the value that the file declares for no data. alpha: whether it has an
    alpha channel. opacity: 0..1 [H, W] where an image with levels of colour is not opaque all over. bits: of a sample where the
    file has fewer than its type, else 0. cause: why its numbers may be wrong, for a warning about heights that no world has.
    """

    values: np.ndarray
    hole: np.ndarray
    format: str
    georeference: Georeference | None = None
    pixel_size_m: float | None = None
    levels: tuple[float, float] | None = None
    palette: bool = False
    colormap: np.ndarray | None = None
    scales: tuple[tuple[float, float], ...] = ()
    eight_bits: bool = False
    unit: str = ""
    nodata: float | None = None
    alpha: bool = False
    opacity: np.ndarray | None = None
    bits: int = 0
    cause: str = ""


def full_level(pixels: Pixels, dtype: np.dtype) -> float:
    """White, among whole numbers of that type: what the bits of a sample hold at most."""
    if dtype.kind == "b":
        return 1.0
    return float(2**pixels.bits - 1) if pixels.bits and pixels.colormap is None else float(np.iinfo(dtype).max)


def apply_scales(pixels: Pixels) -> Pixels:
    """The same with what the bands' scales and offsets make of the stored values, float32."""
    if not pixels.scales:
        return pixels
    bands = [linear(pixels.values[..., band], *pair) for band, pair in enumerate(pixels.scales)]
    return replace(pixels, values=np.stack(bands, axis=2), scales=())


def check_size(path: Path, height: int, width: int) -> None:
    """Before a byte of it is read."""
    if min(height, width) <= 0:
        raise InvalidInput(f"{path} is empty ({height} x {width}).", field=str(path))
    if max(height, width) > MAX_SIDE:
        raise InvalidInput(
            f"{path} is {height} x {width}; at most {MAX_SIDE} per side are supported.",
            hint="Cut it into tiles or scale it down.",
            field=str(path),
        )


def check_claim(path: Path, height: int, width: int, pixel_bytes: int, *, sparse: bool) -> None:
    """Holds the pixels that a header claims against the file and the memory.

    pixel_bytes: of all stored bands of a pixel. sparse: the format may leave empty tiles out. Raises InvalidInput for a file that
    cannot hold them, OutOfMemory for one that does not fit.
    """
    pixels, size = height * width, path.stat().st_size
    if pixels > (SPARSE if sparse else SMALL) and pixels * pixel_bytes > DENSEST * size:
        raise InvalidInput(
            f"{path} cannot be read: it is damaged, cut short or of another format (its header claims {height} x {width} "
            f"pixels, and its {size} bytes cannot hold them).",
            hint="Copy or export it again.",
            field=str(path),
        )
    needed, free = pixels * (pixel_bytes + WORKING_BYTES), available_bytes()
    if free and needed > free:
        raise OutOfMemory(
            f"{path} does not fit into memory: {height} x {width} pixels take about {needed / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} GiB are free.",
            hint="Crop it or scale it down.",
            field=str(path),
        )


def check_dtype(path: Path, dtype: np.dtype) -> None:
    if dtype.kind not in "biuf":
        kind = "complex numbers" if dtype.kind == "c" else f"values of type {dtype}"
        raise InvalidInput(f"{path} holds {kind}; a map holds real numbers.", field=str(path))


def not_finite(values: np.ndarray) -> np.ndarray:
    """[H, W] bool: where any band of [H, W, bands] is NaN or infinite."""
    if values.dtype.kind != "f":
        return np.zeros(values.shape[:2], bool)
    return np.asarray(~np.isfinite(values).all(axis=2))


def row_blocks(rows: int) -> Iterator[slice]:
    for first in range(0, rows, ROWS_AT_ONCE):
        yield slice(first, min(first + ROWS_AT_ONCE, rows))


def linear(values: np.ndarray, offset: float, scale: float) -> np.ndarray:
    """offset + scale * values, computed in float64, as float32."""
    out = np.empty(values.shape, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what no data was multiplied with is not looked at
        for rows in row_blocks(len(values)):
            out[rows] = offset + scale * values[rows].astype(np.float64)
    return out


def broken(path: Path, reason: str, hint: str = "") -> InvalidInput:
    """The error for a file that its reader gave up on, with the reader's reason."""
    reason = reason.replace(f"'{path.absolute()}'", "it").replace(str(path.absolute()), "it").replace(str(path), "it")
    reason = reason.replace("it not recognized", "it is not recognized")  # GDAL leaves its verb out
    reason = " ".join(reason.replace("See previous exception for details.", "").split()).rstrip(".")
    return InvalidInput(
        f"{path} cannot be read: it is damaged, cut short or of another format ({reason}).",
        hint=hint or _hint(path),
        field=str(path),
    )


def _hint(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in {".bil", ".bsq", ".bip", ".flt"} and not path.with_suffix(".hdr").exists():
        return f"Its header {path.with_suffix('.hdr').name} is missing."
    if suffix == ".hgt":
        return "An SRTM tile is 1201 x 1201 or 3601 x 3601 two-byte numbers and is named after its corner, such as N46E008.hgt."
    if suffix == ".hdr":
        return "Give the data file beside it (.bil), not the header."
    return (
        "Supported: GeoTIFF, SRTM .hgt, PNG, JPEG, WebP, EXR, ESRI ASCII grid, ENVI .bil, .npy and raw .r16. "
        "Convert others to GeoTIFF."
    )
