"""Small terrains while a person paints: after each stroke a draft of the sketch, in the place of its result, at most one at a time.

A stroke ends in one depsgraph update of the image (tried in 5.2; during the stroke there is none), so nothing is looked at between
strokes. Changes that come while a draft is computed wait for its end, and become one draft. pump.py calls note() and step().
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass

import bpy

from .. import requests, typed
from ..datablocks import sketch
from ..inputs import sketch_sources
from ..link.backend_status import LinkState
from ..link.session import Session
from ..shared.algorithm import AlgorithmSpec, find
from ..shared.catalog import algorithms
from ..shared.errors import RelievoError
from ..shared.jobs import JobState
from . import paint_mode

log = logging.getLogger(__name__)

REST_S = 0.02  # without a further change, before a draft is sent: an undo brings several updates at once
LONGEST_PX = 256
WARM_UP_PX = 32


@dataclass
class _Draft:
    """What is known of a sketch's drafts. changed_s: since when it waits for one, 0 where it does not. by_history: whether an undo
    or redo has changed it. job: the one that is being computed, "" for none. made_of: what the last one was made of. problem: why
    there is none.
    """

    changed_s: float = 0.0
    by_history: bool = False
    job: str = ""
    made_of: str = ""
    problem: str = ""


_drafts: dict[int, _Draft] = {}  # by the session_uid of the sketch's image
_warming: list[str] = []  # jobs whose results nobody looks at


def note(depsgraph: bpy.types.Depsgraph) -> bool:
    """Take note of what was painted; for the handler behind every update. True when a draft is due."""
    painted = False
    for update in depsgraph.updates:
        changed = update.id
        if isinstance(changed, bpy.types.Image) and sketch.IMAGE_KEY in changed:
            original = typed.of(changed.original, bpy.types.Image)
            painted |= _mark(original) if original.is_dirty else False
    return painted


def note_history() -> bool:
    """After an undo or redo: a sketch that had drafts may look otherwise now. True when a draft is due."""
    marked = [_mark(image, by_history=True) for image in bpy.data.images if image.session_uid in _drafts]
    return any(marked)


def forget() -> None:
    """Another file is being loaded."""
    _drafts.clear()


def is_due() -> bool:
    """Whether something waits for its draft, or for the end of a pause."""
    return any(draft.changed_s or draft.job for draft in _drafts.values())


def is_being_fetched(session: Session) -> bool:
    """Whether the result of a draft is on its way from the backend."""
    jobs = (session.jobs.get(draft.job) for draft in _drafts.values() if draft.job)
    return any(job is not None and job.state is JobState.SUCCEEDED and job.outputs is None for job in jobs)


def state_of(item: bpy.types.Object) -> tuple[str, str]:
    """Of a sketch, for draw(): the id of the draft that is being computed or "", and why there is none."""
    image = sketch.image_of(item)
    draft = _drafts.get(image.session_uid) if image is not None else None
    return (draft.job, draft.problem) if draft is not None else ("", "")


def warm_up(session: Session, spec: AlgorithmSpec, item: bpy.types.Object) -> None:
    """Have a tiny draft of a new sketch computed that nobody sees: the first one of a backend starts it, loads the engine and its
    weights, and would come seconds after the first stroke. What goes wrong is said when that is sent.
    """
    if _why_not(session, spec):
        return
    try:
        request = requests.draft(bpy.context, spec, item, longest_px=WARM_UP_PX)
        arrays = requests.read(bpy.context, request)
        _warming.append(session.submit(spec, request.params, arrays, silent=True).id)
    except RelievoError as error:
        log.info("no draft beforehand: %s", error)


def _end_warm_up(session: Session) -> None:
    for id in list(_warming):
        job = session.jobs.get(id)
        if job is None or job.is_settled or job.outputs is not None:
            _warming.remove(id)
            if job is not None:
                session.discard(job)


def step(session: Session, generation: int) -> bool:
    """Send what is due, drop what is done. True when there is something new to draw."""
    changed = False
    _end_warm_up(session)
    for draft in _drafts.values():
        if draft.job:
            changed |= _end(session, draft)
    if any(draft.job for draft in _drafts.values()) or paint_mode.is_stroke_going_on():
        return changed
    due = [(draft.changed_s, uid) for uid, draft in _drafts.items() if draft.changed_s]
    if due and time.monotonic() - max(due)[0] > REST_S:
        _, uid = max(due)
        return _send(session, generation, uid) or changed
    return changed


def _mark(image: bpy.types.Image, *, by_history: bool = False) -> bool:
    """Note a change; False for a sketch that nobody wants drafts of."""
    if _wanted(image) is None:
        return False
    draft = _drafts.setdefault(image.session_uid, _Draft())
    draft.by_history = by_history or (draft.by_history and draft.changed_s > 0.0)  # an undo brings an update of its own
    draft.changed_s = time.monotonic()
    return True


def _wanted(image: bpy.types.Image) -> tuple[AlgorithmSpec, bpy.types.Object] | None:
    """The engine in the sidebar and the sketch that shows an image, where the one takes the other and drafts are wanted."""
    scene = typed.present(bpy.context.scene)
    spec = find(algorithms(), typed.settings(scene).algorithm)
    port = sketch_sources.port_of(spec)
    if port is None:
        return None
    settings = sketch_sources.settings_of(scene, spec, port)
    if settings.source != "SKETCH" or not settings.live:
        return None
    item = sketch_sources.picked(scene, spec, port, bpy.context.view_layer.objects.active)
    return (spec, item) if item is not None and sketch.image_of(item) == image else None


def _send(session: Session, generation: int, uid: int) -> bool:
    """Have a draft computed of what is painted now, unless that is what the last one was made of."""
    draft = _drafts[uid]
    draft.changed_s = 0.0
    image = next((image for image in bpy.data.images if image.session_uid == uid), None)
    found = _wanted(image) if image is not None else None
    if found is None:
        del _drafts[uid]
        return True
    spec, item = found
    if reason := _why_not(session, spec):
        draft.problem = reason
        return True
    try:
        request = requests.draft(bpy.context, spec, item, longest_px=LONGEST_PX)
        arrays = requests.read(bpy.context, request)
        made_of = _digest(request, arrays)
        is_there = requests.result_of(bpy.context.scene, item.name) is not None
        if (
            made_of == draft.made_of if is_there else draft.by_history
        ):  # an undo that takes the terrain away is left at that
            draft.problem = ""
            return True
        job = requests.submit(session, bpy.context, request, generation=generation, arrays=arrays)
    except RelievoError as error:
        draft.problem = str(error)
        return True
    draft.job, draft.made_of, draft.problem = job.id, made_of, ""
    return True


def _why_not(session: Session, spec: AlgorithmSpec) -> str:
    """Why no draft can be computed now, "" where one can. A backend of ours that has stopped is started."""
    standing = session.standing
    if standing.state is LinkState.STOPPED:
        session.connection.start()
        return ""
    if standing.state in (LinkState.NOT_INSTALLED, LinkState.FAILED, LinkState.OUTDATED, LinkState.INSTALLING):
        return standing.sentence
    return session.why_unavailable(spec)


def _digest(request: requests.Request, arrays: requests.Read) -> str:
    given = {port: [array.sha256 for array in entries] for port, entries in arrays.items()}
    return json.dumps([request.spec.name, request.params, request.output, given], sort_keys=True)


def _end(session: Session, draft: _Draft) -> bool:
    """Drop a draft's job once it is in the scene or there will be none."""
    job = session.jobs.get(draft.job)
    if job is not None and (not job.is_settled or job.awaits_placing):
        return False
    if job is not None:
        if job.error is not None:
            draft.problem, draft.made_of = str(job.error), ""
        elif job.held:  # its target was deleted: the next one gets a new one
            draft.changed_s, draft.made_of = time.monotonic(), ""
        session.discard(job)
    draft.job = ""
    return True
