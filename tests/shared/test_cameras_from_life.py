"""Camera files as people and other programs leave them: lines left out, marks and line ends of editors, lenses that nobody here
knows, scenes of OpenMVS and texrecon, and files that are made to harm."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.cameras import read
from shared.cameras.pose import rotation_from_quaternion
from shared.errors import InvalidInput

SIZE = (64, 48)
NAMES = [f"IMG {number}.jpg" for number in range(1, 9)]
UTM = np.array([432123.4, 5206789.1, 412.3])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in NAMES:
        Image.new("RGB", SIZE, (90, 120, 30)).save(tmp_path / "images" / name)
    return tmp_path / "images"


def pose(number: int, offset: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quaternion, rotation and centre of a camera."""
    quaternion = np.array([0.9, 0.05 * number, -0.1, 0.2])
    quaternion /= np.linalg.norm(quaternion)
    center = np.array([0.3 * number, -0.2, -4.0]) + (0 if offset is None else offset)
    return quaternion, rotation_from_quaternion(*quaternion), center


def refused(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        call()
    assert caught.value.message.endswith(".")
    for word in words:
        assert word in str(caught.value)


def assert_posed(path: Path, count: int = 8, offset: np.ndarray | None = None, tolerance: float = 1e-9) -> None:
    cameras = read(path).cameras
    assert [camera.name for camera in cameras] == NAMES[:count]
    for number, camera in enumerate(cameras):
        _, rotation, center = pose(number, offset)
        point = center + np.array([0.5, -0.25, 3.0])
        np.testing.assert_allclose(
            camera.rotation @ point + camera.translation, rotation @ (point - center), atol=tolerance
        )
        assert (camera.width, camera.height) == SIZE


# COLMAP's text -------------------------------------------------------------------------------------------------------------------


def colmap(folder: Path, after: Callable[[int], str], newline: str = "\n", encoding: str = "utf-8", **given) -> Path:
    """after: what follows the line of an image."""
    folder.mkdir(exist_ok=True)
    lines = ["# Image list", "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME", ""]
    for number, name in enumerate(given.get("names", NAMES)):
        quaternion, rotation, center = pose(number, given.get("offset"))
        values = [*quaternion, *(-rotation @ center)]
        lines.append(f"{number + 1} " + " ".join(f"{value:.17g}" for value in values) + f" 1 {name}")
        lines += after(number).split("\n") if after(number) != "nothing" else []
    for name, content in (
        ("images", lines),
        ("cameras", ["# Camera list", f"1 PINHOLE {SIZE[0]} {SIZE[1]} 60 60 32 24"]),
    ):
        (folder / f"{name}.txt").write_bytes((newline.join(content) + newline).encode(encoding))
    return folder


POINTS = "3.5 4.5 -1 7.0 8.0 22"


@pytest.mark.parametrize(
    "after",
    [
        lambda n: "nothing",
        lambda n: "",
        lambda n: POINTS,
        lambda n: "nothing" if n % 2 else POINTS,
        lambda n: "nothing" if n % 3 else "",
        lambda n: f"# a word\n{POINTS}\n\n# another",
        lambda n: "\n\n",
        lambda n: "1 2 3 4 5 6 7 8 9 10 11 12",
    ],
    ids=["left out", "empty", "points", "some", "some empty", "comments", "blank", "whole numbers"],
)
def test_images_are_read_with_and_without_their_points(tmp_path, images, after):
    assert_posed(colmap(tmp_path / "sparse", after))


@pytest.mark.parametrize("newline", ["\r\n", "\r", "\n"], ids=["Windows", "old Mac", "Unix"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_marks_of_editors(tmp_path, images, newline, encoding):
    assert_posed(colmap(tmp_path / "sparse", lambda n: "nothing", newline, encoding))


def test_names_that_are_numbers(tmp_path, images):
    names = ["7 8 9", "0001", "12"]
    for name in names:
        (images / NAMES[0]).rename(images / f"{name}.jpg") if name == names[0] else None
    for points in ("nothing", "", POINTS):
        found = read(colmap(tmp_path / "sparse", lambda n, points=points: points, names=names))
        assert [camera.name for camera in found.cameras] == names


def test_far_coordinates_lose_nothing(tmp_path, images):
    assert_posed(colmap(tmp_path / "sparse", lambda n: "nothing", offset=UTM), offset=UTM, tolerance=1e-7)


def test_what_is_no_image_is_told_with_its_line(tmp_path, images):
    folder = colmap(tmp_path / "sparse", lambda n: "nothing")
    text = (folder / "images.txt").read_text()
    (folder / "images.txt").write_text(text.replace("0.9", "0,9"))
    refused(lambda: read(folder), "line 4", "decimal commas")
    (folder / "images.txt").write_text("1 1 0 0 0 0 0 5 1\n")
    refused(lambda: read(folder), "line 1", "NAME")
    (folder / "images.txt").write_bytes(text.encode() + b"# Stra\xdfe\n")
    refused(lambda: read(folder), "not text in UTF-8", "0xdf")


# Rotations that a file has rounded, far away -------------------------------------------------------------------------------------


def test_a_rounded_rotation_does_not_move_a_far_camera(tmp_path, images):
    """transforms.json and Meshroom give the camera's centre, which four digits of its rotation must not move by metres."""
    turn = np.diag([1.0, -1.0, -1.0])
    frames = []
    for number, name in enumerate(NAMES):
        _, rotation, center = pose(number, UTM)
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = np.round(rotation.T @ turn, 4), center
        frames.append({"file_path": f"images/{name}", "transform_matrix": matrix.tolist()})
    (tmp_path / "transforms.json").write_text(json.dumps({"w": 64, "h": 48, "fl_x": 60, "frames": frames}))
    for number, camera in enumerate(read(tmp_path / "transforms.json").cameras):
        np.testing.assert_allclose(camera.center, pose(number, UTM)[2], atol=1e-6)


# OpenMVS -------------------------------------------------------------------------------------------------------------------------


def text64(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def openmvs(version: int = 7, *, normalized: bool = False, mounted: bool = False) -> bytes:
    """A platform with one camera, mounted or at its origin; eight posed images and one without a pose."""
    k = np.array([[60.0, 0, 30.5], [0, 61.0, 24.5], [0, 0, 1]])
    if normalized:
        k = np.array([[60.0 / 64, 0, 31.0 / 64 - 0.5], [0, 61.0 / 64, 25.0 / 64 - 0.5], [0, 0, 1]])
    mount, arm = (
        (rotation_from_quaternion(0.9, 0.1, 0.3, -0.2), np.array([0.1, 0.2, -0.3]))
        if mounted
        else (np.eye(3), np.zeros(3))
    )
    data = (
        b"MVSI"
        + struct.pack("<2I", version, 0)
        + struct.pack("<Q", 1)
        + text64("platform")
        + struct.pack("<Q", 1)
        + text64("lens")
    )
    data += text64("RGB") if version > 3 else b""
    data += struct.pack("<2I", *((0, 0) if normalized else SIZE))
    data += k.tobytes() + mount.tobytes() + arm.tobytes() + struct.pack("<Q", len(NAMES))
    for number in range(len(NAMES)):
        _, rotation, center = pose(number)
        platform = mount.T @ rotation
        data += platform.tobytes() + (center - platform.T @ arm).tobytes()
    data += struct.pack("<Q", len(NAMES) + 1)
    for number, name in enumerate([*NAMES, "unposed.jpg"]):
        data += text64(f"images\\{name}") + (text64("") if version > 4 else b"")
        data += struct.pack("<3I", 0, 0, number if number < len(NAMES) else 0xFFFFFFFF)
        data += struct.pack("<I", number) if version > 2 else b""
        data += struct.pack("<3fQ", 1, 2, 3, 1) + struct.pack("<2I4f", 1, 9, 1, 1, 1, 1) if version > 6 else b""
    return data + struct.pack("<Q", 0) * 3


@pytest.mark.parametrize("version", range(1, 8))
@pytest.mark.parametrize("mounted", [False, True], ids=["plain", "mounted"])
def test_openmvs(tmp_path, images, version, mounted):
    path = tmp_path / "scene.mvs"
    path.write_bytes(openmvs(version, mounted=mounted))
    found = read(path)
    assert found.format == "OpenMVS"
    assert found.missing == ()
    assert [camera.name for camera in found.cameras] == [f"images/{name}" for name in NAMES]
    for number, camera in enumerate(found.cameras):
        _, rotation, center = pose(number)
        np.testing.assert_allclose(camera.rotation, rotation, atol=1e-12)
        np.testing.assert_allclose(camera.center, center, atol=1e-12)
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == (
            60.0,
            61.0,
            31.0,
            25.0,
        )  # theirs counts from pixel centres
    assert read(tmp_path).format == "OpenMVS"


def test_openmvs_without_a_resolution_takes_the_photographs(tmp_path, images):
    (tmp_path / "scene.mvs").write_bytes(openmvs(normalized=True))
    camera = read(tmp_path / "scene.mvs").cameras[0]
    assert (camera.width, camera.height) == SIZE
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((60.0, 61.0, 31.0, 25.0))


def test_openmvs_says_what_is_broken(tmp_path, images):
    path, whole = tmp_path / "scene.mvs", openmvs()
    for length in range(4, len(whole) - 24, 97):
        path.write_bytes(whole[:length])
        refused(lambda: read(path), "cut short")
    path.write_bytes(whole[:12] + struct.pack("<Q", 2**62) + whole[20:])
    refused(lambda: read(path), "cut short")
    path.write_bytes(b"MVSI" + struct.pack("<2I", 8, 0) + whole[12:])
    refused(lambda: read(path), "version 8")
    path.write_bytes(b"MVS\0" + whole[4:])
    refused(lambda: read(path), "own format", "--archive-type")


# texrecon ------------------------------------------------------------------------------------------------------------------------


def cam(number: int, lens: str = "0.9375 -0.1 0.02 1 0.5 0.45") -> str:
    _, rotation, center = pose(number)
    return " ".join(f"{v:.17g}" for v in [*(-rotation @ center), *rotation.ravel()]) + f"\n{lens}\n"


def test_texrecon(tmp_path, images):
    for number, name in enumerate(NAMES):
        (images / f"{Path(name).stem}.cam").write_text(cam(number))
    for path in (tmp_path, images):
        found = read(path)
        assert found.format == "texrecon"
        assert_posed(path)
        camera = found.cameras[0]
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((60.0, 60.0, 32.0, 21.6))
        assert camera.distortion.coefficients[:2] == (-0.1, 0.02)
    only = images / "IMG 1.cam"
    only.write_text(cam(0, "0.9375 0 0 1.25 0.5 0.5"))
    assert (read(only).cameras[0].fx, read(only).cameras[0].fy) == pytest.approx((60.0, 75.0))
    only.write_text(cam(0, "0.9375 0 0 0.5 0.5 0.5"))  # narrow pixels: the height is the larger side
    assert (read(only).cameras[0].fx, read(only).cameras[0].fy) == pytest.approx((90.0, 45.0))


def test_texrecon_says_what_is_broken(tmp_path, images):
    path = images / "IMG 1.cam"
    for lens, word in (
        ("0.9 -0.1 0 1 0.5 0.5", "VisualSFM"),
        ("0.9 0 0 0 0.5 0.5", "aspect"),
        ("0.9 0 0", "15 numbers"),
        ("x 0 0 1 1 1", "not a number"),
    ):
        path.write_text(cam(0, lens))
        refused(lambda: read(path), word)


# Lenses that are not known -------------------------------------------------------------------------------------------------------


def alicevision(lens: dict) -> str:
    view = {"viewId": "0", "poseId": "0", "intrinsicId": "5", "path": NAMES[0]}
    _, rotation, center = pose(0)
    transform = {"rotation": rotation.T.ravel().tolist(), "center": center.tolist()}
    intrinsic = {
        "intrinsicId": "5",
        "width": "64",
        "height": "48",
        "focalLength": "30",
        "sensorWidth": "36",
        "type": "pinhole",
        **lens,
    }
    return json.dumps({
        "version": ["1", "2", "8"], "views": [view], "intrinsics": [intrinsic],
        "poses": [{"poseId": "0", "pose": {"transform": transform}}],
    })  # fmt: skip


def test_an_undistortion_is_refused_and_an_empty_one_is_none(tmp_path, images):
    path = tmp_path / "cameras.sfm"
    path.write_text(alicevision({"undistortionType": "3deanamorphic4", "undistortionParams": ["0.1", "0"]}))
    refused(lambda: read(path), "undistortion 3deanamorphic4")
    for none in ({"undistortionType": "none"}, {"undistortionType": "3declassicld", "undistortionParams": ["0", "0"]}):
        path.write_text(alicevision(none))
        assert read(path).cameras[0].distortion.is_none
    path.write_text(alicevision({"distortionType": "3deradial4", "distortionParams": ["0.1"]}))
    refused(lambda: read(path), "3deradial4")


@pytest.mark.parametrize(
    ("field", "word"), [({"k5": 0.1}, "k5"), ({"ftheta_p0": 1.0}, "ftheta_p0"), ({"latlong": True}, "latlong")]
)
def test_other_projections_of_transforms_are_refused(tmp_path, images, field, word):
    frame = {"file_path": f"images/{NAMES[0]}", "transform_matrix": np.eye(4).tolist()}
    path = tmp_path / "transforms.json"
    path.write_text(json.dumps({"w": 64, "h": 48, "fl_x": 60, "frames": [frame], **field}))
    refused(lambda: read(path), word)
    path.write_text(
        json.dumps({"w": 64, "h": 48, "fl_x": 60, "frames": [frame], "distortion_params": [1, 2, 3, 0, 5, 6]})
    )
    assert read(path).cameras[0].distortion.coefficients[:5] == (1, 2, 5, 6, 3)


# Files that are made to harm -----------------------------------------------------------------------------------------------------

DEEP = "[" * 200_000 + "]" * 200_000


BEFORE = {
    "NeRF": '{"frames":',
    "AliceVision": '{"views":',
    "Relievo": '{"format":"relievo-cameras","cameras":',
    "within": '{"frames":[1],"w":',
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_deeply_nested_json_is_refused(tmp_path, before):
    (tmp_path / "cameras.json").write_text(before + DEEP + "}")
    refused(lambda: read(tmp_path / "cameras.json"), "nested too deeply")


@pytest.mark.parametrize("depth", [50, 300, 900])
def test_json_nested_as_far_as_the_parser_goes_is_refused_too(tmp_path, depth):
    inner = "[" * depth + "1" + "]" * depth
    (tmp_path / "transforms.json").write_text(
        f'{{"w":{inner},"frames":[{{"file_path":"a","w":1,"h":1,"transform_matrix":{inner}}}]}}'
    )
    refused(lambda: read(tmp_path / "transforms.json"))


def test_numbers_beyond_every_float_are_refused(tmp_path):
    path = tmp_path / "transforms.json"
    path.write_text('{"w":1%s,"h":1,"fl_x":1,"frames":[{"file_path":"a","transform_matrix":[1]}]}' % ("0" * 400))
    refused(lambda: read(path), "w is 1000")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipes_and_devices_are_no_cameras(tmp_path, images):
    for name in ("cameras.json", "cameras.sfm", "scene.mvs", "a.cam", "bundle.out", "cameras.txt"):
        os.mkfifo(tmp_path / name)
        refused(lambda name=name: read(tmp_path / name), "is a named pipe")
        (tmp_path / name).unlink()
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    refused(lambda: read(tmp_path / "zero.json"), "is a device")
    os.mkfifo(tmp_path / "note.txt")
    refused(lambda: read(tmp_path), "no cameras in the folder")  # looked through without waiting for the pipe
