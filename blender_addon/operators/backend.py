"""Operators about the backend itself: install, update, remove, start, stop, reconnect, look into its log."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import bpy

from .. import options as settings
from .. import preferences, pump, typed
from ..link.backend_status import LinkState, selftest_sentence
from ..link.connection import Place
from ..shared.errors import InvalidInput, JobCancelled
from ..shared.version import PROTOCOL, VERSION
from .reporting import reports_errors


def _state() -> LinkState | None:
    session = pump.current()
    return session.standing.state if session is not None else None


class Installing:
    """What Install and Update have in common. A mixin: Blender warns of operators that inherit from operators."""

    poll_message_set: Any

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        options = settings.read(context)
        if _state() is LinkState.INSTALLING:
            cls.poll_message_set("The backend is being installed")
            return False
        if not bpy.app.online_access and options.wheels is None:
            cls.poll_message_set(
                "Blender is set to stay offline: allow online access in the preferences, or give a folder of wheels"
            )
            return False
        return True

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        options, connection = settings.read(context), pump.session().connection
        if options.wheels is not None and not options.wheels.is_dir():
            raise InvalidInput(
                f"There is no folder {options.wheels}.", hint="Pick the folder of wheels in the preferences."
            )
        connection.serve_options = options.serve_options
        connection.install(options.variant, options.wheels)
        if bpy.app.background:
            _wait_installed()
            typed.of(self, bpy.types.Operator).report({"INFO"}, selftest_sentence(connection.selftest))
        pump.hurry()
        return {"FINISHED"}


def _wait_installed() -> None:
    """Until the backend runs. Raises what went wrong; Ctrl-C cancels, and leaves no installer behind."""
    session = pump.session()
    try:
        session.wait_ready(timeout_s=3600.0)
    except KeyboardInterrupt:
        session.connection.cancel_install()
        session.pump()
        raise session.connection.error or JobCancelled("Installing was cancelled.") from None


class RELIEVO_OT_install_backend(Installing, bpy.types.Operator):
    """Make the backend's own Python environment, outside Blender's. Goes on where an earlier run broke off"""

    bl_idname = "relievo.install_backend"
    bl_label = "Install Backend"


class RELIEVO_OT_update_backend(Installing, bpy.types.Operator):
    """Bring the installed backend to this add-on's version"""

    bl_idname = "relievo.update_backend"
    bl_label = "Update Backend"


class RELIEVO_OT_cancel_install(bpy.types.Operator):
    """Stop installing. What is there stays, and the next run goes on from it"""

    bl_idname = "relievo.cancel_install"
    bl_label = "Cancel"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        pump.session().connection.cancel_install()
        pump.hurry()
        return {"FINISHED"}


class RELIEVO_OT_remove_backend(bpy.types.Operator):
    """Stop the backend and delete what Install has made. Scenes and results are not touched"""

    bl_idname = "relievo.remove_backend"
    bl_label = "Remove Backend"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    @reports_errors
    def execute(self, _context: bpy.types.Context) -> set[str]:
        pump.session().connection.remove()
        pump.redraw()
        return {"FINISHED"}


class RELIEVO_OT_measure_backend(bpy.types.Operator):
    """Count what the installed backend and the kept results take on disk"""

    bl_idname = "relievo.measure_backend"
    bl_label = "Measure"

    @reports_errors
    def execute(self, _context: bpy.types.Context) -> set[str]:
        connection = pump.session().connection
        connection.measure()
        self.report({"INFO"}, preferences.size_sentence(connection))
        pump.redraw()
        return {"FINISHED"}


class RELIEVO_OT_start_backend(bpy.types.Operator):
    """Start the backend on this machine, or connect to the one that the preferences name"""

    bl_idname = "relievo.start_backend"
    bl_label = "Start Backend"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        connection, options = pump.session().connection, settings.read(context)
        connection.serve_options = options.serve_options
        connection.start()
        if bpy.app.background:
            pump.session().wait_ready()
        pump.hurry()
        return {"FINISHED"}


class RELIEVO_OT_stop_backend(bpy.types.Operator):
    """Stop the backend. Jobs that it has accepted wait on its disk and go on at the next start"""

    bl_idname = "relievo.stop_backend"
    bl_label = "Stop Backend"

    @reports_errors
    def execute(self, _context: bpy.types.Context) -> set[str]:
        pump.session().connection.stop()
        pump.redraw()
        return {"FINISHED"}


class RELIEVO_OT_reconnect(bpy.types.Operator):
    """Connect to the backend that the preferences name"""

    bl_idname = "relievo.reconnect"
    bl_label = "Connect"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        connection, options = pump.session().connection, settings.read(context)
        connection.serve_options = options.serve_options
        connection.use(options.place)
        connection.start()
        if bpy.app.background:
            pump.session().wait_ready()
        pump.hurry()
        return {"FINISHED"}


class RELIEVO_OT_use_running_backend(bpy.types.Operator):
    """Use a backend that runs already: by its connection file, or by address and key for one on another machine"""

    bl_idname = "relievo.use_running_backend"
    bl_label = "Use a Running Backend..."

    endpoint_path: bpy.props.StringProperty(
        name="Connection File", description="endpoint.json of its state folder", subtype="FILE_PATH"
    )
    address: bpy.props.StringProperty(name="or Address", description="Host and port, such as 192.168.1.20:5555")
    key: bpy.props.StringProperty(name="Server Key", description="server_public_key of its connection file")
    token: bpy.props.StringProperty(name="Token", description="token of its connection file", subtype="PASSWORD")

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, width=420)

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        if not (self.endpoint_path or self.address):
            raise InvalidInput("Neither a connection file nor an address was given.", hint="Enter one of them.")
        place = Place(
            endpoint_path=bpy.path.abspath(self.endpoint_path) if not self.address else "",
            address=self.address,
            key=self.key,
            token=self.token,
        )
        settings.write(context, place)
        connection = pump.session().connection
        connection.use(place)
        connection.start()
        if bpy.app.background:
            pump.session().wait_ready()
        pump.hurry()
        return {"FINISHED"}


class RELIEVO_OT_copy_backend_report(bpy.types.Operator):
    """Copy what is wrong with the backend, and its log's last lines, to the clipboard"""

    bl_idname = "relievo.copy_backend_report"
    bl_label = "Copy Report"

    def execute(self, context: bpy.types.Context) -> set[str]:
        session = pump.session()
        connection, standing = session.connection, session.standing
        installed = connection.installation
        lines = [
            f"Relievo {VERSION}, protocol {PROTOCOL}, Blender {bpy.app.version_string}, {platform.platform()}",
            f"backend: {standing.state.value}: {standing.sentence} {standing.hint}".rstrip(),
            f"installation: {installed.state} {installed.version} {installed.root}",
            f"devices: {connection.devices}; self-test: {connection.selftest}",
            *(list(connection.installer_log)[-40:]),
            connection.process.log_tail(),
        ]
        context.window_manager.clipboard = "\n".join(lines)
        self.report({"INFO"}, "The report is on the clipboard")
        return {"FINISHED"}


class RELIEVO_OT_open_log(bpy.types.Operator):
    """Open the backend's log in the system's text viewer"""

    bl_idname = "relievo.open_log"
    bl_label = "Open Log"

    @reports_errors
    def execute(self, _context: bpy.types.Context) -> set[str]:
        return _open(pump.session().connection.process.log_path)


class RELIEVO_OT_open_data_folder(bpy.types.Operator):
    """Open the folder with the backend, its jobs and its log"""

    bl_idname = "relievo.open_data_folder"
    bl_label = "Open Data Folder"

    @reports_errors
    def execute(self, _context: bpy.types.Context) -> set[str]:
        return _open(pump.session().connection.data_dir)


def _open(path: Path) -> set[str]:
    if not path.exists():
        raise InvalidInput(f"There is no {path} yet.", hint="It is created when the backend first starts.")
    bpy.ops.wm.path_open(filepath=str(path))
    return {"FINISHED"}


CLASSES = (
    RELIEVO_OT_install_backend,
    RELIEVO_OT_update_backend,
    RELIEVO_OT_cancel_install,
    RELIEVO_OT_remove_backend,
    RELIEVO_OT_measure_backend,
    RELIEVO_OT_start_backend,
    RELIEVO_OT_stop_backend,
    RELIEVO_OT_reconnect,
    RELIEVO_OT_use_running_backend,
    RELIEVO_OT_copy_backend_report,
    RELIEVO_OT_open_log,
    RELIEVO_OT_open_data_folder,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
