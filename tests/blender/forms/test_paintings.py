"""Paintings from the scene and back into it: a render with its own segments, thick paint, and what a mesh wears."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon import compat, requests
from blender_addon.datablocks import drawn_strokes, painting
from blender_addon.shared.algorithm import find
from blender_addon.shared.arrays import STROKES, Array
from blender_addon.shared.catalog import algorithms
from blender_addon.shared.strokes import COLUMNS
from blender_addon.ui import image_panel, panels
from blender_addon.writers import images, surface_nodes, textures
from blender_addon.writers.paintings import canvas_materials, canvases, impasto
from tests.blender.support import live_addon, paper

TOYS = "tests.support.toy_engines"


@pytest.fixture(scope="module")
def addon(tmp_path_factory):
    with live_addon.registered(tmp_path_factory.mktemp("relievo"), extra_algorithms=TOYS) as addon:
        yield addon


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    live_addon.discard_jobs()
    bpy.context.scene.relievo.algorithm = "toy_painting"


def settings():
    return bpy.context.scene.relievo.toy_painting


def picture(name: str = "Picture", columns: int = 32, rows: int = 32) -> bpy.types.Image:
    """A packed 8-bit image: red left, green right."""
    image = bpy.data.images.new(name, columns, rows)
    pixels = np.ones((rows, columns, 4), np.float32)
    pixels[..., :3] = np.where((np.arange(columns) < columns // 2)[None, :, None], (0.8, 0.1, 0.1), (0.1, 0.7, 0.1))
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image


def canvas() -> bpy.types.Object:
    (item,) = [item for item in bpy.data.objects if requests.recipe_on(item) is not None]
    return item


def drawn() -> list[str]:
    return [line for panel in panels.CLASSES if issubclass(panel, bpy.types.Panel) for line in paper.draw(panel)]


def order_of(strokes: bpy.types.Object, column: str) -> list[int]:
    values = np.empty(len(strokes.data.curves), np.int32)
    strokes.data.attributes[column].data.foreach_get("value", values)
    return values.tolist()


# From the camera -----------------------------------------------------------------------------------------------------


def red_cube_in_view() -> None:
    bpy.ops.mesh.primitive_cube_add(size=2.0)
    cube = bpy.context.active_object
    red = bpy.data.materials.new("Red")
    tree = compat.use_nodes(red)
    glow = tree.nodes.new("ShaderNodeEmission")
    glow.inputs["Color"].default_value = (0.5, 0.0, 0.0, 1.0)
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(glow.outputs[0], output.inputs["Surface"])
    cube.data.materials.append(red)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.data.type, camera.data.ortho_scale = (0.0, 0.0, 5.0), "ORTHO", 4.0
    scene = bpy.context.scene
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 1
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 48, 32, 100
    scene.view_settings.view_transform = "Standard"


def test_a_render_is_painted_with_its_own_segments() -> None:
    settings().from_image.source = settings().from_segments.source = "VIEW"
    lines = drawn()
    assert "The scene has no camera" in lines
    red_cube_in_view()
    assert "Render the scene first (F12)" in drawn()
    bpy.ops.render.render()
    assert {"Camera: Camera", "By"} <= set(drawn())
    settings().rows = 8
    bpy.ops.relievo.generate()
    strokes = painting.strokes_of(canvas())
    belongs = np.array(order_of(strokes, "segment")).reshape(8, 8)
    assert (belongs[3:5, 3:5] == 1).all(), "the cube in the middle"
    assert (belongs[:, 0] == 0).all(), "nothing at the sides"
    colors = np.empty(64 * 4, np.float32)
    strokes.data.attributes["stroke_color"].data.foreach_get("color", colors)
    assert colors.reshape(8, 8, 4)[4, 4, 0] == pytest.approx(0.5, abs=0.1)
    recipe = requests.recipe_on(canvas())["scene"]["sources"]
    assert recipe["segments"] == [{"kind": "view", "name": "Camera", "options": {"by": "OBJECT"}}]
    bpy.ops.relievo.regenerate()
    assert order_of(strokes, "segment") == belongs.ravel().tolist()


@pytest.mark.any_version
def test_an_operator_takes_the_view_by_name() -> None:
    red_cube_in_view()
    bpy.ops.render.render()
    assert bpy.ops.relievo.toy_painting(image="view", segments="view:MATERIAL", rows=4) == {"FINISHED"}
    assert set(order_of(painting.strokes_of(canvas()), "segment")) == {0, 1}
    with pytest.raises(RuntimeError, match="'PIXEL' is no kind of segment"):
        bpy.ops.relievo.toy_painting(image="view", segments="view:PIXEL")


# Thick paint ---------------------------------------------------------------------------------------------------------


def relief_of(item: bpy.types.Object) -> np.ndarray:
    """How far each vertex stands before the canvas's plane."""
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    places = np.empty(len(evaluated.data.vertices) * 3, np.float32)
    evaluated.data.attributes["position"].data.foreach_get("vector", places)
    return -places.reshape(-1, 3)[:, 1]


def test_impasto_is_a_raised_canvas_that_light_falls_on() -> None:
    settings().from_image.source, settings().from_image.image = "IMAGE", picture(columns=48)
    bpy.context.scene.relievo.output.painting = "IMPASTO"
    bpy.ops.relievo.generate()
    item = canvas()
    relief = relief_of(item).reshape(32, 48)
    wanted = 2.0 * 0.01 * np.sin(np.pi * ((np.arange(32) + 0.5) * 6 / 32 % 1.0))
    np.testing.assert_allclose(relief, np.repeat(wanted[:, None], 48, axis=1), atol=1e-6)
    assert item.dimensions.x == pytest.approx(2.0, rel=0.03)
    assert item.dimensions.z == pytest.approx(2.0 * 32 / 48, rel=0.04)
    nodes = item.data.materials[0].node_tree.nodes
    assert (
        nodes[canvas_materials.PAINT_NODE].inputs["Base Color"].links[0].from_node
        == nodes[canvas_materials.PICTURE_NODE]
    )
    image = impasto.modifier_of(item).texture.image
    assert image.is_float
    assert image.packed_file
    assert nodes[canvas_materials.PAINT_NODE].inputs["Normal"].is_linked
    normals = nodes[canvas_materials.NORMALS_NODE].image
    assert images.kind_of(normals) == "NORMAL_MAP"
    assert not normals.use_fake_user
    bpy.context.view_layer.objects.active = item
    counts = (len(bpy.data.images), len(bpy.data.meshes), len(bpy.data.materials), len(bpy.data.textures))
    bpy.ops.relievo.regenerate()
    assert counts == (len(bpy.data.images), len(bpy.data.meshes), len(bpy.data.materials), len(bpy.data.textures))
    assert np.ptp(relief_of(item)) == pytest.approx(np.ptp(wanted), abs=1e-6)
    assert painting.strokes_of(item).hide_render


@pytest.mark.any_version
def test_a_large_relief_is_raised_by_the_means_of_its_pixels(monkeypatch) -> None:
    monkeypatch.setattr(impasto, "MOST_PX", 16)
    settings().from_image.source, settings().from_image.image = "IMAGE", picture(columns=40, rows=32)
    bpy.context.scene.relievo.output.painting = "IMPASTO"
    bpy.ops.relievo.generate()
    relief = relief_of(canvas())
    assert len(relief) == 16 * 13
    assert relief.mean() == pytest.approx(2.0 * 0.01 * 2 / np.pi, rel=0.1)
    kept = [image for image in bpy.data.images if image.name.endswith(" height")]
    assert [tuple(image.size) for image in kept] == [(40, 32)]


def test_light_falls_on_paint_that_is_finer_than_the_mesh(monkeypatch, tmp_path) -> None:
    """Rendered from the front: a sun from above lights the upper flank of each of six ridges. A mesh of twelve vertices a side
    has none of them; that of all pixels shows the same with and without the normals.
    """
    settings().from_image.source, settings().from_image.image = "IMAGE", picture(columns=48, rows=48)
    bpy.context.scene.relievo.output.painting = "IMPASTO"
    bpy.ops.relievo.generate()
    item = canvas()
    shader = item.data.materials[0].node_tree.nodes[canvas_materials.PAINT_NODE]
    link = shader.inputs["Normal"].links[0]
    source = link.from_socket
    fine = lit_rows(tmp_path)
    item.data.materials[0].node_tree.links.remove(link)
    np.testing.assert_allclose(lit_rows(tmp_path)[4:-4], fine[4:-4], atol=0.08)
    item.data.materials[0].node_tree.links.new(source, shader.inputs["Normal"])
    impasto.modifier_of(item).strength *= 0.25
    assert np.ptp(lit_rows(tmp_path)[4:-4]) < 0.5 * np.ptp(fine[4:-4]), "normals follow the relief"
    monkeypatch.setattr(impasto, "MOST_PX", 12)
    bpy.context.view_layer.objects.active = item
    bpy.ops.relievo.regenerate()
    np.testing.assert_allclose(lit_rows(tmp_path)[4:-4], fine[4:-4], atol=0.08)
    assert np.ptp(fine[4:-4]) > 0.2


def lit_rows(folder) -> np.ndarray:
    """Brightness of each row of pixels of the canvas, from the bottom up, seen from the front under a sun from above."""
    scene = bpy.context.scene
    if scene.camera is None:
        camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        camera.location, camera.rotation_euler = (0.0, -5.0, canvas().location.z), (np.pi / 2, 0.0, 0.0)
        camera.data.type, camera.data.ortho_scale = "ORTHO", 2.0
        sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
        sun.rotation_euler, sun.data.energy, sun.data.use_shadow = (0.5, 0.0, 0.0), 6.0, False
        for item in (camera, sun):
            scene.collection.objects.link(item)
        scene.camera = camera
        scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 4
        scene.cycles.use_denoising, scene.cycles.max_bounces = False, 0
        scene.render.resolution_x = scene.render.resolution_y = 48
        scene.render.image_settings.color_mode, scene.view_settings.view_transform = "RGB", "Raw"
    scene.render.filepath = str(folder / "lit.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.empty(48 * 48 * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(48, 48, 4)[:, 24:, 1].mean(axis=1)


# On a mesh -----------------------------------------------------------------------------------------------------------


def wearing(image: bpy.types.Image) -> bpy.types.Object:
    """A cube with six charts, one material of two in which the image is its base colour."""
    bpy.ops.mesh.primitive_cube_add(size=2.0)
    cube = bpy.context.active_object
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.uv.smart_project(island_margin=0.05)
    bpy.ops.object.mode_set(mode="OBJECT")
    mine = bpy.data.materials.new("Mine")
    tree = compat.use_nodes(mine)
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    for material in (bpy.data.materials.new("Plain"), mine):
        cube.data.materials.append(material)
    cube.data.polygons.foreach_set("material_index", np.array([0, 1, 1, 1, 1, 1], np.int32))
    return cube


def test_a_meshs_texture_is_painted_chart_by_chart_and_put_back() -> None:
    image = picture("Skin", 64, 64)
    cube = wearing(image)
    settings().from_image.source = settings().from_segments.source = "SURFACE"
    settings().rows = 16
    lines = drawn()
    assert {"Selected: Cube", "Skin", "Goes on: Cube"} <= set(lines)
    objects, before = len(bpy.data.objects), [slot.material.name for slot in cube.material_slots]
    bpy.ops.relievo.generate()
    assert len(bpy.data.objects) == objects, "no canvas"
    assert cube.material_slots[0].material.name == before[0]
    painted = cube.material_slots[1].material
    assert painted.name != "Mine"
    assert bpy.data.materials["Mine"].use_fake_user
    nodes = painted.node_tree.nodes
    assert nodes[surface_nodes.SHADER_NODE].inputs["Normal"].is_linked
    assert nodes[surface_nodes.OUTPUT_NODE].inputs["Displacement"].is_linked
    assert [polygon.material_index for polygon in cube.data.polygons] == [0, 1, 1, 1, 1, 1]
    colors = np.empty(64 * 64 * 4, np.float32)
    textures.image_of(painted).pixels.foreach_get(colors)
    assert colors.reshape(64, 64, 4)[32, 8, 0] == pytest.approx(0.604, abs=0.01), "0.8 in linear light"
    assert bpy.data.images["Skin"] == image

    kinds = ("images", "materials", "node_groups")
    count = {kind: len(getattr(bpy.data, kind)) for kind in kinds}
    assert bpy.ops.relievo.generate() == {"FINISHED"}, "pressed twice, it paints the same picture again"
    assert cube.material_slots[1].material == painted
    assert requests.recipe_on(painted)["scene"]["sources"]["image"][0]["options"]["image"] == "Skin"
    bpy.ops.relievo.regenerate(of_texture=True)
    assert count == {kind: len(getattr(bpy.data, kind)) for kind in kinds}


def test_charts_are_segments_and_a_terrains_classes_are() -> None:
    from blender_addon.readers import surface_colors

    cube = wearing(picture("Skin", 64, 64))
    depsgraph = bpy.context.evaluated_depsgraph_get()
    worn = surface_colors.worn_by(cube)
    charts = surface_colors.segments(cube, worn, depsgraph).values
    assert set(np.unique(charts)) == {0, 1, 2, 3, 4, 5}, "of the faces that wear the image"
    assert charts.shape == (64, 64)
    uv = np.empty(len(cube.data.uv_layers[0].uv) * 2, np.float32)
    cube.data.uv_layers[0].uv.foreach_get("vector", uv)
    middles = uv.reshape(6, 4, 2).mean(axis=1)
    seen = {int(charts[63 - int(v * 64), int(u * 64)]) for u, v in middles[1:]}
    assert seen == {1, 2, 3, 4, 5}

    sketch = bpy.context.scene.relievo
    sketch.algorithm = "toy_terrain"
    sketch.toy_terrain.from_sketch.source = "IMAGE"
    flat = bpy.data.images.new("Sketch", 32, 24)
    flat.pixels.foreach_set(np.tile(np.array((0.1, 0.3, 0.8, 1.0), np.float32), 32 * 24))
    sketch.toy_terrain.from_sketch.image, sketch.toy_terrain.from_sketch.snap = flat, True
    bpy.ops.relievo.generate()
    terrain = canvas()
    classes = terrain.data.attributes.new(surface_colors.CLASSES, "INT", "POINT")
    values = np.arange(32 * 24, dtype=np.int32).reshape(24, 32) // 8 % 7
    classes.data.foreach_set("value", values.ravel())
    sketch.algorithm = "toy_painting"
    settings().from_image.source = settings().from_segments.source = "SURFACE"
    before = terrain.material_slots[0].material
    bpy.ops.relievo.generate()
    assert len(terrain.material_slots) == 1
    assert terrain.material_slots[0].material != before
    assert bpy.data.materials.get(before.name) == before
    read = surface_colors.Worn(bpy.data.images["Sketch"], before, 0, "UVMap")
    assert (surface_colors.segments(terrain, read, depsgraph).values == values).all()


@pytest.mark.any_version
def test_what_wears_no_picture_is_refused_in_the_panel() -> None:
    settings().from_image.source = "SURFACE"
    bpy.ops.mesh.primitive_cube_add()
    assert any("has an image as its base colour" in line for line in drawn())
    with pytest.raises(RuntimeError, match="has an image as its base colour"):
        bpy.ops.relievo.toy_painting(image="surface:Cube")
    with pytest.raises(RuntimeError, match="The mesh 'Nobody' is gone"):
        bpy.ops.relievo.toy_painting(image="surface:Nobody")


# Strokes that play back ----------------------------------------------------------------------------------------------


def painted(choice: str = "CANVAS") -> bpy.types.Object:
    settings().from_image.source, settings().from_image.image = "IMAGE", picture()
    bpy.context.scene.relievo.output.painting = choice
    bpy.ops.relievo.generate()
    return canvas()


def test_strokes_lie_on_the_colour_that_they_were_painted_on() -> None:
    item = painted("STROKES")
    assert not item.data.materials, "the engine has not said which"
    array = stroke_array([0.5, 0.25, 1.0])
    canvases.replace(item, {"strokes": (array,)}, choice="STROKES")
    ground = item.data.materials[0].node_tree.nodes[canvas_materials.GROUND_NODE]
    np.testing.assert_allclose(ground.inputs["Color"].default_value[:3], (0.214, 0.0509, 1.0), atol=1e-3)
    canvases.replace(item, {"strokes": (stroke_array([0.0, 0.0, 0.0]),)}, choice="STROKES")
    assert len(item.data.materials) == 1
    assert tuple(ground.inputs["Color"].default_value[:3]) == (0.0, 0.0, 0.0)
    item.data.materials[0] = bpy.data.materials.new("Mine")
    canvases.replace(item, {"strokes": (array,)}, choice="STROKES")
    assert item.data.materials[0].name == "Mine"


def stroke_array(canvas_color: list[float]) -> Array:
    """One stroke from the upper left to the lower right."""
    values = np.zeros((1, len(COLUMNS)), np.float32)
    values[0, :10] = (0.1, 0.1, 0.5, 0.5, 0.9, 0.9, 0.05, 0.05, 1.0, 1.0)
    size = {"canvas_width_px": 32, "canvas_height_px": 32}
    return Array(STROKES, values, {**size, drawn_strokes.CANVAS_COLOR: canvas_color})


def ribbons() -> int:
    """How many strokes are seen, by the depths that their vertices lie at."""
    for instance in bpy.context.evaluated_depsgraph_get().object_instances:
        if instance.object.type == "MESH" and instance.object.original.type == "CURVES":
            mesh = instance.object.data
            places = np.empty(len(mesh.vertices) * 3, np.float32)
            mesh.attributes["position"].data.foreach_get("vector", places)
            return len(np.unique(np.round(places.reshape(-1, 3)[:, 1], 5)))
    return 0


def test_strokes_paint_themselves_and_the_picture_comes_back(tmp_path) -> None:
    item = painted()
    strokes, scene = painting.strokes_of(item), bpy.context.scene
    assert {"Animate", "Grease Pencil"} <= set(drawn())
    assert bpy.ops.relievo.animate_strokes(frames=36) == {"FINISHED"}
    assert (item.hide_render, strokes.hide_render, item.hide_get(), strokes.hide_get()) == (True, False, True, False)
    assert bpy.context.active_object == strokes
    seen = []
    for frame in (1, 2, 10, 37, 60):
        scene.frame_set(frame)
        seen.append(ribbons())
    assert seen == [0, 1, 9, 36, 36]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.context.scene.frame_set(19)
    assert ribbons() == 18
    assert bpy.ops.relievo.animate_strokes() == {"FINISHED"}
    strokes = painting.strokes_of(canvas())
    assert strokes.animation_data is None
    assert (canvas().hide_render, strokes.hide_render) == (False, True)


def test_strokes_become_grease_pencil_in_painting_order() -> None:
    from blender_addon import compat_pencil

    item = painted("STROKES")
    assert bpy.ops.relievo.strokes_as_pencil(frames=40) == {"FINISHED"}
    pencil = painting.pencil_of(item)
    assert bpy.context.active_object == pencil
    assert painting.strokes_of(item).hide_get()
    assert not item.hide_get(), "an empty canvas lies behind them"
    strokes = compat_pencil.strokes_in(pencil.data)
    assert len(strokes) == 36
    first, last = strokes[0].points, strokes[-1].points
    assert len(first) == 9
    places = [getattr(end[4], "co", None) or end[4].position for end in (first, last)]
    assert places[0][0] < 0 < places[1][0]
    assert places[0][2] > 0 > places[1][2]
    np.testing.assert_allclose(tuple(first[0].vertex_color)[:3], (0.604, 0.01, 0.01), atol=0.06)
    modifiers = getattr(pencil, "grease_pencil_modifiers", pencil.modifiers)
    assert modifiers[0].length == 40
    assert modifiers[0].mode == "SEQUENTIAL"
    counts = len(bpy.data.objects), len(bpy.data.materials)
    bpy.ops.relievo.strokes_as_pencil(frames=0)
    assert counts == (len(bpy.data.objects), len(bpy.data.materials)), "the same object, renewed"


def test_regenerating_renews_the_grease_pencil_and_leaves_other_layers() -> None:
    from blender_addon import compat_pencil
    from blender_addon.writers.paintings import stroke_pencil

    item = painted()
    bpy.context.scene.frame_start = 5
    bpy.ops.relievo.strokes_as_pencil(frames=40)
    pencil = painting.pencil_of(item)
    pencil.data.layers.new("Mine").frames.new(2)
    bpy.context.view_layer.objects.active = pencil
    settings().rows = 4
    assert bpy.ops.relievo.update_terrain() == {"FINISHED"}
    assert len(painting.strokes_of(item).data.curves) == 16
    assert len(compat_pencil.strokes_in(pencil.data)) == 16
    assert compat_pencil.first_frame(pencil.data, stroke_pencil.LAYER) == 5
    assert [layer.frames[0].frame_number for layer in pencil.data.layers] == [5, 2]
    assert not pencil.hide_get()
    assert item.hide_get()
    assert bpy.ops.relievo.animate_strokes() == {"FINISHED"}
    assert pencil.hide_get(), "the same strokes lie there as curves"


def test_edited_strokes_become_grease_pencil_as_they_are() -> None:
    strokes = painting.strokes_of(painted())
    curves = strokes.data
    if hasattr(curves, "resize_curves"):  # as an edit in Blender may; 4.2 has no such function
        curves.resize_curves([3], indices=[0])
        curves.points[2].position = (0.5, 0.0, 0.25)
        found = drawn_strokes.drawn(curves)
        assert found.positions.shape == (36, 9, 3)
        np.testing.assert_allclose(found.positions[0, 8], (0.5, 0.0, 0.25), atol=1e-6)
        np.testing.assert_allclose(found.positions[0, 4], curves.points[1].position, atol=1e-6)
        np.testing.assert_allclose(found.positions[1, 0], curves.points[3].position, atol=1e-6)
    curves.attributes.remove(curves.attributes["stroke_color"])
    with pytest.raises(RuntimeError, match="have lost one of their attributes"):
        bpy.ops.relievo.strokes_as_pencil()


# A film --------------------------------------------------------------------------------------------------------------


def everything() -> dict[str, int]:
    """How many datablocks there are of each kind, and what a person would miss."""
    kinds = [name for name in dir(bpy.data) if isinstance(getattr(bpy.data, name), bpy.types.bpy_prop_collection)]
    return {name: len(getattr(bpy.data, name)) for name in kinds}


def test_a_film_is_encoded_and_the_scene_stays_as_it_is(tmp_path, monkeypatch) -> None:
    item = painted()
    bpy.ops.relievo.animate_strokes(frames=36)
    strokes, scene = painting.strokes_of(item), bpy.context.scene
    scene.frame_set(7)
    counts, handlers = everything(), len(bpy.app.handlers.render_post)
    path = tmp_path / "painted.mp4"
    path.write_bytes(b"an older film")
    assert bpy.ops.relievo.save_painting_film(filepath=str(path), frames=6, fps=4, longest_px=64) == {"FINISHED"}
    now = everything()
    assert {kind: (count, now[kind]) for kind, count in counts.items() if now[kind] != count} == {}
    assert len(bpy.app.handlers.render_post) == handlers
    assert [entry.name for entry in tmp_path.iterdir()] == ["painted.mp4"]
    assert (scene.frame_current, bpy.context.scene, bpy.context.active_object) == (7, scene, strokes)
    assert drawn_strokes.Canvas.of(strokes.data).pixels == (32, 32)
    assert {"Animate", "MP4"} <= set(drawn()), "the strokes are still animated"
    clip = bpy.data.movieclips.load(str(path))
    assert (tuple(clip.size), clip.frame_duration, round(clip.fps)) == ((64, 64), 6 + 6, 4)
    first = bpy.data.images.load(str(path))
    pixels = np.empty(64 * 64 * 4, np.float32)
    first.pixels.foreach_get(pixels)
    pixels = pixels.reshape(64, 64, 4)
    assert pixels[58, 6, 0] > 0.5, "the first of 36 strokes, red, is there"
    assert pixels[:32, :, :3].max() < 0.1, "the rest is still black"

    monkeypatch.setattr(compat, "can_encode", lambda: False)
    with pytest.raises(RuntimeError, match="built without FFmpeg"):
        bpy.ops.relievo.save_painting_film(filepath=str(path))
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="There is no folder"):
        bpy.ops.relievo.save_painting_film(filepath=str(tmp_path / "nowhere" / "a.mp4"))
    with pytest.raises(RuntimeError, match="No file is named"):
        bpy.ops.relievo.save_painting_film()


# In the Image Editor -------------------------------------------------------------------------------------------------


class Shown:
    """The present context, in an Image Editor."""

    def __init__(self, space: bpy.types.SpaceImageEditor) -> None:
        self.space_data = space

    def __getattr__(self, name: str):
        return getattr(bpy.context, name)


def test_the_image_that_an_editor_shows_is_painted_and_shown_there() -> None:
    areas = [area for screen in bpy.data.screens for area in screen.areas if area.type == "IMAGE_EDITOR"]
    space = areas[0].spaces.active
    space.image = picture()
    lines = [line for panel in image_panel.CLASSES for line in paper.draw(panel, Shown(space))]
    assert {"Toy Painting", find(algorithms(), "texture").label, "Picture", "Paint", "Rows"} <= set(lines)
    assert not {"Only a Region", "Repeat Image"} & set(lines)
    assert bpy.ops.relievo.texture_from_image(image="Picture") == {"FINISHED"}
    assert space.image == canvas_materials.picture_of(canvas())
    assert requests.recipe_on(canvas())["scene"]["sources"]["image"][0]["name"] == "Picture"
    bpy.context.scene.relievo.output.painting = "IMAGES"
    assert bpy.ops.relievo.texture_from_image(image="Picture") == {"FINISHED"}
    assert space.image.name.endswith("painting")
    assert bpy.ops.relievo.use_engine(algorithm="texture") == {"FINISHED"}
    lines = [line for panel in image_panel.CLASSES for line in paper.draw(panel, Shown(space))]
    assert {"Texture", "Only a Region"} <= set(lines)
