"""Scans far from the origin, meshes of which parts have no UVs, and materials that share them: the same texture as elsewhere, or a
sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import backend
from backend.algorithms.scan.inputs import open_scan
from backend.algorithms.scan.missing_uvs import unwrap_missing
from backend.ops.surface.charts import overlap_share, tile_numbers
from shared.arrays import MESH, Array
from shared.cameras import to_array
from shared.catalog.scan_texture import SPEC, ScanTextureParams
from shared.errors import InvalidInput
from shared.params import completed, parse, to_json
from tests.support.small_scan import SmallScan, hills, paint, small_scan

SIZE = 64
ORIGIN = np.array([432123.0, 5206789.0, 412.0])


@pytest.fixture(scope="module")
def scan() -> SmallScan:
    return small_scan(4)


def far_inputs(scan: SmallScan, **more: Any) -> dict[str, Any]:
    """The scan around ORIGIN, as its files would be read there."""
    cameras = [replace(c, translation=-c.rotation @ (c.center + ORIGIN)) for c in scan.cameras]
    mesh = Array(MESH, scan.mesh, {"origin": ORIGIN.tolist()})
    return scan.inputs(mesh=mesh, cameras=to_array(cameras), **more)


def warnings_of(made: dict[str, Any]) -> str:
    return " ".join(json.loads(made["report"].values.tobytes())["warnings"])


def test_a_scan_in_map_coordinates_has_the_texture_it_has_at_the_origin(scan: SmallScan) -> None:
    near = backend.run("scan_texture", device="cpu", size=SIZE, **scan.inputs())
    far = backend.run("scan_texture", device="cpu", size=SIZE, **far_inputs(scan))
    difference = near["texture"][0].values.astype(float) - far["texture"][0].values
    assert np.abs(difference).max() < 70  # of 65535
    assert far["mesh"].attributes["origin"] == ORIGIN.tolist()
    assert "origin" not in near["mesh"].attributes


def test_cameras_and_occluders_are_counted_from_the_mesh(scan: SmallScan) -> None:
    occluder = hills(2, side=0.3)
    elsewhere = Array(MESH, occluder, {"origin": (ORIGIN + np.array([1.0, 0.0, 2.0])).tolist()})
    opened = open_scan(ScanTextureParams(), far_inputs(scan, occluders=elsewhere))
    assert opened.occluders is not None
    np.testing.assert_allclose(opened.occluders[..., :3], occluder[..., :3] + [1.0, 0.0, 2.0], atol=1e-6)
    for view, camera in zip(opened.views, scan.cameras, strict=True):
        assert view.camera is not None
        np.testing.assert_allclose(view.camera.translation, camera.translation, atol=1e-8)


def test_cameras_of_another_coordinate_system_are_told(scan: SmallScan) -> None:
    inputs = far_inputs(scan)
    for changed in ({"mesh": Array(MESH, scan.mesh)}, {"cameras": to_array(scan.cameras)}):
        with pytest.raises(InvalidInput, match="not in one coordinate system"):
            open_scan(ScanTextureParams(), {**inputs, **changed})


def test_an_origin_that_is_none_is_refused(scan: SmallScan) -> None:
    for origin in ([1.0, 2.0], ["a", 0, 0], [np.inf, 0, 0]):
        with pytest.raises(InvalidInput, match="origin of the mesh"):
            open_scan(ScanTextureParams(), scan.inputs(mesh=Array(MESH, scan.mesh, {"origin": origin})))


# Missing UVs ---------------------------------------------------------------------------------------------------------------------


def partly_bare(count: int = 20) -> np.ndarray:
    mesh = hills()
    mesh[:count, :, 3:] = np.nan
    return mesh


def test_parts_without_uvs_get_room_beside_the_others() -> None:
    mesh = partly_bare()
    made, where = unwrap_missing(mesh)
    assert "free part" in where
    np.testing.assert_array_equal(made[20:], mesh[20:])
    np.testing.assert_array_equal(made[..., :3], mesh[..., :3])
    assert made[..., 3:].min() >= 0
    assert made[..., 3:].max() <= 1
    assert overlap_share(made) < 1e-3


def test_where_there_is_no_room_the_whole_mesh_is_unwrapped() -> None:
    mesh = np.concatenate([hills(), partly_bare(200) + np.array([0, 0, 1, 0, 0], np.float32)])
    made, where = unwrap_missing(mesh)
    assert "the whole mesh has new UVs" in where
    assert np.isfinite(made).all()
    assert overlap_share(made) < 1e-3


def test_with_several_tiles_a_new_one_is_taken() -> None:
    mesh = np.concatenate([hills(), hills(tile=(9, 0)), hills()])
    mesh[-10:, :, 3:] = np.nan
    made, where = unwrap_missing(mesh)
    assert "tile 1011" in where
    assert set(tile_numbers(made)[-10:].tolist()) == {1011}


def test_a_run_says_once_what_became_of_parts_without_uvs(scan: SmallScan) -> None:
    made = backend.run("scan_texture", device="cpu", size=SIZE, **scan.inputs(mesh=Array(MESH, partly_bare())))
    assert "20 of the 200 triangles had no UVs and were unwrapped" in warnings_of(made)
    assert "get no texture" not in warnings_of(made)
    assert np.isfinite(made["mesh"].values).all()


# Recipes of version 1 ------------------------------------------------------------------------------------------------------------


def test_a_recipe_of_version_1_leaves_parts_without_uvs_bare_in_the_words_of_its_report(scan: SmallScan) -> None:
    recorded = to_json(ScanTextureParams(size=SIZE))
    del recorded["legacy"]
    as_it_was = parse(ScanTextureParams, completed(ScanTextureParams, recorded))
    twice = np.concatenate([partly_bare(), hills() - np.array([0, 0, 0.4, 0, 0], np.float32)])
    inputs = scan.inputs(mesh=Array(MESH, twice, {"materials_sharing_uvs": ["red", "blue"]}))
    before, now = open_scan(as_it_was, inputs), open_scan(ScanTextureParams(size=SIZE), inputs)
    assert before.mesh is not None
    np.testing.assert_array_equal(before.mesh, twice)
    share = f"{before.overlap:.1%} of the UVs' area lies under more than one triangle"
    assert before.warnings == [
        "20 of the 400 triangles have no UVs and get no texture.",
        f"{share}: those share their texels. Unwrap anew where that is not meant.",
    ]
    assert not before.unwrapped
    assert now.mesh is not None
    assert np.isfinite(now.mesh).all()


def test_recipes_of_version_1_are_repeated_and_so_give_no_warning() -> None:
    assert SPEC.version > 1
    assert 1 in SPEC.repeats


# Materials -----------------------------------------------------------------------------------------------------------------------


def test_materials_over_one_uv_square_are_named_with_the_way_out(scan: SmallScan) -> None:
    twice = np.concatenate([scan.mesh, hills() - np.array([0, 0, 0.4, 0, 0], np.float32)])
    inputs = scan.inputs(mesh=Array(MESH, twice, {"materials_sharing_uvs": ["red", "blue"]}))
    warnings = open_scan(ScanTextureParams(), inputs).warnings
    assert "because the materials red, blue use the same part" in " ".join(warnings)
    assert "--unwrap always" in " ".join(warnings)
    assert not open_scan(ScanTextureParams(unwrap="always"), inputs).warnings


def test_uvs_over_each_other_within_one_material_are_told_with_the_way_out_too(scan: SmallScan) -> None:
    twice = np.concatenate([scan.mesh, hills() - np.array([0, 0, 0.4, 0, 0], np.float32)])
    (warning,) = open_scan(ScanTextureParams(), scan.inputs(mesh=Array(MESH, twice))).warnings
    assert "100.0% of the UVs' area" in warning
    assert "--unwrap always" in warning


def test_materials_are_named_also_where_parts_without_uvs_were_unwrapped(scan: SmallScan) -> None:
    twice = np.concatenate([partly_bare(), hills() - np.array([0, 0, 0.4, 0, 0], np.float32)])
    twice[..., 3:] *= 0.5  # which leaves room for the parts without UVs
    inputs = scan.inputs(mesh=Array(MESH, twice, {"materials_sharing_uvs": ["red", "blue"]}))
    assert "because the materials red, blue use" in " ".join(open_scan(ScanTextureParams(), inputs).warnings)


def test_the_way_out_gives_the_right_colours(scan: SmallScan) -> None:
    """A square of two materials, each with UVs over the whole texture: mixed as it is, right with --unwrap always."""
    halves, is_right = scan.mesh.copy(), scan.mesh[..., 0].mean(axis=1) > 0
    low, high = np.float32(0.03), np.float32(0.97)
    halves[..., 3] = (halves[..., 3] - low) * 2 - (high - low) * is_right[:, None] + low
    assert halves[..., 3].min() == pytest.approx(0.03, abs=1e-5)
    assert halves[..., 3].max() == pytest.approx(0.97, abs=1e-5)
    found = {}
    for unwrap in ("missing", "always"):
        made = backend.run(
            "scan_texture", device="cpu", size=128, unwrap=unwrap, **scan.inputs(mesh=Array(MESH, halves))
        )
        found[unwrap] = color_psnr(made["texture"][0].values, made["mesh"].values, scan.mesh)
        assert ("--unwrap always" in warnings_of(made)) == (unwrap == "missing")
    assert found["missing"] < 20, found
    assert found["always"] > 28, found


def color_psnr(texture: np.ndarray, mesh: np.ndarray, true: np.ndarray) -> float:
    """Of the texture's nearest texels at the triangles' centroids, in dB; true: the same triangles with the UVs of the formula."""
    size, (u, v) = len(texture), mesh[..., 3:].mean(axis=1).T
    shown = texture[np.int64((1 - v) * size), np.int64(u * size)] / 65535
    return float(-10 * np.log10(np.mean((shown - paint(true[..., 3:].mean(axis=1))) ** 2)))
