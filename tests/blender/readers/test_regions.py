"""A rectangle of an image, or of a render, as a sample."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon import compat
from blender_addon.datablocks import region
from blender_addon.inputs import sources
from blender_addon.readers import renders, table
from blender_addon.shared import texture_set
from blender_addon.shared.algorithm import find
from blender_addon.shared.catalog import algorithms
from blender_addon.shared.errors import InvalidInput
from blender_addon.ui import input_panel
from tests.blender.support import paper

ENGINE = "texture"


pytestmark = pytest.mark.usefixtures("addon_alone")


def read(image: bpy.types.Image) -> dict[str, np.ndarray]:
    """The maps of an image as the engine's sample."""
    spec = find(algorithms(), ENGINE)
    (source,) = sources.collect(bpy.context.scene, spec, None, {"exemplar": image.name})["exemplar"]
    return texture_set.split(table.read(source, spec.inputs[0], bpy.context))


def render_of_a_red_floor() -> bpy.types.Image:
    """40 x 30 px: red in the 15 rows below, nothing in those above."""
    scene = bpy.context.scene
    bpy.ops.mesh.primitive_plane_add(size=1.0, location=(0.0, -0.5, 0.0))
    floor = bpy.context.active_object
    floor.scale = (4.0, 1.0, 1.0)
    red = bpy.data.materials.new("Red")
    tree = compat.use_nodes(red)
    glow = tree.nodes.new("ShaderNodeEmission")
    glow.inputs["Color"].default_value = (0.5, 0.0, 0.0, 1.0)
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(glow.outputs[0], output.inputs["Surface"])
    floor.data.materials.append(red)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.data.type, camera.data.ortho_scale = (0.0, 0.0, 5.0), "ORTHO", 4.0 / 3.0
    scene.collection.objects.link(camera)
    scene.camera, scene.render.engine, scene.cycles.samples = camera, "CYCLES", 1
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 40, 30, 100
    bpy.ops.render.render()
    return next(image for image in bpy.data.images if image.type == "RENDER_RESULT")


def test_a_region_of_a_render_is_read_as_it_is_seen() -> None:
    image, settings = render_of_a_red_floor(), bpy.context.scene.render.image_settings
    settings.file_format = "OPEN_EXR"
    before = set(bpy.data.images.keys())
    bpy.ops.relievo.draw_region(image=image.name, rectangle=(4, 0, 32, 16))
    colors = read(image)["base_color"]
    assert colors.shape == (16, 32, 3)
    np.testing.assert_allclose(colors[3:].mean(axis=(0, 1)), (0.5, 0.0, 0.0), atol=0.01)
    assert colors[0].max() < 0.2, "the topmost row is above the floor"
    assert settings.file_format == "OPEN_EXR"
    assert set(bpy.data.images.keys()) == before


def test_without_a_render_a_sentence_says_so() -> None:
    image, scene = render_of_a_red_floor(), bpy.data.scenes.new("Not Rendered")
    with pytest.raises(InvalidInput, match=r"nothing has been rendered yet.*F12"), renders.readable(image, scene):
        pass
    assert scene.render.image_settings.file_format == "PNG"


def test_a_region_is_cut_to_the_image_and_one_that_does_not_fit_is_refused() -> None:
    image = bpy.data.images.new("Stones", 64, 48)
    bpy.ops.relievo.draw_region(image="Stones", rectangle=(10, 20, 500, 500))
    assert region.of(image) == (10, 20, 54, 28)
    assert read(image)["base_color"].shape == (28, 54, 3)
    region.set_on(image, (10, 20, 54, 29))
    with pytest.raises(InvalidInput, match="goes beyond its 64 x 48 px"):
        read(image)
    region.set_on(image, (0, 0, 40, 12))
    with pytest.raises(InvalidInput, match="40 x 12 px; at least 16"):
        read(image)
    with pytest.raises(RuntimeError, match="The region is empty"):
        bpy.ops.relievo.draw_region(image="Stones", rectangle=(64, 0, 5, 5))


def test_the_panel_offers_a_region_that_begins_with_the_whole_image() -> None:
    scene = bpy.context.scene
    scene.relievo.algorithm = ENGINE
    image = scene.relievo.texture.from_exemplar.image = bpy.data.images.new("Stones", 64, 48)
    assert "Only a Region" in paper.draw(input_panel.RELIEVO_PT_inputs)
    region.settings_of(image).is_used = True
    assert region.of(image) == (0, 0, 64, 48)
    assert {"X", "Y", "Width", "Height"} <= set(paper.draw(input_panel.RELIEVO_PT_inputs))
