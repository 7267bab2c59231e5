"""A set of maps that tiles, on a mesh: its size, its proportions, its relief once and not twice, and its preview."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.shared import texture_set
from blender_addon.writers import displaced_surface, preview_objects, surface_nodes, textures

UV = "UVMap"


def waves(rows: int = 64, columns: int = 64, *, depth_px: float = 4.0) -> dict:
    """Heights 0..1 of two waves down the map, and normals of the same with 1 as depth_px pixels."""
    y = 2 * np.pi * 2 * (np.arange(rows) + 0.5) / rows
    height = np.repeat((0.5 + 0.5 * np.sin(y))[:, None], columns, axis=1).astype(np.float32)
    down = depth_px * 0.5 * np.cos(y) * 2 * np.pi * 2 / rows
    normal = np.stack([np.zeros(rows), down, np.ones(rows)], axis=-1)
    normal = (normal / np.linalg.norm(normal, axis=-1, keepdims=True)).astype(np.float32)
    return {
        "base_color": np.full((rows, columns, 3), 0.5, np.float32),
        "normal": np.repeat(normal[:, None], columns, axis=1),
        "height": height,
    }


def tiling(maps: dict, repeats: str = "xy") -> dict:
    return {"material": (texture_set.stack(maps, repeats=repeats),)}


def wall(width: float = 4.0, height: float = 3.0) -> bpy.types.Object:
    """A plane in the scene, scaled and not applied, as people make walls."""
    bpy.ops.mesh.primitive_plane_add(size=1.0)
    item = bpy.context.active_object
    item.scale = (width, height, 1.0)
    bpy.context.view_layer.update()
    return item


def put(item: bpy.types.Object, outputs: dict, recipe: dict | None = None) -> bpy.types.Material:
    return textures.put_on(item, outputs, depth="BYTE", uv_layer=UV, recipe=recipe)


def repeats_of(material: bpy.types.Material) -> tuple[float, float]:
    """How often the maps are seen over the UV square."""
    nodes = material.node_tree.nodes
    size = nodes[surface_nodes.MESH_SIZE_NODE].inputs[1].default_value
    width = nodes[surface_nodes.TILE_WIDTH_NODE].outputs[0].default_value
    return size[0] / width, size[1] / width


def test_maps_that_tile_repeat_in_their_own_proportions() -> None:
    """2 m wide on a wall of 4 m x 3 m, twice as high as wide."""
    material = put(wall(), tiling(waves(rows=128)))
    np.testing.assert_allclose(repeats_of(material), (2.0, 0.75), rtol=1e-5)
    images = [node for node in material.node_tree.nodes if node.type == "TEX_IMAGE"]
    assert len(images) == 3
    for node in images:
        assert node.extension == "REPEAT"
        assert node.image.packed_file
        assert node.inputs["Vector"].links[0].from_node.name == surface_nodes.REPEAT_NODE
    spaces = {node.label: node.image.colorspace_settings.name for node in images}
    assert spaces == {"Base Color": "sRGB", "Normal": "Non-Color", "Height": "Non-Color"}


def test_a_small_mesh_wears_it_once_and_a_scene_in_centimetres_keeps_its_size() -> None:
    np.testing.assert_allclose(repeats_of(put(wall(0.5, 0.5), tiling(waves()))), (1.0, 1.0), rtol=1e-5)
    bpy.context.scene.unit_settings.scale_length = 0.01
    np.testing.assert_allclose(repeats_of(put(wall(400.0, 300.0), tiling(waves()))), (2.0, 1.5), rtol=1e-5)


def test_maps_that_do_not_tile_cover_the_mesh_once() -> None:
    for outputs in ({"material": (texture_set.stack(waves()),)}, tiling(waves(), "none")):
        material = put(wall(), outputs)
        assert surface_nodes.TILE_WIDTH_NODE not in material.node_tree.nodes
        assert {node.extension for node in material.node_tree.nodes if node.type == "TEX_IMAGE"} == {"EXTEND"}


def test_what_a_person_has_set_stays_when_it_is_made_again() -> None:
    item = wall()
    material = put(item, tiling(waves()))
    material.node_tree.nodes[surface_nodes.TILE_WIDTH_NODE].outputs[0].default_value = 0.5
    displaced_surface.displacement_node(material).inputs["Scale"].default_value = 0.09
    assert put(item, tiling(waves(32, 32))) == material
    np.testing.assert_allclose(repeats_of(material), (8.0, 6.0), rtol=1e-5)
    assert displaced_surface.displacement_node(material).inputs["Scale"].default_value == pytest.approx(0.09)


def test_the_heights_are_as_high_as_the_normals_say() -> None:
    """4 of 64 pixels of 2 m; a few centimetres where there are no normals, or none of these heights; metres stay metres."""

    def relief(maps: dict, **attributes: object) -> float:
        outputs = {"material": (texture_set.stack(maps, repeats="xy", **attributes),)}
        return displaced_surface.displacement_node(put(wall(), outputs)).inputs["Scale"].default_value

    maps = waves()
    assert relief(maps) == pytest.approx(2.0 * 4.0 / 64, rel=0.03)
    assert relief({**maps, "normal": np.rot90(maps["normal"])}) == pytest.approx(0.05)
    assert relief({name: maps[name] for name in ("base_color", "height")}) == pytest.approx(0.05)
    assert relief(maps, pixel_size_m=0.01) == 1.0


def test_a_material_is_not_overwritten_by_what_is_made_of_it() -> None:
    item = wall()
    first = put(item, tiling(waves()))
    recipe = {
        "algorithm": "any",
        "params": {},
        "scene": {"sources": {"sample": [{"kind": "material", "name": first.name}]}},
    }
    second = put(item, tiling(waves(32, 32)), recipe)
    assert second != first
    assert [slot.material for slot in item.material_slots] == [second]
    assert first.use_fake_user
    assert put(item, tiling(waves(32, 32)), recipe) == second


def test_a_preview_repeats_at_least_three_times_each_way_and_else_as_the_result() -> None:
    def shown(item: bpy.types.Object, repeats: str = "xy", **purpose: object) -> bpy.types.Material:
        look = preview_objects.Texture.of(tiling(waves(16, 16), repeats))
        made = look.make("Preview", {"uv_layer": UV, **purpose}, item).data.materials[0]
        assert textures.texture_node(made).extension == "REPEAT"
        return made

    item = wall()
    np.testing.assert_allclose(repeats_of(shown(item)), (4.0, 3.0), rtol=1e-5)
    np.testing.assert_allclose(repeats_of(shown(item, "x")), (3.0, 2.25), rtol=1e-5)
    np.testing.assert_allclose(repeats_of(shown(item, tiled_preview=False)), (2.0, 1.5), rtol=1e-5)
    np.testing.assert_allclose(repeats_of(shown(wall(20.0, 10.0))), (10.0, 5.0), rtol=1e-5)
    material = put(item, tiling(waves()))
    material.node_tree.nodes[surface_nodes.TILE_WIDTH_NODE].outputs[0].default_value = 3.0
    np.testing.assert_allclose(repeats_of(shown(item)), (4.0 / 3.0, 1.0), rtol=1e-5)


def test_a_preview_without_a_mesh_is_a_plane_with_its_repetitions() -> None:
    look = preview_objects.Texture.of(tiling(waves(32, 64), "x"))
    made = look.make("Preview", {"location": (1.0, 2.0, 0.0)}, None)
    bpy.context.view_layer.update()
    uv = np.array([corner.uv for corner in made.data.uv_layers.active.data])
    np.testing.assert_allclose((uv.min(axis=0), uv.max(axis=0)), ((0, 0), (3, 1)))
    np.testing.assert_allclose(made.dimensions, (6.0, 1.0, 0.0), atol=1e-6)
    assert tuple(look.image_of(made).size) == (64, 32)
    assert textures.texture_node(made.data.materials[0]).extension == "REPEAT"
    look.update(made, tiling(waves(64, 128), "x"))
    assert tuple(look.image_of(made).size) == (128, 64)


def test_a_scale_that_spoils_the_normal_map_is_noticed() -> None:
    item = wall()
    material = put(item, tiling(waves()))
    assert displaced_surface.is_scale_in_the_way(item, material)
    bpy.ops.object.transform_apply(scale=True)
    assert not displaced_surface.is_scale_in_the_way(item, material)
    np.testing.assert_allclose(repeats_of(put(item, tiling(waves()))), (2.0, 1.5), rtol=1e-5)


# Displaced ------------------------------------------------------------------------------------------------------------


def test_displace_subdivides_and_takes_it_away_again(addon_alone) -> None:
    item = wall()
    assert not bpy.ops.relievo.displace.poll()
    material = put(item, tiling(waves()))
    shader = material.node_tree.nodes[surface_nodes.SHADER_NODE]
    before = (material.displacement_method, shader.inputs["Normal"].is_linked, len(item.modifiers))
    assert before == ("DISPLACEMENT", True, 0)
    bpy.ops.relievo.displace()
    modifier = displaced_surface.modifier_of(item)
    assert modifier.subdivision_type == "SIMPLE"
    assert 4**modifier.render_levels <= displaced_surface.MOST_FACES
    bpy.ops.relievo.displace()
    assert (material.displacement_method, shader.inputs["Normal"].is_linked, len(item.modifiers)) == before


def contrast(item: bpy.types.Object) -> float:
    """Deviation of brightness over the mean, seen from above in raking light from +Y, without the shadows of the relief."""
    scene = bpy.data.scenes.new("raking")
    scene.collection.objects.link(item)
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.rotation_euler, sun.data.use_shadow = (np.radians(-50), 0, 0), False
    eye = bpy.data.objects.new("eye", bpy.data.cameras.new("eye"))
    eye.data.type, eye.data.ortho_scale, eye.location = "ORTHO", 1.6, (0, 0, 5)
    for made in (sun, eye):
        scene.collection.objects.link(made)
    scene.camera = eye
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 4
    scene.cycles.max_bounces = 0
    scene.render.resolution_x = scene.render.resolution_y = 96
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Raw"
    scene.render.filepath = str(Path(bpy.app.tempdir) / "raking.png")
    bpy.ops.render.render(write_still=True, scene=scene.name)
    picture = bpy.data.images.load(scene.render.filepath, check_existing=False)
    values = np.empty(96 * 96 * 4, np.float32)
    picture.pixels.foreach_get(values)
    bpy.data.images.remove(picture)
    bpy.data.scenes.remove(scene)
    light = values.reshape(96, 96, 4)[..., 0]
    return float(light.std() / light.mean())


def test_relief_is_seen_once_whether_it_is_shaded_or_shaped() -> None:
    """The slopes of the normal map and those of the displaced surface are the same; both together would be twice as steep."""
    bpy.ops.mesh.primitive_plane_add(size=2.0)
    item = bpy.context.active_object
    material = put(item, tiling(waves(depth_px=3.0)))
    shader = material.node_tree.nodes[surface_nodes.SHADER_NODE]
    shader.inputs["Roughness"].default_value, shader.inputs["Specular IOR Level"].default_value = 1.0, 0.0
    shaded = contrast(item)
    displaced_surface.put_on(item, material)
    modifier = displaced_surface.modifier_of(item)
    modifier.render_levels = 8
    if hasattr(modifier, "use_adaptive_subdivision"):
        modifier.use_adaptive_subdivision = False
    shaped = contrast(item)
    for link in list(shader.inputs["Normal"].links):
        material.node_tree.links.remove(link)
    alone = contrast(item)
    assert alone > 0.1
    assert shaded == pytest.approx(alone, rel=0.15)
    assert shaped == pytest.approx(alone, rel=0.15)
