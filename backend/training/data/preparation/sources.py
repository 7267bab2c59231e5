"""The rasters that a pack is made of: heights and colours on the same grid, found in folders and paired by name.

A file is read whole and one at a time; what it means (unit, no data, coordinate system) is backend/files/rasters' matter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rasterio.transform import Affine

from backend.files.raster_options import NOTHING_SAID, RasterOptions
from backend.files.rasters import formats, georeference, metric, read
from shared.arrays import HEIGHT_MAP, TEXTURE
from shared.errors import InvalidInput

HEIGHTS = (".tif", ".tiff", ".hgt", ".png", ".exr", ".asc", ".bil", ".flt", ".npy", ".dem", ".dt0", ".dt1", ".dt2")
COLORS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".webp", ".exr")
WORDS = (
    "h",
    "height",
    "heights",
    "dem",
    "elevation",
    "t",
    "color",
    "colour",
    "colors",
    "colours",
    "terrain",
    "albedo",
    "rgb",
)
MEASURED_ROWS = 33  # where the size of a pixel on the ground is computed; interpolated in between


@dataclass(frozen=True)
class Source:
    """A raster of heights and its partner of colours."""

    height: Path
    color: Path | None

    @property
    def name(self) -> str:
        return self.height.stem


@dataclass(frozen=True)
class Ground:
    """height: float32 [H, W] m. valid: bool [H, W]. color: uint8 [H, W, 3] sRGB or None. width_m, height_m: of a pixel on the
    ground, per row [H], whatever the projection does to it."""

    height: np.ndarray
    valid: np.ndarray
    color: np.ndarray | None
    width_m: np.ndarray
    height_m: np.ndarray


def find(heights: Sequence[Path], colors: Sequence[Path]) -> list[Source]:
    """The rasters of these folders (or single files), in the order of their names. Raises InvalidInput for a missing partner."""
    of_heights = _by_name(heights, HEIGHTS, "heights")
    if not colors:
        return [Source(path, None) for path in of_heights.values()]
    if len(heights) == len(colors) == 1 and heights[0].is_file() and colors[0].is_file():
        return [Source(heights[0], colors[0])]  # one pair needs no names to be told
    of_colors = _by_name(colors, COLORS, "colors")
    for mine, others, what in ((of_heights, of_colors, "colours"), (of_colors, of_heights, "heights")):
        alone = [path for name, path in mine.items() if name not in others]
        if alone:
            who = f"{alone[0]} has" if len(alone) == 1 else f"{alone[0]} and {len(alone) - 1} more have"
            raise InvalidInput(
                f"{who} no partner of {what}.",
                hint=f"Partners have the same name but for words such as height and colour: {_key(alone[0])!r} is looked for.",
                field=str(alone[0]),
            )
    return [Source(path, of_colors[name]) for name, path in of_heights.items()]


def _by_name(places: Sequence[Path], endings: Sequence[str], what: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for place in places:
        if not place.exists():
            raise InvalidInput(f"There is no {place}.", field=what)
        files = [place] if place.is_file() else sorted(p for p in place.iterdir() if p.suffix.lower() in endings)
        if not files:
            raise InvalidInput(f"{place} holds no raster of {what} ({', '.join(endings)}).", field=what)
        for path in files:
            if _key(path) in found:
                raise InvalidInput(
                    f"{found[_key(path)]} and {path} have the same name, {_key(path)!r}, but for words such as height and colour.",
                    hint="Rename one of them, or name files in place of the folder.",
                    field=what,
                )
            found[_key(path)] = path
    return dict(sorted(found.items()))


def _key(path: Path) -> str:
    """The name by which partners find each other: without words for heights and colours."""
    words = [word for word in re.split(r"[_\-. ]+", path.stem.lower()) if word]
    return "_".join(word for word in words if word not in WORDS) or path.stem.lower()


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the user says about all files: metres per pixel where a file does not, heights of black and white, and the rest."""

    pixel_size_m: float | None = None
    height_range_m: tuple[float, float] | None = None
    options: RasterOptions = NOTHING_SAID


def load(source: Source, said: Said) -> Ground:
    """The raster, north at the top. Raises InvalidInput for 8-bit heights, partners of different sizes, and what cannot be read."""
    path = source.height
    pixels = formats.load(path, HEIGHT_MAP, said.options)
    if pixels.eight_bits or pixels.values.dtype.itemsize == 1:
        raise InvalidInput(
            f"{path} has 8 bits: its heights have 256 levels, which a model would learn as terraces.",
            hint="Use the 16-bit or floating-point heights that it was made from.",
            field=str(path),
        )
    values, hole, _ = metric.metres(
        HEIGHT_MAP,
        path,
        pixels,
        metric.Said(height_range_m=said.height_range_m, options=said.options, pixel_size_m=said.pixel_size_m),
    )
    color = _colors(source, values.shape)
    reference = pixels.georeference
    layers = [values, ~hole, *([] if color is None else np.moveaxis(color, 2, 0))]
    if reference is not None:
        turned = [georeference.north_up(layer, reference) for layer in layers]
        layers, reference = [layer for layer, _ in turned], turned[0][1]
    width_m, height_m = _pixel_sizes(path, reference, pixels.pixel_size_m, layers[0].shape, said)
    return Ground(
        height=np.where(layers[1], layers[0], 0.0).astype(np.float32),
        valid=layers[1],
        color=None if color is None else np.stack(layers[2:], axis=2),
        width_m=width_m,
        height_m=height_m,
    )


def _colors(source: Source, shape: tuple[int, int]) -> np.ndarray | None:
    if source.color is None:
        return None
    values = read(TEXTURE, source.color).values
    if values.shape[:2] != shape:
        raise InvalidInput(
            f"{source.color} is {values.shape[1]}x{values.shape[0]} px; its heights, {source.height.name}, are "
            f"{shape[1]}x{shape[0]} px.",
            hint="Both must lie on one grid: resample one to the other.",
            field=str(source.color),
        )
    return np.rint(values / 257.0).astype(np.uint8)


def _pixel_sizes(
    path: Path,
    reference: georeference.Georeference | None,
    own_m: float | None,
    shape: tuple[int, int],
    said: Said,
) -> tuple[np.ndarray, np.ndarray]:
    """Width and height of a pixel on the ground, metres, per row. The file's own coordinate system goes before what was said."""
    rows = np.arange(shape[0], dtype=np.float64)
    measured = _measured(reference, shape) if reference is not None else None
    if measured is None:
        size = own_m or said.pixel_size_m
        if not size:
            raise InvalidInput(f"{path} has no pixel size.", hint="Give it with --pixel-size METRES.", field=str(path))
        return np.full(shape[0], float(size)), np.full(shape[0], float(size))
    at, widths, heights = measured
    return np.interp(rows, at, widths), np.interp(rows, at, heights)


def _measured(
    reference: georeference.Georeference, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Rows, and width and height of a pixel in the middle of each; None where the file does not tell."""
    found: dict[float, georeference.GroundPixel] = {}
    for row in np.linspace(0.0, shape[0] - 1.0, min(MEASURED_ROWS, shape[0])):
        moved = reference.transform @ Affine.translation(0.0, row + 0.5 - shape[0] / 2.0)
        try:
            pixel = georeference.pixel_on_ground(replace(reference, transform=moved), shape)
        except InvalidInput:
            continue  # beyond the coordinate system, as the rows at a pole of Mercator's are
        if pixel is None:
            return None
        found[float(row)] = pixel
    if not found:
        return None
    return (
        np.array(list(found)),
        np.array([pixel.width_m for pixel in found.values()]),
        np.array([pixel.height_m for pixel in found.values()]),
    )
