"""Datablocks of which a file has one for all objects: node groups and materials of ours, found again by a mark with a version.

A copy that a user has made their own has the name but may be changed; what is linked from another file cannot be. Neither is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import bpy

from .. import compat, typed
from .shader_graph import ShaderGraph

D = TypeVar("D", bpy.types.Material, bpy.types.NodeTree)


def marked(datablocks: Iterable[D], key: str, version: int) -> D | None:
    """The file's own datablock that carries this mark."""
    return next((block for block in datablocks if block.get(key) == version and block.library is None), None)


def geometry_group(
    name: str, key: str, version: int, build: Callable[[bpy.types.GeometryNodeTree], None]
) -> bpy.types.GeometryNodeTree:
    """The file's node group with this mark, built where there is none: a modifier's, from geometry to geometry.

    build: adds its other sockets and its nodes.
    """
    found = marked(bpy.data.node_groups, key, version)
    if found is not None:
        return typed.of(found, bpy.types.GeometryNodeTree)
    tree = typed.of(bpy.data.node_groups.new(name, "GeometryNodeTree"), bpy.types.GeometryNodeTree)
    tree[key] = version
    tree.is_modifier = True
    typed.new_socket(tree, "Geometry", bpy.types.NodeTreeInterfaceSocketGeometry, is_output=True)
    typed.new_socket(tree, "Geometry", bpy.types.NodeTreeInterfaceSocketGeometry)
    build(tree)
    return tree


def material(
    name: str, key: str, version: int, build: Callable[[ShaderGraph, bpy.types.Material], None]
) -> bpy.types.Material:
    """The file's material with this mark, built where there is none. build: makes all of its nodes, in an empty tree."""
    found = marked(bpy.data.materials, key, version)
    if found is not None:
        return found
    made = bpy.data.materials.new(name)
    tree = compat.use_nodes(made)
    tree.nodes.clear()
    build(ShaderGraph(tree), made)
    made[key] = version
    return made
