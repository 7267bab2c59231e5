"""What the guide's pictures of sketched terrains have in common: from class numbers to a terrain, and from a scene to a file.

By the operators that a person presses. Not a pytest file.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from blender_addon.datablocks import sketch
from blender_addon.shared.algorithm import find
from blender_addon.shared.catalog import algorithms

WATER, SAND, GRASS, FOREST, HILLS, ROCK, SNOW = range(7)
ENGINE = "terrain"


def terrain(classes: np.ndarray, *, size_m: float, seed: int) -> bpy.types.Object:
    """The terrain of class numbers [H, W], active, in an empty file; its sketch is not rendered."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    settings = bpy.context.scene.relievo
    settings.algorithm = ENGINE
    rows, columns = classes.shape
    bpy.ops.relievo.new_sketch(size_m=size_m, width_px=columns, height_px=rows)
    plane = sketch.sketches(bpy.context.scene)[0]
    _paint(plane, classes)
    bpy.ops.object.mode_set(mode="OBJECT")
    settings.terrain.seed = seed
    bpy.ops.relievo.generate()
    plane.hide_render = True
    return bpy.context.active_object


def _paint(item: bpy.types.Object, classes: np.ndarray) -> None:
    image = sketch.image_of(item)
    port = next(port for port in find(algorithms(), ENGINE).inputs if port.classes)
    pixels = np.ones((*classes.shape, 4), np.float32)
    pixels[..., :3] = np.array([rgb for _, rgb in port.classes], np.float32)[classes]
    image.pixels.foreach_set(np.ascontiguousarray(pixels[::-1]).ravel())
    image.update()


def render(picture: Path, shape: tuple[int, int], *, samples: int, quality: int) -> None:
    """The scene through its camera with Cycles on the CPU: JPEG, or PNG where the file is called so. shape: width and height."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = shape
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", samples
    scene.cycles.use_denoising = True
    scene.render.image_settings.file_format = "JPEG" if picture.suffix == ".jpg" else "PNG"
    scene.render.image_settings.quality = quality
    scene.render.filepath = str(picture)
    bpy.ops.render.render(write_still=True)
