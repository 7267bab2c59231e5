"""Photographs that Cycles takes of a mesh from all sides, and where it took them from. For tests and for the guide's pictures."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector


def set_up_rendering(width: int, height: int, samples: int) -> None:
    """Anti-aliased as a lens does it, and sRGB as it comes, without a film's look."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", samples, False
    scene.render.use_persistent_data = True  # the mesh and its texture are the same in all
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGB"


def directions(count: int, lowest: float = -1.0) -> list[Vector]:
    """Evenly over a sphere, or over its part above z = lowest: Fibonacci's spiral."""
    golden = math.pi * (3.0 - math.sqrt(5.0))
    found = []
    for number in range(count):
        z = 1.0 - (1.0 - lowest) * (number + 0.5) / count
        radius = math.sqrt(1.0 - z * z)
        found.append(Vector((radius * math.cos(golden * number), radius * math.sin(golden * number), z)))
    return found


def camera(
    name: str, collection: bpy.types.Collection, middle: Vector, offset: Vector, lens_mm: float
) -> bpy.types.Object:
    """A camera at middle + offset that looks at middle."""
    item = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    item.data.lens = lens_mm
    item.location = middle + offset
    item.rotation_euler = offset.to_track_quat("Z", "Y").to_euler()
    collection.objects.link(item)
    return item


def photograph(item: bpy.types.Object, path: Path) -> None:
    """What the camera sees, as a file and as its background image."""
    scene = bpy.context.scene
    scene.camera, scene.render.filepath = item, str(path)
    bpy.ops.render.render(write_still=True)
    item.data.show_background_images = True
    item.data.background_images.new().image = bpy.data.images.load(str(path))


def wear(item: bpy.types.Object, image: bpy.types.Image, *, glowing: bool) -> None:
    """One material with the image: matt, or glowing, which shows the image alone, without light and shade."""
    item.data.materials.clear()
    material = bpy.data.materials.new("Photographed")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = image
    shader = nodes.new("ShaderNodeEmission" if glowing else "ShaderNodeBsdfDiffuse")
    links.new(texture.outputs["Color"], shader.inputs["Color"])
    links.new(shader.outputs[0], nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    item.data.materials.append(material)


def pixels(image: bpy.types.Image) -> np.ndarray:
    """[H, W, 3] as Blender holds them, top row first."""
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)[::-1, :, :3]
