"""Scatter: the user's own collections on the classes of a terrain, as many as asked for, where they grow, undone in one step."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon import compat
from blender_addon.settings import scattering
from blender_addon.shared.arrays import MASK, Array, height_map
from blender_addon.ui import panels
from blender_addon.writers import base, scatter, terrain
from tests.blender.support import paper

ROWS, COLUMNS, PIXEL_M = 41, 61, 10.0
FOREST_M2 = 40 * 29.5 * PIXEL_M**2 * 2**0.5  # on ground of 45 degrees


@pytest.fixture(autouse=True)
def registered(empty_file):
    blender_addon.register()
    yield
    blender_addon.unregister()


def slope(kind: str = "MESH") -> bpy.types.Object:
    """A terrain that rises by 45 degrees towards +X, with forest on its left half and rock on its right."""
    forest = np.zeros((ROWS, COLUMNS), np.float32)
    forest[:, :30] = 1.0
    heights = np.broadcast_to(np.arange(COLUMNS, dtype=np.float32) * PIXEL_M, (ROWS, COLUMNS))
    outputs = {
        "height": height_map(heights, PIXEL_M),
        "density_forest": Array(MASK, forest),
        "density_bare_rock": Array(MASK, 1.0 - forest),
    }
    made = terrain.make(outputs, kind=kind, name="Terrain", recipe={"algorithm": "noise", "params": {}, "format": 1})
    scattering.renew(made)
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = made
    made.select_set(True)
    return made


def trees(*names: str) -> bpy.types.Collection:
    collection = bpy.data.collections.new("Trees")
    bpy.context.scene.collection.children.link(collection)
    for name in names or ("Tree",):
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 0, 2)], [], [(0, 1, 2)])
        collection.objects.link(bpy.data.objects.new(name, mesh))
    return collection


def instances(item: bpy.types.Object) -> list[tuple[str, np.ndarray]]:
    """Name and matrix of all that is scattered on an object."""
    bpy.context.view_layer.update()
    found = bpy.context.evaluated_depsgraph_get().object_instances
    return [
        (one.object.original.name, np.array(one.matrix_world))
        for one in found
        if one.is_instance and one.parent.original == item
    ]


def places(found: list[tuple[str, np.ndarray]]) -> np.ndarray:
    return np.array([matrix[:3, 3] for _, matrix in found])


@pytest.mark.parametrize("kind", ["MESH", "GEOMETRY_NODES", "DISPLACE"])
def test_a_collection_stands_where_its_class_grows_and_on_the_ground(kind):
    item = slope(kind)
    trees("Oak", "Fir")
    assert bpy.ops.relievo.scatter(density="forest", collection="Trees") == {"FINISHED"}
    modifier = scatter.modifier_of(item, "forest")
    compat.set_node_input(modifier, scatter.DENSITY, 0.01)
    item.update_tag()
    found = instances(item)
    assert len(found) == pytest.approx(0.01 * FOREST_M2, rel=0.1)
    assert {name for name, _ in found} == {"Oak", "Fir"}
    where = places(found)
    assert where[:, 0].max() <= PIXEL_M * 0.01, "none stands in the rock"
    np.testing.assert_allclose(where[:, 2], where[:, 0] + 30 * PIXEL_M, atol=0.05)


def test_distance_size_seed_and_lean_are_inputs_that_stay_editable():
    item = slope()
    trees()
    bpy.ops.relievo.scatter(density="forest", collection="Trees")
    modifier = scatter.modifier_of(item, "forest")

    def with_inputs(**values):
        for name, value in {
            scatter.DENSITY: 0.01,
            **{key.replace("_", " "): value for key, value in values.items()},
        }.items():
            compat.set_node_input(modifier, name, value)
        item.update_tag()
        return instances(item)

    first = with_inputs(Seed=1)
    assert not np.array_equal(places(first)[:10], places(with_inputs(Seed=2))[:10])
    again = with_inputs(Seed=1)
    np.testing.assert_array_equal(places(first), places(again))
    apart = places(with_inputs(Minimum_Distance=20.0))
    distances = np.linalg.norm(apart[:, None] - apart, axis=2) + 1e6 * np.eye(len(apart))
    assert distances.min() >= 19.99
    sizes = [np.linalg.norm(matrix[:3, 0]) for _, matrix in first]
    assert 0.8 <= min(sizes) < 0.9 < 1.1 < max(sizes) <= 1.2
    upright = with_inputs(Align_to_Ground=0.0)
    leaning = with_inputs(Align_to_Ground=1.0)
    up = [matrix[:3, 2] / np.linalg.norm(matrix[:3, 2]) for _, matrix in (upright[0], leaning[0])]
    np.testing.assert_allclose(up[0], (0, 0, 1), atol=1e-5)
    np.testing.assert_allclose(up[1], (-(0.5**0.5), 0, 0.5**0.5), atol=1e-3)
    turns = [np.arctan2(matrix[1, 0], matrix[0, 0]) for _, matrix in upright]
    assert np.histogram(turns, 4, (-np.pi, np.pi))[0].min() > 0.15 * len(turns), "they are turned every way"


def test_a_second_class_is_not_scattered_on_the_first_ones_trees():
    item = slope()
    trees()
    bpy.ops.relievo.scatter(density="forest", collection="Trees")
    compat.set_node_input(scatter.modifier_of(item, "forest"), scatter.DENSITY, 0.002)
    stones = bpy.data.collections.new("Stones")
    stones.objects.link(bpy.data.objects.new("Stone", bpy.data.meshes.new("Stone")))
    bpy.ops.relievo.scatter(density="bare_rock", collection="Stones")
    compat.set_node_input(scatter.modifier_of(item, "bare_rock"), scatter.DENSITY, 0.002)
    item.update_tag()
    found = places([one for one in instances(item) if one[0] == "Stone"])
    np.testing.assert_allclose(found[:, 2], found[:, 0] + 30 * PIXEL_M, atol=0.05)
    assert len(bpy.data.node_groups) == 1


def test_the_number_that_is_suggested_keeps_views_quick():
    item = slope()
    assert scatter.suggested_density(item, "forest") == pytest.approx(scatter.EXPECTED / FOREST_M2, rel=0.05)
    trees()
    bpy.ops.relievo.scatter(density="forest", collection="Trees")
    assert len(instances(item)) == pytest.approx(scatter.EXPECTED, rel=0.1)


def test_instances_keep_their_size_in_scenes_of_another_unit():
    bpy.context.scene.unit_settings.system, bpy.context.scene.unit_settings.scale_length = "METRIC", 0.01
    item = slope()
    trees()
    bpy.ops.relievo.scatter(density="forest", collection="Trees")
    sizes = [np.linalg.norm(matrix[:3, 0]) for _, matrix in instances(item)]
    assert 0.8 <= min(sizes) < max(sizes) <= 1.2001


def test_one_button_scatters_all_that_is_chosen_and_says_when_nothing_is():
    item = slope()
    with pytest.raises(RuntimeError, match="No collection is chosen"):
        bpy.ops.relievo.scatter()
    assert not item.modifiers
    entries = scattering.entries_of(item)
    assert list(entries) == ["forest", "bare_rock"]
    entries["forest"].collection = trees()
    bpy.ops.relievo.scatter()
    assert [modifier.name for modifier in item.modifiers] == ["Relievo Scatter Forest"]
    modifier = item.modifiers[0]
    compat.set_node_input(modifier, scatter.DENSITY, 0.123)
    other = entries["forest"].collection = trees()
    bpy.ops.relievo.scatter()
    assert scatter.collection_of(item, "forest") == other
    assert compat.node_input(item.modifiers[0], scatter.DENSITY) == pytest.approx(0.123), "the user's number stays"
    entries["forest"].collection = None
    bpy.ops.relievo.scatter()
    assert not item.modifiers


def test_what_cannot_be_scattered_says_why():
    item = slope()
    trees()
    for arguments, reason in (
        ({"density": "snow", "collection": "Trees"}, "It has: forest, bare_rock"),
        ({"density": "forest", "collection": "Bushes"}, "There is no collection 'Bushes'"),
        ({"density": "forest", "collection": item.users_collection[0].name}, "contains 'Terrain' itself"),
    ):
        with pytest.raises(RuntimeError, match=reason):
            bpy.ops.relievo.scatter(**arguments)
    bpy.data.collections.new("Nothing")
    with pytest.raises(RuntimeError, match="is empty"):
        bpy.ops.relievo.scatter(density="forest", collection="Nothing")
    item.data.attributes["density_forest"].data.foreach_set("value", np.zeros(ROWS * COLUMNS, np.float32))
    with pytest.raises(RuntimeError, match="There is no Forest on 'Terrain'"):
        bpy.ops.relievo.scatter(density="forest", collection="Trees")
    assert not item.modifiers
    slope("ADAPTIVE")
    assert not bpy.ops.relievo.scatter.poll()


def test_it_is_one_step_of_undo():
    slope()
    trees()
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.relievo.scatter(density="forest", collection="Trees")
    bpy.ops.ed.undo_push(message="Scatter")  # what a window does for an operator with UNDO
    assert bpy.data.objects["Terrain"].modifiers
    bpy.ops.ed.undo()
    assert not bpy.data.objects["Terrain"].modifiers
    assert not bpy.data.node_groups


def test_the_panel_has_a_collection_for_each_class():
    slope()
    lines = [line for panel in panels.CLASSES if issubclass(panel, bpy.types.Panel) for line in paper.draw(panel)]
    at = lines.index("Scatter")
    assert lines[at : at + 4] == ["Scatter", "Forest", "Bare Rock", "Scatter"]


def test_it_is_saved_with_the_file_and_survives_a_new_result(tmp_path):
    item = slope()
    trees()
    bpy.ops.relievo.scatter(density="forest", collection="Trees")
    count = len(instances(item))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "trees.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "trees.blend"))
    item = bpy.data.objects["Terrain"]
    assert len(instances(item)) == count
    assert scattering.entries_of(item)["forest"].collection == bpy.data.collections["Trees"]
    flat = np.zeros((ROWS, COLUMNS), np.float32)
    outputs = {"height": height_map(flat, PIXEL_M), "density_forest": Array(MASK, flat + 1)}
    terrain.replace(item, outputs, kind="MESH")
    assert len(instances(item)) > 1.3 * count
    assert "density_bare_rock" not in item.data.attributes


def test_a_button_gives_a_terrain_a_solid_base_and_takes_it_away():
    item = slope()
    assert "Solid Base" in paper.draw(panels.RELIEVO_PT_main)
    assert bpy.ops.relievo.base() == {"FINISHED"}
    assert base.modifier_of(item) is not None
    assert bpy.ops.relievo.base() == {"FINISHED"}
    assert base.modifier_of(item) is None
    made = slope("ADAPTIVE")
    assert not bpy.ops.relievo.base.poll()
    assert "Solid Base" not in paper.draw(panels.RELIEVO_PT_main)
    assert made == bpy.context.active_object
