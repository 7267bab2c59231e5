"""Camera files as other programs write them: each format by hand, in all its spellings, and what can be wrong with it."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.cameras import FISHEYE, PERSPECTIVE, Camera, Distortion, files_of, from_array, read, to_array, write
from shared.cameras.image_header import image_size
from shared.cameras.photographs import Photographs, match_by_name
from shared.cameras.pose import rotation_from_quaternion
from shared.cameras.views import find_views, uv_from_channels
from shared.errors import InvalidInput

QUATERNIONS = ((0.5, 0.5, -0.5, 0.5), (0.96, 0.1, -0.2, 0.165), (-0.3, 0.4, 0.5, 0.7))
SHIFTS = ((0.1, -0.2, 3.0), (-1.5, 0.25, 2.0), (0.0, 0.5, 4.5))
NAMES = ("a.jpg", "sub/b c.jpg", "sub/a.png")
SIZE = (64, 48)
OPENGL = np.diag([1.0, -1.0, -1.0])


def picture(path: Path, size: tuple[int, int] = SIZE, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 30)).save(path, **options)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in NAMES:
        picture(tmp_path / "images" / name)
    return tmp_path / "images"


def poses() -> list[tuple[np.ndarray, np.ndarray]]:
    return [(rotation_from_quaternion(*q), np.array(t)) for q, t in zip(QUATERNIONS, SHIFTS, strict=True)]


def assert_posed(cameras: tuple[Camera, ...], tolerance: float = 1e-12) -> None:
    """The three poses of this file, in order, within the rounding of the format."""
    assert len(cameras) == 3
    for camera, (rotation, translation) in zip(cameras, poses(), strict=True):
        np.testing.assert_allclose(camera.rotation, rotation, atol=tolerance)
        np.testing.assert_allclose(camera.translation, translation, atol=tolerance)
        assert (camera.width, camera.height) == SIZE


def refused(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


# COLMAP --------------------------------------------------------------------------------------------------------------

LENSES = (
    ("SIMPLE_PINHOLE", 0, (60.0, 31.5, 24.5), (60.0, 60.0), Distortion()),
    ("PINHOLE", 1, (60.0, 61.0, 31.5, 24.5), (60.0, 61.0), Distortion()),
    ("SIMPLE_RADIAL", 2, (60.0, 31.5, 24.5, -0.1), (60.0, 60.0), Distortion(PERSPECTIVE, (-0.1,))),
    ("RADIAL", 3, (60.0, 31.5, 24.5, -0.1, 0.02), (60.0, 60.0), Distortion(PERSPECTIVE, (-0.1, 0.02))),
    ("OPENCV", 4, (60.0, 61.0, 31.5, 24.5, 1.0, 2.0, 3.0, 4.0), (60.0, 61.0), Distortion(PERSPECTIVE, (1, 2, 3, 4))),
    ("OPENCV_FISHEYE", 5, (60.0, 61.0, 31.5, 24.5, 0.1, 0.2, 0.3, 0.4), (60.0, 61.0), Distortion(FISHEYE, (0.1, 0.2, 0.3, 0.4))),
    ("FULL_OPENCV", 6, (60.0, 61.0, 31.5, 24.5, *range(1, 9)), (60.0, 61.0), Distortion(PERSPECTIVE, tuple(range(1, 9)))),
    ("SIMPLE_RADIAL_FISHEYE", 8, (60.0, 31.5, 24.5, 0.1), (60.0, 60.0), Distortion(FISHEYE, (0.1,))),
    ("RADIAL_FISHEYE", 9, (60.0, 31.5, 24.5, 0.1, 0.2), (60.0, 60.0), Distortion(FISHEYE, (0.1, 0.2))),
)  # fmt: skip


def colmap_text(folder: Path, model: str = "PINHOLE", parameters: tuple[float, ...] = (60.0, 61.0, 31.5, 24.5)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lens = " ".join(repr(float(value)) for value in parameters)
    (folder / "cameras.txt").write_text(f"# Camera list\n7 {model} {SIZE[0]} {SIZE[1]} {lens}\n")
    lines = [
        "# Image list with two lines of data per image:",
        "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME",
    ]
    for number, (q, t, name) in enumerate(zip(QUATERNIONS, SHIFTS, NAMES, strict=True)):
        lines += [f"{number + 1} {' '.join(map(repr, q))} {' '.join(map(repr, t))} 7 {name}"]
        lines += ["" if number == 1 else "3.5 4.5 -1 7.0 8.0 22"]  # the points of an image may be an empty line
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    return folder


def colmap_binary(folder: Path, model: int = 1, parameters: tuple[float, ...] = (60.0, 61.0, 31.5, 24.5)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lens = struct.pack("<QIiQQ", 1, 7, model, *SIZE) + struct.pack(f"<{len(parameters)}d", *parameters)
    data = struct.pack("<Q", 3)
    for number, (q, t, name) in enumerate(zip(QUATERNIONS, SHIFTS, NAMES, strict=True)):
        points = struct.pack("<ddq", 3.5, 4.5, -1) * number
        data += struct.pack("<I7dI", number + 1, *q, *t, 7) + name.encode() + b"\0" + struct.pack("<Q", number) + points
    (folder / "cameras.bin").write_bytes(lens)
    (folder / "images.bin").write_bytes(data)
    (folder / "rigs.bin").write_bytes(b"\0" * 8)
    return folder


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize(
    ("model", "number", "parameters", "focal", "distortion"), LENSES, ids=[lens[0] for lens in LENSES]
)
def test_colmap_reads_every_lens(tmp_path, images, binary, model, number, parameters, focal, distortion):
    folder = tmp_path / "sparse" / "0"
    colmap_binary(folder, number, parameters) if binary else colmap_text(folder, model, parameters)
    found = read(folder)
    assert_posed(found.cameras)
    assert found.format == "COLMAP"
    assert found.missing == ()
    assert found.photographs == tuple(found.photographs[0].parent.joinpath(name) for name in NAMES)  # type: ignore[union-attr]
    camera = found.cameras[0]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (*focal, 31.5, 24.5)  # COLMAP counts from the corner, too
    assert camera.distortion.model == distortion.model
    padded = (*distortion.coefficients, *(0.0,) * 8)[:8]
    assert (
        camera.distortion.coefficients == padded if distortion.coefficients else not any(camera.distortion.coefficients)
    )


def test_colmap_is_found_from_any_of_its_places(tmp_path, images):
    folder = colmap_text(tmp_path / "sparse" / "0")
    for path in (tmp_path, tmp_path / "sparse", folder, folder / "images.txt", folder / "cameras.txt"):
        assert_posed(read(path).cameras)
    assert [path.name for path in files_of(tmp_path)] == ["cameras.txt", "images.txt"]


@pytest.mark.parametrize(("model", "number"), [("FOV", 7), ("THIN_PRISM_FISHEYE", 10)])
def test_colmap_refuses_lenses_that_are_not_read(tmp_path, images, model, number):
    count = {"FOV": 5, "THIN_PRISM_FISHEYE": 12}[model]
    refused(lambda: read(colmap_text(tmp_path / "t", model, (1.0,) * count)), model, "image_undistorter")
    refused(lambda: read(colmap_binary(tmp_path / "b", number, (1.0,) * count)), model, "image_undistorter")
    refused(lambda: read(colmap_binary(tmp_path / "c", 99)), "unknown model 99")
    refused(lambda: read(colmap_text(tmp_path / "d", "PINHOLE", (1.0, 2.0))), "2 parameters", "PINHOLE has 4")


def test_colmap_says_what_is_broken(tmp_path, images):
    folder = colmap_binary(tmp_path / "cut")
    whole = (folder / "images.bin").read_bytes()
    for length in (4, 40, 100, len(whole) - 10):
        (folder / "images.bin").write_bytes(whole[:length])
        refused(lambda: read(folder), "images.bin", "cut short")
    (folder / "images.bin").unlink()
    refused(lambda: read(folder), "has no", "side by side")
    text = colmap_text(tmp_path / "nan")
    (text / "images.txt").write_text((text / "images.txt").read_text().replace("3.0 7", "nan 7"))
    refused(lambda: read(text), "a.jpg", "not finite")
    (text / "images.txt").write_text("1 0 0 0 0 0 0 3 7 a.jpg\n\n")
    refused(lambda: read(text), "a.jpg", "not finite")
    (text / "images.txt").write_text("1 1 0 0 0 0 0 3 9 a.jpg\n\n")
    refused(lambda: read(text), "camera 9", "a.jpg")
    (text / "images.txt").write_text("1 1 0 0 nonsense 0 0 3 9 a.jpg\n\n")
    refused(lambda: read(text), "images.txt", "damaged")
    (text / "images.txt").write_text("# nothing\n")
    refused(lambda: read(text), "no posed camera")


# Bundler -------------------------------------------------------------------------------------------------------------


def bundler(folder: Path) -> Path:
    """Four photographs, of which Bundler could not pose the second."""
    lines = ["# Bundle file v0.3", "4 1"]
    for index, (rotation, translation) in enumerate([poses()[0], (np.zeros((3, 3)), np.zeros(3)), *poses()[1:]]):
        lines += ["0 0 0" if index == 1 else "55.5 -0.1 0.02"]
        lines += [" ".join(map(repr, row)) for row in (OPENGL @ rotation).tolist()]
        lines += [" ".join(map(repr, (OPENGL @ translation).tolist()))]
    lines += ["1.0 2.0 3.0", "255 0 0", "1 0 12 3.5 -4.5"]
    (folder / "list.txt").write_text(
        f"images/{NAMES[0]} 0 1200.5\nunposed.jpg\nimages/{NAMES[1]}\n./images/{NAMES[2]}\n"
    )
    (folder / "bundle").mkdir()
    (folder / "bundle" / "bundle.out").write_text("\n".join(lines) + "\n")
    return folder / "bundle" / "bundle.out"


def test_bundler(tmp_path, images):
    found = read(bundler(tmp_path))
    assert_posed(found.cameras, 1e-9)
    camera = found.cameras[0]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (
        55.5,
        55.5,
        32.0,
        24.0,
    )  # the origin is the picture's middle
    assert camera.distortion == Distortion(PERSPECTIVE, (-0.1, 0.02, 0, 0, 0, 0, 0, 0))
    assert read(tmp_path).format == "Bundler"


def test_bundler_looks_along_minus_z_with_y_up(tmp_path):
    """A point straight ahead of a Bundler camera at the origin, a little up, is above the middle of the picture."""
    picture(tmp_path / "one.jpg")
    (tmp_path / "list.txt").write_text("one.jpg\n")
    (tmp_path / "bundle.out").write_text("# Bundle file v0.3\n1 0\n50 0 0\n1 0 0\n0 1 0\n0 0 1\n0 0 0\n")
    camera = read(tmp_path / "bundle.out").cameras[0]
    x, y, z = camera.rotation @ np.array([0.2, 0.1, -2.0]) + camera.translation
    assert z == pytest.approx(2.0)
    assert (camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy) == pytest.approx((37.0, 21.5))


def test_bundler_says_what_is_broken(tmp_path, images):
    path = bundler(tmp_path)
    whole = path.read_text()
    path.write_text(whole[:300])
    refused(lambda: read(path), "cut short")
    path.write_text(whole.replace("v0.3", "v0.4"))
    refused(lambda: read(path), "another version", "0.3")
    path.write_text(whole)
    (images / NAMES[0]).unlink()
    found = read(path)
    assert found.missing == (f"images/{NAMES[0]}",)
    assert len(found.cameras) == len(found.photographs) == 2  # without a size there is no camera
    (tmp_path / "list.txt").write_text("only.jpg\n")
    refused(lambda: read(path), "4 cameras", "1 photographs")
    (tmp_path / "list.txt").unlink()
    refused(lambda: read(path), "no list of photographs")


# AliceVision ---------------------------------------------------------------------------------------------------------


def alicevision(folder: Path, images: Path, lens: dict, version: list[str] | None = None) -> Path:
    def pose(rotation: np.ndarray, translation: np.ndarray) -> dict:
        center = -rotation.T @ translation
        return {
            "transform": {
                "rotation": [repr(float(v)) for v in rotation.T.ravel()],
                "center": [repr(float(v)) for v in center],
            }
        }

    document = {
        "version": version or ["1", "2", "7"],
        "views": [
            {"viewId": str(i), "poseId": str(i), "intrinsicId": "5", "path": str(images / name)} for i, name in enumerate(NAMES)
        ]
        + [{"viewId": "9", "poseId": "9", "intrinsicId": "5", "path": "/elsewhere/unposed.jpg"}],
        "intrinsics": [{"intrinsicId": "5", "width": "64", "height": "48", **lens}],
        "poses": [{"poseId": str(i), "pose": pose(*p)} for i, p in enumerate(poses())],
    }  # fmt: skip
    (folder / "cameras.sfm").write_text(json.dumps(document))
    return folder / "cameras.sfm"


MM = {"focalLength": "30.0", "sensorWidth": "36.0", "pixelRatio": "1.0", "principalPoint": ["-0.5", "0.5"]}
PX = {"pxFocalLength": "53.333333333333336", "principalPoint": ["31.5", "24.5"]}
KINDS = (
    ({"type": "pinhole"}, Distortion()),
    ({"type": "radial1", "distortionParams": ["-0.1"]}, Distortion(PERSPECTIVE, (-0.1,))),
    ({"type": "radial3", "distortionParams": ["-0.1", "0.02", "0.003"]}, Distortion(PERSPECTIVE, (-0.1, 0.02, 0, 0, 0.003))),
    ({"type": "brown", "distortionParams": ["1", "2", "3", "4", "5"]}, Distortion(PERSPECTIVE, (1, 2, 4, 5, 3))),
    ({"type": "fisheye4", "distortionParams": ["1", "2", "3", "4"]}, Distortion(FISHEYE, (1, 2, 3, 4))),
    ({"type": "pinhole", "distortionType": "radialk3", "distortionParams": ["1", "2"]}, Distortion(PERSPECTIVE, (1, 2))),
    ({"type": "pinhole", "distortionType": "none", "distortionParams": ""}, Distortion()),
)  # fmt: skip


@pytest.mark.parametrize(
    ("lens", "distortion"),
    KINDS,
    ids=[str(kind[0].get("distortionType", kind[0]["type"])) + str(i) for i, kind in enumerate(KINDS)],
)
@pytest.mark.parametrize("spelling", ["1.2.7, mm", "1.0.0, px"])
def test_alicevision(tmp_path, images, lens, distortion, spelling):
    version, unit = spelling.split(", ")
    found = read(alicevision(tmp_path, images, lens | (MM if unit == "mm" else PX), version.split(".")))
    assert found.format == "AliceVision"
    assert_posed(found.cameras, 1e-9)
    assert [camera.name for camera in found.cameras] == list(NAMES)  # without the folders they share
    camera = found.cameras[0]
    assert (camera.fx, camera.fy) == pytest.approx((30 / 36 * 64,) * 2)
    assert (camera.cx, camera.cy) == pytest.approx(
        (31.5, 24.5)
    )  # from the middle in newer files, from the corner in older ones
    assert camera.distortion.model == distortion.model
    assert camera.distortion.coefficients == tuple((*distortion.coefficients, *(0.0,) * 8)[:8])


def test_alicevision_pixel_ratio_and_rigs(tmp_path, images):
    path = alicevision(tmp_path, images, {"type": "pinhole", **MM, "pixelRatio": "2.0"})
    camera = read(path).cameras[0]
    assert camera.fy == pytest.approx(2 * camera.fx)
    document = json.loads(path.read_text())
    turn, center = rotation_from_quaternion(0.9, 0.1, 0.3, -0.2), np.array([0.1, 0.2, -0.3])
    document["rigs"] = [
        {"rigId": "1", "subPoses": [{"pose": {"rotation": turn.T.ravel().tolist(), "center": center.tolist()}}]}
    ]
    document["views"][0] |= {"rigId": "1", "subPoseId": "0", "isPoseIndependant": "false"}
    path.write_text(json.dumps(document))
    camera = read(path).cameras[0]
    rotation, translation = poses()[0]
    point = np.array([0.3, -0.4, 0.5])
    expected = turn @ (rotation @ point + translation - center)  # into the rig, then into its camera
    np.testing.assert_allclose(camera.rotation @ point + camera.translation, expected, atol=1e-12)


def test_alicevision_says_what_is_broken(tmp_path, images):
    refused(
        lambda: read(alicevision(tmp_path, images, {"type": "fisheye1", "distortionParams": ["1"], **MM})),
        "fisheye1",
        "Meshroom",
    )
    refused(
        lambda: read(alicevision(tmp_path, images, {"type": "pinhole", "principalPoint": ["0", "0"]})),
        "focalLength",
        "missing",
    )
    path = alicevision(tmp_path, images, {"type": "pinhole", **MM})
    path.write_text(path.read_text()[:400])
    refused(lambda: read(path), "cut short")


# NeRF ----------------------------------------------------------------------------------------------------------------


def transforms(
    folder: Path, document: dict, names: tuple[str, ...] = tuple(f"./images/{name}" for name in NAMES)
) -> Path:
    def matrix(rotation: np.ndarray, translation: np.ndarray) -> list:
        made = np.eye(4)
        made[:3, :3], made[:3, 3] = rotation.T @ OPENGL, -rotation.T @ translation
        return made.tolist()

    frames = [{"file_path": name, "transform_matrix": matrix(*pose)} for name, pose in zip(names, poses(), strict=True)]
    (folder / "transforms.json").write_text(json.dumps({**document, "frames": frames}))
    return folder / "transforms.json"


def test_nerf_with_intrinsics_for_all(tmp_path, images):
    document = {
        "w": 64,
        "h": 48,
        "fl_x": 60.0,
        "fl_y": 61.0,
        "cx": 31.5,
        "cy": 24.5,
        "k1": -0.1,
        "k2": 0.02,
        "p1": 0.001,
        "p2": 0.002,
    }
    found = read(transforms(tmp_path, document | {"camera_model": "OPENCV"}))
    assert found.format == "NeRF"
    assert_posed(found.cameras, 1e-12)
    camera = found.cameras[1]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (60.0, 61.0, 31.5, 24.5)
    assert camera.distortion == Distortion(PERSPECTIVE, (-0.1, 0.02, 0.001, 0.002, 0, 0, 0, 0))
    fisheye = read(transforms(tmp_path, document | {"camera_model": "OPENCV_FISHEYE", "k3": 0.3, "k4": 0.4})).cameras[0]
    assert fisheye.distortion == Distortion(FISHEYE, (-0.1, 0.02, 0.3, 0.4, 0, 0, 0, 0))


def test_nerf_with_an_angle_and_names_without_endings(tmp_path, images):
    names = tuple(f"./images/{name.rpartition('.')[0]}" for name in NAMES)
    found = read(transforms(tmp_path, {"camera_angle_x": 0.8}, names))
    assert_posed(found.cameras)
    assert found.cameras[0].fx == found.cameras[0].fy == pytest.approx(32 / math.tan(0.4))
    assert found.photographs == tuple(path for path in found.photographs if path and path.is_file())


def test_nerf_frames_have_their_own_lenses(tmp_path, images):
    path = transforms(tmp_path, {"w": 64, "h": 48, "fl_x": 60.0})
    document = json.loads(path.read_text())
    document["frames"][1] |= {"fl_x": 70.0, "cx": 30.0}
    path.write_text(json.dumps(document))
    first, second, _ = read(path).cameras
    assert (first.fx, first.cx, second.fx, second.cx) == (60.0, 32.0, 70.0, 30.0)


def test_nerf_says_what_is_broken(tmp_path, images):
    refused(
        lambda: read(transforms(tmp_path, {"w": 64, "h": 48, "fl_x": 60, "camera_model": "EQUIRECTANGULAR"})),
        "EQUIRECTANGULAR",
    )
    refused(lambda: read(transforms(tmp_path, {"w": 64, "h": 48})), "neither fl_x")
    path = transforms(tmp_path, {"w": 64, "h": 48, "fl_x": 60})
    document = json.loads(path.read_text())
    matrix = document["frames"][1]["transform_matrix"]
    for change, word in (
        ((np.array(matrix) * [[2]] * 4).tolist(), "not a rotation"),
        (matrix[:3], "16 numbers"),
        ([[math.nan] * 4] * 4, "not finite"),
    ):
        document["frames"][1]["transform_matrix"] = change
        path.write_text(json.dumps(document))
        refused(lambda: read(path), NAMES[1], word)
    mirrored = np.array(matrix)
    mirrored[:3, 0] *= -1
    document["frames"][1]["transform_matrix"] = mirrored.tolist()
    path.write_text(json.dumps(document))
    refused(lambda: read(path), "mirrors")


# Ours, and NeuralTexGen's --------------------------------------------------------------------------------------------


def cameras_of_this_file() -> list[Camera]:
    rng = np.random.default_rng(3)
    lenses = (
        Distortion(),
        Distortion(PERSPECTIVE, tuple(rng.normal(size=8))),
        Distortion(FISHEYE, (*rng.normal(size=4), 0, 0, 0, 0)),
    )
    return [
        Camera(
            name=name, width=64, height=48, fx=lens_px[0], fy=lens_px[1], cx=lens_px[2] / 2, cy=lens_px[3] / 2,
            rotation=rotation, translation=translation / 3, distortion=lens,
        )
        for name, (rotation, translation), lens in zip(NAMES, poses(), lenses, strict=True)
        for lens_px in [rng.uniform(50, 60, 4).tolist()]
    ]  # fmt: skip


def test_our_own_file_loses_nothing(tmp_path, images):
    cameras = cameras_of_this_file()
    write(cameras, tmp_path / "cameras.json")
    found = read(tmp_path / "cameras.json")
    assert found.format == "Relievo"
    np.testing.assert_array_equal(to_array(found.cameras).values, to_array(cameras).values)
    assert [camera.name for camera in found.cameras] == list(NAMES)
    again = from_array(to_array(found.cameras))
    np.testing.assert_array_equal(to_array(again).values, to_array(cameras).values)


@pytest.mark.parametrize(("old", "new", "word"), [
    ('"version": 1', '"version": 2', "version 2"), ('"fx"', '"f"', "fx is missing"), ('"perspective"', '"brown"', "brown"),
    ('"width": 64', '"width": 0', "0 x 48 px"), ('"relievo-cameras"', '"other"', "not a recognised camera file"),
    ('"translation": [', '"translation": [1.0, ', "3 numbers"),
])  # fmt: skip
def test_our_own_file_says_what_is_broken(tmp_path, images, old, new, word):
    write(cameras_of_this_file(), tmp_path / "cameras.json")
    (tmp_path / "cameras.json").write_text((tmp_path / "cameras.json").read_text().replace(old, new, 1))
    refused(lambda: read(tmp_path / "cameras.json"), word)


def test_plain_cameras_of_neuraltexgen(tmp_path):
    for number, (rotation, translation) in zip((2, 10, 11), poses(), strict=True):
        pose, lens = np.eye(4), np.diag([60.0, 61.0, 1.0, 1.0])
        pose[:3, :3], pose[:3, 3], lens[0, 2], lens[1, 2] = rotation, translation, 31.0, 24.0
        picture(tmp_path / "images" / f"{number}.jpg")
        np.savetxt(tmp_path / "images" / f"{number}.txt", np.concatenate([pose, lens]), fmt="%.17g")
    found = read(tmp_path)
    assert found.format == "plain"
    assert [camera.name for camera in found.cameras] == ["2.jpg", "10.jpg", "11.jpg"]
    assert_posed(found.cameras)
    assert (found.cameras[0].cx, found.cameras[0].cy) == (31.5, 24.5)  # theirs counts from pixel centres


def test_views_of_neuraltexgen(tmp_path):
    for number in (2, 10):
        picture(tmp_path / "images" / f"{number}.jpg")
        (tmp_path / "uvs").mkdir(exist_ok=True)
        (tmp_path / "uvs" / f"{number}.exr").write_bytes(b"x")
    assert [view.name for view in find_views(tmp_path)] == ["2.jpg", "10.jpg"]
    (tmp_path / "uvs" / "10.exr").rename(tmp_path / "uvs" / "3.exr")
    refused(lambda: find_views(tmp_path), "10.jpg", "no UV map")
    picture(tmp_path / "images" / "3.jpg")
    (tmp_path / "images" / "10.jpg").unlink()
    (tmp_path / "images" / "2.jpg").unlink()
    refused(lambda: find_views(tmp_path), "2.exr", "no photograph")
    refused(lambda: find_views(tmp_path / "images"), "no folder images")
    refused(lambda: find_views(tmp_path / "elsewhere"), "There is no folder")
    picture(tmp_path / "images" / "2.jpg")
    assert len(find_views(tmp_path)) == 2
    picture(tmp_path / "images" / "2.png")
    refused(lambda: find_views(tmp_path), "2.jpg", "2.png", "same UV map")


def test_uv_channels_turn_v_up_and_know_where_no_surface_is():
    red = np.array([[0.0, 0.25, -1.0, 0.5, 1.5, np.nan]], np.float32)
    green = np.array([[0.0, 0.75, -1.0, -0.1, 0.5, 0.5]], np.float32)
    uv = uv_from_channels(red, green)
    np.testing.assert_array_equal(
        uv[0, :2], [[0.0, 1.0], [0.25, 0.25]]
    )  # 0, 0 is a surface: the texture's top left corner
    assert np.isnan(uv[0, 2:]).all()


# Photographs ---------------------------------------------------------------------------------------------------------


def test_photographs_are_found_in_a_folder_by_what_tells_them_apart(tmp_path, images):
    folder = colmap_text(tmp_path / "model")
    elsewhere = tmp_path / "else"
    for name in ("x/sub/A.png", "x/A.jpg", "x/sub/B C.tif"):
        picture(elsewhere / name)
    found = read(folder, elsewhere)
    assert [path.relative_to(elsewhere).as_posix() for path in found.photographs if path] == [
        "x/A.jpg",
        "x/sub/B C.tif",
        "x/sub/A.png",
    ]
    assert found.missing == ()
    files = sorted(elsewhere.rglob("*.*"))
    assert read(folder, files=files).photographs == found.photographs
    (elsewhere / "x/sub/B C.tif").unlink()
    assert read(folder, elsewhere).missing == (NAMES[1],)
    assert read(folder, elsewhere).photographs[1] is None


def test_photographs_beside_the_cameras_are_found_whatever_their_case_and_ending(tmp_path, monkeypatch):
    """Names as cameras and other machines write them; a file of that name in the working folder is none of them."""
    names = ("DCIM/IMG_1.JPG", "C:\\Users\\me\\IMG_2.JPG", "IMG_3.JPG", "IMG_4")
    for name in (
        "images/DCIM/IMG_1.JPG",
        "images/IMG_2.JPG",
        "images/IMG_3.png",
        "images/IMG_4.JPEG",
        "elsewhere/IMG_3.JPG",
    ):
        picture(tmp_path / name)
    monkeypatch.chdir(tmp_path / "elsewhere")
    photographs = Photographs(tmp_path / "sparse" / "0")
    (tmp_path / "sparse" / "0").mkdir(parents=True)
    found = [photographs.find(name) for name in names]
    assert [path and path.resolve().relative_to(tmp_path).as_posix() for path in found] == [
        "images/DCIM/IMG_1.JPG", "images/IMG_2.JPG", "images/IMG_3.png", "images/IMG_4.JPEG",
    ]  # fmt: skip
    assert photographs.find("IMG_5.JPG") is None
    assert photographs.missing == ("IMG_5.JPG",)


def test_a_name_that_two_photographs_answer_to_is_refused(tmp_path, images):
    folder = colmap_text(tmp_path / "model")
    for name in ("one/a.jpg", "two/a.jpg", "sub/b c.jpg", "sub/a.png"):
        picture(tmp_path / "else" / name)
    refused(lambda: read(folder, tmp_path / "else"), "a.jpg", "one", "two")
    (tmp_path / "else" / "one" / "a.jpg").unlink()
    (tmp_path / "else" / "two" / "a.jpg").unlink()
    refused(lambda: read(folder, tmp_path / "else"), "same photograph")
    refused(lambda: read(folder, tmp_path / "nowhere"), "no folder")


def test_masks_match_by_name_with_either_ending():
    files = [Path("masks/sub/a.jpg.png"), Path("masks/b.png"), Path("masks/c.exr")]
    assert match_by_name(["sub/a.jpg", "b.JPG", "c.tif", "d.jpg"], files, "mask") == [*files, None]
    refused(lambda: match_by_name(["a.jpg"], [Path("m/a.png"), Path("m/a.jpg.png")], "mask"), "could be the mask")


LONG_EXIF = b"Exif\0\0" + b"II*\0\x08\0\0\0" + b"\0" * 60000


@pytest.mark.parametrize(("suffix", "options"), [
    (".jpg", {}), (".jpg", {"progressive": True}), (".jpg", {"exif": LONG_EXIF}), (".png", {}), (".tif", {}),
    (".tif", {"compression": "tiff_lzw"}), (".webp", {}), (".webp", {"lossless": True}), (".webp", {"exif": LONG_EXIF}),
])  # fmt: skip
def test_image_size_from_the_header_alone(tmp_path, suffix, options):
    path = picture(tmp_path / f"photo{suffix}", (321, 123), **options)
    assert image_size(path) == (321, 123)
    assert image_size(path.read_bytes()) == (321, 123)
    assert image_size(np.fromfile(path, np.uint8)) == (321, 123)
    data, said = path.read_bytes(), []
    for length in range(0, min(len(data), 400), 7):  # every cut is a sentence, or the header was whole
        try:
            size = image_size(data[:length], "photo")
        except InvalidInput as error:
            said.append(error.message)
        else:
            assert size == (321, 123)
    assert said
    assert all("photo" in message for message in said)


def test_what_is_no_image_or_no_camera_is_said(tmp_path):
    (tmp_path / "x.txt").write_text("hello")
    refused(lambda: image_size(tmp_path / "x.txt"), "neither JPEG")
    refused(lambda: image_size(tmp_path / "y.jpg"), "cannot be read")
    refused(lambda: read(tmp_path / "x.txt"), "not a recognised camera file", "COLMAP")
    refused(lambda: read(tmp_path / "no.json"), "does not exist")
    refused(lambda: read(tmp_path), "no cameras in the folder")
    (tmp_path / "e.json").write_text("")
    refused(lambda: read(tmp_path / "e.json"), "empty")
    (tmp_path / "e.json").write_text("{]")
    refused(lambda: read(tmp_path / "e.json"), "not JSON")
    (tmp_path / "e.json").write_text('{"frames": []}')
    refused(lambda: read(tmp_path / "e.json"), "no posed camera")
