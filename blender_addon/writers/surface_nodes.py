"""The nodes of a surface's material: an image node for each map, wired into the Principled shader.

A node that is there is never wired again: the user may have led it elsewhere.
"""

from __future__ import annotations

import bpy

from .. import typed
from ..shared.arrays import Array
from .surface_maps import BASE_COLOR, SurfaceMap

TEXTURE_NODE = "Relievo Texture"  # ours are known by these names; all other nodes are the user's
UV_NODE = "Relievo UV Map"
SHADER_NODE, OUTPUT_NODE = "Relievo Shader", "Relievo Output"
PREFIX = "Relievo "
RELATIVE_HEIGHT_M = 0.05  # between the lowest and the highest point of a height map that has no scale of its own

_SOCKETS = {
    "base_color": "Base Color",
    "roughness": "Roughness",
    "metallic": "Metallic",
    "specular": "Specular IOR Level",
    "alpha": "Alpha",
    "emission": "Emission Color",
}


def name_of(entry: SurfaceMap) -> str:
    """The name of the node that shows a map."""
    return TEXTURE_NODE if entry.role == BASE_COLOR else f"{PREFIX}{entry.name.replace('_', ' ').title()}"


def node_for(material: bpy.types.Material, entry: SurfaceMap, number: int) -> bpy.types.ShaderNodeTexImage:
    """The node of a map, made and wired where there is none. number: its place from the top."""
    tree = typed.tree_of(material)
    node = tree.nodes.get(name_of(entry))
    if node is None:
        node = typed.new_node(tree, "ShaderNodeTexImage", name=name_of(entry), extension="EXTEND")
        node.label = entry.name.replace("_", " ").title()
        node.location = (-640, 300 - 320 * number)
        if (place := tree.nodes.get(UV_NODE)) is not None:
            tree.links.new(place.outputs["UV"], node.inputs["Vector"])
        _wire(material, node, entry)
    return typed.of(node, bpy.types.ShaderNodeTexImage)


def _wire(material: bpy.types.Material, node: bpy.types.Node, entry: SurfaceMap) -> None:
    """Lead a new image node to where its map belongs; one without a role stays at hand, linked to nothing."""
    tree = typed.tree_of(material)
    shader, output = _find(tree, SHADER_NODE, "BSDF_PRINCIPLED"), _find(tree, OUTPUT_NODE, "OUTPUT_MATERIAL")
    if entry.role == "normal" and shader is not None:
        bend = typed.new_node(tree, "ShaderNodeNormalMap", location=(node.location.x + 300, node.location.y))
        if (place := tree.nodes.get(UV_NODE)) is not None:
            bend.uv_map = typed.of(place, bpy.types.ShaderNodeUVMap).uv_map  # type: ignore[attr-defined]
        tree.links.new(node.outputs["Color"], bend.inputs["Color"])
        _link(tree, bend.outputs["Normal"], shader.inputs["Normal"])
    elif entry.role == "height" and output is not None:
        _displace(tree, node, output, entry.arrays[0])
        has_normals = shader is not None and shader.inputs["Normal"].is_linked
        material.displacement_method = "DISPLACEMENT" if has_normals else "BUMP"  # both would bend the light twice
    elif entry.role in _SOCKETS and shader is not None:
        _link(tree, node.outputs["Color"], shader.inputs[_SOCKETS[entry.role]])
        if entry.role == "emission":
            typed.set_value(shader.inputs["Emission Strength"], 1.0)


def _find(tree: bpy.types.NodeTree, name: str, kind: str) -> bpy.types.Node | None:
    """Our node of that name; in a material of version 0.1, which named none, the first of its type."""
    return tree.nodes.get(name) or next((node for node in tree.nodes if node.type == kind), None)


def _displace(tree: bpy.types.NodeTree, node: bpy.types.Node, output: bpy.types.Node, heights: Array) -> None:
    """The mean of the heights stays where the surface is."""
    is_metric = "pixel_size_m" in heights.attributes
    raise_by = typed.new_node(tree, "ShaderNodeDisplacement", location=(node.location.x + 300, node.location.y))
    typed.set_value(raise_by.inputs["Midlevel"], float(heights.values.mean()))
    typed.set_value(raise_by.inputs["Scale"], 1.0 if is_metric else RELATIVE_HEIGHT_M)
    tree.links.new(node.outputs["Color"], raise_by.inputs["Height"])
    _link(tree, raise_by.outputs["Displacement"], output.inputs["Displacement"])


def _link(tree: bpy.types.NodeTree, start: bpy.types.NodeSocket, end: bpy.types.NodeSocket) -> None:
    if not end.is_linked:
        tree.links.new(start, end)
