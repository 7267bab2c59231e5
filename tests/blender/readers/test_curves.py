"""Curves of the scene on a map: splines of every type, where they lie, and what a panel says of them."""

from __future__ import annotations

import math

import bpy
import numpy as np
import pytest

from blender_addon.inputs import sources
from blender_addon.readers import curves
from blender_addon.shared.algorithm import find
from blender_addon.shared.arrays import check
from blender_addon.shared.catalog import algorithms
from blender_addon.shared.curves import Line, lines_of
from blender_addon.shared.errors import InvalidInput
from blender_addon.ui import curve_panel, input_panel
from tests.blender.support import paper


@pytest.fixture
def addon(addon_alone):
    bpy.context.scene.relievo.algorithm = "terrain"
    return addon_alone


def spline(points, type: str = "RIVER", kind: str = "POLY", closed: bool = False) -> bpy.types.Object:
    data = bpy.data.curves.new("line", "CURVE")
    data.dimensions = "3D"
    made = data.splines.new(kind)
    if kind == "BEZIER":
        made.bezier_points.add(len(points) - 1)
        for knot, point in zip(made.bezier_points, points, strict=True):
            knot.co = point
            knot.handle_left_type = knot.handle_right_type = "AUTO"
    else:
        made.points.add(len(points) - 1)
        for knot, point in zip(made.points, points, strict=True):
            knot.co = (*point, 1.0)
        if kind == "NURBS":
            made.use_endpoint_u, made.order_u = True, 3
    made.use_cyclic_u = closed
    item = bpy.data.objects.new("line", data)
    bpy.context.collection.objects.link(item)
    item.relievo_curve.type = type
    return item


def sketch(width_px: int = 64, height_px: int = 32) -> bpy.types.Object:
    """A plane of 6.4 km by 3.2 km around the world's origin."""
    bpy.ops.relievo.new_sketch(algorithm="terrain", size_m=6400.0, width_px=width_px, height_px=height_px)
    bpy.ops.object.mode_set(mode="OBJECT")
    item = bpy.context.active_object
    item.location = (0.0, 0.0, 0.0)
    bpy.context.view_layer.update()
    return item


def read(collection: str = "") -> list[Line]:
    spec = find(algorithms(), "terrain")
    port = next(port for port in spec.inputs if port.name == "curves")
    bpy.context.view_layer.update()
    (source,) = sources.collect(bpy.context.scene, spec, None, {"curves": f"curves:{collection}"})["curves"]
    return lines_of(check(sources.read(source, port, bpy.context)).values)


def test_points_lie_on_the_sketch_and_numbers_come_with_them(addon) -> None:
    sketch()
    item = spline([(-3200.0, 1600.0, 5.0), (0.0, 0.0, 7.0), (1600.0, -800.0, 9.0)], "ROAD")
    item.relievo_curve.width, item.relievo_curve.slope, item.relievo_curve.strength = 12.0, 5.0, 0.5
    (line,) = read()
    np.testing.assert_allclose(line.points, [[0.0, 0.0], [0.5, 0.5], [0.75, 0.75]], atol=1e-5)
    assert (line.type, line.strength, line.as_drawn) == ("road", 0.5, False)
    assert line.slope == pytest.approx(0.05)
    np.testing.assert_array_equal(line.width_m, 12.0)
    assert np.isnan(line.z_m).all()
    assert np.isnan(line.reach_m)
    item.relievo_curve.use_z = True
    np.testing.assert_allclose(read()[0].z_m, [5.0, 7.0, 9.0], atol=1e-3)


def test_a_sketch_and_a_curve_may_be_turned_and_scaled(addon) -> None:
    plane = sketch()
    plane.rotation_euler, plane.location = (0.0, 0.0, math.radians(90.0)), (1000.0, 0.0, 50.0)
    item = spline([(0.0, 0.0, 0.0), (0.0, 16.0, 0.0)])
    item.location, item.scale = (1000.0, 0.0, 50.0), (100.0, 100.0, 100.0)
    (line,) = read()
    np.testing.assert_allclose(line.points, [[0.5, 0.5], [0.75, 0.5]], atol=1e-5)


def test_a_mesh_that_is_drawn_has_its_border_in_the_outermost_pixels(addon) -> None:
    bpy.ops.mesh.primitive_plane_add(size=990.0, location=(5000.0, 0.0, 0.0))
    ground = bpy.context.active_object
    ground.relievo_class = 2
    settings = bpy.context.scene.relievo.terrain.from_classes
    settings.source, settings.resolution = "DRAWING", 100
    spline([(5000.0 - 495.0, 495.0, 0.0), (5000.0 + 495.0, -495.0, 0.0)])
    (line,) = read()
    np.testing.assert_allclose(line.points, [[0.005, 0.005], [0.995, 0.995]], atol=1e-5)


@pytest.mark.parametrize("kind", ["POLY", "BEZIER", "NURBS"])
def test_splines_of_every_type_go_from_end_to_end(addon, kind: str) -> None:
    sketch()
    item = spline([(-2000.0, 0.0, 0.0), (0.0, 1000.0, 0.0), (2000.0, 0.0, 0.0)], kind=kind)
    item.data.bevel_depth = 50.0
    (line,) = read()
    np.testing.assert_allclose(line.points[[0, -1]], [[0.1875, 0.5], [0.8125, 0.5]], atol=1e-4)
    assert len(line.points) == 3 if kind == "POLY" else len(line.points) > 10
    assert (np.diff(line.points[:, 0]) > 0).all()
    assert len(bpy.data.curves) == 1, "nothing is left behind"


def test_closed_curves_and_several_splines(addon) -> None:
    sketch()
    item = spline([(0.0, 0.0, 0.0), (500.0, 0.0, 0.0), (500.0, 500.0, 0.0)], "COAST", closed=True)
    more = item.data.splines.new("POLY")
    more.points.add(1)
    more.points[0].co, more.points[1].co = (-900.0, 0.0, 0.0, 1.0), (-500.0, 0.0, 0.0, 1.0)
    ring, line = read()
    assert len(ring.points) == 4
    np.testing.assert_array_equal(ring.points[0], ring.points[-1])
    assert len(line.points) == 2


def test_curves_objects_are_lines_too(addon) -> None:
    sketch()
    data = bpy.data.hair_curves.new("hair")
    data.add_curves([3, 2])
    places = [(-1600, 0, 0), (0, 800, 0), (1600, 0, 0), (0, 0, 0), (1600, -800, 0)]
    data.points.foreach_set("position", np.array(places, np.float32).ravel())
    item = bpy.data.objects.new("hair", data)
    bpy.context.collection.objects.link(item)
    item.relievo_curve.type = "RIDGE"
    first, second = read()
    np.testing.assert_allclose(first.points, [[0.25, 0.5], [0.5, 0.25], [0.75, 0.5]], atol=1e-5)
    np.testing.assert_allclose(second.points, [[0.5, 0.5], [0.75, 0.75]], atol=1e-5)


def test_what_is_drawn_in_edit_mode_counts(addon) -> None:
    sketch()
    item = spline([(-500.0, 0.0, 0.0), (500.0, 0.0, 0.0)])
    bpy.context.view_layer.objects.active = item
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.curve.select_all(action="SELECT")
    bpy.ops.curve.subdivide()
    assert len(read()[0].points) == 3


def test_only_curves_with_a_type_over_the_map_in_the_collection_count(addon) -> None:
    sketch()
    spline([(-500.0, 0.0, 0.0), (500.0, 0.0, 0.0)], "NONE")
    spline([(90000.0, 0.0, 0.0), (95000.0, 0.0, 0.0)], "RIDGE")
    spec = find(algorithms(), "terrain")
    bpy.context.view_layer.update()
    assert sources.collect(bpy.context.scene, spec, None)["curves"] == ()
    here = spline([(-500.0, 0.0, 0.0), (500.0, 0.0, 0.0)], "CLIFF")
    assert [line.type for line in read()] == ["cliff"]
    group = bpy.data.collections.new("mine")
    bpy.context.scene.collection.children.link(group)
    assert sources.collect(bpy.context.scene, spec, None, {"curves": "curves:mine"})["curves"] == ()
    group.objects.link(here)
    assert [line.type for line in read("mine")] == ["cliff"]
    here.hide_set(True)
    assert curves.members(bpy.context.scene, "") != [here]


def test_a_map_that_is_gone_is_said(addon) -> None:
    plane = sketch()
    spline([(-500.0, 0.0, 0.0), (500.0, 0.0, 0.0)])
    spec = find(algorithms(), "terrain")
    bpy.context.view_layer.update()
    (source,) = sources.collect(bpy.context.scene, spec, None)["curves"]
    bpy.data.objects.remove(plane)
    with pytest.raises(InvalidInput, match="is gone"):
        curves.read(source, bpy.context)


def test_the_sidebar_counts_curves_and_shows_what_the_active_one_is(addon) -> None:
    sketch()
    assert "No curve with a type" in " ".join(paper.draw(input_panel.RELIEVO_PT_inputs))
    item = spline([(-500.0, 0.0, 0.0), (500.0, 0.0, 0.0)])
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = item
    assert "1 curve on the map" in " ".join(paper.draw(input_panel.RELIEVO_PT_inputs))
    assert curve_panel.RELIEVO_PT_curve.poll(bpy.context)
    drawn = paper.draw(curve_panel.RELIEVO_PT_curve)
    assert "Flow as Drawn" in drawn
    assert "Largest Slope" not in drawn


def test_draw_curve_makes_one_with_a_type_and_goes_to_edit_mode(addon) -> None:
    sketch()
    assert bpy.ops.relievo.draw_curve(type="ROAD") == {"FINISHED"}
    item = bpy.context.active_object
    assert (item.type, item.mode, item.relievo_curve.type) == ("CURVE", "EDIT", "ROAD")
