"""How a preview looks: a Look for each kind of array that engines show while they work.

A Look makes an object, changes it, and tells whether a person has. It keeps no datablock: previews.py finds the object and
hands it over.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import bpy
import numpy as np

from .. import typed
from ..shared.algorithm import Arrays
from ..shared.arrays import HEIGHT_MAP, TEXTURE, Array, ArrayKind
from ..writers import record, terrain, texture_images, textures

ODD_SHARE = 0.05  # of the UVs' corners outside 0..1: more are a layout of UDIM tiles


class Look(Protocol):
    """A stand-in for one job."""

    def make(self, name: str, purpose: Mapping[str, Any], target: bpy.types.Object | None) -> bpy.types.Object | None:
        """The object, for a job of this purpose; None where there is nothing to show it on. target: what the result
        will replace or change, which stays as it is.
        """
        ...

    def update(self, made: bpy.types.Object, preview: Arrays) -> None:
        """Bring the object to a later preview."""
        ...

    def fingerprint(self, made: bpy.types.Object) -> tuple:
        """Changes when a person edits the object, and not when it is only moved."""
        ...

    def leave(self, made: bpy.types.Object) -> None:
        """The object is the user's from now on: see to it that all of it is saved with the file."""
        ...


def of(preview: Arrays) -> Look | None:
    """The Look of a job by its first preview; None for kinds that have none."""
    for kind, look in _LOOKS.items():
        if (array := _first(preview, kind)) is not None:
            return look(array)
    return None


def _first(preview: Arrays, kind: ArrayKind) -> Array | None:
    return next((array for given in preview.values() for array in given if array.kind is kind), None)


def _edits(made: bpy.types.Object) -> tuple:
    """Changes when a person edits the mesh, adds a modifier or turns to another mode; not when the object is moved."""
    mesh = typed.mesh(made)
    positions = np.empty(len(mesh.vertices) * 3, np.float32)
    typed.positions(mesh).foreach_get("vector", positions)
    return mesh.session_uid, len(mesh.vertices), len(made.modifiers), made.mode, zlib.crc32(positions.data)


class Terrain:
    """A mesh of the heights so far."""

    def __init__(self, height: Array) -> None:
        self._first = height
        self._shape = height.values.shape

    def make(self, name: str, purpose: Mapping[str, Any], target: bpy.types.Object | None) -> bpy.types.Object | None:
        location = tuple(purpose.get("location", (0.0, 0.0, 0.0)))
        made = terrain.make({"height": self._first}, kind="MESH", name=name, location=location, recipe={})
        return typed.of(made, bpy.types.Object)

    def update(self, made: bpy.types.Object, preview: Arrays) -> None:
        height = _first(preview, HEIGHT_MAP)
        if height is None:
            return
        if height.values.shape == self._shape:
            terrain.update_heights(made, height)
            return
        old = typed.mesh(made)  # a finer level of the pyramid
        fresh = typed.of(
            terrain.make({"height": height}, kind="MESH", name=made.name, location=(0.0, 0.0, 0.0), recipe={}),
            bpy.types.Object,
        )
        made.data, self._shape = fresh.data, height.values.shape
        bpy.data.objects.remove(fresh)
        bpy.data.meshes.remove(old)

    def fingerprint(self, made: bpy.types.Object) -> tuple:
        return _edits(made)

    def leave(self, made: bpy.types.Object) -> None:
        """Its mesh is saved as any other."""


class Texture:
    """A copy of the mesh that wears the texture so far and nothing else."""

    def __init__(self, texture: Array) -> None:
        self._first = texture

    def make(self, name: str, purpose: Mapping[str, Any], target: bpy.types.Object | None) -> bpy.types.Object | None:
        uv_layer = purpose.get("uv_layer", "")
        if target is None or not isinstance(target.data, bpy.types.Mesh) or uv_layer not in target.data.uv_layers:
            return None  # UVs that the backend makes come with the result
        made = target.copy()
        mesh = target.data.copy()
        made.data = mesh
        made.name = mesh.name = name
        if record.RECIPE_KEY in made:
            del made[record.RECIPE_KEY]
        for collection in target.users_collection:
            collection.objects.link(made)
        material = textures.preview_material(name, uv_layer, is_tiled=_is_tiled(mesh.uv_layers[uv_layer]))
        textures.wear_alone(made, material)
        self._show(made, self._first)
        return made

    def update(self, made: bpy.types.Object, preview: Arrays) -> None:
        texture = _first(preview, TEXTURE)
        if texture is not None:
            self._show(made, texture)

    def _show(self, made: bpy.types.Object, texture: Array) -> None:
        rows, columns = texture.values.shape[:2]
        node = textures.texture_node(typed.present(typed.mesh(made).materials[0]))
        image = node.image
        if image is None:
            image = node.image = bpy.data.images.new(made.name, columns, rows)
        elif typed.size(image) != (columns, rows):  # a finer level of the pyramid
            image.scale(columns, rows)
        texture_images.show(image, texture.values)

    def fingerprint(self, made: bpy.types.Object) -> tuple:
        materials = [material for material in typed.mesh(made).materials if material]
        worn = [(material.session_uid, len(typed.tree_of(material).nodes)) for material in materials]
        return (*_edits(made), worn)

    def leave(self, made: bpy.types.Object) -> None:
        materials = typed.mesh(made).materials
        image = textures.image_of(materials[0] if materials else None)
        if image is not None:
            image.pack()


def _is_tiled(layer: bpy.types.MeshUVLoopLayer) -> bool:
    """Whether UVs lie in several UDIM tiles; the odd triangle that only reaches over the border does not count."""
    uv = np.empty(len(layer.uv) * 2, np.float32)
    layer.uv.foreach_get("vector", uv)
    outside = (uv < 0.0) | (uv > 1.0)
    return float(outside.reshape(-1, 2).any(axis=1).mean()) > ODD_SHARE


_LOOKS: Mapping[ArrayKind, Callable[[Array], Look]] = {HEIGHT_MAP: Terrain, TEXTURE: Texture}
