"""From a file's coordinate system to metres on square pixels.

A height map here has one pixel size in metres. Files have degrees, feet, or pixels wider than high: those are resampled, and the
georeference is kept true, so that a result can be laid over the file that it came from. No file is opened here.
"""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass, replace

import numpy as np
import rasterio.crs
import rasterio.warp
from affine import Affine
from rasterio.enums import Resampling

logger = logging.getLogger(__name__)

SQUARE_TOLERANCE = 0.002  # sides that differ by less are one side: below a pixel over 500
DEGREES_WITHOUT_CRS = 0.05  # a pixel this small, inside the globe's bounds, is most likely in degrees
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


def pixel_sides_m(georeference: Georeference, shape: tuple[int, int]) -> tuple[float, float] | None:
    """Ground length in metres of a pixel's (width, height) at the middle of the raster; None where the file does not tell.

    Degrees are measured on the ellipsoid of the coordinate system, Mercator's metres are shortened by the cosine of the latitude,
    other projections are taken at their word: their scale is true within a few parts in 1000.
    """
    transform = georeference.transform
    width, height = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    if not georeference.crs:
        return None if _looks_like_degrees(transform, shape) else (width, height)
    crs = rasterio.crs.CRS.from_wkt(georeference.crs)
    column, row = shape[1] / 2, shape[0] / 2
    x = transform.a * column + transform.b * row + transform.c
    y = transform.d * column + transform.e * row + transform.f
    if crs.is_geographic:
        along_parallel, along_meridian = _metres_per_degree(crs.to_wkt(), y)
        return width * along_parallel, height * along_meridian
    unit_m = float(crs.linear_units_factor[1]) if crs.is_projected else 1.0
    shrink = _mercator_shrink(crs, x, y)
    return width * unit_m * shrink, height * unit_m * shrink


def _looks_like_degrees(transform: Affine, shape: tuple[int, int]) -> bool:
    right, bottom = transform.c + transform.a * shape[1], transform.f + transform.e * shape[0]
    on_globe = max(abs(transform.c), abs(right)) <= 360 and max(abs(transform.f), abs(bottom)) <= 90.1
    return on_globe and abs(transform.a) < DEGREES_WITHOUT_CRS


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


def _mercator_shrink(crs: rasterio.crs.CRS, x: float, y: float) -> float:
    projection = re.search(r'PROJECTION\["([^"]*)"', crs.to_wkt())
    name = projection[1].lower() if projection else ""
    if "mercator" not in name or "transverse" in name or "oblique" in name:
        return 1.0
    latitudes = rasterio.warp.transform(crs, rasterio.crs.CRS.from_epsg(4326), [x], [y])[1]
    return math.cos(math.radians(latitudes[0]))


def north_up(values: np.ndarray, georeference: Georeference) -> tuple[np.ndarray, Georeference]:
    """The same raster with its first row in the north. values: [H, W]."""
    if georeference.transform.e <= 0:
        return values, georeference
    turned = georeference.transform * Affine.translation(0, values.shape[0]) * Affine.scale(1, -1)
    return np.ascontiguousarray(values[::-1]), replace(georeference, transform=turned)


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
