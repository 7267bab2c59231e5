"""All water that belongs to a terrain: its lakes and seas (water.py) and its rivers (rivers.py)."""

from __future__ import annotations

import bpy

from . import rivers, water

KEYS = (water.KEY, rivers.KEY)


def of(item: bpy.types.Object) -> list[bpy.types.Object]:
    """The waters over a terrain."""
    return [child for child in item.children if any(key in child for key in KEYS)]


def terrain_of(item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The terrain that water belongs to; the object itself where it is no water."""
    is_water = item is not None and item.parent is not None and any(key in item for key in KEYS)
    return item.parent if item is not None and is_water else item
