r"""Takes docs/images/sidebar.png: the sidebar beside a terrain that relief transfer has just made of new noise. Not a pytest file.

    blender-gui --size 1640x1110 -- --enable-event-simulate \
        --python tests/blender/window/drive_sidebar_picture.py -- ADDON_PARENT ENDPOINT docs/images/sidebar.png

ADDON_PARENT is the folder that holds blender_addon, ENDPOINT the connection file of a backend that runs. blender_drive.py is looked
for beside the repository, in shared/tools. Look at the picture before it is committed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import bpy

ADDON_PARENT, ENDPOINT, PICTURE = sys.argv[sys.argv.index("--") + 1 :][:3]
sys.path[:0] = [ADDON_PARENT, str(Path(__file__).resolve().parents[4] / "shared" / "tools")]
os.environ["RELIEVO_ENDPOINT"] = ENDPOINT
os.environ["RELIEVO_DATA"] = tempfile.mkdtemp()

import blender_drive as drive  # noqa: E402

import blender_addon  # noqa: E402
from blender_addon import pump  # noqa: E402


def settled() -> bool:
    job = list(pump.session().jobs.values())[-1]
    return job.is_settled and not job.awaits_placing


def widen_sidebar() -> None:
    sidebar = next(region for region in drive.view3d().regions if region.type == "UI")
    x, y = sidebar.x, drive.window().height - (sidebar.y + sidebar.height // 2)
    drive.drag([(x, y), (x - 35, y), (x - 70, y)])


def take_view() -> None:
    """The 3D view alone, without the rest of the window."""
    area, height = drive.view3d(), drive.window().height
    whole = str(Path(os.environ["RELIEVO_DATA"]) / "whole.png")
    drive.shot(whole)
    box = f"{area.width}x{area.height}+{area.x}+{height - area.y - area.height}"
    subprocess.run(["convert", whole, "-crop", box, "+repage", "-strip", PICTURE], check=True)


def session():
    for other in list(bpy.data.objects):
        if other.type == "MESH":
            bpy.data.objects.remove(other)
    blender_addon.register()
    yield 1.0
    yield from drive.open_sidebar("Relievo")
    widen_sidebar()
    yield lambda: pump.session().connection.is_ready
    settings = bpy.context.scene.relievo
    settings.noise.width_px = settings.noise.height_px = 768
    bpy.ops.relievo.apply_preset(algorithm="noise", preset="alps-base")
    settings.noise.seed = 4
    settings.algorithm = "morphology"
    yield 1.0
    bpy.ops.relievo.generate()
    yield settled
    drive.view3d().spaces.active.overlay.show_overlays = False
    drive.shade("MATERIAL")
    yield 25.0  # EEVEE compiles the material while the view shows it without
    take_view()


drive.run(session(), timeout=240.0)
