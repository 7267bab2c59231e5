r"""A terrain made of a sketch gets a painted ground in a real window: its albedo is painted with its classes as segments, seen from
afar and from close by, and painted again in another style. Takes pictures to look at; not a pytest file.

    blender-gui --size 1600x900 --limit 900 -- --enable-event-simulate \
        --python tests/blender/window/drive_painted_terrain.py -- ADDON_PARENT ENDPOINT PICTURES

ADDON_PARENT is the folder that holds blender_addon and tests, ENDPOINT the connection file of a backend that runs, PICTURES a
folder. blender_drive.py is looked for beside the repository, in shared/tools.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import opening
from opening import choose, drive, newest_job, settled, shot, tab_in_an_empty_scene

opening.use_checkout(Path(opening.ARGUMENTS[2]) / "data")
from blender_addon.placing import viewport  # noqa: E402
from blender_addon.shared.catalog import algorithms  # noqa: E402
from blender_addon.writers import textures  # noqa: E402

SIDE = 512  # pixels of the sketch, and vertices of the terrain
COMPILING_S = 25.0  # EEVEE's shaders, by software, before the view shows anything


def sketch(spec) -> bpy.types.Image:
    """An island: the first class, water, around rings of the others."""
    port = next(port for port in spec.inputs if port.classes)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE * 2 - 1
    angle = np.arctan2(y, x)
    distance = np.hypot(x, y) * (1 + 0.18 * np.sin(3 * angle) + 0.08 * np.sin(7 * angle + 1))
    number = np.clip(((0.95 - distance) * len(port.classes) / 0.95).astype(int) + 1, 0, len(port.classes) - 1)
    number[distance > 0.95] = 0
    palette = np.array([rgb for _, rgb in port.classes], np.float32)
    pixels = np.ones((SIDE, SIDE, 4), np.float32)
    pixels[..., :3] = palette[number]
    image = bpy.data.images.new("Island", SIDE, SIDE)
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image


def generate():
    bpy.ops.relievo.generate()
    yield settled
    assert newest_job().error is None, newest_job().sentence
    assert not newest_job().held, newest_job().held
    yield 1.0


def session():
    yield from tab_in_an_empty_scene()
    settings = bpy.context.scene.relievo
    sketched = next(spec for spec in algorithms() if any(port.classes for port in spec.inputs))
    yield from choose(settings, sketched.name)
    group = getattr(settings, sketched.name)
    picker = getattr(group, f"from_{next(port.name for port in sketched.inputs if port.classes)}")
    picker.source, picker.image, picker.snap = "IMAGE", sketch(sketched), True
    yield from generate()
    terrain = bpy.context.active_object
    viewport.frame(terrain)
    drive.shade("MATERIAL")
    yield COMPILING_S
    shot("31-terrain")

    painting = next(spec for spec in algorithms() if spec.makes == "painting")
    yield from choose(settings, painting.name)
    group = getattr(settings, painting.name)
    group.from_image.source = group.from_segments.source = group.from_canvas.source = "SURFACE"
    group.budget, group.steps, group.bristles, group.smallest, group.scale = 1600, 10, 0.5, 2.5, 4.0
    yield 0.7
    shot("32-panel")
    yield from generate()
    yield COMPILING_S
    shot("33-painted")
    assert textures.worn_by(terrain) is not None
    with bpy.context.temp_override(window=drive.window(), area=drive.view3d()):
        drive.view3d().spaces.active.region_3d.view_distance /= 5.0
    yield 5.0
    shot("34-painted-close")
    group.budget, group.smallest, group.largest = 160, 8.0, 40.0
    yield from generate()
    yield COMPILING_S / 2
    shot("35-painted-again")
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(opening.ARGUMENTS[2]) / "painted_terrain.blend"))


drive.run(session(), timeout=600.0)
