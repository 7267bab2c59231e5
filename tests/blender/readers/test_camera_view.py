"""Segments of the camera's view against Cycles' own Object Index pass, and what they do where there is nothing to draw."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import compat
from blender_addon.readers import camera_view
from blender_addon.shared.arrays import check
from blender_addon.shared.errors import InvalidInput

PASS = "Object Index" if compat.IS_5 else "IndexOB"
SIZE = (120, 80)


def add(kind: str, name: str, **where) -> bpy.types.Object:
    getattr(bpy.ops.mesh, f"primitive_{kind}_add")(**where)
    item = bpy.context.active_object
    item.name = name
    return item


def look(location=(6.0, -7.0, 4.0), rotation=(1.1, 0.0, 0.7), **lens) -> bpy.types.Object:
    """The scene's camera."""
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = location, rotation
    for name, value in lens.items():
        setattr(camera.data, name, value)
    scene = bpy.context.scene
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = *SIZE, 100
    bpy.context.view_layer.update()
    return camera


def still_life() -> None:
    """A floor that reaches behind the camera, modifiers and instances, and what views and renders hide differently."""
    floor = add("plane", "Floor", size=60.0)
    cube = add("cube", "Cube", size=2.0, location=(0, 0, 1))
    rounder = cube.modifiers.new("Rounder", "SUBSURF")
    rounder.levels, rounder.render_levels = 0, 3
    row = add("cone", "Row", location=(-2.0, 1.5, 1.0)).modifiers.new("Row", "ARRAY")
    row.count, row.show_viewport = 3, False
    add("uv_sphere", "Behind the Eye", location=(2.0, -2.0, 1.0)).hide_set(True)
    add("uv_sphere", "Not Rendered", location=(4.0, -4.5, 2.5), radius=1.0).hide_render = True
    bpy.ops.object.text_add(location=(-1.0, -3.0, 0.05))
    bpy.context.active_object.name, bpy.context.active_object.data.body = "Text", "ab"
    trees = bpy.data.collections.new("Trees")
    tree = add("ico_sphere", "Tree", radius=0.5)
    bpy.context.collection.objects.unlink(tree)
    trees.objects.link(tree)
    for x in (-4.0, 4.0):
        grove = bpy.data.objects.new("Grove", None)
        grove.instance_type, grove.instance_collection, grove.location = "COLLECTION", trees, (x, 2.0, 0.8)
        bpy.context.scene.collection.objects.link(grove)
    for number, item in enumerate(sorted(bpy.data.objects, key=lambda item: item.name_full), 1):
        item.pass_index = number
    assert floor.pass_index


def index_pass(folder: Path) -> np.ndarray:
    """Cycles' Object Index at each pixel's middle, the top row first."""
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 1
    scene.cycles.use_adaptive_sampling = scene.cycles.use_denoising = False
    scene.cycles.max_bounces, scene.cycles.pixel_filter_type, scene.cycles.filter_width = 0, "BOX", 0.01
    scene.view_layers[0].use_pass_object_index = True
    compat.write_passes(scene, str(folder), {PASS: "FLOAT"})
    bpy.ops.render.render()
    image = bpy.data.images.load(compat.pass_file(scene, str(folder), PASS))
    image.colorspace_settings.name = "Non-Color"
    values = np.empty(SIZE[0] * SIZE[1] * image.channels, np.float32)
    image.pixels.foreach_get(values)
    return np.rint(values.reshape(SIZE[1], SIZE[0], -1)[::-1, :, 0]).astype(int)


def away_from_edges(numbers: np.ndarray) -> np.ndarray:
    """Where a pixel and its eight neighbours are of one segment."""
    padded = np.pad(numbers, 1, mode="edge")
    rows, columns = numbers.shape
    shifted = [padded[r : r + rows, c : c + columns] for r in range(3) for c in range(3)]
    return np.all([part == numbers for part in shifted], axis=0)


LENSES = {
    "perspective": {"lens": 30.0, "shift_x": 0.08, "shift_y": -0.12},
    "fitted to its height": {"lens": 28.0, "sensor_fit": "VERTICAL", "sensor_height": 20.0},
    "orthographic": {"type": "ORTHO", "ortho_scale": 11.0, "shift_x": -0.05},
}


@pytest.mark.parametrize(
    "lens", [name if name == "perspective" else pytest.param(name, marks=pytest.mark.any_version) for name in LENSES]
)
def test_segments_are_those_of_the_object_index_pass(tmp_path: Path, lens: str) -> None:
    still_life()
    camera = look(**LENSES[lens])
    hidden = {item.name: (item.hide_get(), item.hide_viewport) for item in bpy.context.view_layer.objects}
    ours = check(camera_view.segments(bpy.context, camera, "OBJECT")).values
    assert hidden == {item.name: (item.hide_get(), item.hide_viewport) for item in bpy.context.view_layer.objects}
    assert bpy.data.objects["Cube"].modifiers[0].levels == 0
    assert not bpy.data.objects["Row"].modifiers[0].show_viewport
    bpy.data.objects["Behind the Eye"].hide_set(False)
    theirs = index_pass(tmp_path)
    present = np.unique(theirs[theirs > 0])
    assert len(present) >= 5
    theirs = np.where(theirs > 0, np.searchsorted(present, theirs) + 1, 0)
    steady = away_from_edges(theirs)
    assert (ours == theirs)[steady].mean() == 1.0
    assert (ours == theirs).mean() > 0.995


def test_materials_and_collections_are_segments_too() -> None:
    cube = add("cube", "Cube", size=2.0, location=(0, 0, 1))
    for name in ("Red", "Blue"):
        cube.data.materials.append(bpy.data.materials.new(name))
    upper = [face.center.z > 0.9 for face in cube.data.polygons]
    cube.data.polygons.foreach_set("material_index", np.array(upper, np.int32))
    other = add("cube", "Other", size=2.0, location=(0, 4, 1))
    props = bpy.data.collections.new("Props")
    bpy.context.scene.collection.children.link(props)
    props.objects.link(other)
    bpy.context.collection.objects.unlink(other)
    camera = look()
    counts = {
        by: len(np.unique(camera_view.segments(bpy.context, camera, by).values)) for by in ("OBJECT", "COLLECTION")
    }
    assert counts == {"OBJECT": 3, "COLLECTION": 3}
    by_material = camera_view.segments(bpy.context, camera, "MATERIAL").values
    assert len(np.unique(by_material)) == 4, "none, nothing worn, red and blue"
    scene = bpy.context.scene
    scene.render.use_border = scene.render.use_crop_to_border = True
    scene.render.border_min_x, scene.render.border_max_x = 0.25, 0.75
    scene.render.border_min_y, scene.render.border_max_y = 0.5, 1.0
    cropped = camera_view.segments(bpy.context, camera, "COLLECTION").values
    assert cropped.shape == (40, 60)


@pytest.mark.any_version
def test_what_cannot_be_drawn_is_said() -> None:
    camera = look()
    with pytest.raises(InvalidInput, match="sees no surface"):
        camera_view.segments(bpy.context, camera, "OBJECT")
    add("plane", "Floor", size=60.0)
    camera.rotation_euler = (np.pi, 0.0, 0.0)
    bpy.context.view_layer.update()
    with pytest.raises(InvalidInput, match="sees no surface"):
        camera_view.segments(bpy.context, camera, "OBJECT")
    camera.data.type = "PANO"
    with pytest.raises(InvalidInput, match="panoramic"):
        camera_view.segments(bpy.context, camera, "OBJECT")


@pytest.mark.any_version
def test_more_objects_than_classes_are_refused_with_a_way_out() -> None:
    mesh = bpy.data.meshes.new("Tile")
    mesh.from_pydata([(0, 0, 0), (0.4, 0, 0), (0.4, 0.4, 0), (0, 0.4, 0)], [], [(0, 1, 2, 3)])
    for number in range(256):
        tile = bpy.data.objects.new("Tile", mesh)
        tile.location = (number % 16 - 8, number // 16 - 8, 0)
        bpy.context.scene.collection.objects.link(tile)
    camera = look((0, 0, 10), (0, 0, 0), type="ORTHO", ortho_scale=30.0)
    with pytest.raises(InvalidInput, match="sees 256 objects") as refused:
        camera_view.segments(bpy.context, camera, "OBJECT")
    assert "by collection" in refused.value.hint
    assert len(np.unique(camera_view.segments(bpy.context, camera, "COLLECTION").values)) == 2
