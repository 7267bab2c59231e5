"""Finished jobs into the scene: the one place where the add-on changes what the user has, one undo step a result.

The datablocks are made by build/, which builder being a matter of what the outputs are and never of the engine's name. This
module finds the target again, decides what can be done with it, selects and frames, and says why where a result has to wait
for a person.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import bpy

from .. import requests
from ..link.job_records import Job
from ..link.session import Session
from ..readers import scans
from ..shared.algorithm import Arrays
from ..shared.arrays import HEIGHT_MAP, MESH, TEXTURE, ArrayKind
from ..shared.errors import InternalError, InvalidInput, RelievoError
from ..writers import record, terrain, textures
from . import previews, viewport

log = logging.getLogger(__name__)

SHOWN_KEY = "shown"  # in a job's purpose: the name of what its result became


def place(session: Session, job: Job, generation: int, *, anywhere: bool = False) -> bool:
    """Put a result into the scene, or hold it with the reason. True when something has changed.

    anywhere: a person has asked for it in this file, where its target need not be.
    """
    if not anywhere and (reason := _why_not(job, generation)):
        session.hold(job, reason)
        return True
    if bpy.context.mode != "OBJECT":
        return False  # the next tick tries again; sentence_of() says what it waits for
    try:
        made = _build(job, as_new=anywhere)
    except RelievoError as error:
        job.error = error
        session.hold(job, error.message)
        return True
    except Exception as error:  # whatever bpy says: the result is kept and the report can be copied
        log.exception("placing %s", job.label)
        defect = InternalError(
            f"The result could not be put into the scene: {error}.", hint="Copy the report and send it to us."
        )
        job.error = defect
        session.hold(job, defect.message)
        return True
    job.purpose[SHOWN_KEY] = made.name
    job.purpose["shown_uid"] = made.session_uid
    session.mark_applied(job)
    bpy.ops.ed.undo_push(message=job.label)
    return True


def _why_not(job: Job, generation: int) -> str:
    if job.recovered:
        return "finished while Blender was closed"
    if job.purpose.get("generation") != generation:
        return "another file was opened while it ran"
    if job.purpose.get("target") and find_target(job) is None:
        return f"{job.purpose['target']} was deleted while it ran"
    return ""


def find_target(job: Job) -> bpy.types.Object | None:
    """The object that the job is to replace or to texture, wherever its name has gone; None when it was deleted."""
    return record.find(bpy.data.objects, job.purpose.get("target", ""), job.purpose.get("target_uid", 0))


def find_shown(job: Job) -> bpy.types.Object | None:
    """The object that the job's result became, None when it is gone or was only images."""
    return record.find(bpy.data.objects, job.purpose.get(SHOWN_KEY, ""), job.purpose.get("shown_uid", 0))


def sentence_of(job: Job) -> str:
    """The job's own words, or what its result waits for."""
    if job.awaits_placing and bpy.context.mode != "OBJECT":
        return "ready: leave the current mode to place it"
    return job.sentence


# By what the outputs are -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Placing:
    """Where a result goes. target: None for a new thing. stood: where the user has moved its stand-in."""

    job: Job
    outputs: Arrays
    recipe: Mapping[str, Any]
    scene: bpy.types.Scene
    target: bpy.types.Object | None
    stood: tuple[float, float, float] | None


def _build(job: Job, *, as_new: bool) -> bpy.types.ID:
    assert job.outputs is not None
    placing = _Placing(
        job=job,
        outputs=job.outputs,
        recipe=requests.recipe_of(job),
        scene=bpy.data.scenes.get(job.purpose.get("scene", "")) or bpy.context.scene,
        target=None if as_new else find_target(job),
        stood=previews.end(job),
    )
    kinds = {array.kind for given in job.outputs.values() for array in given}
    for kind, placer in _PLACERS.items():
        if kind in kinds:
            return placer(placing)
    raise InvalidInput(f"{job.label} has made nothing that Blender can show.", hint="Update the add-on.")


def _place_terrain(placing: _Placing) -> bpy.types.ID:
    """A terrain object, or the images of one: new, selected and framed, or in the target's place."""
    purpose, outputs = placing.job.purpose, {port: given[0] for port, given in placing.outputs.items() if given}
    if placing.target is not None:
        terrain.replace(placing.target, outputs, kind=purpose["output"], recipe=placing.recipe)
        return placing.target
    made = terrain.make(
        outputs,
        kind=purpose["output"],
        name=placing.job.label,
        location=placing.stood or tuple(purpose.get("location", (0.0, 0.0, 0.0))),
        recipe=placing.recipe,
        scene=placing.scene,
    )
    if isinstance(made, bpy.types.Object):
        viewport.select(made)
        if purpose.get("frame") and not bpy.app.background:
            viewport.frame(made)
    return made


def _place_texture(placing: _Placing) -> bpy.types.ID:
    """A texture on the mesh that it was made for, or in a material by itself."""
    purpose, target = placing.job.purpose, placing.target
    if target is None:
        return textures.make(
            placing.outputs,
            name=purpose.get("target") or placing.job.label,
            depth=purpose["output"],
            uv_layer=purpose.get("uv_layer", ""),
            recipe=placing.recipe,
        )
    textures.put_on(
        target, placing.outputs, depth=purpose["output"], uv_layer=_uv_layer(placing, target), recipe=placing.recipe
    )
    return target


def _uv_layer(placing: _Placing, target: bpy.types.Object) -> str:
    """Name of the UVs that the texture belongs to: those that were sent, or new ones where the backend has made some or the
    user has changed the old ones since.
    """
    sent = placing.job.purpose.get("uv_layer", "")
    returned = next((array for given in placing.outputs.values() for array in given if array.kind is MESH), None)
    if returned is None or (sent and scans.has_uvs(target, returned.values, sent)):
        return sent
    scans.write_uvs(target, returned.values, textures.UV_LAYER)
    return textures.UV_LAYER


_PLACERS: Mapping[ArrayKind, Callable[[_Placing], bpy.types.ID]] = {TEXTURE: _place_texture, HEIGHT_MAP: _place_terrain}
