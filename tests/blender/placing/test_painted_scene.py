"""A small scene, rendered and painted by the engine with its own segments: thick paint, strokes that play back, and a mesh that
wears its painted texture.
"""

from __future__ import annotations

import json

import bpy
import numpy as np
import pytest

from blender_addon import compat, requests
from blender_addon.datablocks import painting
from blender_addon.ui import panels
from blender_addon.writers import surface_nodes, textures
from blender_addon.writers.paintings import canvas_materials, impasto
from tests.blender.support import live_addon, paper

QUICK = {"budget": 24, "layers": 2, "steps": 2, "seed": 3}


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    live_addon.discard_jobs()


def glowing(name: str, color: tuple[float, float, float], **where) -> bpy.types.Object:
    """A cube of one colour, whatever light there is."""
    bpy.ops.mesh.primitive_cube_add(size=1.0, **where)
    item = bpy.context.active_object
    item.name = name
    material = bpy.data.materials.new(name)
    tree = compat.use_nodes(material)
    glow = tree.nodes.new("ShaderNodeEmission")
    glow.inputs["Color"].default_value = (*color, 1.0)
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(glow.outputs[0], output.inputs["Surface"])
    item.data.materials.append(material)
    return item


def rendered_scene() -> None:
    """A red and a blue box side by side before a black background, 64 x 48 px."""
    glowing("Blue", (0.05, 0.1, 0.7), location=(0.6, 0.0, 0.0))
    glowing("Red", (0.7, 0.1, 0.05), location=(-0.6, 0.0, 0.0))
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.data.type, camera.data.ortho_scale = (0.0, 0.0, 5.0), "ORTHO", 2.6
    scene = bpy.context.scene
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 1
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 64, 48, 100
    scene.view_settings.view_transform = "Standard"
    bpy.ops.render.render()


def test_a_scene_is_rendered_painted_and_played_back() -> None:
    rendered_scene()
    assert bpy.ops.relievo.paint(image="view", segments="view", output="IMPASTO", **QUICK) == {"FINISHED"}
    (canvas,) = [item for item in bpy.data.objects if requests.recipe_on(item) is not None]
    height = impasto.modifier_of(canvas).texture.image
    assert height.is_float
    assert tuple(height.size) == (64, 48)
    strokes = painting.strokes_of(canvas)
    count = len(strokes.data.curves)
    assert 0 < count <= QUICK["budget"]
    segment, color = np.empty(count, np.int32), np.empty(count * 4, np.float32)
    strokes.data.attributes["segment"].data.foreach_get("value", segment)
    strokes.data.attributes["stroke_color"].data.foreach_get("color", color)
    red, _, blue, _ = color.reshape(-1, 4).T
    assert set(segment) == {0, 1, 2}, "background, Blue, Red"
    assert (red > blue)[segment == 2].all()
    assert (blue > red)[segment == 1].all()
    bpy.context.view_layer.objects.active = canvas
    assert bpy.ops.relievo.animate_strokes(frames=10) == {"FINISHED"}
    assert bpy.ops.relievo.strokes_as_pencil(frames=10) == {"FINISHED"}


def test_objects_carry_how_they_are_painted() -> None:
    rendered_scene()
    settings = bpy.context.scene.relievo
    settings.algorithm = "paint"
    group = settings.paint
    group.from_image.source = group.from_segments.source = "VIEW"
    group.budget, group.layers, group.steps = 40, 2, 2
    red = bpy.data.objects["Red"].relievo_segment
    red.is_used = red.use_share = True
    red.share, red.order = 70.0, 3
    hidden = glowing("Behind", (1.0, 1.0, 1.0), location=(0.0, 0.0, 90.0))
    hidden.relievo_segment.is_used = hidden.relievo_segment.use_share = True
    group.from_segments.active_segment = bpy.context.scene.objects.find("Red")
    lines = [line for panel in panels.CLASSES if issubclass(panel, bpy.types.Panel) for line in paper.draw(panel)]
    assert {"Segment Settings (2)", "Blue", "Red", "Largest Brush", "Order"} <= set(lines)
    assert "Camera" not in lines
    assert bpy.ops.relievo.generate() == {"FINISHED"}
    (canvas,) = [item for item in bpy.data.objects if requests.recipe_on(item) is not None]
    params = requests.recipe_on(canvas)["params"]
    assert json.loads(params["segment_settings"]) == {"Red": {"share": 70.0, "order": 3}}, (
        "what is behind the camera is left out"
    )
    strokes = painting.strokes_of(canvas)
    segment = np.empty(len(strokes.data.curves), np.int32)
    strokes.data.attributes["segment"].data.foreach_get("value", segment)
    assert np.mean(segment == 2) == pytest.approx(0.7, abs=0.1)

    red.share = 5.0
    bpy.context.view_layer.objects.active = canvas
    assert bpy.ops.relievo.regenerate() == {"FINISHED"}
    assert requests.recipe_on(canvas)["params"] == params, "the recipe counts"
    group.segment_settings = '{"Red": {"smallest": 30, "largest": 40}}'
    assert bpy.ops.relievo.update_terrain() == {"FINISHED"}
    changed = json.loads(requests.recipe_on(canvas)["params"]["segment_settings"])
    assert changed == {"Red": {"smallest": 30, "largest": 40}}, "what is written goes before"


def halves() -> bpy.types.Image:
    """A packed image, red on the left and blue on the right, 64 x 48 px."""
    image = bpy.data.images.new("Halves", 64, 48)
    pixels = np.ones((48, 64, 4), np.float32)
    pixels[..., :3] = np.where(np.arange(64)[None, :, None] < 32, (0.8, 0.1, 0.1), (0.1, 0.1, 0.8))
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image


def pixels_of(image: bpy.types.Image) -> np.ndarray:
    columns, rows = image.size
    values = np.empty(rows * columns * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(rows, columns, 4)[..., :3]


def test_edited_strokes_are_painted_as_they_are_now() -> None:
    halves()
    assert bpy.ops.relievo.paint(image="Halves", opacity="varying", two_colors=True, **QUICK) == {"FINISHED"}
    (canvas,) = [item for item in bpy.data.objects if requests.recipe_on(item) is not None]
    before = pixels_of(canvas_materials.picture_of(canvas))
    count = len(painting.strokes_of(canvas).data.curves)
    bpy.context.view_layer.objects.active = canvas
    assert bpy.ops.relievo.paint_edited_strokes() == {"FINISHED"}
    np.testing.assert_allclose(pixels_of(canvas_materials.picture_of(canvas)), before, atol=2 / 255)

    curves = painting.strokes_of(canvas).data
    curves.attributes["stroke_color"].data.foreach_set("color", np.tile(np.array((0, 0.5, 0, 1), np.float32), count))
    for point in range(9):  # the last stroke becomes a thick bar at the bottom
        curves.points[9 * (count - 1) + point].position = (0.2 * (point - 4), -0.05, -0.6)
        curves.points[9 * (count - 1) + point].radius = 0.2
    curves.attributes["stroke_color"].data[count - 1].color = (1.0, 1.0, 0.0, 1.0)
    assert bpy.ops.relievo.paint_edited_strokes(scale=2.0) == {"FINISHED"}
    after = pixels_of(canvas_materials.picture_of(canvas))
    assert after.shape == (96, 128, 3)
    np.testing.assert_allclose(np.median(after[:12, 20:-20], axis=(0, 1)), (1.0, 1.0, 0.0), atol=0.1)
    assert (after[70:, :, 0].mean(), after[70:, :, 2].mean()) < (0.1, 0.1)
    recipe = requests.recipe_on(canvas)
    assert recipe["params"]["scale"] == 2.0
    assert list(recipe["scene"]["sources"]) == ["strokes"]
    assert bpy.ops.relievo.regenerate() == {"FINISHED"}
    np.testing.assert_allclose(pixels_of(canvas_materials.picture_of(canvas)), after, atol=2 / 255)

    curves = painting.strokes_of(canvas).data
    del curves["relievo_canvas"]
    with pytest.raises(RuntimeError, match="an older version has made them"):
        bpy.ops.relievo.paint_edited_strokes()
    bpy.ops.mesh.primitive_cube_add()
    with pytest.raises(RuntimeError, match="no painting with strokes"):
        bpy.ops.relievo.paint(strokes="strokes:Cube")


def test_the_texture_of_a_mesh_is_painted() -> None:
    item = glowing("Box", (1.0, 1.0, 1.0))
    image = bpy.data.images.new("Skin", 64, 64)
    pixels = np.ones((64, 64, 4), np.float32)
    pixels[..., :3] = np.where(np.arange(64)[:, None, None] < 32, (0.8, 0.2, 0.1), (0.1, 0.3, 0.8))
    image.pixels.foreach_set(pixels.ravel())
    skin = bpy.data.materials.new("Skin")
    tree = compat.use_nodes(skin)
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    item.material_slots[0].material = skin
    assert bpy.ops.relievo.paint(image="surface:Box", segments="surface:Box", **QUICK) == {"FINISHED"}
    painted = textures.worn_by(item)
    assert painted != skin
    nodes = painted.node_tree.nodes
    assert nodes[surface_nodes.SHADER_NODE].inputs["Normal"].is_linked
    assert tuple(textures.image_of(painted).size) == (64, 64)
    assert requests.recipe_on(painted)["scene"]["sources"]["image"][0]["options"]["image"] == "Skin"
