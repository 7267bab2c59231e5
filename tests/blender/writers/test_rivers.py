"""Rivers over a terrain: a ribbon of water or a curve, where it lies, how it is renewed, and that a render shows it."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon.placing import companions
from blender_addon.shared.arrays import CURVES, MASK, Array, height_map
from blender_addon.shared.curves import Line, rows_of
from blender_addon.writers import river_ribbons, rivers, terrain, water, waters

ROWS, COLUMNS, PIXEL_M = 40, 60, 20.0
WIDTH_M = 30.0


def valley() -> np.ndarray:
    """A valley along the middle row that falls to the right."""
    r, c = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    return 6.0 * np.abs(r - 20.0) - 2.0 * c + 300.0


def river(first: int = 5, last: int = 50, row: float = 20.0, **values) -> Line:
    c = np.arange(first, last + 1)
    points = np.stack([(c + 0.5) / COLUMNS, np.full(len(c), (row + 0.5) / ROWS)], axis=1)
    return Line(type="river", points=points, z_m=300.0 - 2.0 * c, width_m=WIDTH_M, **values)


def outputs(*lines: Line) -> dict[str, Array]:
    heights = valley()
    return {
        "height": height_map(heights, PIXEL_M),
        "rivers": Array(CURVES, rows_of(lines)),
        "water": Array(MASK, heights * 0),
        "water_level": height_map(heights, PIXEL_M),
    }


def vertices(mesh: bpy.types.Mesh) -> np.ndarray:
    values = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", values)
    return values.reshape(-1, 3)


def ground_at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    row, column = (ROWS - 1) / 2 - y / PIXEL_M, x / PIXEL_M + (COLUMNS - 1) / 2
    return 6.0 * np.abs(row - 20.0) - 2.0 * column + 300.0


@pytest.mark.parametrize("kind", ["MESH", "GEOMETRY_NODES", "DISPLACE", "ADAPTIVE"])
def test_a_ribbon_lies_on_the_ground_as_wide_as_the_river(kind):
    item = terrain.make(outputs(river()), kind=kind, name="Terrain", location=(5.0, 6.0, 7.0))
    made = rivers.of(item)
    assert (made.parent, made.users_collection, made.name) == (item, item.users_collection, "Terrain Rivers")
    assert not made.data.validate(verbose=True)
    places = vertices(made.data)
    above = places[:, 2] - ground_at(places[:, 0], places[:, 1])
    assert above.min() > 0.0
    assert above.max() < 0.1 * PIXEL_M + 6.0 * 0.5 * WIDTH_M / PIXEL_M
    assert all(polygon.normal.z > 0.5 for polygon in made.data.polygons)
    inner = np.abs(places[:, 0]) < 200.0
    assert np.ptp(places[inner, 1]) == pytest.approx(WIDTH_M, rel=1e-4)
    assert np.median(places[:, 1]) == pytest.approx(((ROWS - 1) / 2 - 20.0) * PIXEL_M, abs=1e-3)


def test_uvs_run_with_the_flow():
    mesh = rivers.of(terrain.make(outputs(river()), kind="MESH", name="Terrain")).data
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    uv = np.empty(len(mesh.loops) * 2, np.float32)
    mesh.uv_layers.active.uv.foreach_get("vector", uv)
    uv, places = uv.reshape(-1, 2), vertices(mesh)[corners]
    order = np.argsort(places[:, 0], kind="stable")
    assert (np.diff(uv[order, 1]) >= 0).all(), "v grows downstream"
    assert (uv[:, 0].min(), uv[:, 0].max()) == (0.0, 1.0)
    assert (uv[places[:, 1] == places[:, 1].max(), 0] == 1.0).all(), "u is 1 on the left bank"


def test_a_curve_has_a_spline_per_river_with_half_its_width_as_radius():
    made = rivers.of(
        terrain.make(outputs(river(), river(5, 30, 10.0)), kind="MESH", name="Terrain", with_rivers="CURVE")
    )
    assert made.type == "CURVE"
    first, second = made.data.splines
    assert (len(first.points), len(second.points)) == (46, 26)
    assert first.points[20].radius == pytest.approx(WIDTH_M / 2)
    x, y, z, _ = first.points[20].co
    assert (x, y) == pytest.approx(((25 - (COLUMNS - 1) / 2) * PIXEL_M, ((ROWS - 1) / 2 - 20) * PIXEL_M), abs=1e-3)
    assert ground_at(x, y) < z < ground_at(x, y) + 1.0


def test_rivers_are_renewed_changed_and_taken_away_in_place():
    item = terrain.make(outputs(river()), kind="MESH", name="Terrain")
    made = rivers.of(item)
    mine = bpy.data.materials.new("Mine")
    made.data.materials[0] = mine
    count = len(made.data.vertices)
    terrain.replace(item, outputs(river(5, 30)), kind="MESH")
    assert rivers.of(item) == made
    assert 0 < len(made.data.vertices) < count
    assert made.data.materials[0] == mine, "what a person has put on stays"
    terrain.replace(item, outputs(river()), kind="MESH", with_rivers="CURVE")
    assert rivers.of(item).type == "CURVE"
    assert not [mesh for mesh in bpy.data.meshes if "Rivers" in mesh.name]
    for lines, choice in (((), "CURVE"), ((river(),), "NONE")):
        terrain.replace(item, outputs(*lines), kind="MESH", with_rivers=choice)
        assert rivers.of(item) is None
        assert not bpy.data.curves


def test_a_terrain_without_rivers_has_no_object_for_them():
    item = terrain.make(outputs(), kind="MESH", name="Terrain")
    assert waters.of(item) == []
    assert [mesh.name for mesh in bpy.data.meshes] == [item.data.name]


def test_rivers_go_with_a_terrain_that_is_deleted_and_stand_for_it():
    item = terrain.make(outputs(river()), kind="MESH", name="Terrain", with_rivers="CURVE")
    companions.note(item)
    assert waters.terrain_of(rivers.of(item)) == item
    bpy.data.objects.remove(item)
    assert companions.sweep()
    assert not bpy.data.objects
    assert not bpy.data.curves


def test_springs_begin_narrow_and_rivers_widen_to_what_flows_on():
    upper = river(5, 25)
    lower = Line(type="river", points=river(25, 50).points, z_m=250.0, width_m=2 * WIDTH_M)
    brook = Line(type="river", points=upper.points[-1] + np.array([[0.0, -0.2], [0.0, -0.1], [0.0, 0.0]]), width_m=4.0)
    first, second, third = river_ribbons.courses([upper, lower, brook], valley(), PIXEL_M)
    assert first.half_width[0] < 0.3 * WIDTH_M / 2
    assert first.half_width[-1] == second.half_width[0] == WIDTH_M
    assert third.half_width[-1] == pytest.approx(2.0)


@pytest.mark.parametrize("split", [(0.3, 0.4), (0.6, 0.2), (0.5, 0.5)])
def test_ground_is_that_of_the_higher_cut(split):
    """Whichever diagonal Blender cuts a quad along, nothing of it stands above."""
    heights = np.array([[0.0, 8.0], [2.0, 0.0]], np.float32)
    right, down = split
    places = np.array([[(right + 0.5) / 2, (down + 0.5) / 2]])
    falling = 8 * (right - down) if right > down else 2 * (down - right)
    rising = 8 * right + 2 * down if right + down < 1 else 2 * (1 - right) + 8 * (1 - down)
    assert river_ribbons.highest_ground(heights, places)[0] == pytest.approx(max(falling, rising))


def test_a_lake_without_a_known_bed_stands_above_the_ground_and_is_deep_in_its_middle():
    heights = valley()
    heights[10:30, 20:50] = 280.0
    is_water = np.zeros_like(heights)
    is_water[10:30, 20:50] = 1.0
    given = {"height": height_map(heights, PIXEL_M), "water": Array(MASK, is_water)}
    item = terrain.make({**given, "water_level": height_map(heights, PIXEL_M)}, kind="MESH", name="Terrain")
    mesh = water.of(item).data
    assert np.allclose(vertices(mesh)[:, 2], 280.0 + 0.02 * PIXEL_M)
    depth = np.empty(len(mesh.vertices), np.float32)
    mesh.attributes[water.DEPTH].data.foreach_get("value", depth)
    assert depth.max() > 5.0 * depth[depth > 0].min()


@pytest.mark.parametrize("engine", ["hydrology", "morphology"])
def test_operators_of_engines_with_rivers_take_a_choice_beside_their_parameters(addon_alone, engine):
    found = getattr(bpy.ops.relievo, engine).get_rna_type().properties
    assert [item.identifier for item in found["show_rivers"].enum_items] == ["RIBBON", "CURVE", "NONE"]
    if engine == "morphology":  # how they are drained
        assert [item.identifier for item in found["rivers"].enum_items] == ["profile", "cut"]
    assert "rivers" not in bpy.ops.relievo.noise.get_rna_type().properties
