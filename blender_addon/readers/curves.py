"""Curves of the scene that carry a type -> lines on a map: Bezier, NURBS and poly splines, and Curves objects, as they are in edit
mode, too.

What a curve is drawn as (bevel, fill) and its modifiers do not count. Heights are taken only where the curve says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np

from .. import typed
from ..datablocks import curve_tags
from ..shared.arrays import CURVES, Array
from ..shared.curves import FARTHEST, Line, rows_of
from ..shared.errors import InvalidInput
from ..units import metres_per_unit
from . import map_frames
from .map_frames import Frame
from .source import Source, from_json


def members(scene: bpy.types.Scene, collection: str) -> list[bpy.types.Object]:
    """The curves of a collection, or of the scene, that carry a type and are in view. Cheap: for draw()."""
    given = bpy.data.collections.get(collection) if collection else None
    if collection and given is None:
        return []
    found = given.all_objects if given is not None else scene.objects
    there = bpy.context.view_layer.objects
    return [item for item in found if curve_tags.type_of(item) and item.name in there and not item.hide_get()]


def frames(scene: bpy.types.Scene, source: Source) -> list[Frame]:
    """The maps that the curves of a source may lie on. Cheap."""
    maps = [from_json(entry) for entry in source.options.get("maps", ())]
    return [found for found in (map_frames.frame_of(scene, entry) for entry in maps) if found is not None]


def over(items: Sequence[bpy.types.Object], where: Sequence[Frame]) -> list[bpy.types.Object]:
    """Those whose box lies over one of the maps. Cheap."""
    return [item for item in items if any(frame.is_over(map_frames.corners_of(item)) for frame in where)]


def read(source: Source, context: bpy.types.Context) -> Array:
    """The CURVES of a source. Raises InvalidInput where none lies on the map, or has points that are nowhere."""
    scene = typed.present(context.scene)
    where = frames(scene, source)
    if not where:
        raise InvalidInput(
            "The map that the curves lie on is gone, or lies nowhere in the scene.", hint="Pick another under From."
        )
    context.evaluated_depsgraph_get().update()
    scale = metres_per_unit(scene)
    lines = [line for item in members(scene, source.name) for line in _lines(item, where, scale)]
    if not lines:
        raise InvalidInput(
            "No curve with a type lies on the map.", hint="Draw one over it and set its type under Curve."
        )
    return Array(CURVES, rows_of(lines))


def _lines(item: bpy.types.Object, where: Sequence[Frame], scale: float) -> list[Line]:
    """An object's splines on the first of the maps that one of them touches."""
    splines = [_in_world(item, points) for points in _splines(item)]
    for frame in where:
        found = [spline for spline in splines if len(spline) > 1 and frame.is_over(spline)]
        if found:
            return [_line(item, frame.shares(spline), scale) for spline in found]
    return []


def _line(item: bpy.types.Object, places: np.ndarray, scale: float) -> Line:
    settings: Any = curve_tags.of(item)
    if not np.isfinite(places).all() or np.abs(places[:, :2]).max() > FARTHEST:
        raise InvalidInput(
            f"The curve {item.name!r} has points that are nowhere near the map.", hint="Delete them.", field=item.name
        )

    def length(value: float) -> float:
        return value * scale if value else np.nan

    return Line(
        type=curve_tags.type_of(item),
        points=places[:, :2],
        z_m=places[:, 2] * scale if settings.use_z else np.nan,
        width_m=length(settings.width),
        amount_m=length(settings.amount),
        reach_m=length(settings.reach),
        slope=settings.slope / 100.0,
        strength=settings.strength,
        as_drawn=settings.as_drawn,
    )


def _in_world(item: bpy.types.Object, points: np.ndarray) -> np.ndarray:
    world = np.array(item.matrix_world, np.float64)
    return points @ world[:3, :3].T + world[:3, 3]


def _splines(item: bpy.types.Object) -> list[np.ndarray]:
    """The points of each spline [n, 3] in the object's own space."""
    if item.mode == "EDIT":
        item.update_from_editmode()
    return _of_curves(item.data) if item.type == "CURVES" else _of_splines(typed.of(item.data, bpy.types.Curve))


def _of_curves(data: Any) -> list[np.ndarray]:
    points = np.empty(len(data.points) * 3, np.float32)
    data.points.foreach_get("position", points)
    parts = np.split(points.reshape(-1, 3).astype(np.float64), [curve.first_point_index for curve in data.curves][1:])
    return parts if len(data.curves) else []


def _of_splines(data: bpy.types.Curve) -> list[np.ndarray]:
    """Blender's own evaluation of the splines, of a copy that is drawn as bare lines."""
    bare = data.copy()
    mesh = helper = None
    try:
        bare.dimensions, bare.bevel_depth, bare.extrude, bare.offset = "3D", 0.0, 0.0, 0.0
        bare.bevel_object = bare.taper_object = None
        helper = bpy.data.objects.new("relievo line", bare)
        mesh = bpy.data.meshes.new_from_object(helper)
        return _chains(mesh)
    finally:
        if mesh is not None:
            bpy.data.meshes.remove(mesh)
        if helper is not None:
            bpy.data.objects.remove(helper)
        bpy.data.curves.remove(bare)


def _chains(mesh: bpy.types.Mesh) -> list[np.ndarray]:
    """The points of each run of vertices that edges join one after the other; a closed one ends where it begins."""
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3).astype(np.float64)
    edges = np.empty(len(mesh.edges) * 2, np.int32)
    mesh.edges.foreach_get("vertices", edges)
    low, high = np.sort(edges.reshape(-1, 2), axis=1).T
    follows = np.zeros(len(points), bool)
    follows[high[high == low + 1]] = True
    starts = np.flatnonzero(~follows)
    closing = {int(start): int(end) for start, end in zip(low, high, strict=True) if end > start + 1}
    made = []
    for start, end in zip(starts, [*starts[1:], len(points)], strict=True):
        chain = points[start:end]
        is_closed = closing.get(int(start)) == end - 1
        made.append(np.concatenate([chain, chain[:1]]) if is_closed else chain)
    return made
