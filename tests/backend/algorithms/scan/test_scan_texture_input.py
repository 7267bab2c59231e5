"""What the scan texture engine says of input that cannot be textured: one sentence each, naming the photograph or the part."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import backend
from backend.algorithms import scan_texture
from backend.algorithms.scan import plan as scan_plan
from backend.algorithms.scan.stacks import KEPT_SHARE, WORKED_SHARE
from shared.arrays import CAMERAS, DEPTH_MAP, MASK, MESH, PHOTOGRAPH, UV_MAP, Array
from shared.cameras.camera import Camera, to_array
from shared.cameras.flips import FLIPS, apply_flip
from shared.catalog.scan_texture import ScanTextureParams
from shared.errors import InvalidInput, OutOfMemory
from tests.support.small_scan import SmallScan, hills, png, small_scan

SIZE = 64


@pytest.fixture(scope="module")
def scan() -> SmallScan:
    return small_scan(4)


def refused(inputs: dict[str, Any], **params: Any) -> InvalidInput:
    """The error of a run that must be refused, its sentence checked for shape."""
    with pytest.raises(InvalidInput) as caught:
        backend.run("scan_texture", device="cpu", **inputs, **({"size": SIZE} | params))
    error = caught.value
    assert error.message.endswith((".", "?")), error.message
    assert "\n" not in error.message
    assert error.field, "it must say which input"
    return error


def moved_away(camera: Camera) -> Camera:
    return replace(camera, translation=camera.translation + np.array([500.0, 0.0, 0.0]))


def warnings_of(made: dict[str, Any]) -> str:
    return " ".join(json.loads(made["report"].values.tobytes())["warnings"])


# Photographs and cameras ----------------------------------------------------------------------------------------------


def test_a_camera_without_a_photograph_is_named(scan: SmallScan) -> None:
    inputs = scan.inputs()
    del inputs["images"][2]
    error = refused(inputs)
    assert "02.png" in error.message
    assert error.hint


def test_a_photograph_without_a_camera_is_told(scan: SmallScan) -> None:
    inputs = scan.inputs(cameras=to_array(scan.cameras[:3]))
    extra = [replace_name(image, f"other{place}.png") for place, image in enumerate(inputs["images"])]
    assert "4 photographs and 3 cameras" in refused(inputs | {"images": extra}).message


def replace_name(image: Array, name: str) -> Array:
    return Array(PHOTOGRAPH, image.values, {"name": name})


def test_a_photograph_of_another_size_is_named(scan: SmallScan) -> None:
    inputs = scan.inputs()
    inputs["images"][1] = Array(PHOTOGRAPH, png(np.zeros((40, 50, 3))), {"name": "01.png"})
    error = refused(inputs)
    assert "01.png" in error.message
    assert "50 x 40" in error.message
    assert "96 x 80" in error.message


def test_a_photograph_that_cannot_be_decoded_is_named(scan: SmallScan) -> None:
    for broken in (b"not an image at all", png(scan.photographs[3]).tobytes()[:900]):
        inputs = scan.inputs()
        inputs["images"][3] = Array(PHOTOGRAPH, np.frombuffer(broken, np.uint8), {"name": "03.png"})
        assert "03.png" in refused(inputs).message


@pytest.mark.parametrize("flip", ["opengl", "inverted", "opengl-inverted"])
def test_a_flipped_convention_is_found_and_named(scan: SmallScan, flip: str) -> None:
    """The cameras are turned so that the flip turns them back; off the origin, about which some flips see the mesh, too."""
    beside = np.array([3.0, 1.0, 0.5])
    mesh = scan.mesh.copy()
    mesh[..., :3] += beside
    true = [replace(camera, translation=camera.translation - camera.rotation @ beside) for camera in scan.cameras]
    turned = true
    for step in flip.split("-"):
        turned = list(apply_flip(turned, step))
    for camera, back in zip(true, apply_flip(turned[::-1], flip)[::-1], strict=True):
        np.testing.assert_allclose(back.rotation, camera.rotation, atol=1e-9)
    error = refused(scan.inputs(mesh=Array(MESH, mesh), cameras=to_array(turned)))
    assert FLIPS[flip] in error.message
    assert f"--flip {flip}," in error.hint


def test_photographs_of_which_none_sees_the_mesh(scan: SmallScan) -> None:
    away = [moved_away(camera) for camera in scan.cameras]
    assert "None of the photographs shows the mesh" in refused(scan.inputs(cameras=to_array(away))).message


def test_a_photograph_that_sees_nothing_is_named_and_the_rest_goes_on(scan: SmallScan) -> None:
    cameras = list(scan.cameras)
    cameras[1] = moved_away(cameras[1])
    made = backend.run("scan_texture", device="cpu", size=SIZE, **scan.inputs(cameras=to_array(cameras)))
    report = json.loads(made["report"].values.tobytes())
    assert [photograph["used"] for photograph in report["photographs"]] == [True, False, True, True]
    assert "sees nothing" in report["photographs"][1]["reason"]
    assert "01.png" in warnings_of(made)


def test_neither_cameras_nor_maps(scan: SmallScan) -> None:
    inputs = scan.inputs()
    assert refused({key: value for key, value in inputs.items() if key != "cameras"}).field == "cameras"
    assert refused({key: value for key, value in inputs.items() if key != "mesh"}).field == "mesh"


# Masks and maps -------------------------------------------------------------------------------------------------------


def test_a_mask_of_another_size_is_named(scan: SmallScan) -> None:
    masks = [Array(MASK, np.ones((80, 96), np.float32))] * 3 + [Array(MASK, np.ones((40, 96), np.float32))]
    error = refused(scan.inputs(masks=masks))
    assert "03.png" in error.message
    assert "96 x 40" in error.message
    assert "3 masks" in refused(scan.inputs(masks=masks[:3])).message


def map_inputs(scan: SmallScan, uv: np.ndarray, **more: Any) -> dict[str, Any]:
    return {"images": scan.inputs()["images"][:1], "uv_maps": [Array(UV_MAP, uv)], **more}


def test_uv_maps_that_do_not_go_with_their_photographs(scan: SmallScan) -> None:
    uv = np.full((80, 96, 2), 0.5, np.float32)
    assert "UV map" in refused(map_inputs(scan, np.full((80, 80, 2), 0.5, np.float32))).message
    depth = [Array(DEPTH_MAP, np.ones((40, 48), np.float32))]
    assert "48 x 40" in refused(map_inputs(scan, uv, depth_maps=depth)).message
    assert "2 UV maps" in refused(map_inputs(scan, uv) | {"uv_maps": [Array(UV_MAP, uv)] * 2}).message
    assert "NaN" in refused(map_inputs(scan, np.full((80, 96, 2), np.nan, np.float32))).message
    negative = refused(map_inputs(scan, np.full((80, 96, 2), -1.0, np.float32)))
    assert "NaN" in negative.hint


# Meshes ---------------------------------------------------------------------------------------------------------------


def with_mesh(scan: SmallScan, mesh: np.ndarray) -> dict[str, Any]:
    return scan.inputs(mesh=Array(MESH, mesh))


def test_corners_that_are_no_place_are_counted(scan: SmallScan) -> None:
    mesh = scan.mesh.copy()
    mesh[3, 1, 0] = np.nan
    error = refused(with_mesh(scan, mesh))
    assert error.message.startswith("1 of the 200 triangles")
    assert error.hint


def test_a_mesh_without_faces(scan: SmallScan) -> None:
    assert "empty" in refused(with_mesh(scan, np.zeros((0, 3, 5), np.float32))).message


def test_a_mesh_without_uvs_that_must_not_be_unwrapped(scan: SmallScan) -> None:
    mesh = scan.mesh.copy()
    mesh[..., 3:] = np.nan
    assert "no UVs" in refused(with_mesh(scan, mesh), unwrap="never").message


def test_uvs_below_zero_are_refused(scan: SmallScan) -> None:
    mesh = scan.mesh.copy()
    mesh[..., 3] -= 2.0
    assert refused(with_mesh(scan, mesh)).field == "mesh"


def test_overlapping_uvs_are_told_with_their_share(scan: SmallScan) -> None:
    twice = np.concatenate([scan.mesh, hills()])
    twice[len(scan.mesh) :, :, 2] -= 0.4
    made = backend.run("scan_texture", device="cpu", size=SIZE, **with_mesh(scan, twice))
    report = json.loads(made["report"].values.tobytes())
    assert report["uv_overlap"] > 0.99
    assert "more than one triangle" in warnings_of(made)


def test_a_part_without_uvs_is_told(scan: SmallScan) -> None:
    mesh = scan.mesh.copy()
    mesh[:20, :, 3:] = np.nan
    made = backend.run("scan_texture", device="cpu", size=SIZE, unwrap="never", **with_mesh(scan, mesh))
    assert "20 of the 200 triangles have no UVs and get no texture" in warnings_of(made)


# Memory ---------------------------------------------------------------------------------------------------------------


def test_too_little_memory_is_refused_before_anything_is_done(scan: SmallScan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_texture, "available_bytes", lambda: 700 << 20)
    with pytest.raises(OutOfMemory) as caught:
        backend.run("scan_texture", device="cpu", size=16384, **scan.inputs())
    assert "16384" in caught.value.message
    size = int("".join(filter(str.isdigit, caught.value.hint)))
    assert 256 <= size < 16384
    plan = scan_plan.memory_plan(ScanTextureParams(size=size), 1, 96 * 80, 700 << 20)
    assert plan.size == size


@pytest.mark.parametrize("gib", [0.6, 1.0, 1.5, 4.0, 64.0])
@pytest.mark.parametrize("tiles", [1, 4])
def test_a_plan_keeps_within_its_limit(gib: float, tiles: int) -> None:
    for size in (512, 2048, 4096, 8192, 16384):
        params = ScanTextureParams(size=size, memory_limit=gib)
        try:
            plan = scan_plan.memory_plan(params, tiles, 12_000_000, 0)
        except OutOfMemory:
            continue
        whole = plan.largest_live == size and not plan.block_side
        solved = (tiles * size**2 if whole else max(plan.block_side**2, tiles * plan.largest_live**2)) * 70
        assert solved + tiles * size**2 * (0 if whole else 12) <= gib * 2**30


@pytest.mark.parametrize(("gib", "whole"), [(2, 2048), (6, 4096), (24, 8192)])
@pytest.mark.parametrize("tiles", [1, 4])
def test_a_plan_keeps_within_a_card(gib: int, whole: int, tiles: int) -> None:
    """What is planned beside it for photographs (stacks.py) must find room, too."""
    card, params = int(0.85 * gib * 2**30), ScanTextureParams(size=4096)
    for size in (1024, 2048, 4096, 8192):
        plan = scan_plan.memory_plan(replace(params, size=size), tiles, 12_000_000, 64 << 30, card)
        live, count = (plan.block_side, 1) if plan.block_side else (size, tiles)
        gathered = count * live**2 * scan_plan.CARD_BYTES
        assert gathered + (WORKED_SHARE + KEPT_SHARE) * card <= card
        assert gathered + live**2 * scan_plan.CARD_SOLVING_BYTES + KEPT_SHARE * card <= card
        if tiles == 1:
            assert (plan.block_side == 0) == (size <= whole)


def test_a_camera_that_is_none_is_refused(scan: SmallScan) -> None:
    rows = to_array(scan.cameras).values.copy()
    rows[2, 2] = 0.0
    names = {"names": [camera.name for camera in scan.cameras]}
    assert "02.png" in refused(scan.inputs(cameras=Array(CAMERAS, rows, names))).message
