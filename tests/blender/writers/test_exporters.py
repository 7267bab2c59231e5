"""Blender's own exporters on a terrain: every vertex and face in metres, its UVs, and with glTF its colours and no glow."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.shared.arrays import COLOR_IMAGE, Array, height_map
from blender_addon.writers import stage, terrain

ROWS, COLUMNS, PIXEL_M = 13, 17, 25.0


def selected(kind: str) -> tuple[bpy.types.Object, np.ndarray]:
    heights = np.random.default_rng(5).normal(200.0, 60.0, (ROWS, COLUMNS)).astype(np.float32)
    outputs = {
        "height": height_map(heights, PIXEL_M),
        "albedo": Array(COLOR_IMAGE, np.full((ROWS, COLUMNS, 3), 0.25, np.float32)),
    }
    item = terrain.make(outputs, kind=kind, name="Terrain")
    stage.set_up(bpy.context.scene, item)
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = item
    item.select_set(True)
    return item, heights


def expected(heights: np.ndarray, *, y_up: bool) -> np.ndarray:
    x = (np.arange(COLUMNS) - (COLUMNS - 1) / 2) * PIXEL_M
    y = ((ROWS - 1) / 2 - np.arange(ROWS)) * PIXEL_M
    x, y = np.broadcast_arrays(x, y[:, None])
    return np.stack([x, heights, -y] if y_up else [x, y, heights], axis=-1).reshape(-1, 3)


@pytest.mark.parametrize("kind", ["MESH", "GEOMETRY_NODES", "DISPLACE"])
def test_obj(kind: str, tmp_path: Path) -> None:
    _, heights = selected(kind)
    path = tmp_path / "terrain.obj"
    bpy.ops.wm.obj_export(filepath=str(path), export_selected_objects=True, export_triangulated_mesh=True)
    lines = [line.split() for line in path.read_text().splitlines() if line]
    counts = Counter(line[0] for line in lines)
    assert counts["v"] == counts["vt"] == ROWS * COLUMNS
    assert counts["f"] == 2 * (ROWS - 1) * (COLUMNS - 1)
    places = np.array([line[1:4] for line in lines if line[0] == "v"], float)
    np.testing.assert_allclose(places, expected(heights, y_up=True), atol=1e-2)


EXPORT = """
import os, sys
import bpy
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
assert bpy.ops.export_scene.gltf(filepath=sys.argv[2], use_selection=True, export_apply=True) == {"FINISHED"}
sys.stdout.flush()
os._exit(0)
"""


def export_gltf(scene: Path, path: Path) -> None:
    """Export what is selected, in a process of its own that ends at once: the module of Blender 4.2 crashes when it is unloaded
    after any glTF export, of an empty scene, too, and would take the status of all tests with it."""
    bpy.ops.wm.save_as_mainfile(filepath=str(scene), copy=True)
    done = subprocess.run([sys.executable, "-c", EXPORT, str(scene), str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["MESH", "GEOMETRY_NODES"])
def test_gltf(kind: str, tmp_path: Path) -> None:
    if not hasattr(bpy.types, "EXPORT_SCENE_OT_gltf"):
        pytest.skip("this Blender has no glTF exporter")
    _, heights = selected(kind)
    path = tmp_path / "terrain.glb"
    export_gltf(tmp_path / "scene.blend", path)
    data = path.read_bytes()
    length = struct.unpack("<I", data[12:16])[0]
    document = json.loads(data[20 : 20 + length])
    accessors = document["accessors"]
    primitive = document["meshes"][0]["primitives"][0]
    position = accessors[primitive["attributes"]["POSITION"]]
    assert accessors[primitive["indices"]]["count"] == 6 * (ROWS - 1) * (COLUMNS - 1)
    assert position["count"] == ROWS * COLUMNS
    wanted = expected(heights, y_up=True)
    np.testing.assert_allclose(position["min"], wanted.min(axis=0), atol=1e-2)
    np.testing.assert_allclose(position["max"], wanted.max(axis=0), atol=1e-2)
    material = document["materials"][primitive["material"]]
    assert material["pbrMetallicRoughness"]["baseColorTexture"] == {"index": 0}
    assert "emissiveFactor" not in material, "haze does not become a glow"
    assert document["images"][0]["name"] == "Terrain albedo"


def test_ply(tmp_path: Path) -> None:
    _, heights = selected("MESH")
    path = tmp_path / "terrain.ply"
    bpy.ops.wm.ply_export(
        filepath=str(path), export_selected_objects=True, export_triangulated_mesh=True, ascii_format=True
    )
    header, body = path.read_text().split("end_header\n")
    assert f"element vertex {ROWS * COLUMNS}" in header
    assert f"element face {2 * (ROWS - 1) * (COLUMNS - 1)}" in header
    places = np.array([line.split()[:3] for line in body.splitlines()[: ROWS * COLUMNS]], float)
    order = np.lexsort(places.T.round(1))
    wanted = expected(heights, y_up=False)
    np.testing.assert_allclose(places[order], wanted[np.lexsort(wanted.T.round(1))], atol=1e-2)
