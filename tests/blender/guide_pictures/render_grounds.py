r"""A picture for the guide: grass, sand and rock on a terrain by its painted classes, from close by, rendered with Cycles.

    .venv-blender-4.5/bin/python tests/blender/guide_pictures/render_grounds.py PICTURE.jpg [SAMPLES] [WIDTH HEIGHT]

All of it in background mode, by the operators that a person presses. Not a pytest file.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from blender_addon.datablocks import sketch  # noqa: E402
from blender_addon.shared.algorithm import find  # noqa: E402
from blender_addon.shared.catalog import algorithms  # noqa: E402
from tests.blender.support import live_addon  # noqa: E402

WATER, SAND, GRASS, FOREST, HILLS, ROCK, SNOW = range(7)
SIDE_PX, SIZE_M, SEED, QUALITY = 512, 3000.0, 5, 88
SHAPE = (1024, 448)


def coast() -> np.ndarray:
    """Class numbers [SIDE_PX, SIDE_PX]: from below, a bay, its beach, meadows, and rock that rises behind them with some snow."""
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX] / (SIDE_PX / 2) - 1.0
    shore = 0.52 - 0.22 * np.cos(2.2 * x + 0.4) + 0.03 * np.sin(11 * x) + 0.015 * np.sin(23 * x + 1.0)
    meadow = shore - 0.20 - 0.07 * np.sin(5 * x + 1.0) - 0.03 * np.sin(13 * x)
    crag = meadow - 0.34 - 0.14 * np.sin(3.1 * x + 2.0) - 0.05 * np.sin(9 * x + 0.5)
    classes = np.full(x.shape, WATER, np.uint8)
    for number, edge in ((SAND, shore), (GRASS, meadow), (HILLS, crag + 0.10), (ROCK, crag), (SNOW, crag - 0.5)):
        classes[y < edge] = number
    spur = np.hypot((x - 0.15) / 0.16, (y + 0.05) / 0.10) + 0.15 * np.sin(14 * x + 9 * y)
    classes[spur < 1.0] = ROCK
    return classes


def paint(item: bpy.types.Object, classes: np.ndarray) -> None:
    image = sketch.image_of(item)
    port = next(port for port in find(algorithms(), "terrain").inputs if port.classes)
    pixels = np.ones((*classes.shape, 4), np.float32)
    pixels[..., :3] = np.array([rgb for _, rgb in port.classes], np.float32)[classes]
    image.pixels.foreach_set(np.ascontiguousarray(pixels[::-1]).ravel())
    image.update()


def look(
    terrain: bpy.types.Object, place: tuple[float, float], azimuth_deg: float, eye_m: float, down_deg: float
) -> None:
    """A camera that stands so high above a place of the map, x and y in -1..1 with y up."""
    scene = bpy.context.scene
    here = Vector((place[0] * SIZE_M / 2, place[1] * SIZE_M / 2, 1e5))
    _, ground, *_ = terrain.ray_cast(here, Vector((0, 0, -1)))
    data = bpy.data.cameras.new("Close")
    data.lens, data.clip_start, data.clip_end = 30.0, 0.5, 10 * SIZE_M
    camera = bpy.data.objects.new("Close", data)
    camera.location = terrain.location + Vector((here.x, here.y, max(ground.z, 0.0) + eye_m))
    camera.rotation_euler = (math.radians(90.0 - down_deg), 0.0, -math.radians(azimuth_deg))
    scene.collection.objects.link(camera)
    scene.camera = camera


def main(picture: Path, samples: int, shape: tuple[int, int]) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.relievo.algorithm = "terrain"
    scene.render.resolution_x, scene.render.resolution_y = shape
    bpy.ops.relievo.new_sketch(size_m=SIZE_M, width_px=SIDE_PX, height_px=SIDE_PX)
    plane = sketch.sketches(scene)[0]
    paint(plane, coast())
    bpy.ops.object.mode_set(mode="OBJECT")
    scene.relievo.terrain.seed = SEED
    bpy.ops.relievo.generate()
    made = bpy.context.active_object
    bpy.ops.relievo.wear_textures()
    plane.hide_render = True
    bpy.ops.relievo.set_up_view(elevation=27.0, azimuth=250.0)
    look(made, (0.36, -0.29), -16.0, 10.0, 8.0)
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", samples
    scene.cycles.use_denoising = True
    scene.render.image_settings.file_format = "JPEG" if picture.suffix == ".jpg" else "PNG"
    scene.render.image_settings.quality = QUALITY
    scene.render.filepath = str(picture)
    bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    given = sys.argv[1:]
    size = (int(given[2]), int(given[3])) if len(given) > 3 else SHAPE
    with tempfile.TemporaryDirectory() as data, live_addon.registered(Path(data), threads=2):
        main(Path(given[0]).resolve(), int(given[1]) if len(given) > 1 else 8, size)
