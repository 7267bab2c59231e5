"""Textures in a real Blender with a real backend: where a result goes, what it keeps over undo and a save, and what of the
user's it leaves alone.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import pump, requests
from blender_addon.placing import previews, results
from blender_addon.readers import scans
from blender_addon.shared.arrays import COUNT_MAP, MASK, TEXTURE, Array
from blender_addon.shared.errors import InvalidInput
from blender_addon.shared.jobs import JobState
from blender_addon.writers import report, texture_images, textures
from tests.blender.support import live_addon
from tests.blender.support.addon_probe import EXTRA_ALGORITHMS, TEXTURE_PROBE
from tests.blender.support.live_addon import step_until

SIZE = 16


@pytest.fixture(scope="module")
def addon(tmp_path_factory):
    with live_addon.registered(tmp_path_factory.mktemp("relievo"), extra_algorithms=EXTRA_ALGORITHMS) as addon:
        yield addon


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    """After the empty file, which has no settings yet."""
    live_addon.discard_jobs()


@pytest.fixture
def cube():
    """A cube with UVs, selected."""
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.active_object.name = "Scan"
    return bpy.context.active_object


def submit(item: bpy.types.Object, *, depth: str = "BYTE", preview: bool = False, **params):
    """The probe's job for a mesh, as requests.submit() hands it to the session."""
    pump.connect()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    sent = scans.mesh(item, depsgraph, scans.origin_of(item, depsgraph))
    purpose = {
        "generation": pump.generation(),
        "output": depth,
        "target": item.name,
        "target_uid": item.session_uid,
        "uv_layer": getattr(item.data.uv_layers.active, "name", ""),
        "sources": {"mesh": [{"kind": "object", "name": item.name, "options": {}}]},
    }
    given = {"size": SIZE, **params}
    return pump.session().submit(TEXTURE_PROBE, given, {"mesh": (sent,)}, purpose=purpose, preview=preview)


def textured(item: bpy.types.Object, **options):
    """The job, done and placed."""
    job = submit(item, **options)
    step_until(lambda: job.applied or job.held or job.error, "the result")
    assert job.applied, job.sentence
    return job


def colors(seed: int = 0) -> np.ndarray:
    """What the probe has made."""
    return np.random.default_rng(seed).integers(0, 65536, (SIZE, SIZE, 3), np.uint16)


def pixels(image: bpy.types.Image) -> np.ndarray:
    """[H, W, 3], top row first."""
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)[::-1, :, :3]


def encoded(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


# What it becomes ---------------------------------------------------------------------------------------------


def test_the_texture_is_in_a_matt_material_at_its_uv_map(cube):
    textured(cube)
    (material,) = cube.data.materials
    nodes = material.node_tree.nodes
    shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    source = shader.inputs["Base Color"].links[0].from_node
    assert source.image is textures.image_of(material)
    assert source.inputs["Vector"].links[0].from_node.uv_map == "UVMap"
    assert source.extension == "EXTEND", "a UV beyond the border sees the border, not the other side of the texture"
    assert shader.inputs["Roughness"].default_value == pytest.approx(0.8)
    assert np.abs(pixels(source.image) - colors() / 65535.0).max() <= 0.5 / 255 + 1e-6
    assert requests.recipe_on(material)["params"]["size"] == SIZE
    assert requests.recipe_on(source.image)["algorithm"] == "texture_probe"


@pytest.mark.parametrize(("depth", "tolerance"), [("BYTE", 0.5 / 255), ("SHORT", 2e-5), ("FLOAT", 2e-6)])
def test_each_depth_keeps_its_pixels_over_a_save(cube, tmp_path, depth, tolerance):
    textured(cube, depth=depth)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    image = textures.image_of(bpy.data.objects["Scan"].data.materials[0])
    assert image.packed_file is not None
    found = pixels(image)
    if image.is_float:  # Blender holds those in linear light
        found = encoded(found)
    assert np.abs(found - colors() / 65535.0).max() <= tolerance + 1e-6


def test_16_bits_are_16_bits_in_the_file(cube):
    """Read from the packed PNG itself, apart from Blender's conversion to linear light."""
    textured(cube, depth="SHORT")
    data = textures.image_of(cube.data.materials[0]).packed_file.data
    assert data[:4] == b"\x89PNG"
    assert data[24] == 16, "bit depth in the header"


def test_coverage_and_confidence_come_as_numbers(cube, tmp_path):
    textured(cube)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    coverage, confidence = bpy.data.images["Scan coverage"], bpy.data.images["Scan confidence"]
    assert {coverage.colorspace_settings.name, confidence.colorspace_settings.name} == {"Non-Color"}
    counts = np.rint(pixels(coverage)[0, :, 0] * coverage[texture_images.WHITE_KEY])
    assert np.array_equal(counts, np.linspace(0, 20, SIZE).astype(np.uint16))
    assert np.abs(pixels(confidence)[:, 0, 0] - np.linspace(0, 1, SIZE)).max() <= 0.5 / 255 + 1e-6


def test_udim_tiles_become_one_tiled_image_that_is_saved(cube, tmp_path):
    textured(cube, tiles=3)
    image = textures.image_of(cube.data.materials[0])
    assert (image.source, [tile.number for tile in image.tiles]) == ("TILED", [1001, 1002, 1003])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    image = textures.image_of(bpy.data.objects["Scan"].data.materials[0])
    assert [tuple(tile.size) for tile in image.tiles] == [(SIZE, SIZE)] * 3
    assert len(image.packed_files) == 3
    assert np.abs(pixels(image) - colors() / 65535.0).max() <= 0.5 / 255 + 1e-6


def test_each_tile_is_where_it_belongs(cube, tmp_path):
    """A plane over the third tile, rendered: the colours are that tile's, which Python cannot read by itself."""
    bpy.data.objects.remove(cube)
    bpy.ops.mesh.primitive_plane_add(size=2.0)
    plane = bpy.context.active_object
    layer = plane.data.uv_layers.active
    for entry in layer.uv:
        entry.vector.x += 2.0
    textured(plane, tiles=3)
    seen = render_emission(plane, tmp_path / "seen.exr")
    wanted = texture_images.linear(np.roll(colors(), 2, 1))
    assert np.abs(seen - wanted).max() < 0.02, "8 bits in linear light"


def render_emission(plane: bpy.types.Object, path: Path) -> np.ndarray:
    """The plane's base colour from above, a pixel a texel, linear [SIZE, SIZE, 3]."""
    scene = bpy.context.scene
    tree = plane.data.materials[0].node_tree
    glow = tree.nodes.new("ShaderNodeEmission")
    texture = tree.nodes[textures.TEXTURE_NODE]
    texture.interpolation = "Closest"
    tree.links.new(texture.outputs["Color"], glow.inputs["Color"])
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(glow.outputs["Emission"], output.inputs["Surface"])
    camera = bpy.data.objects.new("Above", bpy.data.cameras.new("Above"))
    camera.data.type, camera.data.ortho_scale, camera.location.z = "ORTHO", 2.0, 5.0
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 1, False
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BOX", 0.01
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.render.image_settings.file_format, scene.render.image_settings.color_depth = "OPEN_EXR", "32"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return pixels(bpy.data.images.load(str(path)))


def test_a_mesh_without_uvs_gets_those_of_the_backend(cube):
    while cube.data.uv_layers:
        cube.data.uv_layers.remove(cube.data.uv_layers[0])
    triangulate(cube)
    textured(cube, unwraps=True)
    layer = cube.data.uv_layers[textures.UV_LAYER]
    assert cube.data.materials[0].node_tree.nodes[textures.UV_NODE].uv_map == textures.UV_LAYER
    cube.data.calc_loop_triangles()
    found = np.array([[layer.uv[loop].vector[:] for loop in triangle.loops] for triangle in cube.data.loop_triangles])
    count = len(found)
    assert np.allclose(found[:, :, 0] * count - np.arange(count)[:, None], [0.0, 0.5, 0.0], atol=1e-5)
    assert np.allclose(found[:, :, 1], [0.1, 0.1, 0.9])


def triangulate(item: bpy.types.Object) -> None:
    item.modifiers.new("Triangles", "TRIANGULATE")
    bpy.ops.object.modifier_apply(modifier="Triangles")


# The user's own ----------------------------------------------------------------------------------------------


def my_material(name: str = "Mine") -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    material.node_tree.nodes.new("ShaderNodeTexNoise").name = "My Noise"
    return material


def report_text(material: bpy.types.Material) -> list:
    return [(node.name, node.bl_idname, node.location[:]) for node in material.node_tree.nodes]


def test_a_material_of_the_users_keeps_its_slot_and_its_nodes(cube):
    mine = my_material()
    cube.data.materials.append(mine)
    before = report_text(mine)
    textured(cube)
    assert cube.data.materials[0] is mine
    assert report_text(mine) == before
    assert {polygon.material_index for polygon in cube.data.polygons} == {1}
    assert textures.image_of(cube.data.materials[1]) is not None


def test_an_empty_slot_is_filled(cube):
    cube.data.materials.append(None)
    textured(cube)
    assert [textures.image_of(material) is not None for material in cube.data.materials] == [True]


def test_a_result_is_one_undo_step(cube):
    mine = my_material()
    cube.data.materials.append(mine)
    bpy.ops.ed.undo_push(message="before")
    textured(cube)
    bpy.ops.ed.undo()
    cube = bpy.data.objects["Scan"]
    assert [material.name for material in cube.data.materials] == ["Mine"]
    assert {polygon.material_index for polygon in cube.data.polygons} == {0}
    assert not bpy.data.images
    bpy.ops.ed.redo()
    assert len(bpy.data.objects["Scan"].data.materials) == 2


def test_a_second_result_renews_the_texture_and_leaves_the_users_nodes(cube):
    textured(cube, seed=1)
    (material,) = cube.data.materials
    material.node_tree.nodes.new("ShaderNodeBump").name = "My Bump"
    other = my_material("Other")
    shower = other.node_tree.nodes.new("ShaderNodeTexImage")
    shower.image = textures.image_of(material)
    bpy.ops.ed.undo_push(message="before")
    textured(cube, seed=2)
    assert list(cube.data.materials) == [material]
    assert "My Bump" in material.node_tree.nodes
    assert shower.image is textures.image_of(material), "whoever uses the texture uses the new one"
    assert sorted(image.name for image in bpy.data.images) == ["Scan confidence", "Scan coverage", "Scan texture"]
    assert np.abs(pixels(shower.image) - colors(2) / 65535.0).max() <= 0.5 / 255 + 1e-6
    bpy.ops.ed.undo()
    image = textures.image_of(bpy.data.objects["Scan"].data.materials[0])
    assert np.abs(pixels(image) - colors(1) / 65535.0).max() <= 0.5 / 255 + 1e-6


def test_a_mesh_deleted_in_mid_job_costs_no_texture(cube):
    job = submit(cube, steps=10, step_s=0.05)
    step_until(lambda: job.done > 1, "the job to run")
    bpy.data.objects.remove(cube)
    step_until(lambda: job.held, "the result to be held")
    assert "Scan was deleted" in job.sentence
    assert bpy.ops.relievo.place_job(job=job.id) == {"FINISHED"}
    (material,) = bpy.data.materials
    assert material.use_fake_user, "it is saved though nothing wears it"
    assert textures.image_of(material).size[0] == SIZE


# The report ---------------------------------------------------------------------------------------------------


def test_the_report_is_a_text_and_rows_for_the_panel(cube):
    textured(cube)
    (material,) = cube.data.materials
    found = report.read(material)
    assert [photograph.name for photograph in found.misfits] == ["b.jpg"]
    assert found.summary[1] == "Not used, for it shows something else: b.jpg."
    assert found.photographs[0].sentence == "33.5 dB, 2.1 % off in colour, gain 1.10 1.00 0.90, 0.5 px moved"
    text = report.text_of(material).as_string()
    assert "for it shows something else: b.jpg." in text
    assert "+0.30 -0.40" in text
    textured(cube, seed=3)
    assert len(bpy.data.texts) == 1, "a later report takes its place"


@pytest.mark.parametrize("report_text", ["", "{", "[]", '{"photographs": [{}]}', '{"photographs": 3}'])
def test_a_report_that_is_none_is_not_shown(report_text):
    material = bpy.data.materials.new("Edited")
    material[report.KEY] = report_text
    assert report.read(material) is None


# While it is made ---------------------------------------------------------------------------------------------


def stand_ins() -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if previews.TAG in item]


def test_the_texture_fills_in_on_a_stand_in_and_cancel_restores_everything(cube):
    mine = my_material()
    cube.data.materials.append(mine)
    before = everything()
    job = submit(cube, preview=True, steps=1000, step_s=0.05)
    step_until(stand_ins, "the preview")
    (stand_in,) = stand_ins()
    assert cube.hide_get()
    assert list(cube.data.materials) == [mine]
    worn = textures.image_of(stand_in.data.materials[0])
    size = worn.size[0]
    assert np.abs(pixels(worn) - colors()[:size, :size] / 65535.0).max() <= 0.5 / 255 + 1e-6
    pump.session().cancel(job)
    step_until(lambda: job.state is JobState.CANCELLED, "the cancel")
    pump.step()
    assert everything() == before


@pytest.mark.parametrize(("beyond", "extension"), [(1, "EXTEND"), (12, "CLIP")])
def test_a_stand_in_shows_one_tile_and_its_border_to_the_odd_uv_beyond(cube, beyond, extension):
    """Of 24 corners one is an artist's slip, and half of them are another tile."""
    layer = cube.data.uv_layers.active
    for number in range(beyond):
        layer.uv[number].vector = (1.05, 0.5)
    job = submit(cube, preview=True, steps=1000, step_s=0.05)
    step_until(stand_ins, "the preview")
    (stand_in,) = stand_ins()
    assert textures.texture_node(stand_in.data.materials[0]).extension == extension
    pump.session().cancel(job)
    step_until(lambda: job.state is JobState.CANCELLED, "the cancel")


def everything() -> list:
    """What a person would notice."""
    kinds = ("objects", "meshes", "materials", "images", "collections", "node_groups", "texts")
    layer = bpy.context.view_layer
    return [
        sorted((kind, item.name, item.users) for kind in kinds for item in getattr(bpy.data, kind)),
        [(item.name, item.hide_get(), item.select_get(), item.matrix_world[:]) for item in layer.objects],
        getattr(layer.objects.active, "name", ""),
    ]


def test_keep_takes_the_texture_as_it_is(cube):
    job = submit(cube, preview=True, steps=1000, step_s=0.02)
    step_until(lambda: stand_ins() and job.can_be_kept, "the preview")
    bpy.ops.relievo.keep_job(job=job.id)
    step_until(lambda: job.applied, "the early end")
    assert not stand_ins()
    assert not cube.hide_get()
    assert cube.select_get()
    assert textures.image_of(cube.data.materials[0]) is not None
    assert sorted(image.name for image in bpy.data.images) == ["Scan confidence", "Scan coverage", "Scan texture"]


def test_a_stand_in_that_the_user_edits_is_theirs_and_is_saved_whole(cube, tmp_path):
    job = submit(cube, preview=True, steps=40, step_s=0.05)
    step_until(stand_ins, "the preview")
    (mine,) = stand_ins()
    mine.data.vertices[0].co.z = 5.0
    step_until(lambda: job.applied, "the result")
    assert previews.TAG not in mine
    assert not cube.hide_get()
    assert textures.image_of(mine.data.materials[0]).packed_file is not None


def test_an_undo_in_mid_job_leaves_the_mesh_in_sight(cube):
    bpy.ops.ed.undo_push(message="before")
    job = submit(cube, preview=True, steps=1000, step_s=0.05)
    step_until(stand_ins, "the preview")
    bpy.ops.mesh.primitive_plane_add()
    bpy.ops.ed.undo_push(message="the user's own step")
    bpy.ops.mesh.primitive_plane_add()
    bpy.ops.ed.undo_push(message="another")
    pump.session().cancel(job)
    step_until(lambda: job.state is JobState.CANCELLED, "the cancel")
    pump.step()
    bpy.ops.ed.undo()
    assert not stand_ins()
    assert not bpy.data.objects["Scan"].hide_get()


def test_a_mesh_without_uvs_has_no_preview(cube):
    while cube.data.uv_layers:
        cube.data.uv_layers.remove(cube.data.uv_layers[0])
    triangulate(cube)
    job = submit(cube, preview=True, steps=5, step_s=0.1, unwraps=True)
    step_until(lambda: job.applied or stand_ins(), "the result")
    assert not stand_ins()


# Refused -------------------------------------------------------------------------------------------------------


def test_what_cannot_be_placed_says_why_and_is_kept(cube):
    job = submit(cube, steps=5, step_s=0.05)
    step_until(lambda: job.done > 0, "the job to run")
    empty = bpy.data.objects.new("Empty", None)
    bpy.context.collection.objects.link(empty)
    job.purpose.update(target="Empty", target_uid=empty.session_uid)
    step_until(lambda: job.held, "the result to be held")
    assert "not a mesh" in job.sentence
    assert job.outputs is not None
    assert results.find_target(job) == empty


@pytest.mark.parametrize("given", [(), (1001, 1001)])
def test_tiles_that_are_not_each_once_are_refused(given):
    arrays = [Array(TEXTURE, np.zeros((2, 2, 3), np.uint16), {"tile": tile}) for tile in given]
    with pytest.raises(InvalidInput, match="tiles"):
        texture_images.build("T", arrays)


@pytest.mark.parametrize(("kind", "dtype"), [(COUNT_MAP, np.uint16), (MASK, np.float32)])
def test_a_map_of_zeros_is_black(kind, dtype):
    image = texture_images.build("Nothing", [Array(kind, np.zeros((3, 5), dtype))])
    assert tuple(image.size) == (5, 3)
    assert not pixels(image).any()
