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

from tests.blender.guide_pictures import sketched  # noqa: E402
from tests.blender.guide_pictures.sketched import GRASS, HILLS, ROCK, SAND, SNOW, WATER  # noqa: E402
from tests.blender.support import live_addon  # noqa: E402

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
    made = sketched.terrain(coast(), size_m=SIZE_M, seed=SEED)
    bpy.ops.relievo.wear_textures()
    bpy.ops.relievo.set_up_view(elevation=27.0, azimuth=250.0)
    look(made, (0.36, -0.29), -16.0, 10.0, 8.0)
    sketched.render(picture, shape, samples=samples, quality=QUALITY)


if __name__ == "__main__":
    given = sys.argv[1:]
    size = (int(given[2]), int(given[3])) if len(given) > 3 else SHAPE
    with tempfile.TemporaryDirectory() as data, live_addon.registered(Path(data), threads=2):
        main(Path(given[0]).resolve(), int(given[1]) if len(given) > 1 else 8, size)
