r"""A new user in a real window: installs the zip, meets every state of the tab, generates, cancels, regenerates, undoes.

    blender-gui --size 1600x900 -- --enable-event-simulate \
        --python tests/blender/drive_new_user.py -- ZIP ENDPOINT PICTURES

ZIP is the add-on for this Blender, ENDPOINT the connection file of a backend that runs, PICTURES a folder. Takes
pictures to look at; not a pytest file. blender_drive.py is looked for beside the repository, in shared/tools.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import bpy

ZIP, ENDPOINT, PICTURES = sys.argv[sys.argv.index("--") + 1 :][:3]
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "shared" / "tools"))
os.environ["RELIEVO_DATA"] = str(Path(PICTURES) / "new-user")

import blender_drive as drive  # noqa: E402

MODULE = "bl_ext.user_default.relievo"


def shot(name: str) -> None:
    drive.shot(str(Path(PICTURES) / f"{name}.png"))


def addon(name: str):
    return importlib.import_module(f"{MODULE}.{name}")


def newest_job():
    return list(addon("pump").session().jobs.values())[-1]


def settled() -> bool:
    return newest_job().is_settled and not newest_job().awaits_placing


def session():
    for other in list(bpy.data.objects):
        if other.type == "MESH":
            bpy.data.objects.remove(other)
    bpy.ops.extensions.package_install_files(repo="user_default", filepath=ZIP, enable_on_install=True, overwrite=True)
    yield 1.5
    yield from drive.open_sidebar("Relievo")
    yield 1.0
    shot("11-nothing-installed")
    bpy.ops.relievo.use_running_backend(endpoint_path="/tmp/no-such-file.json")
    yield 1.0
    shot("12-wrong-file")
    bpy.ops.relievo.use_running_backend(endpoint_path=ENDPOINT)
    yield lambda: addon("pump").session().connection.is_ready
    settings = bpy.context.scene.relievo
    settings.noise.width_px = settings.noise.height_px = 256
    settings.noise.pixel_size_m = 60.0
    bpy.ops.relievo.apply_preset(algorithm="noise", preset="ridges")
    bpy.ops.relievo.generate()
    yield settled
    drive.shade("MATERIAL")
    yield 3.0
    shot("13-first-terrain")
    settings.algorithm = "morphology"
    settings.morphology.from_height.source = "OBJECT"
    settings.morphology.from_height.resolution = 256
    bpy.ops.relievo.generate()
    yield lambda: newest_job().fraction > 0.4 or settled()
    yield 1.0
    shot("14-live-preview")
    objects = len(bpy.data.objects)
    bpy.ops.relievo.cancel_job(job=newest_job().id)
    yield settled
    yield 1.0
    shot("15-cancelled")
    assert len(bpy.data.objects) < objects, "the preview goes with the job"
    terrain = bpy.context.active_object
    before = terrain.data.vertices[1000].co.z
    bpy.ops.relievo.vary()
    yield settled
    assert bpy.context.active_object is terrain
    assert terrain.data.vertices[1000].co.z != before
    bpy.ops.ed.undo()
    yield 1.0
    assert bpy.context.active_object.data.vertices[1000].co.z == before, "one result is one step"
    shot("16-undone")
    bpy.ops.screen.userpref_show()
    bpy.context.preferences.active_section = "ADDONS"
    bpy.ops.preferences.addon_show(module=MODULE)
    yield 1.5
    shot("17-preferences")


drive.run(session(), timeout=200.0)
