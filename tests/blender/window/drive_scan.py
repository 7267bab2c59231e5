r"""A scan in a real window, as a person textures it: mesh and cameras come in, the texture fills in, and is looked at.

    blender-gui --size 1600x900 -- --enable-event-simulate \
        --python tests/blender/window/drive_scan.py -- ADDON_PARENT ENDPOINT PICTURES MESH CAMERAS IMAGES

ADDON_PARENT is the folder that holds blender_addon, ENDPOINT the connection file of a backend that runs, PICTURES a folder, MESH a
.ply or .obj, CAMERAS what Import Cameras takes, IMAGES the folder of its photographs. Takes pictures to look at and saves the file
beside them; not a pytest file. blender_drive.py is looked for beside the repository, in shared/tools.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
from mathutils import Euler

sys.path.insert(0, str(Path(__file__).parent))

import opening
from opening import choose, drive, newest_job, settled, shot, tab_in_an_empty_scene

PICTURES, MESH, CAMERAS, IMAGES = opening.ARGUMENTS[2:6]
opening.use_checkout(Path(PICTURES) / "data")

from blender_addon.placing import previews  # noqa: E402


def load_mesh() -> bpy.types.Object:
    importer = bpy.ops.wm.ply_import if MESH.endswith(".ply") else bpy.ops.wm.obj_import
    axes = {} if MESH.endswith(".ply") else {"forward_axis": "Y", "up_axis": "Z"}
    importer(filepath=MESH, **axes)
    item = bpy.context.selected_objects[0]
    for material in list(item.data.materials):  # a scan comes bare
        bpy.data.materials.remove(material)
    item.data.materials.clear()
    item.data.shade_smooth()
    return item


def look(rotation: tuple[float, float, float]) -> None:
    view = drive.view3d().spaces.active.region_3d
    view.view_perspective = "PERSP"
    view.view_rotation = Euler(rotation).to_quaternion()
    drive.frame_selected()


def session():
    yield from tab_in_an_empty_scene(keep=())
    settings, area = bpy.context.scene.relievo, drive.view3d()
    yield from choose(settings, "scan_texture")
    shot("31-nothing-yet")
    mesh = load_mesh()
    name = mesh.name
    bpy.ops.relievo.import_cameras(filepath=CAMERAS, images=IMAGES)
    bpy.context.view_layer.objects.active = mesh
    for other in bpy.context.selected_objects:
        other.select_set(other == mesh)
    mesh.select_set(True)
    look((1.2, 0.0, 0.6))
    yield 2.0
    shot("32-mesh-and-cameras")
    if not mesh.data.uv_layers:
        bpy.ops.relievo.unwrap()
        yield 1.0
    drive.shade("MATERIAL")
    settings.scan_texture.size = 1024
    yield 3.0
    bpy.ops.ed.undo_push(message="before")  # operators that a script calls push none
    bpy.ops.relievo.generate()
    yield lambda: any(previews.TAG in item for item in bpy.data.objects) or settled()
    yield 0.5
    shot("33-first-preview")
    yield lambda: newest_job().fraction > 0.5 or settled()
    shot("34-half-way")
    yield settled
    assert newest_job().applied, newest_job().sentence
    yield 3.0
    shot("35-done")
    assert not any(previews.TAG in item for item in bpy.data.objects)
    bpy.context.scene.camera = next(item for item in bpy.data.objects if item.type == "CAMERA")
    area.spaces.active.region_3d.view_perspective = "CAMERA"
    yield 2.0
    shot("36-through-a-camera")
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(PICTURES) / "scan.blend"))
    bpy.ops.ed.undo()
    yield 1.0
    assert not bpy.data.objects[name].data.materials, "one result is one step"
    shot("37-undone")


drive.run(session(), timeout=300.0)
