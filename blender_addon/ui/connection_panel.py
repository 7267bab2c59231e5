"""The backend's state, drawn for the sidebar and the preferences: one line where all is well, else the reason and
the button that mends it. Like all of draw(): no I/O, nothing is changed.
"""

from __future__ import annotations

import bpy

from .. import typed
from ..link.backend_status import LinkState, choices, selftest_sentence
from ..link.connection import Connection
from ..link.session import Session
from ..shared.catalog import algorithms
from .text_fit import on_a_bar, one_line, wrapped

# (operator, label, icon) that mends a state of the connection
_MENDING = {
    "install": ("relievo.install_backend", "Install Backend", "IMPORT"),
    "update": ("relievo.update_backend", "Update Backend", "FILE_REFRESH"),
    "start": ("relievo.start_backend", "Start Backend", "PLAY"),
    "stop": ("relievo.stop_backend", "Stop", "PAUSE"),
    "reconnect": ("relievo.reconnect", "Connect", "FILE_REFRESH"),
}
_STATE_ICONS = {
    LinkState.READY: "CHECKMARK",
    LinkState.LOST: "ERROR",
    LinkState.FAILED: "ERROR",
    LinkState.OUTDATED: "ERROR",
    LinkState.STARTING: "SORTTIME",
    LinkState.CONNECTING: "SORTTIME",
    LinkState.INSTALLING: "SORTTIME",
}


def draw_connection(layout: bpy.types.UILayout, session: Session | None, *, in_preferences: bool = False) -> None:
    """One line where all is well; a box with the reason and the button that mends it where it is not."""
    if session is None:
        layout.label(text="Relievo is starting", icon="SORTTIME")
        return
    standing = session.standing
    if standing.state is LinkState.READY:
        row = layout.row(align=True)
        row.label(text=standing.sentence, icon="CHECKMARK")
        if standing.action:
            row.operator("relievo.stop_backend", text="", icon="PAUSE")
        if not session.jobs and (passed := selftest_of(session.connection)) and not in_preferences:
            wrapped(layout, passed, "BLANK1")  # right after installing, until there is something to see
        _draw_choices(layout, session.connection, in_preferences)
        return
    if standing.state is LinkState.INSTALLING:
        _draw_installing(layout if in_preferences else layout.box(), session)
        return
    box = layout if in_preferences else layout.box()
    wrapped(box, standing.sentence, _STATE_ICONS.get(standing.state, "INFO"))
    if standing.hint:
        wrapped(box, standing.hint, "NONE")
    _draw_mending(box, standing.state, standing.action)


def _draw_choices(layout: bpy.types.UILayout, connection: Connection, in_preferences: bool) -> None:
    """Which device each engine takes, where there is a choice: a closed panel in the sidebar, which has little room."""
    labels = {spec.name: spec.label for spec in algorithms()}
    lines = choices(connection.devices, connection.auto_devices, labels)
    if not lines:
        return
    body = layout.column(align=True)
    if not in_preferences:
        header, body = layout.panel("relievo_devices", default_closed=True)
        header.label(text="Device by Engine")
    for line in lines if body is not None else ():
        wrapped(body, line, "BLANK1")


def selftest_of(connection: Connection) -> str:
    """What the self-test of the backend in use has found, "" where none was made: a backend that runs elsewhere, or in an
    environment of the user's, was not tested here, whatever was installed before.
    """
    if not connection.place.is_managed or not connection.installation.managed:
        return ""
    return selftest_sentence(connection.selftest)


def _draw_installing(box: bpy.types.UILayout, session: Session) -> None:
    """Four rows, whatever the installer says: Cancel stays under the mouse while its lines come and go."""
    progress = session.connection.progress
    big = box.column()
    big.scale_y = 1.4
    big.operator("relievo.cancel_install", text="Cancel", icon="X")
    box.label(text="Installing the backend", icon="SORTTIME")
    stage, line = (progress.stage, progress.line) if progress is not None else ("Starting", "")
    box.progress(factor=progress.fraction if progress is not None else 0.0, text=on_a_bar([stage]))
    box.label(text=one_line(line))


def _draw_mending(box: bpy.types.UILayout, state: LinkState, action: str) -> None:
    column = box.column(align=True)
    if action in _MENDING:
        operator, text, icon = _MENDING[action]
        big = column.column()
        big.scale_y = 1.4 if action in ("install", "start", "update") else 1.0
        big.operator(operator, text=text, icon=typed.icon(icon))
    elif action == "preferences":
        column.operator("relievo.reconnect", text="Try Again", icon="FILE_REFRESH")
        column.operator("preferences.addon_show", text="Open Preferences", icon="PREFERENCES").module = (
            __package__ or ""
        )
    if action in ("install", "update") and not bpy.app.online_access:
        wrapped(
            box,
            "Blender is set to stay offline: installing needs the internet, or a folder of wheels.",
            "INTERNET_OFFLINE",
        )
        box.operator("extensions.userpref_allow_online", text="Allow Online Access", icon="INTERNET")
    if state in (LinkState.NOT_INSTALLED, LinkState.FAILED):
        column.operator("relievo.use_running_backend", icon="LINKED")
    if state is LinkState.FAILED:
        column.operator("relievo.copy_backend_report", icon="COPYDOWN")
