"""Lines from and to GeoJSON (RFC 7946): LineString and MultiLineString, alone, in collections, or in features with properties.

Where coordinates lie on the map, in this order: by the coordinate systems of file and map, where both name one (the map is another
input of the run); by the file's own member "map_extent"; by the coordinate system of the map; else they are shares of the map, 0
to 1, y up.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from backend.files.curves.features import NotALine, numbers_of, type_of
from backend.files.kinds import Reading
from shared.arrays import Array
from shared.curves import DISCHARGE_PER_M2, TYPES, Line
from shared.errors import InvalidInput
from shared.read_files import MIB, parse_json, read_bytes

logger = logging.getLogger(__name__)

MOST_BYTES = 256 * MIB
DEEPEST = 12  # levels of JSON: a collection of features with MultiLineStrings has seven
EXTENT = "map_extent"
LONGITUDE_LATITUDE = (
    "urn:ogc:def:crs:OGC:1.3:CRS84"  # EPSG's own name of it is taken for latitude first by some programs
)

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


def text_of(given: list[Line], attributes: Mapping[str, Any] = MappingProxyType({})) -> str:
    """A FeatureCollection, in the coordinates of the map where attributes (of its Array) have those and its size, else in shares of
    it. Lines with all their heights are three-dimensional."""
    ground = _ground(attributes)
    features = [_feature(line, ground) for line in given]
    document: dict[str, Any] = {"type": "FeatureCollection", **ground.members, "features": features}
    return json.dumps(document, separators=(",", ":")) + "\n"


@dataclass(frozen=True)
class _Ground:
    """Where a map lies: members of the document that say so, and shares of it, y down, to coordinates."""

    members: Mapping[str, Any]
    place: Place


def _ground(attributes: Mapping[str, Any]) -> _Ground:
    transform, size = attributes.get("transform"), attributes.get("map_size_px")
    if transform is None or size is None:
        return _Ground({EXTENT: [0, 0, 1, 1]}, lambda points: np.stack([points[:, 0], 1.0 - points[:, 1]], axis=1))
    from affine import Affine

    given, sides = Affine(*map(float, transform)), np.array(size, np.float64)
    matrix, offset = np.array([[given.a, given.d], [given.b, given.e]]), np.array([given.c, given.f])
    corners = np.array([[0.0, sides[1]], [sides[0], 0.0]]) @ matrix + offset  # lower left, upper right
    members = {} if given.b or given.d else {EXTENT: corners.ravel().tolist()}
    crs = _name_of(str(attributes.get("crs", "")))
    if crs:
        members = {"crs": {"type": "name", "properties": {"name": crs}}, **members}
    return _Ground(members, lambda points: points * sides @ matrix + offset)


def _name_of(crs: str) -> str:
    """The short name of a coordinate system given as WKT, the WKT itself where it has none, "" for none."""
    if not crs:
        return ""
    import rasterio.crs

    code = rasterio.crs.CRS.from_wkt(crs).to_epsg()
    if code == 4326:
        return LONGITUDE_LATITUDE
    return f"urn:ogc:def:crs:EPSG::{code}" if code else crs


def _feature(line: Line, ground: _Ground) -> dict[str, Any]:
    numbers = {"amount_m": line.amount_m, "reach_m": line.reach_m, "slope": line.slope, "strength": line.strength}
    properties: dict[str, Any] = {"type": line.type}
    properties |= {name: value for name, value in numbers.items() if not math.isnan(value)}
    properties["direction"] = "drawn" if line.as_drawn else "downhill"
    points = ground.place(np.asarray(line.points, np.float64))
    per_point = {"widths_m": line.width_m, "z_m": line.z_m, "drained_m2": line.drained_m2}
    lists = {key: np.broadcast_to(values, len(points)).astype(np.float64) for key, values in per_point.items()}
    if np.isfinite(lists["z_m"]).all():
        points, properties["use_z"] = np.column_stack([points, lists.pop("z_m")]), True
    properties |= _at_the_mouth(lists["widths_m"][-1], lists["drained_m2"][-1])
    for key, own in lists.items():
        if not np.isnan(own).all():
            properties[key] = [None if math.isnan(value) else value for value in own.tolist()]
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "LineString", "coordinates": points.tolist()},
    }


def _at_the_mouth(width_m: float, drained_m2: float) -> dict[str, float]:
    """For other programs, one number for a river: its width, drained land and mean discharge where it ends."""
    if math.isnan(drained_m2):
        return {}
    width = {} if math.isnan(width_m) else {"width_m": round(width_m, 3)}
    return width | {
        "area_km2": round(drained_m2 / 1e6, 6),
        "discharge_m3_s": round(drained_m2 * DISCHARGE_PER_M2, 6),
    }


# Where coordinates lie -----------------------------------------------------------------------------------------------


def _place(document: dict[str, Any], ground: Array | None) -> Place:
    transform = ground.attributes.get("transform") if ground is not None else None
    map_of = ground if isinstance(transform, (list, tuple)) and len(transform) == 6 else None
    if map_of is not None and "crs" in document and map_of.attributes.get("crs"):
        return _georeferenced(map_of, document)
    if EXTENT in document:
        left, bottom, right, top = map(float, document[EXTENT])
        if not (left < right and bottom < top and all(map(math.isfinite, (left, bottom, right, top)))):
            raise NotALine(f"{EXTENT} is {document[EXTENT]}; it is [left, bottom, right, top] of the map")
        low, size = np.array([left, top]), np.array([right - left, bottom - top])
        return lambda points: (points - low) / size
    if map_of is None:
        return lambda points: np.stack([points[:, 0], 1.0 - points[:, 1]], axis=1)
    return _georeferenced(map_of, document)


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
    for key, name in (("widths_m", "width_m"), ("z_m", "z_m"), ("drained_m2", "drained_m2")):
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
