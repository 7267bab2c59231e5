"""Finished jobs into the scene: the one place where the add-on changes what the user has, one undo step a result.

The datablocks are made by build/; this module finds the target again, decides what can be done with it, selects and
frames, and says why where a result has to wait for a person.
"""

from __future__ import annotations

import logging

import bpy

from . import previews, requests, viewport
from .build import record, terrain
from .job_records import Job
from .session import Session
from .shared.errors import InternalError, RelievoError

log = logging.getLogger(__name__)

SHOWN_KEY = "shown"  # in a job's purpose: the name of what its result became


def place(session: Session, job: Job, generation: int, *, anywhere: bool = False) -> bool:
    """Put a result into the scene, or hold it with the reason. True when something has changed.

    anywhere: a person has asked for it as a new object in this file.
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
    """The object that the job is to replace, wherever its name has gone; None when it was deleted."""
    return record.find(bpy.data.objects, job.purpose.get("target", ""), job.purpose.get("target_uid", 0))


def find_shown(job: Job) -> bpy.types.Object | None:
    """The object that the job's result became, None when it is gone or was only images."""
    return record.find(bpy.data.objects, job.purpose.get(SHOWN_KEY, ""), job.purpose.get("shown_uid", 0))


def _build(job: Job, *, as_new: bool) -> bpy.types.ID:
    assert job.outputs is not None
    purpose, recipe = job.purpose, requests.recipe_of(job)
    outputs = {port: given[0] for port, given in job.outputs.items() if given}
    stood = previews.end(job)
    scene = bpy.data.scenes.get(purpose.get("scene", "")) or bpy.context.scene
    target = None if as_new else find_target(job)
    if target is not None:
        terrain.replace(target, outputs, kind=purpose["output"], recipe=recipe)
        made: bpy.types.ID = target
    else:
        location = stood or tuple(purpose.get("location", (0.0, 0.0, 0.0)))
        made = terrain.make(
            outputs, kind=purpose["output"], name=job.label, location=location, recipe=recipe, scene=scene
        )
    if isinstance(made, bpy.types.Object) and target is None:
        viewport.select(made)
        if purpose.get("frame") and not bpy.app.background:
            viewport.frame(made)
    return made


def sentence_of(job: Job) -> str:
    """The job's own words, or what its result waits for."""
    if job.awaits_placing and bpy.context.mode != "OBJECT":
        return "ready: leave the current mode to place it"
    return job.sentence
