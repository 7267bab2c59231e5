"""A sketch drawn from the scene: classes of objects, materials and faces, from above or by UVs, with their heights and size."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon import requests
from blender_addon.inputs import sources
from blender_addon.readers.source import Source
from blender_addon.settings import map_extent
from blender_addon.shared.algorithm import find
from blender_addon.shared.arrays import HEIGHT_MAP
from blender_addon.shared.catalog import algorithms
from blender_addon.shared.errors import InvalidInput
from blender_addon.ui import drawing_panel, input_panel, panels
from tests.blender.sketches.test_painted import backend, spec, toy  # noqa: F401  # fixtures
from tests.blender.support import paper

WATER, SAND, GRASS, ROCK, SNOW = range(5)


def slab(
    name: str, low: tuple[float, float], high: tuple[float, float], z: float, number: int = -1
) -> bpy.types.Object:
    """A horizontal rectangle with a class."""
    mesh = bpy.data.meshes.new(name)
    corners = [(low[0], low[1], z), (high[0], low[1], z), (high[0], high[1], z), (low[0], high[1], z)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    item = bpy.data.objects.new(name, mesh)
    item.relievo_class = number
    bpy.context.scene.collection.objects.link(item)
    return item


def island() -> tuple[bpy.types.Object, ...]:
    """100 m x 50 m: sea, a plateau of grass on its right half, and a rock above that without a class of its own."""
    sea = slab("Sea", (0, 0), (100, 50), 0.0, WATER)
    land = slab("Land", (50, 0), (100, 50), 10.0, GRASS)
    rock = slab("Rock", (70, 10), (90, 30), 25.0)
    slab("Cloud", (0, 0), (100, 50), 80.0)
    material = bpy.data.materials.new("Granite")
    material.relievo_class = ROCK
    rock.data.materials.append(material)
    bpy.context.view_layer.update()
    return sea, land, rock


def draw_from_scene(**settings):
    picker = bpy.context.scene.relievo.toy_terrain.from_sketch
    picker.source, picker.resolution = "DRAWING", 101
    for name, value in settings.items():
        setattr(picker, name, value)
    return picker


def read() -> np.ndarray:
    (source,) = sources.chosen(bpy.context.scene, spec(), spec().inputs[0], bpy.context.active_object)
    return sources.read(source, spec().inputs[0], bpy.context).values


def test_what_lies_topmost_and_carries_a_class_is_drawn() -> None:
    island()
    draw_from_scene()
    values = read()
    assert values.shape == (51, 101), "a sample on each outermost vertex"
    expected = np.full((51, 101), WATER)
    expected[:, 50:] = GRASS
    expected[20:41, 70:91] = ROCK
    np.testing.assert_array_equal(values, expected)
    lines = paper.draw(input_panel.RELIEVO_PT_inputs)
    assert "3 meshes, 100 m x 50 m" in lines


def test_a_face_comes_before_its_material_and_that_before_its_object() -> None:
    _, _, rock = island()
    rock.relievo_class = SAND
    draw_from_scene()
    assert read()[30, 80] == ROCK
    rock.data.attributes.new("class", "INT", "FACE").data.foreach_set("value", [SNOW])
    assert read()[30, 80] == SNOW
    draw_from_scene(attribute="other")
    assert read()[30, 80] == ROCK
    rock.data.materials.clear()
    assert read()[30, 80] == SAND


def test_a_collection_of_its_own_and_the_class_elsewhere() -> None:
    _, _, rock = island()
    round_rock = slab("Hill", (60, 20), (70, 40), 5.0, SNOW)
    collection = bpy.data.collections.new("Blockout")
    bpy.context.scene.collection.children.link(collection)
    for item in (rock, round_rock):
        collection.objects.link(item)
    bpy.context.view_layer.update()
    draw_from_scene(collection=collection, outside=str(SAND), resolution=61)
    values = read()
    assert values.shape == (61, 61)
    assert (values[:20, :20] == SNOW).all()
    assert (values[:20, 21:] == SAND).all()
    rock.hide_set(True)
    assert (read() != ROCK).all(), "what a person has hidden is not drawn"


def test_only_what_is_selected_is_drawn_and_drawn_again_from_its_terrain() -> None:
    sea, land, rock = island()
    draw_from_scene(selected_only=True)
    for item in bpy.data.objects:
        item.select_set(item in (land, rock))
    assert "2 meshes, 50 m x 50 m" in paper.draw(input_panel.RELIEVO_PT_inputs)
    before = read()
    assert before.shape == (101, 101)
    assert set(np.unique(before)) == {GRASS, ROCK}, "no sea, which is not selected"
    assert bpy.ops.relievo.generate() == {"FINISHED"}
    made = bpy.context.active_object
    assert (land.hide_get(), rock.hide_get(), sea.hide_get()) == (True, True, False)
    assert "Show 2 Objects" in paper.draw(panels.RELIEVO_PT_main)
    bpy.ops.relievo.show_source(name="Rock")
    assert (land.hide_get(), rock.hide_get()) == (False, False), "what lies beside it too"
    bpy.ops.relievo.show_source(name="Rock", hidden=True)
    np.testing.assert_array_equal(read(), before)  # the terrain is selected, and stands for what it was drawn from
    assert bpy.ops.relievo.regenerate() == {"FINISHED"}
    assert requests.recipe_on(made)["scene"]["sources"]["sketch"][0]["options"]["meshes"] == ["Land", "Rock"]
    sea.select_set(True)
    assert "1 mesh, 100 m x 50 m" in paper.draw(input_panel.RELIEVO_PT_inputs)


def test_a_selection_of_nothing_or_of_nothing_with_a_class_is_refused() -> None:
    island()
    draw_from_scene(selected_only=True)
    assert "no mesh is selected. Select the meshes to draw." in requests.why_not(bpy.context, spec())
    lines = " ".join(paper.draw(panels.RELIEVO_PT_generate))
    assert "Select the meshes to draw" in lines
    bpy.data.objects["Cloud"].select_set(True)
    assert "no mesh that is selected carries a class" in requests.why_not(bpy.context, spec())
    bpy.data.objects["Cloud"].select_set(False)
    with pytest.raises(RuntimeError, match="no mesh is selected"):
        bpy.ops.relievo.toy_terrain(sketch="selection")
    bpy.data.objects["Sea"].select_set(True)
    assert bpy.ops.relievo.toy_terrain(sketch="selection") == {"FINISHED"}
    assert bpy.context.active_object.dimensions.x == pytest.approx(100.0, rel=0.01)


def test_without_a_class_there_is_nothing_to_draw() -> None:
    slab("Bare", (0, 0), (1, 1), 0.0)
    draw_from_scene()
    assert "no mesh of the scene carries a class" in requests.why_not(bpy.context, spec())
    bpy.data.objects["Bare"].relievo_class = 9
    with pytest.raises(InvalidInput, match=r"carries the class 9; the last one is 4, Snow"):
        read()
    bpy.data.objects["Bare"].data.clear_geometry()
    with pytest.raises(InvalidInput, match="no faces"):
        read()


def test_a_mesh_is_read_through_its_uvs() -> None:
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=2, y_subdivisions=2, size=3.0, rotation=(1.0, 0.3, 0.2))
    item = bpy.context.active_object
    for number in (GRASS, SNOW):
        material = bpy.data.materials.new(str(number))
        material.relievo_class = number
        item.data.materials.append(material)
    item.data.polygons.foreach_set("material_index", [0, 0, 0, 1])
    draw_from_scene(through="UVS", resolution=32)
    values = read()
    corners = item.data.polygons[3].loop_indices
    u, v = (sum(item.data.uv_layers[0].uv[corner].vector[axis] for corner in corners) / 4 for axis in (0, 1))
    column, row = int(u * 32), int((1 - v) * 32)
    assert values.shape == (32, 32)
    assert values[row, column] == SNOW
    assert (values == SNOW).sum() == 256
    assert (values == GRASS).sum() == 768
    assert (
        map_extent.brought(bpy.context.scene, spec(), {"sketch": (Source("drawing", item.name, {"through": "UVS"}),)})
        == {}
    )
    item.data.uv_layers.remove(item.data.uv_layers[0])
    item.data.update()
    with pytest.raises(InvalidInput, match="no UVs"):
        read()


def test_the_heights_of_the_drawing_are_offered_as_a_base() -> None:
    engine = next(
        (s for s in algorithms() if any(p.classes for p in s.inputs) and any(p.kind is HEIGHT_MAP for p in s.inputs)),
        None,
    )
    if engine is None:
        pytest.skip("no engine takes a sketch and heights")
    island()
    classes, base = (
        next(port for port in engine.inputs if test(port))
        for test in (lambda p: p.classes, lambda p: p.kind is HEIGHT_MAP)
    )
    group = getattr(bpy.context.scene.relievo, engine.name)
    below, above = getattr(group, f"from_{base.name}"), getattr(group, f"from_{classes.name}")
    below.source = "DRAWING"
    with pytest.raises(InvalidInput, match="is not drawn from the scene"):
        sources.chosen(bpy.context.scene, engine, base, None)
    above.source, above.resolution = "DRAWING", 101
    (source,) = sources.chosen(bpy.context.scene, engine, base, None)
    heights = sources.read(source, base, bpy.context)
    assert heights.pixel_size_m == pytest.approx(1.0)
    assert (heights.values[0, 0], heights.values[0, 60], heights.values[30, 80]) == (0.0, 10.0, 25.0)
    bpy.context.scene.relievo.algorithm = engine.name
    params = requests.from_settings(bpy.context, engine).params
    assert params["size_m"] == pytest.approx(101.0)


def test_a_drawing_becomes_a_terrain_over_its_meshes_and_can_be_drawn_again() -> None:
    members = island()
    cloud = bpy.data.objects["Cloud"]
    members[0].modifiers.new("Subdivision", "SUBSURF").subdivision_type = "SIMPLE"
    draw_from_scene()
    assert bpy.ops.relievo.generate() == {"FINISHED"}
    made = bpy.context.active_object
    assert tuple(made.location)[:2] == pytest.approx((50.0, 25.0))
    assert made.dimensions.x == pytest.approx(100.0)
    assert all(item.hide_get() for item in members)
    assert not cloud.hide_get()
    assert requests.recipe_on(made)["params"]["ground_m"] == pytest.approx(1.0)
    before = read()
    members[2].location.x -= 60.0
    bpy.context.view_layer.update()
    after = read()
    assert (before[20:41, 70:91] == ROCK).all()
    assert (after[20:41, 10:31] == ROCK).all()
    assert bpy.ops.relievo.regenerate() == {"FINISHED"}
    assert bpy.context.active_object == made


def test_the_panel_shows_and_sets_the_class_of_object_and_material() -> None:
    sea, _, rock = island()
    draw_from_scene()
    bpy.context.view_layer.objects.active = rock
    assert paper.draw(drawing_panel.RELIEVO_PT_class)[:2] == ["Object", "Material"]
    assert (rock.relievo_class_name, rock.active_material.relievo_class_name) == ("NONE", str(ROCK))
    rock.relievo_class_name = str(SAND)
    assert rock.relievo_class == SAND
    rock.select_set(True)
    sea.select_set(True)
    bpy.ops.relievo.copy_class()
    assert sea.relievo_class == SAND
    rock.relievo_class_name = "NONE"
    assert rock.relievo_class == -1


def test_a_script_names_a_collection() -> None:
    island()
    bpy.ops.relievo.toy_terrain(sketch="drawing")
    assert bpy.context.active_object.dimensions.x == pytest.approx(100.0)
    assert find(algorithms(), "toy_terrain").inputs[0].classes
