"""Each form of result with an engine that nothing in the add-on knows (tests/support/toy_engines): its panel, its run, what it has
become and how that looks, the file it is saved in, and the one step that takes it away again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import requests
from blender_addon.datablocks import painting
from blender_addon.shared.algorithm import find
from blender_addon.shared.catalog import algorithms
from blender_addon.ui import panels
from blender_addon.writers import images, materials, surface_nodes, textures
from blender_addon.writers.paintings import stroke_curves
from tests.blender.support import live_addon, paper

TOYS = "tests.support.toy_engines"
KINDS_OF_DATA = (
    "objects",
    "meshes",
    "materials",
    "images",
    "collections",
    "node_groups",
    "textures",
    "texts",
    "hair_curves",
)


@pytest.fixture(scope="module")
def addon(tmp_path_factory):
    with live_addon.registered(tmp_path_factory.mktemp("relievo"), extra_algorithms=TOYS) as addon:
        yield addon


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    live_addon.discard_jobs()


# What goes in --------------------------------------------------------------------------------------------------------


def painted(name: str, colors: np.ndarray) -> bpy.types.Image:
    """A packed 8-bit image of sRGB colours [H, W, 3], top row first, as a person has painted it."""
    rows, columns = colors.shape[:2]
    image = bpy.data.images.new(name, columns, rows)
    pixels = np.ones((rows, columns, 4), np.float32)
    pixels[..., :3] = colors[::-1]
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image


def quarters(top_left, top_right, bottom_left, bottom_right, side: int = 32) -> np.ndarray:
    colors = np.empty((side, side, 3), np.float32)
    half = side // 2
    colors[:half, :half], colors[:half, half:] = top_left, top_right
    colors[half:, :half], colors[half:, half:] = bottom_left, bottom_right
    return colors


RED, GREEN, BLUE, YELLOW = (0.8, 0.1, 0.1), (0.1, 0.7, 0.1), (0.1, 0.1, 0.8), (0.8, 0.8, 0.1)
WATER, SAND, ROCK, SNOW = (0.1, 0.3, 0.8), (0.9, 0.8, 0.5), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)


def give_sketch(settings) -> None:
    """Classes in colours a little off, as after a soft brush, and one class (grass) left out: the others keep their numbers."""
    colors = quarters(WATER, SAND, ROCK, SNOW) + np.random.default_rng(0).uniform(-0.04, 0.04, (32, 32, 3))
    settings.from_sketch.source, settings.from_sketch.image = "IMAGE", painted("Sketch", np.clip(colors, 0, 1))
    settings.from_sketch.snap = True


def give_picture(settings) -> None:
    settings.from_image.source, settings.from_image.image = (
        "IMAGE",
        painted("Picture", quarters(RED, GREEN, BLUE, YELLOW)),
    )


def give_picture_and_mesh(settings) -> None:
    give_picture(settings)
    bpy.ops.mesh.primitive_plane_add(size=2.0)
    bpy.context.active_object.name = "Wall"


def give_new_heights(settings) -> None:
    settings.from_height.source = "NOISE"
    group = getattr(bpy.context.scene.relievo, settings.from_height.source.lower())
    group.width_px, group.height_px = 48, 32


# What comes out ------------------------------------------------------------------------------------------------------


def shot(location, rotation, scale: float) -> np.ndarray:
    """An orthographic picture [32, 32, 3], top row first, in even white light, by Cycles; the scene is as before."""
    scene = bpy.data.scenes.new("shot")
    for item in bpy.context.scene.objects:
        scene.collection.objects.link(item)
    camera = bpy.data.objects.new("shot", bpy.data.cameras.new("shot"))
    camera.data.type, camera.data.ortho_scale, camera.data.clip_end = "ORTHO", scale, 1e6
    camera.location, camera.rotation_euler = location, rotation
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.world = bpy.data.worlds.new("shot")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 16
    scene.render.resolution_x = scene.render.resolution_y = 32
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    scene.render.filepath = str(Path(bpy.app.tempdir) / "shot.png")
    bpy.ops.render.render(write_still=True, scene=scene.name)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    pixels = np.empty(32 * 32 * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    bpy.data.worlds.remove(scene.world)
    data = camera.data
    bpy.data.objects.remove(camera)
    bpy.data.cameras.remove(data)
    bpy.data.scenes.remove(scene)
    return pixels.reshape(32, 32, 4)[::-1, :, :3]


def corners(picture: np.ndarray) -> list[np.ndarray]:
    """The colours in the middle of the four quarters: top left, top right, bottom left, bottom right."""
    return [picture[r - 4 : r + 4, c - 4 : c + 4].mean(axis=(0, 1)) for r in (8, 24) for c in (8, 24)]


def assert_hues(picture: np.ndarray, wanted: list[tuple]) -> None:
    """Each quarter has the colour that is wanted of it, brighter or darker."""
    for seen, color in zip(corners(picture), wanted, strict=True):
        assert seen.max() > 0.05, "something is seen there"
        np.testing.assert_allclose(seen / seen.max(), np.array(color) / max(color), atol=0.2)


def made_object() -> bpy.types.Object:
    (item,) = [item for item in bpy.data.objects if requests.recipe_on(item) is not None]
    return item


def check_terrain() -> None:
    item = made_object()
    heights = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.attributes["position"].data.foreach_get("vector", heights)
    heights = heights.reshape(32, 32, 3)[..., 2]
    steps = [np.median(heights[r : r + 8, c : c + 8]) for r in (4, 20) for c in (4, 20)]
    np.testing.assert_allclose(steps, [0.0, 100.0, 300.0, 400.0], atol=12.0)
    image = materials.color_image_of(item)
    assert image is not None
    assert image.colorspace_settings.name == "Linear Rec.709"
    assert image.packed_file or image.packed_files
    x, y, _ = item.location
    assert_hues(shot((x, y, 1000.0), (0, 0, 0), 620.0), [WATER, SAND, ROCK, SNOW])


def check_material() -> None:
    wall = bpy.data.objects["Wall"]
    material = textures.worn_by(wall)
    assert requests.recipe_on(material)["algorithm"] == "toy_material"
    nodes = material.node_tree.nodes
    spaces = {node.label: node.image.colorspace_settings.name for node in nodes if node.type == "TEX_IMAGE"}
    assert spaces == {"Base Color": "sRGB", "Roughness": "Non-Color", "Normal": "Non-Color", "Height": "Non-Color"}
    shader, output = nodes[surface_nodes.SHADER_NODE], nodes[surface_nodes.OUTPUT_NODE]
    for socket in ("Base Color", "Roughness", "Normal"):
        assert shader.inputs[socket].is_linked, socket
    assert shader.inputs["Normal"].links[0].from_node.type == "NORMAL_MAP"
    assert output.inputs["Displacement"].links[0].from_node.type == "DISPLACEMENT"
    assert_hues(shot((0, 0, 5.0), (0, 0, 0), 2.0), [RED, GREEN, BLUE, YELLOW])


def check_painting() -> None:
    canvas = made_object()
    strokes = painting.strokes_of(canvas)
    assert len(strokes.data.curves) == 36
    assert strokes.hide_render
    colors = np.empty(36 * 4, np.float32)
    strokes.data.attributes[stroke_curves.COLOR].data.foreach_get("color", colors)
    first = colors[:3] / colors[:3].max()
    np.testing.assert_allclose(first, np.array([1.0, 0.01, 0.01]), atol=0.05)
    order = np.empty(36, np.int32)
    strokes.data.attributes["order"].data.foreach_get("value", order)
    assert (order == np.arange(36)).all()
    x, _, z = canvas.location
    picture = shot((x, -5.0, z), (np.pi / 2, 0, 0), 2.0)
    np.testing.assert_allclose(corners(picture), [RED, GREEN, BLUE, YELLOW], atol=0.08)


def check_maps() -> None:
    made = {images.kind_of(image): image for image in bpy.data.images if requests.recipe_on(image) is not None}
    assert set(made) == {"NORMAL_MAP", "MASK"}
    for image in made.values():
        assert tuple(image.size) == (48, 32)
        assert image.colorspace_settings.name == "Non-Color"
        assert image.use_fake_user
    normals = np.empty(48 * 32 * 4, np.float32)
    made["NORMAL_MAP"].pixels.foreach_get(normals)
    vectors = normals.reshape(-1, 4)[:, :3] * 2.0 - 1.0
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    mask = np.empty(48 * 32 * 4, np.float32)
    made["MASK"].pixels.foreach_get(mask)
    assert 0.02 < (mask.reshape(-1, 4)[:, 0] == 1.0).mean() < 0.98


@dataclass(frozen=True)
class Form:
    engine: str
    give: Callable
    check: Callable
    button: str
    sentence: str  # what the panel says of the input


FORMS = [
    Form("toy_terrain", give_sketch, check_terrain, "Generate", "#1A4CCC"),
    Form("toy_material", give_picture_and_mesh, check_material, "Texture", "Goes on: Wall"),
    Form("toy_painting", give_picture, check_painting, "Paint", "Image"),
    Form("toy_maps", give_new_heights, check_maps, "Make Maps", "Noise engine's settings, seed 0"),
]


def drawn() -> list[str]:
    return [line for panel in panels.CLASSES if issubclass(panel, bpy.types.Panel) for line in paper.draw(panel)]


def datablocks() -> dict[str, list[str]]:
    return {kind: sorted(item.name for item in getattr(bpy.data, kind)) for kind in KINDS_OF_DATA}


def state_of(item: bpy.types.Object) -> tuple:
    slots = [slot.material.name if slot.material else "" for slot in item.material_slots]
    return item.name, item.matrix_world.copy().freeze(), item.hide_get(), slots, len(item.data.vertices)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.engine)
def test_an_engine_of_each_form(form: Form, tmp_path: Path) -> None:
    scene = bpy.context.scene
    bpy.ops.mesh.primitive_cube_add(location=(0, 40, 0))
    cube = bpy.context.active_object
    cube.data.materials.append(bpy.data.materials.new("Mine"))
    cube_before = state_of(cube)
    scene.relievo.algorithm = form.engine
    spec = find(algorithms(), form.engine)
    form.give(getattr(scene.relievo, form.engine))
    render_before = [(name, getattr(scene.render, name)) for name in ("engine", "filepath", "resolution_x")]

    lines = drawn()
    assert form.button in lines
    assert any(form.sentence in line for line in lines), lines
    assert {parameter.label for parameter in spec.parameters if parameter.role != "seed"} <= {
        line.partition(" (")[0] for line in lines
    }

    bpy.ops.ed.undo_push(message="before")
    before = datablocks()
    assert bpy.ops.relievo.generate() == {"FINISHED"}
    form.check()
    assert state_of(bpy.data.objects["Cube"]) == cube_before
    assert [(name, getattr(scene.render, name)) for name in ("engine", "filepath", "resolution_x")] == render_before
    assert drawn(), "with the result selected"

    bpy.ops.ed.undo()
    assert datablocks() == before, "one result is one step"
    bpy.ops.ed.redo()
    form.check()

    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    form.check()
    assert bpy.context.scene.relievo.algorithm == form.engine


def test_strokes_are_ribbons_of_paint_that_a_renderer_shows() -> None:
    """In painting order, later ones in front, each in its own colour; the curves below can be edited."""
    settings = bpy.context.scene.relievo
    settings.algorithm, settings.output.painting = "toy_painting", "STROKES"
    give_picture(settings.toy_painting)
    settings.toy_painting.length = 1.0
    bpy.ops.relievo.generate()
    canvas = made_object()
    strokes = painting.strokes_of(canvas)
    assert not strokes.hide_render
    assert not strokes.hide_get()
    x, _, z = canvas.location
    picture = shot((x, -5.0, z), (np.pi / 2, 0, 0), 2.0)
    np.testing.assert_allclose(corners(picture), [RED, GREEN, BLUE, YELLOW], atol=0.08)
    depths = np.empty(len(strokes.data.points) * 3, np.float32)
    strokes.data.attributes["position"].data.foreach_get("vector", depths)
    depths = depths.reshape(36, -1, 3)[..., 1]
    assert (np.diff(depths[:, 0]) < 0).all()
    assert depths.max() < -0.001, "in front of the canvas"
    bpy.context.view_layer.objects.active = strokes
    assert bpy.ops.relievo.regenerate.poll(), "the strokes belong to their canvas"
    assert bpy.ops.object.mode_set(mode="EDIT") == {"FINISHED"}
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.relievo.regenerate()
    assert made_object() == canvas
    assert painting.strokes_of(canvas) == strokes


@pytest.mark.parametrize("kind", ["GEOMETRY_NODES", "DISPLACE", "ADAPTIVE", "IMAGES"])
def test_colours_go_with_a_terrain_of_any_kind(kind: str) -> None:
    """And appear again when it is run again, without leaving the old ones behind."""
    settings = bpy.context.scene.relievo
    settings.algorithm, settings.output.kind = "toy_terrain", kind
    give_sketch(settings.toy_terrain)
    bpy.ops.relievo.generate()
    if kind == "IMAGES":
        made = {images.kind_of(image) for image in bpy.data.images if image.use_fake_user and image.packed_file}
        assert made == {"HEIGHT_MAP", "COLOR_IMAGE"}
        return
    assert materials.color_image_of(made_object()) is not None
    before = datablocks()
    bpy.ops.relievo.regenerate()
    assert datablocks() == before
    assert materials.color_image_of(made_object()).users == 1


@pytest.mark.parametrize("depth", ["SHORT", "FLOAT"])
def test_a_set_of_maps_is_stored_as_deep_as_asked(depth: str) -> None:
    settings = bpy.context.scene.relievo
    settings.algorithm, settings.output.depth = "toy_material", depth
    give_picture_and_mesh(settings.toy_material)
    bpy.ops.relievo.generate()
    before = datablocks()
    bpy.ops.relievo.regenerate(of_texture=True)
    assert datablocks() == before
    nodes = textures.worn_by(bpy.data.objects["Wall"]).node_tree.nodes
    shown = {node.label: node.image for node in nodes if node.type == "TEX_IMAGE"}
    base = "sRGB" if depth == "SHORT" else "Linear Rec.709"
    assert {label: image.colorspace_settings.name for label, image in shown.items()} == {
        "Base Color": base, "Roughness": "Non-Color", "Normal": "Non-Color", "Height": "Non-Color"
    }  # fmt: skip
    assert all(image.is_float for image in shown.values())
    assert_hues(shot((0, 0, 5.0), (0, 0, 0), 2.0), [RED, GREEN, BLUE, YELLOW])


def test_a_surface_without_a_mesh_is_a_material_that_is_saved(tmp_path: Path) -> None:
    settings = bpy.context.scene.relievo
    settings.algorithm = "toy_material"
    give_picture(settings.toy_material)
    assert "Select a mesh, or get a material alone" in drawn()
    bpy.ops.relievo.generate()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    (material,) = bpy.data.materials
    assert textures.image_of(material) is not None
    assert requests.recipe_on(material)["algorithm"] == "toy_material"
