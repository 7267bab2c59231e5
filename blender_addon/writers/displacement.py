"""A flat grid that an image raises: by Geometry Nodes, by a Displace modifier, or by Cycles while it renders.

All of them show the same heights as the mesh with real positions. Strength is 1 and the middle level 0 everywhere:
a value of the image is a height in metres and nothing has to be scaled back.
"""

from __future__ import annotations

import math

import bpy

from .. import compat
from . import grid

MODIFIER = "Relievo Height"  # ours are known by this name; all others are the user's
GROUP = "Relievo Height"
_GROUP_KEY = "relievo_height_group"
_GROUP_VERSION = 1


def by_nodes(item: bpy.types.Object, image: bpy.types.Image) -> None:
    """A Geometry Nodes modifier with live inputs: image, strength, and subdivision for detail between the pixels.

    Without subdivision a vertex takes its own pixel, bit for bit; with it, heights between pixels are interpolated
    linearly.
    """
    modifier = item.modifiers.new(MODIFIER, "NODES")
    modifier.node_group = _group()
    compat.set_node_input(modifier, "Image", image)
    compat.set_node_input(modifier, "Strength", 1.0)
    compat.set_node_input(modifier, "Subdivision", 0)
    item.modifiers.move(len(item.modifiers) - 1, 0)
    item.update_tag()


def by_modifier(item: bpy.types.Object, image: bpy.types.Image) -> None:
    """A Displace modifier along Z that reads the image at each vertex's own pixel."""
    texture = bpy.data.textures.new(image.name, "IMAGE")
    texture.image = image
    compat.read_exactly(texture)
    modifier = item.modifiers.new(MODIFIER, "DISPLACE")
    modifier.texture, modifier.texture_coords, modifier.uv_layer = texture, "UV", grid.UV_NAME
    modifier.direction, modifier.mid_level, modifier.strength = "Z", 0.0, 1.0
    item.modifiers.move(len(item.modifiers) - 1, 0)


def by_cycles(item: bpy.types.Object, longest_side_px: int) -> None:
    """Subdivision at render time; the displacement itself is in the material (materials.displaced_by).

    The render levels reach the image's own resolution where adaptive subdivision is switched off; the viewport
    stays coarse.
    """
    modifier = item.modifiers.new(MODIFIER, "SUBSURF")
    modifier.subdivision_type = "SIMPLE"
    modifier.levels = 0
    modifier.render_levels = min(11, math.ceil(math.log2(max(1.0, (longest_side_px - 1) / grid.PLANE_QUADS))))
    compat.subdivide_adaptively(item, modifier)


def image_of(item: bpy.types.Object) -> bpy.types.Image | None:
    """The height image that a modifier of ours reads, None where there is none."""
    modifier = item.modifiers.get(MODIFIER)
    if modifier is None:
        return None
    if modifier.type == "DISPLACE":
        return modifier.texture.image if modifier.texture is not None else None
    if modifier.type == "NODES":
        return compat.node_input(modifier, "Image")
    return None


def remove(item: bpy.types.Object) -> None:
    """Take our modifier away, and the texture that only it used. The image stays until nobody uses it."""
    modifier = item.modifiers.get(MODIFIER)
    if modifier is None:
        return
    texture = modifier.texture if modifier.type == "DISPLACE" else None
    item.modifiers.remove(modifier)
    if texture is not None and not texture.users:
        bpy.data.textures.remove(texture)


# The node group ------------------------------------------------------------------------------------------------------


def _group() -> bpy.types.NodeTree:
    """The one node group of all terrains in the file; a copy that a user has made their own is not touched."""
    for tree in bpy.data.node_groups:
        if tree.get(_GROUP_KEY) == _GROUP_VERSION and tree.library is None:
            return tree
    tree = bpy.data.node_groups.new(GROUP, "GeometryNodeTree")
    tree[_GROUP_KEY] = _GROUP_VERSION
    tree.is_modifier = True
    _declare(tree.interface)
    _wire(tree)
    return tree


def _declare(interface: bpy.types.NodeTreeInterface) -> None:
    interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    interface.new_socket(
        "Image", in_out="INPUT", socket_type="NodeSocketImage", description="Heights in metres, 32-bit, Non-Color"
    )
    strength = interface.new_socket(
        "Strength", in_out="INPUT", socket_type="NodeSocketFloat", description="Times the image's heights"
    )
    strength.default_value = 1.0
    levels = interface.new_socket(
        "Subdivision",
        in_out="INPUT",
        socket_type="NodeSocketInt",
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

    where = new("GeometryNodeInputNamedAttribute")
    where.data_type, where.location = "FLOAT_VECTOR", (-500, -200)
    where.inputs["Name"].default_value = grid.UV_NAME
    samples = [_sampler(tree, given, where, interpolation) for interpolation in ("Closest", "Linear")]
    between = new("GeometryNodeSwitch")
    between.input_type, between.location = "FLOAT", (0, -200)
    link(given.outputs["Subdivision"], between.inputs["Switch"])
    link(samples[0], between.inputs["False"])
    link(samples[1], between.inputs["True"])

    height = new("ShaderNodeMath")
    height.operation, height.location = "MULTIPLY", (200, -200)
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
    sampler = tree.nodes.new("GeometryNodeImageTexture")
    sampler.interpolation, sampler.extension = interpolation, "EXTEND"
    sampler.location = (-250, -100 if interpolation == "Closest" else -350)
    tree.links.new(given.outputs["Image"], sampler.inputs["Image"])
    tree.links.new(where.outputs["Attribute"], sampler.inputs["Vector"])
    # red alone: a colour made a number is a weighted sum of three, which loses the last bits
    split = tree.nodes.new("FunctionNodeSeparateColor")
    split.location = (-100, sampler.location.y)
    tree.links.new(sampler.outputs["Color"], split.inputs["Color"])
    return split.outputs["Red"]
