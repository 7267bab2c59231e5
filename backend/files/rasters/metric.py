"""Heights, thicknesses and areas: from a file's numbers to metres on square pixels, north at the top, without holes.

Whatever turns the numbers into other numbers (scale, unit, no data, direction, projection) is done here in one order, and what a
person would not expect is said in a warning.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio.crs

from backend.files.raster_options import NOTHING_SAID, RasterOptions
from backend.files.rasters import encodings, nodata, units
from backend.files.rasters import georeference as geo
from backend.files.rasters.bands import one_band
from backend.files.rasters.georeference import Georeference, GroundPixel
from backend.files.rasters.pixels import Pixels, linear
from shared.arrays import AREA_MAP, HEIGHT_MAP, Array, ArrayKind
from shared.errors import InvalidInput
from shared.heights import implausible, likely_cause

logger = logging.getLogger(__name__)

SIZE_CONFLICT = 0.01


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the user says about a file; reading.read() says what each means."""

    pixel_size_m: float | None = None
    fill_nodata: bool = False
    height_range_m: tuple[float, float] | None = None
    options: RasterOptions = NOTHING_SAID
    own_first: bool = False


def read(kind: ArrayKind, path: Path, pixels: Pixels, said: Said) -> Array:
    """The map with its pixel_size_m, and where it lies. Raises InvalidInput."""
    values, hole, converted = metres(kind, path, pixels, said)
    if kind is HEIGHT_MAP:
        _judge(path, pixels, values, hole)
    values = nodata.filled(path, values, hole, pixels, asked=said.fill_nodata)
    reference = pixels.georeference
    if reference is None:
        return Array(kind, np.ascontiguousarray(values), {"pixel_size_m": _size_without_map(path, pixels, said)})
    if converted:  # the written heights are metres above zero, whatever the vertical system was
        reference = Georeference(crs=units.horizontal(reference.crs), transform=reference.transform)
    values, reference = geo.north_up(values, reference)
    return _on_squares(kind, path, values, reference, said)


# Numbers to metres ---------------------------------------------------------------------------------------------------------------


def metres(kind: ArrayKind, path: Path, pixels: Pixels, said: Said) -> tuple[np.ndarray, np.ndarray, bool]:
    """The file's own grid: (float32 [H, W] m, [H, W] holes, whether a unit was converted or a sign changed)."""
    if said.options.encoding:
        if pixels.values.shape[2] >= 3 or pixels.palette:
            return encodings.decode(path, pixels, said.options.encoding), pixels.hole, False
        logger.warning("%s has no colours: --encoding is not applied, and its numbers are taken as heights.", path)
    band = one_band(path, pixels, heights=kind is HEIGHT_MAP)
    stretched = bool(said.height_range_m) and band.dtype.kind in "iu"
    hole = nodata.find(path, band, pixels, said.options, stretched=stretched)
    (offset, scale), in_metres = _levels(path, pixels, band, hole, said.height_range_m)
    unit_m = 1.0 if in_metres or kind is AREA_MAP else _unit_m(path, pixels, said)
    down = kind is HEIGHT_MAP and pixels.georeference is not None and units.vertical(pixels.georeference.crs)[2]
    if down:
        logger.warning(
            "%s: its vertical coordinate system counts downwards; depths are taken as heights below zero.", path
        )
        unit_m = -unit_m
    if (offset, scale, unit_m) == (0.0, 1.0, 1.0) and band.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return band.astype(np.float32), hole, False
    return linear(band, offset * unit_m, scale * unit_m), hole, unit_m != 1.0


def _levels(
    path: Path, pixels: Pixels, band: np.ndarray, hole: np.ndarray, range_m: tuple[float, float] | None
) -> tuple[tuple[float, float], bool]:
    """((offset, scale), whether these give metres): value = offset + scale * stored."""
    if pixels.scales:
        if range_m:
            logger.warning("%s has a scale and an offset of its own: --height-range is not applied.", path)
        return pixels.scales[0], False
    if band.dtype.kind == "f":
        return (_stretch_of_floats(path, band, hole, range_m), True) if range_m else ((0.0, 1.0), False)
    if pixels.eight_bits:
        logger.warning("%s has 8 bits: its heights have 256 levels, which show as terraces.", path)
    if range_m:
        if pixels.levels:
            logger.warning("%s stores its heights: --height-range overrides them.", path)
        top = float(np.iinfo(band.dtype).max) if band.dtype.kind in "iu" else 1.0
        return (range_m[0], (range_m[1] - range_m[0]) / top), True
    if pixels.levels:
        return pixels.levels, True
    if nodata.is_image(pixels) or pixels.format == "raw":
        logger.warning(
            "%s does not state its heights: one level is read as one metre. Set them with --height-range LOW HIGH.",
            path,
        )
    return (0.0, 1.0), False


def _stretch_of_floats(
    path: Path, band: np.ndarray, hole: np.ndarray, range_m: tuple[float, float]
) -> tuple[float, float]:
    """Black is 0 and white 1 in a floating-point image; numbers beyond that are heights already."""
    inside = band[~hole]
    if inside.size and float(inside.min()) >= 0.0 and float(inside.max()) <= 1.0:
        return range_m[0], range_m[1] - range_m[0]
    logger.warning("%s holds numbers beyond 0..1, which are taken as heights: --height-range is not applied.", path)
    return 0.0, 1.0


def _unit_m(path: Path, pixels: Pixels, said: Said) -> float:
    """The unit of the stored heights in metres: the user's, the band's, the vertical coordinate system's, else 1."""
    name, vertical_m, _ = units.vertical(pixels.georeference.crs if pixels.georeference else "")
    word = pixels.unit
    own_m = units.metres(word) if word else vertical_m
    if word and own_m is None:
        own_m = _per_metre(word)
    if word and own_m is not None and vertical_m is not None and abs(own_m / vertical_m - 1.0) > 1e-9:
        logger.warning(
            "%s: its band is in %s, its vertical coordinate system in %s; the band's unit is used.", path, word, name
        )
    asked = said.options.height_unit
    if asked and not (said.own_first and own_m is not None):
        if own_m is not None and abs(own_m / units.CHOICES[asked] - 1.0) > 1e-9:
            logger.warning(
                "%s says that its heights are in %s; --height-unit %s overrides it.", path, word or name, asked
            )
        return units.CHOICES[asked]
    if word and own_m is None:
        logger.warning(
            "%s: the unit of its heights, %r, is not known; metres are taken. See --height-unit.", path, word
        )
    return 1.0 if own_m is None else own_m


def _per_metre(word: str) -> float | None:
    """Zunits of an old .prj may be how many of them make a metre."""
    try:
        count = float(word)
    except ValueError:
        return None
    return 1.0 / count if count > 0 else None


def _judge(path: Path, pixels: Pixels, values: np.ndarray, hole: np.ndarray) -> None:
    """A warning about heights that no world has, with the likely cause."""
    known = values[~hole]
    if not known.size:
        return
    low, high = float(known.min()), float(known.max())
    said = implausible(low, high)
    if said:
        logger.warning("%s: %s: %s.", path, said, pixels.cause or likely_cause(low, high))


# Pixels on the ground ------------------------------------------------------------------------------------------------------------


def _size_without_map(path: Path, pixels: Pixels, said: Said) -> float:
    own, asked = pixels.pixel_size_m, said.pixel_size_m
    if own and asked:
        return _settled(path, own, said)
    if own or asked:
        return float(own or asked or 0.0)
    raise InvalidInput(
        f"{path} has no pixel size.", hint="Give the metres per pixel with --pixel-size.", field=str(path)
    )


def _settled(path: Path, own_m: float, said: Said) -> float:
    """The pixel size where the file and perhaps the user name one."""
    asked = said.pixel_size_m
    if not asked or abs(asked / own_m - 1.0) <= SIZE_CONFLICT:
        return own_m
    if said.own_first:
        logger.warning(
            "%s has its own pixel size, %.6g m per pixel; the %.6g m given applies only to files that have none.",
            path,
            own_m,
            asked,
        )
        return own_m
    logger.warning("%s has its own pixel size, %.6g m per pixel; --pixel-size %.6g overrides it.", path, own_m, asked)
    return float(asked)


def _on_squares(kind: ArrayKind, path: Path, values: np.ndarray, reference: Georeference, said: Said) -> Array:
    ground = _ground(path, values.shape, reference, said)
    if ground is None:
        assert said.pixel_size_m, "_ground() asks for it"
        return Array(kind, np.ascontiguousarray(values), {"pixel_size_m": float(said.pixel_size_m)})
    turned = geo.turned_deg(reference)
    if abs(turned) > geo.TURNED_DEG:
        logger.warning(
            "%s is turned by %.3g degrees: its rows do not run east, so up in the result is not north.", path, turned
        )
    shape, size_m = geo.square_shape(values.shape, (ground.width_m, ground.height_m))
    own_m = _settled(path, size_m, said)
    _tell_scale(path, values.shape, reference, ground, size_m, resampled=shape != values.shape)
    if shape != values.shape:
        values, reference = geo.resample(values, reference, shape)
    if own_m != size_m:  # the file's georeference is wrong then, and the result must not repeat it
        return Array(kind, np.ascontiguousarray(values), {"pixel_size_m": own_m})
    return Array(kind, np.ascontiguousarray(values), {"pixel_size_m": size_m, **reference.attributes})


def _ground(path: Path, shape: tuple[int, int], reference: Georeference, said: Said) -> GroundPixel | None:
    """A pixel on the ground; None where only the user's pixel size is left. Raises InvalidInput where there is not even that."""
    try:
        ground = geo.pixel_on_ground(reference, shape)
    except InvalidInput as error:
        if said.pixel_size_m:
            return None
        raise InvalidInput(f"{path}: {error.message}", hint=error.hint, field=str(path)) from error
    if ground is None:
        if said.pixel_size_m:
            return None
        width, height = geo.in_degrees_m(reference.transform, shape)
        raise InvalidInput(
            f"{path} is in degrees and has no coordinate system, or so its numbers look.",
            hint=f"Give the metres per pixel with --pixel-size; in degrees a pixel would be {width:.5g} x {height:.5g} m.",
            field=str(path),
        )
    if ground.leaning_deg > geo.LEANING_DEG:
        if said.pixel_size_m and not said.own_first:
            return None
        raise InvalidInput(
            f"{path}: the pixels of its projection, {_name(reference)}, are no rectangles on the ground but lean by "
            f"{ground.leaning_deg:.2g} degrees.",
            hint="Reproject it, for example to UTM (rio warp), or take its pixels as squares with --pixel-size.",
            field=str(path),
        )
    return ground


def _tell_scale(
    path: Path, shape: tuple[int, int], reference: Georeference, ground: GroundPixel, size_m: float, *, resampled: bool
) -> None:
    """What the projection does to the pixels, where it is more than nothing."""
    if not reference.crs:
        return
    crs = rasterio.crs.CRS.from_wkt(reference.crs)
    if crs.is_projected:
        unit_m = float(crs.linear_units_factor[1])
        stored = abs(reference.transform.determinant) ** 0.5 * unit_m
        if resampled:
            logger.warning(
                "%s: its pixels measure %.4g x %.4g m on the ground (%s); it is resampled to squares of %.4g m.",
                *(path, ground.width_m, ground.height_m, _name(reference), size_m),
            )
        elif abs(size_m / stored - 1.0) > geo.AT_ITS_WORD:
            logger.warning(
                "%s: its projection, %s, is not true to scale here: %.5g m on the map are %.5g m on the ground, which is used.",
                *(path, _name(reference), stored, size_m),
            )
    parts = geo.varies(reference, shape, ground)
    if parts:
        low, high = parts
        logger.warning(
            "%s: a pixel measures from %.4g to %.4g m over the map; %.4g m, as in its middle, is used.",
            *(path, low * size_m, high * size_m, size_m),
        )


def _name(reference: Georeference) -> str:
    found = reference.crs.split('"')
    return found[1] if len(found) > 1 else "unnamed"
