r"""A new user in a real window: installs the zip, meets every state of the tab, generates, cancels, regenerates, undoes.

    blender-gui --size 1600x900 -- --enable-event-simulate \
        --python tests/blender/window/drive_new_user.py -- ZIP ENDPOINT PICTURES

ZIP is the add-on for this Blender, ENDPOINT the connection file of a backend that runs, PICTURES a folder. Takes
pictures to look at; not a pytest file. blender_drive.py is looked for beside the repository, in shared/tools.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))

import opening
from opening import drive, shot

ZIP, ENDPOINT, PICTURES = opening.ARGUMENTS[:3]
os.environ["RELIEVO_DATA"] = str(Path(PICTURES) / "new-user")

MODULE = "bl_ext.user_default.relievo"


def addon(name: str):
    return importlib.import_module(f"{MODULE}.{name}")


def newest_job():
    return list(addon("pump").session().jobs.values())[-1]


def settled() -> bool:
    return newest_job().is_settled and not newest_job().awaits_placing


def install_without_a_fitting_python():
    """This Blender's Python is too new for PyTorch and the box has no other: Install has to say what to do."""
    bpy.context.preferences.system.use_online_access = True
    bpy.ops.relievo.install_backend()
    yield lambda: addon("pump").session().connection.installer is None
    yield 1.0
    shot("11-no-python")


def image_editor():
    """The recipe of an image and a terrain of it, in the image editor's own sidebar."""
    scene = bpy.context.scene.relievo
    scene.algorithm, scene.output.kind = "noise", "IMAGES"
    bpy.ops.relievo.generate()
    yield settled
    scene.output.kind = "MESH"
    area = drive.view3d()
    area.type = "IMAGE_EDITOR"
    area.spaces.active.image = next(image for image in bpy.data.images if "relievo_recipe" in image)
    area.spaces.active.show_region_ui = True
    yield 1.0
    sidebar = next(region for region in area.regions if region.type == "UI")
    sidebar.active_panel_category = "Relievo"
    area.tag_redraw()
    yield 1.0
    shot("18-image-editor")
    area.type = "VIEW_3D"


def keep_and_picture():
    """Keep takes the preview as it is; then the picture of a finished terrain beside the sidebar."""
    bpy.ops.object.select_all(action="DESELECT")
    for other in [item for item in bpy.data.objects if item.type == "MESH"]:
        bpy.data.objects.remove(other)
    settings = bpy.context.scene.relievo
    settings.noise.width_px = settings.noise.height_px = 768
    settings.noise.pixel_size_m = 30.0
    bpy.ops.relievo.apply_preset(algorithm="noise", preset="alps-base")
    settings.algorithm, settings.morphology.from_height.source = "morphology", "NOISE"
    drive.view3d().spaces.active.region_3d.view_perspective = "PERSP"
    bpy.ops.relievo.generate()
    yield lambda: (newest_job().fraction > 0.5 and not newest_job().feeds) or settled()
    bpy.ops.relievo.keep_job(job=newest_job().id)
    yield settled
    assert newest_job().applied, newest_job().sentence
    drive.shade("MATERIAL")
    yield 6.0
    shot("19-kept")
    bpy.ops.relievo.set_up_view()
    drive.shade("RENDERED")
    yield 15.0
    shot("19-eevee")


def session():
    for other in list(bpy.data.objects):
        if other.type == "MESH":
            bpy.data.objects.remove(other)
    bpy.ops.extensions.package_install_files(repo="user_default", filepath=ZIP, enable_on_install=True, overwrite=True)
    yield 1.5
    yield from drive.open_sidebar("Relievo")
    yield 1.0
    shot("11-nothing-installed")
    yield from install_without_a_fitting_python()
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
    settings.morphology.from_height.resolution = 1024
    bpy.ops.relievo.generate()
    yield lambda: newest_job().fraction > 0.3 or settled()
    shot("14-live-preview")
    objects = len(bpy.data.objects)
    assert not newest_job().is_settled, "too fast to be cancelled: take a larger resolution"
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
    area = drive.view3d()
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=drive.window(), area=area, region=region):
        bpy.ops.relievo.set_up_view()
    yield 4.0
    shot("16-view-set-up")
    bpy.ops.wm.call_menu(name="RELIEVO_MT_presets")
    yield 1.0
    shot("16-presets")
    drive.key("ESC", 700, 400)
    yield 0.5
    yield from image_editor()
    yield from keep_and_picture()
    preferences = bpy.context.preferences.addons[MODULE].preferences
    preferences.place = "OWN"
    bpy.ops.relievo.measure_backend()
    bpy.ops.screen.userpref_show()
    bpy.context.preferences.active_section = "ADDONS"
    bpy.ops.preferences.addon_show(module=MODULE)
    yield 1.5
    shot("17-preferences")


drive.run(session(), timeout=200.0)
