"""What brush strokes look like: a Geometry Nodes group that lays a flat ribbon of paint along each curve.

Renderers draw bare curves each in its own way, EEVEE as hairlines; ribbons are the same in all of them and in the viewport. The
curves below stay as they are and can be edited. The input Shown is the share of the strokes that are painted already: the last of
them is drawn as far as the brush has come.
"""

from __future__ import annotations

from math import pi

import bpy

from ... import compat, typed
from .. import own_data

GROUP = MODIFIER = "Relievo Strokes"
SHOWN = "Shown"
_KEY, _VERSION = "relievo_strokes_group", 2
SIDES = 8  # of the tube that is pressed flat
DISC_SIDES = 16  # of its round ends


def lay_on(item: bpy.types.Object, material: bpy.types.Material) -> None:
    """Give an object of curves its ribbons. They lie where the curves are, flat to the object's X and Z axes."""
    modifier = typed.of(item.modifiers.new(MODIFIER, "NODES"), bpy.types.NodesModifier)
    modifier.node_group = _group(material)
    compat.set_node_input(modifier, SHOWN, 1.0)


def modifier_of(item: bpy.types.Object) -> bpy.types.NodesModifier | None:
    """The modifier that lays the ribbons, None where a person has taken it away. Cheap: for draw()."""
    found = item.modifiers.get(MODIFIER)
    return found if isinstance(found, bpy.types.NodesModifier) else None


def bring_up_to_date(modifier: bpy.types.NodesModifier, material: bpy.types.Material) -> None:
    """Give strokes of an older version the group that has the input Shown."""
    if compat.node_input(modifier, SHOWN) is None:
        modifier.node_group = _group(material)
        compat.set_node_input(modifier, SHOWN, 1.0)


def _group(material: bpy.types.Material) -> bpy.types.NodeTree:
    """The one node group of all strokes in the file."""
    return own_data.geometry_group(GROUP, _KEY, _VERSION, lambda tree: _build(tree, material))


def _build(tree: bpy.types.GeometryNodeTree, material: bpy.types.Material) -> None:
    shown = typed.new_socket(
        tree, SHOWN, bpy.types.NodeTreeInterfaceSocketFloat, description="Share of the strokes that are painted already"
    )
    shown.default_value, shown.min_value, shown.max_value = 1.0, 0.0, 1.0
    _wire(tree, material)


def _wire(tree: bpy.types.NodeTree, material: bpy.types.Material) -> None:
    """Curve -> tube -> every vertex pressed onto the depth that its curve has."""

    def node(kind: str, x: float, y: float = 0.0, **settings: object) -> bpy.types.Node:
        return typed.new_node(tree, kind, location=(x, y), **settings)

    link = tree.links.new
    given, result = node("NodeGroupInput", -1800), node("NodeGroupOutput", 800)
    painted_already = _painted_already(tree, given)
    place, depth = node("GeometryNodeInputPosition", -800, -250), node("ShaderNodeSeparateXYZ", -620, -250)
    link(place.outputs["Position"], depth.inputs["Vector"])
    kept = node("GeometryNodeCaptureAttribute", -420, domain="POINT")
    kept.capture_items.new("FLOAT", "Depth")  # type: ignore[attr-defined]
    link(painted_already, kept.inputs["Geometry"])
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
    both = node("GeometryNodeJoinGeometry", 500)
    link(flat.outputs["Geometry"], both.inputs["Geometry"])
    link(_round_ends(tree, painted_already), both.inputs["Geometry"])
    link(both.outputs["Geometry"], painted.inputs["Geometry"])
    typed.set_value(painted.inputs["Material"], material)
    link(painted.outputs["Geometry"], result.inputs["Geometry"])


def _round_ends(tree: bpy.types.NodeTree, curves: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """A disc at either end of each curve, as wide as the brush there: strokes are round where it is set down and lifted."""
    link = tree.links.new
    ends = typed.new_node(tree, "GeometryNodeCurveEndpointSelection", location=(-420.0, -800.0))
    disc = typed.new_node(tree, "GeometryNodeMeshCircle", fill_type="NGON", location=(-420.0, -950.0))
    typed.set_value(disc.inputs["Vertices"], DISC_SIDES)
    typed.set_value(disc.inputs["Radius"], 1.0)
    radius = typed.new_node(tree, "GeometryNodeInputRadius", location=(-420.0, -1150.0))
    laid = typed.new_node(tree, "GeometryNodeInstanceOnPoints", location=(-180.0, -800.0))
    typed.set_value(laid.inputs["Rotation"], (pi / 2, 0.0, 0.0))  # facing the way that the canvas faces
    link(curves, laid.inputs["Points"])
    link(ends.outputs["Selection"], laid.inputs["Selection"])
    link(disc.outputs["Mesh"], laid.inputs["Instance"])
    link(radius.outputs["Radius"], laid.inputs["Scale"])
    real = typed.new_node(tree, "GeometryNodeRealizeInstances", location=(20.0, -800.0))
    link(laid.outputs["Instances"], real.inputs["Geometry"])
    return real.outputs["Geometry"]


def _painted_already(tree: bpy.types.NodeTree, given: bpy.types.Node) -> bpy.types.NodeSocket:
    """The curves up to the share that is shown: later ones are left out, and the one that is being painted is cut."""
    link = tree.links.new

    def math(operation: str, x: float, first: bpy.types.NodeSocket, second: object) -> bpy.types.NodeSocket:
        made = typed.new_node(tree, "ShaderNodeMath", operation=operation, location=(x, -500.0))
        link(first, made.inputs[0])
        if isinstance(second, bpy.types.NodeSocket):
            link(second, made.inputs[1])
        else:
            typed.set_value(made.inputs[1], second)
        return made.outputs["Value"]

    count = typed.new_node(tree, "GeometryNodeAttributeDomainSize", component="CURVE", location=(-1800.0, -300.0))
    place = typed.new_node(tree, "GeometryNodeInputIndex", location=(-1800.0, -600.0))
    link(given.outputs["Geometry"], count.inputs["Geometry"])
    painted = math("MULTIPLY", -1600.0, given.outputs[SHOWN], count.outputs["Spline Count"])
    share = math("SUBTRACT", -1450.0, painted, place.outputs["Index"])  # of a stroke: 1 and more when it is done
    later = typed.new_node(tree, "GeometryNodeDeleteGeometry", domain="CURVE", location=(-1150.0, 0.0))
    link(given.outputs["Geometry"], later.inputs["Geometry"])
    link(math("LESS_THAN", -1300.0, share, 1e-3), later.inputs["Selection"])
    cut = typed.new_node(tree, "GeometryNodeTrimCurve", mode="FACTOR", location=(-900.0, 0.0))
    link(later.outputs["Geometry"], cut.inputs["Curve"])
    link(math("LESS_THAN", -1300.0, share, 1.0 - 1e-3), cut.inputs["Selection"])
    link(share, cut.inputs[next(number for number, socket in enumerate(cut.inputs) if socket.name == "End")])
    return cut.outputs["Curve"]
