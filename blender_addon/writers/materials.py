"""Which material a terrain wears: the one that all terrains of a file share, or one of its own.

The shared one reads each object's own range of heights (custom properties) and the mesh's attributes, and a map that is not there
counts as 0. A terrain with colours, one displaced by Cycles and one that wears texture sets get a material of their own, since its
images are in it. The nodes are writers/terrain_layers.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import bpy

from .. import compat, typed
from ..shared.arrays import Array
from . import images, own_data, terrain_layers
from .shader_graph import ShaderGraph
from .terrain_layers import AREA_KEY, COLOR_NODE, HIGH_KEY, LOW_KEY, ROUGHNESS, Grounds

NAME = "Relievo Terrain"
_KEY, _VERSION = "relievo_material", 1
GROUNDS_KEY = "relievo_ground_material"  # of a material in which a terrain wears texture sets
_HEIGHT_NODE = "Relievo Height"


def set_range(item: bpy.types.Object, heights: Array) -> None:
    """Tell the material the object's range of heights, metres in the object's own space."""
    item[LOW_KEY], item[HIGH_KEY] = float(heights.values.min()), float(heights.values.max())
    item[AREA_KEY] = float(heights.values.size) * heights.pixel_size_m**2
    item.update_tag()


def wear(item: bpy.types.Object) -> None:
    """Give a terrain the shared material, unless it wears one already that is not bound to a displacement image."""
    worn = first(item)
    if worn is not None and height_image_of(item) is None and not (GROUNDS_KEY in worn and color_image_of(item)):
        return
    _put_on(item, _shared())


def wear_colored(item: bpy.types.Object, image: bpy.types.Image) -> bool:
    """Give a terrain a material of its own whose colour is an image, or renew the image of the one it wears.

    False where it wears a material that the user has given it, which stays as it is.
    """
    worn = first(item)
    if worn is not None and color_image_of(item) is not None and height_image_of(item) is None:
        images.renew(typed.of(typed.tree_of(worn).nodes[COLOR_NODE], bpy.types.ShaderNodeTexImage), image)
        return True
    is_ours = worn is not None and (worn.get(_KEY) == _VERSION or GROUNDS_KEY in worn)
    if worn is not None and not is_ours and height_image_of(item) is None:
        return False
    material = bpy.data.materials.new(f"{item.name} material")
    graph = ShaderGraph(_empty(material))
    terrain_layers.surface(graph, {ROUGHNESS: graph.attribute(ROUGHNESS)}, terrain_layers.colors_of(graph, image))
    graph.tree.nodes.active = graph.tree.nodes[COLOR_NODE]  # what Solid shading shows, and what a bake would write to
    _put_on(item, material)
    return True


def wear_grounds(item: bpy.types.Object, grounds: Grounds, *, by: Mapping[str, str]) -> bpy.types.Material:
    """Give a terrain a new material, its own, in which its layers wear texture sets; its colours stay.

    by: the attribute with the weights of each layer, for a terrain that has colours; empty for one with the layers of the terrain
    material.
    """
    material = bpy.data.materials.new(f"{item.name} ground")
    graph = ShaderGraph(_empty(material))
    image = color_image_of(item)
    if image is None:
        terrain_layers.worn_layers(graph, grounds)
    else:
        terrain_layers.worn_colors(graph, image, grounds, by)
        graph.tree.nodes.active = graph.tree.nodes[COLOR_NODE]
    material[GROUNDS_KEY] = _VERSION
    _put_first(item, material)
    return material


def wear_again(item: bpy.types.Object, material: bpy.types.Material | None) -> None:
    """Give a terrain a material that it wore before; the shared one where that is gone."""
    image = color_image_of(item)
    if material is not None or image is None:
        _put_first(item, material if material is not None else _shared())
        return
    _put_first(item, _shared())
    wear_colored(item, image)


def _put_first(item: bpy.types.Object, material: bpy.types.Material) -> None:
    worn = typed.mesh(item).materials
    if len(worn):
        worn[0] = material
    else:
        worn.append(material)


def worn_with_grounds(item: bpy.types.Object) -> bpy.types.Material | None:
    """The material in which a terrain wears texture sets, None where it wears none. Cheap: for draw()."""
    material = first(item) if isinstance(item.data, bpy.types.Mesh) else None
    return material if material is not None and material.get(GROUNDS_KEY) == _VERSION else None


def wear_displaced(
    item: bpy.types.Object,
    image: bpy.types.Image,
    maps: Mapping[str, bpy.types.Image],
    color: bpy.types.Image | None = None,
) -> None:
    """Give a terrain a material that displaces it by an image of heights in metres, and reads its maps from images. color: what it
    looks like; the layers of the terrain material where there is none.
    """
    if height_image_of(item) == image:
        return  # the user may have made it their own; its images have new pixels already
    material = bpy.data.materials.new(f"{item.name} material")
    graph = ShaderGraph(_empty(material))
    sockets = {name: graph.image(picture).outputs["Color"] for name, picture in maps.items()}
    output = terrain_layers.surface(
        graph, sockets, terrain_layers.colors_of(graph, color) if color is not None else None
    )
    displacement = graph.node("ShaderNodeDisplacement", space="OBJECT")
    sampled = graph.image(image)
    sampled.name = _HEIGHT_NODE
    graph.feed(displacement.inputs["Height"], sampled.outputs["Color"])
    graph.feed(displacement.inputs["Midlevel"], 0.0)
    graph.feed(displacement.inputs["Scale"], 1.0)  # the default is 1 in 4.2 and 0.01 later
    graph.feed(output.inputs["Displacement"], displacement.outputs["Displacement"])
    material.displacement_method = "BOTH"  # where the mesh is coarser than the image, normals come from its heights
    _put_on(item, material)


def color_image_of(item: bpy.types.Object) -> bpy.types.Image | None:
    """The image that colours a terrain, None where it has the layers of the terrain material or the user's own."""
    material = first(item)
    node = material.node_tree.nodes.get(COLOR_NODE) if material is not None and material.node_tree is not None else None
    return node.image if isinstance(node, bpy.types.ShaderNodeTexImage) else None


def first(item: bpy.types.Object) -> bpy.types.Material | None:
    """The material in a mesh's first slot."""
    worn = typed.mesh(item).materials
    return worn[0] if len(worn) else None


def height_image_of(item: bpy.types.Object) -> bpy.types.Image | None:
    """The image that the object's first material displaces it by, None where there is none."""
    material = first(item)
    node = (
        material.node_tree.nodes.get(_HEIGHT_NODE) if material is not None and material.node_tree is not None else None
    )
    return node.image if isinstance(node, bpy.types.ShaderNodeTexImage) else None


def _put_on(item: bpy.types.Object, material: bpy.types.Material) -> None:
    worn = typed.mesh(item).materials
    if not len(worn):
        worn.append(material)
        return
    old, worn[0] = worn[0], material
    if old is None or old.users or old.library is not None:
        return
    if old.get(_KEY) == _VERSION or GROUNDS_KEY in old:
        bpy.data.materials.remove(old)
    elif old.node_tree is None or not {_HEIGHT_NODE, COLOR_NODE} & {node.name for node in old.node_tree.nodes}:
        old.use_fake_user = True  # the user's, who may want it back after the file was saved


def _shared() -> bpy.types.Material:
    return own_data.material(NAME, _KEY, _VERSION, _by_attributes)


def _by_attributes(graph: ShaderGraph, _material: bpy.types.Material) -> None:
    terrain_layers.surface(graph, {name: graph.attribute(name) for name in ("flow", "sediment", "wear")})


def _empty(material: bpy.types.Material) -> bpy.types.NodeTree:
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    return tree
