"""How a preview looks: a Look for each form of result that is seen while an engine works.

Which one a job has stands in table.py. A Look takes what it knows of the ports that come and leaves the rest; it makes an object,
changes it, and tells whether a person has. It keeps no datablock: previews.py finds the object and hands it over.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Protocol

import bpy
import numpy as np

from .. import typed
from ..shared.algorithm import Arrays
from ..shared.arrays import COLOR_IMAGE, HEIGHT_MAP, TEXTURE, TEXTURE_SET, Array, ArrayKind
from . import grid, images, maps, materials, record, terrain, texture_images, textures, uv_sizes
from .paintings import canvas_materials, canvases

REPETITIONS = 3  # of a set that repeats, in each direction, so that all of its seams are seen
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

    def image_of(self, made: bpy.types.Object) -> bpy.types.Image | None:
        """The picture on the object, for an Image Editor; None where there is none."""
        ...

    def fingerprint(self, made: bpy.types.Object) -> tuple:
        """Changes when a person edits the object, and not when it is only moved."""
        ...

    def leave(self, made: bpy.types.Object) -> None:
        """The object is the user's from now on: see to it that all of it is saved with the file."""
        ...


def _first(preview: Arrays, kind: ArrayKind) -> Array | None:
    return next((array for given in preview.values() for array in given if array.kind is kind), None)


def _edits(made: bpy.types.Object) -> tuple:
    """Changes when a person edits the mesh, adds a modifier or turns to another mode; not when the object is moved."""
    mesh = typed.mesh(made)
    positions = np.empty(len(mesh.vertices) * 3, np.float32)
    typed.positions(mesh).foreach_get("vector", positions)
    return mesh.session_uid, len(mesh.vertices), len(made.modifiers), made.mode, zlib.crc32(positions.data)


class Terrain:
    """A mesh of the heights so far, in the colours and with the maps so far."""

    def __init__(self, preview: Arrays) -> None:
        self._first = {port: given[0] for port, given in preview.items() if given}

    @classmethod
    def of(cls, preview: Arrays) -> Terrain | None:
        return cls(preview) if _first(preview, HEIGHT_MAP) is not None else None

    def make(self, name: str, purpose: Mapping[str, Any], target: bpy.types.Object | None) -> bpy.types.Object | None:
        location = tuple(purpose.get("location", (0.0, 0.0, 0.0)))
        made = terrain.make(self._first, kind="MESH", name=name, location=location, recipe={})
        return typed.of(made, bpy.types.Object)

    def update(self, made: bpy.types.Object, preview: Arrays) -> None:
        height = _first(preview, HEIGHT_MAP)
        if height is not None and grid.shape_of(typed.mesh(made)) != height.values.shape:
            self._resize(made, height)  # a finer level of the pyramid
        terrain.update(made, {port: given[0] for port, given in preview.items() if given})

    def _resize(self, made: bpy.types.Object, height: Array) -> None:
        old = typed.mesh(made)
        new = grid.build(old.name, height.values, height.pixel_size_m)
        for material in old.materials:
            new.materials.append(material)
        made.data = new
        bpy.data.meshes.remove(old)

    def image_of(self, made: bpy.types.Object) -> bpy.types.Image | None:
        return materials.color_image_of(made)

    def fingerprint(self, made: bpy.types.Object) -> tuple:
        return _edits(made)

    def leave(self, made: bpy.types.Object) -> None:
        """Its mesh is saved as any other."""
        if (image := self.image_of(made)) is not None:
            image.pack()


class Texture:
    """A copy of the mesh that wears the texture so far and nothing else."""

    def __init__(self, colors: Array) -> None:
        self._first = colors

    @classmethod
    def of(cls, preview: Arrays) -> Texture | None:
        colors = _colors(preview)
        return cls(colors) if colors is not None else None

    def make(self, name: str, purpose: Mapping[str, Any], target: bpy.types.Object | None) -> bpy.types.Object | None:
        uv_layer = purpose.get("uv_layer", "")
        repetitions = 0 if purpose.get(record.FILLS_UVS) else REPETITIONS if purpose.get("tiled_preview", True) else 1
        if target is None and "repeats" in self._first.attributes:
            return self._make_swatch(name, purpose, repetitions)
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
        is_tiled = _is_tiled(mesh.uv_layers[uv_layer])
        material = textures.preview_material(
            name, uv_layer, is_tiled=is_tiled, on=target, colors=self._first, repetitions=repetitions
        )
        textures.wear_alone(made, material)
        self._show(made, self._first)
        return made

    def _make_swatch(self, name: str, purpose: Mapping[str, Any], repetitions: int) -> bpy.types.Object:
        """A plane for a set that no mesh is going to wear, in its proportions, with its repetitions over the UVs."""
        scene = bpy.data.scenes.get(purpose.get("scene", "")) or typed.present(bpy.context.scene)
        rows, columns = self._first.values.shape[:2]
        across, down = (max(1, repetitions) if axis in str(self._first.attributes["repeats"]) else 1 for axis in "xy")
        width = uv_sizes.TILE_WIDTH_M * across
        height = uv_sizes.TILE_WIDTH_M * down * rows / columns
        mesh = bpy.data.meshes.new(name)
        corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
        mesh.from_pydata([((x - 0.5) * width, (y - 0.5) * height, 0.0) for x, y in corners], [], [(0, 1, 2, 3)])
        layer = mesh.uv_layers.new(name="UVMap")
        layer.uv.foreach_set("vector", np.array([(x * across, y * down) for x, y in corners], np.float32).ravel())
        made = record.place(name, mesh, tuple(purpose.get("location", (0.0, 0.0, 0.0))), scene)
        material = textures.preview_material(name, layer.name, is_tiled=False, colors=self._first)
        textures.wear_alone(made, material)
        self._show(made, self._first)
        return made

    def update(self, made: bpy.types.Object, preview: Arrays) -> None:
        colors = _colors(preview)
        if colors is not None:
            self._show(made, colors)

    def _show(self, made: bpy.types.Object, colors: Array) -> None:
        rows, columns = colors.values.shape[:2]
        node = textures.texture_node(typed.present(typed.mesh(made).materials[0]))
        image = node.image
        if image is None:
            image = node.image = bpy.data.images.new(made.name, columns, rows)
        elif typed.size(image) != (columns, rows):  # a finer level of the pyramid
            image.scale(columns, rows)
        texture_images.show(image, colors)

    def fingerprint(self, made: bpy.types.Object) -> tuple:
        materials = [material for material in typed.mesh(made).materials if material]
        worn = [(material.session_uid, len(typed.tree_of(material).nodes)) for material in materials]
        return (*_edits(made), worn)

    def image_of(self, made: bpy.types.Object) -> bpy.types.Image | None:
        materials = typed.mesh(made).materials
        return textures.image_of(materials[0] if materials else None)

    def leave(self, made: bpy.types.Object) -> None:
        if (image := self.image_of(made)) is not None:
            image.pack()


def _is_tiled(layer: bpy.types.MeshUVLoopLayer) -> bool:
    """Whether UVs lie in several UDIM tiles; the odd triangle that only reaches over the border does not count."""
    uv = np.empty(len(layer.uv) * 2, np.float32)
    layer.uv.foreach_get("vector", uv)
    outside = (uv < 0.0) | (uv > 1.0)
    return float(outside.reshape(-1, 2).any(axis=1).mean()) > ODD_SHARE


def _colors(preview: Arrays) -> Array | None:
    """The base colour of a surface so far."""
    sets = _first(preview, TEXTURE_SET)
    if sets is not None:
        return maps.split(sets).get("base_color")
    return _first(preview, TEXTURE) or _first(preview, COLOR_IMAGE)


class Canvas:
    """A plane that shows the picture so far; for a picture that goes back onto a mesh, a copy of the mesh that wears it."""

    def __init__(self, picture: Array) -> None:
        self._first = picture
        self._on_mesh: Texture | None = None

    @classmethod
    def of(cls, preview: Arrays) -> Canvas | None:
        picture = _first(preview, COLOR_IMAGE)
        return cls(picture) if picture is not None else None

    def make(self, name: str, purpose: Mapping[str, Any], target: bpy.types.Object | None) -> bpy.types.Object | None:
        if purpose.get(record.ON_MESH):
            self._on_mesh = Texture(self._first)
            return self._on_mesh.make(name, purpose, target)
        scene = bpy.data.scenes.get(purpose.get("scene", "")) or typed.present(bpy.context.scene)
        location = tuple(purpose.get("location", (0.0, 0.0, 0.0)))
        outputs = {"picture": (self._first,)}
        made = canvases.make(outputs, choice="CANVAS", name=name, location=location, scene=scene)
        return typed.of(made, bpy.types.Object)

    def update(self, made: bpy.types.Object, preview: Arrays) -> None:
        if self._on_mesh is not None:
            self._on_mesh.update(made, preview)
            return
        picture, image = _first(preview, COLOR_IMAGE), canvas_materials.picture_of(made)
        if picture is not None and image is not None:
            images.show(image, picture)

    def image_of(self, made: bpy.types.Object) -> bpy.types.Image | None:
        return canvas_materials.picture_of(made) if self._on_mesh is None else self._on_mesh.image_of(made)

    def fingerprint(self, made: bpy.types.Object) -> tuple:
        return _edits(made) if self._on_mesh is None else self._on_mesh.fingerprint(made)

    def leave(self, made: bpy.types.Object) -> None:
        if (image := self.image_of(made)) is not None:
            image.pack()
