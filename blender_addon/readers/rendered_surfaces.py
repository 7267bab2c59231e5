"""The surfaces that a render of the scene would show, as triangles: evaluated meshes, text and curves, with their modifiers and
instances.

Views and renders differ in what they hide and in how finely they subdivide. What a view hides is shown while it is read, and
everything is as before afterwards. Geometry Nodes that ask whether they are in a viewport answer as in a viewport.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import bpy
import numpy as np

from .. import typed
from ..datablocks.segment_tags import SHAPES

By = Literal["OBJECT", "MATERIAL", "COLLECTION"]


@dataclass(frozen=True)
class Surfaces:
    """points: float64 [V, 3] world space, Blender units. corners: int32 [T, 3] of points. label: int32 [T] which of `names` each
    triangle belongs to.
    """

    points: np.ndarray
    corners: np.ndarray
    label: np.ndarray
    names: tuple[str, ...]


def collect(context: bpy.types.Context, by: By) -> Surfaces:
    """All surfaces of the context's view layer that a render would show, labelled by the name of their object, material or
    collection; an instance by the object that it is an instance of. Names are in alphabetical order.
    """
    parts: list[tuple[np.ndarray, np.ndarray, list[str], np.ndarray]] = []
    with _as_rendered(context) as rendered:
        homes = _homes(context.view_layer.layer_collection) if by == "COLLECTION" else {}
        known: dict[tuple[str, int], tuple[np.ndarray, ...]] = {}
        for instance in context.evaluated_depsgraph_get().object_instances:
            item, carrier = typed.present(instance.object), _carrier(instance)
            if not _is_seen(instance, item, carrier, rendered):
                continue
            key = (_original(item).name_full, typed.present(item.data).as_pointer())
            if key not in known or not instance.is_instance:
                known[key] = _read(item)
            local, corners, slots = known[key]
            if not len(corners):
                continue
            world = np.array(instance.matrix_world, np.float64)
            names = _names(item, carrier, by, homes)
            slot = np.minimum(slots, len(names) - 1) if by == "MATERIAL" else np.zeros(len(corners), np.int32)
            parts.append((local @ world[:3, :3].T + world[:3, 3], corners, names, slot))
    return _joined(parts)


def _joined(parts: list[tuple[np.ndarray, np.ndarray, list[str], np.ndarray]]) -> Surfaces:
    names = tuple(sorted({name for _, _, given, _ in parts for name in given}))
    number = {name: place for place, name in enumerate(names)}
    points, corners, labels, offset = [np.empty((0, 3))], [np.empty((0, 3), np.int32)], [np.empty(0, np.int32)], 0
    for places, triangles, given, slot in parts:
        points.append(places)
        corners.append(triangles + np.int32(offset))
        labels.append(np.array([number[name] for name in given], np.int32)[slot])
        offset += len(places)
    return Surfaces(np.concatenate(points), np.concatenate(corners), np.concatenate(labels), names)


def _carrier(instance: bpy.types.DepsgraphObjectInstance) -> bpy.types.Object:
    """The object of the scene that an instance hangs on; of what is none, the object itself."""
    parent = instance.parent if instance.is_instance else None
    return _original(parent or typed.present(instance.object))


def _original(item: bpy.types.Object) -> bpy.types.Object:
    return typed.of(item.original, bpy.types.Object)


def _is_seen(
    instance: bpy.types.DepsgraphObjectInstance, item: bpy.types.Object, carrier: bpy.types.Object, rendered: set[str]
) -> bool:
    original = _original(item)
    if item.type not in SHAPES or carrier.name_full not in rendered:
        return False
    if not original.visible_camera or not carrier.visible_camera:
        return False
    return not original.hide_render if instance.is_instance else instance.show_self


def _read(item: bpy.types.Object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Local positions float64 [V, 3], triangles int32 [T, 3] and their material slots int32 [T]; points that are nowhere (NaN) and
    their triangles are left out.
    """
    mesh = item.to_mesh()
    try:
        if mesh is None or not len(mesh.polygons):
            return np.empty((0, 3)), np.empty((0, 3), np.int32), np.empty(0, np.int32)
        local = np.empty(len(mesh.vertices) * 3, np.float32)
        typed.positions(mesh).foreach_get("vector", local)
        local = local.reshape(-1, 3)
        mesh.calc_loop_triangles()
        count = len(mesh.loop_triangles)
        corners, slots = np.empty(count * 3, np.int32), np.zeros(count, np.int32)
        mesh.loop_triangles.foreach_get("vertices", corners)
        if "material_index" in mesh.attributes:
            mesh.loop_triangles.foreach_get("material_index", slots)
    finally:
        item.to_mesh_clear()
    corners = corners.reshape(-1, 3)
    is_there = np.atleast_1d(np.isfinite(local).all(axis=1))
    if not is_there.all():
        kept = is_there[corners].all(axis=1)
        corners, slots, local = corners[kept], slots[kept], np.where(is_there[:, None], local, 0.0)
    return local.astype(np.float64), corners, slots


def _names(item: bpy.types.Object, carrier: bpy.types.Object, by: By, homes: dict[str, str]) -> list[str]:
    """What an object's triangles are called: one name, or by material one for each slot."""
    if by == "OBJECT":
        return [_original(item).name_full]
    if by == "COLLECTION":
        return [homes.get(carrier.name_full, "")]
    worn = [slot.material.name_full if slot.material is not None else "" for slot in item.material_slots]
    return worn or [""]


def _homes(root: bpy.types.LayerCollection) -> dict[str, str]:
    """The first collection that each object lies in, by their names."""
    found: dict[str, str] = {}
    for layer in _layers(root):
        for item in layer.collection.objects:
            found.setdefault(item.name_full, layer.collection.name_full)
    return found


def _layers(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.LayerCollection]:
    """The layer collections that a render shows, from the root down."""
    if layer.exclude or layer.collection.hide_render:
        return
    yield layer
    for child in layer.children:
        yield from _layers(child)


@contextmanager
def _as_rendered(context: bpy.types.Context) -> Iterator[set[str]]:
    """The names of the objects that a render shows, while the view layer shows them as the render would."""
    layer = context.view_layer
    before: list[tuple[Any, str, Any]] = []
    hidden: list[bpy.types.Object] = []

    def put(owner: Any, name: str, value: object) -> None:
        if getattr(owner, name) != value:
            before.append((owner, name, getattr(owner, name)))
            setattr(owner, name, value)

    try:
        shown = list(_layers(layer.layer_collection))
        for entry in shown:
            put(entry, "hide_viewport", False)
            put(entry.collection, "hide_viewport", False)
        items = {item.name_full: item for entry in shown for item in entry.collection.objects if not item.hide_render}
        for item in items.values():
            put(item, "hide_viewport", False)
            if item.hide_get(view_layer=layer):
                item.hide_set(False, view_layer=layer)
                hidden.append(item)
            put(item, "show_instancer_for_viewport", item.show_instancer_for_render)
            for modifier in item.modifiers if item.library is None else ():
                put(modifier, "show_viewport", modifier.show_render)
                if isinstance(modifier, bpy.types.SubsurfModifier | bpy.types.MultiresModifier):
                    put(modifier, "levels", modifier.render_levels)
        layer.update()
        yield set(items)
    finally:
        for owner, name, value in reversed(before):
            setattr(owner, name, value)
        for item in hidden:
            item.hide_set(True, view_layer=layer)
        if before or hidden:
            layer.update()
