"""What Blender's types leave open, made definite: the kind of an object's data, of a node, of a modifier.

Blender declares base classes ("Object.data is some ID, or nothing") where the code knows from the context what it deals with.
These functions check it while they narrow it, so that a mistake is a TypeError that names both kinds. What Blender accepts and the
type declarations (fake-bpy-module) deny is written here once. Not here: anything that differs between Blenders (compat.py).
"""

from __future__ import annotations

from typing import Any, TypeVar

import bpy
import numpy as np

T = TypeVar("T")


def of(value: object, kind: type[T]) -> T:
    """The value, which is a `kind`. Raises TypeError where it is not."""
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, not {type(value).__name__}")
    return value


def present(value: T | None) -> T:
    """The value, which is there although its type allows None: a panel's layout, a window's scene. Raises TypeError."""
    if value is None:
        raise TypeError("expected a value, not None")
    return value


def mesh(item: bpy.types.Object) -> bpy.types.Mesh:
    """The mesh of an object that is one. Raises TypeError for any other object."""
    return of(item.data, bpy.types.Mesh)


def camera(item: bpy.types.Object) -> bpy.types.Camera:
    """The camera data of an object that is a camera. Raises TypeError for any other object."""
    return of(item.data, bpy.types.Camera)


def settings(scene: bpy.types.Scene | None) -> Any:
    """The add-on's settings on a scene. Its groups are made from the engines' declarations (settings/properties.py), and the
    property is registered at run time: no type declares either.
    """
    return scene.relievo  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]


def icon(name: str) -> Any:
    """An icon's name out of a table or a declaration, where the declared type wants one written on the spot."""
    return name


def tree_of(owner: bpy.types.Material | bpy.types.World) -> bpy.types.NodeTree:
    """The node tree of a material or world that has one. Raises TypeError where it has none."""
    return present(owner.node_tree)


def new_node(tree: bpy.types.NodeTree, kind: str, **settings: object) -> bpy.types.Node:
    """A new node in the tree; kind: its class in bpy.types. settings: its properties, which only that class declares."""
    made = tree.nodes.new(kind)
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def new_socket(
    tree: bpy.types.NodeTree, name: str, kind: type[T], *, is_output: bool = False, description: str = ""
) -> T:
    """A new input or output of a node group; kind: its class in bpy.types, NodeTreeInterfaceSocketFloat and the like."""
    made = present(tree.interface).new_socket(
        name,
        description=description,
        in_out="OUTPUT" if is_output else "INPUT",
        socket_type=kind.__name__.replace("TreeInterface", ""),  # pyright: ignore[reportArgumentType]  # its items are made at run time
    )
    return of(made, kind)


def set_value(socket: bpy.types.NodeSocket, value: object) -> None:
    """Set what an input is while nothing is linked to it. Only the many subclasses declare default_value."""
    socket.default_value = value  # pyright: ignore[reportAttributeAccessIssue]


def color_space(image: bpy.types.Image) -> str:
    """Name of the colour space that the image's pixels are in."""
    return present(image.colorspace_settings).name


def set_color_space(image: bpy.types.Image, name: str) -> None:
    """Set the colour space. Its names come from the OCIO configuration, so the declared type knows none of them."""
    present(image.colorspace_settings).name = name  # pyright: ignore[reportAttributeAccessIssue]


def size(image: bpy.types.Image) -> tuple[int, int]:
    """Columns and rows. The declared type of an array property has neither a length nor items."""
    columns, rows = image.size  # pyright: ignore[reportGeneralTypeIssues]
    return columns, rows


def read_pixels(image: bpy.types.Image) -> np.ndarray:
    """Every value of the image's pixels, float32 [rows * columns * channels], the bottom row first."""
    values = np.empty(len(image.pixels), np.float32)  # pyright: ignore[reportArgumentType]  # as for size()
    image.pixels.foreach_get(values)
    return values


def write_pixels(image: bpy.types.Image, values: np.ndarray) -> None:
    """Set every value; values: float32 of as many elements as the image has. Its declared type takes no buffers."""
    image.pixels.foreach_set(values.ravel())  # pyright: ignore[reportArgumentType]


def positions(mesh: bpy.types.Mesh) -> bpy.types.bpy_prop_collection:
    """The mesh's vertex positions, for foreach_get and foreach_set with "vector"."""
    return of(mesh.attributes["position"], bpy.types.FloatVectorAttribute).data
