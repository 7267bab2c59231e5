"""A material's heights as real shape: subdivision for Cycles' displacement on the mesh that wears it, and none of it twice.

A normal map and a height map of one set hold the same relief. Without subdivision the normal map shades it, and the heights move
nothing between the vertices. With subdivision the heights move the surface and the normal map is disconnected: measured on a wall
of waves, both together are shaded 2.8 times as strongly as either. (A Normal Map node of 5.1 and later can start from the surface
as it was, which helps who subdivides by hand; Cycles does so on smooth faces only.) The method is "Displacement Only" all the time:
"Displacement and Bump" is as exact in 5.0, and doubles the relief in 4.2.
"""

from __future__ import annotations

import bpy

from .. import compat, typed
from . import surface_nodes

MODIFIER = "Relievo Displacement"  # ours is known by this name; all others are the user's
MOST_FACES, MOST_SHOWN_FACES = (
    1_000_000,
    100_000,
)  # rendered where Cycles does not subdivide adaptively; in the viewport


def can_be(material: bpy.types.Material | None) -> bool:
    """Whether a material made here has heights that move the surface. Cheap: for draw()."""
    return material is not None and displacement_node(material) is not None


def displacement_node(material: bpy.types.Material) -> bpy.types.Node | None:
    """The node that says how far the surface is moved."""
    return typed.tree_of(material).nodes.get(surface_nodes.DISPLACEMENT_NODE) if material.node_tree else None


def modifier_of(item: bpy.types.Object) -> bpy.types.SubsurfModifier | None:
    """The modifier that subdivides for it, None where there is none."""
    found = item.modifiers.get(MODIFIER)
    return found if isinstance(found, bpy.types.SubsurfModifier) else None


def put_on(item: bpy.types.Object, material: bpy.types.Material) -> None:
    """Subdivide a mesh object, last of its modifiers, and have the material's heights move it."""
    if modifier_of(item) is None:
        modifier = typed.of(item.modifiers.new(MODIFIER, "SUBSURF"), bpy.types.SubsurfModifier)
        faces = max(1, len(typed.mesh(item).polygons))
        modifier.subdivision_type = "SIMPLE"
        modifier.render_levels = _levels(faces, MOST_FACES)
        modifier.levels = min(6, _levels(faces, MOST_SHOWN_FACES))
        compat.subdivide_adaptively(item, modifier)
    _shade_by_heights(material, True)


def is_scale_in_the_way(item: bpy.types.Object, material: bpy.types.Material) -> bool:
    """Whether Cycles shades the normal map of this mesh too flat or too steep: it takes normals in the space of the object, whose
    scale is not the same in all directions. Measured on a plane scaled to twice its size: less than half. Cheap: for draw().
    """
    sizes = [abs(size) for size in item.scale]
    return surface_nodes.NORMALS_NODE in typed.tree_of(material).nodes and max(sizes) > 1.1 * min(sizes)


def remove(item: bpy.types.Object, material: bpy.types.Material) -> None:
    """Take the subdivision away; the normal map shades the relief again."""
    if (modifier := modifier_of(item)) is not None:
        item.modifiers.remove(modifier)
    _shade_by_heights(material, False)


def _levels(faces: int, most: int) -> int:
    """Subdivisions, each of which makes four faces of one."""
    levels = 0
    while faces * 4 ** (levels + 1) <= most and levels < 11:
        levels += 1
    return levels


def _shade_by_heights(material: bpy.types.Material, by_heights: bool) -> None:
    tree = typed.tree_of(material)
    shader, normals = (tree.nodes.get(name) for name in (surface_nodes.SHADER_NODE, surface_nodes.NORMALS_NODE))
    if shader is None or normals is None:
        material.displacement_method = "DISPLACEMENT" if by_heights else "BUMP"
        return
    material.displacement_method = "DISPLACEMENT"
    socket = shader.inputs["Normal"]
    for link in list(socket.links or ()):
        if by_heights and link.from_node == normals:
            tree.links.remove(link)
    if not by_heights and not socket.is_linked:
        tree.links.new(normals.outputs["Normal"], socket)
