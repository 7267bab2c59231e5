"""The nodes of a surface's material: an image node for each map, wired into the Principled shader.

A node that is there is never wired again: the user may have led it elsewhere.
"""

from __future__ import annotations

import bpy

from .. import compat, typed
from .relief import Relief
from .surface_maps import BASE_COLOR, SurfaceMap

TEXTURE_NODE = "Relievo Texture"  # ours are known by these names; all other nodes are the user's
UV_NODE = "Relievo UV Map"
SHADER_NODE, OUTPUT_NODE = "Relievo Shader", "Relievo Output"
PREFIX = "Relievo "
MESH_SIZE_NODE, TILE_WIDTH_NODE, REPEAT_NODE = "Relievo Mesh Size", "Relievo Tile Width", "Relievo Repeat"
NORMALS_NODE, DISPLACEMENT_NODE = "Relievo Normal Map", "Relievo Displacement"

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


def node_for(
    material: bpy.types.Material, entry: SurfaceMap, number: int, *, relief: Relief | None = None
) -> bpy.types.ShaderNodeTexImage:
    """The node of a map, made and wired where there is none. number: its place from the top. relief: of a map of heights."""
    tree = typed.tree_of(material)
    node = tree.nodes.get(name_of(entry))
    if node is None:
        node = typed.new_node(tree, "ShaderNodeTexImage", name=name_of(entry))
        node.label = entry.name.replace("_", " ").title()
        node.location = (-640, 300 - 320 * number)
        if (place := _place(tree)) is not None:
            tree.links.new(place, node.inputs["Vector"])
        _wire(material, node, entry, relief)
    made = typed.of(node, bpy.types.ShaderNodeTexImage)
    if made.extension in ("EXTEND", "REPEAT"):  # CLIP shows one UDIM tile
        made.extension = "REPEAT" if entry.repeats or REPEAT_NODE in tree.nodes else "EXTEND"
    return made


def repeat(material: bpy.types.Material, size: tuple[float, float], shape: tuple[int, int], width: float) -> float:
    """Have the maps repeat every `width` Blender units, in their own proportions. Returns the width that holds: a material that
    repeats already keeps its own.

    size: Blender units that one unit of u and of v covers on the mesh. shape: rows and columns of the maps.
    """
    tree = typed.tree_of(material)
    place, scale, tile = (tree.nodes.get(name) for name in (UV_NODE, MESH_SIZE_NODE, TILE_WIDTH_NODE))
    if place is None:
        return width
    if scale is None:
        scale = typed.new_node(
            tree, "ShaderNodeVectorMath", name=MESH_SIZE_NODE, operation="MULTIPLY", label="Mesh Size"
        )
        tile = typed.new_node(tree, "ShaderNodeValue", name=TILE_WIDTH_NODE, label="Tile Width")
        divide = typed.new_node(tree, "ShaderNodeVectorMath", name=REPEAT_NODE, operation="DIVIDE", label="Repeat")
        tree.links.new(place.outputs["UV"], scale.inputs[0])
        tree.links.new(scale.outputs[0], divide.inputs[0])
        tree.links.new(tile.outputs[0], divide.inputs[1])
        for node, x, y in ((place, -1460, 160), (scale, -1240, 160), (tile, -1240, -60), (divide, -1020, 160)):
            node.location = (x, y)
        typed.set_value(tile.outputs[0], width)
        for link in [entry for entry in tree.links if entry.from_node == place and entry.to_node != scale]:
            if isinstance(link.to_node, bpy.types.ShaderNodeTexImage):
                tree.links.new(divide.outputs[0], typed.present(link.to_socket))
    typed.set_value(scale.inputs[1], (size[0], size[1] * shape[1] / shape[0], 1.0))
    return tile_width_of(material) or width


def fill(material: bpy.types.Material, width: float) -> None:
    """Have the maps cover the UV square once. width: of the square on the mesh, in Blender units, which becomes the tile width."""
    tree = typed.tree_of(material)
    repeat(material, (width, width), (1, 1), width)
    for name, value in ((MESH_SIZE_NODE, (width, width, 1.0)), (TILE_WIDTH_NODE, width)):
        if (node := tree.nodes.get(name)) is not None:
            typed.set_value(node.inputs[1] if name == MESH_SIZE_NODE else node.outputs[0], value)


def tile_width_of(material: bpy.types.Material) -> float:
    """Blender units after which the maps of a material made here repeat, 0 where they do not or no number says so."""
    node = typed.tree_of(material).nodes.get(TILE_WIDTH_NODE)
    return typed.of(node.outputs[0], bpy.types.NodeSocketFloat).default_value if node is not None else 0.0


def _place(tree: bpy.types.NodeTree) -> bpy.types.NodeSocket | None:
    """Where an image node takes its UVs from."""
    node = tree.nodes.get(REPEAT_NODE) or tree.nodes.get(UV_NODE)
    return node.outputs[0] if node is not None else None


def _wire(material: bpy.types.Material, node: bpy.types.Node, entry: SurfaceMap, relief: Relief | None) -> None:
    """Lead a new image node to where its map belongs; one without a role stays at hand, linked to nothing."""
    tree = typed.tree_of(material)
    shader, output = _find(tree, SHADER_NODE, "BSDF_PRINCIPLED"), _find(tree, OUTPUT_NODE, "OUTPUT_MATERIAL")
    if entry.role == "normal" and shader is not None:
        bend = typed.new_node(
            tree, "ShaderNodeNormalMap", name=NORMALS_NODE, location=(node.location.x + 300, node.location.y)
        )
        if (place := tree.nodes.get(UV_NODE)) is not None:
            named = typed.of(place, bpy.types.ShaderNodeUVMap).uv_map
            typed.of(bend, bpy.types.ShaderNodeNormalMap).uv_map = named
        compat.normals_beside_displacement(bend)
        tree.links.new(node.outputs["Color"], bend.inputs["Color"])
        _link(tree, bend.outputs["Normal"], shader.inputs["Normal"])
    elif entry.role == "height" and output is not None:
        _displace(tree, node, output, relief or Relief.of(entry.arrays[0]))
        has_normals = shader is not None and shader.inputs["Normal"].is_linked
        material.displacement_method = "DISPLACEMENT" if has_normals else "BUMP"  # both would bend the light twice
    elif entry.role in _SOCKETS and shader is not None:
        _link(tree, node.outputs["Color"], shader.inputs[_SOCKETS[entry.role]])
        if entry.role == "emission":
            typed.set_value(shader.inputs["Emission Strength"], 1.0)


def _find(tree: bpy.types.NodeTree, name: str, kind: str) -> bpy.types.Node | None:
    """Our node of that name; in a material of version 0.1, which named none, the first of its type."""
    return tree.nodes.get(name) or next((node for node in tree.nodes if node.type == kind), None)


def _displace(tree: bpy.types.NodeTree, node: bpy.types.Node, output: bpy.types.Node, relief: Relief) -> None:
    """The mean of the heights stays where the surface is. In world space, so that a scaled mesh does not stretch the relief."""
    raise_by = typed.new_node(
        tree,
        "ShaderNodeDisplacement",
        name=DISPLACEMENT_NODE,
        space="WORLD",
        location=(node.location.x + 300, node.location.y),
    )
    typed.set_value(raise_by.inputs["Midlevel"], relief.middle)
    typed.set_value(raise_by.inputs["Scale"], relief.scale)
    tree.links.new(node.outputs["Color"], raise_by.inputs["Height"])
    _link(tree, raise_by.outputs["Displacement"], output.inputs["Displacement"])


def _link(tree: bpy.types.NodeTree, start: bpy.types.NodeSocket, end: bpy.types.NodeSocket) -> None:
    if not end.is_linked:
        tree.links.new(start, end)
