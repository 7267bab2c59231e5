"""From a file's coordinate system to metres on square pixels, north at the top.

A height map here has one pixel size in metres. Files have degrees, feet, projections with another scale than they say, or pixels
wider than high: those are measured on the ground and resampled, and the georeference is kept true, so that a result can be laid
over the file that it came from. No file is opened here.
"""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rasterio.crs
import rasterio.warp
from affine import Affine
from rasterio.enums import Resampling

from backend.files.rasters import units
from shared.errors import InvalidInput

logger = logging.getLogger(__name__)

SQUARE_TOLERANCE = 0.002  # sides that differ by less are one side: below a pixel over 500
DEGREES_WITHOUT_CRS = 0.05  # a pixel this small, inside the globe's bounds, is most likely in degrees
COARSE_DEGREES = 2.5  # and up to this size, unless the map begins at (0, 0) as local grids do
AT_ITS_WORD = 0.01  # a projection whose scale is this near to 1 is taken at its word, as national grids and UTM are
MERCATOR_AT_ITS_WORD = 0.006  # the same for the cosine of the latitude, which leaves out the ellipsoid
LEANING_DEG = 12.0  # ground pixels that lean more are refused
VARYING = 0.05  # of the pixel size over the map: said above this
TURNED_DEG = 1.0
WGS84 = (6378137.0, 298.257223563)  # semi-major axis in m, inverse flattening


@dataclass(frozen=True, kw_only=True)
class Georeference:
    """Where a raster lies: crs as WKT ("" where the file names none) and the transform from (column, row) to its coordinates."""

    crs: str
    transform: Affine

    @property
    def attributes(self) -> dict[str, object]:
        """As an Array carries it: JSON values."""
        return {"crs": self.crs, "transform": [float(value) for value in self.transform[:6]]}


def from_attributes(attributes: dict) -> Georeference | None:
    """What Georeference.attributes wrote; None where the array has no georeference."""
    transform = attributes.get("transform")
    if not isinstance(transform, (list, tuple)) or len(transform) != 6:
        return None
    return Georeference(crs=str(attributes.get("crs", "")), transform=Affine(*map(float, transform)))


@dataclass(frozen=True, kw_only=True)
class GroundPixel:
    """A pixel on the ground: width_m along its row, height_m along its column, and by how many degrees its corner is off square."""

    width_m: float
    height_m: float
    leaning_deg: float = 0.0


def pixel_on_ground(georeference: Georeference, shape: tuple[int, int]) -> GroundPixel | None:
    """A pixel at the middle of the raster; None where the file does not tell.

    Degrees (or grads) are measured on the ellipsoid of the coordinate system. The scale of a projection is computed from its
    definition by PROJ; where it is within 1 % of what it says, as in UTM and national grids, it is taken at its word. Raises
    InvalidInput where the raster lies outside of its coordinate system.
    """
    transform = georeference.transform
    width, height = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    if not georeference.crs:
        return None if looks_like_degrees(transform, shape) else GroundPixel(width_m=width, height_m=height)
    crs = rasterio.crs.CRS.from_wkt(georeference.crs)
    x, y = transform * (shape[1] / 2, shape[0] / 2)
    if crs.is_geographic:
        degrees = _degrees(georeference.crs)
        along_parallel, along_meridian = _metres_per_degree(crs.to_wkt(), y * degrees)
        east, north = along_parallel * degrees, along_meridian * degrees
        return _measured((transform.a * east, transform.d * north), (transform.b * east, transform.e * north))
    if not crs.is_projected:
        unit_m = _linear_unit(georeference.crs)
        return GroundPixel(width_m=width * unit_m, height_m=height * unit_m)
    exact = _projected(georeference, x, y)
    return _at_its_word(crs, (x, y), width, height, exact)


def _at_its_word(
    crs: rasterio.crs.CRS, place: tuple[float, float], width: float, height: float, exact: GroundPixel | None
) -> GroundPixel:
    """The nominal size where the exact one is next to it: files of national grids say 25 m and mean it."""
    unit_m = float(crs.linear_units_factor[1])
    shrink = _mercator_shrink(crs, *place)
    nominal = GroundPixel(width_m=width * unit_m * shrink, height_m=height * unit_m * shrink)
    if exact is None:
        return nominal
    tolerance = AT_ITS_WORD if shrink == 1.0 else MERCATOR_AT_ITS_WORD
    off = max(abs(exact.width_m / nominal.width_m - 1.0), abs(exact.height_m / nominal.height_m - 1.0))
    return nominal if off <= tolerance else exact


def _measured(along_row: tuple[float, float], along_column: tuple[float, float]) -> GroundPixel:
    """From a pixel's two sides as (east, north) vectors in metres."""
    width, height = math.hypot(*along_row), math.hypot(*along_column)
    dot = (along_row[0] * along_column[0] + along_row[1] * along_column[1]) / (width * height)
    leaning = abs(math.degrees(math.asin(max(-1.0, min(1.0, dot)))))
    return GroundPixel(width_m=width, height_m=height, leaning_deg=leaning)


def _projected(georeference: Georeference, x: float, y: float) -> GroundPixel | None:
    """A pixel's sides from two short steps, taken back to longitude and latitude on the projection's own ellipsoid."""
    base = units.base_geographic(rasterio.crs.CRS.from_wkt(georeference.crs).to_wkt())
    if not base:
        return None
    transform = georeference.transform
    steps = ((transform.a, transform.d), (transform.b, transform.e))
    xs = [x + sign * dx for dx, _ in steps for sign in (-1, 1)]
    ys = [y + sign * dy for _, dy in steps for sign in (-1, 1)]
    try:
        geographic = rasterio.crs.CRS.from_wkt(base)
        found: Any = rasterio.warp.transform(
            rasterio.crs.CRS.from_wkt(units.horizontal(georeference.crs)), geographic, xs, ys
        )
        lon, lat = found  # two lists, as no heights are given
    except Exception:  # GDAL's errors are private classes of rasterio's, without a common public base
        lon = lat = [math.nan] * 4
    degrees = _degrees(base)
    if not np.isfinite([*lon, *lat]).all() or max(map(abs, lat)) * degrees > 90.001:
        raise InvalidInput(
            "The middle of the map lies outside of its coordinate system.",
            hint="Is its coordinate system, or its corner, the right one? --pixel-size gives the metres per pixel.",
        )
    sides = []
    for first in (0, 2):
        turn = (lon[first + 1] - lon[first]) * degrees
        turn -= 360.0 * round(turn / 360.0)
        along_parallel, along_meridian = _metres_per_degree(base, (lat[first] + lat[first + 1]) / 2 * degrees)
        sides.append((turn * along_parallel / 2, (lat[first + 1] - lat[first]) * degrees * along_meridian / 2))
    return _measured(*sides)


def varies(georeference: Georeference, shape: tuple[int, int], middle: GroundPixel) -> tuple[float, float] | None:
    """The smallest and the largest pixel over the map, in parts of the middle's, where they differ by more than 5 %."""
    parts = [1.0]
    for down, right in ((-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5)):
        moved = Affine.translation(right * shape[1], down * shape[0])
        try:
            there = pixel_on_ground(replace(georeference, transform=georeference.transform * moved), shape)
        except InvalidInput:
            continue
        if there is not None:
            parts += [there.width_m / middle.width_m, there.height_m / middle.height_m]
    low, high = min(parts), max(parts)
    return (low, high) if high - low > VARYING else None


def looks_like_degrees(transform: Affine, shape: tuple[int, int]) -> bool:
    """Whether a map without a coordinate system lies within the globe in degrees or grads, with pixels of a globe's map."""
    corners = [transform * corner for corner in ((0, 0), (shape[1], 0), (0, shape[0]), (shape[1], shape[0]))]
    if max(abs(x) for x, _ in corners) > 400.0 or max(abs(y) for _, y in corners) > 100.1:
        return False
    pixel = max(math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e))
    local = min(abs(x) + abs(y) for x, y in corners) < 1e-6 * pixel
    return pixel < DEGREES_WITHOUT_CRS or (pixel <= COARSE_DEGREES and not local)


def in_degrees_m(transform: Affine, shape: tuple[int, int]) -> tuple[float, float]:
    """(width, height) in metres of a pixel at the middle of a map that is in degrees of WGS 84."""
    latitude = (transform * (shape[1] / 2, shape[0] / 2))[1]
    along_parallel, along_meridian = _metres_per_degree("", latitude)
    return math.hypot(transform.a, transform.d) * along_parallel, math.hypot(transform.b, transform.e) * along_meridian


def _metres_per_degree(wkt: str, latitude_deg: float) -> tuple[float, float]:
    """Length of a degree along the parallel and along the meridian, from the two radii of curvature of the ellipsoid."""
    found = re.search(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",\s*([0-9.eE+]+),\s*([0-9.eE+]+)', wkt)
    axis_m, inverse_flattening = (float(found[1]), float(found[2])) if found else WGS84
    flattening = 1.0 / inverse_flattening if inverse_flattening else 0.0  # 0 is WKT for a sphere
    eccentricity2 = flattening * (2.0 - flattening)
    latitude = math.radians(max(-89.9, min(89.9, latitude_deg)))
    w2 = 1.0 - eccentricity2 * math.sin(latitude) ** 2
    prime_vertical_m = axis_m / math.sqrt(w2)
    meridian_m = axis_m * (1.0 - eccentricity2) / w2**1.5
    return math.radians(prime_vertical_m * math.cos(latitude)), math.radians(meridian_m)


def _degrees(wkt: str) -> float:
    """Degrees per unit of longitude and latitude: 1, or 0.9 for the grads of old French maps."""
    geographic = units.base_geographic(wkt) or wkt
    found = re.findall(r'\b(?:ANGLE)?UNIT\["[^"]*",\s*([0-9.eE+-]+)', geographic)
    degrees = math.degrees(float(found[-1])) if found else 1.0
    return 1.0 if abs(degrees - 1.0) < 1e-9 else degrees  # a degree is written with 15 digits


def _linear_unit(wkt: str) -> float:
    """Metres per unit of a local coordinate system."""
    found = re.findall(r'\b(?:LENGTH)?UNIT\["[^"]*",\s*([0-9.eE+-]+)', units.horizontal(wkt))
    return float(found[-1]) if found else 1.0


def _mercator_shrink(crs: rasterio.crs.CRS, x: float, y: float) -> float:
    projection = re.search(r'PROJECTION\["([^"]*)"', crs.to_wkt())
    name = projection[1].lower() if projection else ""
    if "mercator" not in name or "transverse" in name or "oblique" in name:
        return 1.0
    latitudes = rasterio.warp.transform(crs, rasterio.crs.CRS.from_epsg(4326), [x], [y])[1]
    return math.cos(math.radians(latitudes[0]))


def north_up(values: np.ndarray, georeference: Georeference) -> tuple[np.ndarray, Georeference]:
    """The same raster with its first row in the north and its first column in the west, as nearly as quarter turns and mirroring
    go. values: [H, W].
    """
    transform = georeference.transform
    rows, columns = values.shape
    if abs(transform.b) + abs(transform.d) > abs(transform.a) + abs(transform.e):  # columns run north or south
        values, transform = values.T, transform * Affine(0, 1, 0, 1, 0, 0)
        rows, columns = columns, rows
    if transform.a < 0:
        values, transform = values[:, ::-1], transform * Affine.translation(columns, 0) * Affine.scale(-1, 1)
    if transform.e > 0:
        values, transform = values[::-1], transform * Affine.translation(0, rows) * Affine.scale(1, -1)
    if transform == georeference.transform:
        return values, georeference
    return np.ascontiguousarray(values), replace(georeference, transform=transform)


def turned_deg(georeference: Georeference) -> float:
    """By how many degrees, counter-clockwise, the rows of a north_up() raster are turned against its coordinate system's east."""
    return math.degrees(math.atan2(georeference.transform.d, georeference.transform.a))


def square_shape(shape: tuple[int, int], sides_m: tuple[float, float]) -> tuple[tuple[int, int], float]:
    """The shape with square pixels, and their size in metres: the coarser of the two sides, so that no detail is invented."""
    width_m, height_m = sides_m
    if abs(width_m / height_m - 1.0) <= SQUARE_TOLERANCE:
        return shape, math.sqrt(width_m * height_m)
    side_m = max(width_m, height_m)
    rows, columns = max(1, round(shape[0] * height_m / side_m)), max(1, round(shape[1] * width_m / side_m))
    return (rows, columns), side_m


def resample(values: np.ndarray, georeference: Georeference, shape: tuple[int, int]) -> tuple[np.ndarray, Georeference]:
    """The raster on another number of rows and columns over the same ground: cubic, widened where it shrinks (no aliasing).

    values: float32 [H, W], NaN where there is no data.
    """
    stretch = Affine.scale(values.shape[1] / shape[1], values.shape[0] / shape[0])
    target = replace(georeference, transform=georeference.transform * stretch)
    out = np.empty(shape, np.float32)
    # one made-up plane for both sides: only the grid changes, so the coordinate system has no part in it
    plane = rasterio.crs.CRS.from_epsg(3857)
    rasterio.warp.reproject(
        values,
        out,
        src_transform=Affine.identity(),
        dst_transform=stretch,
        src_crs=plane,
        dst_crs=plane,
        src_nodata=np.nan,
        dst_nodata=np.nan,
        resampling=Resampling.cubic,
        num_threads=1,
    )
    logger.info("Resampled %d x %d to %d x %d for square pixels.", *values.shape, *shape)
    return out, target
