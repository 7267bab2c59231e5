"""Wear Textures: each class has its own detail, colours stay, it comes off again, is saved, and survives a new result."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon import typed
from blender_addon.settings import wearing
from blender_addon.shared.arrays import AREA_MAP, CLASS_MAP, COLOR_IMAGE, Array, height_map
from blender_addon.ui import panels
from blender_addon.writers import materials, terrain
from blender_addon.writers.grounds import attributes, detail
from tests.blender.support import paper

SIDE, PIXEL_M = 33, 1.0
NAMES = ("Water", "Grassland", "Snow and Ice")
LEFT, RIGHT = (0.10, 0.14, 0.05), (0.80, 0.82, 0.85)


pytestmark = pytest.mark.usefixtures("addon_alone")


def outputs(classes: bool = True, side: int = SIDE) -> dict[str, Array]:
    """Flat ground, grass on its left half and snow on its right."""
    flat = np.zeros((side, side), np.float32)
    found = {"height": height_map(flat, PIXEL_M)}
    if classes:
        numbers = np.where(np.arange(side) < side // 2, 1, 2).astype(np.uint8) * np.ones((side, 1), np.uint8)
        colors = np.where((numbers == 1)[..., None], np.float32(LEFT), np.float32(RIGHT)).astype(np.float32)
        found["color"] = Array(COLOR_IMAGE, colors)
        found["classes"] = Array(CLASS_MAP, numbers, {"names": list(NAMES)})
        found["flow"] = Array(AREA_MAP, flat + PIXEL_M**2, {"pixel_size_m": PIXEL_M})
    return found


def made(classes: bool = True) -> bpy.types.Object:
    item = terrain.make(
        outputs(classes), kind="MESH", name="Terrain", recipe={"algorithm": "noise", "params": {}, "format": 1}
    )
    wearing.renew(item)
    bpy.context.view_layer.objects.active = item
    return item


def seen(engine: str = "CYCLES") -> np.ndarray:
    """The terrain's base colours from straight above, linear [64, 64, 3], bottom row first, without light."""
    scene = bpy.context.scene
    if scene.camera is None:
        data = bpy.data.cameras.new("Camera")
        data.type, data.ortho_scale = "ORTHO", SIDE - 1.0
        scene.camera = bpy.data.objects.new("Camera", data)
        scene.camera.location = (0.0, 0.0, 10.0)
        scene.collection.objects.link(scene.camera)
    scene.render.engine, scene.cycles.samples, scene.cycles.device = engine, 4, "CPU"
    scene.cycles.use_denoising = False
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.view_settings.view_transform = "Raw"
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.filepath = bpy.app.tempdir + "seen.exr"
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    try:
        return typed.read_pixels(image).reshape(64, 64, -1)[..., :3]
    finally:
        bpy.data.images.remove(image)


def shining(item: bpy.types.Object) -> None:
    """Let the worn material give off its base colour, so that a picture shows it alone."""
    tree = typed.tree_of(materials.first(item))
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    glow = tree.nodes.new("ShaderNodeEmission")
    tree.links.new(shader.inputs["Base Color"].links[0].from_socket, glow.inputs["Color"])
    tree.links.new(glow.outputs["Emission"], output.inputs["Surface"])


def halves(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Grass and snow, without the border between them and the terrain's edge."""
    return picture[3:-3, 3:22], picture[3:-3, 42:-3]


def relative_spread(part: np.ndarray) -> float:
    """Deviation of brightness over its mean."""
    bright = part.mean(axis=-1)
    return float(bright.std() / bright.mean())


def test_classes_have_their_own_detail_and_keep_their_colours():
    item = made()
    assert bpy.ops.relievo.wear_textures() == {"FINISHED"}
    assert {name: entry.texture for name, entry in wearing.entries_of(item).items()} == {
        "Grassland": "GRASS", "Snow and Ice": "SNOW", "Steep Ground": "ROCK", "Stream Beds": "SCREE",
    }  # fmt: skip
    assert {"ground_grassland", "ground_snow_and_ice"} <= {a.name for a in item.data.attributes}
    shining(item)
    picture = seen()
    left, right = halves(picture)
    for part, color in ((left, LEFT), (right, RIGHT)):
        np.testing.assert_allclose(part.mean(axis=(0, 1)), color, rtol=0.1)
    spread = [relative_spread(part) for part in (left, right)]
    assert spread[0] > 0.12 > 0.05 > spread[1] > 0.005, "grass is rough, snow smooth, neither is flat"


def test_the_users_own_material_and_image_are_worn():
    item = made()
    checks = np.ones((32, 32, 4), np.float32)
    checks[..., :3] = (((np.arange(32)[:, None] // 4 + np.arange(32) // 4) % 2) * 0.6 + 0.2)[..., None]
    image = bpy.data.images.new("Checks", 32, 32)
    typed.write_pixels(image, checks)
    material = bpy.data.materials.new("Plaster")
    material.use_nodes = True
    tree = typed.tree_of(material)
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    tree.links.new(node.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
    bpy.ops.relievo.wear_textures(ground="Snow and Ice", texture="material:Plaster", tile_m=8.0)
    bpy.ops.relievo.wear_textures(ground="Grassland", texture="image:Checks", tile_m=8.0, strength=0.0)
    shining(item)
    picture = seen()
    left, right = halves(picture)
    assert relative_spread(right) > 0.2
    assert relative_spread(left) < 0.01, "strength 0 shows nothing"
    np.testing.assert_allclose(right.mean(axis=(0, 1)), RIGHT, rtol=0.1)


def test_it_comes_off(tmp_path):
    item = made()
    before = materials.first(item).name
    named = [attribute.name for attribute in item.data.attributes]
    bpy.ops.relievo.wear_textures()
    bpy.ops.relievo.wear_textures(texture="rock")
    worn = materials.worn_with_grounds(item)
    assert worn is not None
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "worn.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "worn.blend"))
    item = bpy.data.objects["Terrain"]
    assert materials.worn_with_grounds(item) is not None
    assert wearing.entries_of(item)["Grassland"].texture == "ROCK"
    bpy.context.view_layer.objects.active = item
    assert "Take Off Textures" not in paper.draw(panels.RELIEVO_PT_main)
    bpy.ops.relievo.take_off_textures()
    assert materials.first(item).name == before
    assert materials.worn_with_grounds(item) is None
    assert [attribute.name for attribute in item.data.attributes] == named
    assert not [material for material in bpy.data.materials if materials.GROUNDS_KEY in material]


def test_wearing_is_one_step_of_undo():
    item = made()
    before = materials.first(item).name
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.relievo.wear_textures()
    bpy.ops.ed.undo_push(message="worn")  # a window pushes it itself
    bpy.ops.ed.undo()
    item = bpy.data.objects["Terrain"]
    assert materials.worn_with_grounds(item) is None
    assert materials.first(item).name == before
    bpy.ops.ed.redo()
    assert materials.worn_with_grounds(bpy.data.objects["Terrain"]) is not None


def test_a_new_result_is_worn_too():
    item = made()
    bpy.ops.relievo.wear_textures()
    worn = materials.first(item)
    terrain.replace(item, outputs(side=41), kind="MESH")
    assert materials.first(item) == worn
    weights = np.empty(41 * 41, np.float32)
    item.data.attributes["ground_grassland"].data.foreach_get("value", weights)
    assert weights.reshape(41, 41)[:, :18].min() > 0.999
    assert weights.reshape(41, 41)[:, 23:].max() < 0.001


def test_terrain_without_classes_wears_by_slope_and_height():
    item = made(classes=False)
    assert list(wearing.entries_of(item)) == ["Rock", "Scree", "Grass", "Snow"]
    before = materials.first(item)
    bpy.ops.relievo.wear_textures()
    assert attributes.classes_of(item) == ()
    shining(item)
    assert seen().std() > 0.005
    bpy.ops.relievo.take_off_textures()
    assert materials.first(item) == before


def test_wrong_choices_get_a_sentence():
    item = made()
    before = materials.first(item)
    bpy.data.materials.new("Bare")
    bpy.data.materials["Bare"].use_nodes = True
    for arguments, reason in (
        ({"texture": "moss"}, "There is no texture 'moss'"),
        ({"texture": "image:Moss"}, "There is no image 'Moss'"),
        ({"ground": "Forest"}, "It has: Grassland, Snow and Ice"),
        ({"ground": "Grassland", "texture": "material:Bare"}, "Bare"),
        ({"texture": "none"}, "No texture is chosen"),
    ):
        with pytest.raises(RuntimeError, match=reason):
            bpy.ops.relievo.wear_textures(**arguments)
    wearing.entries_of(item)["Grassland"].texture = "MATERIAL"
    wearing.entries_of(item)["Grassland"].material = None
    with pytest.raises(RuntimeError, match="No material is chosen for Grassland"):
        bpy.ops.relievo.wear_textures()
    assert materials.first(item) == before
    terrain.replace(item, outputs(), kind="ADAPTIVE")
    assert not bpy.ops.relievo.wear_textures.poll()


def test_normals_become_the_height_that_they_came_from():
    y, x = np.mgrid[0:64, 0:64] * (2 * np.pi / 64)
    height = 3.0 * np.sin(5 * x) * np.cos(4 * y)
    down, right = np.gradient(np.pad(height, 1, mode="wrap"))
    normals = np.stack([-right[1:-1, 1:-1], down[1:-1, 1:-1], np.ones_like(height)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    made = detail.of({"base_color": np.full((64, 64, 3), 0.4), "normal": normals})
    found = made.values[..., 3].astype(np.float64).ravel()
    assert np.corrcoef(found, height.ravel())[0, 1] > 0.98
    assert made.relief_share == pytest.approx(np.ptp(height) / 64, rel=0.25)
    np.testing.assert_allclose(made.values[..., :3], 65535 / detail.MOST, atol=2)
