r"""A scan for the guide's pictures: a mesh with its texture in soft light on a studio's floor, photographed by Cycles from around.

    .venv-blender-5.0/bin/python tests/blender/guide_pictures/photograph_scan.py MESH.obj TEXTURE FOLDER

Writes FOLDER/images, FOLDER/sparse (COLMAP's text files, of the blender world) and FOLDER/mesh.obj, bare but for its UVs: what
drive_scan.py takes. Not a pytest file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tests.blender.support import photography  # noqa: E402
from tests.support.bloster import quaternion  # noqa: E402

VIEWS, WIDTH, HEIGHT, SAMPLES, LENS_MM = 24, 640, 480, 16, 50.0


def studio(item: bpy.types.Object) -> None:
    """A pale floor under the mesh, a wide lamp above it and the room's light around."""
    scene = bpy.context.scene
    low = min((item.matrix_world @ Vector(corner)).z for corner in item.bound_box)
    bpy.ops.mesh.primitive_plane_add(size=60.0, location=(0.0, 0.0, low))
    floor = bpy.data.materials.new("Floor")
    floor.use_nodes = True
    floor.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (0.42, 0.40, 0.37, 1.0)
    floor.node_tree.nodes["Principled BSDF"].inputs["Roughness"].default_value = 0.9
    bpy.context.object.data.materials.append(floor)
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "AREA"))
    lamp.data.energy, lamp.data.size = 260.0, 4.0
    lamp.location = (1.8, -2.2, 4.0)
    lamp.rotation_euler = lamp.location.to_track_quat("Z", "Y").to_euler()
    scene.collection.objects.link(lamp)
    world = bpy.data.worlds.new("Room")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.62, 0.66, 0.72, 1.0)
    world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.6
    scene.world = world


def colmap(item: bpy.types.Object, number: int) -> str:
    """A line of images.txt: from the world into a camera that looks along +Z with Y down."""
    bpy.context.view_layer.update()
    seen = item.matrix_world.inverted()
    rotation = [[sign * value for value in row[:3]] for sign, row in zip((1, -1, -1), seen, strict=False)]
    shift = [sign * row[3] for sign, row in zip((1, -1, -1), seen, strict=False)]
    values = " ".join(repr(float(value)) for value in (*quaternion(np.array(rotation)), *shift))
    return f"{number} {values} 1 {item.name}.png\n\n"


def main(mesh: Path, texture: Path, folder: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.obj_import(filepath=str(mesh))
    (item,) = bpy.context.selected_objects
    item.data.shade_smooth()
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "sparse").mkdir(exist_ok=True)
    item.data.materials.clear()
    bpy.ops.wm.obj_export(
        filepath=str(folder / "mesh.obj"),
        forward_axis="Y",
        up_axis="Z",
        export_materials=False,
        export_selected_objects=True,
    )
    photography.wear(item, bpy.data.images.load(str(texture)), glowing=False)
    studio(item)
    photography.set_up_rendering(WIDTH, HEIGHT, SAMPLES)
    bpy.context.scene.cycles.max_bounces = 1  # light from the lamp and the room, and once around a corner
    cameras = bpy.data.collections.new("Cameras")
    bpy.context.scene.collection.children.link(cameras)
    lines = []
    for number, direction in enumerate(photography.directions(VIEWS, lowest=-0.12), 1):
        view = photography.camera(f"photograph-{number:02}", cameras, Vector((0.0, 0.0, 0.1)), 3.6 * direction, LENS_MM)
        photography.photograph(view, folder / "images" / f"{view.name}.png")
        lines.append(colmap(view, number))
    focal_px = LENS_MM / 36.0 * WIDTH
    (folder / "sparse/cameras.txt").write_text(
        f"1 PINHOLE {WIDTH} {HEIGHT} {focal_px} {focal_px} {WIDTH / 2} {HEIGHT / 2}\n"
    )
    (folder / "sparse/images.txt").write_text("".join(lines))
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "studio.blend"))


if __name__ == "__main__":
    main(*(Path(argument).resolve() for argument in sys.argv[1:4]))
