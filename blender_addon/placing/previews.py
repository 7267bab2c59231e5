"""A job's result while it is being computed: a stand-in object that follows the previews and goes when the job ends.

The user's own objects are never written to: what is to be replaced, textured or covered is hidden behind the stand-in until then.
A stand-in that the user has touched is theirs from that moment on, and is left alone; one that they delete is a job that they
do not want (was_deleted()). How one looks is the business of writers/preview_objects.py; this module only says when it comes,
changes and goes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import bpy

from ..link.job_records import Job
from ..writers import preview_objects, record, table
from . import companions, covering, image_editors, places, viewport

TAG = record.PREVIEW_KEY
HIDES = "relievo_hides"  # and the names of the objects that it hides, one in a line
INTERVAL_S = 0.1
IDLE_SHARE = 4.0  # the pause behind an update, in terms of what it took: a big mesh must not fill the main thread


@dataclass(frozen=True)
class _Hidden:
    """An object that a stand-in hides, and how it was before."""

    name: str
    uid: int
    was_selected: bool
    was_active: bool


@dataclass
class _StandIn:
    name: str
    uid: int
    look: preview_objects.Look
    fingerprint: tuple
    below: list[
        list[object]
    ]  # what it stands for: names and session_uids of its target, or of what its result will cover
    target_uid: int = 0
    hides: list[_Hidden] = field(default_factory=list)
    next_s: float = 0.0


_stand_ins: dict[str, _StandIn] = {}
_brought: set[tuple[str, str]] = (
    set()
)  # (bpy.data's collection, name) of what stand-ins have brought besides themselves
_given_up: set[str] = set()  # jobs whose stand-in the user has edited or deleted


def show(job: Job, jobs: Iterable[Job]) -> bool:
    """Show the job's latest preview, if it has one and the last is old enough. True when the scene has changed. jobs: all of the
    session's, whose places are kept for them.
    """
    if job.preview is None or job.id in _given_up or bpy.context.mode != "OBJECT":
        return False
    stand_in = _stand_ins.get(job.id)
    if stand_in is not None and time.monotonic() < stand_in.next_s:
        return False
    preview, job.preview = job.preview, None
    started = time.monotonic()
    changed = _create(job, preview, jobs) if stand_in is None else _update(job, stand_in, preview)
    if (stand_in := _stand_ins.get(job.id)) is not None:
        now = time.monotonic()
        stand_in.next_s = now + max(INTERVAL_S, IDLE_SHARE * (now - started))
    return changed


def _create(job: Job, preview: Any, jobs: Iterable[Job]) -> bool:
    look = table.of(job.spec).look(preview) if job.spec is not None else None
    target = record.find(bpy.data.objects, job.purpose.get("target", ""), job.purpose.get("target_uid", 0))
    if look is None or (target is not None and target.name not in bpy.context.view_layer.objects):
        return False
    if target is None:
        places.renew(job, jobs, preview)
    before = _shared_datablocks()
    made = look.make(f"{job.label} (preview)", job.purpose, target)
    if made is None:
        return False
    made[TAG] = job.id
    below = places.noted([target]) if target is not None else list(job.purpose.get("covers", ()))
    target_uid = 0 if target is None else target.session_uid
    stand_in = _StandIn(made.name, made.session_uid, look, look.fingerprint(made), below, target_uid)
    if target is not None:
        made.matrix_world = target.matrix_world
    _hide(stand_in, made, list(_stand_ins.values()))
    _brought.update(_shared_datablocks() - before)
    frames = job.spec is not None and table.of(job.spec).frames
    if frames and job.purpose.get("frame") and target is None and not bpy.app.background:
        viewport.frame(made)
    _stand_ins[job.id] = stand_in
    image_editors.follow(job, look.image_of(made))
    return True


def _update(job: Job, stand_in: _StandIn, preview: Any) -> bool:
    made = _object_of(stand_in)
    if made is None or stand_in.look.fingerprint(made) != stand_in.fingerprint:
        give_up(job)
        return False
    stand_in.look.update(made, preview)
    stand_in.fingerprint = stand_in.look.fingerprint(made)
    image_editors.follow(job, stand_in.look.image_of(made))
    return True


def was_deleted(job: Job) -> bool:
    """Whether a person has deleted the job's stand-in: it was there, and is in no scene any more."""
    stand_in = _stand_ins.get(job.id)
    if stand_in is None:
        return False
    made = _object_of(stand_in)
    return made is None or not made.users_scene


def _object_of(stand_in: _StandIn) -> bpy.types.Object | None:
    made = bpy.data.objects.get(stand_in.name)
    return made if made is not None and made.session_uid == stand_in.uid else None


def give_up(job: Job) -> None:
    """Leave the stand-in to the user: it is an object like any other now."""
    _given_up.add(job.id)
    stand_in = _stand_ins.pop(job.id, None)
    if stand_in is None:
        return
    made = _object_of(stand_in)
    if made is not None:
        _leave(stand_in, made)
    _unhide(stand_in)


def end(job: Job) -> tuple[float, float, float] | None:
    """Take the stand-in away; where it stood, if there was one, else None."""
    stand_in = _stand_ins.pop(job.id, None)
    _given_up.discard(job.id)
    image_editors.end(job)
    if stand_in is None:
        return None
    made = _object_of(stand_in)
    location = (made.location.x, made.location.y, made.location.z) if made is not None else None
    if made is not None:
        if stand_in.look.fingerprint(made) == stand_in.fingerprint:
            _remove(made)
        else:
            _leave(stand_in, made)
    _unhide(stand_in)
    return location


def _leave(stand_in: _StandIn, made: bpy.types.Object) -> None:
    """It is the user's own from now on."""
    stand_in.look.leave(made)
    for key in (TAG, HIDES):
        if key in made:
            del made[key]


def stood_for(item: bpy.types.Object | None) -> str:
    """The object's name if a stand-in hides it at present, else ""."""
    hidden = {entry.uid for stand_in in _stand_ins.values() for entry in stand_in.hides}
    return item.name if item is not None and item.session_uid in hidden else ""


def stands_for(item: bpy.types.Object) -> bpy.types.Object | None:
    """What a stand-in stands for: the first object that it hides. The object itself where it is no stand-in, None where one hides
    nothing."""
    stand_in = next((entry for entry in _stand_ins.values() if entry.uid == item.session_uid), None)
    if stand_in is None:
        return item
    entries = (record.find(bpy.data.objects, entry.name, entry.uid) for entry in stand_in.hides)
    first = next((hidden for hidden in entries if hidden is not None), None)
    return stands_for(first) if first is not None else None  # it may hide another job's stand-in


def was_selected(item: bpy.types.Object, *, active: bool = True) -> bool:
    """Whether the object was selected, and active where that is asked, until a stand-in hid it, as it is at present."""
    entries = (entry for stand_in in _stand_ins.values() for entry in stand_in.hides)
    hidden = [entry for entry in entries if entry.uid == item.session_uid and entry.was_selected]
    return any(entry.was_active or not active for entry in hidden)


# What it stands in for -----------------------------------------------------------------------------------------------


def hide_again() -> None:
    """After a job has ended: what its stand-in has shown again, and what it made, lie below the stand-in of a later job there."""
    earlier: list[_StandIn] = []
    for stand_in in _stand_ins.values():
        if (made := _object_of(stand_in)) is not None:
            _hide(stand_in, made, earlier)
        earlier.append(stand_in)


def _hide(stand_in: _StandIn, made: bpy.types.Object, earlier: list[_StandIn]) -> None:
    """Hide what a stand-in stands for, and what earlier jobs have in the same place: their stand-ins and results."""
    layer = bpy.context.view_layer
    active = layer.objects.active
    for item in _below(stand_in, made, earlier):
        if item.name not in layer.objects or item.hide_get():
            continue  # the user has hidden it, and it stays so afterwards
        stand_in.hides.append(_Hidden(item.name, item.session_uid, item.select_get(), item == active))
        item.hide_set(True)
    made[HIDES] = "\n".join(entry.name for entry in stand_in.hides)


def release(items: list[bpy.types.Object]) -> None:
    """Show objects that stand-ins hide, and leave them so when those go: a result is going to cover them."""
    for stand_in in _stand_ins.values():
        for item in companions.with_water(items):
            if any(entry.uid == item.session_uid for entry in stand_in.hides):
                stand_in.hides = [entry for entry in stand_in.hides if entry.uid != item.session_uid]
                item.hide_set(False)


def _below(stand_in: _StandIn, made: bpy.types.Object, earlier: list[_StandIn]) -> list[bpy.types.Object]:
    found = covering.find(stand_in.below)
    if not stand_in.target_uid and found and made.users_scene:
        found += places.covered(made.users_scene[0], (), (made.location.x, made.location.y, made.location.z))
    for other in earlier:
        item = _object_of(other) if other.target_uid == stand_in.target_uid else None
        if item is not None and (stand_in.target_uid or places.is_at(item, made.location.to_tuple())):
            found.append(item)
    return [item for item in companions.with_water(found) if item != made]


def _unhide(stand_in: _StandIn) -> None:
    """Show what was hidden again, selected and active as it was."""
    layer = bpy.context.view_layer
    for entry in stand_in.hides:
        hidden = record.find(bpy.data.objects, entry.name, entry.uid)
        if hidden is None or hidden.name not in layer.objects:
            continue
        hidden.hide_set(False)
        if entry.was_selected:
            hidden.select_set(True)
        if entry.was_active and layer.objects.active is None:
            layer.objects.active = hidden


def _remove(made: bpy.types.Object) -> None:
    mesh = made.data
    bpy.data.objects.remove(made)
    if isinstance(mesh, bpy.types.Mesh) and not mesh.users:
        bpy.data.meshes.remove(mesh)
    _clean_up()
    bpy.context.view_layer.update()  # until then it lists a None where the object was


def _shared_datablocks() -> set[tuple[str, str]]:
    kinds = ("collections", "materials", "node_groups", "images")
    return {(kind, item.name) for kind in kinds for item in getattr(bpy.data, kind)}


def _clean_up() -> None:
    """What came with stand-ins goes with the last of them, unless something uses it by now."""
    order = ("collections", "materials", "node_groups", "images")  # what a material uses cannot go before it
    for kind, name in sorted(_brought, key=lambda entry: order.index(entry[0])):
        item = getattr(bpy.data, kind).get(name)
        if item is None:
            _brought.discard((kind, name))
        elif not (item.all_objects if kind == "collections" else item.users):
            getattr(bpy.data, kind).remove(item)
            _brought.discard((kind, name))


# A file's life -------------------------------------------------------------------------------------------------------


def forget() -> None:
    """Another file is being loaded: touch nothing of this one any more."""
    _stand_ins.clear()
    image_editors.forget()
    _given_up.clear()
    _brought.clear()


def clear() -> None:
    """Before a save, and when the add-on goes: no stand-in may end up in a file."""
    for id, stand_in in list(_stand_ins.items()):
        del _stand_ins[id]
        made = _object_of(stand_in)
        if made is not None and stand_in.look.fingerprint(made) != stand_in.fingerprint:
            _leave(stand_in, made)
        elif made is not None:
            _remove(made)
        _unhide(stand_in)
    sweep()


def after_history() -> None:
    """After an undo or redo, which knows no stand-ins: one that is gone was not deleted by a person, and comes again."""
    for id, stand_in in list(_stand_ins.items()):
        if _object_of(stand_in) is None:
            del _stand_ins[id]
            _unhide(stand_in)
    sweep()


def sweep() -> None:
    """Remove stand-ins that no running job owns: an undo may bring one back, and hide again what it stood in for."""
    for made in [made for made in bpy.data.objects if TAG in made and made[TAG] not in _stand_ins]:
        for name in str(made.get(HIDES, "")).splitlines():
            hidden = bpy.data.objects.get(name)
            if hidden is not None and hidden.name in bpy.context.view_layer.objects:
                hidden.hide_set(False)
        _remove(made)
