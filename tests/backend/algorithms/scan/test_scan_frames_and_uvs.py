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
from shared.catalog.scan_texture import ScanTextureParams
from shared.errors import InvalidInput
from tests.support.small_scan import SmallScan, hills, small_scan

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
    mesh = np.concatenate([hills(), partly_bare(200) + np.float32([0, 0, 1, 0, 0])])
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


# Materials -----------------------------------------------------------------------------------------------------------------------


def test_materials_over_one_uv_square_are_named_with_the_way_out(scan: SmallScan) -> None:
    twice = np.concatenate([scan.mesh, hills() - np.float32([0, 0, 0.4, 0, 0])])
    inputs = scan.inputs(mesh=Array(MESH, twice, {"materials_sharing_uvs": ["red", "blue"]}))
    warnings = open_scan(ScanTextureParams(), inputs).warnings
    assert "the materials red, blue use the same part" in " ".join(warnings)
    assert "--unwrap always" in " ".join(warnings)
    assert not open_scan(ScanTextureParams(unwrap="always"), inputs).warnings
