"""The backend's rasteriser against Cycles, pixel by pixel: the add-on may let either draw, and both must draw the same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.readers import cameras, scans, uv_maps
from blender_addon.shared.cameras.camera import to_array

ROOT = Path(__file__).resolve().parents[3]
PYTHON = os.environ.get("RELIEVO_PYTHON", str(ROOT / ".venv/bin/python"))

# Runs in the backend's environment. A pixel is steady where the same triangle is seen a little to every side: on an edge, float32
# in Cycles may decide otherwise than float64 here.
DRAW = """
import dataclasses, sys
import numpy as np, torch
from backend.ops.surface import rasterization
from shared.arrays import CAMERAS, Array
from shared.cameras.camera import from_array

given = np.load(sys.argv[1])
cameras = from_array(Array(CAMERAS, given["cameras"], {}))
drawn, mesh, occluders = {}, *(torch.from_numpy(given[name]) for name in ("mesh", "occluders"))
def draw(camera):
    return rasterization.draw(rasterization.project(mesh, camera, occluders))
for number, camera in enumerate(cameras):
    seen = draw(camera)
    steady = torch.ones_like(seen.triangle, dtype=torch.bool)
    for x in (-1e-3, 1e-3):
        for y in (-1e-3, 1e-3):
            aside = dataclasses.replace(camera, cx=camera.cx + x, cy=camera.cy + y)
            steady &= draw(aside).triangle == seen.triangle
    drawn |= {f"steady{number}": steady, f"uv{number}": seen.uv, f"depth{number}": seen.depth, f"facing{number}": seen.facing}
np.savez(sys.argv[2], **drawn)
"""


def drawn_by_the_backend(item, occluders, views, folder: Path) -> list[dict[str, np.ndarray]]:
    depsgraph = bpy.context.evaluated_depsgraph_get()
    origin_m = scans.origin_of(item, depsgraph)
    posed = [cameras.camera(camera, depsgraph, size, origin_m=origin_m) for camera, size in views]
    no_triangles = np.empty((0, 3, 5), np.float32)
    np.savez(
        folder / "scene.npz",
        mesh=scans.mesh(item, depsgraph, origin_m).values,
        occluders=scans.occluders(occluders, depsgraph, origin_m).values if occluders else no_triangles,
        cameras=to_array(posed).values,
    )
    done = subprocess.run(
        [PYTHON, "-c", DRAW, str(folder / "scene.npz"), str(folder / "drawn.npz")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    drawn = np.load(folder / "drawn.npz")
    return [
        {name: drawn[f"{name}{number}"] for name in ("steady", "uv", "depth", "facing")} for number in range(len(views))
    ]


def hold(item, occluders, views, folder: Path) -> None:
    """Both ways over all views: the issue's 1e-4 in UV, silhouettes that differ in less than a thousandth of the pixels."""
    for ours, theirs in zip(
        drawn_by_the_backend(item, occluders, views, folder),
        uv_maps.draw(item, occluders, views, bpy.context),
        strict=True,
    ):
        seen_by_us, seen_by_them = np.isfinite(ours["uv"][..., 0]), np.isfinite(theirs.uv[..., 0])
        assert seen_by_us.mean() > 0.05, "the mesh is hardly in the picture"
        assert (seen_by_us != seen_by_them).mean() < 1e-3
        assert (np.isfinite(ours["depth"]) != np.isfinite(theirs.depth)).mean() < 1e-3
        both = seen_by_us & seen_by_them & ours["steady"]
        assert both.sum() > 0.98 * seen_by_us.sum()
        assert np.abs(ours["uv"][both] - theirs.uv[both]).max() <= 1e-4
        np.testing.assert_allclose(ours["depth"][both], theirs.depth[both], rtol=1e-4)
        assert np.abs(ours["facing"][both] - theirs.facing[both]).max() < 1e-4


def lumpy_sphere(segments: int = 48, rings: int = 24):
    """A dented sphere with a UV layer that runs once round, turned, moved and scaled unevenly."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=segments, ring_count=rings, calc_uvs=True)
    item = bpy.context.object
    places = np.empty(3 * len(item.data.vertices), np.float32)
    item.data.vertices.foreach_get("co", places)
    places = places.reshape(-1, 3)
    places *= 1.0 + 0.25 * np.sin(4.0 * places[:, :1]) * np.cos(5.0 * places[:, 1:2] + 2.0 * places[:, 2:])
    item.data.vertices.foreach_set("co", places.ravel())
    item.data.update()
    item.location, item.rotation_euler, item.scale = (20.3, -7.1, 3.4), (0.4, -0.7, 1.1), (1.0, 0.6, 1.4)
    return item


def camera(item, direction, distance: float, **settings):
    """A camera that looks at the item from a direction, a little past its middle."""
    from mathutils import Vector

    data = bpy.data.cameras.new("Camera")
    for name, value in settings.items():
        setattr(data, name, value)
    towards = Vector(direction).normalized()
    placed = bpy.data.objects.new("Camera", data)
    placed.location = item.location + towards * distance
    placed.rotation_euler = (-towards).to_track_quat("-Z", "Y").to_euler()
    placed.rotation_euler.rotate_axis("Z", 0.3)
    bpy.context.collection.objects.link(placed)
    return placed


WIDE, HIGH = (330, 220), (200, 290)
LENSES = [(size, fit) for size in (WIDE, HIGH) for fit in ("AUTO", "HORIZONTAL", "VERTICAL")]
IN_EVERY_BLENDER = [
    (WIDE, "AUTO"),
    (HIGH, "HORIZONTAL"),
]  # the others bring other numbers, but no other property of a camera


@pytest.mark.parametrize(
    ("size", "fit"),
    [pytest.param(*lens, marks=() if lens in IN_EVERY_BLENDER else pytest.mark.any_version) for lens in LENSES],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}x{value[1]}",
)
def test_every_pixel_is_the_same_through_any_lens(tmp_path: Path, size: tuple[int, int], fit: str) -> None:
    """Shifted lenses, every sensor fit, pictures wider and higher than their sensor; near and far; from all sides."""
    item = lumpy_sphere()
    lens = {"sensor_fit": fit, "sensor_width": 36.0, "sensor_height": 20.0, "shift_x": 0.07, "shift_y": -0.11}
    views = [
        (camera(item, direction, distance, lens=millimetres, **lens), size)
        for direction, distance, millimetres in [
            ((1, -1, 0.5), 5.0, 50.0),
            ((-1, 0.2, -0.9), 9.0, 85.0),
            ((0.1, 1, 2), 3.0, 24.0),
        ]
    ]
    hold(item, [], views, tmp_path)


@pytest.mark.any_version
def test_occluders_and_backs_hide_alike(tmp_path: Path) -> None:
    """An open bowl, so that its inside is seen, behind a cube."""
    item = lumpy_sphere()
    item.data.polygons.foreach_set("select", np.zeros(len(item.data.polygons), bool))
    import bmesh

    bowl = bmesh.new()
    bowl.from_mesh(item.data)
    bmesh.ops.delete(bowl, geom=[vertex for vertex in bowl.verts if vertex.co.z > 0.3], context="VERTS")
    bowl.to_mesh(item.data)
    bowl.free()
    bpy.ops.mesh.primitive_cube_add(size=0.5, location=item.location)
    occluder = bpy.context.object
    occluder.location.z += 1.2
    views = [(camera(item, (0.6, -0.4, 1.0), 5.0, lens=45.0), (320, 240))]
    ours = drawn_by_the_backend(item, [occluder], views, tmp_path)[0]
    assert (ours["facing"] < 0).any(), "no back is seen"
    assert (np.isfinite(ours["depth"]) & np.isnan(ours["uv"][..., 0])).any(), "nothing is hidden"
    hold(item, [occluder], views, tmp_path)


@pytest.mark.any_version
def test_a_real_mesh_with_many_charts(shared_data: Path, tmp_path: Path) -> None:
    bpy.ops.wm.obj_import(filepath=str(shared_data / "meshes/spot/spot_triangulated.obj"))
    item = bpy.context.selected_objects[0]
    views = [
        (camera(item, direction, 4.0, lens=50.0, shift_x=0.02), (320, 240))
        for direction in [(1, 1, 0.3), (-1, 0.4, 0.6)]
    ]
    hold(item, [], views, tmp_path)
