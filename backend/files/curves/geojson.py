"""Lines from GeoJSON (RFC 7946): LineString and MultiLineString, alone, in collections, or in features with properties.

Where coordinates lie on the map, in this order: by the file's own member "map_extent"; by the coordinate system of the map, which
another input of the run may have; else they are shares of the map, 0 to 1, y up.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from backend.files.curves.features import NotALine, numbers_of, type_of
from backend.files.kinds import Reading
from shared.arrays import Array
from shared.curves import TYPES, Line
from shared.errors import InvalidInput
from shared.read_files import MIB, parse_json, read_bytes

logger = logging.getLogger(__name__)

MOST_BYTES = 256 * MIB
DEEPEST = 12  # levels of JSON: a collection of features with MultiLineStrings has seven
EXTENT = "map_extent"

Place = Callable[[np.ndarray], np.ndarray]  # the file's x and y [n, 2] -> shares of the map, y down


def lines(path: Path, reading: Reading) -> list[Line]:
    """The file's lines, in shares of the map. Raises InvalidInput."""
    port = reading.port.name
    try:
        document = parse_json(read_bytes(path, field=port, most=MOST_BYTES), deepest=DEEPEST)
        if not isinstance(document, dict):
            raise NotALine("its top is no object")
        place = _place(document, reading.ground)
        return _lines(document, place, path)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise InvalidInput(
            f"{path} is not GeoJSON of lines ({error}).",
            hint="It takes LineString features with a property type: " + ", ".join(TYPES) + ".",
            field=port,
        ) from error


def text_of(given: list[Line]) -> str:
    """A FeatureCollection in shares of the map."""
    features = []
    for line in given:
        numbers = {"amount_m": line.amount_m, "reach_m": line.reach_m, "slope": line.slope, "strength": line.strength}
        properties: dict[str, Any] = {"type": line.type}
        properties |= {name: value for name, value in numbers.items() if not math.isnan(value)}
        properties["direction"] = "drawn" if line.as_drawn else "downhill"
        points = [[x, 1.0 - y] for x, y in line.points.tolist()]
        for key, values in (("widths_m", line.width_m), ("z_m", line.z_m)):
            own = np.broadcast_to(values, len(points)).astype(np.float64)
            if not np.isnan(own).all():
                properties[key] = [None if math.isnan(value) else value for value in own.tolist()]
        geometry = {"type": "LineString", "coordinates": points}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    document = {"type": "FeatureCollection", EXTENT: [0, 0, 1, 1], "features": features}
    return json.dumps(document, separators=(",", ":")) + "\n"


# Where coordinates lie -----------------------------------------------------------------------------------------------


def _place(document: dict[str, Any], ground: Array | None) -> Place:
    if EXTENT in document:
        left, bottom, right, top = map(float, document[EXTENT])
        if not (left < right and bottom < top and all(map(math.isfinite, (left, bottom, right, top)))):
            raise NotALine(f"{EXTENT} is {document[EXTENT]}; it is [left, bottom, right, top] of the map")
        low, size = np.array([left, top]), np.array([right - left, bottom - top])
        return lambda points: (points - low) / size
    transform = ground.attributes.get("transform") if ground is not None else None
    if ground is None or not isinstance(transform, (list, tuple)) or len(transform) != 6:
        return lambda points: np.stack([points[:, 0], 1.0 - points[:, 1]], axis=1)
    return _georeferenced(ground, document)


def _georeferenced(ground: Array, document: dict[str, Any]) -> Place:
    """Longitude and latitude, or the file's own system, to the map's; a map that names no system shares the file's."""
    from affine import Affine

    back = ~Affine(*map(float, ground.attributes["transform"]))
    matrix = np.array([[back.a, back.d], [back.b, back.e]])
    offset, sides = np.array([back.c, back.f]), np.array(ground.values.shape[1::-1], np.float64)
    crs = str(ground.attributes.get("crs", ""))
    if not crs:
        return lambda points: (points @ matrix + offset) / sides
    import rasterio.crs
    import rasterio.warp

    named = document.get("crs")
    name = named["properties"]["name"] if isinstance(named, dict) else "OGC:CRS84"
    try:
        own, its = rasterio.crs.CRS.from_user_input(str(name)), rasterio.crs.CRS.from_wkt(crs)
    except Exception as error:  # GDAL's errors are private classes of rasterio's, without a common public base
        raise NotALine(f"its coordinate system {name!r} is not known") from error

    def place(points: np.ndarray) -> np.ndarray:
        if "CRS84" in str(name) or own.is_geographic:
            _check_degrees(points)
        try:
            x, y = rasterio.warp.transform(own, its, points[:, 0], points[:, 1])[:2]
        except Exception as error:
            raise NotALine(f"its coordinates are none of {name}: {error}") from error
        return (np.stack([x, y], axis=1) @ matrix + offset) / sides

    return place


def _check_degrees(points: np.ndarray) -> None:
    if np.isfinite(points).all() and (np.abs(points) > (540.0, 90.0)).any():
        bad = points[(np.abs(points) > (540.0, 90.0)).any(axis=1)][0]
        raise NotALine(f"({bad[0]:g}, {bad[1]:g}) is no longitude and latitude, and the map is georeferenced")


# Features ------------------------------------------------------------------------------------------------------------


def _lines(document: dict[str, Any], place: Place, path: Path) -> list[Line]:
    made: list[Line] = []
    others, without = 0, 0
    for number, (geometry, properties) in enumerate(_features(document), 1):
        courses = _courses(geometry)
        if courses is None:
            others += 1
            continue
        try:
            kind, numbers = type_of(properties), numbers_of(properties)
        except NotALine as error:
            raise NotALine(f"feature {number}: {error}") from error
        without += not kind
        made += [_line(kind, course, place, properties, numbers) for course in courses if kind and len(course) > 1]
    _tell(len(made), others, without, path)
    return made


def _line(kind: str, course: list[Any], place: Place, properties: dict[str, Any], numbers: dict[str, Any]) -> Line:
    points = np.array([point[:2] for point in course], np.float64).reshape(len(course), 2)
    numbers = dict(numbers)
    for key, name in (("widths_m", "width_m"), ("z_m", "z_m")):
        values = properties.get(key)
        if values is not None:
            if not isinstance(values, list) or len(values) != len(course):
                raise NotALine(f"{key} is not a list of one number per point")
            numbers[name] = np.array([np.nan if value is None else value for value in values], np.float64)
    if properties.get("use_z"):
        numbers["z_m"] = np.array([point[2] if len(point) > 2 else np.nan for point in course], np.float64)
    return Line(type=kind, points=place(points), **numbers)


def _tell(lines: int, others: int, without: int, path: Path) -> None:
    if not lines:
        reason = f"{without} lines without a type" if without else f"{others} points and areas, and no line"
        raise NotALine(f"it has {reason if without or others else 'no features'}")
    if others:
        logger.warning("%d points and areas of %s are left out: only lines are taken.", others, path)
    if without:
        logger.warning("%d lines of %s have no type that is known and are left out.", without, path)


def _features(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every geometry with the properties of its feature."""
    kind = document.get("type")
    if kind == "FeatureCollection":
        for feature in document.get("features", ()):
            yield from _features(feature)
    elif kind == "Feature":
        if document.get("geometry") is not None:
            for geometry, _ in _features(document["geometry"]):
                yield geometry, document.get("properties") or {}
    elif kind == "GeometryCollection":
        for geometry in document.get("geometries", ()):
            yield from _features(geometry)
    else:
        yield document, {}


def _courses(geometry: dict[str, Any]) -> list[list[Any]] | None:
    """The lists of points of a geometry; None for one that is no line. Raises NotALine for no geometry at all."""
    kind = geometry.get("type")
    if kind == "LineString":
        return [geometry["coordinates"]]
    if kind == "MultiLineString":
        return list(geometry["coordinates"])
    if kind in ("Point", "MultiPoint", "Polygon", "MultiPolygon"):
        return None
    raise NotALine(f"{kind!r} is no geometry")
