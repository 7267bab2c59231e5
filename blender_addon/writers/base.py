"""A solid base for a terrain: walls from its border down to a flat underside, so that it looks like a block cut out of the land.

A Geometry Nodes modifier, so that the terrain's own mesh stays a grid with a vertex per pixel, and a person can set the depth, hide
it or apply it. It has to be the last modifier: a scatter behind it would put trees on the walls.
"""

from __future__ import annotations

import bpy

from .. import compat, typed
from . import materials, own_data
from .shader_graph import ShaderGraph

MODIFIER, GROUP, MATERIAL = "Relievo Base", "Relievo Base", "Relievo Base"
DEPTH, SURFACE = "Depth", "Material"
_GROUP_KEY, _GROUP_VERSION = "relievo_base_group", 1
_MATERIAL_KEY, _MATERIAL_VERSION = "relievo_base_material", 1
SHARE = 0.03  # of the terrain's width: how far the underside lies below its lowest point
EARTH_DARK, EARTH_LIGHT = (0.085, 0.052, 0.030), (0.230, 0.160, 0.100)  # linear


def can_have_one(item: bpy.types.Object) -> bool:
    """Whether an object is a mesh whose border a modifier sees where it is; one that Cycles displaces is not. Cheap: for draw()."""
    return isinstance(item.data, bpy.types.Mesh) and materials.height_image_of(item) is None


def modifier_of(item: bpy.types.Object) -> bpy.types.NodesModifier | None:
    """The modifier that makes the base, None where there is none."""
    found = item.modifiers.get(MODIFIER)
    return found if isinstance(found, bpy.types.NodesModifier) else None


def put_on(item: bpy.types.Object) -> bpy.types.NodesModifier:
    """Give a terrain a base, as deep as looks right for its width. One that has a base keeps it."""
    if (found := modifier_of(item)) is not None:
        return found
    modifier = typed.of(item.modifiers.new(MODIFIER, "NODES"), bpy.types.NodesModifier)
    modifier.node_group = own_data.geometry_group(GROUP, _GROUP_KEY, _GROUP_VERSION, _build)
    corners = [corner[0] for corner in item.bound_box]
    compat.set_node_input(modifier, DEPTH, SHARE * (max(corners) - min(corners)))
    compat.set_node_input(modifier, SURFACE, own_data.material(MATERIAL, _MATERIAL_KEY, _MATERIAL_VERSION, _earth))
    item.update_tag()
    return modifier


def remove(item: bpy.types.Object) -> None:
    """Take the base away, if there is one."""
    if (modifier := modifier_of(item)) is not None:
        item.modifiers.remove(modifier)


def keep_last(item: bpy.types.Object) -> None:
    """After another modifier was added: the base comes behind it."""
    if modifier_of(item) is not None:
        item.modifiers.move(item.modifiers.find(MODIFIER), len(item.modifiers) - 1)


# The node group ------------------------------------------------------------------------------------------------------


def _build(tree: bpy.types.GeometryNodeTree) -> None:
    depth = typed.new_socket(
        tree, DEPTH, bpy.types.NodeTreeInterfaceSocketFloat, description="Metres from the lowest point to the underside"
    )
    depth.min_value = 0.0
    typed.new_socket(
        tree, SURFACE, bpy.types.NodeTreeInterfaceSocketMaterial, description="Of the walls and the underside"
    )
    new, link = tree.nodes.new, tree.links.new
    given, result = new("NodeGroupInput"), new("NodeGroupOutput")
    given.location, result.location = (-1100, 0), (1100, 0)
    apart = new("GeometryNodeSeparateComponents")  # what is scattered on the ground has no walls
    apart.location = (-900, 200)
    link(given.outputs["Geometry"], apart.inputs["Geometry"])
    box = new("GeometryNodeBoundBox")
    box.location = (-700, -200)
    link(apart.outputs["Mesh"], box.inputs["Geometry"])
    level = _underside(tree, given, box)
    joined = new("GeometryNodeJoinGeometry")
    joined.location = (900, 0)
    others = [socket for socket in apart.outputs if socket.name != "Mesh"]
    walls = _walls(tree, given, apart.outputs["Mesh"], level)
    for part in (
        *others,
        _floor(tree, given, box, level),
        walls,
    ):  # the last one comes first: its vertices keep their numbers
        link(part, joined.inputs["Geometry"])
    link(joined.outputs["Geometry"], result.inputs["Geometry"])


def _underside(tree: bpy.types.NodeTree, given: bpy.types.Node, box: bpy.types.Node) -> bpy.types.NodeSocket:
    """How high the underside lies."""
    low = typed.new_node(tree, "ShaderNodeSeparateXYZ", location=(-500, -250))
    tree.links.new(box.outputs["Min"], low.inputs[0])
    level = typed.new_node(tree, "ShaderNodeMath", operation="SUBTRACT", location=(-300, -250))
    tree.links.new(low.outputs["Z"], level.inputs[0])
    tree.links.new(given.outputs[DEPTH], level.inputs[1])
    return level.outputs["Value"]


def _walls(
    tree: bpy.types.NodeTree, given: bpy.types.Node, mesh: bpy.types.NodeSocket, level: bpy.types.NodeSocket
) -> bpy.types.NodeSocket:
    """The ground with a wall under each edge that one face alone has."""
    link = tree.links.new
    neighbours = typed.new_node(tree, "GeometryNodeInputMeshEdgeNeighbors", location=(-700, 400))
    is_border = typed.new_node(tree, "FunctionNodeCompare", data_type="INT", operation="EQUAL", location=(-500, 400))
    sides = [socket for socket in is_border.inputs if socket.enabled]
    link(neighbours.outputs["Face Count"], sides[0])
    typed.set_value(sides[1], 1)
    drawn = typed.new_node(tree, "GeometryNodeExtrudeMesh", mode="EDGES", location=(-200, 300))
    link(mesh, drawn.inputs["Mesh"])
    link(is_border.outputs["Result"], drawn.inputs["Selection"])
    downward = typed.new_node(tree, "ShaderNodeCombineXYZ", location=(-400, 150))  # unlinked, Offset is the normal
    typed.set_value(downward.inputs["Z"], -1.0)
    link(downward.outputs["Vector"], drawn.inputs["Offset"])
    typed.set_value(drawn.inputs["Offset Scale"], 1.0)
    lowered = _at_level(tree, drawn.outputs["Mesh"], level, (100, 300))
    link(drawn.outputs["Top"], lowered.inputs["Selection"])
    flat = typed.new_node(tree, "GeometryNodeSetShadeSmooth", domain="FACE", location=(350, 300))
    link(lowered.outputs["Geometry"], flat.inputs["Geometry"])
    link(drawn.outputs["Side"], flat.inputs["Selection"])
    typed.set_value(flat.inputs["Shade Smooth"], False)
    clad = typed.new_node(tree, "GeometryNodeSetMaterial", location=(600, 300))
    link(flat.outputs["Geometry"], clad.inputs["Geometry"])
    link(drawn.outputs["Side"], clad.inputs["Selection"])
    link(given.outputs[SURFACE], clad.inputs["Material"])
    return clad.outputs["Geometry"]


def _floor(
    tree: bpy.types.NodeTree, given: bpy.types.Node, box: bpy.types.Node, level: bpy.types.NodeSocket
) -> bpy.types.NodeSocket:
    """The underside: the lowest face of the box around the ground."""
    link = tree.links.new
    normal = typed.new_node(tree, "ShaderNodeSeparateXYZ", location=(-200, -450))
    link(typed.new_node(tree, "GeometryNodeInputNormal", location=(-400, -450)).outputs["Normal"], normal.inputs[0])
    is_other = typed.new_node(tree, "ShaderNodeMath", operation="GREATER_THAN", location=(0, -450))
    link(normal.outputs["Z"], is_other.inputs[0])
    typed.set_value(is_other.inputs[1], -0.5)
    lowest = typed.new_node(tree, "GeometryNodeDeleteGeometry", domain="FACE", location=(200, -300))
    link(box.outputs["Bounding Box"], lowest.inputs["Geometry"])
    link(is_other.outputs["Value"], lowest.inputs["Selection"])
    lowered = _at_level(tree, lowest.outputs["Geometry"], level, (400, -300))
    clad = typed.new_node(tree, "GeometryNodeSetMaterial", location=(600, -300))
    link(lowered.outputs["Geometry"], clad.inputs["Geometry"])
    link(given.outputs[SURFACE], clad.inputs["Material"])
    return clad.outputs["Geometry"]


def _at_level(
    tree: bpy.types.NodeTree, geometry: bpy.types.NodeSocket, level: bpy.types.NodeSocket, location: tuple[int, int]
) -> bpy.types.Node:
    """Set Position to the same x and y at this height."""
    x, y = location
    position = typed.new_node(tree, "GeometryNodeInputPosition", location=(x - 400, y - 150))
    apart = typed.new_node(tree, "ShaderNodeSeparateXYZ", location=(x - 250, y - 150))
    tree.links.new(position.outputs["Position"], apart.inputs[0])
    place = typed.new_node(tree, "ShaderNodeCombineXYZ", location=(x - 100, y - 150))
    tree.links.new(apart.outputs["X"], place.inputs["X"])
    tree.links.new(apart.outputs["Y"], place.inputs["Y"])
    tree.links.new(level, place.inputs["Z"])
    made = typed.new_node(tree, "GeometryNodeSetPosition", location=location)
    tree.links.new(geometry, made.inputs["Geometry"])
    tree.links.new(place.outputs["Vector"], made.inputs["Position"])
    return made


# The material --------------------------------------------------------------------------------------------------------


def _earth(graph: ShaderGraph, material: bpy.types.Material) -> None:
    """The one material of all bases in the file: earth in uneven layers."""
    place = graph.node("ShaderNodeTexCoord").outputs["Generated"]  # 0..1 over the object's own box, whatever its size
    split = graph.node("ShaderNodeSeparateXYZ")
    graph.feed(split.inputs[0], place)
    waved = graph.math("MULTIPLY_ADD", graph.fractal(place, 6.0, detail=3.0), 0.25, split.outputs["Z"])
    bed = graph.node("ShaderNodeCombineXYZ")
    graph.feed(bed.inputs["Z"], waved)
    layers = graph.fractal(bed.outputs["Vector"], 14.0, detail=3.0)
    shader = graph.node("ShaderNodeBsdfPrincipled")
    graph.feed(shader.inputs["Base Color"], graph.mix(graph.smoothstep(layers, 0.3, 0.7), EARTH_DARK, EARTH_LIGHT))
    graph.feed(shader.inputs["Roughness"], 0.95)
    graph.feed(shader.inputs["Specular IOR Level"], 0.2)
    output = graph.node("ShaderNodeOutputMaterial")
    graph.feed(output.inputs["Surface"], shader.outputs["BSDF"])
    material.diffuse_color = (*EARTH_LIGHT, 1.0)  # pyright: ignore[reportAttributeAccessIssue]  # in Solid shading; it takes tuples
