"""The meshes that a drawing is made of, from its source: those that carry a class. members() is cheap, for draw()."""

from __future__ import annotations

import bpy

from .. import typed
from ..datablocks import class_tags, covered, sketch
from ..shared.arrays import Array
from . import drawing
from .source import Source

UVS = "UVS"  # option "through": of one mesh by its UVs, and not of all of a collection from above
MESHES = "meshes"  # option: the names of the meshes to draw, of those that were selected
RESOLUTION_PX = 512


def members(scene: bpy.types.Scene, source: Source) -> list[bpy.types.Object]:
    """The meshes of a drawing: those that it names, those of its collection, or all of the scene; of them those that carry a class
    and are in view, or hidden only by a terrain that was made of them. No sketch is one.
    """
    if goes_through_uvs(source):
        item = scene.objects.get(source.name)
        return [item] if item is not None and class_tags.carries_class(item, attribute_of(source)) else []
    collection = bpy.data.collections.get(source.name) if source.name else None
    if source.name and collection is None:
        return []
    found = collection.all_objects if collection is not None else scene.objects
    if MESHES in source.options:
        named = set(source.options[MESHES])
        found = [item for item in found if item.name in named]
    return [item for item in found if _is_drawn(item, attribute_of(source))]


def goes_through_uvs(source: Source) -> bool:
    return source.options.get("through") == UVS


def attribute_of(source: Source) -> str:
    """Name of the attribute that gives faces a class of their own."""
    return str(source.options.get("attribute", class_tags.ATTRIBUTE))


def resolution_of(source: Source) -> int:
    """Pixels along the longer side of the map."""
    return int(source.options.get("resolution_px", RESOLUTION_PX))


def collect(source: Source, context: bpy.types.Context) -> drawing.Drawn:
    """The triangles of a drawing from above. Raises InvalidInput."""
    scene = typed.present(context.scene)
    return drawing.collect(
        members(scene, source),
        context.evaluated_depsgraph_get(),
        longest_side_px=resolution_of(source),
        attribute=attribute_of(source),
    )


def class_map(source: Source, context: bpy.types.Context) -> Array:
    """The CLASS_MAP of a drawing. Raises InvalidInput."""
    outside = int(source.options.get("outside", 0))
    if not goes_through_uvs(source):
        return drawing.class_map(collect(source, context), outside=outside)
    found = members(typed.present(context.scene), source)
    if not found:
        raise drawing.nothing_to_draw()
    return drawing.through_uvs(
        found[0],
        context.evaluated_depsgraph_get(),
        side_px=resolution_of(source),
        attribute=attribute_of(source),
        outside=outside,
    )


def _is_drawn(item: bpy.types.Object, attribute: str) -> bool:
    if not class_tags.carries_class(item, attribute) or sketch.image_of(item) is not None:
        return False
    return item.name in bpy.context.view_layer.objects and (not item.hide_get() or covered.KEY in item)
