"""The terrain while it is being computed: a stand-in object that follows the job's previews and goes when the job
ends.

The user's own objects are never written to: a terrain that is to be replaced is hidden behind the stand-in until
then. A stand-in that the user has touched is theirs from that moment on, and is left alone.
"""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass

import bpy
import numpy as np

from . import viewport
from .build import terrain
from .job_records import Job
from .shared.arrays import HEIGHT_MAP, Array

TAG = "relievo_preview"  # custom property of a stand-in: the job's id
INTERVAL_S = 0.1


@dataclass
class _StandIn:
    name: str
    uid: int
    fingerprint: tuple
    shape: tuple[int, ...]
    hides: str = ""  # name of the object that it stands in for
    shown_at: float = 0.0


_stand_ins: dict[str, _StandIn] = {}
_brought: set[tuple[str, str]] = (
    set()
)  # (bpy.data's collection, name) of what stand-ins have brought besides themselves
_given_up: set[str] = set()  # jobs whose stand-in the user has edited or deleted


def show(job: Job) -> bool:
    """Show the job's latest preview, if it has one and the last is old enough. True when the scene has changed."""
    if job.preview is None or job.id in _given_up or bpy.context.mode != "OBJECT":
        return False
    stand_in = _stand_ins.get(job.id)
    if stand_in is not None and time.monotonic() - stand_in.shown_at < INTERVAL_S:
        return False
    height = _height(job)
    job.preview = None
    if height is None:
        return False
    if stand_in is None:
        _create(job, height)
        return True
    return _update(job, stand_in, height)


def _height(job: Job) -> Array | None:
    arrays = [array for given in (job.preview or {}).values() for array in given]
    return next((array for array in arrays if array.kind is HEIGHT_MAP), None)


def _create(job: Job, height: Array) -> None:
    location = tuple(job.purpose.get("location", (0.0, 0.0, 0.0)))
    target = bpy.data.objects.get(job.purpose.get("target", ""))
    before = _shared_datablocks()
    made = terrain.make({"height": height}, kind="MESH", name=f"{job.label} (preview)", location=location, recipe={})
    if target is not None:
        made.matrix_world = target.matrix_world
        target.hide_set(True)
    made[TAG] = job.id
    _brought.update(_shared_datablocks() - before)
    if job.purpose.get("frame") and target is None and not bpy.app.background:
        viewport.frame(made)
    _stand_ins[job.id] = _StandIn(
        made.name,
        made.session_uid,
        _fingerprint(made),
        height.values.shape,
        target.name if target is not None else "",
        time.monotonic(),
    )


def _update(job: Job, stand_in: _StandIn, height: Array) -> bool:
    made = bpy.data.objects.get(stand_in.name)
    if made is None or made.session_uid != stand_in.uid or _fingerprint(made) != stand_in.fingerprint:
        give_up(job)
        return False
    if height.values.shape != stand_in.shape:  # a finer level of the pyramid
        old = made.data
        fresh = terrain.make({"height": height}, kind="MESH", name=made.name, location=(0.0, 0.0, 0.0), recipe={})
        made.data, stand_in.shape = fresh.data, height.values.shape
        bpy.data.objects.remove(fresh)
        bpy.data.meshes.remove(old)
    else:
        terrain.update_heights(made, height)
    stand_in.fingerprint, stand_in.shown_at = _fingerprint(made), time.monotonic()
    return True


def _fingerprint(made: bpy.types.Object) -> tuple:
    """Changes when a person edits the mesh, adds a modifier or turns to another mode; not when the object is moved."""
    mesh = made.data
    positions = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.attributes["position"].data.foreach_get("vector", positions)
    return mesh.session_uid, len(mesh.vertices), len(made.modifiers), made.mode, zlib.crc32(positions.data)


def give_up(job: Job) -> None:
    """Leave the stand-in to the user: it is an object like any other now."""
    _given_up.add(job.id)
    stand_in = _stand_ins.pop(job.id, None)
    if stand_in is None:
        return
    made = bpy.data.objects.get(stand_in.name)
    if made is not None and TAG in made:
        del made[TAG]
    _unhide(stand_in)


def end(job: Job) -> tuple[float, float, float] | None:
    """Take the stand-in away; where it stood, if the user has moved it, else None."""
    stand_in = _stand_ins.pop(job.id, None)
    _given_up.discard(job.id)
    if stand_in is None:
        return None
    _unhide(stand_in)
    made = bpy.data.objects.get(stand_in.name)
    if made is None or made.session_uid != stand_in.uid:
        return None
    location = tuple(made.location)
    if _fingerprint(made) == stand_in.fingerprint:
        _remove(made)
    elif TAG in made:
        del made[TAG]
    return location  # type: ignore[return-value]


def _unhide(stand_in: _StandIn) -> None:
    hidden = bpy.data.objects.get(stand_in.hides) if stand_in.hides else None
    if hidden is not None:
        hidden.hide_set(False)


def _remove(made: bpy.types.Object) -> None:
    mesh = made.data
    bpy.data.objects.remove(made)
    if mesh is not None and not mesh.users:
        bpy.data.meshes.remove(mesh)
    _clean_up()
    bpy.context.view_layer.update()  # until then it lists a None where the object was


def _shared_datablocks() -> set[tuple[str, str]]:
    return {
        (kind, item.name) for kind in ("collections", "materials", "node_groups") for item in getattr(bpy.data, kind)
    }


def _clean_up() -> None:
    """What came with stand-ins goes with the last of them, unless something uses it by now."""
    for kind, name in sorted(_brought):  # materials before node groups: what a material uses cannot go before it
        item = getattr(bpy.data, kind).get(name)
        if item is None:
            _brought.discard((kind, name))
        elif not (item.all_objects if kind == "collections" else item.users):
            getattr(bpy.data, kind).remove(item)
            _brought.discard((kind, name))


def forget() -> None:
    """Another file is being loaded: touch nothing of this one any more."""
    _stand_ins.clear()
    _given_up.clear()
    _brought.clear()


def clear() -> None:
    """Before a save, and when the add-on goes: no stand-in may end up in a file."""
    for id, stand_in in list(_stand_ins.items()):
        _unhide(stand_in)
        del _stand_ins[id]
        made = bpy.data.objects.get(stand_in.name)
        if made is not None and TAG in made and _fingerprint(made) != stand_in.fingerprint:
            del made[TAG]  # the user's own by now
    sweep()


def sweep() -> None:
    """Remove stand-ins that no running job owns: an undo may bring one back."""
    for made in [made for made in bpy.data.objects if TAG in made and made[TAG] not in _stand_ins]:
        _remove(made)
