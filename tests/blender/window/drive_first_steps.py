r"""The first five minutes in a real window, as a new user has them: look, generate, watch, undo. Takes pictures; not
a pytest file.

    blender-gui --size 1600x900 -- --enable-event-simulate \
        --python tests/blender/window/drive_first_steps.py -- ADDON_PARENT ENDPOINT PICTURES

ADDON_PARENT is the folder that holds blender_addon (or a zip's content under that name), ENDPOINT the connection
file of a backend that runs, PICTURES a folder. blender_drive.py is looked for beside the repository, in
shared/tools.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bpy

ADDON_PARENT, ENDPOINT, PICTURES = sys.argv[sys.argv.index("--") + 1 :][:3]
sys.path[:0] = [ADDON_PARENT, str(Path(__file__).resolve().parents[4] / "shared" / "tools")]
os.environ["RELIEVO_ENDPOINT"] = ENDPOINT
os.environ["RELIEVO_DATA"] = str(Path(PICTURES) / "data")

import blender_drive as drive  # noqa: E402

import blender_addon  # noqa: E402
from blender_addon import pump  # noqa: E402
from blender_addon.placing import previews  # noqa: E402


def shot(name: str) -> None:
    drive.shot(str(Path(PICTURES) / f"{name}.png"))


def widen_sidebar() -> None:
    area = drive.view3d()
    sidebar = next(region for region in area.regions if region.type == "UI")
    x, y = sidebar.x, drive.window().height - (sidebar.y + sidebar.height // 2)
    drive.drag([(x, y), (x - 60, y), (x - 120, y)])


def newest_job():
    return list(pump.session().jobs.values())[-1]


def session():
    for other in list(bpy.data.objects):
        if other.type == "MESH":
            bpy.data.objects.remove(other)
    blender_addon.register()
    yield 1.0
    yield from drive.open_sidebar("Relievo")
    widen_sidebar()
    yield lambda: pump.session().connection.is_ready
    yield 1.0
    shot("01-ready")
    settings = bpy.context.scene.relievo
    yield from press(settings, "noise")
    before = len(bpy.data.objects)
    bpy.ops.relievo.generate()
    yield lambda: newest_job().is_settled and not newest_job().awaits_placing
    yield 1.0
    shot("02-noise")
    assert len(bpy.data.objects) == before + 1, newest_job().sentence
    yield from press(settings, "morphology")
    shot("03-morphology")
    settings.noise.width_px = settings.noise.height_px = 256
    bpy.ops.relievo.generate()
    yield lambda: any(previews.TAG in item for item in bpy.data.objects) or newest_job().is_settled
    yield 4.0
    shot("04-preview")
    yield lambda: newest_job().is_settled and not newest_job().awaits_placing
    yield 1.0
    shot("05-relief")
    yield from press(settings, "hydrology")
    settings.hydrology.from_height.source = "OBJECT"
    bpy.ops.relievo.generate()
    yield lambda: newest_job().is_settled and not newest_job().awaits_placing
    yield 1.0
    shot("06-hydrology")
    objects = len(bpy.data.objects)
    bpy.ops.ed.undo()
    yield 1.0
    shot("07-undone")
    assert len(bpy.data.objects) == objects - 1, "one result is one step"


def press(settings, engine: str):
    settings.algorithm = engine
    drive.view3d().tag_redraw()
    yield 0.7


drive.run(session(), timeout=240.0)
