"""What GDAL reads, with a short list of drivers: files that contain their own pixels and point to nothing else.

GDAL chooses a driver by content, and some drivers are programs: a .tif that holds VRT or WMS text would read other files or the
network. Files beside the one that was named (.ovr, .msk, .aux.xml) are opened by any driver, so they are not looked at; headers
(.hdr), coordinate systems (.prj) and world files (.tfw) are, if they are plain files.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.errors
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from backend.files.orientation import UPRIGHT, of_file, turned
from backend.files.rasters import pixels as px
from backend.files.rasters.georeference import Georeference
from backend.files.rasters.pixels import Pixels, broken, not_finite
from backend.files.rasters.png_chunks import check_chunks
from shared.errors import InvalidInput
from shared.plain_files import require_plain

PNG_COMMENT = "relievo"  # key of the JSON object in a PNG's comment: offset, scale, pixel_size_m

DRIVERS = ("GTiff", "SRTMHGT", "PNG", "AAIGrid", "JPEG", "WEBP", "BMP", "DTED", "USGSDEM", "Terragen")
RAW_DRIVERS = ("ENVI", "EHdr")  # a header beside the numbers; GDAL reads zeros where the numbers end too early
SELF_DESCRIBED = (".tif", ".tiff", ".hgt", ".png", ".asc", ".jpg", ".jpeg", ".webp", ".bmp")
IMAGES = ("PNG", "JPEG", "WEBP", "BMP")  # levels of grey, unless they say otherwise
ESRI_NODATA = -9999.0  # of an ASCII grid that declares none (ArcGIS, "Esri ASCII raster format")
MAX_BANDS = 4
_SPARSE = ("GTiff",)
_BESIDE = (".hdr", ".prj", ".stx", ".clr", ".blw", ".sta")
_ENVIRONMENT: dict[str, Any] = {
    "GDAL_PAM_ENABLED": "NO",  # no .aux.xml is read, none left beside the user's file
    "GDAL_NUM_THREADS": "1",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no .ovr or .msk, which any driver may open
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "GDAL_HTTP_MAX_RETRY": "0",
}


def load(path: Path, layer: str = "") -> Pixels:
    """The bands of a file that GDAL reads. layer: a band's number or description; "" for all of them, alpha apart.

    Raises InvalidInput, OutOfMemory, and OSError (rasterio's own) where the file is broken.
    """
    with opened(path) as dataset:
        driver = dataset.driver
        if driver == "PNG":
            check_chunks(path)
        px.check_size(path, dataset.height, dataset.width)
        bands, alpha = _bands(path, dataset, layer)
        px.check_dtype(path, np.dtype(dataset.dtypes[bands[0] - 1]))
        _check_length(path, dataset, len(bands))
        palette = dataset.colorinterp[0] == ColorInterp.palette and not layer
        reference, comment = _georeference(path, dataset), dataset.tags().get("Comment", "")
        colormap = _colormap(dataset) if palette else None
        nodata = _nodata(dataset, bands[0])
        values, hole = _read(dataset, bands, nodata)
        opacity = _opacity(dataset, values) if driver in IMAGES and not layer else None
        bits = int(dataset.tags(bands[0], ns="IMAGE_STRUCTURE").get("NBITS", 0))
        scales = [(dataset.offsets[band - 1], dataset.scales[band - 1]) for band in bands]
        unit = dataset.units[bands[0] - 1] or ""
        unit = unit or dataset.tags(bands[0]).get("units", "") or _zunits(path, driver)
    if palette or all(pair == (0.0, 1.0) for pair in scales):
        scales = []
    _check_scales(path, scales)
    levels, pixel_size_m = _png_comment(path, comment) if driver == "PNG" else (None, None)
    pixels = Pixels(
        values=values,
        hole=hole | not_finite(values),
        format=driver,
        georeference=reference,
        palette=palette,
        colormap=colormap,
        levels=levels,
        pixel_size_m=pixel_size_m,
        eight_bits=values.dtype.itemsize == 1,
        scales=tuple(scales),
        unit=unit,
        nodata=nodata,
        alpha=alpha,
        opacity=opacity,
        bits=bits,
        cause=_cause(path, driver, values),
    )
    return pixels if reference else _upright(path, pixels)


def _upright(path: Path, pixels: Pixels) -> Pixels:
    """As the camera was held, by its EXIF orientation."""
    orientation = of_file(path) if pixels.format in (*IMAGES, "GTiff") else UPRIGHT
    if orientation == UPRIGHT:
        return pixels
    opacity = None if pixels.opacity is None else turned(pixels.opacity, orientation)
    values, hole = turned(pixels.values, orientation), turned(pixels.hole, orientation)
    return replace(pixels, values=values, hole=hole, opacity=opacity)


@contextmanager
def opened(path: Path) -> Iterator[DatasetReader]:
    """The file as a dataset of one of the drivers above. Raises InvalidInput for no plain file, OSError where none reads it."""
    require_plain(path)
    name = str(path.absolute())  # an absolute path begins no name that GDAL takes for a driver or a virtual file system
    header = _header(path)
    with warnings.catch_warnings(), rasterio.Env(**_ENVIRONMENT):
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        for beside in _BESIDE:
            if path.with_suffix(beside).exists():
                require_plain(path.with_suffix(beside))
        try:
            dataset = DatasetReader(name, driver=list(DRIVERS))
        except rasterio.errors.RasterioIOError:
            if header is None:
                raise
            headers = rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE")  # masks are never asked of these drivers
            with headers, DatasetReader(name, driver=list(RAW_DRIVERS)) as dataset:
                yield dataset
            return
        with dataset:
            yield dataset


def _header(path: Path) -> Path | None:
    names = (path.with_suffix(".hdr"), path.with_suffix(".HDR"), path.with_name(path.name + ".hdr"))
    return next((name for name in names if name != path and name.is_file()), None)


def _bands(path: Path, dataset: DatasetReader, layer: str) -> tuple[list[int], bool]:
    roles = list(zip(dataset.indexes, dataset.colorinterp, strict=True))
    alpha = any(role == ColorInterp.alpha for _, role in roles)
    names = [name or "" for name in dataset.descriptions]
    if layer:
        wanted = [i for i in dataset.indexes if layer in (str(i), names[i - 1])]
        if not wanted:
            has = ", ".join(f"{i} ({names[i - 1]})" if names[i - 1] else str(i) for i in dataset.indexes[:20])
            raise InvalidInput(f"{path} has no band {layer!r}.", hint=f"--layer takes one of: {has}.", field=str(path))
        return wanted[:1], False
    bands = [i for i, role in roles if role != ColorInterp.alpha]
    if not bands or len(bands) > MAX_BANDS:
        raise InvalidInput(
            f"{path} is a file of {len(roles)} bands; one band, or R, G and B, is needed here.",
            hint=f"--layer 1 reads the first; or extract one: rio stack {path.name} --bidx 1 -o height.tif",
            field=str(path),
        )
    return bands, alpha


def _check_length(path: Path, dataset: DatasetReader, bands: int) -> None:
    """The pixels that the header claims, against the bytes that the file has."""
    size = path.stat().st_size
    pixels = dataset.width * dataset.height
    stored = sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    if dataset.driver in RAW_DRIVERS and not dataset.compression and size < pixels * stored:
        raise broken(path, f"{size} bytes, where {dataset.height} x {dataset.width} pixels take {pixels * stored}")
    if dataset.driver == "AAIGrid" and size < 2 * pixels:
        raise broken(path, f"{size} bytes, where {dataset.height} x {dataset.width} numbers take more")
    taken = stored if bands > 1 else np.dtype(dataset.dtypes[0]).itemsize
    px.check_claim(path, dataset.height, dataset.width, taken, sparse=dataset.driver in _SPARSE)


def _nodata(dataset: DatasetReader, band: int) -> float | None:
    declared = dataset.nodatavals[band - 1]
    if declared is None and dataset.driver == "AAIGrid":
        return ESRI_NODATA
    return declared


def _read(dataset: DatasetReader, bands: list[int], nodata: float | None) -> tuple[np.ndarray, np.ndarray]:
    """([H, W, bands] as stored, [H, W] holes)."""
    if dataset.driver in RAW_DRIVERS or (dataset.driver == "AAIGrid" and dataset.nodatavals[0] is None):
        values = np.ascontiguousarray(np.moveaxis(dataset.read(bands), 0, 2))
        absent = np.zeros(values.shape[:2], bool) if nodata is None else np.asarray((values == nodata).any(axis=2))
        return values, absent
    masked = dataset.read(bands, masked=True)
    return np.ascontiguousarray(np.moveaxis(masked.data, 0, 2)), np.asarray(np.ma.getmaskarray(masked).any(axis=0))


def _opacity(dataset: DatasetReader, values: np.ndarray) -> np.ndarray | None:
    """Float32 0..1 [H, W] of an alpha channel or a palette with alpha; None where all is opaque."""
    roles = dataset.colorinterp
    if roles[0] == ColorInterp.palette:
        shares = np.ones(256, np.float32)
        for number, rgba in dataset.colormap(1).items():
            if number < len(shares):
                shares[number] = rgba[3] / 255.0
        opacity = shares[values[..., 0]] if shares.min() < 1.0 else None
    elif ColorInterp.alpha in roles and np.dtype(dataset.dtypes[0]).kind == "u":
        stored = dataset.read(roles.index(ColorInterp.alpha) + 1)
        opacity = stored.astype(np.float32) / float(np.iinfo(stored.dtype).max)
    else:
        opacity = None
    return None if opacity is None or opacity.min() == 1.0 else opacity


def _check_scales(path: Path, scales: list[tuple[float, float]]) -> None:
    for offset, scale in scales:
        if not np.isfinite((offset, scale)).all() or not scale:
            raise InvalidInput(
                f"{path} declares the scale {scale:g} and the offset {offset:g} for its band, which give no values.",
                hint="Correct them, for example with gdal_edit.py -scale 1 -offset 0.",
                field=str(path),
            )


def _colormap(dataset: DatasetReader) -> np.ndarray:
    colors = np.zeros((256, 3), np.uint8)
    for number, rgba in dataset.colormap(1).items():
        if number < len(colors):
            colors[number] = rgba[:3]
    return colors


def _georeference(path: Path, dataset: DatasetReader) -> Georeference | None:
    transform = dataset.transform
    if transform.is_identity:  # GDAL's word for "none"
        found = _world_file(path)
        if found is None:
            return None
        transform = found
    if not np.isfinite(transform[:6]).all() or abs(transform.determinant) < 1e-18:
        raise InvalidInput(
            f"{path} has a georeference without an area ({', '.join(f'{value:g}' for value in transform[:6])}).",
            hint="Correct it, for example with gdal_edit.py -a_ullr.",
            field=str(path),
        )
    try:
        crs = dataset.crs.to_wkt() if dataset.crs else ""
    except rasterio.errors.CRSError:
        crs = ""
    return Georeference(crs=crs, transform=transform)


def _world_file(path: Path) -> Affine | None:
    """The six numbers of a .tfw, .pgw, .wld ...: they place the middle of the first pixel."""
    end = path.suffix[1:]
    short = f".{end[:1]}{end[-1:]}w"
    for suffix in dict.fromkeys((short, short.lower(), short.upper(), f".{end}w", ".wld", ".WLD")):
        beside = path.with_suffix(suffix)
        if not beside.exists():
            continue
        require_plain(beside)
        try:
            with open(beside, encoding="ascii") as file:
                a, d, b, e, x, y = map(float, file.read(4096).replace(",", ".").split()[:6])
        except ValueError:
            continue
        return Affine(a, b, x, d, e, y) * Affine.translation(-0.5, -0.5)
    return None


def _zunits(path: Path, driver: str) -> str:
    """The unit of heights in a .prj as ArcInfo wrote it ("Zunits FEET"), or how many of them make a metre."""
    beside = path.with_suffix(".prj")
    if driver not in ("AAIGrid", *RAW_DRIVERS) or not beside.is_file():
        return ""
    with open(beside, encoding="latin-1") as file:
        found = re.search(r"^\s*zunits\s+(\S+)", file.read(8192), re.IGNORECASE | re.MULTILINE)
    return "" if not found or found[1].lower() in ("no", "none") else found[1]


def _cause(path: Path, driver: str, values: np.ndarray) -> str:
    """Why whole numbers of a raw file may not be what their header says."""
    if driver not in RAW_DRIVERS or values.dtype.kind != "u":
        return ""
    header = _header(path)
    name = header.name if header else "its header"
    if values.dtype == np.uint32:
        floats = values.view(np.float32)
        with np.errstate(invalid="ignore"):
            if np.isfinite(floats).all() and float(np.abs(floats).max()) < 1e6:
                return f"they look like floating-point numbers: {name} should say PIXELTYPE FLOAT"
    return f"negative heights are read as large ones unless {name} says PIXELTYPE SIGNEDINT" if driver == "EHdr" else ""


def _png_comment(path: Path, comment: str) -> tuple[tuple[float, float] | None, float | None]:
    """What writing.py left in the comment: how levels become values, and the pixel size. Anybody else's comment is theirs."""
    try:
        ours = json.loads(comment)[PNG_COMMENT]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None, None
    try:
        size = ours.get("pixel_size_m")
        return (float(ours["offset"]), float(ours["scale"])), float(size) if size else None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise broken(path, "its comment is not what Relievo writes") from error
