r"""A picture for the guide: a photograph of bricks as a tiling, displaced material on a wall in raking light, rendered with Cycles.

    .venv-blender-5.0/bin/python tests/blender/guide_pictures/render_wall.py PHOTOGRAPH PICTURE.jpg [SAMPLES]

All of it in background mode, by the operators that a person presses. Not a pytest file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from blender_addon import compat  # noqa: E402
from blender_addon.writers import displaced_surface, surface_nodes, textures  # noqa: E402
from tests.blender.support import live_addon  # noqa: E402

WIDTH_M, HEIGHT_M = 4.0, 3.0
SETTINGS = {"width": 1024, "height": 768, "scale": 0.75, "seed": 4}
TILE_WIDTH_M = 1.4  # so that a brick is 22 cm long
RELIEF_M = 0.012
SHAPE, QUALITY = (1120, 630), 72


def wall() -> bpy.types.Object:
    """4 m x 3 m, standing on the ground, its face to -Y."""
    bpy.ops.mesh.primitive_plane_add(size=1.0, location=(0, 0, HEIGHT_M / 2), rotation=(np.pi / 2, 0, 0))
    item = bpy.context.active_object
    item.name, item.scale = "Wall", (WIDTH_M, HEIGHT_M, 1.0)
    bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
    return item


def light_and_camera() -> None:
    scene = bpy.context.scene
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.data.angle, sun.data.color = 5.0, np.radians(0.8), (1.0, 0.93, 0.82)
    sun.rotation_euler = (
        Vector((0.80, 0.28, -0.53)).to_track_quat("-Z", "Y").to_euler()
    )  # along the wall, from the left
    eye = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    eye.location, eye.data.lens = (1.75, -1.5, 1.05), 30.0
    eye.rotation_euler = (Vector((-0.15, 0.0, 1.2)) - eye.location).to_track_quat("-Z", "Y").to_euler()
    for item in (sun, eye):
        scene.collection.objects.link(item)
    scene.camera = eye
    bpy.ops.mesh.primitive_plane_add(size=60.0)
    floor = bpy.data.materials.new("Floor")
    compat.use_nodes(floor).nodes["Principled BSDF"].inputs["Base Color"].default_value = (0.16, 0.15, 0.14, 1.0)
    bpy.context.active_object.data.materials.append(floor)
    scene.world = bpy.data.worlds.new("Sky")
    background = compat.use_nodes(scene.world).nodes["Background"]
    background.inputs["Color"].default_value, background.inputs["Strength"].default_value = (0.45, 0.6, 0.9, 1), 0.35


def main(photograph: Path, picture: Path, samples: int) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    image = bpy.data.images.load(str(photograph))
    item = wall()
    bpy.ops.relievo.texture(exemplar=image.name, **SETTINGS)
    material = textures.worn_by(item)
    nodes = material.node_tree.nodes
    nodes[surface_nodes.TILE_WIDTH_NODE].outputs[0].default_value = TILE_WIDTH_M
    displaced_surface.displacement_node(material).inputs["Scale"].default_value = RELIEF_M
    bpy.ops.relievo.displace()
    light_and_camera()
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", samples
    scene.cycles.use_denoising = True
    scene.view_settings.exposure = 1.3
    scene.render.resolution_x, scene.render.resolution_y = SHAPE
    is_png = picture.suffix == ".png"
    scene.render.image_settings.file_format = "PNG" if is_png else "JPEG"
    scene.render.image_settings.quality = QUALITY
    scene.render.filepath = str(picture)
    bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as data, live_addon.registered(Path(data), threads=2):
        main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), int(sys.argv[3]) if len(sys.argv) > 3 else 64)
