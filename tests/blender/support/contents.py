"""All that a file holds, as plain values that can be compared: what is the same before a save and after it has been opened again.

Pixels, vertices, attributes, node trees and custom properties are taken as bytes; what Blender keeps in no file (selection aside)
is left out. Not a pytest file.
"""

from __future__ import annotations

import hashlib
from typing import Any

import bpy
import numpy as np

KINDS = (
    *("objects", "meshes", "materials", "images", "collections", "node_groups", "textures", "texts", "hair_curves"),
    *("worlds", "cameras", "lights"),
)
_VALUES = {"FLOAT": ("value", 1, np.float32), "INT": ("value", 1, np.int32), "FLOAT_VECTOR": ("vector", 3, np.float32)}
_VALUES |= {"FLOAT2": ("vector", 2, np.float32), "FLOAT_COLOR": ("color", 4, np.float32)}


def contents() -> dict[str, Any]:
    """Every datablock of the file by "kind name": what it holds."""
    return {f"{kind} {item.name}": _of(kind, item) for kind in KINDS for item in getattr(bpy.data, kind)}


def save_and_open(path: str) -> None:
    """Save the file, go to an empty one, and open it again."""
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=path)


def _of(kind: str, item: Any) -> dict[str, Any]:
    held = {key: str(item[key]) for key in item.keys() if key.startswith("relievo")}  # noqa: SIM118  # it is no dict
    if kind == "images":
        held |= _image(item)
    elif kind in ("meshes", "hair_curves"):
        held |= _attributes(item)
        held["materials"] = [material.name if material else "" for material in item.materials]
    elif kind == "objects":
        held |= _object(item)
    elif kind == "texts":
        held["text"] = item.as_string()
    elif kind == "textures":
        held["image"] = item.image.name if getattr(item, "image", None) else ""
    elif kind == "collections":
        held["objects"] = sorted(child.name for child in item.objects)
    tree = item if kind == "node_groups" else getattr(item, "node_tree", None)
    if tree is not None:
        held["nodes"] = _tree(tree)
    return held


def _object(item: bpy.types.Object) -> dict[str, Any]:
    held = {
        "place": [list(row) for row in item.matrix_basis],
        "parent": item.parent.name if item.parent else "",
        "hidden": (item.hide_get(), item.hide_viewport, item.hide_render),
        "modifiers": [(modifier.name, modifier.type) for modifier in item.modifiers],
    }
    if item.type == "MESH":
        evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
        mesh = evaluated.to_mesh()
        held["shape"] = _digest(mesh.vertices, "co", 3, np.float32)
        evaluated.to_mesh_clear()
    return held


def _image(image: bpy.types.Image) -> dict[str, Any]:
    columns, rows = image.size
    values = np.zeros(columns * rows * image.channels, np.float32)
    if len(values):
        image.pixels.foreach_get(values)
    return {
        "size": (columns, rows),
        "space": image.colorspace_settings.name,
        "is_float": image.is_float,
        "tiles": [tile.number for tile in image.tiles],
        "pixels": hashlib.sha256(values.tobytes()).hexdigest(),
    }


def _attributes(data: Any) -> dict[str, Any]:
    held = {}
    for attribute in data.attributes:
        if attribute.data_type in _VALUES and not attribute.name.startswith("."):
            name, width, dtype = _VALUES[attribute.data_type]
            held[attribute.name] = (attribute.domain, _digest(attribute.data, name, width, dtype))
    return held


def _tree(tree: bpy.types.NodeTree) -> dict[str, Any]:
    images = {node.name: node.image.name for node in tree.nodes if getattr(node, "image", None)}
    values = {
        f"{node.name} {socket.identifier}": str(getattr(socket, "default_value", ""))
        for node in tree.nodes
        for socket in node.inputs
        if isinstance(getattr(socket, "default_value", None), (bool, int, float, str))
    }
    links = sorted((link.from_node.name, link.from_socket.identifier, link.to_node.name) for link in tree.links)
    return {"images": images, "values": values, "links": links}


def _digest(items: Any, name: str, width: int, dtype: type) -> str:
    values = np.zeros(len(items) * width, dtype)
    items.foreach_get(name, values)
    return hashlib.sha256(values.tobytes()).hexdigest()
