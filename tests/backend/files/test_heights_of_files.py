"""Heights from files of real life at their right values: scale, unit, no data, direction, projection, layers, encodings.

The terrain of every test is the same; what differs is how a file words it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
import rasterio
from affine import Affine
from PIL import Image

from backend.files.raster_options import RasterOptions
from backend.files.rasters import read, read_height
from backend.files.rasters.georeference import from_attributes
from shared.arrays import MASK
from shared.errors import InvalidInput, InvalidParameter
from tests.backend.files.test_rasters import save_tif

US_FOOT = 1200 / 3937
UTM = Affine(30, 0, 500000, 0, -30, 5200000)


def terrain() -> np.ndarray:
    y, x = np.mgrid[0:48, 0:64].astype(float)
    return (
        1000 + 200 * np.sin(x / 9) + 150 * np.cos(y / 7) + 3 * x + 2 * y
    )  # 818.96 to 1558.81, different along x and y


def tif(
    path: Path,
    values: np.ndarray,
    *,
    crs: Any = "EPSG:32632",
    transform=UTM,
    scale=1.0,
    offset=0.0,
    unit="",
    nodata=None,
) -> Path:
    save_tif(path, values, crs=crs, transform=transform, nodata=nodata)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (scale,), (offset,)
        if unit:
            file.units = (unit,)
    return path


def with_pit(value: float, dtype: str) -> np.ndarray:
    values = terrain()
    values[:6, :6] = value
    return values.astype(dtype)


# Scale and unit ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("values", "scale", "offset"), [
    (np.rint((terrain() - 500) / 0.02).astype("uint16"), 0.02, 500),
    (np.rint(terrain() * 10).astype("int16"), 0.1, 0),
    ((terrain() - 1000).astype("float32"), 1, 1000),
    (np.rint((terrain() - 800) / 4).astype("uint8"), 4, 800),
    ((terrain() / -2).astype("float64"), -2, 0),
])  # fmt: skip
def test_a_bands_scale_and_offset_are_applied(tmp_path, values, scale, offset):
    height = read_height(tif(tmp_path / "a.tif", values, scale=scale, offset=offset))
    np.testing.assert_allclose(height.values, terrain(), atol=abs(scale) / 2 + 0.01)


def test_a_scale_holds_for_masks_and_spares_nodata(tmp_path):
    percent = np.arange(100, dtype=np.uint8).reshape(10, 10)
    mask = read(MASK, tif(tmp_path / "m.tif", percent, scale=0.01))
    np.testing.assert_allclose(mask.values, percent / 100, atol=1e-6)
    path = tif(
        tmp_path / "a.tif",
        np.where(terrain() > 1500, -32768, np.rint(terrain() * 10)).astype("int16"),
        scale=0.1,
        nodata=-32768,
    )
    with pytest.raises(InvalidInput, match=f"no data in {np.count_nonzero(terrain() > 1500)} of"):
        read_height(path)
    with pytest.raises(InvalidInput, match="declares the scale 0"):
        read_height(tif(tmp_path / "b.tif", percent, scale=0.0))


@pytest.mark.parametrize(("unit", "metres"), [
    ("US survey foot", US_FOOT), ("ftUS", US_FOOT), ("us-ft", US_FOOT), ("ft", 0.3048), ("foot", 0.3048), ("Feet", 0.3048),
    ("cm", 0.01), ("centimetre", 0.01), ("dm", 0.1), ("mm", 0.001), ("km", 1000.0), ("m", 1.0), ("metre", 1.0),
])  # fmt: skip
def test_a_bands_unit_becomes_metres(tmp_path, unit, metres, caplog):
    height = read_height(tif(tmp_path / "a.tif", terrain() / metres, unit=unit))
    np.testing.assert_allclose(height.values, terrain(), atol=0.01)
    assert not caplog.text


@pytest.mark.parametrize(("crs", "pixel_m"), [("EPSG:26910+6360", 30.0), ("EPSG:2263+6360", 30.0 * US_FOOT)])
def test_the_vertical_coordinate_system_has_a_unit(tmp_path, crs, pixel_m):
    transform = UTM if "26910" in crs else Affine(30, 0, 980000, 0, -30, 200000)
    height = read_height(tif(tmp_path / "a.tif", terrain() / US_FOOT, crs=crs, transform=transform))
    np.testing.assert_allclose(height.values, terrain(), atol=0.01)
    assert height.pixel_size_m == pytest.approx(pixel_m, rel=1e-6)
    assert "VERT_CS" not in str(height.attributes["crs"]), "what is written is metres and may not say feet"


def test_depths_that_count_downwards_become_heights(tmp_path, caplog):
    height = read_height(tif(tmp_path / "a.tif", terrain(), crs="EPSG:32632+5831"))
    np.testing.assert_allclose(height.values, -terrain(), atol=0.01)
    assert "counts downwards" in caplog.text


def test_an_unknown_unit_and_a_users_unit_are_said(tmp_path, caplog):
    path = tif(tmp_path / "a.tif", terrain(), unit="furlong")
    np.testing.assert_allclose(read_height(path).values, terrain(), atol=0.01)
    assert "'furlong', is not known; metres are taken" in caplog.text
    path = tif(tmp_path / "b.tif", terrain() / 0.3048, unit="m")
    np.testing.assert_allclose(read_height(path, options=RasterOptions(height_unit="ft")).values, terrain(), atol=0.01)
    assert "says that its heights are in m; --height-unit ft overrides it" in caplog.text


def test_zunits_of_an_old_projection_file(tmp_path):
    rows = "\n".join(" ".join(f"{value / 0.3048:.4f}" for value in row) for row in terrain())
    (tmp_path / "a.asc").write_text(f"ncols 64\nnrows 48\nxllcorner 500000\nyllcorner 5200000\ncellsize 30\n{rows}\n")
    (tmp_path / "a.prj").write_text(
        "Projection    UTM\nZone 32\nDatum WGS84\nZunits        FEET\nUnits         METERS\nParameters\n"
    )
    np.testing.assert_allclose(read_height(tmp_path / "a.asc").values, terrain(), atol=0.01)


def test_a_height_range_holds_for_floats_between_0_and_1(tmp_path, caplog):
    values = ((terrain() - 800) / 1000).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    height = read_height(tmp_path / "a.npy", pixel_size_m=5.0, height_range_m=(800.0, 1800.0))
    np.testing.assert_allclose(height.values, terrain(), atol=0.01)
    np.save(tmp_path / "b.npy", terrain())
    assert read_height(tmp_path / "b.npy", pixel_size_m=5.0, height_range_m=(0.0, 9.0)).values.max() > 1500
    assert "--height-range is not applied" in caplog.text


# No data -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "dtype"), [
    (-9999, "float32"), (-9999, "int16"), (-32767, "int16"), (-32768, "int16"), (65535, "uint16"), (32767, "int16"),
    (3.4028235e38, "float32"), (-3.4028235e38, "float32"), (-99999, "float64"), (1e20, "float32"), (-2147483648, "int32"),
    (9.96921e36, "float32"),
])  # fmt: skip
def test_undeclared_nodata_is_named_with_count_and_place(tmp_path, value, dtype, caplog):
    path = tif(tmp_path / "a.tif", with_pit(value, dtype))
    with pytest.raises(
        InvalidInput, match=r"no data in 36 of its 3072 cells \(1.2 %\), in rows 1 to 6, columns 1 to 6"
    ):
        read_height(path)
    assert (
        "in 36 of its cells (rows 1 to 6, columns 1 to 6) is taken for no data, which the file does not declare"
        in caplog.text
    )
    filled = read_height(path, fill_nodata=True).values
    known = with_pit(0, dtype).astype(np.float32)
    assert known[known > 0].min() <= filled.min() <= filled.max() <= known.max()
    np.testing.assert_array_equal(filled[6:], known[6:])


def test_two_undeclared_values_are_both_found(tmp_path, caplog):
    values = with_pit(-9999, "float32")
    values[40:, 60:] = -32768
    with pytest.raises(InvalidInput, match="no data in 68 of"):
        read_height(tif(tmp_path / "a.tif", values))
    assert "-9999 in 36" in caplog.text
    assert "-32768 in 32" in caplog.text


def test_what_is_a_height_stays_one(tmp_path, caplog):
    sea = np.linspace(-10500, 8000, 3072).reshape(48, 64).astype(np.float32)
    sea[0, 5] = -9999.0
    np.testing.assert_array_equal(read_height(tif(tmp_path / "sea.tif", sea)).values, sea)
    white = np.linspace(0, 65535, 3072).reshape(48, 64).astype(np.uint16)
    for name in ("w.png", "w.tif"):
        Image.fromarray(white).save(tmp_path / name)
        values = read_height(tmp_path / name, pixel_size_m=1.0, height_range_m=(0.0, 1000.0)).values
        assert values.max() == 1000.0
    mesa = np.where(terrain() > 1300, 65535, 0).astype(np.uint16)
    Image.fromarray(mesa).save(tmp_path / "mesa.png")
    assert read_height(tmp_path / "mesa.png", pixel_size_m=1.0).values.max() == 65535.0
    assert "no data" not in caplog.text


def test_nodata_as_the_user_says(tmp_path):
    path = tif(tmp_path / "a.tif", with_pit(-9999, "float32"))
    assert read_height(path, options=RasterOptions(nodata="none")).values.min() == -9999.0
    flat = np.where(terrain() > 1500, 0.0, terrain()).astype(np.float32)
    with pytest.raises(InvalidInput, match=f"no data in {np.count_nonzero(flat == 0)} of"):
        read_height(tif(tmp_path / "b.tif", flat), options=RasterOptions(nodata="0"))
    with pytest.raises(InvalidParameter, match="must be a number, or none"):
        RasterOptions(nodata="much")


def test_an_ascii_grid_without_nodata_obeys_esris_default(tmp_path):
    low = np.where(terrain() < 900, -9999, terrain() - 10800)  # a deep sea: only the rule tells the hole from it
    rows = "\n".join(" ".join(f"{value:.3f}" for value in row) for row in low)
    (tmp_path / "a.asc").write_text(f"ncols 64\nnrows 48\nxllcorner 500000\nyllcorner 5200000\ncellsize 30\n{rows}\n")
    with pytest.raises(InvalidInput, match=f"no data in {np.count_nonzero(terrain() < 900)} of"):
        read_height(tmp_path / "a.asc")


# Where it lies -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("crs", "transform", "sides"), [
    ("EPSG:6933", Affine(100, 0, 1000000, 0, -100, 6362000), (57.61, 173.58)),
    ("EPSG:4087", Affine(30, 0, 1000000, 0, -30, 111319.49 * 60), (15.04, 30.02)),
    ("ESRI:54009", Affine(100, 0, 500000, 0, -100, 6800000), (86.80, 115.88)),
    ("ESRI:102014", Affine(100, 0, 0, 0, -100, 0), (94.47, 94.47)),
    ("EPSG:3413", Affine(100, 0, 0, 0, -100, -3200000), (96.67, 96.67)),
    ("EPSG:3994", Affine(100, 0, 0, 0, -100, 5000000), (83.19, 83.19)),  # Mercator true at 41 degrees south
    ("EPSG:32632", Affine(30, 0, 300000, 0, -30, 5200000), (30.0, 30.0)),
    ("EPSG:3035", Affine(25, 0, 4321000, 0, -25, 3210000), (25.0, 25.0)),
    ("EPSG:27572", Affine(50, 0, 600000, 0, -50, 2200000), (50.0, 50.0)),  # on a system in grads
    ("EPSG:4807", Affine(0.001, 0, 2, 0, -0.001, 50), (70.99, 100.02)),  # grads
])  # fmt: skip
def test_pixels_are_measured_on_the_ground(tmp_path, crs, transform, sides, caplog):
    """The sides by pyproj.Geod, from east to west and from north to south."""
    height = read_height(tif(tmp_path / "a.tif", terrain(), crs=crs, transform=transform))
    assert height.pixel_size_m == pytest.approx(max(sides), rel=2e-4)
    assert height.values.shape == (round(48 * sides[1] / max(sides)), round(64 * sides[0] / max(sides)))
    if crs in ("EPSG:6933", "EPSG:4087", "ESRI:54009"):
        assert "it is resampled to squares of" in caplog.text
    elif crs in ("ESRI:102014", "EPSG:3413"):
        assert "is not true to scale here" in caplog.text


def test_ground_pixels_that_are_no_rectangles_are_refused(tmp_path):
    path = tif(tmp_path / "a.tif", terrain(), crs="ESRI:54030", transform=Affine(100, 0, 5000000, 0, -100, 6000000))
    with pytest.raises(InvalidInput, match=r"World_Robinson, are no rectangles on the ground but lean by 17 degrees"):
        read_height(path)
    assert read_height(path, pixel_size_m=100.0).pixel_size_m == 100.0


def test_a_map_outside_of_its_projection_is_refused(tmp_path):
    path = tif(tmp_path / "a.tif", terrain(), crs="ESRI:54030", transform=Affine(100, 0, 50000000, 0, -100, 6000000))
    with pytest.raises(InvalidInput, match="lies outside of its coordinate system"):
        read_height(path)


def test_a_scale_that_varies_over_the_map_is_said(tmp_path, caplog):
    read_height(tif(tmp_path / "a.tif", terrain(), crs="EPSG:4326", transform=Affine(0.2, 0, 8, 0, -0.2, 60)))
    assert "a pixel measures from" in caplog.text


@pytest.mark.parametrize("cell", [0.1, 0.083333333, 0.25, 0.008333])
def test_degrees_without_a_coordinate_system_ask_for_the_pixel_size(tmp_path, cell):
    rows = "\n".join(" ".join(f"{value:.3f}" for value in row) for row in terrain())
    (tmp_path / "a.asc").write_text(
        f"ncols 64\nnrows 48\nxllcorner 8\nyllcorner 40\ncellsize {cell}\nNODATA_value -9999\n{rows}\n"
    )
    with pytest.raises(
        InvalidInput, match=r"in degrees and has no coordinate system.*--pixel-size; in degrees a pixel would be"
    ):
        read_height(tmp_path / "a.asc")
    height = read_height(tmp_path / "a.asc", pixel_size_m=9000.0)
    assert height.pixel_size_m == 9000.0
    np.testing.assert_allclose(height.values, terrain(), atol=0.01)


def test_a_small_local_grid_is_in_metres(tmp_path):
    """As Relievo itself writes a map without a place: its corner at (0, 0)."""
    path = tif(tmp_path / "a.tif", terrain(), crs=None, transform=Affine(1.0, 0, 0, 0, -1.0, 48.0))
    assert read_height(path).pixel_size_m == 1.0


@pytest.mark.parametrize(("turn", "transform"), [
    (lambda z: z[:, ::-1], Affine(-30, 0, 500000 + 64 * 30, 0, -30, 5200000)),
    (lambda z: z[::-1, ::-1], Affine(-30, 0, 500000 + 64 * 30, 0, 30, 5200000 - 48 * 30)),
    (lambda z: z[::-1], Affine(30, 0, 500000, 0, 30, 5200000 - 48 * 30)),
    (lambda z: z.T, Affine(0, 30, 500000, -30, 0, 5200000)),
    (lambda z: np.rot90(z), Affine(0, 30, 500000, -30, 0, 5200000) * Affine.translation(64, 0) * Affine.scale(-1, 1)),
])  # fmt: skip
def test_mirrored_and_turned_maps_come_with_north_at_the_top(tmp_path, turn, transform):
    stored = np.ascontiguousarray(turn(terrain()))
    where = {}  # each value's place on the ground, by the file's own transform
    for row, column in ((0, 0), (5, 40), (47, 63)):
        at = np.argwhere(np.isclose(stored, terrain()[row, column], atol=1e-9))[0]
        where[row, column] = transform * (at[1] + 0.5, at[0] + 0.5)
    height = read_height(tif(tmp_path / "a.tif", stored, transform=transform))
    reference = from_attributes(dict(height.attributes))
    assert reference is not None
    assert reference.transform.a == 30
    assert reference.transform.e == -30
    for (row, column), place in where.items():
        at = ~reference.transform * place
        assert height.values[int(at[1]), int(at[0])] == pytest.approx(terrain()[row, column], abs=1e-3)


def test_a_turned_map_says_that_up_is_not_north(tmp_path, caplog):
    turned = Affine.translation(500000, 5200000) * Affine.rotation(30) * Affine.scale(30, -30)
    height = read_height(tif(tmp_path / "a.tif", terrain(), transform=turned))
    assert height.pixel_size_m == pytest.approx(30.0)
    assert "is turned by 30 degrees" in caplog.text


def test_a_world_file_beside_an_image(tmp_path):
    Image.fromarray(np.rint(terrain()).astype(np.uint16)).save(tmp_path / "a.png")
    (tmp_path / "a.pgw").write_text("30\n0\n0\n-30\n500015\n5199985\n")
    height = read_height(tmp_path / "a.png")
    assert height.pixel_size_m == 30.0
    assert height.attributes["transform"] == [30, 0, 500000, 0, -30, 5200000]


# Layers --------------------------------------------------------------------------------------------------------------------------


def exr(path: Path, channels: dict[str, np.ndarray]) -> Path:
    OpenEXR.File({}, {name: np.ascontiguousarray(values, np.float32) for name, values in channels.items()}).write(
        str(path)
    )
    return path


def test_the_height_of_an_exr_with_parts_and_layers(tmp_path, caplog):
    z, black = terrain().astype(np.float32), np.zeros((48, 64), np.float32)
    parts = [
        OpenEXR.Part({}, {"RGB": np.zeros((48, 64, 3), "f4")}, name="beauty"),
        OpenEXR.Part({}, {"Y": z}, name="height"),
    ]
    OpenEXR.File(parts).write(str(tmp_path / "parts.exr"))
    np.testing.assert_array_equal(read_height(tmp_path / "parts.exr", pixel_size_m=1.0).values, z)
    assert "height.Y is read. --layer chooses another: beauty" in caplog.text
    layers = exr(tmp_path / "layers.exr", {f"ViewLayer.Combined.{c}": black for c in "RGB"} | {"ViewLayer.Depth.Z": z})
    np.testing.assert_array_equal(read_height(layers, pixel_size_m=1.0).values, z)
    flat = read_height(layers, pixel_size_m=1.0, options=RasterOptions(layer="ViewLayer.Combined"))
    assert flat.values.max() == 0.0
    assert "ViewLayer.Combined is 0 everywhere. It also has ViewLayer.Depth.Z" in caplog.text
    with pytest.raises(
        InvalidInput, match=r"has no layer 'fog'\. --layer takes one of: ViewLayer\.Combined, ViewLayer\.Depth\.Z"
    ):
        read_height(layers, pixel_size_m=1.0, options=RasterOptions(layer="fog"))


def test_two_channels_are_named_with_the_option_that_chooses(tmp_path):
    path = exr(tmp_path / "two.exr", {"rock": terrain(), "sand": terrain() + 1})
    with pytest.raises(InvalidInput, match=r"has the channels rock, sand; .*--layer rock"):
        read_height(path, pixel_size_m=1.0)
    values = read_height(path, pixel_size_m=1.0, options=RasterOptions(layer="sand")).values
    np.testing.assert_allclose(values, terrain() + 1, atol=1e-3)


def test_alpha_of_an_exr_is_a_hole(tmp_path, caplog):
    alpha = np.ones((48, 64))
    alpha[10:12, 20:25] = 0.0
    path = exr(tmp_path / "a.exr", {"Y": terrain() * alpha, "A": alpha})
    with pytest.raises(InvalidInput, match=r"no data in 10 of its 3072 cells .* rows 11 to 12, columns 21 to 25"):
        read_height(path, pixel_size_m=1.0)
    path = exr(tmp_path / "b.exr", {"Y": terrain(), "A": 0 * alpha})
    np.testing.assert_allclose(read_height(path, pixel_size_m=1.0).values, terrain(), atol=1e-3)
    assert "below 1 everywhere and is ignored" in caplog.text


def test_a_band_of_a_geotiff_by_number(tmp_path):
    path = save_tif(tmp_path / "a.tif", np.stack([terrain() * 0, terrain()] * 4).astype(np.float32), transform=UTM)
    values = read_height(path, options=RasterOptions(layer="2")).values
    np.testing.assert_allclose(values, terrain(), atol=1e-3)
    with pytest.raises(InvalidInput, match="has no band '9'"):
        read_height(path, options=RasterOptions(layer="9"))


# Plausibility and other formats --------------------------------------------------------------------------------------------------


def bil(path: Path, values: np.ndarray, bits: int) -> Path:
    values.tofile(path)
    path.with_suffix(".hdr").write_text(
        f"NROWS 48\nNCOLS 64\nNBANDS 1\nLAYOUT BIL\nULXMAP 500015\nULYMAP 5199985\nXDIM 30\nYDIM 30\nBYTEORDER I\nNBITS {bits}\n"
    )
    return path


def test_heights_that_no_world_has_name_the_likely_cause(tmp_path, caplog):
    read_height(bil(tmp_path / "floats.bil", terrain().astype("<f4"), 32))
    assert "they look like floating-point numbers: floats.hdr should say PIXELTYPE FLOAT" in caplog.text
    read_height(bil(tmp_path / "signed.bil", np.rint(terrain() - 1300).astype("<i2"), 16))
    assert "signed.hdr says PIXELTYPE SIGNEDINT" in caplog.text
    caplog.clear()
    read_height(tif(tmp_path / "cm.tif", terrain() * 100))
    assert "beyond any known terrain: perhaps they are in centimetres" in caplog.text
    caplog.clear()
    read_height(tif(tmp_path / "sea.tif", terrain() - 12000))
    assert not caplog.text


def test_heights_in_colours_are_decoded_on_request(tmp_path):
    levels = np.rint((terrain() + 32768) * 256).astype(np.int64)
    Image.fromarray(np.dstack([levels >> 16, levels >> 8 & 255, levels & 255]).astype(np.uint8)).save(
        tmp_path / "t.png"
    )
    with pytest.raises(InvalidInput, match="Its colours look like encoded heights: --encoding terrarium decodes them"):
        read_height(tmp_path / "t.png", pixel_size_m=1.0)
    values = read_height(tmp_path / "t.png", pixel_size_m=1.0, options=RasterOptions(encoding="terrarium")).values
    np.testing.assert_allclose(values, terrain(), atol=0.003)
    levels = np.rint((terrain() + 10000) * 10).astype(np.int64)
    rgb = np.dstack([levels >> 16, levels >> 8 & 255, levels & 255]).astype(np.uint8)
    Image.fromarray(rgb).save(tmp_path / "m.webp", lossless=True)
    values = read_height(tmp_path / "m.webp", pixel_size_m=1.0, options=RasterOptions(encoding="terrain-rgb")).values
    np.testing.assert_allclose(values, terrain(), atol=0.051)
    with pytest.raises(InvalidParameter, match="must be one of terrarium, terrain-rgb"):
        RasterOptions(encoding="mapbox")


def test_arrays_with_an_axis_too_many(tmp_path):
    for name, values in (("one", terrain()[None]), ("last", terrain()[..., None])):
        np.save(tmp_path / f"{name}.npy", values)
        np.testing.assert_allclose(read_height(tmp_path / f"{name}.npy", pixel_size_m=1.0).values, terrain(), atol=1e-3)
    np.save(tmp_path / "chw.npy", np.stack([terrain()] * 3))
    with pytest.raises(InvalidInput, match="has the shape 3 x 48 x 64: its channels come first"):
        read_height(tmp_path / "chw.npy", pixel_size_m=1.0)
    np.save(tmp_path / "many.npy", np.stack([terrain()] * 9))
    with pytest.raises(InvalidInput, match="several maps in one array"):
        read_height(tmp_path / "many.npy", pixel_size_m=1.0)


@pytest.mark.parametrize(("kind", "dtype"), [("", "<u2"), ("u16be", ">u2"), ("f32", "<f4"), ("i16", "<i2")])
def test_raw_grids_take_a_size(tmp_path, kind, dtype, caplog):
    stored = np.rint(terrain()).astype(dtype)
    stored.tofile(tmp_path / "a.r16")
    height = read_height(tmp_path / "a.r16", pixel_size_m=2.0, options=RasterOptions(raw_size=(64, 48), raw_type=kind))
    np.testing.assert_array_equal(height.values, np.rint(terrain()))
    assert "byte" not in caplog.text
    with pytest.raises(InvalidInput, match=r"does not say how many columns and rows.*--raw-size"):
        read_height(tmp_path / "a.r16", pixel_size_m=2.0)
    with pytest.raises(InvalidInput, match="Check the size"):
        read_height(tmp_path / "a.r16", pixel_size_m=2.0, options=RasterOptions(raw_size=(65, 48), raw_type=kind))


def test_swapped_bytes_of_a_raw_grid_are_noticed(tmp_path, caplog):
    np.rint(terrain()).astype(">u2").tofile(tmp_path / "a.raw")
    read_height(tmp_path / "a.raw", pixel_size_m=2.0, options=RasterOptions(raw_size=(64, 48)))
    assert "try --raw-type u16be" in caplog.text


# Filling -------------------------------------------------------------------------------------------------------------------------


def test_a_filled_ring_has_no_plaid(tmp_path):
    """The membrane's own property: each filled cell is the mean of its neighbours, and none is beyond the rim."""
    y, x = np.mgrid[0:180, 0:200]
    values = (300 * np.sin(x / 11) * np.cos(y / 8) + 40 * np.random.default_rng(3).normal(size=x.shape)).astype(
        np.float32
    )
    hole = np.abs((x - 100) * math.cos(0.2) + (y - 90) * math.sin(0.2)) > 60
    hole[80:95, 90:110] = True
    hole[40, 100] = True
    filled = read_height(tif(tmp_path / "a.tif", np.where(hole, np.nan, values)), fill_nodata=True).values
    np.testing.assert_array_equal(filled[~hole], values[~hole])
    mean = (np.roll(filled, 1, 0) + np.roll(filled, -1, 0) + np.roll(filled, 1, 1) + np.roll(filled, -1, 1)) / 4
    inner = hole.copy()
    inner[[0, -1]] = inner[:, [0, -1]] = False
    assert np.abs(filled - mean)[inner].max() < 0.05
    assert values[~hole].min() <= filled.min() <= filled.max() <= values[~hole].max()
