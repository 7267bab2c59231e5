"""What a new terrain lies over: its source, and earlier results in the same place. Two surfaces in one place show neither, so what
is below is hidden, in views and in renders, for as long as the terrain that covers it is there.

Nothing is deleted or changed otherwise, undo brings it back, and so does deleting the terrain; Show Source does so beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from ..datablocks.covered import KEY as KEY
from ..writers import record
from . import companions

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
    """What is hidden under a terrain, or was until it was shown beside it, from its surface down."""
    return [item for layer in layers(made) for item in layer]


def layers(made: bpy.types.Object) -> list[list[bpy.types.Object]]:
    """What it covers itself, then what that covers, and so on: a sketch of several meshes is one layer. Cheap enough for draw():
    names, no geometry.
    """
    covered = [item for item in bpy.data.objects if KEY in item]
    found: list[list[bpy.types.Object]] = []
    last, seen = [made], {made}
    while last:
        names = {over.session_uid for over in last} | {over.name for over in last}
        last = [item for item in covered if _cover_of(item) in names and item not in seen]
        seen.update(last)
        found += [last] if last else []
    return found


def _cover_of(item: bpy.types.Object) -> int | str:
    """What covers an object: by its session_uid, since it may have been renamed, or by the name that was saved."""
    return _covering.get(item.session_uid, str(item[KEY]))


def show(items: Sequence[bpy.types.Object], *, hidden: bool) -> None:
    """Show them again, or hide them again."""
    for item in items:
        _set_hidden(item, hidden)


def uncover() -> bool:
    """Show what lay under a terrain that a person has deleted, unless another lies over both. True when there was something."""
    there = {item.session_uid: item for item in bpy.data.objects} if _covering else {}
    gone = {uid: _next_over(by, there) for uid, by in _covering.items() if by not in there}
    for uid, over in gone.items():
        item = there.get(uid)
        if item is None or KEY not in item:  # undone, it is seen and has none
            continue
        if over is None:
            del item[KEY]
            _set_hidden(item, False)
        else:
            item[KEY] = over.name
    for uid, over in gone.items():
        if over is None or uid not in there:
            del _covering[uid]
        else:
            _covering[uid] = over.session_uid
    return bool(gone)


def _next_over(by: int, there: dict[int, bpy.types.Object]) -> bpy.types.Object | None:
    """What lies over a terrain that is gone, None for nothing."""
    while by not in there and by in _covering:
        by = _covering[by]
    return there.get(by)


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
    for each in companions.with_water([item]):
        each.hide_render = hidden
        if each.name in bpy.context.view_layer.objects:
            each.hide_set(hidden)
