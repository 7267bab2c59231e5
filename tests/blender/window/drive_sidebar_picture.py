r"""Takes docs/images/sidebar.png: the sidebar beside a terrain that relief transfer has just made of new noise. Not a pytest file.

    blender-gui --size 1640x1110 -- --enable-event-simulate \
        --python tests/blender/window/drive_sidebar_picture.py -- ADDON_PARENT ENDPOINT docs/images/sidebar.png

ADDON_PARENT is the folder that holds blender_addon, ENDPOINT the connection file of a backend that runs. blender_drive.py is looked
for beside the repository, in shared/tools. Look at the picture before it is committed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))

import opening
from opening import drive, settled, tab_in_an_empty_scene

PICTURE, DATA = opening.ARGUMENTS[2], Path(tempfile.mkdtemp())
opening.use_checkout(DATA)


def take_view() -> None:
    """The 3D view alone, without the rest of the window."""
    area, height = drive.view3d(), drive.window().height
    whole = str(DATA / "whole.png")
    drive.shot(whole)
    box = f"{area.width}x{area.height}+{area.x}+{height - area.y - area.height}"
    subprocess.run(["convert", whole, "-crop", box, "+repage", "-strip", PICTURE], check=True)


def session():
    yield from tab_in_an_empty_scene()
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
