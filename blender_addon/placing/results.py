"""Finished jobs into the scene: the one place where the add-on changes what the user has, one undo step a result.

The datablocks are made by writers/table.py's row for the form of the engine's result, never by the engine's name. This module finds
the target again, decides what can be done with it, selects and frames, and says why where a result has to wait for a person.
"""

from __future__ import annotations

import logging

import bpy

from .. import requests
from ..link.job_records import Job
from ..link.session import Session
from ..readers import scans
from ..shared.algorithm import Arrays, find
from ..shared.arrays import MESH
from ..shared.catalog import algorithms
from ..shared.errors import InternalError, RelievoError
from ..writers import record, table, textures
from ..writers.table import Result, Writer
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
    """The object that the job's result became, None when it is gone or was none."""
    return record.find(bpy.data.objects, job.purpose.get(SHOWN_KEY, ""), job.purpose.get("shown_uid", 0))


def find_shown_data(job: Job) -> bpy.types.Image | bpy.types.Material | None:
    """The image or material that the job's result became, where it is no object."""
    name, uid = job.purpose.get(SHOWN_KEY, ""), job.purpose.get("shown_uid", 0)
    return record.find(bpy.data.images, name, uid) or record.find(bpy.data.materials, name, uid)


def sentence_of(job: Job) -> str:
    """The job's own words, or what its result waits for."""
    if job.awaits_placing and bpy.context.mode != "OBJECT":
        return "ready: leave the current mode to place it"
    return job.sentence


# By the form of the result ----------------------------------------------------------------------------------------


def writer_of(job: Job) -> Writer:
    """The row of the job's engine. Raises UnknownAlgorithm for a job of a Blender that had more engines."""
    return table.of(job.spec or find(algorithms(), job.algorithm))


def _build(job: Job, *, as_new: bool) -> bpy.types.ID:
    assert job.outputs is not None
    writer, purpose = writer_of(job), job.purpose
    stood = previews.end(job)
    target = None if as_new else find_target(job)
    sent = purpose.get("uv_layer", "")
    result = Result(
        outputs=job.outputs,
        choice=purpose["output"],
        name=(purpose.get("target") if writer.goes_on_mesh else "") or job.label,
        recipe=requests.recipe_of(job),
        scene=bpy.data.scenes.get(purpose.get("scene", "")) or bpy.context.scene,
        location=stood or tuple(purpose.get("location", (0.0, 0.0, 0.0))),
        uv_layer=_uv_layer(job.outputs, target, sent) if writer.goes_on_mesh and target is not None else sent,
    )
    if target is not None:
        writer.put_on(result, target)
        return target
    made = writer.make(result)
    if isinstance(made, bpy.types.Object):
        viewport.select(made)
        if purpose.get("frame") and not bpy.app.background:
            viewport.frame(made)
    return made


def _uv_layer(outputs: Arrays, target: bpy.types.Object, sent: str) -> str:
    """Name of the UVs that a surface's maps belong to: those that were sent, or new ones where the backend has made some or the
    user has changed the old ones since.
    """
    returned = next((array for given in outputs.values() for array in given if array.kind is MESH), None)
    if returned is None or (sent and scans.has_uvs(target, returned.values, sent)):
        return sent
    scans.write_uvs(target, returned.values, textures.UV_LAYER)
    return textures.UV_LAYER
