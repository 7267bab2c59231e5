"""A surface engine's outputs -> a material on a mesh, or by itself where there is none: textures, and sets of maps.

The user's own materials and nodes are never edited: a mesh that wears something else gets a slot more. A texture made here
before is renewed where it hangs, in whatever the user has made of its material. Selects nothing, pushes no undo step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy
import numpy as np

from .. import compat, typed
from ..shared.algorithm import Arrays
from ..shared.arrays import REPORT, Array
from ..shared.errors import InvalidInput
from . import asset_previews, images, record, report, surface_maps, surface_nodes, texture_images, uv_sizes
from .relief import Relief
from .shader_graph import ShaderGraph
from .surface_nodes import OUTPUT_NODE, PREFIX, SHADER_NODE, TEXTURE_NODE, UV_NODE, name_of, node_for

UV_LAYER = "Relievo"  # of a mesh that the backend unwrapped
ROUGHNESS = 0.8  # of a new material: matt as most scanned things are


def put_on(
    target: bpy.types.Object, outputs: Arrays, *, depth: str, uv_layer: str, recipe: Mapping[str, Any] | None = None
) -> bpy.types.Material:
    """Give a mesh object the texture; its shape, its other materials and their nodes stay.

    outputs: arrays by port, a texture or a set of maps among them. depth: one of texture_images.DEPTHS. uv_layer: the UV map
    that the texture belongs to. A material that the texture was made from (recipe) is no old one of it: it leaves its slot to the
    new one and stays in the file. Raises InvalidInput.
    """
    _check_target(target)
    material = worn_by(target)
    sample = material if material is not None and material.name in _materials_in(recipe) else None
    if material is None or sample is not None:
        material = _new_material(f"{target.name} texture")
        _fill(material, outputs, target.name, depth, uv_layer, recipe, target)
        if sample is None:
            _wear(target, material)
        else:
            sample.use_fake_user = True
            next(slot for slot in target.material_slots if slot.material == sample).material = material
    else:
        _fill(material, outputs, target.name, depth, uv_layer, recipe, target)
    return material


def put_in_slot(
    target: bpy.types.Object,
    slot: int,
    outputs: Arrays,
    *,
    depth: str,
    uv_layer: str,
    recipe: Mapping[str, Any] | None = None,
    roughness: float = ROUGHNESS,
) -> bpy.types.Material:
    """Give the faces of one material slot the texture; the slot's material stays in the file, unless it is an earlier result, which
    is renewed. roughness: of a new material. Otherwise as put_on().
    """
    _check_target(target)
    if slot >= len(target.material_slots):
        return put_on(target, outputs, depth=depth, uv_layer=uv_layer, recipe=recipe)
    worn = target.material_slots[slot].material
    is_earlier = worn is not None and worn.name not in _materials_in(recipe) and image_of(worn) is not None
    material = worn if worn is not None and is_earlier else _new_material(f"{target.name} texture", roughness)
    _fill(material, outputs, target.name, depth, uv_layer, recipe, target)
    if worn is not None and worn != material:
        worn.use_fake_user = True
    target.material_slots[slot].material = material
    return material


def _check_target(target: bpy.types.Object) -> None:
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


def _materials_in(recipe: Mapping[str, Any] | None) -> set[str]:
    """Names of the materials that a result was made from."""
    given = (recipe or {}).get("scene", {}).get("sources", {}).values()
    return {
        entry["name"] if entry["kind"] == "material" else entry["options"]["material"]
        for entries in given
        for entry in entries
        if entry["kind"] == "material" or "material" in entry.get("options", {})
    }


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
    nodes = material.node_tree.nodes
    first = nodes.get(TEXTURE_NODE)
    if isinstance(first, bpy.types.ShaderNodeTexImage):
        return first.image
    ours = (node for node in nodes if node.name.startswith(PREFIX))  # a set without a base colour
    return next((node.image for node in ours if isinstance(node, bpy.types.ShaderNodeTexImage)), None)


# For a preview ------------------------------------------------------------------------------------------------------


def preview_material(
    name: str,
    uv_layer: str,
    *,
    is_tiled: bool,
    on: bpy.types.Object | None = None,
    colors: Array | None = None,
    repetitions: int = 1,
) -> bpy.types.Material:
    """A material whose texture is still empty. is_tiled: of UDIM tiles only the first is shown meanwhile. on, colors: the mesh, and
    the colours that it is going to show; where they repeat, they do so as on the result, and at least `repetitions` times each way;
    with 0 they cover the UV square once.
    """
    material = _new_material(name)
    goes_on = colors is not None and surface_maps.repeats(colors)
    node_for(material, surface_maps.SurfaceMap("texture", surface_maps.BASE_COLOR, (), repeats=goes_on), 0)
    typed.of(typed.tree_of(material).nodes[UV_NODE], bpy.types.ShaderNodeUVMap).uv_map = uv_layer
    if on is not None and colors is not None and goes_on and not repetitions:
        _fill_square(material, colors, uv_sizes.of_square(on, uv_layer)[0])
    elif on is not None and colors is not None and goes_on:
        _repeat(material, colors, uv_layer, on, _preview_width(on, colors, uv_layer, repetitions))
    elif is_tiled:
        texture_node(material).extension = "CLIP"
    return material


def _preview_width(on: bpy.types.Object, colors: Array, uv_layer: str, repetitions: int) -> float:
    """Of one tile while the texture forms, in Blender units: what a person has set on the old one, else at most so much that its
    seams are seen in all directions in which it repeats.
    """
    worn = worn_by(on)
    if worn is not None and (width := surface_nodes.tile_width_of(worn)):
        return width
    size, (rows, columns) = uv_sizes.of_square(on, uv_layer), colors.values.shape[:2]
    room = {"x": size[0], "y": size[1] * columns / rows}
    directions = str(colors.attributes["repeats"])
    return min(uv_sizes.tile_width(on, size), *(room[direction] / repetitions for direction in directions))


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


def _new_material(name: str, roughness: float = ROUGHNESS) -> bpy.types.Material:
    """Principled, so that light falls on it; without any image yet."""
    material = bpy.data.materials.new(name)
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    graph = ShaderGraph(tree)
    place = graph.node("ShaderNodeUVMap", name=UV_NODE)
    shader = graph.node("ShaderNodeBsdfPrincipled", name=SHADER_NODE)
    graph.feed(shader.inputs["Roughness"], roughness)
    graph.feed(shader.inputs["Specular IOR Level"], 0.3)
    output = graph.node("ShaderNodeOutputMaterial", name=OUTPUT_NODE)
    graph.feed(output.inputs["Surface"], shader.outputs["BSDF"])
    for node, x, y in ((place, -860, 160), (shader, 20, 300), (output, 320, 300)):
        node.location = (x, y)
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
    target: bpy.types.Object | None = None,
) -> None:
    """Images, UV map, report and recipe of one result. target: the mesh that wears it, if there is one."""
    nodes = typed.tree_of(material).nodes
    if isinstance(place := nodes.get(UV_NODE), bpy.types.ShaderNodeUVMap):
        place.uv_map = uv_layer
    entries = surface_maps.of(outputs)
    if target is not None and (recipe or {}).get("scene", {}).get(record.FILLS_UVS):
        width = _fill_square(material, entries[0].arrays[0], uv_sizes.of_square(target, uv_layer)[0])
    else:
        width = _repeat(material, entries[0].arrays[0], uv_layer, target)
    for number, entry in enumerate(entries):
        mask_depth = depth if entry.is_of_set else "BYTE"
        image = texture_images.build(f"{name} {entry.name}", entry.arrays, depth=depth, mask_depth=mask_depth)
        if recipe:
            record.write_recipe(image, recipe)
        is_new = nodes.get(name_of(entry)) is None
        node = node_for(material, entry, number, relief=_relief(entry, entries, width))
        images.renew(node, image)
        if is_new and not number:
            nodes.active = node  # what Solid shading shows, and what a bake would write to
    for given in outputs.values():
        for array in given:
            if array.kind is REPORT:
                report.write(material, name, array)
    if recipe:
        record.write_recipe(material, recipe)
    if material.asset_data is not None:
        asset_previews.renew(material)


def _repeat(
    material: bpy.types.Material, array: Array, uv_layer: str, target: bpy.types.Object | None, width: float = 0.0
) -> float:
    """See to it that maps that tile do so at a size of their own. Returns the width of one tile in Blender units, 0 for maps that
    cover the UV square once. width: of a new one, where it is known.
    """
    if not surface_maps.repeats(array):
        return 0.0
    size = uv_sizes.of_square(target, uv_layer) if target is not None else (1.0, 1.0)
    wanted = width or (uv_sizes.tile_width(target, size) if target is not None else 1.0)
    return surface_nodes.repeat(material, size, array.values.shape[:2], wanted)


def _fill_square(material: bpy.types.Material, array: Array, width: float) -> float:
    """Lay maps over the UV square once, whatever lay there before. width: of the square in Blender units. Returns it."""
    if surface_maps.repeats(array) or surface_nodes.REPEAT_NODE in typed.tree_of(material).nodes:
        surface_nodes.fill(material, width)
    return width


def _relief(entry: surface_maps.SurfaceMap, entries: Sequence[surface_maps.SurfaceMap], width: float) -> Relief | None:
    """Of a map of heights, as high as the normals of its set say; None for any other map."""
    if entry.role != "height":
        return None
    normals = next((other.arrays[0].values for other in entries if other.role == "normal"), None)
    return Relief.of(entry.arrays[0], normals=normals, width=width)
