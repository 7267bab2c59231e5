"""A sketch in the file: a plane of a real size whose material shows an image of classes. What it is known by, and nothing else.

Both sides use it: writers/sketches.py makes one, readers/sketches.py reads it. A duplicate with an image of its own is a sketch
like any other; nothing is found by name.
"""

from __future__ import annotations

import bpy

NODE = "Relievo Sketch"  # of the image node in the material that makes a mesh a sketch
IMAGE_KEY = "relievo_sketch"  # custom property of the image, which tells it apart in the updates after a stroke


def image_of(item: bpy.types.Object | None) -> bpy.types.Image | None:
    """The image of classes that an object shows, None where it is no sketch. Cheap: for draw()."""
    return next((node.image for node in _nodes(item) if node.image is not None), None)


def has_lost_its_image(item: bpy.types.Object) -> bool:
    """Whether an object was a sketch until its image was deleted."""
    nodes = _nodes(item)
    return bool(nodes) and all(node.image is None for node in nodes)


def _nodes(item: bpy.types.Object | None) -> list[bpy.types.ShaderNodeTexImage]:
    """The nodes that show an image of classes on an object."""
    if item is None or not isinstance(item.data, bpy.types.Mesh):
        return []
    trees = (material.node_tree for material in item.data.materials if material is not None)
    nodes = (tree.nodes.get(NODE) for tree in trees if tree is not None)
    return [node for node in nodes if isinstance(node, bpy.types.ShaderNodeTexImage)]


def sketches(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """All sketches of a scene, in the order of its objects."""
    return [item for item in scene.objects if image_of(item) is not None]


def is_painted(item: bpy.types.Object | None) -> bool:
    """Whether a person is painting on this sketch at present."""
    return item is not None and item.mode == "TEXTURE_PAINT" and image_of(item) is not None
