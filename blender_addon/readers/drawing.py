"""A sketch drawn from the scene: the class of what lies topmost at each point, of meshes that carry one, seen straight from above;
or the classes of one mesh laid out by its UVs. Exact class numbers, no smoothing.

A face has the class of its attribute, else of its material, else of its object. What has none is not drawn and hides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from .. import typed
from ..datablocks import class_tags
from ..shared.arrays import CLASS_MAP, Array, height_map
from ..shared.errors import InvalidInput
from . import meshes, rasterizing
from .meshes import Footprint, Triangles


@dataclass(frozen=True)
class Drawn:
    """The triangles that have a class. classes: int32 [T] of each. where: the map that covers them."""

    seen: Triangles
    classes: np.ndarray
    where: Footprint


def collect(
    items: Sequence[bpy.types.Object], depsgraph: bpy.types.Depsgraph, *, longest_side_px: int, attribute: str
) -> Drawn:
    """What there is to draw. Raises InvalidInput where nothing has a class, or has no extent seen from above."""
    if not items:
        raise nothing_to_draw()
    full = [item for item in items if len(typed.mesh(item).polygons) or item.modifiers]
    if not full:
        raise InvalidInput(f"The mesh {items[0].name!r} has no faces.", hint="Fill it, or take its class away.")
    seen = meshes.triangles(full, depsgraph, attribute=attribute)
    classes = of_triangles(full, seen)
    kept = np.flatnonzero(classes >= 0)
    if not len(kept):
        raise InvalidInput("No face carries a class.", hint="Give the meshes or their materials one under Class.")
    used, corners = np.unique(seen.corners[kept], return_inverse=True)
    parts = (seen.material[kept], seen.item[kept], seen.label[kept])
    seen = Triangles(seen.points[used], corners.reshape(-1, 3).astype(np.int32), *parts)
    return Drawn(seen, classes[kept], meshes.footprint(seen, longest_side_px=longest_side_px))


def nothing_to_draw() -> InvalidInput:
    """The error where no mesh carries a class any more."""
    return InvalidInput("No mesh carries a class.", hint="Select one and set its class under Class.")


def class_map(drawn: Drawn, *, outside: int) -> Array:
    """A CLASS_MAP [H, W], the top row at the largest Y. outside: the class where nothing is drawn."""
    points = meshes.in_samples(drawn.seen, drawn.where)
    owner = rasterizing.topmost(points, drawn.seen.corners, drawn.where.shape)
    values = np.where(owner >= 0, drawn.classes[np.maximum(owner, 0)], outside)
    return Array(CLASS_MAP, values.astype(np.uint8))


def heights(drawn: Drawn) -> Array:
    """The topmost heights of what is drawn, metres; the lowest of them where nothing is."""
    points = meshes.in_samples(drawn.seen, drawn.where)
    found = rasterizing.highest(points, drawn.seen.corners, drawn.where.shape)
    return height_map(np.where(np.isnan(found), np.nanmin(found), found), drawn.where.pixel_size_m)


def through_uvs(
    item: bpy.types.Object, depsgraph: bpy.types.Depsgraph, *, side_px: int, attribute: str, outside: int
) -> Array:
    """A CLASS_MAP [side_px, side_px] over the unit square of the mesh's active UVs, v up. outside: the class where no face lies. Of
    faces that lie over each other the last one counts. Raises InvalidInput for a mesh without UVs, faces or classes.
    """
    seen = meshes.triangles(item, depsgraph, attribute=attribute)
    evaluated = item.evaluated_get(depsgraph)
    mesh = evaluated.to_mesh()
    try:
        if not mesh.uv_layers.active:
            raise InvalidInput(f"The mesh {item.name!r} has no UVs.", hint="Unwrap it, or draw it from above.")
        uv = np.empty(len(mesh.loops) * 2, np.float32)
        mesh.uv_layers.active.uv.foreach_get("vector", uv)
        mesh.calc_loop_triangles()
        corners = np.empty(len(mesh.loop_triangles) * 3, np.int32)
        mesh.loop_triangles.foreach_get("loops", corners)
    finally:
        evaluated.to_mesh_clear()
    classes = of_triangles([item], seen)
    kept = np.flatnonzero(classes >= 0)
    if not len(kept):
        raise InvalidInput(
            f"No face of {item.name!r} carries a class.", hint="Give it or its materials one under Class."
        )
    u, v = uv.reshape(-1, 2).astype(np.float64).T
    points = np.stack([u * side_px - 0.5, (1.0 - v) * side_px - 0.5, np.zeros_like(u)], axis=-1)
    owner = rasterizing.topmost(points, corners.reshape(-1, 3)[kept], (side_px, side_px))
    return Array(CLASS_MAP, np.where(owner >= 0, classes[kept][np.maximum(owner, 0)], outside).astype(np.uint8))


def of_triangles(items: Sequence[bpy.types.Object], seen: Triangles) -> np.ndarray:
    """int32 [T]: the class of each triangle, below 0 for none. Slots beyond the last mean the last, as in Blender. Raises
    InvalidInput for a class above 255.
    """
    classes = seen.label.copy()
    for number, item in enumerate(items):
        open_faces = (seen.item == number) & (classes < 0)
        if item.material_slots:
            table = np.array([class_tags.of(slot.material) for slot in item.material_slots], np.int32)
            classes[open_faces] = table[np.minimum(seen.material[open_faces], len(table) - 1)]
        classes[open_faces & (classes < 0)] = class_tags.of(item)
    if classes.max(initial=0) > 255:
        raise InvalidInput(f"A face has the class {classes.max()}.", hint="Classes are numbered from 0 to 255.")
    return classes
