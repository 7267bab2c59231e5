"""What a new terrain lies over: its source, and earlier results in the same place. Two surfaces in one place show neither, so what
is below is hidden, in views and in renders, for as long as the terrain that covers it is there.

Nothing is deleted or changed otherwise, undo brings it back, and so does deleting the terrain; Show Source does so beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from ..writers import record

KEY = "relievo_covered_by"  # custom property of what is hidden: the name of the terrain that lies over it

_covering: dict[int, int] = {}  # session_uid of what is hidden -> of what covers it, in the file that is open


def find(covers: Sequence[Sequence[object]]) -> list[bpy.types.Object]:
    """The objects of a job's purpose that are still there, from their names and session_uids."""
    found = (record.find(bpy.data.objects, str(name), int(str(uid))) for name, uid in covers)
    return [item for item in found if item is not None]


def cover(made: bpy.types.Object, below: Sequence[bpy.types.Object]) -> None:
    """Hide what lies under a new terrain."""
    for item in below:
        if item == made or not _is_seen(item):
            continue  # the user has hidden it, and it is theirs to show again
        _set_hidden(item, True)
        item[KEY] = made.name
        _covering[item.session_uid] = made.session_uid


def below(made: bpy.types.Object) -> list[bpy.types.Object]:
    """What is hidden under a terrain, or was until it was shown beside it. Cheap enough for draw(): names, no geometry."""
    by = made.session_uid
    return [item for item in bpy.data.objects if KEY in item and item != made and _cover_of(item) in (by, made.name)]


def _cover_of(item: bpy.types.Object) -> int | str:
    """What covers an object: by its session_uid, since it may have been renamed, or by the name that was saved."""
    return _covering.get(item.session_uid, str(item[KEY]))


def show(items: Sequence[bpy.types.Object], *, hidden: bool) -> None:
    """Show them again, or hide them again."""
    for item in items:
        _set_hidden(item, hidden)


def uncover() -> bool:
    """Show what lay under a terrain that a person has deleted. True when there was something."""
    there = {item.session_uid for item in bpy.data.objects} if _covering else set()
    gone = {uid for uid, by in _covering.items() if by not in there}
    for item in [item for item in bpy.data.objects if item.session_uid in gone] if gone else []:
        if KEY in item:  # undone, it is seen and has none
            del item[KEY]
            _set_hidden(item, False)
    for uid in gone:
        del _covering[uid]
    return bool(gone)


def remember() -> None:
    """After a file was opened: what covers what in it."""
    _covering.clear()
    for item in bpy.data.objects:
        by = bpy.data.objects.get(str(item.get(KEY, "")))
        if by is not None:
            _covering[item.session_uid] = by.session_uid


def _is_seen(item: bpy.types.Object) -> bool:
    return item.name in bpy.context.view_layer.objects and not item.hide_get()


def _set_hidden(item: bpy.types.Object, hidden: bool) -> None:
    item.hide_render = hidden
    if item.name in bpy.context.view_layer.objects:
        item.hide_set(hidden)
