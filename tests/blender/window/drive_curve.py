r"""A person draws a river on a sketch with Blender's draw tool, makes the terrain, scatters a collection on its forest, and
asks for variations. Takes pictures to look at; not a pytest file.

    blender-gui --size 1600x900 -- --enable-event-simulate \
        --python tests/blender/window/drive_curve.py -- ADDON_PARENT ENDPOINT PICTURES ENGINE

The arguments are those of drive_sketch.py; ENGINE takes a sketch and curves.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import opening
from opening import drive, newest_job, settled, shot, tab_in_an_empty_scene

opening.use_checkout(Path(opening.ARGUMENTS[2]) / "data")
from bpy_extras.view3d_utils import location_3d_to_region_2d  # noqa: E402

from blender_addon import requests  # noqa: E402
from blender_addon.datablocks import sketch  # noqa: E402
from blender_addon.inputs import sketch_sources  # noqa: E402
from blender_addon.shared.algorithm import find  # noqa: E402
from blender_addon.shared.catalog import algorithms  # noqa: E402

RIVER = ((0.5, 0.42), (0.56, 0.55), (0.52, 0.68), (0.6, 0.8), (0.58, 0.95))  # from the mountain to the sea


def the_sketch() -> bpy.types.Object:
    return sketch.sketches(bpy.context.scene)[0]


def on_screen(u: float, v: float) -> tuple[float, float]:
    """Where a point of the sketch is in the window; u, v: 0..1 from its top left."""
    item, area = the_sketch(), drive.view3d()
    region = next(region for region in area.regions if region.type == "WINDOW")
    place = item.matrix_world.translation.copy()
    place.x += (u - 0.5) * item.dimensions.x
    place.y += (0.5 - v) * item.dimensions.y
    x, y = location_3d_to_region_2d(region, area.spaces.active.region_3d, place)
    return region.x + x, drive.window().height - (region.y + y)


def paint_island(classes: Any) -> None:
    """What many strokes would leave: rings of classes around a summit."""
    image = sketch.image_of(the_sketch())
    side = image.size[0]
    axis = np.linspace(-1.0, 1.0, side)
    distance = np.hypot(axis[:, None], axis[None])
    numbers = np.digitize(distance, [0.15, 0.35, 0.45, 0.65, 0.8, 0.86])
    colors = np.array([rgb for _, rgb in classes], np.float32)[[6, 5, 4, 3, 2, 1, 0]][numbers]
    pixels = np.ones((side, side, 4), np.float32)
    pixels[..., :3] = colors
    image.pixels.foreach_set(pixels.ravel())
    image.update()


def in_view(operator: Any, **arguments: Any) -> None:
    area = drive.view3d()
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=drive.window(), area=area, region=region):
        operator(**arguments)


def session() -> Generator[Any, None, None]:
    yield from tab_in_an_empty_scene()
    scene, spec = bpy.context.scene, find(algorithms(), opening.ARGUMENTS[3])
    scene.relievo.algorithm = spec.name
    port = sketch_sources.port_of(spec)
    sketch_sources.settings_of(scene, spec, port).source = "SKETCH"
    in_view(bpy.ops.relievo.new_sketch, size_m=20_000.0)
    yield 1.0
    paint_island(port.classes)
    in_view(bpy.ops.object.mode_set, mode="OBJECT")
    yield 0.5
    in_view(bpy.ops.relievo.draw_curve, type="RIVER")
    yield 1.0
    fine = [
        (u0 + (u1 - u0) * t, v0 + (v1 - v0) * t)
        for (u0, v0), (u1, v1) in itertools.pairwise(RIVER)
        for t in np.linspace(0, 1, 12)
    ]
    drive.drag([on_screen(u, v) for u, v in fine])
    yield 1.0
    shot("80-drawn")
    in_view(bpy.ops.object.mode_set, mode="OBJECT")
    curve = bpy.context.active_object
    assert curve.type == "CURVE", curve.type
    assert curve.data.splines, "the pen has drawn"
    bpy.ops.relievo.generate()
    yield settled
    yield 1.0
    assert newest_job().error is None, newest_job().sentence
    made = requests.result_of(scene, the_sketch().name)
    assert newest_job().recipe["inputs"].get("curves"), "the terrain obeys the curve"
    shot("81-bent")
    yield from scattered(made)


def scattered(made: bpy.types.Object) -> Generator[Any, None, None]:
    mesh = bpy.data.meshes.new("Tree")
    mesh.from_pydata([(-60, -60, 0), (60, -60, 0), (0, 70, 0), (0, 0, 220)], [], [(0, 1, 3), (1, 2, 3), (2, 0, 3)])
    trees = bpy.data.collections.new("Trees")
    trees.objects.link(bpy.data.objects.new("Tree", mesh))
    bpy.context.scene.collection.children.link(trees)
    bpy.context.view_layer.objects.active = made
    made.select_set(True)
    bpy.ops.relievo.scatter(density="forest", collection="Trees")
    yield 2.0
    found = bpy.context.evaluated_depsgraph_get().object_instances
    count = sum(
        1 for instance in found if instance.is_instance and instance.parent and instance.parent.original == made
    )
    assert count > 1000, count
    print(f"{count} instances", flush=True)
    shot("82-scattered")
    bpy.ops.relievo.variations()
    yield 0.5
    yield settled
    yield 4.0
    shot("83-variations")


drive.run(session(), timeout=280.0)
