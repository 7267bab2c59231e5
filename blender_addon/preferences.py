"""The add-on's page in Blender's preferences:

which backend, what it computes on, where things lie, and what to do about them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import bpy

from .link.backend_status import selftest_sentence
from .link.connection import Connection, Place
from .shared.endpoint import default_data_dir
from .shared.version import PROTOCOL, VERSION
from .ui.connection_panel import draw_connection


@dataclass(frozen=True)
class Options:
    """What the preferences say; the defaults where the add-on runs without a page, as in a script."""

    data_dir: Path | None = None
    place: Place = field(default_factory=Place)
    variant: str = "auto"
    wheels: Path | None = None
    device: str = ""
    results_gb: float = 20.0
    results_days: int = 7

    @property
    def serve_options(self) -> tuple[str, ...]:
        """Further words for `serve`."""
        kept = ("--max-bytes", str(int(self.results_gb * 1e9)), "--max-age", str(self.results_days * 86400))
        return (*(("--device", self.device) if self.device else ()), *kept)


class RelievoPreferences(bpy.types.AddonPreferences):
    bl_idname = __package__ or ""

    place: bpy.props.EnumProperty(
        name="Backend",
        description="Which backend computes",
        items=[
            ("OWN", "This Machine", "Relievo installs, starts and stops it"),
            ("FILE", "Connection File", "One that runs already on this machine"),
            ("ADDRESS", "Address", "One that runs on another machine"),
        ],
    )
    endpoint_path: bpy.props.StringProperty(
        name="Connection File", description="The file that the running backend has written", subtype="FILE_PATH"
    )
    address: bpy.props.StringProperty(name="Address", description="Host and port, such as 192.168.1.20:5555")
    key: bpy.props.StringProperty(
        name="Server Key", description="server_public_key of its connection file, without which nothing is encrypted"
    )
    token: bpy.props.StringProperty(name="Token", description="token of its connection file", subtype="PASSWORD")
    variant: bpy.props.EnumProperty(
        name="Build",
        description="Which build of PyTorch to install",
        items=[
            ("auto", "Automatic", "CUDA where an NVIDIA driver answers, else the CPU build"),
            ("cpu", "CPU", "About 0.3 GB to download"),
            ("cuda", "NVIDIA CUDA", "About 3 GB to download"),
        ],
    )
    wheels: bpy.props.StringProperty(
        name="Folder of Wheels", description="Install from this folder instead of the internet", subtype="DIR_PATH"
    )
    data_dir: bpy.props.StringProperty(
        name="Data Folder",
        description="Where the backend, its jobs and its log lie; empty for the usual place. Needs a restart",
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
        from . import pump  # at call time: it imports this module

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
    from . import pump

    session = pump.current()
    row = layout.row()
    row.operator("relievo.update_backend", icon="FILE_REFRESH")
    row.operator("relievo.remove_backend", icon="TRASH")
    row.operator("relievo.measure_backend", icon="DISK_DRIVE")
    if session is not None:
        for line in (selftest_sentence(session.connection.selftest), size_sentence(session.connection)):
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


def read(context: bpy.types.Context) -> Options:
    """The preferences, or the defaults when the add-on is not enabled as one."""
    addon = context.preferences.addons.get(__package__)
    page = addon.preferences if addon is not None else None
    if page is None:
        return Options()
    place = Place()
    if page.place == "FILE":
        place = Place(endpoint_path=bpy.path.abspath(page.endpoint_path))
    elif page.place == "ADDRESS":
        place = Place(address=page.address, key=page.key, token=page.token)
    return Options(
        data_dir=Path(bpy.path.abspath(page.data_dir)) if page.data_dir else None,
        place=place,
        variant=page.variant,
        wheels=Path(bpy.path.abspath(page.wheels)) if page.wheels else None,
        device=page.device.strip(),
        results_gb=page.results_gb,
        results_days=page.results_days,
    )


def write(context: bpy.types.Context, place: Place) -> None:
    """Remember which backend to use; nothing is kept when the add-on runs without a page."""
    addon = context.preferences.addons.get(__package__)
    if addon is None or addon.preferences is None:
        return
    page = addon.preferences
    page.place = "ADDRESS" if place.address else "FILE" if place.endpoint_path else "OWN"
    page.endpoint_path, page.address, page.key, page.token = place.endpoint_path, place.address, place.key, place.token


def register() -> None:
    bpy.utils.register_class(RelievoPreferences)


def unregister() -> None:
    bpy.utils.unregister_class(RelievoPreferences)
