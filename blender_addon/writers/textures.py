"""A texture engine's outputs -> a material on the mesh that was textured, or by itself where the mesh is gone.

The user's own materials and nodes are never edited: a mesh that wears something else gets a slot more. A texture made here
before is renewed where it hangs, in whatever the user has made of its material. Selects nothing, pushes no undo step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import bpy
import numpy as np

from .. import compat, typed
from ..shared.algorithm import Arrays
from ..shared.arrays import COUNT_MAP, MASK, REPORT, TEXTURE, Array
from ..shared.errors import InvalidInput
from . import record, report, texture_images
from .shader_graph import ShaderGraph

TEXTURE_NODE = "Relievo Texture"  # ours are known by these names; all other nodes are the user's
UV_NODE = "Relievo UV Map"
UV_LAYER = "Relievo"  # of a mesh that the backend unwrapped
_SHOWN_KINDS = (TEXTURE, COUNT_MAP, MASK)  # in the order in which they stand in the node editor


def put_on(
    target: bpy.types.Object, outputs: Arrays, *, depth: str, uv_layer: str, recipe: Mapping[str, Any] | None = None
) -> bpy.types.Material:
    """Give a mesh object the texture; its shape, its other materials and their nodes stay.

    outputs: arrays by port, a TEXTURE among them. depth: one of texture_images.DEPTHS. uv_layer: the UV map that the
    texture belongs to. Raises InvalidInput.
    """
    if target.type != "MESH":
        raise InvalidInput(
            f"{target.name!r} is not a mesh.", hint="Place the texture as a material.", field=target.name
        )
    mesh = typed.mesh(target)
    if not mesh.is_editable:
        raise InvalidInput(
            f"The mesh {mesh.name!r} belongs to another file.",
            hint="Make it local or an override first (Object > Relations).",
            field=target.name,
        )
    material = worn_by(target)
    if material is None:
        material = _new_material(f"{target.name} texture")
        _wear(target, material)
    _fill(material, outputs, target.name, depth, uv_layer, recipe)
    return material


def make(
    outputs: Arrays, *, name: str, depth: str, uv_layer: str, recipe: Mapping[str, Any] | None = None
) -> bpy.types.Material:
    """The texture in a material that no object wears; saved with the file all the same."""
    material = _new_material(f"{name} texture")
    _fill(material, outputs, name, depth, uv_layer, recipe)
    material.use_fake_user = True
    return material


def worn_by(item: bpy.types.Object) -> bpy.types.Material | None:
    """The first of an object's materials that has a texture made here, None where there is none."""
    if item.type != "MESH":
        return None
    candidates = (slot.material for slot in item.material_slots)
    return next((material for material in candidates if image_of(material) is not None), None)


def image_of(material: bpy.types.Material | None) -> bpy.types.Image | None:
    """The texture image of a material made here, None for any other."""
    if material is None or material.library is not None or material.node_tree is None:
        return None
    node = material.node_tree.nodes.get(TEXTURE_NODE)
    return node.image if isinstance(node, bpy.types.ShaderNodeTexImage) else None


# For a preview ------------------------------------------------------------------------------------------------------


def preview_material(name: str, uv_layer: str, *, is_tiled: bool) -> bpy.types.Material:
    """A material whose texture is still empty. is_tiled: of UDIM tiles only the first is shown meanwhile."""
    material = _new_material(name)
    typed.of(typed.tree_of(material).nodes[UV_NODE], bpy.types.ShaderNodeUVMap).uv_map = uv_layer
    if is_tiled:
        texture_node(material).extension = "CLIP"
    return material


def wear_alone(item: bpy.types.Object, material: bpy.types.Material) -> None:
    """The material on every face of an object that is ours, in place of all others."""
    mesh = typed.mesh(item)
    mesh.materials.clear()
    mesh.materials.append(material)
    item.material_slots[0].link = "DATA"
    mesh.polygons.foreach_set("material_index", np.zeros(len(mesh.polygons), np.int32))
    mesh.update()


def texture_node(material: bpy.types.Material) -> bpy.types.ShaderNodeTexImage:
    return typed.of(typed.tree_of(material).nodes[TEXTURE_NODE], bpy.types.ShaderNodeTexImage)


# The material --------------------------------------------------------------------------------------------------------


def _new_material(name: str) -> bpy.types.Material:
    """Principled, matt as most scanned things are, so that light falls on it; the texture is its colour."""
    material = bpy.data.materials.new(name)
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    graph = ShaderGraph(tree)
    place = graph.node("ShaderNodeUVMap", name=UV_NODE)
    texture = graph.node(
        "ShaderNodeTexImage", name=TEXTURE_NODE, label="Texture", interpolation="Linear", extension="EXTEND"
    )  # the odd triangle that reaches over the border sees what is there, not the other side
    graph.feed(texture.inputs["Vector"], place.outputs["UV"])
    shader = graph.node("ShaderNodeBsdfPrincipled")
    graph.feed(shader.inputs["Base Color"], texture.outputs["Color"])
    graph.feed(shader.inputs["Roughness"], 0.8)
    graph.feed(shader.inputs["Specular IOR Level"], 0.3)
    output = graph.node("ShaderNodeOutputMaterial")
    graph.feed(output.inputs["Surface"], shader.outputs["BSDF"])
    for node, x, y in ((place, -560, 160), (texture, -340, 300), (shader, 20, 300), (output, 320, 300)):
        node.location = (x, y)
    tree.nodes.active = texture  # what Solid shading shows, and what a bake would write to
    return material


def _wear(item: bpy.types.Object, material: bpy.types.Material) -> None:
    """In an empty slot or one more, on every face."""
    mesh = typed.mesh(item)
    empty = next((slot for slot in item.material_slots if slot.material is None), None)
    if empty is None:
        mesh.materials.append(material)
    else:
        empty.material = material
    index = next(index for index, slot in enumerate(item.material_slots) if slot.material == material)
    if index or len(item.material_slots) > 1:
        mesh.polygons.foreach_set("material_index", np.full(len(mesh.polygons), index, np.int32))
        mesh.update()


def _fill(
    material: bpy.types.Material,
    outputs: Arrays,
    name: str,
    depth: str,
    uv_layer: str,
    recipe: Mapping[str, Any] | None,
) -> None:
    """Images, UV map, report and recipe of one result."""
    tree = typed.tree_of(material)
    nodes = tree.nodes
    for number, (port, given) in enumerate(_maps(outputs)):
        is_texture = given[0].kind is TEXTURE
        node = nodes.get(TEXTURE_NODE if is_texture else _map_node(port))
        if node is None:
            node = _map_shower(tree, port, number)
        _renew_image(
            typed.of(node, bpy.types.ShaderNodeTexImage),
            texture_images.build(f"{name} {port}", given, depth=depth),
            recipe,
        )
    if (place := nodes.get(UV_NODE)) is not None:
        typed.of(place, bpy.types.ShaderNodeUVMap).uv_map = uv_layer
    for given in outputs.values():
        for array in given:
            if array.kind is REPORT:
                report.write(material, name, array)
    if recipe:
        record.write_recipe(material, recipe)


def _maps(outputs: Arrays) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """Ports whose arrays lie over UV space, the texture first. Raises InvalidInput where there is no texture."""
    found = [(port, given) for port, given in outputs.items() if given and given[0].kind in _SHOWN_KINDS]
    if not any(given[0].kind is TEXTURE for _, given in found):
        raise InvalidInput("There is no texture among the outputs.", field="texture")
    yield from sorted(found, key=lambda entry: _SHOWN_KINDS.index(entry[1][0].kind))


def _map_node(port: str) -> str:
    return f"Relievo {port.capitalize()}"


def _map_shower(tree: bpy.types.NodeTree, port: str, number: int) -> bpy.types.Node:
    """A node that holds a map beside the texture, linked to nothing: so it is saved, and at hand."""
    node = tree.nodes.new("ShaderNodeTexImage")
    node.name, node.label, node.location = _map_node(port), port.capitalize(), (-340, 300 - 320 * number)
    place = tree.nodes.get(UV_NODE)
    if place is not None:
        tree.links.new(place.outputs["UV"], node.inputs["Vector"])
    return node


def _renew_image(node: bpy.types.ShaderNodeTexImage, image: bpy.types.Image, recipe: Mapping[str, Any] | None) -> None:
    """Put an image in the place of the node's old one, wherever else that is used as well."""
    old = node.image
    node.image = image
    if recipe:
        record.write_recipe(image, recipe)
    if old is None:
        return
    old.user_remap(image)
    name = old.name
    if not old.users:
        bpy.data.images.remove(old)
        image.name = name
