r"""An engine of each form in a real window: its panel before, its preview, its result, and what undo leaves. Takes pictures to look
at; not a pytest file.

    blender-gui --size 1600x900 -- --enable-event-simulate \
        --python tests/blender/window/drive_forms.py -- ADDON_PARENT ENDPOINT PICTURES

ADDON_PARENT is the folder that holds blender_addon and tests, ENDPOINT the connection file of a backend that runs with
RELIEVO_EXTRA_ALGORITHMS=tests.support.toy_engines, PICTURES a folder. blender_drive.py is looked for beside the repository, in
shared/tools.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import opening
from opening import choose, drive, newest_job, settled, shot, tab_in_an_empty_scene

PICTURES = opening.ARGUMENTS[2]
opening.use_checkout(Path(PICTURES) / "data")
os.environ["RELIEVO_EXTRA_ALGORITHMS"] = "tests.support.toy_engines"
from blender_addon.placing import viewport  # noqa: E402


def painted(name: str, colors: np.ndarray) -> bpy.types.Image:
    """A packed image of sRGB colours [H, W, 3], top row first."""
    rows, columns = colors.shape[:2]
    image = bpy.data.images.new(name, columns, rows)
    pixels = np.ones((rows, columns, 4), np.float32)
    pixels[..., :3] = colors[::-1]
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image


def sketch() -> bpy.types.Image:
    """An island: sand around grass, rock and a snowy top, in the sea."""
    palette = np.array(
        [(0.1, 0.3, 0.8), (0.9, 0.8, 0.5), (0.3, 0.6, 0.2), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)], np.float32
    )
    y, x = np.mgrid[-1:1:128j, -1:1:192j]
    reach = 1.0 - np.hypot(x, y) + 0.12 * np.sin(5 * x + 2) * np.cos(4 * y)
    return painted("Island", palette[np.digitize(reach, [0.15, 0.28, 0.5, 0.72])])


def picture() -> bpy.types.Image:
    """A sunset: smooth colours with a dark hill."""
    y, x = np.mgrid[0:1:120j, 0:1:180j]
    sky = np.stack([0.95 - 0.3 * y, 0.35 + 0.4 * y, 0.75 - 0.55 * y], axis=-1)
    sun = np.exp(-((x - 0.65) ** 2 + (y - 0.55) ** 2) / 0.012)[..., None] * np.array([0.3, 0.4, 0.1])
    hill = (y > 0.75 + 0.1 * np.sin(5 * x))[..., None]
    return painted("Sunset", np.clip(np.where(hill, (0.12, 0.2, 0.12), sky + sun), 0, 1).astype(np.float32))


def session():
    yield from tab_in_an_empty_scene()
    drive.shade("MATERIAL")
    settings = bpy.context.scene.relievo
    terrain, surface, painting = settings.toy_terrain, settings.toy_material, settings.toy_painting
    yield from choose(settings, "toy_terrain")
    shot("30-terrain-empty")
    terrain.from_sketch.image = sketch()
    yield 0.7
    shot("31-terrain-panel")
    terrain.from_sketch.source = "MATERIALS"
    yield 0.7
    shot("32-terrain-materials")
    terrain.from_sketch.source = "IMAGE"
    yield from generate()
    shot("33-terrain")
    yield from choose(settings, "toy_material")
    bpy.ops.mesh.primitive_monkey_add(size=600.0, location=(0, 0, 1800))
    viewport.frame(bpy.context.active_object)
    bpy.ops.object.shade_smooth()
    surface.from_image.image = picture()
    yield 0.7
    shot("34-material-panel")
    yield from generate()
    shot("35-material")
    yield from choose(settings, "toy_painting")
    painting.from_image.image, painting.rows = picture(), 24
    yield from generate()
    shot("36-painting")
    settings.output.painting = "STROKES"
    bpy.context.scene.cursor.location = (9000, 0, 0)
    yield from generate()
    shot("37-strokes")
    yield from choose(settings, "toy_maps")
    settings.noise.width_px = settings.noise.height_px = 256
    yield 0.7
    shot("38-maps-panel")
    yield from generate()
    area = next(area for area in drive.window().screen.areas if area.type != "VIEW_3D" and area.width > 200)
    area.type = "IMAGE_EDITOR"
    bpy.ops.relievo.show_job(job=newest_job().id)
    yield 1.0
    shot("39-maps")
    images = len(bpy.data.images)
    bpy.ops.ed.undo()
    yield 1.0
    assert len(bpy.data.images) == images - 2, "one result is one step"


def generate():
    bpy.ops.relievo.generate()
    yield settled
    assert newest_job().error is None, newest_job().sentence
    yield 6.0  # EEVEE compiles a material while the view shows it without


drive.run(session(), timeout=240.0)
