"""What brush strokes look like: a Geometry Nodes group that lays a flat ribbon of paint along each curve.

Renderers draw bare curves each in its own way, EEVEE as hairlines; ribbons are the same in all of them and in the viewport. The
curves below stay as they are and can be edited.
"""

from __future__ import annotations

import bpy

from .. import compat, typed
from . import own_data

GROUP = MODIFIER = "Relievo Strokes"
_KEY, _VERSION = "relievo_strokes_group", 1
SIDES = 8  # of the tube that is pressed flat


def lay_on(item: bpy.types.Object, material: bpy.types.Material) -> None:
    """Give an object of curves its ribbons. They lie where the curves are, flat to the object's X and Z axes."""
    modifier = item.modifiers.new(MODIFIER, "NODES")
    typed.of(modifier, bpy.types.NodesModifier).node_group = _group(material)


def _group(material: bpy.types.Material) -> bpy.types.NodeTree:
    """The one node group of all strokes in the file."""
    return own_data.geometry_group(GROUP, _KEY, _VERSION, lambda tree: _wire(tree, material))


def _wire(tree: bpy.types.NodeTree, material: bpy.types.Material) -> None:
    """Curve -> tube -> every vertex pressed onto the depth that its curve has."""

    def node(kind: str, x: float, y: float = 0.0, **settings: object) -> bpy.types.Node:
        return typed.new_node(tree, kind, location=(x, y), **settings)

    link = tree.links.new
    given, result = node("NodeGroupInput", -800), node("NodeGroupOutput", 800)
    place, depth = node("GeometryNodeInputPosition", -800, -250), node("ShaderNodeSeparateXYZ", -620, -250)
    link(place.outputs["Position"], depth.inputs["Vector"])
    kept = node("GeometryNodeCaptureAttribute", -420, domain="POINT")
    kept.capture_items.new("FLOAT", "Depth")  # type: ignore[attr-defined]
    link(given.outputs["Geometry"], kept.inputs["Geometry"])
    link(depth.outputs["Y"], kept.inputs["Depth"])
    profile = node("GeometryNodeCurvePrimitiveCircle", -420, -350)
    typed.set_value(profile.inputs["Resolution"], SIDES)
    typed.set_value(profile.inputs["Radius"], 1.0)
    tube = node("GeometryNodeCurveToMesh", -180)
    typed.set_value(tube.inputs["Fill Caps"], True)
    link(kept.outputs["Geometry"], tube.inputs["Curve"])
    link(profile.outputs["Curve"], tube.inputs["Profile Curve"])
    compat.scale_by_radius(tree, tube)
    across, pressed = node("ShaderNodeSeparateXYZ", 0, -250), node("ShaderNodeCombineXYZ", 200, -250)
    link(place.outputs["Position"], across.inputs["Vector"])
    link(across.outputs["X"], pressed.inputs["X"])
    link(kept.outputs["Depth"], pressed.inputs["Y"])
    link(across.outputs["Z"], pressed.inputs["Z"])
    flat, painted = node("GeometryNodeSetPosition", 400), node("GeometryNodeSetMaterial", 600)
    link(tube.outputs["Mesh"], flat.inputs["Geometry"])
    link(pressed.outputs["Vector"], flat.inputs["Position"])
    link(flat.outputs["Geometry"], painted.inputs["Geometry"])
    typed.set_value(painted.inputs["Material"], material)
    link(painted.outputs["Geometry"], result.inputs["Geometry"])
