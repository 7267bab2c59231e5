"""The add-on's page in Blender's preferences:
which backend, what it computes on, where things lie, and what to do about them.
"""

from __future__ import annotations

import bpy

from . import pump
from .link.connection import Connection
from .options import Options
from .shared.endpoint import default_data_dir
from .shared.version import PROTOCOL, VERSION
from .ui.connection_panel import draw_connection, selftest_of


class RelievoPreferences(bpy.types.AddonPreferences):
    bl_idname = __package__ or ""

    place: bpy.props.EnumProperty(
        name="Backend",
        description="Which backend computes",
        items=[
            ("OWN", "This Machine", "Relievo installs, starts and stops it"),
            ("FILE", "Connection File", "A backend that already runs on this machine"),
            ("ADDRESS", "Address", "A backend that runs on another machine"),
        ],
    )
    endpoint_path: bpy.props.StringProperty(
        name="Connection File", description="The file that the running backend has written", subtype="FILE_PATH"
    )
    address: bpy.props.StringProperty(name="Address", description="Host and port, such as 192.168.1.20:5555")
    key: bpy.props.StringProperty(
        name="Server Key", description="server_public_key of its connection file, without which it does not answer"
    )
    token: bpy.props.StringProperty(name="Token", description="token of its connection file", subtype="PASSWORD")
    variant: bpy.props.EnumProperty(
        name="Build",
        description="Which build of PyTorch to install",
        items=[
            ("auto", "Automatic", "CUDA if an NVIDIA driver responds, otherwise the CPU build"),
            ("cpu", "CPU", "About 0.3 GB to download"),
            ("cuda", "NVIDIA CUDA", "About 3 GB to download"),
        ],
    )
    wheels: bpy.props.StringProperty(
        name="Folder of Wheels", description="Install from this folder instead of the internet", subtype="DIR_PATH"
    )
    data_dir: bpy.props.StringProperty(
        name="Data Folder",
        description="Folder of the backend, its jobs and its log; empty for the default. Takes effect after a restart of Blender",
        subtype="DIR_PATH",
    )
    device: bpy.props.StringProperty(
        name="Device",
        description="What to compute on, such as cpu or cuda:1; empty for what is fastest for each engine. Needs a new start",
    )
    results_gb: bpy.props.FloatProperty(
        name="Results Kept (GB)",
        description="Gigabytes of finished results on disk, past which the oldest are deleted. Needs a new start",
        default=Options.results_gb,
        min=0.1,
        soft_max=100.0,
        precision=1,
    )
    results_days: bpy.props.IntProperty(
        name="Results Kept (Days)",
        description="Days after which a finished result is deleted. Needs a new start",
        default=Options.results_days,
        min=1,
        soft_max=90,
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split, layout.use_property_decorate = True, False
        box = layout.box()
        draw_connection(box, pump.current(), in_preferences=True)
        layout.prop(self, "place", expand=True)
        if self.place == "FILE":
            layout.prop(self, "endpoint_path")
        elif self.place == "ADDRESS":
            for name in ("address", "key", "token"):
                layout.prop(self, name)
            if not bpy.app.online_access and not _is_local(self.address):
                layout.label(text="Blender is set to stay offline (System > Network)", icon="ERROR")
        if self.place == "OWN":
            for name in ("variant", "wheels", "device"):
                layout.prop(self, name)
            for name in ("results_gb", "results_days"):
                layout.prop(self, name)
            layout.prop(self, "data_dir", placeholder=str(default_data_dir()))
            _draw_installation(layout)
        else:
            layout.operator("relievo.reconnect", icon="FILE_REFRESH")
        row = layout.row()
        row.operator("relievo.open_log", icon="TEXT")
        row.operator("relievo.open_data_folder", icon="FILE_FOLDER")
        layout.label(text=f"Relievo {VERSION}, protocol {PROTOCOL}")


def _draw_installation(layout: bpy.types.UILayout) -> None:
    """What is installed, as far as it is known without looking: draw() does no I/O."""
    session = pump.current()
    row = layout.row()
    row.operator("relievo.update_backend", icon="FILE_REFRESH")
    row.operator("relievo.remove_backend", icon="TRASH")
    row.operator("relievo.measure_backend", icon="DISK_DRIVE")
    if session is not None:
        for line in (selftest_of(session.connection), size_sentence(session.connection)):
            if line:
                layout.label(text=line, icon="INFO")


def size_sentence(connection: Connection) -> str:
    """What lies on disk as it was last measured, "" where it was not."""
    if connection.results_bytes is None:
        return ""
    return (
        f"On disk: backend {_as_size(connection.size_bytes)}, "
        f"jobs, results and log {_as_size(connection.results_bytes)}"
    )


def _as_size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB" if count >= 1e5 else "nothing"


def _is_local(address: str) -> bool:
    return address.strip().startswith(("127.", "localhost", "[::1]", ":")) or not address.strip()


def register() -> None:
    bpy.utils.register_class(RelievoPreferences)


def unregister() -> None:
    bpy.utils.unregister_class(RelievoPreferences)
