"""Finished jobs into the scene: the one place where the add-on changes what the user has, one undo step a result.

The datablocks are made by writers/table.py's row for the form of the engine's result, never by the engine's name. This module finds
the target again, decides what can be done with it, selects and frames, and says why where a result has to wait for a person.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import bpy

from .. import requests, typed
from ..link.job_records import Job
from ..link.session import Session
from ..readers import scans
from ..settings import scattering, wearing
from ..shared.algorithm import Arrays, find
from ..shared.arrays import MESH
from ..shared.catalog import algorithms
from ..shared.errors import InternalError, RelievoError
from ..writers import record, rivers, table, textures
from ..writers.paintings import canvas_materials
from ..writers.table import Preparing, Result, Writer
from . import companions, covering, image_editors, paint_mode, places, previews, variations, viewport

log = logging.getLogger(__name__)

SHOWN_KEY = "shown"  # in a job's purpose: the name of what its result became
JOB_KEY = (
    "relievo_job"  # custom property of what a result became: its job's id, by which it is found in a file opened again
)


@dataclass
class _Preparing:
    """A large result that is put together in steps."""

    steps: Preparing
    share: float = 0.0
    is_done: bool = False
    made: Any = None


_preparing: dict[str, _Preparing] = {}  # by job id


def place(session: Session, job: Job, generation: int, *, anywhere: bool = False, in_steps: bool | None = None) -> bool:
    """Put a result into the scene, or hold it with the reason. True when something has changed.

    anywhere: a person has asked for it in this file, where its target need not be. in_steps: do a part of it that takes a
    fraction of a second, and the rest in further calls; by default so in a window, unless a person waits for it.
    """
    is_variation = "variation" in job.purpose and not anywhere
    if is_variation and variations.original_of(job) is None:  # nobody is going to choose one any more
        session.discard(job)
        return True
    if not anywhere and (reason := _why_not(job, generation)):
        session.hold(job, reason)
        return True
    if not _can_place_now(job):
        return False  # the next tick tries again; sentence_of() says what it waits for
    try:
        steps = not (anywhere or bpy.app.background) if in_steps is None else in_steps
        if not _is_prepared(job, as_new=anywhere, at_once=not steps):
            return True
        before = _datablocks() if _is_quiet(job) else frozenset()
        made = _build(job, session, as_new=anywhere)
    except RelievoError as error:
        forget(job)
        job.error = error
        session.hold(job, error.message)
        return True
    except Exception as error:  # whatever bpy says: the result is kept and the report can be copied
        log.exception("placing %s", job.label)
        forget(job)
        defect = InternalError(
            f"The result could not be put into the scene: {error}.", hint="Copy the report and send it to us."
        )
        job.error = defect
        session.hold(job, defect.message)
        return True
    job.purpose[SHOWN_KEY] = made.name
    job.purpose["shown_uid"] = made.session_uid
    made[JOB_KEY] = job.id
    image_editors.follow(job, _picture_of(made), is_result=True)
    session.mark_applied(job)
    if is_variation:
        return True  # all of a strip is one step of undo: variations.settle()
    if not _is_quiet(job) or _datablocks() != before:
        _push_undo(job.label)
    return True


def _picture_of(made: bpy.types.ID) -> bpy.types.Image | None:
    """The base colour of a surface that was made, or the picture of a canvas, for an Image Editor."""
    if isinstance(made, bpy.types.Image):
        return made
    if (
        isinstance(made, bpy.types.Object)
        and made.type == "MESH"
        and (shown := canvas_materials.picture_of(made)) is not None
    ):
        return shown
    material = textures.worn_by(made) if isinstance(made, bpy.types.Object) else made
    return textures.image_of(material) if isinstance(material, bpy.types.Material) else None


def _datablocks() -> frozenset[int]:
    """All that a result may bring or take away, by session_uid."""
    kinds = (
        "objects",
        "meshes",
        "materials",
        "images",
        "node_groups",
        "collections",
        "textures",
        "curves",
        "hair_curves",
        "texts",
    )
    return frozenset(item.session_uid for kind in kinds for item in getattr(bpy.data, kind))


def _push_undo(label: str) -> None:
    """One step, of the whole file: in Texture Paint Blender would take it for one of the image, and go back to datablocks that are
    gone (it crashes). A context without an active object is in no mode.
    """
    if bpy.context.mode == "OBJECT":
        bpy.ops.ed.undo_push(message=label)
        return
    override = bpy.context.temp_override(active_object=None, object=None)
    with override:  # pyright: ignore[reportGeneralTypeIssues]  # its __enter__ is not declared
        bpy.ops.ed.undo_push(message=label)


def _can_place_now(job: Job) -> bool:
    """Results go into the scene in Object Mode; those that lie beside what a person paints on also between two strokes."""
    if bpy.context.mode == "OBJECT":
        return True
    return _goes_beside_painting(job) and not paint_mode.is_stroke_going_on()


def _goes_beside_painting(job: Job) -> bool:
    return bpy.context.mode == "PAINT_TEXTURE" and bool(job.purpose.get("beside"))


def _is_quiet(job: Job) -> bool:
    """Whether selection, view and, where no datablock comes or goes, undo stay as they are: for drafts, and while a person paints,
    whose undo is that of strokes.
    """
    return bool(job.purpose.get("draft")) or bpy.context.mode != "OBJECT"


def _why_not(job: Job, generation: int) -> str:
    if job.recovered:
        return "finished while Blender was closed"
    if job.purpose.get("generation") != generation:
        return "another file was opened while it ran"
    if job.purpose.get("target") and find_target(job) is None:
        return f"{job.purpose['target']} was deleted while it ran"
    return ""


def find_target(job: Job) -> bpy.types.Object | None:
    """The object that the job is to replace or to texture, wherever its name has gone; None when it was deleted. A sketch has one
    terrain: what an earlier job has made of it by now is replaced.
    """
    purpose = job.purpose
    if purpose.get("target") or not purpose.get(requests.RESULT_OF):
        return record.find(bpy.data.objects, purpose.get("target", ""), purpose.get("target_uid", 0))
    scene = bpy.data.scenes.get(purpose.get("scene", "")) or typed.present(bpy.context.scene)
    return requests.result_of(scene, purpose[requests.RESULT_OF])


def find_shown(job: Job) -> bpy.types.Object | None:
    """The object that the job's result became, None when it is gone or was none."""
    return _find_shown(job, bpy.data.objects)


def find_shown_data(job: Job) -> bpy.types.Image | bpy.types.Material | None:
    """The image or material that the job's result became, where it is no object."""
    return _find_shown(job, bpy.data.images) or _find_shown(job, bpy.data.materials)


def _find_shown(job: Job, datablocks: bpy.types.bpy_prop_collection) -> Any:
    name, uid = job.purpose.get(SHOWN_KEY, ""), job.purpose.get("shown_uid", 0)
    found = record.find(datablocks, name, uid)
    return found or next((item for item in datablocks if item.get(JOB_KEY) == job.id), None)


def sentence_of(job: Job) -> str:
    """The job's own words, or what its result waits for."""
    return sentences_of(job)[0]


def sentences_of(job: Job) -> tuple[str, ...]:
    """The same, and in fewer words where there are such."""
    if (share := preparing_share(job)) is not None:
        return (f"placing it in the scene, {share:.0%}".replace("%", " %"),)
    if job.awaits_placing and bpy.context.mode != "OBJECT" and not _goes_beside_painting(job):
        return ("ready: leave the current mode to place it", "ready, leave this mode to place it", "leave this mode")
    return job.sentences


# By the form of the result ----------------------------------------------------------------------------------------


def writer_of(job: Job) -> Writer:
    """The row of the job's engine. Raises UnknownAlgorithm for a job of a Blender that had more engines."""
    return table.of(job.spec or find(algorithms(), job.algorithm))


def _is_prepared(job: Job, *, as_new: bool, at_once: bool) -> bool:
    """Whether everything slow is done: a step of it is made in each call, so that the window stays alive, or all at once."""
    assert job.outputs is not None
    if job.id not in _preparing:
        target = None if as_new else find_target(job)
        _preparing[job.id] = _Preparing(writer_of(job).prepare(_result_of(job, target), target))
    preparing = _preparing[job.id]
    while not preparing.is_done:
        try:
            preparing.share = next(preparing.steps)
        except StopIteration as done:
            preparing.is_done, preparing.made = True, done.value
        except ReferenceError:  # an undo has taken what was made so far: from the beginning
            del _preparing[job.id]
            return _is_prepared(job, as_new=as_new, at_once=at_once)
        if not at_once and not preparing.is_done:
            return False
    return True


def _result_of(job: Job, target: bpy.types.Object | None) -> Result:
    assert job.outputs is not None
    writer, purpose = writer_of(job), job.purpose
    sent = purpose.get("uv_layer", "")
    return Result(
        outputs=job.outputs,
        choice=purpose["output"],
        name=(purpose.get("target") if writer.goes_on_mesh else "") or job.label,
        recipe=requests.recipe_of(job),
        scene=bpy.data.scenes.get(purpose.get("scene", "")) or typed.present(bpy.context.scene),
        location=tuple(purpose.get("location", (0.0, 0.0, 0.0))),
        uv_layer=sent,
        rivers=purpose.get(requests.RIVERS, rivers.NONE),  # recipes of earlier versions know of none
    )


def _build(job: Job, session: Session, *, as_new: bool) -> bpy.types.ID:
    assert job.outputs is not None
    writer, purpose = writer_of(job), job.purpose
    original = variations.original_of(job) if "variation" in purpose and not as_new else None
    if original is not None:
        return _build_variation(job, original)
    stood = previews.end(job)
    target = None if as_new else find_target(job)
    if target is None:
        places.renew(job, session.jobs.values(), job.outputs)
    result = replace(_result_of(job, target), prepared=_preparing.pop(job.id).made)
    if stood:
        result = replace(result, location=stood)
    if writer.goes_on_mesh and target is not None:
        result = replace(result, uv_layer=_uv_layer(job.outputs, target, result.uv_layer))
    if target is not None:
        put = writer.put_on(result, target)
        _settle(target)
        variations.remove(covering.find(purpose.get("removes", ())))
        return put
    made = writer.make(result)
    if isinstance(made, bpy.types.Object):
        _settle(made)
        below = covering.find(purpose.get("covers", ()))
        previews.release([item for item in below if item.name in bpy.context.view_layer.objects])
        covering.cover(made, below)
        if not _is_quiet(job):
            viewport.select(made)
        if purpose.get("frame") and not bpy.app.background and not _is_quiet(job):
            viewport.frame(made)
    return made


def _build_variation(job: Job, original: bpy.types.Object) -> bpy.types.ID:
    """A small terrain beside the result that it varies."""
    assert job.outputs is not None
    result = replace(
        _result_of(job, None),
        prepared=_preparing.pop(job.id).made,
        outputs=variations.seen(job.outputs),
        recipe={},
        name=variations.name_of(job, original),
    )
    made = typed.of(writer_of(job).make(result), bpy.types.Object)
    variations.stand(made, job, original)
    companions.note(made)
    return made


def _settle(item: bpy.types.Object) -> None:
    """What else an object needs to know once a result stands in it."""
    companions.note(item)
    scattering.renew(item)
    wearing.renew(item)


def preparing_share(job: Job) -> float | None:
    """How much of a large result is put together, None where it is not being placed."""
    return _preparing[job.id].share if job.id in _preparing else None


def forget(job: Job | None = None) -> None:
    """Drop what was put together of a job's result, or of all before another file is loaded."""
    for id in [job.id] if job is not None else list(_preparing):
        preparing = _preparing.pop(id, None)
        if preparing is not None:
            preparing.steps.close()


def _uv_layer(outputs: Arrays, target: bpy.types.Object, sent: str) -> str:
    """Name of the UVs that a surface's maps belong to: those that were sent, or new ones where the backend has made some or the
    user has changed the old ones since.
    """
    returned = next((array for given in outputs.values() for array in given if array.kind is MESH), None)
    if returned is None or (sent and scans.has_uvs(target, returned.values, sent)):
        return sent
    scans.write_uvs(target, returned.values, textures.UV_LAYER)
    return textures.UV_LAYER
