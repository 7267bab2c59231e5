"""A flat grid that an image raises: by Geometry Nodes, by a Displace modifier, or by Cycles while it renders.

All of them show the same heights as the mesh with real positions. Strength is 1 and the middle level 0 everywhere:
a value of the image is a height in metres and nothing has to be scaled back.
"""

from __future__ import annotations

import math

import bpy

from .. import compat, typed
from . import grid, own_data

MODIFIER = "Relievo Height"  # ours are known by this name; all others are the user's
GROUP = "Relievo Height"
_GROUP_KEY = "relievo_height_group"
_GROUP_VERSION = 1


def by_nodes(item: bpy.types.Object, image: bpy.types.Image) -> None:
    """A Geometry Nodes modifier with live inputs: image, strength, and subdivision for detail between the pixels.

    Without subdivision a vertex takes its own pixel, bit for bit; with it, heights between pixels are interpolated
    linearly.
    """
    modifier = typed.of(item.modifiers.new(MODIFIER, "NODES"), bpy.types.NodesModifier)
    modifier.node_group = _group()
    compat.set_node_input(modifier, "Image", image)
    compat.set_node_input(modifier, "Strength", 1.0)
    compat.set_node_input(modifier, "Subdivision", 0)
    item.modifiers.move(len(item.modifiers) - 1, 0)
    item.update_tag()


def by_modifier(item: bpy.types.Object, image: bpy.types.Image) -> None:
    """A Displace modifier along Z that reads the image at each vertex's own pixel."""
    texture = typed.of(bpy.data.textures.new(image.name, "IMAGE"), bpy.types.ImageTexture)
    texture.image = image
    compat.read_exactly(texture)
    modifier = typed.of(item.modifiers.new(MODIFIER, "DISPLACE"), bpy.types.DisplaceModifier)
    modifier.texture, modifier.texture_coords, modifier.uv_layer = texture, "UV", grid.UV_NAME
    modifier.direction, modifier.mid_level, modifier.strength = "Z", 0.0, 1.0
    item.modifiers.move(len(item.modifiers) - 1, 0)


def by_cycles(item: bpy.types.Object, longest_side_px: int) -> None:
    """Subdivision at render time; the displacement itself is in the material (materials.displaced_by).

    The render levels reach the image's own resolution where adaptive subdivision is switched off; the viewport
    stays coarse.
    """
    modifier = typed.of(item.modifiers.new(MODIFIER, "SUBSURF"), bpy.types.SubsurfModifier)
    modifier.subdivision_type = "SIMPLE"
    modifier.levels = 0
    modifier.render_levels = min(11, math.ceil(math.log2(max(1.0, (longest_side_px - 1) / grid.PLANE_QUADS))))
    compat.subdivide_adaptively(item, modifier)


def image_of(item: bpy.types.Object) -> bpy.types.Image | None:
    """The height image that a modifier of ours reads, None where there is none."""
    modifier = item.modifiers.get(MODIFIER)
    if isinstance(modifier, bpy.types.DisplaceModifier):
        return modifier.texture.image if isinstance(modifier.texture, bpy.types.ImageTexture) else None
    if isinstance(modifier, bpy.types.NodesModifier):
        image = compat.node_input(modifier, "Image")
        return image if isinstance(image, bpy.types.Image) else None
    return None


def remove(item: bpy.types.Object) -> None:
    """Take our modifier away, and the texture that only it used. The image stays until nobody uses it."""
    modifier = item.modifiers.get(MODIFIER)
    if modifier is None:
        return
    texture = modifier.texture if isinstance(modifier, bpy.types.DisplaceModifier) else None
    item.modifiers.remove(modifier)
    if texture is not None and not texture.users:
        bpy.data.textures.remove(texture)


# The node group ------------------------------------------------------------------------------------------------------


def _group() -> bpy.types.GeometryNodeTree:
    """The one node group of all terrains in the file."""
    return own_data.geometry_group(GROUP, _GROUP_KEY, _GROUP_VERSION, _build)


def _build(tree: bpy.types.GeometryNodeTree) -> None:
    _declare(tree)
    _wire(tree)


def _declare(tree: bpy.types.GeometryNodeTree) -> None:
    typed.new_socket(
        tree, "Image", bpy.types.NodeTreeInterfaceSocketImage, description="Heights in metres, 32-bit, Non-Color"
    )
    strength = typed.new_socket(
        tree, "Strength", bpy.types.NodeTreeInterfaceSocketFloat, description="Times the image's heights"
    )
    strength.default_value = 1.0
    levels = typed.new_socket(
        tree,
        "Subdivision",
        bpy.types.NodeTreeInterfaceSocketInt,
        description="Vertices between the pixels: each level halves the distance",
    )
    levels.default_value, levels.min_value, levels.max_value = 0, 0, 4


def _wire(tree: bpy.types.NodeTree) -> None:
    new, link = tree.nodes.new, tree.links.new
    given, result = new("NodeGroupInput"), new("NodeGroupOutput")
    given.location, result.location = (-800, 0), (600, 0)

    finer = new("GeometryNodeSubdivideMesh")
    finer.location = (-500, 200)
    link(given.outputs["Geometry"], finer.inputs["Mesh"])
    link(given.outputs["Subdivision"], finer.inputs["Level"])

    where = typed.new_node(tree, "GeometryNodeInputNamedAttribute", data_type="FLOAT_VECTOR", location=(-500, -200))
    typed.set_value(where.inputs["Name"], grid.UV_NAME)
    samples = [_sampler(tree, given, where, interpolation) for interpolation in ("Closest", "Linear")]
    between = typed.new_node(tree, "GeometryNodeSwitch", input_type="FLOAT", location=(0, -200))
    link(given.outputs["Subdivision"], between.inputs["Switch"])
    link(samples[0], between.inputs["False"])
    link(samples[1], between.inputs["True"])

    height = typed.new_node(tree, "ShaderNodeMath", operation="MULTIPLY", location=(200, -200))
    link(between.outputs["Output"], height.inputs[0])
    link(given.outputs["Strength"], height.inputs[1])
    up = new("ShaderNodeCombineXYZ")
    up.location = (300, -100)
    link(height.outputs["Value"], up.inputs["Z"])
    raised = new("GeometryNodeSetPosition")
    raised.location = (400, 100)
    link(finer.outputs["Mesh"], raised.inputs["Geometry"])
    link(up.outputs["Vector"], raised.inputs["Offset"])
    link(raised.outputs["Geometry"], result.inputs["Geometry"])


def _sampler(
    tree: bpy.types.NodeTree, given: bpy.types.Node, where: bpy.types.Node, interpolation: str
) -> bpy.types.NodeSocket:
    sampler = typed.new_node(tree, "GeometryNodeImageTexture", interpolation=interpolation, extension="EXTEND")
    sampler.location = (-250, -100 if interpolation == "Closest" else -350)
    tree.links.new(given.outputs["Image"], sampler.inputs["Image"])
    tree.links.new(where.outputs["Attribute"], sampler.inputs["Vector"])
    # red alone: a colour made a number is a weighted sum of three, which loses the last bits
    split = tree.nodes.new("FunctionNodeSeparateColor")
    split.location = (-100, sampler.location.y)
    tree.links.new(sampler.outputs["Color"], split.inputs["Color"])
    return split.outputs["Red"]
