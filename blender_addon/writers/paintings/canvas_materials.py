"""What a painting's canvas wears: the picture, unlit or as paint that light falls on, or the plain colour below the strokes.

A material that the user has given it stays as it is.
"""

from __future__ import annotations

import bpy
import numpy as np

from ... import compat, typed
from ...shared.arrays import Array
from ...shared.srgb import srgb_to_linear
from .. import images
from ..shader_graph import ShaderGraph

PICTURE_NODE, PAINT_NODE = "Relievo Picture", "Relievo Paint"  # the second only where light falls on the picture
GROUND_NODE = "Relievo Ground"
PAINT_ROUGHNESS = 0.4  # as dry oil paint: light rakes over it
CANVAS_COLOR = "canvas_color"  # attribute of strokes: three sRGB numbers, where the canvas had one colour


def wear(canvas: bpy.types.Object, image: bpy.types.Image, *, lit: bool = False) -> bool:
    """Show a picture on a canvas: unlit, as it was painted, or as paint that light falls on. False where the canvas wears a
    material of the user's.
    """
    mesh = typed.mesh(canvas)
    worn = mesh.materials[0] if len(mesh.materials) else None
    if worn is None:
        mesh.materials.append(_material(f"{canvas.name} picture", image, lit=lit))
        return True
    node = worn.node_tree.nodes.get(PICTURE_NODE) if worn.node_tree is not None else None
    if not isinstance(node, bpy.types.ShaderNodeTexImage):
        return False
    images.renew(node, image)
    if (PAINT_NODE in typed.tree_of(worn).nodes) != lit:
        mesh.materials[0] = _material(worn.name, image, lit=lit)
        if not worn.users:
            bpy.data.materials.remove(worn)
    return True


def _material(name: str, image: bpy.types.Image, *, lit: bool) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    graph = ShaderGraph(tree)
    picture = graph.image(image)
    picture.name = PICTURE_NODE
    if lit:
        shader = graph.node("ShaderNodeBsdfPrincipled", name=PAINT_NODE)
        graph.feed(shader.inputs["Roughness"], PAINT_ROUGHNESS)
    else:
        shader = graph.node("ShaderNodeEmission")
    output = graph.node("ShaderNodeOutputMaterial")
    graph.feed(shader.inputs["Base Color" if lit else "Color"], picture.outputs["Color"])
    graph.feed(output.inputs["Surface"], shader.outputs["BSDF" if lit else "Emission"])
    for node, x in ((picture, -340), (shader, 0), (output, 300)):
        node.location = (x, 300)
    tree.nodes.active = picture
    return material


def wear_ground(canvas: bpy.types.Object, strokes: Array) -> None:
    """Give an empty canvas the plain colour that the strokes were painted on, unlit as they are, where it wears nothing else."""
    color, worn = strokes.attributes.get(CANVAS_COLOR), typed.mesh(canvas).materials
    if color is None or (len(worn) and _ground_of(worn[0]) is None):
        return
    if not len(worn):
        material = bpy.data.materials.new(f"{canvas.name} ground")
        tree = compat.use_nodes(material)
        tree.nodes.clear()
        graph = ShaderGraph(tree)
        shader, output = graph.node("ShaderNodeEmission", name=GROUND_NODE), graph.node("ShaderNodeOutputMaterial")
        graph.feed(output.inputs["Surface"], shader.outputs["Emission"])
        for node, x in ((shader, 0), (output, 300)):
            node.location = (x, 300)
        worn.append(material)
    red, green, blue = (float(value) for value in srgb_to_linear(np.asarray(color, np.float64)))
    typed.set_value(typed.present(_ground_of(worn[0])).inputs["Color"], (red, green, blue, 1.0))


def _ground_of(material: bpy.types.Material | None) -> bpy.types.Node | None:
    has_nodes = material is not None and material.node_tree is not None
    return typed.tree_of(material).nodes.get(GROUND_NODE) if material is not None and has_nodes else None


def picture_of(canvas: bpy.types.Object) -> bpy.types.Image | None:
    """The picture that a canvas shows, None where it shows none of ours."""
    materials = typed.mesh(canvas).materials
    worn = materials[0] if len(materials) else None
    node = worn.node_tree.nodes.get(PICTURE_NODE) if worn is not None and worn.node_tree is not None else None
    return node.image if isinstance(node, bpy.types.ShaderNodeTexImage) else None
