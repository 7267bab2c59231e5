"""What feeds the inputs of a material's Principled BSDF: the image behind each map, found by following links.

Goes through reroutes, muted nodes, groups, Normal Map, Bump and Displacement nodes, and through colour adjustments, whose effect
is not part of a map. Looks at nodes only: pixels are read in texture_sets.py.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import bpy

from .. import compat, typed
from ..shared.errors import InvalidInput

log = logging.getLogger(__name__)

SOCKETS = {
    "base_color": "Base Color",
    "roughness": "Roughness",
    "metallic": "Metallic",
    "specular": "Specular IOR Level",
    "alpha": "Alpha",
    "emission": "Emission Color",
}
_CHANNELS = {"Red": 0, "R": 0, "Green": 1, "G": 1, "Blue": 2, "B": 2, "Alpha": 3}
_LONGEST = 64  # reroutes and walls of groups in a row

Groups = tuple[bpy.types.Node, ...]  # the group nodes that lead to a socket, from the outside in


@dataclass(frozen=True)
class Found:
    """The image of a map. channel: the one that is used, None for all of them or the first. inverted: 1 - value is meant.
    y_down: normals whose green channel points down (DirectX).
    """

    node: bpy.types.ShaderNodeTexImage
    channel: int | None = None
    inverted: bool = False
    y_down: bool = False

    @property
    def image(self) -> bpy.types.Image:
        return typed.present(self.node.image)


@dataclass(frozen=True)
class Link:
    """A socket that feeds another, and the group nodes that it lies in."""

    socket: bpy.types.NodeSocket
    groups: Groups

    @property
    def node(self) -> Any:
        """Any: what a node of a type has is only declared by its class."""
        return self.socket.node


def maps_of(material: bpy.types.Material, field: str) -> tuple[dict[str, Found], dict[str, tuple[float, ...]]]:
    """The images of a material's maps by their names, and the values of colour, roughness and metallic where no image
    feeds them. Raises InvalidInput for a material without a Principled BSDF or without image textures.
    """
    output, shader = _ends(material, field)
    found: dict[str, Found] = {}
    for name, socket in SOCKETS.items():
        if (image := _image_behind(_source(shader, socket))) is not None:
            found[name] = image
    bent = _source(shader, "Normal")
    height = _height_behind(_source(output, "Displacement"))
    while bent is not None and bent.node.type == "BUMP":
        height = height or _image_behind(_source(bent, "Height"))
        bent = _source(bent, "Normal")
    if bent is not None and (normal := _normal_behind(bent)) is not None:
        found["normal"] = normal
    if height is not None:
        found["height"] = height
    if not found:
        raise InvalidInput(
            f"The material {material.name!r} has no image textures.",
            hint="Bake its procedural textures to images first, or pick another material.",
            field=field,
        )
    for entry in found.values():
        _note_mapping(material, entry.node)
    return found, _constants(shader, found)


def base_color_of(material: bpy.types.Material, field: str) -> Found | None:
    """The image of a material's base colour, None where no image feeds it. Cheap: for draw(). Raises InvalidInput for a material
    without a Principled BSDF.
    """
    return _image_behind(_source(_ends(material, field)[1], SOCKETS["base_color"]))


def uv_map_of(node: bpy.types.ShaderNodeTexImage) -> str:
    """The name of the UV map that an image is laid out by, "" where no UV Map node says so."""
    place = next(
        (link for link in _upstream(_source_of(typed.present(node.inputs)["Vector"], ())) if link.node.type == "UVMAP"),
        None,
    )
    return place.node.uv_map if place is not None else ""


def _ends(material: bpy.types.Material, field: str) -> tuple[Link, Link]:
    """The material output and the Principled BSDF that feeds it, each as one of its own sockets."""
    tree = material.node_tree
    output = tree.get_output_node("ALL") or tree.get_output_node("CYCLES") if tree is not None else None
    surface = _source_of(output.inputs["Surface"], ()) if output is not None else None
    shader = next((link for link in _upstream(surface) if link.node.type == "BSDF_PRINCIPLED"), None)
    if output is None or shader is None:
        raise InvalidInput(
            f"The material {material.name!r} has no Principled BSDF on its output.",
            hint="Connect one, or pick an image instead.",
            field=field,
        )
    return Link(output.inputs["Surface"], ()), shader


def _constants(shader: Link, found: dict[str, Found]) -> dict[str, tuple[float, ...]]:
    values: dict[str, tuple[float, ...]] = {}
    for name in ("base_color", "roughness", "metallic"):
        socket: Any = shader.node.inputs[SOCKETS[name]]
        if name not in found and not socket.is_linked:
            values[name] = tuple(socket.default_value)[:3] if name == "base_color" else (float(socket.default_value),)
    if not any(values.get("metallic", ())):
        values.pop("metallic", None)  # no metal is what a material without this map is
    return values


# Following links ------------------------------------------------------------------------------------------------------


def _source(link: Link | None, name: str) -> Link | None:
    """What feeds an input of the node that a link comes from."""
    if link is None:
        return None
    socket = link.node.inputs.get(name)
    return _source_of(socket, link.groups) if socket is not None else None


def _source_of(socket: bpy.types.NodeSocket, groups: Groups) -> Link | None:
    """The output that feeds an input, beyond reroutes, muted nodes and the walls of groups."""
    for _ in range(_LONGEST):
        link = next((entry for entry in socket.links or () if not entry.is_muted), None)
        if link is None:
            return None
        socket = typed.present(link.from_socket)
        node: Any = socket.node
        if node.type == "REROUTE":
            socket = node.inputs[0]
        elif node.mute:
            through = next((entry for entry in node.internal_links if entry.to_socket == socket), None)
            if through is None:
                return None
            socket = through.from_socket
        elif node.type == "GROUP" and node.node_tree is not None:
            ends = [item for item in node.node_tree.nodes if item.type == "GROUP_OUTPUT" and item.is_active_output]
            inner = next((entry for end in ends for entry in end.inputs if entry.identifier == socket.identifier), None)
            if inner is None:
                return None
            socket, groups = inner, (*groups, node)
        elif node.type == "GROUP_INPUT" and groups:
            outer = next((entry for entry in groups[-1].inputs if entry.identifier == socket.identifier), None)
            if outer is None:
                return None
            socket, groups = outer, groups[:-1]
        else:
            return Link(socket, groups)
    return None


def _behind(link: Link) -> Iterator[Link]:
    """What feeds a node's inputs; how much two things are mixed comes last."""
    for socket in sorted(link.node.inputs, key=lambda socket: socket.name in ("Fac", "Factor")):
        if (source := _source_of(socket, link.groups)) is not None:
            yield source


def _is_new(link: Link, seen: set[tuple[int, ...]]) -> bool:
    """Whether a search comes to a node for the first time; of a graph that branches and joins there are too many paths."""
    key = tuple(node.as_pointer() for node in (*link.groups, link.node))
    if key in seen:
        return False
    seen.add(key)
    return True


def _upstream(link: Link | None, seen: set[tuple[int, ...]] | None = None) -> Iterator[Link]:
    """The nodes behind a link, itself first, along each input in turn; each once."""
    seen = set() if seen is None else seen
    if link is None or not _is_new(link, seen):
        return
    yield link
    for source in _behind(link):
        yield from _upstream(source, seen)


def _image_behind(link: Link | None, seen: set[tuple[int, ...]] | None = None) -> Found | None:
    """The first image texture behind a link, with what the nodes between say of its channels."""
    seen = set() if seen is None else seen
    if link is None or not _is_new(link, seen):
        return None
    if link.node.type == "TEX_IMAGE":
        found = _texture(typed.of(link.node, bpy.types.ShaderNodeTexImage))
        return replace(found, channel=3) if link.socket.name == "Alpha" else found
    for source in _behind(link):
        found = _image_behind(source, seen)
        if found is None:
            continue
        if link.node.type in ("SEPARATE_COLOR", "SEPRGB") and found.channel is None:
            return replace(found, channel=_CHANNELS.get(link.socket.name))
        return replace(found, inverted=not found.inverted) if _inverts(link.node) else found
    return None


def _texture(node: bpy.types.ShaderNodeTexImage) -> Found:
    if node.image is None:
        raise InvalidInput(
            f"The node {node.label or node.name!r} of the material has no image.", hint="Pick one, or remove the node."
        )
    return Found(node)


def _inverts(node: Any) -> bool:
    """Whether a node makes 1 - value of a value."""
    if node.type == "INVERT":
        factor = node.inputs["Fac" if "Fac" in node.inputs else "Factor"]
        return not factor.is_linked and factor.default_value > 0.5
    if node.type == "MATH":
        first = node.inputs[0]
        return node.operation == "SUBTRACT" and not first.is_linked and first.default_value == 1.0
    return False


def _height_behind(link: Link | None) -> Found | None:
    """Of a Displacement node, or of an image that is connected without one."""
    if link is not None and link.node.type == "DISPLACEMENT":
        return _image_behind(_source(link, "Height"))
    return _image_behind(link) if link is not None and link.node.type != "VECTOR_DISPLACEMENT" else None


# Normals --------------------------------------------------------------------------------------------------------------


def _normal_behind(link: Link) -> Found | None:
    """The image behind a Normal Map node in tangent space."""
    if link.node.type != "NORMAL_MAP":
        return None
    if link.node.space != "TANGENT":
        log.warning("The node %r is not in tangent space: its normals are left out.", link.node.name)
        return None
    colors = _source(link, "Color")
    found = _image_behind(colors)
    if found is None:
        return None
    flips = (
        compat.is_directx(link.node),
        any(_flips_green(entry) for entry in _upstream(colors)),
        _is_named_directx(found.image),
    )
    # a name says what the file is; what inverts it in the nodes says that it is meant to be used so
    return replace(found, channel=None, inverted=False, y_down=any(flips))


def _flips_green(link: Link) -> bool:
    """Whether a node turns the green channel of a normal map round."""
    node = link.node
    if node.type in ("COMBINE_COLOR", "COMBRGB"):
        return any(_inverts(entry.node) for entry in _upstream(_source_of(node.inputs[1], link.groups)))
    if node.type == "CURVE_RGB":
        node.mapping.initialize()
        green = node.mapping.curves[1]
        return node.mapping.evaluate(green, 0.0) > node.mapping.evaluate(green, 1.0)
    return False


def _is_named_directx(image: bpy.types.Image) -> bool:
    names = f"{image.name} {bpy.path.basename(image.filepath)}".lower()
    return bool(re.search(r"directx|normal.?dx|[_\-. ]dx(?![a-z])", names))


# What is left out -----------------------------------------------------------------------------------------------------


def _note_mapping(material: bpy.types.Material, node: bpy.types.ShaderNodeTexImage) -> None:
    """Say in the log that a Mapping node makes the image smaller or larger: a map is taken at its own pixels."""
    for link in _upstream(_source_of(typed.present(node.inputs)["Vector"], ())):
        if link.node.type == "MAPPING" and any(
            abs(value - 1.0) > 1e-6 for value in link.node.inputs["Scale"].default_value[:2]
        ):
            log.warning(
                "The material %r: the scale of the node %r is ignored; the image %r is read at its own pixels.",
                *(material.name, link.node.name, typed.present(node.image).name),
            )
