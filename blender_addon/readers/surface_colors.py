"""The picture that a mesh wears, laid out by its UVs, and its parts: UV charts, or the classes of a terrain.

The picture is the image behind the base colour of one of the mesh's materials. Segments have its size, so that a pixel is a texel
of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from .. import typed
from ..datablocks import grid
from ..shared.arrays import CLASS_MAP, Array
from ..shared.errors import InvalidInput
from . import meshes, rasterizing, shader_inputs

CLASSES = "classes"  # the attribute of a terrain's vertices that says what the ground is
MOST = 255  # charts beside the empty space, which is 0
_MARGIN = 128  # charts reach into the empty space by this part of the picture's longer side, for the texture's margin
_REACH = 1e-5  # UVs closer than this are one


@dataclass(frozen=True)
class Worn:
    """An image that a mesh wears, the material it is in and the slot of this, and the UV map that lays it out."""

    image: bpy.types.Image
    material: bpy.types.Material
    slot: int
    uv_layer: str

    def to_json(self) -> dict[str, Any]:
        """As the options of a source hold it."""
        named = {"image": self.image.name, "material": self.material.name}
        return {**named, "slot": self.slot, "uv_layer": self.uv_layer}


def worn_by(item: bpy.types.Object) -> Worn:
    """The base colour image of the mesh's active material, else of the first that has one. Cheap. Raises InvalidInput."""
    if item.type != "MESH":
        raise InvalidInput(f"{item.name!r} is not a mesh.", hint="Select a mesh.", field=item.name)
    mesh = typed.mesh(item)
    if not mesh.uv_layers:
        raise InvalidInput(
            f"The mesh {item.name!r} has no UVs.", hint="Unwrap it first (U in Edit Mode).", field=item.name
        )
    slots = sorted(range(len(item.material_slots)), key=lambda slot: slot != item.active_material_index)
    for slot in slots:
        material = item.material_slots[slot].material
        found = _colors_of(material, item) if material is not None else None
        if material is not None and found is not None:
            return Worn(found.image, material, slot, shader_inputs.uv_map_of(found.node) or _rendered_layer(mesh))
    raise InvalidInput(
        f"No material of {item.name!r} has an image as its base colour.",
        hint="Bake its colours to an image first, or paint an image.",
        field=item.name,
    )


def _colors_of(material: bpy.types.Material, item: bpy.types.Object) -> shader_inputs.Found | None:
    try:
        return shader_inputs.base_color_of(material, item.name)
    except InvalidInput:  # of a material without a shader that has a base colour: another one may have it
        return None


def _rendered_layer(mesh: bpy.types.Mesh) -> str:
    """The UV map that images without a UV Map node use."""
    return next((layer.name for layer in mesh.uv_layers if layer.active_render), mesh.uv_layers[0].name)


def segments(item: bpy.types.Object, worn: Worn, depsgraph: bpy.types.Depsgraph) -> Array:
    """A CLASS_MAP of the image's size: a terrain's classes where it has them, else the UV charts of the faces that wear the image,
    numbered from 1 and widened into the empty space, which is 0. Raises InvalidInput.
    """
    columns, rows = typed.size(worn.image)
    if not columns:
        raise InvalidInput(
            f"The image {worn.image.name!r} has no pixels.", hint="Check that its file is still there.", field=item.name
        )
    meshes.bring_up_to_date(item, depsgraph)
    classes = _classes(typed.mesh(item), rows, columns)
    return Array(CLASS_MAP, classes if classes is not None else _charts(item, worn, rows, columns))


def _classes(mesh: bpy.types.Mesh, rows: int, columns: int) -> np.ndarray | None:
    """The classes of a terrain's vertices at the pixels of an image that covers it; None for a mesh without."""
    shape, found = grid.shape_of(mesh), mesh.attributes.get(CLASSES)
    if shape is None or not isinstance(found, bpy.types.IntAttribute) or found.domain != "POINT":
        return None
    values = np.empty(shape[0] * shape[1], np.int32)
    found.data.foreach_get("value", values)
    down, across = ((np.arange(n) * side) // n for n, side in zip((rows, columns), shape, strict=True))
    return np.clip(values.reshape(shape)[down[:, None], across], 0, 255).astype(np.uint8)


# Charts --------------------------------------------------------------------------------------------------------------


def _charts(item: bpy.types.Object, worn: Worn, rows: int, columns: int) -> np.ndarray:
    """uint8 [rows, columns]."""
    uv, corners = _triangles(item, worn)
    points = np.stack([uv[:, 0] * columns - 0.5, (1.0 - uv[:, 1]) * rows - 0.5, np.zeros(len(uv))], axis=-1)
    owner = rasterizing.topmost(points, corners, (rows, columns))
    if not (owner >= 0).any():
        raise InvalidInput(
            f"No UVs of {item.name!r} lie over the image {worn.image.name!r}.",
            hint="Unwrap it into the square from 0 to 1.",
            field=item.name,
        )
    chart = np.where(owner >= 0, connected(uv, corners)[np.maximum(owner, 0)], -1)
    return _widened(_numbered(chart), max(2, max(rows, columns) // _MARGIN))


def _triangles(item: bpy.types.Object, worn: Worn) -> tuple[np.ndarray, np.ndarray]:
    """UVs float64 [L, 2] of the mesh's corners, and the triangles [T, 3] of these that wear the slot's material."""
    mesh = typed.mesh(item)
    layer = mesh.uv_layers.get(worn.uv_layer)
    if layer is None or not len(layer.uv):
        raise InvalidInput(f"The mesh {item.name!r} has no UVs called {worn.uv_layer!r}.", field=item.name)
    uv = np.empty(len(layer.uv) * 2, np.float32)
    layer.uv.foreach_get("vector", uv)
    mesh.calc_loop_triangles()
    count = len(mesh.loop_triangles)
    corners, slots = np.empty(count * 3, np.int32), np.zeros(count, np.int32)
    mesh.loop_triangles.foreach_get("loops", corners)
    if "material_index" in mesh.attributes:
        mesh.loop_triangles.foreach_get("material_index", slots)
    kept = np.clip(slots, 0, max(len(item.material_slots) - 1, 0)) == worn.slot
    return uv.reshape(-1, 2).astype(np.float64), corners.reshape(-1, 3)[kept]


def connected(uv: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Which chart each triangle belongs to, int [T]: triangles that touch in UV space are of one.

    uv: [L, 2]. corners: [T, 3] of these.
    """
    _, place = np.unique(np.rint(uv[corners.ravel()] / _REACH).astype(np.int64), axis=0, return_inverse=True)
    place = place.reshape(-1, 3)
    label = np.arange(place.max(initial=-1) + 1)
    while True:
        least = label[place].min(axis=1)
        lower = label.copy()
        for corner in range(3):
            np.minimum.at(lower, place[:, corner], least)
            np.minimum.at(lower, label[place[:, corner]], least)  # the whole chart so far follows
        lower = lower[lower]
        if (lower == label).all():
            return label[place[:, 0]]
        label = lower


def _numbered(chart: np.ndarray) -> np.ndarray:
    """Charts [H, W], -1 for none, as numbers from 1 on in the order in which they are met, row by row; beyond MOST they begin
    again, so that neighbours still differ.
    """
    found, first, inverse = np.unique(chart, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(np.where(found < 0, -1, first)))
    number = np.where(found < 0, 0, (order - (found < 0).any()) % MOST + 1)
    return number[inverse].reshape(chart.shape).astype(np.uint8)


def _widened(numbers: np.ndarray, margin: int) -> np.ndarray:
    """Every chart grown by so many pixels into what is 0."""
    grown = numbers.copy()
    for _ in range(margin):
        before = grown.copy()
        for here, there in (
            (np.s_[1:, :], np.s_[:-1, :]),
            (np.s_[:-1, :], np.s_[1:, :]),
            (np.s_[:, 1:], np.s_[:, :-1]),
            (np.s_[:, :-1], np.s_[:, 1:]),
        ):
            part = grown[here]
            np.copyto(part, before[there], where=(part == 0) & (before[there] > 0))
    return grown
