"""Instances of the user's own collections on a terrain: a Geometry Nodes modifier for each class, by the class's density attribute.

Everything is an input of the modifier that the user can change: how many per square metre, how far apart, seed, size, and how far
they follow the ground. The collections and what is in them are never touched. What class maps are is terrain.py's business.
"""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np

from .. import compat, typed
from ..datablocks.grid import SPACING_KEY
from ..shared.errors import InvalidInput
from . import base, own_data

PREFIX = "density_"  # of the attributes that say how densely a class grows, 0..1 per vertex
SLOPE = "slope"  # radians per vertex
MODIFIER = "Relievo Scatter"
GROUP = "Relievo Scatter"
_GROUP_KEY, _GROUP_VERSION = "relievo_scatter_group", 1
EXPECTED = 10_000  # instances of a class where nothing else is asked for: views stay quick
DENSEST = 1.0  # per square metre
SIZES = (0.8, 1.2)

ATTRIBUTE, COLLECTION, DENSITY, DISTANCE, SEED = (
    "Density Attribute",
    "Collection",
    "Density",
    "Minimum Distance",
    "Seed",
)
SMALLEST, LARGEST, ALIGNED = "Minimum Scale", "Maximum Scale", "Align to Ground"


def densities_of(item: bpy.types.Object | None) -> list[str]:
    """The classes that can be scattered on an object, by the names in its attributes, such as "forest". Cheap: for draw()."""
    if item is None or not isinstance(item.data, bpy.types.Mesh):
        return []
    names = (attribute.name for attribute in item.data.attributes)
    return [name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)]


def label_of(density: str) -> str:
    """ "beach_and_sand" as people read it: "Beach and Sand"."""
    return " ".join(word if word in ("and", "or", "of") else word.capitalize() for word in density.split("_"))


def modifier_of(item: bpy.types.Object, density: str) -> bpy.types.NodesModifier | None:
    """The modifier that scatters a class, None where there is none."""
    found = item.modifiers.get(_name_of(density))
    return found if isinstance(found, bpy.types.NodesModifier) else None


def collection_of(item: bpy.types.Object, density: str) -> bpy.types.Collection | None:
    """What is scattered on a class."""
    modifier = modifier_of(item, density)
    found = compat.node_input(modifier, COLLECTION) if modifier is not None else None
    return found if isinstance(found, bpy.types.Collection) else None


def put_on(
    item: bpy.types.Object, density: str, collection: bpy.types.Collection, *, metres_per_unit: float = 1.0
) -> bpy.types.NodesModifier:
    """Scatter a collection over a class, or another than before: then the modifier keeps the user's numbers.

    metres_per_unit: of the scene, so that instances keep their own size on a terrain that is scaled to it. Raises InvalidInput for
    a collection that is empty or holds the terrain, and for a class that grows nowhere.
    """
    _check(item, density, collection)
    modifier = modifier_of(item, density)
    if modifier is None:
        most = suggested_density(item, density)
        modifier = typed.of(item.modifiers.new(_name_of(density), "NODES"), bpy.types.NodesModifier)
        modifier.node_group = _group()
        base.keep_last(item)
        values: dict[str, Any] = {ATTRIBUTE: f"{PREFIX}{density}", DENSITY: most, DISTANCE: 0.0, SEED: 0, ALIGNED: 0.3}
        values |= {SMALLEST: SIZES[0] * metres_per_unit, LARGEST: SIZES[1] * metres_per_unit}
        for name, value in values.items():
            compat.set_node_input(modifier, name, value)
    compat.set_node_input(modifier, COLLECTION, collection)
    item.update_tag()
    return modifier


def remove(item: bpy.types.Object, density: str) -> None:
    """Take a class's modifier away, if there is one."""
    modifier = modifier_of(item, density)
    if modifier is not None:
        item.modifiers.remove(modifier)


def suggested_density(item: bpy.types.Object, density: str) -> float:
    """Per square metre of ground where a class grows fully, so that EXPECTED instances come of it, in two digits. Raises
    InvalidInput.
    """
    mesh = typed.mesh(item)
    stretched = _values(mesh, f"{PREFIX}{density}") / np.cos(_values(mesh, SLOPE))
    area_m2 = float(stretched.sum(dtype=np.float64)) * float(mesh.get(SPACING_KEY, 1.0)) ** 2
    if area_m2 <= 0.0:
        raise InvalidInput(
            f"There is no {label_of(density)} on {item.name!r}.", hint="Choose another class.", field=density
        )
    wanted = EXPECTED / area_m2
    step = 10.0 ** (math.floor(math.log10(wanted)) - 1)
    return min(DENSEST, round(wanted / step) * step)


def _values(mesh: bpy.types.Mesh, name: str) -> np.ndarray:
    """A number per vertex, 0 where there is no such attribute."""
    values = np.zeros(len(mesh.vertices), np.float32)
    attribute = mesh.attributes.get(name)
    if isinstance(attribute, bpy.types.FloatAttribute):
        attribute.data.foreach_get("value", values)
    return values


def _check(item: bpy.types.Object, density: str, collection: bpy.types.Collection) -> None:
    if density not in densities_of(item):
        known = ", ".join(densities_of(item))
        raise InvalidInput(
            f"{item.name!r} has no density {density!r}.",
            hint=f"It has: {known}."
            if known
            else "Generate a terrain with densities, as Mesh, Geometry Nodes or Displace.",
            field="density",
        )
    if item.name in collection.all_objects:
        raise InvalidInput(
            f"The collection {collection.name!r} contains {item.name!r} itself.",
            hint="Choose a collection of what is to stand on it.",
            field="collection",
        )
    if not collection.all_objects:
        raise InvalidInput(
            f"The collection {collection.name!r} is empty.",
            hint="Put a tree, a stone or a tuft into it.",
            field="collection",
        )


def _name_of(density: str) -> str:
    return f"{MODIFIER} {label_of(density)}"


# The node group ------------------------------------------------------------------------------------------------------


def _group() -> bpy.types.GeometryNodeTree:
    """The one node group of all scatters in the file."""
    return own_data.geometry_group(GROUP, _GROUP_KEY, _GROUP_VERSION, _build)


def _build(tree: bpy.types.GeometryNodeTree) -> None:
    _declare(tree)
    _wire(tree)


def _declare(tree: bpy.types.GeometryNodeTree) -> None:
    typed.new_socket(
        tree,
        COLLECTION,
        bpy.types.NodeTreeInterfaceSocketCollection,
        description="What is scattered, one of it at random",
    )
    typed.new_socket(
        tree, ATTRIBUTE, bpy.types.NodeTreeInterfaceSocketString, description="Where it grows: an attribute from 0 to 1"
    )
    for name, text, low, high in (
        (DENSITY, "Instances per square metre of ground where the attribute is 1", 0.0, 1e6),
        (DISTANCE, "Metres between two of them at least", 0.0, 1e6),
        (SMALLEST, "Size of the smallest, in terms of its own", 0.0, 1e6),
        (LARGEST, "Size of the largest, in terms of its own", 0.0, 1e6),
        (ALIGNED, "0 stands upright, 1 at right angles to the ground", 0.0, 1.0),
    ):
        socket = typed.new_socket(tree, name, bpy.types.NodeTreeInterfaceSocketFloat, description=text)
        socket.min_value, socket.max_value = low, high
    typed.new_socket(tree, SEED, bpy.types.NodeTreeInterfaceSocketInt, description="Another number places others")


def _wire(tree: bpy.types.NodeTree) -> None:
    new, link = tree.nodes.new, tree.links.new
    given, result = new("NodeGroupInput"), new("NodeGroupOutput")
    given.location, result.location = (-900, 0), (900, 0)

    mesh = new("GeometryNodeSeparateComponents")  # what an earlier modifier has scattered is no ground
    mesh.location = (-650, 250)
    link(given.outputs["Geometry"], mesh.inputs["Geometry"])
    where = typed.new_node(tree, "GeometryNodeInputNamedAttribute", data_type="FLOAT", location=(-650, -50))
    link(given.outputs[ATTRIBUTE], where.inputs["Name"])
    points = typed.new_node(
        tree, "GeometryNodeDistributePointsOnFaces", distribute_method="POISSON", location=(-400, 150)
    )
    link(mesh.outputs["Mesh"], points.inputs["Mesh"])
    link(given.outputs[DISTANCE], points.inputs["Distance Min"])
    link(given.outputs[DENSITY], points.inputs["Density Max"])
    link(where.outputs["Attribute"], points.inputs["Density Factor"])
    link(given.outputs[SEED], points.inputs["Seed"])

    chosen = new("GeometryNodeCollectionInfo")
    chosen.location = (-150, -50)
    link(given.outputs[COLLECTION], chosen.inputs["Collection"])
    typed.set_value(chosen.inputs["Separate Children"], True)
    typed.set_value(chosen.inputs["Reset Children"], True)
    instances = new("GeometryNodeInstanceOnPoints")
    instances.location = (450, 150)
    link(points.outputs["Points"], instances.inputs["Points"])
    link(chosen.outputs["Instances"], instances.inputs["Instance"])
    typed.set_value(instances.inputs["Pick Instance"], True)
    link(_random(tree, given, "INT", (0, 1_000_000), (150, -100)), instances.inputs["Instance Index"])
    link(_rotation(tree, given, points), instances.inputs["Rotation"])
    sizes = (given.outputs[SMALLEST], given.outputs[LARGEST])
    link(_random(tree, given, "FLOAT", sizes, (150, -600)), instances.inputs["Scale"])

    joined = new("GeometryNodeJoinGeometry")
    joined.location = (700, 0)
    link(instances.outputs["Instances"], joined.inputs["Geometry"])
    link(given.outputs["Geometry"], joined.inputs["Geometry"])
    link(joined.outputs["Geometry"], result.inputs["Geometry"])


def _rotation(tree: bpy.types.NodeTree, given: bpy.types.Node, points: bpy.types.Node) -> bpy.types.NodeSocket:
    """Turned at random about its own axis, which leans towards the ground's normal as far as is asked for."""
    leaning = typed.new_node(tree, "FunctionNodeAlignRotationToVector", axis="Z", location=(-100, 300))
    tree.links.new(given.outputs[ALIGNED], leaning.inputs["Factor"])
    tree.links.new(points.outputs["Normal"], leaning.inputs["Vector"])
    turn = tree.nodes.new("FunctionNodeAxisAngleToRotation")
    turn.location = (-50, -300)
    typed.set_value(turn.inputs["Axis"], (0.0, 0.0, 1.0))
    tree.links.new(_random(tree, given, "FLOAT", (0.0, 2.0 * math.pi), (-250, -350)), turn.inputs["Angle"])
    turned = typed.new_node(tree, "FunctionNodeRotateRotation", rotation_space="LOCAL", location=(200, 300))
    tree.links.new(leaning.outputs["Rotation"], turned.inputs["Rotation"])
    tree.links.new(turn.outputs["Rotation"], turned.inputs["Rotate By"])
    return turned.outputs["Rotation"]


def _random(
    tree: bpy.types.NodeTree, given: bpy.types.Node, kind: str, bounds: tuple[Any, Any], location: tuple[float, float]
) -> bpy.types.NodeSocket:
    """A random number for each point: another for each node, and for each seed."""
    node = typed.new_node(tree, "FunctionNodeRandomValue", data_type=kind, location=location)
    sockets = {
        socket.name: socket for socket in node.inputs if socket.enabled
    }  # of this kind; until 5.1 there are others
    for end, bound in zip(("Min", "Max"), bounds, strict=True):
        socket = sockets[end]
        if isinstance(bound, bpy.types.NodeSocket):
            tree.links.new(bound, socket)
        else:
            typed.set_value(socket, bound)
    own = typed.new_node(tree, "ShaderNodeMath", operation="ADD", location=(location[0] - 200, location[1]))
    tree.links.new(given.outputs[SEED], own.inputs[0])
    typed.set_value(own.inputs[1], 1000.0 + len(tree.nodes))
    tree.links.new(own.outputs["Value"], sockets["Seed"])
    return next(socket for socket in node.outputs if socket.enabled)
