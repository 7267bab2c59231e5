"""Rivers over a terrain: a child of it that is a ribbon of water or a curve, made new or renewed in place.

A ribbon has the material of the lakes and UVs that run with the flow. A curve has a spline per river whose radius is half its
width. Neither changes the ground.
"""

from __future__ import annotations

from collections.abc import Mapping

import bpy
import numpy as np

from .. import typed
from ..datablocks import curve_tags
from ..shared.arrays import CURVES, Array
from ..shared.curves import Line, lines_of
from . import river_ribbons, water
from .river_ribbons import Course, Ribbon

PORT = "rivers"
KEY = "relievo_rivers"  # custom property of rivers: which of the choices they are
UV_LAYER = "UVMap"
RIBBON, CURVE, NONE = "RIBBON", "CURVE", "NONE"
ITEMS = (
    (
        RIBBON,
        "Water Ribbon",
        "A strip of water as wide as each river, with UVs that run with the flow",
        "MOD_FLUIDSIM",
        0,
    ),
    (
        CURVE,
        "Curve",
        "A curve with the rivers' widths as its radius, for editing and for your own nodes",
        "CURVE_DATA",
        1,
    ),
    (NONE, "None", "No rivers", "X", 2),
)


def taken(outputs: Mapping[str, Array]) -> tuple[dict[str, Array], Array | None]:
    """The outputs without the rivers, and those; None where the engine makes none."""
    found = outputs.get(PORT)
    if found is None or found.kind is not CURVES:
        return dict(outputs), None
    return {name: array for name, array in outputs.items() if name != PORT}, found


def of(item: bpy.types.Object) -> bpy.types.Object | None:
    """The rivers over a terrain, None where it has none."""
    return next((child for child in item.children if KEY in child), None)


def renew(item: bpy.types.Object, heights: Array, found: Array | None, choice: str) -> None:
    """Give a terrain its rivers, or other rivers than it had; none take away what it had."""
    lines = lines_of(found.values) if found is not None and choice != NONE else []
    lines = [line for line in lines if line.type == "river"]
    old = of(item)
    if old is not None and (not lines or old[KEY] != choice):
        _remove(old)
        old = None
    if not lines:
        return
    courses = river_ribbons.courses(lines, heights.values, heights.pixel_size_m)
    made = old or _new(item, choice)
    if choice == CURVE:
        _fill_curve(typed.of(made.data, bpy.types.Curve), courses, lines)
    else:
        surface = river_ribbons.ribbon(courses, heights.values, heights.pixel_size_m)
        _fill_mesh(typed.mesh(made), typed.present(surface))


def _new(item: bpy.types.Object, choice: str) -> bpy.types.Object:
    name = f"{item.name} Rivers"
    data = bpy.data.curves.new(name, "CURVE") if choice == CURVE else bpy.data.meshes.new(name)
    made = bpy.data.objects.new(name, data)
    made[KEY] = choice
    made.parent = item
    for collection in item.users_collection:
        collection.objects.link(made)
    if isinstance(data, bpy.types.Curve):
        data.dimensions = "3D"
        curve_tags.settle_river(made)
    data.materials.append(water.material())
    return made


def _remove(made: bpy.types.Object) -> None:
    data = made.data
    bpy.data.objects.remove(made)
    if data is not None and not data.users:
        bpy.data.batch_remove([data])


def _fill_mesh(mesh: bpy.types.Mesh, made: Ribbon) -> None:
    water.fill(mesh, made.positions, made.corners, made.depth)
    layer = mesh.uv_layers.get(UV_LAYER) or mesh.uv_layers.new(name=UV_LAYER)
    layer.uv.foreach_set("vector", np.ascontiguousarray(made.uv[made.corners.ravel()]).ravel())


def _fill_curve(data: bpy.types.Curve, courses: list[Course], lines: list[Line]) -> None:
    """A spline per river, a point per pixel."""
    data.splines.clear()
    for course, line in zip(courses, lines, strict=True):
        spline = data.splines.new("POLY")
        count = len(line.points)
        spline.points.add(count - 1)
        places = np.ones((count, 4), np.float32)
        places[:, :3] = course.points[::2]
        spline.points.foreach_set("co", places.ravel())
        spline.points.foreach_set("radius", np.ascontiguousarray(course.half_width[::2], np.float32))
