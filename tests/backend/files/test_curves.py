"""Lines from GeoJSON and SVG: where they lie on the map, what they are, and what is refused with which sentence."""

from __future__ import annotations

import itertools
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.crs import CRS

from backend.files import kinds
from backend.files.curves import svg_paths
from shared.algorithm import Port
from shared.arrays import CURVES, HEIGHT_MAP, Array
from shared.curves import Line, lines_of, rows_of
from shared.errors import InvalidInput

PORT = Port(name="curves", kind=CURVES, label="Curves", help="")
UTM32 = (
    'PROJCS["WGS 84 / UTM zone 32N",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",9],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def read(path: Path, ground: Array | None = None) -> list[Line]:
    return lines_of(kinds.read(path, kinds.Reading(port=PORT, ground=ground)).values)


def feature(coordinates: Any, geometry: str = "LineString", **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": geometry, "coordinates": coordinates}}


def geojson(folder: Path, *features: dict[str, Any], **members: Any) -> Path:
    path = folder / "lines.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **members}))
    return path


def svg(folder: Path, content: str, box: str = 'viewBox="0 0 200 100"') -> Path:
    path = folder / "lines.svg"
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{content}</svg>')
    return path


def map_with(**attributes: Any) -> Array:
    return Array(HEIGHT_MAP, np.zeros((100, 200), np.float32), {"pixel_size_m": 10.0, **attributes})


# GeoJSON -------------------------------------------------------------------------------------------------------------


def test_without_an_extent_coordinates_are_shares_with_y_up(tmp_path: Path) -> None:
    (line,) = read(geojson(tmp_path, feature([[0.25, 1.0], [0.5, 0.25, 99.0]], type="river", width_m=12)))
    np.testing.assert_allclose(line.points, [[0.25, 0.0], [0.5, 0.75]], atol=1e-7)
    assert line.type == "river"
    np.testing.assert_array_equal(line.width_m, 12.0)
    assert np.isnan(line.z_m).all(), "heights are taken only on request"


def test_the_files_extent_is_the_map(tmp_path: Path) -> None:
    extent = [1000, 5000, 3000, 6000]
    given = feature(
        [[1500, 5750, 12.0], [3000, 5000, 8.0]], type="road", use_z=True, slope_percent=6, direction="drawn"
    )
    (line,) = read(geojson(tmp_path, given, map_extent=extent), map_with(crs=UTM32, transform=[1, 0, 0, 0, -1, 0]))
    np.testing.assert_allclose(line.points, [[0.25, 0.25], [1.0, 1.0]], atol=1e-6)
    np.testing.assert_array_equal(line.z_m, [12.0, 8.0])
    assert line.slope == pytest.approx(0.06)
    assert line.as_drawn


def test_longitude_and_latitude_find_a_georeferenced_map(tmp_path: Path) -> None:
    """Zone 32's central meridian at 46.5 degrees north is at (500000, 5149603) in UTM."""
    ground = map_with(crs=UTM32, transform=[10.0, 0.0, 499000.0, 0.0, -10.0, 5150000.0])
    given = [[9.0, 46.5], [9.005, 46.5]]
    (line,) = read(geojson(tmp_path, feature(given, waterway="river", width="15 m")), ground)
    row = (5150000.0 - 5149603.0) / 10.0 / 100
    np.testing.assert_allclose(line.points[0], [0.5, row], atol=1e-3)
    assert 0.15 < line.points[1, 0] - line.points[0, 0] < 0.25
    in_utm = feature([[499500.0, 5149500.0], [500500.0, 5149500.0]], type="ridge")
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    (line,) = read(geojson(tmp_path, in_utm, crs=crs), ground)
    np.testing.assert_allclose(line.points, [[0.25, 0.5], [0.75, 0.5]], atol=1e-6)
    with pytest.raises(InvalidInput, match="no longitude and latitude"):
        read(geojson(tmp_path, in_utm), ground)


def test_a_map_without_a_coordinate_system_shares_the_files(tmp_path: Path) -> None:
    ground = map_with(transform=[10.0, 0.0, 5000.0, 0.0, -10.0, 2000.0])
    (line,) = read(geojson(tmp_path, feature([[5500, 1500], [6500, 1500]], type="cliff")), ground)
    np.testing.assert_allclose(line.points, [[0.25, 0.5], [0.75, 0.5]], atol=1e-6)


def test_the_tags_of_openstreetmap_are_types(tmp_path: Path) -> None:
    ends = [[0, 0], [1, 1]]
    tags = [
        {"waterway": "stream"},
        {"natural": "coastline"},
        {"natural": "arete"},
        {"natural": "cliff"},
        {"highway": "track"},
    ]
    found = read(geojson(tmp_path, *(feature(ends, **entry) for entry in tags)))
    assert [line.type for line in found] == ["river", "coast", "ridge", "cliff", "road"]


def test_parts_collections_and_bare_geometries(tmp_path: Path) -> None:
    parts = feature([[[0, 0], [1, 1]], [[0, 1], [1, 0]], [[0.5, 0.5]]], "MultiLineString", type="river")
    collection = {
        "type": "Feature",
        "properties": {"type": "road"},
        "geometry": {
            "type": "GeometryCollection",
            "geometries": [parts["geometry"], {"type": "Point", "coordinates": [0, 0]}],
        },
    }
    assert [line.type for line in read(geojson(tmp_path, parts, collection))] == ["river", "river", "road", "road"]


def test_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = [
        feature([[0.1, 0.1], [0.9, 0.9]], type="river"),
        feature([[-0.1, 0.1], [0.9, 0.9]], type="road"),
        feature([[5.0, 5.0], [6.0, 5.0]], type="road"),
        feature([[0, 0], [1, 1]], power="line"),
        feature([[[0, 0], [1, 1], [1, 0], [0, 0]]], "Polygon", type="coast"),
    ]
    with caplog.at_level(logging.WARNING):
        assert [line.type for line in read(geojson(tmp_path, *given))] == ["river", "road"]
    said = caplog.text
    for part in ("1 points and areas", "1 lines of", "1 of 3 lines", "1 lines of", "end at its edge"):
        assert part in said


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "not GeoJSON"),
        ("[]", "its top is no object"),
        ("{}", "None is no geometry"),
        ('{"type": "FeatureCollection", "features": []}', "no features"),
        (json.dumps(feature([[[0, 0], [1, 1], [1, 0], [0, 0]]], "Polygon", type="coast")), "1 points and areas, and no line"),
        (json.dumps(feature([[0, 0], [1, 1]])), "1 lines without a type"),
        (json.dumps(feature([[0, 0], [1, 1]], type="creek")), "feature 1: 'creek' is no type of line; there are river, ridge"),
        (json.dumps(feature([[0, 0], [1, 1]], type="road", slope="steep")), "slope is 'steep', which is no number"),
        (json.dumps(feature([[0, 0], [1, 1]], type="road", direction="up")), "direction is 'up'; it is drawn or downhill"),
        (json.dumps(feature([[0, 0], [1, 1]], type="road", width_m=-3)), "width_m from -3"),
        (json.dumps(feature([[0, 0], [float("nan"), 1]], type="road")), "nowhere"),
        (json.dumps(feature([[0, 0], ["east", 1]], type="road")), "not GeoJSON"),
        (json.dumps(feature([[7.6, 46.0], [7.7, 46.1]], type="road")), "None of the 1 lines .* from 7.6 to 7.7 of its width"),
        (json.dumps({**feature([[0, 0], [1, 1]], type="road"), "map_extent": [0, 0, 0, 1]}), "left, bottom, right, top"),
        ('{"a":' * 5000 + "0" + "}" * 5000, "nested"),
    ],
)  # fmt: skip
def test_geojson_that_is_none_is_refused(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "lines.geojson").write_text(content)
    with pytest.raises(InvalidInput, match=sentence):
        read(tmp_path / "lines.geojson")


# SVG -----------------------------------------------------------------------------------------------------------------


def test_lines_of_a_drawing_in_its_view_box(tmp_path: Path) -> None:
    content = (
        '<g id="Rivers" data-width-m="30"><path d="M 20,10 l 40 0 v 40"/></g>'
        '<polyline class="main road" points="0,0 200,100" data-direction="drawn" data-slope="0.1"/>'
        '<g transform="translate(100 0) scale(2)" xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"'
        ' inkscape:label="cliff 1"><line x1="0" y1="0" x2="25" y2="25"/></g>'
        '<polygon points="0,0 10,0 10,10" style="fill:none;stroke:#00f8ff"/>'
        '<path d="M0 0L9 9" stroke="orange"/>'
        '<rect id="river-box" width="4" height="4"/><defs><path id="river0" d="M0 0L9 9"/></defs>'
    )
    found = read(svg(tmp_path, content))
    assert [line.type for line in found] == ["river", "road", "cliff", "coast", "ridge"]
    np.testing.assert_allclose(found[0].points, [[0.1, 0.1], [0.3, 0.1], [0.3, 0.5]], atol=1e-6)
    np.testing.assert_array_equal(found[0].width_m, 30.0)
    assert found[1].as_drawn
    assert found[1].slope == pytest.approx(0.1)
    np.testing.assert_allclose(found[2].points, [[0.5, 0.0], [0.75, 0.5]], atol=1e-6)
    np.testing.assert_allclose(found[3].points[[0, -1]], 0.0)


def test_the_view_box_may_be_the_size(tmp_path: Path) -> None:
    (line,) = read(svg(tmp_path, '<path class="river" d="M0 0H50"/>', 'width="100px" height="50"'))
    np.testing.assert_allclose(line.points, [[0, 0], [0.5, 0]])


def test_curves_and_arcs_of_path_data() -> None:
    (quarter,) = svg_paths.path("M10 0A10 10 0 0 1 0 10")
    np.testing.assert_allclose(np.hypot(*quarter.T), 10.0, atol=1e-9)
    assert (quarter >= -1e-9).all()
    (packed,) = svg_paths.path("M10 0a10 10 0 01-10 10")
    np.testing.assert_allclose(packed, quarter, atol=1e-9)
    (large,) = svg_paths.path("M10 0A10 10 0 1 1 0 -10")
    assert large[:, 0].min() == pytest.approx(-10.0, abs=0.1)
    cubic, smooth = svg_paths.path("M0 0C0 1 1 1 1 0M0 0C0 1 1 1 1 0S2-1 2 0")
    assert cubic[12] == pytest.approx([0.5, 0.75])
    assert smooth[36] == pytest.approx([1.5, -0.75])
    (quadratic,) = svg_paths.path("m0 0q1 2 2 0t2 0")
    assert quadratic[12] == pytest.approx([1.0, 1.0])
    assert quadratic[36] == pytest.approx([3.0, -1.0])
    first, second = svg_paths.path("M0,0 1,0 1,1z m5 5 1e0,.5")
    np.testing.assert_array_equal(first, [[0, 0], [1, 0], [1, 1], [0, 0]])
    np.testing.assert_array_equal(second, [[5, 5], [6, 5.5]])
    np.testing.assert_allclose(svg_paths.matrix("rotate(90 1 1)") @ [2, 1, 1], [1, 2, 1], atol=1e-12)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "no lines"),
        ('<path d="M0 0L1 1"/>', "1 lines of no known type"),
        ('<path class="river" d="M0 0L1"/>', "1 numbers after 'L'; it takes 2"),
        ('<path class="river" d="M0 0 L n 1"/>', "'n' after 'L'"),
        ('<path class="river" d="10 0"/>', "begins with '10 0'"),
        ('<g transform="shear(1)"><path class="river" d="M0 0L1 1"/></g>', "the transform 'shear"),
        ('<path class="river" d="M0 0L1 1" data-width-m="wide"/>', "width_m is 'wide'"),
        ("<g>" * 300 + "</g>" * 300, "nested more than 200"),
        ("<g>", "mismatched tag"),
        ('<path class="river" d="M900 900L990 990"/>', "lies on the map"),
    ],
)
def test_drawings_that_hold_no_lines_are_refused(content: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read(svg(tmp_path, content))


def test_a_drawing_with_entities_is_refused_before_they_grow(tmp_path: Path) -> None:
    grown = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in itertools.pairwise("abcdefghi"))
    entities = f'<!ENTITY a "aaaaaaaaaa">{grown}'
    (tmp_path / "bomb.svg").write_text(f'<?xml version="1.0"?><!DOCTYPE svg [{entities}]><svg><text>&i;</text></svg>')
    with pytest.raises(InvalidInput, match="document type declaration"):
        read(tmp_path / "bomb.svg")


def test_a_pipe_and_another_ending_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lines.svg")
    with pytest.raises(InvalidInput, match="pipe"):
        read(tmp_path / "lines.svg")
    (tmp_path / "lines.shp").write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"read from .geojson, .json, .svg"):
        read(tmp_path / "lines.shp")


# Rivers that engines make --------------------------------------------------------------------------------------------

RIVER = Line(
    type="river",
    points=np.array([[0.125, 0.25], [0.5, 0.5], [0.75, 0.9375]]),
    z_m=np.array([812.5, 700.0, 655.25]),
    width_m=np.array([2.0, 4.0, 4.0]),
    drained_m2=np.array([1e6, 4e6, 4e6]),
    as_drawn=True,
)


def written(folder: Path, *lines: Line, **attributes: Any) -> tuple[Path, dict[str, Any]]:
    path = folder / "rivers.geojson"
    array = Array(CURVES, rows_of(lines), {"map_size_px": [200, 100], **attributes})
    kinds.write(array, path, kinds.Writing(format="geojson"))
    return path, json.loads(path.read_text())


def same(found: Line, expected: Line, atol: float) -> None:
    np.testing.assert_allclose(found.points, expected.points, atol=atol)
    for name in ("z_m", "width_m", "drained_m2"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.as_drawn


def test_rivers_of_a_georeferenced_map_are_written_in_its_coordinates(tmp_path: Path) -> None:
    placed: dict[str, Any] = {"crs": UTM32, "transform": [10.0, 0.0, 499000.0, 0.0, -10.0, 5150000.0]}
    path, document = written(tmp_path, RIVER, **placed)
    assert document["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32632"
    (given,) = document["features"]
    np.testing.assert_allclose(given["geometry"]["coordinates"][0], [499250.0, 5149750.0, 812.5])
    told = given["properties"]
    assert (told["width_m"], told["area_km2"], told["discharge_m3_s"]) == (4.0, 4.0, 0.04)
    same(read(path)[0], RIVER, atol=1e-7)  # a map that knows no coordinates: by the file's extent
    same(read(path, map_with(**placed))[0], RIVER, atol=1e-6)
    wider = map_with(crs=UTM32, transform=[20.0, 0.0, 499000.0, 0.0, -20.0, 5150000.0])
    np.testing.assert_allclose(read(path, wider)[0].points, RIVER.points / 2, atol=1e-6)


def test_rivers_of_a_map_in_degrees_are_longitude_and_latitude(tmp_path: Path) -> None:
    placed: dict[str, Any] = {"crs": CRS.from_epsg(4326).to_wkt(), "transform": [0.001, 0.0, 8.5, 0.0, -0.001, 46.5]}
    path, document = written(tmp_path, RIVER, **placed)
    assert document["crs"]["properties"]["name"].endswith("CRS84")
    np.testing.assert_allclose(document["features"][0]["geometry"]["coordinates"][0][:2], [8.525, 46.475])
    same(read(path, map_with(**placed))[0], RIVER, atol=1e-6)


def test_rivers_of_a_map_without_a_system_are_written_in_its_coordinates(tmp_path: Path) -> None:
    path, document = written(tmp_path, RIVER, crs="", transform=[5.0, 0.0, 0.0, 0.0, -5.0, 1000.0])
    assert "crs" not in document
    np.testing.assert_allclose(document["features"][0]["geometry"]["coordinates"][0][:2], [125.0, 875.0])
    same(read(path)[0], RIVER, atol=1e-7)


def test_rivers_of_other_maps_are_shares(tmp_path: Path) -> None:
    path, document = written(tmp_path, RIVER)
    assert document["map_extent"] == [0, 0, 1, 1]
    same(read(path)[0], RIVER, atol=0.0)


def test_a_map_without_rivers_writes_a_file_without_lines(tmp_path: Path) -> None:
    path, document = written(tmp_path)
    assert document["features"] == []
    with pytest.raises(InvalidInput, match="it has no features"):
        read(path)
