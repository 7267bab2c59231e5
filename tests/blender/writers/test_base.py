"""A solid base: walls from a terrain's border down to a flat underside, behind every other modifier; nothing else is changed."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon.shared.arrays import MASK, Array, height_map
from blender_addon.writers import base, scatter, terrain

PIXEL_M = 10.0


@pytest.fixture(params=["MESH", "GEOMETRY_NODES", "DISPLACE"])
def item(request, ramp) -> bpy.types.Object:
    outputs = {"height": height_map(ramp, PIXEL_M), "density_forest": Array(MASK, np.ones_like(ramp))}
    made = terrain.make(outputs, kind=request.param, name="Terrain")
    bpy.context.view_layer.update()
    return made


def evaluated(item: bpy.types.Object) -> bpy.types.Mesh:
    bpy.context.view_layer.update()
    return item.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()


def test_walls_and_underside_close_the_terrain(item, ramp):
    rows, columns = ramp.shape
    modifier = base.put_on(item)
    assert base.put_on(item) == modifier
    mesh = evaluated(item)
    width, depth = (columns - 1) * PIXEL_M, (rows - 1) * PIXEL_M
    low = ramp.min() - base.SHARE * width
    walls = [polygon for polygon in mesh.polygons if abs(polygon.normal.z) < 1e-4]
    floor = [polygon for polygon in mesh.polygons if polygon.normal.z < -0.5]
    assert len(walls) == 2 * (rows + columns - 2)
    assert all(polygon.normal.dot(polygon.center) > 0 for polygon in walls), "they face outwards"
    border = [ramp[0], ramp[-1], ramp[:, 0], ramp[:, -1]]
    area = sum(PIXEL_M * (0.5 * (side[1:] + side[:-1]) - low).sum() for side in border)
    assert sum(polygon.area for polygon in walls) == pytest.approx(area, rel=1e-4)
    assert sum(polygon.area for polygon in floor) == pytest.approx(width * depth, rel=1e-4)
    assert [polygon.center.z for polygon in floor] == [pytest.approx(low, abs=0.05)]
    ground = [polygon for polygon in mesh.polygons if polygon.normal.z > 1e-4]
    assert len(ground) == (rows - 1) * (columns - 1)
    names = {mesh.materials[polygon.material_index].name for polygon in (*walls, *floor)}
    assert names == {base.MATERIAL}
    assert all(mesh.materials[polygon.material_index].name != base.MATERIAL for polygon in ground)
    assert not any(polygon.use_smooth for polygon in walls)
    assert len(item.data.vertices) == rows * columns, "the terrain's own mesh is as it was"


def test_what_is_scattered_stands_on_the_ground_alone_and_comes_before_the_base(item):
    base.put_on(item)
    tree = bpy.data.objects.new("Tree", bpy.data.meshes.new("Tree"))
    tree.data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 0, 2)], [], [(0, 1, 2)])
    trees = bpy.data.collections.new("Trees")
    trees.objects.link(tree)
    scatter.put_on(item, "forest", trees)
    assert item.modifiers[-1].name == base.MODIFIER
    depsgraph = bpy.context.evaluated_depsgraph_get()
    places = [entry.matrix_world.translation.z for entry in depsgraph.object_instances if entry.is_instance]
    assert len(places) > 1000
    low = min(vertex.co.z for vertex in evaluated(item).vertices)
    assert min(places) > low + 1.0, "none on the walls or the underside"


def test_a_new_result_in_its_place_keeps_the_base(item, ramp):
    base.put_on(item)
    terrain.replace(item, {"height": height_map(ramp[:, ::-1].copy() + 100.0, PIXEL_M)}, kind="MESH")
    assert item.modifiers[-1].name == base.MODIFIER
    assert min(vertex.co.z for vertex in evaluated(item).vertices) == pytest.approx(
        ramp.min() + 100.0 - base.SHARE * (ramp.shape[1] - 1) * PIXEL_M, abs=0.05
    )


def test_a_plane_that_cycles_displaces_has_no_border_to_build_on(ramp):
    made = terrain.make({"height": height_map(ramp, PIXEL_M)}, kind="ADAPTIVE", name="Terrain")
    assert not base.can_have_one(made)
