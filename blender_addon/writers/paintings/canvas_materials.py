"""What a painting's canvas wears: the picture, unlit or as paint that light falls on, or the plain colour below the strokes.

A material that the user has given it stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ... import compat, typed
from ...datablocks.drawn_strokes import CANVAS_COLOR
from ...shared.arrays import Array
from ...shared.srgb import srgb_to_linear
from .. import displacement, images
from ..shader_graph import ShaderGraph

PICTURE_NODE, PAINT_NODE = "Relievo Picture", "Relievo Paint"  # the second only where light falls on the picture
NORMALS_NODE = "Relievo Normals"  # only where the paint has relief
RELIEF_PATH = f'modifiers["{displacement.MODIFIER}"].strength'  # of the canvas: how strongly it is raised
GROUND_NODE = "Relievo Ground"
PAINT_ROUGHNESS = 0.4  # as dry oil paint: light rakes over it


@dataclass(frozen=True)
class Relief:
    """The surface of thick paint. normals: an image of them, as the unraised canvas has them. strength: of the modifier that raises
    the canvas by as much as they say."""

    normals: bpy.types.Image
    strength: float


def wear(canvas: bpy.types.Object, image: bpy.types.Image, *, lit: bool = False, relief: Relief | None = None) -> bool:
    """Show a picture on a canvas: unlit, as it was painted, or as paint that light falls on, with normals of every pixel where the
    canvas has relief. False where the canvas wears a material of the user's.
    """
    mesh = typed.mesh(canvas)
    worn = mesh.materials[0] if len(mesh.materials) else None
    if worn is None:
        mesh.materials.append(_material(f"{canvas.name} picture", image, lit=lit, relief=relief))
        return True
    node = _image_node(worn, PICTURE_NODE)
    if node is None:
        return False
    images.renew(node, image)
    bent = _image_node(worn, NORMALS_NODE)
    if (PAINT_NODE in typed.tree_of(worn).nodes) != lit or (bent is None) != (relief is None):
        mesh.materials[0] = _material(worn.name, image, lit=lit, relief=relief)
        if not worn.users:
            bpy.data.materials.remove(worn)
    elif bent is not None and relief is not None:
        images.renew(bent, relief.normals)
    return True


def _material(name: str, image: bpy.types.Image, *, lit: bool, relief: Relief | None) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    graph = ShaderGraph(tree)
    picture = graph.image(image)
    picture.name = PICTURE_NODE
    if lit:
        shader = graph.node("ShaderNodeBsdfPrincipled", name=PAINT_NODE)
        graph.feed(shader.inputs["Roughness"], PAINT_ROUGHNESS)
        if relief is not None:
            graph.feed(shader.inputs["Normal"], _normal(graph, relief))
    else:
        shader = graph.node("ShaderNodeEmission")
    output = graph.node("ShaderNodeOutputMaterial")
    graph.feed(shader.inputs["Base Color" if lit else "Color"], picture.outputs["Color"])
    graph.feed(output.inputs["Surface"], shader.outputs["BSDF" if lit else "Emission"])
    for node, x in ((picture, -340), (shader, 0), (output, 300)):
        node.location = (x, 300)
    tree.nodes.active = picture
    return material


def _normal(graph: ShaderGraph, relief: Relief) -> bpy.types.NodeSocket:
    """The paint's normals in place of the surface's: a Normal Map node would add them to the relief that the raised mesh has
    already. They follow the modifier's strength. The canvas looks along -Y, the picture's right is X and its top Z.
    """
    picture = graph.image(relief.normals)
    picture.name = NORMALS_NODE
    coded = graph.node("ShaderNodeSeparateColor")
    graph.feed(coded.inputs["Color"], picture.outputs["Color"])
    strength = graph.math("DIVIDE", graph.attribute(RELIEF_PATH, of_object=True), relief.strength)
    right, up, out = (graph.math("MULTIPLY_ADD", coded.outputs[number], 2.0, -1.0) for number in range(3))
    vector = graph.node("ShaderNodeCombineXYZ")
    graph.feed(vector.inputs["X"], graph.math("MULTIPLY", right, strength))
    graph.feed(vector.inputs["Y"], graph.math("MULTIPLY", out, -1.0))
    graph.feed(vector.inputs["Z"], graph.math("MULTIPLY", up, strength))
    turned = graph.node("ShaderNodeVectorTransform", vector_type="NORMAL", convert_from="OBJECT", convert_to="WORLD")
    graph.feed(turned.inputs["Vector"], vector.outputs["Vector"])
    return turned.outputs["Vector"]


def _image_node(material: bpy.types.Material, name: str) -> bpy.types.ShaderNodeTexImage | None:
    """One of the image nodes of _material(), None where a material has none of this name."""
    node = material.node_tree.nodes.get(name) if material.node_tree is not None else None
    return node if isinstance(node, bpy.types.ShaderNodeTexImage) else None


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
    node = _image_node(worn, PICTURE_NODE) if worn is not None else None
    return node.image if node is not None else None
