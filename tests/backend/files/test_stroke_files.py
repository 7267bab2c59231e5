"""Strokes in files: the drawing covers what the brush covers, and what is damaged is named."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from backend.files import kinds
from backend.files.curves import svg_paths
from backend.files.stroke_outlines import curve_points, path_data
from shared.algorithm import Port
from shared.arrays import STROKES, Array
from shared.errors import InvalidInput
from shared.strokes import COLUMNS, INDEX

CANVAS = {"canvas_width_px": 96, "canvas_height_px": 64}
SVG = "{http://www.w3.org/2000/svg}"


def strokes(count: int, seed: int = 3) -> np.ndarray:
    """Short and long, thin and fat, straight and bent: some are round, some turn back on themselves."""
    rng = np.random.default_rng(seed)
    values = np.zeros((count, len(COLUMNS)), np.float32)
    values[:, :2] = rng.random((count, 2))
    values[:, 4:6] = values[:, :2] + rng.normal(0, 0.25, (count, 2)) * rng.random((count, 1))
    values[:, 2:4] = rng.normal(0.5, 1.0, (count, 2))
    values[:, 6:8] = 0.15 * rng.random((count, 2)) ** 2 + 0.005
    values[:, 8:13] = rng.random((count, 5))
    values[:, 8] *= 0.4
    values[:, 9] = 0.5 + 0.5 * values[:, 9]
    values[:, INDEX["layer"]] = np.sort(rng.integers(0, 3, count))
    values[:, INDEX["segment"]] = rng.integers(-1, 3, count)
    values[:, INDEX["order"]] = np.arange(count)
    values[:, INDEX["red2"] :] = values[:, 10:13]
    return values


def winding(courses: list[np.ndarray], places: np.ndarray) -> np.ndarray:
    """How often closed courses [n, 2] go round each place [m, 2]."""
    total = np.zeros(len(places))
    for course in courses:
        around = course[None] - places[:, None]
        angles = np.unwrap(np.arctan2(around[..., 1], around[..., 0]), axis=1)
        total += (angles[:, -1] - angles[:, 0]) / (2 * np.pi)
    return np.rint(total)


def test_the_outline_is_what_the_brush_covers() -> None:
    values = strokes(160)
    values[0, 4:6] = values[0, :2]  # a dot
    values[1, 6:8] = 0.0
    width, height = CANVAS.values()
    radii = np.maximum(values[:, 6:8] * width, 0.05)
    share = np.linspace(0.0, 1.0, 600)
    middles = curve_points(values, width, height, share)
    rng, kept = np.random.default_rng(0), 0
    for number, outline in enumerate(path_data(values, width, height, decimals=3)):
        courses = svg_paths.path(outline)
        low, high = middles[number].min(axis=0) - radii[number].max(), middles[number].max(axis=0) + radii[number].max()
        places = rng.uniform(low - 1.0, high + 1.0, (400, 2))
        brush = radii[number, 0] + (radii[number, 1] - radii[number, 0]) * share
        inside = (np.linalg.norm(places[:, None] - middles[number], axis=2) - brush).min(axis=1)
        clear = np.abs(inside) > 0.25  # pixels: what a curve as cubics and hulls may be off
        covered = winding(courses, places) != 0
        assert (covered == (inside < 0.0))[clear].all(), number
        kept += np.count_nonzero(clear & covered)
    assert kept > 3000


def test_most_outlines_are_one_smooth_path() -> None:
    calm = strokes(100)
    calm[:, 2:4] = 0.5 + 0.2 * (calm[:, 2:4] - 0.5)
    calm[:, 6:8] = 0.02
    long = np.hypot(calm[:, 0] - calm[:, 4], calm[:, 1] - calm[:, 5]) > 0.1
    found = [outline.count("M") for outline in path_data(calm[long], 96, 64)]
    assert long.sum() > 30
    assert found.count(1) > 0.9 * len(found)


def test_the_drawing_has_every_stroke_in_painting_order(tmp_path: Path) -> None:
    values = strokes(40)
    values[::2, INDEX["red2"] :] = values[::2, 10:13][:, ::-1]
    shuffled = np.random.default_rng(1).permutation(values)
    kinds.write(Array(STROKES, shuffled, CANVAS), tmp_path / "strokes.svg", kinds.Writing(format="svg"))
    root = ElementTree.parse(tmp_path / "strokes.svg").getroot()
    assert root.get("viewBox") == "0 0 96 64"
    layers = root.findall(f"{SVG}g")
    assert [layer.get("id") for layer in layers] == ["layer-0", "layer-1", "layer-2"]
    paths = [path for layer in layers for path in layer.findall(f"{SVG}path")]
    assert len(paths) == len(values)
    fades = {fade.get("id"): fade for fade in root.iter(f"{SVG}linearGradient")}
    for row, path in zip(values, paths, strict=True):
        segment = int(row[INDEX["segment"]])
        assert path.get("class") == (f"segment-{segment}" if segment >= 0 else None)
        name = re.fullmatch(r"url\(#(.+)\)", path.get("fill", ""))
        assert name, "the ends have different opacities"
        stops = fades[name[1]].findall(f"{SVG}stop")
        ends = [float(stops[at].get("stop-opacity", "")) for at in (0, -1)]
        np.testing.assert_allclose(ends, row[8:10], atol=0.006)
        for stop, color in ((stops[0], row[10:13]), (stops[-1], row[INDEX["red2"] :])):
            rgb = [int(stop.get("stop-color", "")[at : at + 2], 16) for at in (1, 3, 5)]
            np.testing.assert_allclose(rgb, 255 * color, atol=0.51)


def test_a_stroke_of_one_opacity_needs_no_gradient(tmp_path: Path) -> None:
    values = strokes(2)
    values[:, 8:10] = [[1.0, 1.0], [0.25, 0.25]]
    kinds.write(Array(STROKES, values, CANVAS), tmp_path / "strokes.svg", kinds.Writing(format="svg"))
    root = ElementTree.parse(tmp_path / "strokes.svg").getroot()
    assert [path.get("fill-opacity") for path in root.iter(f"{SVG}path")] == [None, "0.25"]
    assert not list(root.iter(f"{SVG}linearGradient"))


def test_the_canvas_keeps_its_colour_and_its_smudge(tmp_path: Path) -> None:
    array = Array(STROKES, strokes(3), {**CANVAS, "canvas_color": [1.0, 0.5, 0.0], "smudge": 0.25})
    port = Port(name="strokes", kind=STROKES, label="Strokes", help="")
    for name in ("npz", "json"):
        kinds.write(array, tmp_path / f"strokes.{name}", kinds.Writing(format=name))
        assert kinds.read(tmp_path / f"strokes.{name}", kinds.Reading(port=port)).attributes == array.attributes
    kinds.write(array, tmp_path / "strokes.svg", kinds.Writing(format="svg"))
    said, first, *_ = ElementTree.parse(tmp_path / "strokes.svg").getroot()
    assert (said.tag, "smudge of 0.25 is left out" in str(said.text)) == (f"{SVG}desc", True)
    assert (first.tag, first.get("fill"), first.get("width")) == (f"{SVG}rect", "#ff8000", "96")


def damaged_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with strokes.json and strokes.npz."""
    for name in ("json", "npz"):
        kinds.write(Array(STROKES, strokes(9), CANVAS), tmp_path / f"strokes.{name}", kinds.Writing(format=name))
    return tmp_path


def refusal(path: Path) -> str:
    port = Port(name="strokes", kind=STROKES, label="Strokes", help="")
    with pytest.raises(InvalidInput) as caught:
        kinds.read(path, kinds.Reading(port=port))
    assert str(path) in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("name", ["strokes.json", "strokes.npz"])
def test_a_file_that_is_cut_short_anywhere_is_refused(name: str, saved: Path) -> None:
    whole = (saved / name).read_bytes()
    for length in {0, 1, 20, len(whole) // 3, len(whole) // 2, len(whole) - 40, len(whole) - 3}:
        (saved / name).write_bytes(whole[:length])
        assert "not a strokes file, or it is cut short or damaged" in refusal(saved / name)


def test_bytes_that_changed_within_an_npz_are_noticed(saved: Path) -> None:
    whole = bytearray((saved / "strokes.npz").read_bytes())
    whole[len(whole) // 3] ^= 0xFF
    (saved / "strokes.npz").write_bytes(whole)
    assert "cut short or damaged" in refusal(saved / "strokes.npz")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda it: it.update(relievo_strokes=3), "another version: 3; this version reads 2 and 1"),
        (lambda it: it.pop("relievo_strokes"), "another version: None"),
        (lambda it: it.update(columns=it["columns"][::-1]), "other columns than version 2"),
        (lambda it: it.pop("strokes"), "it has no 'strokes'"),
        (lambda it: it.update(strokes=[]), "has no strokes"),
        (lambda it: it.update(strokes=5), "cut short or damaged"),
        (lambda it: it["strokes"][4].pop(), "stroke 4 has 18 numbers; a stroke has 19"),
        (lambda it: it["strokes"].__setitem__(2, "red"), "stroke 2 has no list of numbers"),
        (lambda it: it["strokes"][3].__setitem__(6, float("nan")), "stroke 3 has nan for r0"),
        (lambda it: it["strokes"][3].__setitem__(6, None), "stroke 3 has nan for r0"),
        (lambda it: it["strokes"][5].__setitem__(0, 1e60), "stroke 5 has inf for x0"),
        (lambda it: it["strokes"][5].__setitem__(0, "left"), "cut short or damaged"),
        (lambda it: it.update(canvas_width_px=float("inf")), "canvas_width_px inf; the side of a canvas"),
        (lambda it: it.update(canvas_height_px="64"), "canvas_height_px '64'"),
        (lambda it: it.update(canvas_height_px=-64), "canvas_height_px -64"),
        (lambda it: it.update(canvas_height_px=1e9), "from 1 to 65536"),
        (lambda it: it.pop("canvas_height_px"), "canvas_height_px None"),
        (lambda it: it.update(smudge=1.5), "has the smudge 1.5; it is a number from 0 to 1"),
        (lambda it: it.update(smudge=None), "has the smudge None"),
        (lambda it: it.update(canvas_color="white"), "canvas_color white; it is red, green and blue"),
        (lambda it: it.update(canvas_color=[0.1, 2.0, float("nan")]), "canvas_color [0.1, 2.0, nan]"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(change: Callable[[dict[str, Any]], Any], sentence: str, saved: Path) -> None:
    damaged_json(saved / "strokes.json", change)
    assert sentence in refusal(saved / "strokes.json")


@pytest.mark.parametrize("name", ["strokes.json", "strokes.npz"])
def test_files_of_strokes_of_one_colour_are_still_read(name: str, saved: Path) -> None:
    about = {"relievo_strokes": 1, "columns": list(COLUMNS[:16]), **CANVAS}
    rows = strokes(9)[:, :16]
    if name.endswith("json"):
        (saved / name).write_text(json.dumps({**about, "strokes": rows.astype(float).tolist()}))
    else:
        np.savez(saved / name, strokes=rows, about=np.frombuffer(json.dumps(about).encode(), np.uint8))
    port = Port(name="strokes", kind=STROKES, label="Strokes", help="")
    np.testing.assert_array_equal(kinds.read(saved / name, kinds.Reading(port=port)).values, strokes(9))


def test_a_list_is_not_a_strokes_file(saved: Path) -> None:
    (saved / "strokes.json").write_text("[1, 2]")
    assert "not a strokes file" in refusal(saved / "strokes.json")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (np.zeros((4, 13), np.float32), "holds 4 x 13 numbers; a stroke has 19"),
        (np.zeros(16, np.float32), "holds 16 numbers"),
        (np.full((4, 19), np.inf), "stroke 0 has inf for x0; so do 75 others"),
        (np.array([[None] * 19], object), "cut short or damaged"),
    ],
)
def test_arrays_that_are_no_strokes_are_refused(rows: np.ndarray, sentence: str, saved: Path) -> None:
    with np.load(saved / "strokes.npz") as archive:
        about = archive["about"]
    buffer = io.BytesIO()
    np.savez(buffer, strokes=rows, about=about)
    (saved / "strokes.npz").write_bytes(buffer.getvalue())
    assert sentence in refusal(saved / "strokes.npz")


def test_a_number_in_place_of_a_file_is_answered_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="4000 does not exist") as refused:
        kinds.read(tmp_path / "4000", kinds.Reading(port=Port(name="strokes", kind=STROKES, label="", help="")))
    assert "setting budget" in refused.value.hint
