r"""A picture for the guide: the terrain of a painted island with a lake, trees scattered on its forest, rendered with Cycles.

    .venv-blender-5.0/bin/python tests/blender/guide_pictures/render_sketch.py PICTURE.jpg [SAMPLES]

All of it in background mode, by the operators that a person presses. Not a pytest file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tests.blender.guide_pictures import sketched  # noqa: E402
from tests.blender.guide_pictures.sketched import FOREST, GRASS, HILLS, ROCK, SAND, SNOW, WATER  # noqa: E402
from tests.blender.support import live_addon  # noqa: E402

SIDE_PX, SIZE_M, SEED, QUALITY = 512, 12000.0, 5, 90
SHAPE = (1280, 640)
TREE_M = 55.0  # far above a real one's: the picture shows 12 km


def island() -> np.ndarray:
    """Class numbers [SIDE_PX, SIDE_PX]: a coast with bays, a forest, a range from the middle to the upper right, and a lake."""
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX] / (SIDE_PX / 2) - 1.0
    turn = np.arctan2(y, x)
    coast = 0.80 + 0.09 * np.sin(3 * turn + 0.7) + 0.05 * np.sin(5 * turn + 2.1) + 0.025 * np.sin(11 * turn)
    far = np.hypot(x, y)
    classes = np.full(far.shape, WATER, np.uint8)
    along, across = (x - 0.1) * 0.85 - (y + 0.1) * 0.53, (x - 0.1) * 0.53 + (y + 0.1) * 0.85
    ridge = np.hypot(along / 0.42, across / 0.17) + 0.12 * np.sin(9 * along + 4 * across)
    wood = np.hypot((x + 0.28) / 0.30, (y - 0.2) / 0.24) + 0.15 * np.sin(6 * turn)
    lake = np.hypot((x - 0.28) / 0.15, (y - 0.36) / 0.11) + 0.1 * np.sin(3 * turn)
    for number, where in (
        (SAND, far < coast),
        (GRASS, far < coast - 0.05),
        (FOREST, ((wood < 1.0) | ((ridge < 2.2) & (y > 0.0))) & (far < coast - 0.13)),
        (HILLS, ridge < 1.7),
        (ROCK, ridge < 1.15),
        (SNOW, ridge < 0.55),
        (WATER, lake < 1.0),
    ):
        classes[where & (far < coast)] = number
    return classes


def tree() -> bpy.types.Collection:
    """A cone of a real tree's green, in a collection of its own that is not rendered itself."""
    bpy.ops.mesh.primitive_cone_add(vertices=7, radius1=0.3 * TREE_M, depth=TREE_M, location=(0, 0, 0.45 * TREE_M))
    item = bpy.context.active_object
    bpy.ops.object.transform_apply(location=True)
    material = bpy.data.materials.new("Needles")
    material.use_nodes = True
    material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (0.022, 0.045, 0.012, 1.0)
    item.data.materials.append(material)
    trees = bpy.data.collections.new("Trees")
    for collection in item.users_collection:
        collection.objects.unlink(item)
    trees.objects.link(item)
    return trees


def main(picture: Path, samples: int) -> None:
    made = sketched.terrain(island(), size_m=SIZE_M, seed=SEED)
    trees = tree()
    bpy.context.view_layer.objects.active = made
    bpy.ops.relievo.scatter(density="forest", collection=trees.name)
    bpy.ops.relievo.base()
    bpy.ops.relievo.set_up_view(elevation=24.0, azimuth=212.0)
    sketched.render(picture, SHAPE, samples=samples, quality=QUALITY)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as data, live_addon.registered(Path(data), threads=2):
        main(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 96)
