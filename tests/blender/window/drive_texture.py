r"""A photograph becomes a tiling, displaced material on a wall in a real window: panel, preview while it forms, result with
its settings, and what undo leaves. Takes pictures to look at; not a pytest file.

    blender-gui --size 1600x900 -- --enable-event-simulate \
        --python tests/blender/window/drive_texture.py -- ADDON_PARENT ENDPOINT PICTURES PHOTOGRAPH

ADDON_PARENT is the folder that holds blender_addon and tests, ENDPOINT the connection file of a backend that runs, PICTURES a
folder. blender_drive.py is looked for beside the repository, in shared/tools.
"""

from __future__ import annotations

import sys
from math import pi
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))

import opening
from opening import choose, drive, newest_job, settled, shot, tab_in_an_empty_scene

opening.use_checkout(Path(opening.ARGUMENTS[2]) / "data")
from blender_addon.placing import viewport  # noqa: E402
from blender_addon.writers import textures  # noqa: E402


def session():
    yield from tab_in_an_empty_scene()
    bpy.ops.mesh.primitive_plane_add(size=1.0, rotation=(pi / 2, 0, 0))
    wall = bpy.context.active_object
    wall.name, wall.scale = "Wall", (4.0, 3.0, 1.0)
    bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
    viewport.frame(wall)
    drive.shade("MATERIAL")
    settings = bpy.context.scene.relievo
    yield from choose(settings, "texture")
    shot("1-empty")
    settings.texture.from_exemplar.image = bpy.data.images.load(opening.ARGUMENTS[3])
    settings.texture.width = settings.texture.height = 128
    settings.texture.scale, settings.texture.steps = 0.25, 5
    yield 0.7
    shot("2-ready")
    bpy.ops.ed.undo_push(message="a wall")
    bpy.ops.relievo.generate()
    yield lambda: any("(preview)" in item.name for item in bpy.data.objects) or settled()
    yield 3.0
    shot("3-forming")
    yield settled
    assert newest_job().error is None, newest_job().sentence
    yield 6.0  # EEVEE compiles a material while the view shows it without
    shot("4-result")
    bpy.ops.relievo.displace()
    yield 6.0
    shot("5-displaced")
    assert textures.worn_by(bpy.data.objects["Wall"]) is not None
    with bpy.context.temp_override(window=drive.window(), area=drive.view3d()):
        bpy.ops.ed.undo()
    yield 1.0
    assert textures.worn_by(bpy.data.objects["Wall"]) is None, "the result is one step"


drive.run(session(), timeout=240.0)
