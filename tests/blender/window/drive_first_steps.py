r"""The first five minutes in a real window, as a new user has them: look, generate, watch, undo. Takes pictures; not
a pytest file.

    blender-gui --size 1600x900 -- --enable-event-simulate \
        --python tests/blender/window/drive_first_steps.py -- ADDON_PARENT ENDPOINT PICTURES

ADDON_PARENT is the folder that holds blender_addon (or a zip's content under that name), ENDPOINT the connection
file of a backend that runs, PICTURES a folder. blender_drive.py is looked for beside the repository, in
shared/tools.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))

import opening
from opening import choose, drive, newest_job, shot, tab_in_an_empty_scene

PICTURES = opening.ARGUMENTS[2]
opening.use_checkout(Path(PICTURES) / "data")

from blender_addon.placing import previews  # noqa: E402


def session():
    yield from tab_in_an_empty_scene()
    yield 1.0
    shot("01-ready")
    settings = bpy.context.scene.relievo
    yield from choose(settings, "noise")
    before = len(bpy.data.objects)
    bpy.ops.relievo.generate()
    yield lambda: newest_job().is_settled and not newest_job().awaits_placing
    yield 1.0
    shot("02-noise")
    assert len(bpy.data.objects) == before + 1, newest_job().sentence
    yield from choose(settings, "morphology")
    shot("03-morphology")
    settings.noise.width_px = settings.noise.height_px = 256
    bpy.ops.relievo.generate()
    yield lambda: any(previews.TAG in item for item in bpy.data.objects) or newest_job().is_settled
    yield 4.0
    shot("04-preview")
    yield lambda: newest_job().is_settled and not newest_job().awaits_placing
    yield 1.0
    shot("05-relief")
    yield from choose(settings, "hydrology")
    settings.hydrology.from_height.source = "OBJECT"
    objects = len(bpy.data.objects)
    bpy.ops.relievo.generate()
    yield lambda: newest_job().is_settled and not newest_job().awaits_placing
    yield 1.0
    shot("06-hydrology")
    bpy.ops.ed.undo()
    yield 1.0
    shot("07-undone")
    assert len(bpy.data.objects) == objects, "one result is one step, with its rivers"


drive.run(session(), timeout=240.0)
