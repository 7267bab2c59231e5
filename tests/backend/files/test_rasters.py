"""Height maps from real files and back: what is read right, what is refused and how, what survives a full disk."""

from __future__ import annotations

import hashlib
import json
import math
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from backend.files.rasters import read, read_height, write
from backend.files.rasters.georeference import Georeference, from_attributes
from shared.arrays import CLASS_MAP, COLOR_IMAGE, HEIGHT_MAP, MASK, Array, height_map
from shared.errors import InvalidInput
from shared.srgb import linear_to_srgb, srgb_to_linear

UTM = CRS.from_epsg(32632)
REPOSITORY = Path(__file__).resolve().parents[3]


def terrain(rows: int = 90, columns: int = 120) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:columns]
    return (900 + 300 * np.sin(x / 17) + 200 * np.cos(y / 11) + 0.01 * x * y).astype(np.float32)


def save_tif(
    path: Path, values: np.ndarray, *, crs: CRS | None = UTM, transform: Affine | None = None, nodata=None, **options
) -> Path:
    bands = values[None] if values.ndim == 2 else values
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=bands.shape[1],
        width=bands.shape[2],
        count=bands.shape[0],
        dtype=bands.dtype,
        crs=crs,
        transform=transform or Affine(25, 0, 500000, 0, -25, 5100000),
        nodata=nodata,
        **options,
    ) as file:
        file.write(bands)
    return path


def save_hgt(path: Path, values: np.ndarray) -> Path:
    path.write_bytes(values.astype(">i2").tobytes())
    return path


def save_asc(path: Path, rows: str, *, cellsize: float = 10.0, nodata: str = "-9999") -> Path:
    lines = rows.strip().splitlines()
    path.write_text(
        f"ncols {len(lines[0].split())}\nnrows {len(lines)}\nxllcorner 1000\nyllcorner 2000\ncellsize {cellsize}\n"
        f"NODATA_value {nodata}\n{rows.strip()}\n"
    )
    return path


def save_bil(path: Path, values: np.ndarray) -> Path:
    path.write_bytes(values.astype("<f4").tobytes())
    path.with_suffix(".hdr").write_text(
        f"ENVI\nsamples = {values.shape[1]}\nlines = {values.shape[0]}\nbands = 1\nheader offset = 0\nfile type = ENVI Standard\n"
        "data type = 4\ninterleave = bil\nbyte order = 0\nmap info = {UTM, 1, 1, 500000, 5100000, 40, 40, 32, North, WGS-84}\n"
    )
    return path


# Reading -------------------------------------------------------------------------------------------------------------


def test_geotiff_keeps_heights_and_georeference(tmp_path):
    values = terrain()
    height = read_height(save_tif(tmp_path / "a.tif", values))
    assert height.kind is HEIGHT_MAP
    np.testing.assert_array_equal(height.values, values)
    assert height.pixel_size_m == 25.0
    reference = from_attributes(dict(height.attributes))
    assert reference is not None
    assert CRS.from_wkt(reference.crs) == UTM
    assert reference.transform == Affine(25, 0, 500000, 0, -25, 5100000)


def test_srtm_tile_becomes_square_and_keeps_its_extent(tmp_path):
    rows, columns = np.mgrid[0:1201, 0:1201]
    height = read_height(
        save_hgt(tmp_path / "N46E008.hgt", 1000 + 500 * np.sin(columns / 90) + 300 * np.cos(rows / 70))
    )
    # a degree of latitude at 46.5 N is 111.158 km, of longitude 76.75 km (WGS 84)
    assert height.pixel_size_m == pytest.approx(111158 / 1200, rel=1e-3)
    assert height.values.shape == (1201, round(1201 * 76750 / 111158))
    reference = from_attributes(dict(height.attributes))
    assert reference is not None
    assert reference.transform.a * height.values.shape[1] == pytest.approx(1201 / 1200)
    # the crests stand where they stood: column c of the old grid is column c / stretch of the new one
    new_columns = (np.arange(height.values.shape[1]) + 0.5) * 1201 / height.values.shape[1] - 0.5
    expected = 1000 + 500 * np.sin(new_columns / 90) + 300 * np.cos(600 / 70)
    np.testing.assert_allclose(height.values[600, 5:-5], expected[5:-5], atol=1.5)


def test_ascii_grid_and_envi_bil(tmp_path):
    height = read_height(save_asc(tmp_path / "a.asc", "1 2 3\n4 5 6"))
    np.testing.assert_array_equal(height.values, [[1, 2, 3], [4, 5, 6]])
    assert height.pixel_size_m == 10.0
    values = terrain()
    bil = read_height(save_bil(tmp_path / "a.bil", values))
    np.testing.assert_array_equal(bil.values, values)
    assert bil.pixel_size_m == 40.0


def test_south_up_raster_is_turned_north_up(tmp_path):
    values = terrain()
    path = save_tif(tmp_path / "a.tif", values[::-1].copy(), transform=Affine(25, 0, 500000, 0, 25, 5100000))
    height = read_height(path)
    np.testing.assert_array_equal(height.values, values)
    reference = from_attributes(dict(height.attributes))
    assert reference is not None
    assert reference.transform.almost_equals(Affine(25, 0, 500000, 0, -25, 5100000 + 25 * values.shape[0]))


@pytest.mark.parametrize(("crs", "transform", "size_m"), [
    (CRS.from_epsg(2263), Affine(100, 0, 9e5, 0, -100, 2e5), 30.48006096),  # US survey feet
    (CRS.from_epsg(3857), Affine(100, 0, 0, 0, -100, 8399737.9), 50.0),  # Mercator at 60 degrees north
    (None, Affine(12.5, 0, 0, 0, -12.5, 0), 12.5),  # no name: taken for metres
])  # fmt: skip
def test_pixel_size_comes_from_the_coordinate_system(tmp_path, crs, transform, size_m):
    height = read_height(save_tif(tmp_path / "a.tif", terrain(4, 4), crs=crs, transform=transform))
    assert height.pixel_size_m == pytest.approx(size_m, rel=1e-3)


def test_moon_uses_the_moons_radius(tmp_path):
    moon = CRS.from_wkt(
        'GEOGCS["Moon",DATUM["Moon",SPHEROID["Moon",1737400,0]],PRIMEM["0",0],UNIT["degree",0.0174532925199433]]'
    )
    height = read_height(
        save_tif(tmp_path / "a.tif", terrain(64, 64), crs=moon, transform=Affine(0.01, 0, 0, 0, -0.01, 0.32))
    )
    assert height.pixel_size_m == pytest.approx(math.radians(0.01) * 1737400, rel=1e-3)


def test_degrees_without_a_coordinate_system_are_not_guessed(tmp_path):
    path = save_tif(tmp_path / "a.tif", terrain(), crs=None, transform=Affine(0.004, 0, 10, 0, -0.004, 15))
    with pytest.raises(InvalidInput, match=r"degrees and has no coordinate system.*--pixel-size"):
        read_height(path)
    assert read_height(path, pixel_size_m=118.0).pixel_size_m == 118.0


def test_file_without_pixel_size_asks_for_one(tmp_path):
    np.save(tmp_path / "a.npy", terrain())
    with pytest.raises(InvalidInput, match=r"has no pixel size.*--pixel-size"):
        read_height(tmp_path / "a.npy")
    np.testing.assert_array_equal(read_height(tmp_path / "a.npy", pixel_size_m=3.0).values, terrain())


def test_the_users_pixel_size_wins_and_says_so(tmp_path, caplog):
    path = save_tif(tmp_path / "a.tif", terrain())
    height = read_height(path, pixel_size_m=99.0)
    assert height.pixel_size_m == 99.0
    assert "25 m per pixel; --pixel-size 99 overrides it" in caplog.text
    assert "transform" not in height.attributes, "the file's own would say 25 m again"


def test_a_pixel_size_meant_for_another_file_does_not_win(tmp_path, caplog):
    assert (
        read(HEIGHT_MAP, save_tif(tmp_path / "a.tif", terrain()), pixel_size_m=99.0, own_first=True).pixel_size_m
        == 25.0
    )
    assert "applies only to files that have none" in caplog.text


def test_holes_are_refused_with_their_count_or_filled(tmp_path):
    values = terrain()
    values[10:14, 20:25] = -9999.0
    values[50, 60] = np.nan
    path = save_tif(tmp_path / "a.tif", values, nodata=-9999.0)
    with pytest.raises(InvalidInput, match=r"no data in 21 of its 10800 cells.*--fill-nodata"):
        read_height(path)
    filled = read_height(path, fill_nodata=True).values
    assert np.abs(filled - terrain()).max() < 40.0
    solid = np.isfinite(values) & (values != -9999.0)
    np.testing.assert_array_equal(filled[solid], values[solid])


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_srtm_voids_are_holes_even_when_not_declared_and_are_filled_on_request(tmp_path, caplog, kind):
    values = terrain().astype(kind)
    values[3:5, 4:7] = -32768
    path = save_tif(tmp_path / "a.tif", values)
    with pytest.raises(InvalidInput, match=r"no data in 6 of its 10800 cells.*--fill-nodata"):
        read_height(path)
    assert "-32768 in 6 of its cells (rows 4 to 5, columns 5 to 7) is taken for no data" in caplog.text
    assert np.abs(read_height(path, fill_nodata=True).values - terrain()).max() < 40.0


def test_nothing_but_holes_cannot_be_filled(tmp_path):
    path = save_tif(tmp_path / "a.tif", np.full((8, 8), -9999, np.float32), nodata=-9999.0)
    with pytest.raises(InvalidInput, match="no data in any of its 64 cells"):
        read_height(path, fill_nodata=True)


def test_image_levels_take_a_height_range(tmp_path, caplog):
    levels = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    with rasterio.open(tmp_path / "a.png", "w", driver="PNG", height=20, width=20, count=1, dtype="uint16") as file:
        file.write(levels, 1)
    heights = read_height(tmp_path / "a.png", pixel_size_m=5.0, height_range_m=(100.0, 1100.0)).values
    np.testing.assert_allclose(heights, 100 + levels / 65.535, atol=1e-3)
    np.testing.assert_array_equal(read_height(tmp_path / "a.png", pixel_size_m=5.0).values, levels)
    assert "one level is read as one metre" in caplog.text


def test_eight_bits_are_taken_with_a_warning(tmp_path, caplog):
    with rasterio.open(tmp_path / "a.png", "w", driver="PNG", height=9, width=9, count=1, dtype="uint8") as file:
        file.write(np.arange(81, dtype=np.uint8).reshape(9, 9), 1)
    assert read_height(tmp_path / "a.png", pixel_size_m=5.0, height_range_m=(0.0, 255.0)).values.max() == 80.0
    assert "256 levels" in caplog.text


def test_exr_of_image_programs(tmp_path):
    values = terrain()
    OpenEXR.File({}, {"RGBA": np.dstack([values] * 3 + [np.ones_like(values)])}).write(str(tmp_path / "grey.exr"))
    np.testing.assert_array_equal(read_height(tmp_path / "grey.exr", pixel_size_m=2.0).values, values)
    OpenEXR.File({}, {"RGB": np.dstack([values, values + 1, values])}).write(str(tmp_path / "colour.exr"))
    with pytest.raises(InvalidInput, match="colour image"):
        read_height(tmp_path / "colour.exr", pixel_size_m=2.0)
    OpenEXR.File({}, {"a": values, "b": values}).write(str(tmp_path / "two.exr"))
    with pytest.raises(InvalidInput, match="channels a, b"):
        read_height(tmp_path / "two.exr", pixel_size_m=2.0)


def test_masks_classes_and_colours(tmp_path):
    def save(name: str, values: np.ndarray) -> Path:
        return save_tif(tmp_path / name, values)

    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_allclose(read(MASK, save("m.tif", levels)).values, levels / 255.0, atol=1e-7)
    np.testing.assert_array_equal(read(CLASS_MAP, save("c.tif", levels)).values, levels)
    with pytest.raises(InvalidInput, match="whole numbers from 0 to 255"):
        read(CLASS_MAP, save("c2.tif", levels.astype(np.float32) + 0.5))
    with pytest.raises(InvalidInput, match="runs from 0 to 255"):
        read(MASK, save("m2.tif", levels.astype(np.float32)))
    rgb = np.stack([levels, levels[::-1], levels.T])
    colour = read(COLOR_IMAGE, save("rgb.tif", rgb)).values
    assert colour.shape == (16, 16, 3)
    np.testing.assert_allclose(linear_to_srgb(colour.astype(np.float64)) * 255, np.moveaxis(rgb, 0, 2), atol=1e-3)


def test_srgb_curve_is_its_own_inverse():
    linear = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(srgb_to_linear(linear_to_srgb(linear)), linear, atol=1e-7)


# Refusing ------------------------------------------------------------------------------------------------------------


def half(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def made(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    if path.suffix in (".npy", ".exr", ".tif", ".png"):
        write(height_map(np.random.default_rng(1).normal(500, 90, (90, 120)), 25.0), path)
    elif path.suffix == ".hgt":
        save_hgt(path, np.ones((1201, 1201)))
    elif path.suffix == ".bil":
        save_bil(path, terrain())
    else:
        save_asc(path, "\n".join(" ".join(["5.25"] * 50) for _ in range(40)))
    return path


NAMES = ("a.npy", "a.exr", "a.tif", "a.png", "N46E008.hgt", "a.bil", "a.asc")


@pytest.mark.parametrize("name", NAMES)
def test_whole_files_are_read(tmp_path, name):
    assert read_height(made(tmp_path, name), pixel_size_m=1.0).values.size > 0


@pytest.mark.parametrize("name", NAMES)
def test_truncated_files_are_refused_by_name(tmp_path, name, capfd):
    path = half(made(tmp_path, name))
    with pytest.raises(InvalidInput, match="cannot be read: it is damaged, cut short or of another format") as caught:
        read_height(path, pixel_size_m=1.0)
    assert str(path) in caught.value.message
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # no library speaks beside the error


@pytest.mark.parametrize("name", NAMES)
def test_random_bytes_and_empty_files_are_refused(tmp_path, name):
    path = made(tmp_path, name)
    path.write_bytes(np.random.default_rng(2).bytes(5000))
    with pytest.raises(InvalidInput):
        read_height(path, pixel_size_m=1.0)
    path.write_bytes(b"")
    with pytest.raises(InvalidInput, match="is empty"):
        read_height(path, pixel_size_m=1.0)


def test_missing_file_suggests_its_neighbour(tmp_path):
    save_tif(tmp_path / "matterhorn.tif", terrain())
    with pytest.raises(InvalidInput, match=r"does not exist\. Did you mean .*matterhorn\.tif"):
        read_height(tmp_path / "mattehorn.tif")
    with pytest.raises(InvalidInput, match="is a folder"):
        read_height(tmp_path)


def test_missing_header_is_named(tmp_path):
    path = save_bil(tmp_path / "a.bil", terrain())
    path.with_suffix(".hdr").unlink()
    with pytest.raises(InvalidInput, match=r"header a\.hdr is missing"):
        read_height(path)


@pytest.mark.parametrize(("values", "words"), [
    (np.zeros((4, 4), np.complex64), "complex numbers"),
    (np.array([["a", "b"]]), "values of type"),
    (np.zeros(9, np.float32), "a map has rows and columns"),
    (np.zeros((0, 5), np.float32), "empty"),
    (np.zeros((3, 4, 2), np.float32), "2 bands"),
    (np.zeros((1, 70000), np.float32), "at most 65536 per side"),
])  # fmt: skip
def test_arrays_that_are_no_map(tmp_path, values, words):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(InvalidInput, match=words):
        read_height(tmp_path / "a.npy", pixel_size_m=1.0)


def test_pickle_is_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidInput):
        read_height(tmp_path / "a.npy", pixel_size_m=1.0)


def test_a_header_that_claims_a_million_pixels_takes_no_memory(tmp_path):
    header = (
        b"\x93NUMPY\x01\x00v\x00"
        + f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**6}, {10**6}), }}".encode().ljust(117)
        + b"\n"
    )
    (tmp_path / "a.npy").write_bytes(header + bytes(100))
    with pytest.raises(InvalidInput):
        read_height(tmp_path / "a.npy", pixel_size_m=1.0)
    save_tif(tmp_path / "a.tif", np.zeros((1, 4), np.float32))
    with rasterio.open(
        tmp_path / "wide.tif", "w", driver="GTiff", height=1, width=10**6, count=1, dtype="uint8", sparse_ok=True
    ):
        pass
    with pytest.raises(InvalidInput, match="1 x 1000000; at most 65536 per side"):
        read_height(tmp_path / "wide.tif", pixel_size_m=1.0)


def test_many_bands_tell_how_to_take_one(tmp_path):
    path = save_tif(tmp_path / "a.tif", np.stack([terrain()] * 8))
    with pytest.raises(InvalidInput, match=r"a file of 8 bands.*rio stack"):
        read_height(path)


def test_complex_geotiff(tmp_path):
    with pytest.raises(InvalidInput, match="complex numbers"):
        read_height(save_tif(tmp_path / "a.tif", terrain().astype(np.complex64)))


# Writing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".npy", ".exr", ".tif"])
def test_float_formats_are_exact_and_repeat_to_the_byte(tmp_path, ending):
    height = height_map(terrain() * 1.2345, 12.5)
    write(height, tmp_path / f"a{ending}")
    write(height, tmp_path / f"b{ending}")
    assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()
    back = read_height(tmp_path / f"a{ending}", pixel_size_m=12.5)
    np.testing.assert_array_equal(back.values, height.values)
    assert back.pixel_size_m == 12.5
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{ending}", f"b{ending}"]


def test_exr_and_png_carry_their_pixel_size(tmp_path):
    for name in ("a.exr", "a.png", "a.tif"):
        write(height_map(terrain(), 12.5), tmp_path / name)
        assert read_height(tmp_path / name).pixel_size_m == 12.5


def test_png16_is_within_half_a_level(tmp_path):
    height = height_map(terrain(), 12.5)
    levels = write(height, tmp_path / "a.png")
    assert levels["scale"] == pytest.approx(float(np.ptp(height.values)) / 65535)
    assert np.abs(read_height(tmp_path / "a.png").values - height.values).max() <= levels["scale"] * 0.51
    flat = height_map(np.full((8, 8), 77.0), 1.0)
    write(flat, tmp_path / "flat.png")
    np.testing.assert_array_equal(read_height(tmp_path / "flat.png").values, flat.values)


def test_mask_and_class_map_keep_their_meaning_as_png(tmp_path):
    mask = Array(MASK, np.linspace(0.2, 0.6, 64, dtype=np.float32).reshape(8, 8))
    assert write(mask, tmp_path / "m.png") == {"offset": 0.0, "scale": 1 / 65535}
    np.testing.assert_allclose(read(MASK, tmp_path / "m.png").values, mask.values, atol=1e-5)
    classes = Array(CLASS_MAP, np.arange(64, dtype=np.uint8).reshape(8, 8))
    write(classes, tmp_path / "c.png")
    np.testing.assert_array_equal(read(CLASS_MAP, tmp_path / "c.png").values, classes.values)


def test_georeference_of_the_input_is_written(tmp_path):
    reference = Georeference(crs=UTM.to_wkt(), transform=Affine(25, 0, 500000, 0, -25, 5100000))
    write(height_map(terrain(), 25.0), tmp_path / "a.tif", georeference=reference)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert (file.crs, file.transform, file.dtypes[0], file.units[0]) == (UTM, reference.transform, "float32", "m")
        assert file.compression.value == "DEFLATE"


def test_unknown_ending_and_unwritable_folder(tmp_path):
    with pytest.raises(InvalidInput, match="does not end in a supported format"):
        write(height_map(terrain(), 1.0), tmp_path / "a.bmp")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="cannot be written"):
        write(height_map(terrain(), 1.0), tmp_path / "file" / "a.tif")


@pytest.mark.parametrize("ending", [".npy", ".exr", ".tif", ".png"])
def test_a_full_disk_leaves_the_old_file_and_no_half(tmp_path, ending):
    """The kernel refuses bytes beyond a file size limit as it does on a full disk."""
    path = tmp_path / f"a{ending}"
    write(height_map(terrain(), 1.0), path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    code = (
        "import numpy as np, sys\nfrom backend.files.rasters import write\nfrom shared.arrays import height_map\n"
        "from shared.errors import StorageFull\nheight = height_map(np.random.default_rng(3).normal(size=(400, 400)), 1.0)\n"
        "try:\n    write(height, sys.argv[1])\nexcept StorageFull as error:\n    print(error.message)\n"
    )
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=REPOSITORY, preexec_fn=limit, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "could not be written" in done.stdout
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


# Real data -----------------------------------------------------------------------------------------------------------


def test_real_files(shared_data):
    """One of each family: projected, geographic, ENVI, with holes."""
    butte = read_height(shared_data / "elevation/windninja/big_butte.tif")
    assert (butte.values.shape, butte.pixel_size_m) == ((672, 623), 30.0)
    alps = read_height(shared_data / "elevation/srtm3/N46E008.tif")
    assert alps.values.shape[0] == 1201
    assert 0.68 < alps.values.shape[1] / 1201 < 0.70
    assert read_height(shared_data / "elevation/misc/gabilan.bil").pixel_size_m == 1.0
    with pytest.raises(InvalidInput, match="no data in 172089 of its 380376 cells"):
        read_height(shared_data / "elevation/misc/Mandakini.bil")
    assert np.isfinite(read_height(shared_data / "elevation/misc/Mandakini.bil", fill_nodata=True).values).all()
    json.dumps(dict(alps.attributes))  # travels on the wire as it is
