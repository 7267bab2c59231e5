"""Segmentation from the scene: which class lies topmost at each point of a map, by the pass index of objects or of
materials.

The numbers are those that compositors use (Object Properties > Relations, Material > Settings), so that a scene
prepared for rendering is prepared for Relievo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import bpy
import numpy as np

from ..shared.arrays import CLASS_MAP, Array
from ..shared.errors import InvalidInput
from . import rasterizing
from .meshes import Footprint, footprint, in_samples, triangles


def class_map(
    items: Sequence[bpy.types.Object],
    depsgraph: bpy.types.Depsgraph,
    *,
    by: Literal["OBJECT", "MATERIAL"],
    longest_side_px: int = 512,
    where: Footprint | None = None,
    outside: int = 0,
) -> Array:
    """A CLASS_MAP of the meshes seen from above. where: the map to cover, their own extent if not given. outside:
    class of points without surface. Raises InvalidInput for a pass index above 255.
    """
    seen = triangles(items, depsgraph)
    where = where or footprint(seen, longest_side_px=longest_side_px)
    classes = _classes_of_triangles(items, seen.item, seen.material, by)
    owner = rasterizing.topmost(in_samples(seen, where), seen.corners, where.shape)
    values = np.where(owner >= 0, classes[np.maximum(owner, 0)], outside)
    return Array(CLASS_MAP, values.astype(np.uint8))


def _classes_of_triangles(items: Sequence[bpy.types.Object], item: np.ndarray, slot: np.ndarray, by: str) -> np.ndarray:
    """Pass index of each triangle. An empty material slot counts as 0; a slot number past the last means the last,
    as in Blender.
    """
    classes = np.zeros(len(item), np.int64)
    for number, given in enumerate(items):
        mine = item == number
        if by == "OBJECT":
            classes[mine] = given.pass_index
        elif given.material_slots:
            table = np.array(
                [slot.material.pass_index if slot.material is not None else 0 for slot in given.material_slots]
            )
            classes[mine] = table[np.minimum(slot[mine], len(table) - 1)]
    if classes.max(initial=0) > 255:
        raise InvalidInput(
            f"A pass index of {classes.max()} is too large for a class.", hint="Number the classes from 0 to 255."
        )
    return classes
