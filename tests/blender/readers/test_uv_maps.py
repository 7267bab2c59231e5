"""UV, depth and facing drawn by Cycles: held to the mesh's own geometry pixel by pixel, for every kind of camera, with the user's
scene as it was before.
"""

from __future__ import annotations

import hashlib
import math

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_addon.readers import cameras, scans, uv_maps
from blender_addon.shared.arrays import check
from blender_addon.shared.errors import InvalidInput

SIZE = (96, 64)
DATABLOCKS = (
    *("objects", "meshes", "materials", "images", "collections", "node_groups", "textures"),
    *("worlds", "cameras", "lights", "scenes"),
)


def fingerprint() -> str:
    """A digest of everything a user has: datablocks, objects' places, selection, mode, scene and render settings."""
    layer, scene = bpy.context.view_layer, bpy.context.scene
    values_of_all = [
        sorted((kind, item.name, item.users) for kind in DATABLOCKS for item in getattr(bpy.data, kind)),
        [(item.name, item.matrix_world[:], item.hide_get(), item.select_get(), item.mode) for item in layer.objects],
        getattr(layer.objects.active, "name", ""),
        bpy.context.mode,
        [
            (mesh.name, mesh.uv_layers.active_index, [uv.active_render for uv in mesh.uv_layers], len(mesh.materials))
            for mesh in bpy.data.meshes
        ],
    ]
    for settings in (scene, scene.render, scene.view_settings, scene.cycles, scene.unit_settings, layer):
        for name in settings.bl_rna.properties.keys():  # noqa: SIM118  # it is no dict
            value = getattr(settings, name, None)
            if isinstance(value, (bool, int, float, str)):
                values_of_all.append((name, value))
    return hashlib.sha256(repr(values_of_all).encode()).hexdigest()


def eye(**settings) -> bpy.types.Object:
    data = bpy.data.cameras.new("Eye")
    for name, value in settings.items():
        setattr(data, name, value)
    item = bpy.data.objects.new("Eye", data)
    bpy.context.scene.collection.objects.link(item)
    item.matrix_world = Matrix.Translation((0.3, -0.2, 4.0)) @ Matrix.Rotation(0.1, 4, (1.0, 0.5, 0.0))
    return item


def bumpy(name: str = "Scan") -> bpy.types.Object:
    """A grid bent by a modifier, turned, uneven and with a UV layer besides the one that counts."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=12, y_subdivisions=9, size=2.0)
    item = bpy.context.active_object
    item.name = name
    other = item.data.uv_layers.new(name="Other")
    other.uv.foreach_set("vector", np.zeros(len(item.data.loops) * 2, np.float32))
    other.active_render = True
    item.data.uv_layers.active_index = 0
    for number, vertex in enumerate(item.data.vertices):
        vertex.co.z = 0.15 * math.sin(3 * number)
    item.modifiers.new("Wave", "WAVE").height = 0.1
    item.rotation_euler, item.scale = (0.1, -0.2, 0.6), (1.0, 1.3, 0.8)
    return item


def drawn(item, *eyes, occluders=(), size=SIZE) -> list[uv_maps.View]:
    bpy.context.view_layer.update()
    return list(uv_maps.draw(item, occluders, [(given, size) for given in eyes], bpy.context))


def on_surface(item, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World points [n, 3] at UVs [n, 2], and the normals of their faces, where no UV belongs to two points."""
    surface = scans.surface(item, bpy.context.evaluated_depsgraph_get())
    a, b, c = np.moveaxis(surface.uv.astype(np.float64), 1, 0)

    def cross(p, q):
        return p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]

    points, normals = [], []
    for given in uv.astype(np.float64):
        whole = cross(b - a, c - a)
        second, third = cross(given - a, c - a) / whole, cross(b - a, given - a) / whole
        weights = np.stack([1 - second - third, second, third], axis=-1)
        best = int(weights.min(axis=-1).argmax())
        corners = surface.points[surface.corners[best]]
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        points.append(weights[best] @ corners)
        normals.append(normal / np.linalg.norm(normal))
    return np.array(points), np.array(normals)


def some_pixels(view: uv_maps.View, count: int = 150) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero(np.isfinite(view.uv[..., 0]))
    picked = np.random.default_rng(1).choice(len(rows), min(count, len(rows)), replace=False)
    return rows[picked], columns[picked]


@pytest.mark.parametrize(
    "settings", [{}, {"shift_x": 0.1, "shift_y": -0.05, "sensor_fit": "VERTICAL"}], ids=["plain", "shift"]
)
def test_uv_depth_and_facing_are_those_of_the_surface_at_pixel_centres(settings):
    item, given = bumpy(), eye(**settings)
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 960, 640
    (view,) = drawn(item, given)
    rows, columns = some_pixels(view)
    assert len(rows) > 100
    camera = cameras.camera(given, bpy.context.evaluated_depsgraph_get(), SIZE)
    points, normals = on_surface(item, view.uv[rows, columns])
    local = points @ camera.rotation.T + camera.translation
    pixels = local[:, :2] / local[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], axis=-1) + 0.5, atol=5e-4)
    np.testing.assert_allclose(view.depth[rows, columns], local[:, 2], atol=2e-4)
    towards = camera.center - points
    cosine = (normals * towards).sum(axis=1) / np.linalg.norm(towards, axis=1)
    np.testing.assert_allclose(view.facing[rows, columns], cosine, atol=1e-4)


def test_an_orthographic_camera_sees_along_parallel_rays():
    item, given = bumpy(), eye(type="ORTHO", ortho_scale=3.0)
    (view,) = drawn(item, given)
    rows, columns = some_pixels(view)
    points, _ = on_surface(item, view.uv[rows, columns])
    world = np.array(given.matrix_world, np.float64)
    local = (points - world[:3, 3]) @ world[:3, :3]
    pixels = local[:, :2] * (SIZE[0] / 3.0, -SIZE[0] / 3.0) + (SIZE[0] / 2, SIZE[1] / 2)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], axis=-1) + 0.5, atol=5e-4)
    np.testing.assert_allclose(view.depth[rows, columns], -local[:, 2], atol=2e-4)


def test_a_panorama_sees_in_all_directions_by_distance():
    """Blender's equirectangular camera: longitude across, from behind over the left, forward in the middle; latitude upwards."""
    item, given = bumpy(), eye(type="PANO")
    panorama = (
        given.data.cycles
        if hasattr(given.data, "cycles") and hasattr(given.data.cycles, "panorama_type")
        else given.data
    )
    panorama.panorama_type = "EQUIRECTANGULAR"
    (view,) = drawn(item, given, size=(256, 128))
    rows, columns = some_pixels(view)
    assert len(rows) > 50
    points, _ = on_surface(item, view.uv[rows, columns])
    world = np.array(given.matrix_world, np.float64)
    x, y, z = ((points - world[:3, 3]) @ world[:3, :3]).T
    distance = np.sqrt(x * x + y * y + z * z)
    longitude, latitude = np.arctan2(x, -z), np.arcsin(y / distance)
    pixels = np.stack([(longitude / (2 * np.pi) + 0.5) * 256, (0.5 - latitude / np.pi) * 128], axis=-1)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], axis=-1) + 0.5, atol=5e-3)
    np.testing.assert_allclose(view.depth[rows, columns], distance, atol=3e-4)


def plane(z: float, half: float, x: float = 0.0) -> bpy.types.Object:
    bpy.ops.mesh.primitive_plane_add(size=2 * half, location=(x, 0, z))
    return bpy.context.active_object


def straight_down(height: float = 2.0) -> bpy.types.Object:
    """A camera whose frame shows x from -1 to 1 on the ground."""
    item = eye(sensor_width=36.0, lens=18.0 * height)
    item.matrix_world = Matrix.Translation((0, 0, height))
    return item


@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
def test_samples_lie_at_pixel_centres_to_a_ten_thousandth(kind):
    """On a plane seen straight, UVs are linear in pixels: what is left is where in the pixel the sample lies."""
    item, given = plane(0.0, 2.0), straight_down()
    given.data.type, given.data.ortho_scale = kind, 2.0
    (view,) = drawn(item, given, size=(64, 48))
    x, y = (np.arange(64) + 0.5 - 32) * 2 / 64, -(np.arange(48) + 0.5 - 24) * 2 / 64
    pixel = 2 / 64 / 4  # in UV
    across, up = (view.uv[..., 0] - (x / 4 + 0.5)) / pixel, (view.uv[..., 1] - (y[:, None] / 4 + 0.5)) / pixel
    assert abs(across.mean()) < 1e-5
    assert abs(up.mean()) < 1e-5
    assert max(np.abs(across).max(), np.abs(up).max()) < 1e-4


def test_rows_run_from_the_top_and_nothing_is_nan():
    item, given = plane(0.0, 0.5), straight_down()
    (view,) = drawn(item, given, size=(40, 40))
    assert np.isfinite(view.uv[..., 0]).sum() == 20 * 20
    assert np.array_equal(np.isfinite(view.uv[..., 0]), np.isfinite(view.depth))
    assert not view.facing[0].any()
    np.testing.assert_allclose(view.uv[10, 10], (0.025, 0.975), atol=1e-4)  # u to the right, v up, the top row first
    np.testing.assert_allclose(view.uv[29, 29], (0.975, 0.025), atol=1e-4)
    assert view.depth[15, 15] == pytest.approx(2.0, abs=1e-5)
    assert view.facing[20, 20] == pytest.approx(1.0, abs=1e-3)


def test_occluders_hide_and_have_depth_alone():
    item, cover, given = plane(0.0, 0.9), plane(1.0, 0.1), straight_down()
    (view,) = drawn(item, given, occluders=[cover], size=(40, 40))
    assert np.isnan(view.uv[18:22, 18:22]).all()
    np.testing.assert_allclose(view.depth[18:22, 18:22], 1.0, atol=1e-5)
    assert np.isfinite(view.uv[15, 15]).all()


def test_a_face_from_behind_hides_and_is_no_surface():
    item, given = plane(0.0, 0.5), straight_down()
    item.rotation_euler.x = math.pi
    (view,) = drawn(item, given, size=(40, 40))
    assert view.facing[20, 20] == pytest.approx(-1.0, abs=1e-3)
    arrays = view.arrays
    assert np.isnan(arrays["uv_map"].values).all()
    assert arrays["depth_map"].values[20, 20] == pytest.approx(2.0, abs=1e-5)
    assert arrays["facing_map"].values[20, 20] == 0.0
    for array in arrays.values():
        check(array)


def test_units_and_far_places_cost_no_digits():
    scene = bpy.context.scene
    item, given = bumpy(), eye()
    (near,) = drawn(item, given)
    for moved in (item, given):
        moved.matrix_world = Matrix.Translation((65536.0, -131072.0, 0.0)) @ moved.matrix_world
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 0.5
    (far,) = drawn(item, given)
    both = np.isfinite(near.depth) & np.isfinite(far.depth)
    assert both.sum() > 0.97 * np.isfinite(near.depth).sum()
    # at 131 km Blender itself holds places to 8 mm
    assert np.median(np.abs(far.depth * 2 - near.depth)[both]) < 0.02
    assert np.median(np.abs(far.uv - near.uv)[both]) < 0.01


def test_the_scene_is_as_it_was():
    item, given, cover = bumpy(), eye(), plane(1.0, 0.1, 0.8)
    scene = bpy.context.scene
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x, scene.render.use_border = 123, True
    bpy.context.view_layer.update()
    before = fingerprint()
    drawn(item, given, given, occluders=[cover])
    assert fingerprint() == before


def test_a_drawing_that_fails_or_is_left_leaves_nothing_behind():
    item, given = bumpy(), eye()
    empty = bpy.data.objects.new("Empty", bpy.data.meshes.new("Empty"))
    bpy.context.scene.collection.objects.link(empty)
    bpy.context.view_layer.update()
    before = fingerprint()
    with pytest.raises(InvalidInput, match="'Empty' has no faces"):
        drawn(item, given, occluders=[empty])
    assert fingerprint() == before
    views = uv_maps.draw(item, [], [(given, SIZE), (given, SIZE)], bpy.context)
    next(views)
    views.close()
    assert fingerprint() == before


def test_a_mesh_without_uvs_is_named():
    item, given = bumpy(), eye()
    while item.data.uv_layers:
        item.data.uv_layers.remove(item.data.uv_layers[0])
    with pytest.raises(InvalidInput, match="'Scan' has no UVs"):
        drawn(item, given)
