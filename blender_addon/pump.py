"""Drives the session: a timer in a window, a blocking wait in background mode, and the handlers that a file's life
needs.

Everything that reaches Blender's data goes through here on the main thread. It holds the one Session of this
Blender.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from . import options
from .datablocks import sketch
from .link.backend_status import LinkState
from .link.connection import Place
from .link.job_records import Job
from .link.session import Session
from .placing import companions, covering, drafts, previews, results, variations
from .shared.endpoint import default_data_dir
from .shared.jobs import JobState
from .writers import sketches

log = logging.getLogger(__name__)

BUSY_S, IDLE_S = 0.05, 0.5  # between ticks, while something goes on and while nothing does
DRAFT_S = 0.005  # the same while a person waits for a draft: a message of the backend is heard at once
NEWS_S = 0.2  # between two drawings of the sidebars, which may take longer than all else: the backend speaks fifty times a second
QUIET_S = 1.0  # for which a draft goes on before its progress is drawn: most are in the scene by then, and drawing holds them up
BUDGET_S = 0.01  # of the main thread a tick

_session: Session | None = None
_news_s = _drawn_s = 0.0  # since when something new waits to be drawn, 0 for nothing; when that was last done
_generation = 0  # counts the files that were opened, so that a result never lands in another one


def session() -> Session:
    """This Blender's session; made at the first call. Raises OSError where the data folder may not be written."""
    global _session
    if _session is None:
        chosen = options.read(bpy.context)
        root = Path(os.environ.get("RELIEVO_DATA") or chosen.data_dir or default_data_dir())
        place = (
            Place(endpoint_path=os.environ.get("RELIEVO_ENDPOINT", ""))
            if os.environ.get("RELIEVO_ENDPOINT")
            else chosen.place
        )
        _session = Session(root, f"Blender {bpy.app.version_string}", place=place, adopt=not bpy.app.background)
        _session.connection.serve_options = chosen.serve_options
        _session.connection.attach()
    return _session


def current() -> Session | None:
    """The session if there is one; for draw(), which must do no work."""
    return _session


def generation() -> int:
    return _generation


def step(budget_s: float = BUDGET_S) -> bool:
    """One tick: hear, show previews, place results. True when the interface has to be drawn again."""
    return any(_step(budget_s))


def _step(budget_s: float) -> tuple[bool, bool]:
    """The same; whether there is something new to say, and whether the scene has changed."""
    current_session = session()
    news, scene = current_session.pump(budget_s), covering.uncover() | companions.sweep()
    if not bpy.app.background and drafts.is_being_fetched(current_session):
        current_session.hear(budget_s)  # a few milliseconds here save a drawing of the whole window in between
        news |= current_session.pump(budget_s)
    for job in list(current_session.jobs.values()):
        scene |= _step_job(current_session, job)
    scene |= variations.settle(current_session)
    news |= drafts.step(current_session, _generation)
    return news, scene


def _step_job(current_session: Session, job: Job) -> bool:
    if previews.was_deleted(job) and job.purpose.get("generation") == _generation:
        previews.end(job)  # who deletes what is being made does not want it
        previews.hide_again()
        if job.outputs is not None or job.state is JobState.SUCCEEDED:
            current_session.discard(job)
        else:
            current_session.cancel(job)
        return True
    if job.awaits_placing:
        return _after(results.place(current_session, job, _generation))
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        return _after(previews.end(job) is not None)
    if job.purpose.get("generation") == _generation:
        return previews.show(job, current_session.jobs.values())
    return False


def _after(changed: bool) -> bool:
    """Once something of a job has come or gone, later previews lie over it."""
    if changed:
        previews.hide_again()
    return changed


def wait(job: Job) -> None:
    """Until the job's result is in the scene; for background mode. Raises the job's error."""
    current_session = session()
    try:
        current_session.wait(job)
    except KeyboardInterrupt:
        current_session.cancel(job)
        raise
    if job.awaits_placing:
        results.place(current_session, job, _generation)
    if job.error is not None:
        raise job.error


def connect() -> None:
    """See to it that a backend is there or on its way: start ours where it is stopped. Raises BackendUnavailable."""
    connection = session().connection
    connection.serve_options = options.read(bpy.context).serve_options
    if session().standing.state in (LinkState.STOPPED, LinkState.FAILED, LinkState.NOT_INSTALLED, LinkState.OUTDATED):
        connection.start()


def redraw(*, views: bool = False) -> None:
    """Draw the sidebars and the preferences again, and the views only where the scene has changed: a view of millions of
    vertices takes seconds to draw.
    """
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions if area.type in ("VIEW_3D", "PREFERENCES", "IMAGE_EDITOR") else ():
                if views or area.type == "PREFERENCES" or region.type == "UI":
                    region.tag_redraw()


def _tick() -> float:
    try:
        _draw(*_step(BUDGET_S))
    except Exception:  # a timer that raises is dropped by Blender, and with it every job
        log.exception("Relievo's timer")
        return IDLE_S
    if drafts.is_due():
        return DRAFT_S
    return BUSY_S if _news_s or _is_busy() else IDLE_S


def _draw(news: bool, scene: bool) -> None:
    """Draw a change of the scene at once, and news of jobs together, a few times a second."""
    global _news_s, _drawn_s
    now = time.monotonic()
    _news_s = _news_s or (now if news else 0.0)
    waits = now - _news_s < QUIET_S if drafts.is_due() else now - _drawn_s < NEWS_S
    if scene or (_news_s and not waits):
        redraw(views=scene)
        _news_s, _drawn_s = 0.0, now


def _is_busy() -> bool:
    if _session is None:
        return False
    moving = _session.standing.state not in (
        LinkState.READY,
        LinkState.STOPPED,
        LinkState.NOT_INSTALLED,
        LinkState.FAILED,
        LinkState.OUTDATED,
    )
    return moving or drafts.is_due() or any(not job.is_settled or job.awaits_placing for job in _session.jobs.values())


def hurry() -> None:
    """Something was asked for: tick at once instead of at the end of the idle pause."""
    if not bpy.app.background:
        if bpy.app.timers.is_registered(_tick):
            bpy.app.timers.unregister(_tick)
        bpy.app.timers.register(_tick, first_interval=0.0, persistent=True)


@persistent
def _on_load_pre(*_: object) -> None:
    global _generation
    _generation += 1
    results.forget()
    previews.forget()
    drafts.forget()
    variations.forget()


@persistent
def _on_save_pre(*_: object) -> None:
    previews.clear()
    for image in bpy.data.images:
        if sketch.IMAGE_KEY in image:
            sketches.keep_pixels(image)


@persistent
def _on_load_post(*_: object) -> None:
    previews.sweep()
    covering.remember()
    companions.remember()


@persistent
def _on_history(*_: object) -> None:
    previews.after_history()
    if drafts.note_history():
        hurry()


@persistent
def _on_update(_scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    if drafts.note(depsgraph):
        hurry()


_HANDLERS = (
    ("load_pre", _on_load_pre),
    ("save_pre", _on_save_pre),
    ("load_post", _on_load_post),
    ("undo_post", _on_history),
    ("redo_post", _on_history),
    ("depsgraph_update_post", _on_update),
)


def register() -> None:
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)
    if not bpy.app.background:
        bpy.app.timers.register(_tick, first_interval=0.3, persistent=True)


def unregister() -> None:
    global _session
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
    if _session is not None:
        previews.clear()
        _session.close()
        _session = None
