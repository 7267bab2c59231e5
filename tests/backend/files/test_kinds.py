"""The table of files by kind: every kind has a row, and what is written is read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.files import kinds
from backend.files.raster_options import RasterOptions
from backend.files.texture_sets import map_name
from shared import texture_set
from shared.algorithm import Port
from shared.arrays import (
    CLASS_MAP,
    COLOR_IMAGE,
    COUNT_MAP,
    CURVES,
    HEIGHT_MAP,
    KINDS,
    MASK,
    NORMAL_MAP,
    PALETTE,
    REPORT,
    STROKES,
    TEXTURE,
    TEXTURE_SET,
    UV_MAP,
    Array,
    ArrayKind,
)
from shared.curves import Line, rows_of
from shared.errors import InvalidInput
from shared.strokes import COLUMNS
from tests.support.toy_engines.catalog.toy_terrain import CLASSES

RNG = np.random.default_rng(7)


def normals(height: int, width: int) -> np.ndarray:
    values = RNG.normal(size=(height, width, 3)) * [0.3, 0.3, 0.1] + [0, 0, 1]
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def material() -> Array:
    return texture_set.stack(
        {
            "base_color": RNG.random((9, 7, 3)),
            "roughness": RNG.random((9, 7)),
            "normal": normals(9, 7),
            "height": RNG.normal(0, 20, (9, 7)),
        }
    )


def uv() -> np.ndarray:
    values = RNG.random((9, 7, 2)).astype(np.float32)
    values[2:4, 3] = np.nan
    return values


RIVER = Line(type="river", points=RNG.random((5, 2)), width_m=RNG.random(5) * 30.0, as_drawn=True)
BROOK = Line(type="river", points=RNG.random((4, 2)), z_m=RNG.random(4) * 900.0, drained_m2=RNG.random(4) * 1e7)
ROAD = Line(type="road", points=RNG.random((3, 2)), z_m=np.array([10.0, np.nan, 30.0]), slope=0.07, strength=0.5)

ARRAYS: dict[ArrayKind, Any] = {
    HEIGHT_MAP: lambda: Array(HEIGHT_MAP, RNG.normal(size=(9, 7)).astype(np.float32), {"pixel_size_m": 5.0}),
    MASK: lambda: Array(MASK, RNG.random((9, 7)).astype(np.float32)),
    CLASS_MAP: lambda: Array(CLASS_MAP, RNG.integers(0, 5, (9, 7)).astype(np.uint8)),
    COUNT_MAP: lambda: Array(COUNT_MAP, RNG.integers(0, 900, (9, 7)).astype(np.uint16)),
    COLOR_IMAGE: lambda: Array(COLOR_IMAGE, RNG.random((9, 7, 3)).astype(np.float32)),
    NORMAL_MAP: lambda: Array(NORMAL_MAP, normals(9, 7)),
    TEXTURE: lambda: Array(TEXTURE, RNG.integers(0, 65536, (9, 7, 3)).astype(np.uint16)),
    UV_MAP: lambda: Array(UV_MAP, uv()),
    TEXTURE_SET: material,
    STROKES: lambda: Array(
        STROKES,
        RNG.random((12, len(COLUMNS))).astype(np.float32),
        {"canvas_width_px": 64, "canvas_height_px": 48},
    ),
    CURVES: lambda: Array(CURVES, rows_of([RIVER, ROAD, BROOK])),
    PALETTE: lambda: Array(PALETTE, RNG.random((3, 3)).astype(np.float32), {"names": ["Sand", "Grass", "Rock"]}),
}
TOLERANCE = {"png16": 1e-4, "png8": 0.008, "jpg": 0.2}  # of the kind's range; other formats are exact


def port(kind: ArrayKind, **values: Any) -> Port:
    return Port(name="given", kind=kind, label="Given", help="", **values)


def read(path: Path, kind: ArrayKind, **values: Any) -> Array:
    return kinds.read(path, kinds.Reading(port=port(kind, **values)))


def test_every_kind_has_a_row_and_every_row_a_kind() -> None:
    assert set(kinds.FILES) == set(KINDS)
    for name, row in kinds.FILES.items():
        assert set(row.formats) <= set(kinds.ENDINGS), name
        assert set(row.default) | set(row.on_surface) <= set(row.formats), name
        assert bool(row.formats) == bool(row.writer), name
        for function in filter(None, (row.reader, row.writer)):
            assert callable(kinds._function(function))


@pytest.mark.parametrize(
    ("kind", "format"),
    [(kind, format) for kind in ARRAYS for format in kinds.file_kind(kind).formats],
    ids=lambda value: getattr(value, "name", value),
)
def test_what_is_written_is_read_back(kind: ArrayKind, format: str, tmp_path: Path) -> None:
    array = ARRAYS[kind]()
    if kind is HEIGHT_MAP and format in kinds.MESHES:
        pytest.skip("heights as a mesh are read as a mesh: test_heightfields.py")
    if kind is STROKES and format == "svg":
        pytest.skip("a drawing is not read back: test_stroke_files.py")
    if kind is TEXTURE and format in ("npy", "exr", "tif"):
        pytest.skip("a texture is read from pictures; an EXR of it is linear light for other programs")
    if format in ("jpg", "png8") and kind in (TEXTURE, COLOR_IMAGE, NORMAL_MAP):
        rows = np.linspace(0, 1, 16)[:, None, None]  # noise is what JPEG cannot hold
        smooth = (
            np.broadcast_to(rows, (16, 16, 3)) if kind is not NORMAL_MAP else np.broadcast_to([0.0, 0, 1], (16, 16, 3))
        )
        values = smooth * 65535 if kind is TEXTURE else smooth
        array = Array(kind, np.ascontiguousarray(values).astype(kind.dtype))
    made = kinds.write(array, tmp_path / f"it{kinds.ENDINGS[format]}", kinds.Writing(format=format))
    assert made
    assert all((tmp_path / name).stat().st_size for name in made)
    whole = tmp_path if kind is TEXTURE_SET and format != "npz" else tmp_path / next(iter(made))
    found = kinds.read(whole, kinds.Reading(port=port(kind), pixel_size_m=5.0))
    assert found.kind is kind
    assert found.values.shape == array.values.shape
    if kind is TEXTURE_SET:
        expected, got = texture_set.split(array), texture_set.split(found)
        assert set(got) == set(expected)
        for name, values in expected.items():
            scale = float(np.ptp(values))
            np.testing.assert_allclose(got[name], values, atol=scale * TOLERANCE.get(format, 1e-6) * 3, err_msg=name)
        return
    if kind is CURVES:
        np.testing.assert_array_equal(found.values, array.values)
        return
    scale = max(float(np.nanmax(array.values) - np.nanmin(array.values)), 1.0)
    np.testing.assert_allclose(found.values, array.values, atol=scale * TOLERANCE.get(format, 1e-6) * 2, equal_nan=True)
    for name, value in array.attributes.items():
        assert found.attributes[name] == value


def test_a_report_is_written_and_never_read(tmp_path: Path) -> None:
    content = {"summary": ["all well"], "photographs": [{"name": "ä"}]}
    report = Array(REPORT, np.frombuffer(json.dumps(content).encode(), np.uint8))
    kinds.write(report, tmp_path / "report.json", kinds.Writing(format="json"))
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == content
    with pytest.raises(InvalidInput, match="cannot be read from a file"):
        read(tmp_path / "report.json", REPORT)


def test_colours_become_the_nearest_classes(tmp_path: Path) -> None:
    numbers = np.array([[4, 4, 2], [3, 1, 4]], np.uint8)
    colors = np.array([rgb for _, rgb in CLASSES])[numbers]
    picture = Image.fromarray(np.rint(colors * 255).astype(np.uint8))
    picture.save(tmp_path / "sketch.png")
    picture.quantize(16).save(tmp_path / "palette.png")
    Image.fromarray(numbers).save(tmp_path / "numbers.png")
    for name in ("sketch.png", "palette.png", "numbers.png"):
        np.testing.assert_array_equal(read(tmp_path / name, CLASS_MAP, classes=CLASSES).values, numbers, err_msg=name)
    picture.putpixel((1, 1), (0, 0, 0))
    picture.save(tmp_path / "soft.png")
    with pytest.raises(
        InvalidInput, match=r"soft.png: 1 of 6 pixels has a colour that is no class.* #000000 at x 1, y 1"
    ):
        read(tmp_path / "soft.png", CLASS_MAP, classes=CLASSES)
    reading = kinds.Reading(port=port(CLASS_MAP, classes=CLASSES), options=RasterOptions(snap_classes=True))
    snapped = kinds.read(tmp_path / "soft.png", reading)
    assert snapped.values[1, 1] == 2, "grass is the nearest to black"
    Image.fromarray(numbers + 1).save(tmp_path / "five.png")
    with pytest.raises(InvalidInput, match="holds the class 5; there are 5, numbered from 0: Water, Sand"):
        read(tmp_path / "five.png", CLASS_MAP, classes=CLASSES)


def test_a_palette_image_is_its_colours(tmp_path: Path) -> None:
    rgb = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)
    Image.fromarray(rgb).quantize(4).save(tmp_path / "p.png")
    np.testing.assert_allclose(read(tmp_path / "p.png", COLOR_IMAGE).values, rgb / 255.0, atol=1e-6)


def test_a_colour_image_is_no_normal_map(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8, 3), 255, np.uint8)).save(tmp_path / "white.png")
    with pytest.raises(InvalidInput, match="not a normal map"):
        read(tmp_path / "white.png", NORMAL_MAP)


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("bricks_albedo_2k", "base_color"),
        ("Rock_Base_Color", "base_color"),
        ("rock.baseColor", "base_color"),
        ("Ground037_2K_NormalGL", "normal"),
        ("color_checker_rough", "roughness"),
        ("wall_AmbientOcclusion", "ambient_occlusion"),
        ("preview", ""),
    ],
)
def test_the_words_in_a_name_say_which_map_it_is(stem: str, name: str) -> None:
    assert map_name(stem) == name


def test_a_directx_normal_map_is_turned(tmp_path: Path) -> None:
    up = np.array([0.0, 0.6, 0.8])
    levels = np.rint((np.broadcast_to(up * [1, -1, 1], (4, 4, 3)) + 1) * 127.5).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "tiles_normal_dx.png")
    Image.fromarray(np.full((4, 4, 3), 128, np.uint8)).save(tmp_path / "tiles_color.png")
    found = texture_set.split(read(tmp_path, TEXTURE_SET))["normal"]
    np.testing.assert_allclose(found[0, 0], up, atol=0.01)


def test_sets_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no image whose name"):
        read(tmp_path, TEXTURE_SET)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a_color.png")
    Image.fromarray(np.zeros((8, 4), np.uint8)).save(tmp_path / "a_rough.png")
    with pytest.raises(InvalidInput, match="differ in size"):
        read(tmp_path, TEXTURE_SET)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "b_albedo.png")
    with pytest.raises(InvalidInput, match="both the base color"):
        read(tmp_path, TEXTURE_SET)


def test_a_hand_written_palette_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('[{"name": "Grass", "color": "#ff0080"}]')
    found = read(tmp_path / "p.json", PALETTE)
    assert found.attributes["names"] == ["Grass"]
    np.testing.assert_allclose(found.values, [[1.0, 0.0, 0.2158605]], atol=1e-6)
    (tmp_path / "bad.json").write_text('[{"name": "Grass", "color": "green"}]')
    with pytest.raises(InvalidInput, match="not a palette"):
        read(tmp_path / "bad.json", PALETTE)
