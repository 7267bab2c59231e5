"""What lenses do and undo, photographs straightened and decoded, and conventions turned round."""

from __future__ import annotations

import io
from dataclasses import replace

import numba
import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio.io import MemoryFile

from backend.files.photographs import color_profile, decode, size_of
from backend.ops.photos import undistortion
from shared.arrays import PHOTOGRAPH, Array
from shared.cameras import FISHEYE, PERSPECTIVE, Camera, Distortion
from shared.cameras.distortion import distort, project, undistort_points, undistorted, valid_radius
from shared.cameras.flips import FLIPS, apply_flip, fitting_flip, shares_in_frame
from shared.cameras.pose import rotation_from_quaternion
from shared.errors import InvalidInput

BARREL = Distortion(PERSPECTIVE, (-0.12, 0.03, 0.001, -0.002, 0.0, 0.0, 0.0, 0.0))
RATIONAL = Distortion(PERSPECTIVE, (0.3, 0.1, -0.001, 0.0005, 0.01, 0.35, 0.12, 0.005))
PHONE = Distortion(FISHEYE, (0.05, -0.01, 0.003, -0.0005))
LENSES = pytest.mark.parametrize(
    "lens", [BARREL, RATIONAL, PHONE, Distortion(FISHEYE)], ids=["barrel", "rational", "fisheye", "equidistant"]
)


def camera(lens: Distortion, width: int = 90, height: int = 70) -> Camera:
    return Camera(
        name="p.png", width=width, height=height, fx=70.0, fy=72.0, cx=44.0, cy=36.5, distortion=lens,
        rotation=rotation_from_quaternion(0.9, 0.1, -0.2, 0.05), translation=np.array([0.2, -0.1, 2.0]),
    )  # fmt: skip


# Points --------------------------------------------------------------------------------------------------------------


@LENSES
def test_undoing_a_lens_gives_the_points_back(lens):
    points = np.random.default_rng(0).uniform(-0.9, 0.9, (5000, 2))
    points[:3] = (0, 0), (1e-9, 0), (0, -0.5)
    np.testing.assert_allclose(undistort_points(distort(points, lens), lens), points, atol=1e-9)


@given(
    k=st.lists(st.floats(-0.2, 0.2), min_size=8, max_size=8),
    fisheye=st.booleans(),
    x=st.floats(-1, 1),
    y=st.floats(-1, 1),
)
def test_undoing_any_lens_gives_points_back_within_its_radius(k, fisheye, x, y):
    lens = (
        Distortion(FISHEYE, (*k[:4], 0, 0, 0, 0))
        if fisheye
        else Distortion(PERSPECTIVE, (k[0], k[1], k[2] / 50, k[3] / 50, *k[4:]))
    )
    if np.hypot(x, y) > 0.8 * valid_radius(lens):
        return
    point = np.array([[x, y]])
    np.testing.assert_allclose(undistort_points(distort(point, lens), lens), point, atol=1e-9)


def test_formulas_against_figures_worked_out_by_hand():
    x, y = 0.3, -0.4  # r2 = 0.25
    k1, k2, p1, p2, k3, k4, k5, k6 = 0.1, 0.2, 0.01, 0.02, 0.3, 0.4, 0.5, 0.6
    radial = (1 + 0.1 * 0.25 + 0.2 * 0.0625 + 0.3 * 0.015625) / (1 + 0.4 * 0.25 + 0.5 * 0.0625 + 0.6 * 0.015625)
    expected = (
        x * radial + 2 * p1 * x * y + p2 * (0.25 + 2 * x * x),
        y * radial + p1 * (0.25 + 2 * y * y) + 2 * p2 * x * y,
    )
    got = distort(np.array([x, y]), Distortion(PERSPECTIVE, (k1, k2, p1, p2, k3, k4, k5, k6)))
    np.testing.assert_allclose(got, expected, rtol=1e-15)
    theta = np.arctan(0.5)
    scale = theta * (1 + 0.1 * theta**2 + 0.2 * theta**4 + 0.3 * theta**6 + 0.4 * theta**8) / 0.5
    got = distort(np.array([x, y]), Distortion(FISHEYE, (0.1, 0.2, 0.3, 0.4)))
    np.testing.assert_allclose(got, (x * scale, y * scale), rtol=1e-15)


def test_beyond_its_radius_a_lens_folds_and_is_not_believed():
    lens = Distortion(PERSPECTIVE, (-0.3,))
    limit = valid_radius(lens)
    assert limit == pytest.approx(np.sqrt(1 / 0.9))  # where 1 - 0.9 r2 is 0
    farthest = float(distort(np.array([limit, 0.0]), lens)[0])
    assert np.isnan(undistort_points(np.array([farthest * 1.001, 0.0]), lens)).all()
    assert undistort_points(np.array([farthest * 0.9, 0.0]), lens)[0] < limit
    folding = replace(camera(lens), rotation=np.eye(3), translation=np.zeros(3))
    pixels, depth = project(folding, np.array([[0.0, 0, 1], [1.5, 0, 1], [0, 0, -1]]))
    np.testing.assert_allclose(pixels[0], (44.0, 36.5))
    assert np.isnan(pixels[1:]).all()
    np.testing.assert_array_equal(depth, [1, 1, -1])
    assert valid_radius(Distortion()) == np.inf
    assert valid_radius(Distortion(FISHEYE, (-0.5,))) == pytest.approx(np.tan(np.sqrt(1 / 1.5)))


# Pictures ------------------------------------------------------------------------------------------------------------


def scene(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A smooth picture of the plane one metre ahead, 0..1."""
    return np.stack(
        [0.5 + 0.4 * np.sin(3 * x), 0.5 + 0.4 * np.cos(2.5 * y + x), 0.5 + 0.3 * np.sin(2 * x - 3 * y)], axis=-1
    )


def ideal_grid(made: Camera) -> tuple[np.ndarray, np.ndarray]:
    return np.meshgrid(
        (np.arange(made.width) + 0.5 - made.cx) / made.fx, (np.arange(made.height) + 0.5 - made.cy) / made.fy
    )


def photographed(made: Camera) -> np.ndarray:
    """What the camera's lens shows of scene(): exact, by the inverse lens at every pixel's centre."""
    points = undistort_points(np.stack(ideal_grid(made), axis=-1), made.distortion)
    return np.nan_to_num(scene(points[..., 0], points[..., 1]))


def undistort(pixels: np.ndarray, made: Camera) -> tuple[np.ndarray, np.ndarray]:
    straight, inside = undistortion.undistort(torch.from_numpy(pixels), made)
    assert inside is not None
    return straight.numpy(), inside.numpy()


@LENSES
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_straightened_photographs_are_the_pinholes(lens, dtype):
    made = camera(lens)
    top = np.iinfo(dtype).max
    pixels = np.rint(photographed(made) * top).astype(dtype)
    straight, inside = undistort(pixels, made)
    truth = scene(*ideal_grid(made))
    assert inside.mean() > 0.5
    assert straight.dtype == dtype
    error = np.abs(straight / top - truth)[inside]
    assert np.sqrt(np.mean(error**2)) < 0.003
    assert not straight[~inside].any()
    in_blender, inside_too = undistorted((pixels / top).astype(np.float32), made)
    np.testing.assert_array_equal(inside, inside_too)
    assert np.abs(in_blender - straight / top)[inside].max() < 0.02  # bilinear against bicubic


def test_a_pinholes_photograph_is_left_alone():
    pixels = torch.zeros((70, 90, 3), dtype=torch.uint8)
    straight, inside = undistortion.undistort(pixels, camera(Distortion()))
    assert straight is pixels
    assert inside is None


def test_a_flat_photograph_stays_flat_and_bytes_do_not_depend_on_threads():
    flat = np.full((70, 90, 3), 200, np.uint8)
    straight, inside = undistort(flat, camera(BARREL))
    assert (straight[inside] == 200).all()
    noise = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    threads = numba.get_num_threads()
    made = []
    for count in {1, threads}:
        numba.set_num_threads(count)
        made.append(undistort(noise, camera(BARREL))[0].tobytes())
    numba.set_num_threads(threads)
    assert len(set(made)) == 1


def test_a_reduced_photograph_is_straightened_with_reduced_intrinsics():
    made = camera(BARREL)
    whole, _ = undistort(np.rint(photographed(made) * 255).astype(np.uint8), made)
    half = np.rint(photographed(made).reshape(35, 2, 45, 2, 3).mean(axis=(1, 3)) * 255).astype(np.uint8)
    straight, inside = undistort(half, made)
    expected = whole.reshape(35, 2, 45, 2, 3).mean(axis=(1, 3))
    core = (
        inside
        & (np.arange(45) > 3)
        & (np.arange(45) < 41)
        & (np.arange(35) > 3)[:, None]
        & (np.arange(35) < 31)[:, None]
    )
    assert np.abs(straight - expected)[core].max() < 3


# Decoding ------------------------------------------------------------------------------------------------------------


def photograph(data: bytes, name: str = "photo.jpg") -> Array:
    return Array(PHOTOGRAPH, np.frombuffer(data, np.uint8), {"name": name})


def encoded(pixels: np.ndarray | Image.Image, format_name: str, **options) -> Array:
    buffer = io.BytesIO()
    made = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    made.save(buffer, format_name, **options)
    return photograph(buffer.getvalue())


def by_gdal(values: np.ndarray, driver: str, **options) -> Array:
    with MemoryFile() as memory:
        with memory.open(
            driver=driver,
            height=values.shape[0],
            width=values.shape[1],
            count=values.shape[2],
            dtype=values.dtype,
            **options,
        ) as file:
            file.write(np.moveaxis(values, 2, 0))
        return photograph(bytes(memory.read()))


NOISE = np.random.default_rng(1).integers(0, 256, (37, 53, 3), np.uint8)
DEEP = np.random.default_rng(2).integers(0, 65536, (37, 53, 3), np.uint16)


@pytest.mark.parametrize(
    ("format_name", "options"),
    [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})],
)
def test_eight_bits_come_back_exactly(format_name, options):
    array = encoded(NOISE, format_name, **options)
    np.testing.assert_array_equal(decode(array), NOISE)
    assert size_of(array) == (53, 37)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("driver", "options"), [("PNG", {}), ("GTiff", {}), ("GTiff", {"photometric": "RGB", "compress": "lzw"})]
)
def test_sixteen_bits_come_back_exactly(driver, options):
    array = by_gdal(DEEP, driver, **options)
    np.testing.assert_array_equal(decode(array), DEEP)
    grey = by_gdal(DEEP[..., :1], driver)
    np.testing.assert_array_equal(decode(grey), np.repeat(DEEP[..., :1], 3, axis=2))
    means = DEEP[:36, :52].reshape(18, 2, 26, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(decode(array, 2), means, atol=0.51)


def test_grey_alpha_palette_and_ink():
    grey = NOISE[..., 0]
    np.testing.assert_array_equal(decode(encoded(grey, "PNG")), np.repeat(grey[..., None], 3, axis=2))
    with_alpha = np.dstack([NOISE, grey])
    np.testing.assert_array_equal(decode(encoded(with_alpha, "PNG")), NOISE)
    palette = Image.fromarray(NOISE).quantize(64)
    np.testing.assert_array_equal(decode(encoded(palette, "PNG")), np.asarray(palette.convert("RGB")))
    ink = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    assert decode(encoded(ink, "JPEG"))[4, 4].tolist() == [0, 255, 255]


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_reductions_are_block_means(reduction):
    means = NOISE[: 37 // reduction * reduction, : 53 // reduction * reduction]
    means = means.reshape(37 // reduction, reduction, 53 // reduction, reduction, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(decode(encoded(NOISE, "PNG"), reduction), means, atol=0.51)
    y, x = np.mgrid[0:37, 0:53]
    smooth = np.stack([127 + 100 * np.sin(x / 9), 127 + 100 * np.cos(y / 8), x + y], axis=-1).astype(np.uint8)
    jpeg = encoded(smooth, "JPEG", quality=98, subsampling=0)
    got = decode(jpeg, reduction)
    expected = decode(jpeg)[: 37 // reduction * reduction, : 53 // reduction * reduction]
    expected = expected.reshape(37 // reduction, reduction, 53 // reduction, reduction, 3).mean(axis=(1, 3))
    assert got.shape == expected.shape
    assert (
        np.abs(got - expected).mean() < 1.5
    )  # the decoder's own reduction, in the same place to a fraction of a pixel


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_photograph_is_turned_only_where_its_camera_wants_it(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    array = encoded(NOISE, "PNG", exif=exif)
    turned = Image.open(io.BytesIO(array.values.tobytes()))
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(turned))
    np.testing.assert_array_equal(decode(array), NOISE)
    np.testing.assert_array_equal(decode(array, size=(53, 37)), NOISE)
    np.testing.assert_array_equal(decode(array, size=(37, 53)), expected)
    np.testing.assert_array_equal(decode(encoded(NOISE, "PNG"), size=(37, 53)), NOISE)  # nothing says which way


@pytest.mark.parametrize(("format_name", "keep"), [("JPEG", 0.5), ("PNG", 0.5), ("TIFF", 0.5), ("WEBP", 0.4)])
def test_a_broken_photograph_is_named(format_name, keep):
    data = encoded(NOISE, format_name).values.tobytes()
    cut = photograph(data[: int(len(data) * keep)], "IMG_7.jpg")
    with pytest.raises(InvalidInput, match=r"IMG_7\.jpg (cannot be decoded|is cut short)") as caught:
        decode(cut)
    assert caught.value.field in ("images", "IMG_7.jpg")
    for junk in (b"", b"hello world, this is no photograph", data[:30] + bytes(200)):
        with pytest.raises(InvalidInput, match=r"IMG_7\.jpg"):
            decode(photograph(junk, "IMG_7.jpg"))


def test_a_header_may_claim_no_giant():
    data = bytearray(encoded(NOISE, "PNG").values.tobytes())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    with pytest.raises(InvalidInput, match="at most"):
        size_of(photograph(bytes(data)))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_samples_of_other_types_are_refused():
    with pytest.raises(InvalidInput, match="float32"):
        decode(by_gdal(NOISE.astype(np.float32), "GTiff"))
    with pytest.raises(InvalidInput, match="cannot be decoded"):
        decode(by_gdal(NOISE[..., :1].astype(np.float32), "GTiff"))
    assert rasterio.__version__


def test_a_colour_profile_is_told():
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert color_profile(encoded(NOISE, "PNG")) == ""
    assert color_profile(encoded(NOISE, "PNG", icc_profile=srgb)) == ""
    assert "Lab" in color_profile(encoded(NOISE, "PNG", icc_profile=lab))


# Conventions ---------------------------------------------------------------------------------------------------------


def ring(count: int = 12, lens: Distortion = BARREL) -> list[Camera]:
    """Cameras all round and a little above an object a metre off the origin."""
    made = []
    for angle in np.linspace(0, 2 * np.pi, count, endpoint=False):
        center = np.array([2.2 * np.cos(angle) + 1.0, 2.2 * np.sin(angle) + 0.4, 1.1])
        ahead = np.array([1.0, 0.4, 0.2]) - center
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(ahead, right), ahead])
        made.append(replace(camera(lens), rotation=rotation, translation=-rotation @ center))
    return made


def object_points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(500, 3)) * 0.25 + (1.0, 0.4, 0.2)


def test_cameras_that_fit_are_not_turned():
    assert shares_in_frame(ring(), object_points()).min() > 0.9
    assert fitting_flip(ring(), object_points()) == ""
    assert fitting_flip(ring(), np.full((4, 3), np.nan)) == ""
    assert fitting_flip([], object_points()) == ""


def test_close_ups_of_a_large_mesh_are_not_turned():
    """A drone over terrain: each photograph shows a hundredth of it, and cameras turned round from afar would show it all."""
    y, x = np.mgrid[-50:50:100j, -50:50:100j]
    ground = np.stack([x, y, 0.3 * np.sin(x)], axis=-1).reshape(-1, 3)
    down = np.diag([1.0, -1.0, -1.0])
    centers = np.random.default_rng(0).uniform(-40, 40, (60, 2))
    cameras = [replace(ring(1)[0], rotation=down, translation=-down @ np.array([*c, 6.0])) for c in centers]
    assert shares_in_frame(cameras, ground).max() < 0.02
    assert shares_in_frame(apply_flip(cameras, "inverted"), ground).mean() < 0.02
    assert fitting_flip(cameras, ground) == ""
    assert fitting_flip(apply_flip(cameras, "opengl"), ground) == ""  # nothing shows enough to be sure
    near = [replace(camera, fx=camera.fx / 8, fy=camera.fy / 8, distortion=Distortion()) for camera in cameras]
    assert fitting_flip(apply_flip(near, "opengl"), ground) == "opengl"


@pytest.mark.parametrize("name", ["opengl", "inverted", "opengl-inverted"])
def test_the_flip_that_fits_is_found(name):
    """Cameras written in the other convention are what the flip, being its own inverse or undone by hand, makes of good ones."""
    undo = {"opengl": lambda c: apply_flip(c, "opengl"), "inverted": lambda c: apply_flip(c, "inverted"),
            "opengl-inverted": lambda c: apply_flip(apply_flip(c, "opengl"), "inverted")}[name]  # fmt: skip
    wrong = undo(ring())
    assert shares_in_frame(wrong, object_points()).mean() < 0.2
    assert fitting_flip(wrong, object_points()) == name
    for good, turned in zip(ring(), apply_flip(wrong, name), strict=True):
        np.testing.assert_allclose(turned.rotation, good.rotation, atol=1e-12)
        np.testing.assert_allclose(turned.translation, good.translation, atol=1e-12)


@pytest.mark.parametrize(("name", "turn"), [
    ("mesh-opengl", [[1, 0, 0], [0, -1, 0], [0, 0, -1]]), ("mesh-z-up", [[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    ("mesh-y-up", [[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
])  # fmt: skip
def test_a_turned_mesh_is_met_by_turned_cameras(name, turn):
    points = object_points()
    for good, turned in zip(ring(), apply_flip(ring(), name), strict=True):
        np.testing.assert_allclose(
            project(turned, points @ np.array(turn, float).T)[0], project(good, points)[0], atol=1e-9
        )


def test_unknown_flips_are_refused():
    with pytest.raises(InvalidInput, match="no flip 'open-gl'") as caught:
        apply_flip(ring(), "open-gl")
    assert "opengl" in caught.value.hint
    assert apply_flip(ring(1), "")[0].rotation.shape == (3, 3)
    assert all(apply_flip(ring(1), name) for name in FLIPS)
