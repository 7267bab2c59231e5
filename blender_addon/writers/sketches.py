"""A new sketch: a plane of a real size with an image in the exact colours of the classes, and a material that shows it without
light. Enters no mode and selects nothing.

The image is 8-bit sRGB: its bytes are the colours of the classes, a stroke of a hard brush adds no others, and views show it as it
was painted.
"""

from __future__ import annotations

import bpy
import numpy as np

from .. import compat, typed
from ..datablocks import sketch
from ..shared.classes import Classes
from . import record
from .shader_graph import ShaderGraph


def make(
    name: str,
    *,
    shape: tuple[int, int],
    size_m: float,
    classes: Classes,
    fill: int = 0,
    location: tuple[float, float, float] = (0.0, 0.0, 0.0),
    scene: bpy.types.Scene,
) -> bpy.types.Object:
    """The plane, in the collection Relievo. shape: rows and columns of its image. size_m: metres along the longer side. fill: the
    class that is everywhere at first.
    """
    rows, columns = shape
    image = _image(name, rows, columns, classes[fill][1])
    pixel = size_m / max(rows, columns)
    item = record.place(name, _plane(name, columns * pixel, rows * pixel), location, scene)
    typed.mesh(item).materials.append(_material(name, image))
    return item


def keep_pixels(image: bpy.types.Image) -> None:
    """Pack what was painted: what is not packed is lost when the file is saved and opened again."""
    if image.is_dirty and image.library is None and (image.packed_file is not None or not image.filepath):
        image.pack()


def _image(name: str, rows: int, columns: int, color: tuple[float, float, float]) -> bpy.types.Image:
    image = bpy.data.images.new(name, columns, rows, alpha=False)
    typed.set_color_space(image, "sRGB")
    pixels = np.ones((rows * columns, 4), np.float32)
    pixels[:, :3] = color
    typed.write_pixels(image, pixels)
    image.update()
    image.pack()
    image[sketch.IMAGE_KEY] = True
    return image


def _plane(name: str, width_m: float, depth_m: float) -> bpy.types.Mesh:
    """A rectangle around the origin, its UVs from corner to corner."""
    x, y = width_m / 2.0, depth_m / 2.0
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(-x, -y, 0.0), (x, -y, 0.0), (x, y, 0.0), (-x, y, 0.0)], [], [(0, 1, 2, 3)])
    layer = mesh.uv_layers.new(name="UVMap")
    layer.uv.foreach_set("vector", np.array([0, 0, 1, 0, 1, 1, 0, 1], np.float32))
    mesh.update()
    return mesh


def _material(name: str, image: bpy.types.Image) -> bpy.types.Material:
    """Emission in the image's colours, its pixels as squares. Its node is the active one: that is what Texture Paint paints on, and
    what Solid views show.
    """
    material = bpy.data.materials.new(f"{name} classes")
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    graph = ShaderGraph(tree)
    shown = graph.node("ShaderNodeTexImage", image=image, interpolation="Closest", extension="EXTEND")
    shown.name = shown.label = sketch.NODE
    emission, output = graph.node("ShaderNodeEmission"), graph.node("ShaderNodeOutputMaterial")
    graph.feed(emission.inputs["Color"], shown.outputs["Color"])
    graph.feed(output.inputs["Surface"], emission.outputs["Emission"])
    tree.nodes.active = shown
    return material
