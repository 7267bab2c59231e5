"""Arrays -> Blender: heights exact in every kind of result, the right way round, kept over a save, and nothing else
changed.
"""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon import compat
from blender_addon.shared.arrays import AREA_MAP, CLASS_MAP, COLOR_IMAGE, MASK, Array, height_map
from blender_addon.shared.errors import InvalidInput, InvalidParameter
from blender_addon.writers import displacement, grid, images, materials, record, stage, terrain, terrain_layers

RAISED = ("MESH", "GEOMETRY_NODES", "DISPLACE")


def positions(item):
    """[V, 3] of the evaluated mesh, object space."""
    bpy.context.view_layer.update()
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    values = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", values)
    evaluated.to_mesh_clear()
    return values.reshape(-1, 3)


def scene_state():
    """What a user would notice if it changed: everything in the file that is not Relievo's, as text."""
    scene = bpy.context.scene
    ours = ("Relievo", "Terrain")
    names = {
        kind: sorted(block.name for block in getattr(bpy.data, kind) if not block.name.startswith(ours))
        for kind in (
            "objects",
            "meshes",
            "materials",
            "images",
            "textures",
            "node_groups",
            "collections",
            "scenes",
            "worlds",
            "cameras",
            "lights",
        )
    }
    render = {
        p.identifier: str(getattr(scene.render, p.identifier))
        for p in scene.render.bl_rna.properties
        if p.type in ("INT", "FLOAT", "ENUM", "BOOLEAN")
    }
    matrices = {
        item.name: [list(row) for row in item.matrix_world] for item in scene.objects if not item.name.startswith(ours)
    }
    selected = sorted(item.name for item in bpy.context.selected_objects)
    active = bpy.context.view_layer.objects.active
    return (
        names,
        render,
        matrices,
        selected,
        active and active.name,
        bpy.context.mode,
        scene.world and scene.world.name,
        scene.frame_current,
    )


def test_a_grid_lies_as_the_map_does(ramp):
    """Top row farthest along +Y, left column at -X, real distances, faces up."""
    mesh = grid.build("T", ramp, 12.5)
    rows, columns = ramp.shape
    co = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", co)
    co = co.reshape(-1, 3)
    column = np.round(co[:, 0] / 12.5 + (columns - 1) / 2).astype(int)
    row = np.round((rows - 1) / 2 - co[:, 1] / 12.5).astype(int)
    np.testing.assert_array_equal(co[:, 2], ramp[row, column])
    assert sorted(zip(row, column, strict=True)) == [(r, c) for r in range(rows) for c in range(columns)]
    assert co[:, 0].max() - co[:, 0].min() == 12.5 * (columns - 1)
    assert all(polygon.normal.z > 0 and polygon.use_smooth for polygon in mesh.polygons)
    assert not mesh.validate(verbose=True)


def test_uv_are_pixel_centres(ramp):
    mesh = grid.build("T", ramp, 1.0)
    rows, columns = ramp.shape
    for loop, uv in zip(mesh.loops, mesh.uv_layers[grid.UV_NAME].data, strict=True):
        row, column = divmod(loop.vertex_index, columns)
        assert uv.uv[0] == np.float32((column + 0.5) / columns)
        assert uv.uv[1] == np.float32(1.0 - (row + 0.5) / rows)


def test_making_a_grid_leaves_no_trace(ramp):
    before = scene_state()
    bpy.data.meshes.remove(grid.build("T", ramp, 1.0))
    assert scene_state() == before


@pytest.mark.parametrize("kind", RAISED)
def test_every_kind_shows_the_same_heights(ramp, kind):
    item = terrain.make({"height": height_map(ramp, 10.0)}, kind=kind, name="Terrain")
    found = positions(item)
    assert found.shape == (ramp.size, 3)
    # the Displace modifier reads a byte-sized colour pipeline's float: half a millimetre on a kilometre
    np.testing.assert_allclose(found[:, 2].reshape(ramp.shape), ramp, atol={"DISPLACE": 5e-4}.get(kind, 0.0), rtol=0)
    assert not item.data.validate()


def test_geometry_nodes_inputs_are_live(ramp):
    item = terrain.make({"height": height_map(ramp, 10.0)}, kind="GEOMETRY_NODES", name="Terrain")
    modifier = item.modifiers[displacement.MODIFIER]
    compat.set_node_input(modifier, "Strength", 2.0)
    item.update_tag()
    np.testing.assert_array_equal(positions(item)[:, 2], 2.0 * ramp.ravel())
    compat.set_node_input(modifier, "Strength", 1.0)
    compat.set_node_input(modifier, "Subdivision", 1)
    item.update_tag()
    finer = positions(item)
    assert len(finer) == (2 * ramp.shape[0] - 1) * (2 * ramp.shape[1] - 1)
    assert (
        np.abs(finer[: ramp.size, 2] - ramp.ravel()).max() < 0.1
    )  # linear sampling: a float32 UV is a little off the centre


def test_cycles_displaces_by_metres(ramp, tmp_path):
    """Rendered from above in parallel projection, the distance to the camera is the height; as in the mesh that has
    it.
    """
    smooth = (20.0 * np.sin(np.linspace(0, 3, 33))[:, None] + 10.0 * np.cos(np.linspace(0, 5, 33))[None, :]).astype(
        np.float32
    )
    item = terrain.make({"height": height_map(smooth, 1.0)}, kind="ADAPTIVE", name="Terrain")
    found = _heights_through_cycles(item, 33, tmp_path)
    inner = np.s_[1:-1, 1:-1]  # samples on the very edge may miss the mesh
    np.testing.assert_allclose(found[inner], smooth[inner], atol=0.05)


def _heights_through_cycles(item, size, folder):
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Above", bpy.data.cameras.new("Above"))
    camera.data.type, camera.data.ortho_scale, camera.data.clip_end = "ORTHO", float(size), 1000.0
    camera.location.z = 500.0
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 1, False
    scene.cycles.pixel_filter_type, scene.cycles.filter_width, scene.cycles.max_bounces = "BOX", 0.01, 0
    scene.render.threads_mode, scene.render.threads = "FIXED", 2
    scene.render.resolution_x = scene.render.resolution_y = size
    # the height as light: the emission of a material that shows z, without any pass or compositor
    tree = item.data.materials[0].node_tree
    split, glow = tree.nodes.new("ShaderNodeSeparateXYZ"), tree.nodes.new("ShaderNodeEmission")
    tree.links.new(tree.nodes.new("ShaderNodeNewGeometry").outputs["Position"], split.inputs[0])
    raised = tree.nodes.new("ShaderNodeMath")
    raised.inputs[1].default_value = 100.0  # light is never negative
    tree.links.new(split.outputs["Z"], raised.inputs[0])
    tree.links.new(raised.outputs[0], glow.inputs["Color"])
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(glow.outputs[0], output.inputs["Surface"])
    if hasattr(scene.render.image_settings, "media_type"):
        scene.render.image_settings.media_type = "IMAGE"
    scene.render.image_settings.file_format, scene.render.image_settings.color_depth = "OPEN_EXR", "32"
    scene.render.filepath = str(folder / "above.exr")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.empty(size * size * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(size, size, -1)[::-1, :, 0] - 100.0


@pytest.mark.parametrize("kind", ["GEOMETRY_NODES", "DISPLACE"])
def test_heights_survive_save_and_reload(ramp, kind, tmp_path):
    terrain.make({"height": height_map(ramp, 10.0)}, kind=kind, name="Terrain")
    path = str(tmp_path / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    np.testing.assert_allclose(positions(bpy.data.objects["Terrain"])[:, 2].reshape(ramp.shape), ramp, atol=5e-4)


def test_an_image_keeps_every_bit_and_its_users(ramp, tmp_path):
    image = images.build("Map", height_map(ramp, 1.0))
    uid = image.session_uid
    bigger = np.kron(ramp, np.ones((2, 3), np.float32)) + np.float32(1 / 3)
    again = images.build("Map", height_map(bigger, 1.0), into=image)
    assert again.session_uid == uid
    image.use_fake_user = True
    path = str(tmp_path / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    image = bpy.data.images["Map"]
    assert image.colorspace_settings.name == "Non-Color"
    assert not image.use_half_precision
    pixels = np.empty(bigger.size * 4, np.float32)
    image.pixels.foreach_get(pixels)
    np.testing.assert_array_equal(pixels.reshape(*bigger.shape, 4)[::-1, :, 0], bigger)


def outputs(heights, pixel_size_m=10.0):
    share = (heights - heights.min()) / np.ptp(heights)
    return {
        "height": height_map(heights, pixel_size_m),
        "flow": Array(AREA_MAP, share * np.float32(1e7), {"pixel_size_m": pixel_size_m}),
        "sediment": Array(MASK, 1 - share),
        "classes": Array(CLASS_MAP, (share * 3).astype(np.uint8)),
        "photo": Array(COLOR_IMAGE, np.repeat(share[..., None], 3, axis=2)),
    }


@pytest.mark.parametrize("kind", RAISED)
def test_other_maps_become_attributes(ramp, kind):
    given = outputs(ramp)
    item = terrain.make(given, kind=kind, name="Terrain")
    for port in ("flow", "sediment", "classes"):
        values = np.empty(ramp.size, np.int32 if port == "classes" else np.float32)
        item.data.attributes[port].data.foreach_get("value", values)
        np.testing.assert_array_equal(values.reshape(ramp.shape), given[port].values)
    assert bpy.data.images["Terrain photo"].colorspace_settings.name == "Linear Rec.709"


def test_images_only_changes_no_scene(ramp):
    before = scene_state()
    made = terrain.make(outputs(ramp), kind="IMAGES", name="Terrain", recipe={"algorithm": "noise"})
    assert isinstance(made, bpy.types.Image)
    assert made[record.RECIPE_KEY] == '{"algorithm": "noise"}'
    assert {image.name for image in bpy.data.images} >= {f"Terrain {port}" for port in outputs(ramp)}
    assert scene_state() == before


@pytest.mark.parametrize("kind", terrain.KINDS)
def test_the_users_scene_stays_as_it_was(ramp, kind):
    bpy.ops.mesh.primitive_cube_add(location=(1, 2, 3))
    bpy.context.scene.world = bpy.data.worlds.new("Mine")
    before = scene_state()
    made = terrain.make(outputs(ramp), kind=kind, name="Terrain", location=(5, 6, 7))
    assert scene_state() == before
    if kind != "IMAGES":
        assert tuple(made.location) == (5, 6, 7)
        assert made.users_collection[0].name == record.COLLECTION


@pytest.mark.parametrize("was", ["MESH", "GEOMETRY_NODES", "DISPLACE", "ADAPTIVE"])
@pytest.mark.parametrize("becomes", RAISED)
def test_replace_keeps_the_object_and_all_that_is_the_users(ramp, was, becomes):
    item = terrain.make(outputs(ramp), kind=was, name="Terrain", location=(1, 2, 3))
    mine = bpy.data.materials.new("Mine")
    item.data.materials.append(mine)
    item.modifiers.new("Mine", "WELD").merge_threshold = 0.0
    uid = item.session_uid
    other = (ramp[::-1] * 0.5 + 7).astype(np.float32)
    for heights in (other, np.tile(other, (2, 1))):  # the same size, then another
        terrain.replace(item, outputs(heights, 20.0), kind=becomes, recipe={"seed": 2})
        found = positions(item)
        np.testing.assert_allclose(found[:, 2].reshape(heights.shape), heights, atol=5e-4, rtol=0)
        assert np.ptp(found[:, 0]) == 20.0 * (heights.shape[1] - 1)
    assert (item.session_uid, item.name, tuple(item.location)) == (uid, "Terrain", (1, 2, 3))
    assert list(item.data.materials)[1:] == [mine]
    assert [modifier.name for modifier in item.modifiers if modifier.name != displacement.MODIFIER] == ["Mine"]
    assert item[record.RECIPE_KEY] == '{"seed": 2}'


def test_replace_in_place_keeps_mesh_image_and_material(ramp):
    item = terrain.make(outputs(ramp), kind="GEOMETRY_NODES", name="Terrain")
    ids = (item.data.session_uid, displacement.image_of(item).session_uid, item.data.materials[0].session_uid)
    terrain.replace(item, outputs(ramp + 5), kind="GEOMETRY_NODES")
    assert (item.data.session_uid, displacement.image_of(item).session_uid, item.data.materials[0].session_uid) == ids
    assert len(bpy.data.node_groups) == 1


def test_replace_keeps_a_displaced_material_and_its_images(ramp):
    item = terrain.make(outputs(ramp), kind="ADAPTIVE", name="Terrain")
    material, images_before = item.data.materials[0].session_uid, len(bpy.data.images)
    terrain.replace(item, outputs(np.tile(ramp, (2, 1))), kind="ADAPTIVE")
    assert [one.session_uid for one in bpy.data.materials] == [material]
    assert len(bpy.data.images) == images_before
    assert tuple(materials.height_image_of(item).size) == (ramp.shape[1], 2 * ramp.shape[0])


def test_previews_move_vertices_only(ramp):
    item = terrain.make({"height": height_map(ramp, 10.0)}, kind="MESH", name="Terrain")
    terrain.update(item, {"height": height_map(ramp * 2, 10.0)})
    np.testing.assert_array_equal(positions(item)[:, 2].reshape(ramp.shape), ramp * 2)
    assert item[terrain_layers.HIGH_KEY] == pytest.approx(float(ramp.max() * 2))
    with pytest.raises(InvalidInput, match="not a grid"):
        terrain.update(item, {"height": height_map(ramp[:-1], 10.0)})


def test_terrains_share_a_material_and_scenes_their_unit(ramp):
    scene = bpy.context.scene
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 0.01
    one, other = (terrain.make({"height": height_map(ramp, 10.0)}, kind="MESH", name="Terrain") for _ in range(2))
    assert one.data.materials[0] == other.data.materials[0]
    bpy.context.view_layer.update()
    assert one.dimensions.x * scene.unit_settings.scale_length == pytest.approx(10.0 * (ramp.shape[1] - 1))


def test_bad_outputs_are_refused(ramp):
    with pytest.raises(InvalidInput, match="no heights"):
        terrain.make({"wear": Array(MASK, ramp * 0)}, kind="MESH", name="Terrain")
    with pytest.raises(InvalidParameter, match="SOUP"):
        terrain.make(outputs(ramp), kind="SOUP", name="Terrain")
    holed = ramp.copy()
    holed[3, 4] = np.nan
    with pytest.raises(InvalidInput, match="1 of 693"):
        terrain.make({"height": height_map(holed, 1.0)}, kind="MESH", name="Terrain")
    with pytest.raises(InvalidInput, match="no faces"):
        terrain.make({"height": height_map(ramp[:1], 1.0)}, kind="MESH", name="Terrain")
    assert not bpy.data.objects


def test_objects_are_found_again_by_uid(ramp):
    item = terrain.make({"height": height_map(ramp, 1.0)}, kind="MESH", name="Terrain")
    uid = item.session_uid
    item.name = "Renamed"
    assert record.find(bpy.data.objects, "Terrain", uid) == item
    bpy.data.objects.remove(item)
    assert record.find(bpy.data.objects, "Terrain", uid) is None


@pytest.mark.parametrize("kind", ["MESH", "ADAPTIVE"])
def test_the_camera_sees_all_of_the_terrain(ramp, kind):
    from bpy_extras.object_utils import world_to_camera_view

    item = terrain.make({"height": height_map(ramp, 10.0)}, kind=kind, name="Terrain", location=(1000, 50, 3))
    scene = bpy.context.scene
    camera = stage.set_up(scene, item)
    stage.set_up(scene, item)  # a second time replaces the first
    bpy.context.view_layer.update()
    assert (
        [one.type for one in bpy.data.objects].count("CAMERA")
        == [one.type for one in bpy.data.objects].count("LIGHT")
        == 1
    )
    x, y = grid.lattice(*ramp.shape, 10.0)
    corners = [(x[c], y[r], ramp[r, c]) for r in (0, -1) for c in (0, -1)] + [(x[25], y[4], ramp[4, 25])]
    for corner in corners:
        seen = world_to_camera_view(scene, camera, item.matrix_world @ __import__("mathutils").Vector(corner))
        assert 0 < seen.x < 1
        assert 0 < seen.y < 1
        assert camera.data.clip_start < seen.z < camera.data.clip_end
