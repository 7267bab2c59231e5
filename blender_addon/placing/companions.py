"""What stands with a terrain and makes no sense without it: its lakes and rivers. A person deletes the terrain alone, and its water
goes too.

Water that a person has taken off its terrain (Clear Parent) is theirs and stays.
"""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from ..writers import waters

_waters: dict[int, int] = {}  # session_uid of water -> of its terrain, in the file that is open


def with_water(items: Iterable[bpy.types.Object]) -> list[bpy.types.Object]:
    """The objects, and behind them the water of those that have some."""
    items = list(items)
    return [*items, *(made for item in items for made in waters.of(item) if made not in items)]


def note(item: bpy.types.Object) -> None:
    """Remember that an object's water goes with it."""
    for made in waters.of(item):
        _waters[made.session_uid] = item.session_uid


def remember() -> None:
    """After a file was opened: which waters are in it."""
    _waters.clear()
    for item in bpy.data.objects:
        note(item)


def sweep() -> bool:
    """Remove the water of terrains that a person has deleted. True when there was some. Cheap where a file has no water."""
    there = {item.session_uid: item for item in bpy.data.objects} if _waters else {}
    changed = False
    for uid in [uid for uid, terrain in _waters.items() if terrain not in there]:
        made = there.get(uid)
        del _waters[uid]
        if made is not None and made.parent is None:
            remove(made)
            changed = True
    return changed


def remove(item: bpy.types.Object) -> None:
    """An object and the mesh or the curve that only it used."""
    data = item.data
    bpy.data.objects.remove(item)
    if isinstance(data, (bpy.types.Mesh, bpy.types.Curve)) and not data.users:
        bpy.data.batch_remove([data])
