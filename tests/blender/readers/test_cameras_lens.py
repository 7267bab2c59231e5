"""Blender's cameras as posed photographs: projections agree with Blender's own, whatever lens, sensor, shift and frame."""

from __future__ import annotations

import math

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector

from blender_addon.readers import cameras
from blender_addon.shared.cameras import FISHEYE, Camera, Distortion
from blender_addon.shared.errors import InvalidInput
from blender_addon.writers import cameras as built

RNG = np.random.default_rng(5)


def camera_object(**settings):
    data = bpy.data.cameras.new("Eye")
    for name, value in settings.items():
        setattr(data, name, value)
    item = bpy.data.objects.new("Eye", data)
    bpy.context.scene.collection.objects.link(item)
    item.matrix_world = Matrix.Translation((3.0, -4.0, 2.0)) @ Matrix.Rotation(0.7, 4, (0.9, 0.2, 0.4))
    return item


def read(item, size):
    return cameras.camera(item, bpy.context.evaluated_depsgraph_get(), size)


def pixels(camera: Camera, points: np.ndarray) -> np.ndarray:
    local = points @ camera.rotation.T + camera.translation
    return local[:, :2] / local[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)


def in_view(item, count: int = 50) -> np.ndarray:
    """World points before the camera."""
    local = np.concatenate([RNG.uniform(-1, 1, (count, 2)), -RNG.uniform(2, 9, (count, 1))], axis=1)
    world = np.array(item.matrix_world, np.float64)
    return local @ world[:3, :3].T + world[:3, 3]


LENSES = [
    {"sensor_fit": "AUTO", "lens": 35.0},
    {"sensor_fit": "AUTO", "lens": 35.0, "sensor_width": 23.5, "shift_x": 0.13, "shift_y": -0.21},
    {"sensor_fit": "HORIZONTAL", "lens": 50.0, "sensor_width": 30.0, "shift_x": -0.05, "shift_y": 0.4},
    {"sensor_fit": "VERTICAL", "lens": 24.0, "sensor_height": 17.0, "shift_x": 0.3, "shift_y": 0.1},
    {"lens_unit": "FOV", "angle": 1.1},
]


@pytest.mark.parametrize("aspect", [(1.0, 1.0), (1.0, 1.5), (2.0, 1.0)], ids=str)
@pytest.mark.parametrize("size", [(640, 360), (360, 640), (500, 500)], ids=str)
@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: "-".join(map(str, lens.values())))
def test_projections_agree_with_blenders_own(lens, size, aspect):
    scene, item = bpy.context.scene, camera_object(**lens)
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = aspect
    bpy.context.view_layer.update()
    camera, points = read(item, size), in_view(item)
    shown = np.array([world_to_camera_view(scene, item, Vector(point)) for point in points])
    expected = shown[:, :2] * size
    expected[:, 1] = size[1] - expected[:, 1]
    np.testing.assert_allclose(pixels(camera, points), expected, atol=2e-3, rtol=1e-5)
    projection = np.array(
        item.calc_matrix_camera(
            bpy.context.evaluated_depsgraph_get(), x=size[0], y=size[1], scale_x=aspect[0], scale_y=aspect[1]
        ),
        np.float64,
    )
    view = np.linalg.inv(np.array(item.matrix_world, np.float64))
    clip = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ (projection @ view).T
    from_corner = (clip[:, :2] / clip[:, 3:] * (0.5, -0.5) + 0.5) * size
    np.testing.assert_allclose(pixels(camera, points), from_corner, atol=2e-3, rtol=1e-5)


@pytest.mark.parametrize("method", ["STRETCH", "FIT", "CROP"])
@pytest.mark.parametrize("size", [(300, 200), (200, 300)], ids=str)
def test_a_photograph_of_another_shape_lies_in_the_frame_as_it_is_shown(method, size):
    """The frame is 640 x 360: where a point of the frame lies in the photograph follows from how that is laid into it."""
    scene, item = bpy.context.scene, camera_object(lens=40.0, shift_x=0.1)
    scene.render.resolution_x, scene.render.resolution_y = 640, 360
    backdrop = item.data.background_images.new()
    backdrop.image = bpy.data.images.new("Photo", *size)
    backdrop.frame_method = method
    bpy.context.view_layer.update()
    photograph, points = read(item, size), in_view(item)
    scale = {"STRETCH": (size[0] / 640, size[1] / 360)}
    factor = min(640 / size[0], 360 / size[1]) if method == "FIT" else max(640 / size[0], 360 / size[1])
    across, down = scale.get(method, (1 / factor, 1 / factor))
    backdrop.frame_method = "STRETCH"
    frame = read(item, (640, 360))
    expected = (pixels(frame, points) - (320, 180)) * (across, down) + (size[0] / 2, size[1] / 2)
    np.testing.assert_allclose(pixels(photograph, points), expected, rtol=1e-6, atol=1e-3)


def posed(**changes) -> Camera:
    axis = np.array([0.3, -0.5, 0.8]) / np.linalg.norm([0.3, -0.5, 0.8])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + math.sin(1.1) * cross + (1 - math.cos(1.1)) * cross @ cross
    values = {
        "name": "a.jpg",
        "width": 4000,
        "height": 3000,
        "fx": 3210.5,
        "fy": 3288.25,
        "cx": 1950.0,
        "cy": 1533.75,
        "rotation": rotation,
        "translation": np.array([0.5, -1.5, 4.0]),
    }
    return Camera(**values | changes)


@pytest.mark.parametrize(
    "lens",
    [
        Distortion(),
        Distortion("perspective", (-0.12, 0.05, 1e-3, -2e-3, 0.01, 0.0, 0.0, 0.0)),
        Distortion(FISHEYE, (0.01, -0.02, 0.003, 0.001, 0.0, 0.0, 0.0, 0.0)),
    ],
    ids=lambda lens: lens.model,
)
def test_a_camera_comes_back_as_it_was_whatever_the_scene_renders(lens):
    camera = posed(distortion=lens)
    collection = built.make([built.Posed(camera=camera)], bpy.context.scene)
    bpy.context.scene.render.resolution_x = 333
    bpy.context.scene.render.pixel_aspect_y = 1.7
    bpy.context.view_layer.update()
    (item,) = collection.objects
    back = read(item, (camera.width, camera.height))
    for name in ("fx", "fy", "cx", "cy"):
        assert getattr(back, name) == pytest.approx(getattr(camera, name), abs=1e-3), name
    np.testing.assert_allclose(back.rotation, camera.rotation, atol=2e-7)
    np.testing.assert_allclose(back.center, camera.center, atol=1e-6)
    assert back.distortion == lens
    assert np.linalg.det(back.rotation) == pytest.approx(1.0, abs=1e-12)


def test_up_and_scale_turn_the_world_and_not_the_picture():
    camera = posed()
    points = RNG.uniform(-1, 1, (20, 3)) + camera.center + 5.0 * camera.rotation[2]
    turned = {"FILE": points, "Y_UP": points[:, [0, 2, 1]] * (1, -1, 1), "Y_DOWN": points[:, [0, 2, 1]] * (1, 1, -1)}
    for up, expected in turned.items():
        collection = built.make([built.Posed(camera=camera)], bpy.context.scene, built.Frame(up=up, scale=2.5))
        bpy.context.view_layer.update()
        (item,) = collection.objects
        found = pixels(read(item, (4000, 3000)), expected * 2.5)
        np.testing.assert_allclose(found, pixels(camera, points), atol=0.02)


def test_units_and_origin_count_for_cameras_as_for_meshes():
    scene = bpy.context.scene
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 0.01
    item = camera_object()
    item.location = (300.0, 200.0, 100.0)
    bpy.context.view_layer.update()
    origin = np.array([1.0, 1.0, 1.0])
    found = cameras.camera(item, bpy.context.evaluated_depsgraph_get(), (640, 480), origin_m=origin)
    np.testing.assert_allclose(found.center, [2.0, 1.0, 0.0], atol=1e-6)


def test_parents_and_constraints_count_and_scale_does_not():
    parent = bpy.data.objects.new("Rig", None)
    bpy.context.scene.collection.objects.link(parent)
    item = camera_object()
    bpy.context.view_layer.update()
    straight = read(item, (640, 480))
    item.parent, parent.location, item.scale = parent, (5.0, 0.0, 0.0), (3.0, 3.0, 3.0)
    bpy.context.view_layer.update()
    moved = read(item, (640, 480))
    np.testing.assert_allclose(moved.center, straight.center + np.array([5.0, 0.0, 0.0]), atol=1e-6)
    np.testing.assert_allclose(moved.rotation, straight.rotation, atol=1e-6)


def test_a_camera_in_an_excluded_collection_stands_where_it_was_put():
    collection = built.make([built.Posed(camera=posed())], bpy.context.scene)
    bpy.context.view_layer.layer_collection.children["Relievo"].children[collection.name].exclude = True
    bpy.context.view_layer.update()
    np.testing.assert_allclose(read(collection.objects[0], (4000, 3000)).center, posed().center, atol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda item: setattr(item.data, "type", "ORTHO"), "not a perspective camera"),
        (lambda item: setattr(item, "scale", (1.0, -1.0, 1.0)), "mirrored"),
        (lambda item: setattr(item, "scale", (0.0, 1.0, 1.0)), "no valid transform"),
        (lambda item: setattr(backdrop_of(item), "rotation", 0.1), "moved, turned or mirrored"),
        (lambda item: setattr(backdrop_of(item), "offset", (0.1, 0.0)), "moved, turned or mirrored"),
        (lambda item: item.data.__setitem__("relievo_lens", "mirror ball"), "not a supported lens model"),
    ],
    ids=["orthographic", "mirrored", "flat", "turned", "moved", "lens"],
)
def test_cameras_that_cannot_be_taken_say_why_and_which(spoil, words):
    item = camera_object()
    spoil(item)
    bpy.context.view_layer.update()
    with pytest.raises(InvalidInput, match=words) as raised:
        read(item, (640, 480))
    assert "'Eye'" in str(raised.value)
    assert raised.value.hint


def backdrop_of(item):
    backdrop = item.data.background_images.new()
    backdrop.image = bpy.data.images.new("Photo", 64, 48)
    return backdrop
