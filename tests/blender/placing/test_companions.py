"""What belongs to a terrain follows it: its water is hidden, shown and deleted with it, and stands for it where it is selected."""

from __future__ import annotations

import bpy
import numpy as np

from blender_addon.inputs import sources
from blender_addon.operators import results as operators
from blender_addon.placing import companions, covering
from blender_addon.shared.arrays import MASK, Array, height_map
from blender_addon.writers import record, terrain, water


def lake() -> bpy.types.Object:
    """A terrain with a lake in its middle."""
    heights = np.full((12, 16), 50.0, np.float32)
    heights[4:8, 5:11] = 30.0
    level = np.full((12, 16), 50.0, np.float32)
    level[4:8, 5:11] = 45.0
    outputs = {
        "height": height_map(heights, 10.0),
        "water": Array(MASK, (heights < 40).astype(np.float32)),
        "water_level": height_map(level, 10.0),
    }
    made = terrain.make(outputs, kind="MESH", name="Terrain", recipe={"algorithm": "it", "params": {}, "format": 1})
    companions.note(made)
    bpy.context.view_layer.update()
    return made


def test_water_is_hidden_and_shown_with_its_terrain():
    item = lake()
    over = terrain.make({"height": height_map(np.zeros((4, 4)), 1.0)}, kind="MESH", name="Over")
    covering.cover(over, [item])
    assert water.of(item).hide_render
    assert water.of(item).hide_get()
    bpy.data.objects.remove(over)
    assert covering.uncover()
    assert not water.of(item).hide_render
    assert not water.of(item).hide_get()


def test_water_goes_with_a_terrain_that_is_deleted():
    item, other = lake(), lake()
    kept = water.of(other)
    item.select_set(True)
    bpy.context.view_layer.objects.active = item
    bpy.ops.object.delete()
    assert companions.sweep()
    assert [one for one in bpy.data.objects if water.KEY in one] == [kept]
    assert [mesh.name for mesh in bpy.data.meshes if "Water" in mesh.name] == [kept.data.name]
    assert not companions.sweep()


def test_water_that_a_person_has_taken_off_stays():
    item = lake()
    mine = water.of(item)
    mine.parent = None
    assert not companions.sweep()
    assert mine.name in bpy.data.objects


def test_after_a_file_was_opened_water_is_known_again(tmp_path):
    lake()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "lake.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "lake.blend"))
    companions.remember()
    bpy.data.objects.remove(bpy.data.objects["Terrain"])
    assert companions.sweep()
    assert not bpy.data.objects


def test_selected_water_stands_for_its_terrain():
    item = lake()
    assert operators.carried_by(water.of(item)) == item
    assert operators.carrier_of(water.of(item)) == item
    assert record.recipe_on(item)["algorithm"] == "it"
    bpy.context.view_layer.objects.active = water.of(item)
    assert sources.selected(bpy.context) == item
