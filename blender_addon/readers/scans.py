"""A scanned mesh -> the triangles that the backend textures: evaluated, with the UVs of its active layer, counted from a point
near it.

Coordinates travel as float32. A scan that stands far from the world's origin would lose its millimetres there, so mesh and
cameras alike are sent relative to the middle of the mesh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector

from .. import typed
from ..shared.arrays import MESH, Array
from ..shared.errors import InvalidInput
from ..units import metres_per_unit
from . import meshes


@dataclass(frozen=True)
class Surface:
    """points: float64 [V, 3] world space, metres. corners: int32 [T, 3] of points, counter-clockwise from outside. loops: int32
    [T, 3], the corner of the evaluated mesh that each is. uv: float32 [T, 3, 2], NaN where there are none. is_cut: whether a
    face of more than three corners was cut into triangles.
    """

    points: np.ndarray
    corners: np.ndarray
    loops: np.ndarray
    uv: np.ndarray
    is_cut: bool


def origin_of(item: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """The point [3] in metres that the mesh and its cameras are counted from: the middle of the mesh's box."""
    meshes.bring_up_to_date(item, depsgraph)
    evaluated = item.evaluated_get(depsgraph)
    corners = np.array([evaluated.matrix_world @ Vector(corner) for corner in evaluated.bound_box], np.float64)
    middle = corners.mean(axis=0) * metres_per_unit(typed.present(depsgraph.scene))
    return middle if np.isfinite(middle).all() else np.zeros(3)  # positions() says which vertices are nowhere


def mesh(
    item: bpy.types.Object, depsgraph: bpy.types.Depsgraph, origin_m: np.ndarray, *, renews_uvs: bool = False
) -> Array:
    """The mesh of an object as a MESH in metres from origin_m, modifiers and edits included.

    renews_uvs: whether it gets new UVs although it has some. Raises InvalidInput for what is no mesh, has no faces, has vertices
    that are nowhere, or cannot keep the new UVs that it is to get.
    """
    found = surface(item, depsgraph)
    if np.isnan(found.uv).all():
        _check_keeps_uvs(item, found, "has no UVs", "Press Unwrap")
    elif renews_uvs:
        instead = "Unwrap it in Blender (UV > Smart UV Project) and set Unwrap to If It Has No UVs"
        _check_keeps_uvs(item, found, "is to get new UVs", instead)
    return Array(MESH, _soup(found.points - origin_m, found.corners, found.uv), {"name": item.name})


def _check_keeps_uvs(item: bpy.types.Object, found: Surface, why: str, instead: str) -> None:
    """Before anything is computed: the UVs of the triangles that are sent have to fit the object's own faces afterwards."""
    if not _has_loops(typed.mesh(item), found):
        raise InvalidInput(
            f"The mesh {item.name!r} {why}, and modifiers that make other faces of it, which cannot keep theirs.",
            hint=f"{instead}, or apply them.",
            field=item.name,
        )
    if found.is_cut:
        raise InvalidInput(
            f"The mesh {item.name!r} {why}, and faces with more than three corners, which new UVs could cut through.",
            hint=f"{instead}, or triangulate it (Ctrl T in Edit Mode).",
            field=item.name,
        )


def occluders(items: Sequence[bpy.types.Object], depsgraph: bpy.types.Depsgraph, origin_m: np.ndarray) -> Array:
    """Several meshes as one MESH that only hides what lies behind it: without UVs. Raises InvalidInput as mesh() does."""
    parts = []
    for item in items:
        found = surface(item, depsgraph)
        parts.append(_soup(found.points - origin_m, found.corners, np.full_like(found.uv, np.nan)))
    return Array(MESH, np.concatenate(parts))


def _soup(points: np.ndarray, corners: np.ndarray, uv: np.ndarray) -> np.ndarray:
    values = np.empty((*corners.shape, 5), np.float32)
    values[..., :3] = points[corners]
    values[..., 3:] = uv
    return values


def surface(item: bpy.types.Object, depsgraph: bpy.types.Depsgraph, uv_layer: str = "") -> Surface:
    """The triangles of an object as it is now, with the UVs of that layer, "" for the active one. Raises InvalidInput as mesh()
    does.
    """
    meshes.bring_up_to_date(item, depsgraph)
    evaluated = item.evaluated_get(depsgraph)
    made = evaluated.to_mesh(preserve_all_data_layers=True, depsgraph=depsgraph)
    try:
        local = meshes.positions(made, item.name)
        made.calc_loop_triangles()
        loops, corners = (_of_triangles(made, name) for name in ("loops", "vertices"))
        uv = _uv(made, uv_layer)[loops]
        is_cut = len(made.loop_triangles) != len(made.polygons)
        world = np.array(evaluated.matrix_world, np.float64)
    finally:
        evaluated.to_mesh_clear()
    if np.linalg.det(world[:3, :3]) < 0:  # a mirrored object: Blender turns its faces, so that they still look outwards
        loops, corners, uv = (values[:, [0, 2, 1]] for values in (loops, corners, uv))
    points = (local.astype(np.float64) @ world[:3, :3].T + world[:3, 3]) * metres_per_unit(
        typed.present(depsgraph.scene)
    )
    return Surface(points, corners, loops, uv, is_cut)


def has_uvs(item: bpy.types.Object, soup: np.ndarray, layer: str) -> bool:
    """Whether a layer of an object still has the UVs of a MESH [T, 3, 5] that mesh() has read from it."""
    found = surface(item, bpy.context.evaluated_depsgraph_get(), layer)
    return len(found.uv) == len(soup) and np.array_equal(found.uv, soup[..., 3:], equal_nan=True)


def write_uvs(item: bpy.types.Object, soup: np.ndarray, layer: str) -> None:
    """Give an object's own mesh the UVs of a MESH [T, 3, 5] that mesh() has read from it, as the layer of that name, which becomes
    the active one and the one that is rendered.

    Raises InvalidInput, and changes nothing, for a mesh that has changed since, whose modifiers make other faces of it, or
    whose faces the new UVs cut through.
    """
    depsgraph = bpy.context.evaluated_depsgraph_get()
    found, own = surface(item, depsgraph), typed.mesh(item)
    if len(found.loops) != len(soup):
        raise InvalidInput(
            f"The mesh {item.name!r} has changed: it had {len(soup)} triangles and has {len(found.loops)}.",
            hint="Undo the change, or compute the texture again.",
            field=item.name,
        )
    if not _has_loops(own, found):
        raise InvalidInput(
            f"The modifiers of {item.name!r} make other faces than its own mesh has, which cannot keep their UVs.",
            hint="Apply them, or press Unwrap before.",
            field=item.name,
        )
    uv = np.zeros((len(own.loops), 2), np.float32)
    uv[found.loops] = soup[..., 3:]
    if not np.array_equal(uv[found.loops], soup[..., 3:]):
        raise InvalidInput(
            f"The new UVs cut through faces of {item.name!r}.",
            hint="Triangulate it (Ctrl T in Edit Mode), or press Unwrap before.",
            field=item.name,
        )
    made = own.uv_layers.get(layer) or own.uv_layers.new(name=layer, do_init=False)
    if made is None:
        raise InvalidInput(
            f"The mesh {item.name!r} cannot have another UV map: 8 is Blender's limit.",
            hint="Remove one.",
            field=item.name,
        )
    made.uv.foreach_set("vector", uv.ravel())
    made.active = made.active_render = True
    own.update()


def _has_loops(own: bpy.types.Mesh, found: Surface) -> bool:
    """Whether the triangles of an evaluated mesh are made of the corners of the object's own."""
    if len(own.loops) <= found.loops.max(initial=-1):
        return False
    vertices = np.empty(len(own.loops), np.int32)
    own.loops.foreach_get("vertex_index", vertices)
    return len(own.vertices) == len(found.points) and np.array_equal(vertices[found.loops], found.corners)


def _of_triangles(made: bpy.types.Mesh, what: str) -> np.ndarray:
    values = np.empty(len(made.loop_triangles) * 3, np.int32)
    made.loop_triangles.foreach_get(what, values)
    return values.reshape(-1, 3)


def _uv(made: bpy.types.Mesh, name: str) -> np.ndarray:
    """UVs of a layer, float32 [corners, 2]; NaN where there is none."""
    layer = made.uv_layers.get(name) if name else made.uv_layers.active
    if layer is None:
        return np.full((len(made.loops), 2), np.nan, np.float32)
    values = np.empty(len(made.loops) * 2, np.float32)
    layer.uv.foreach_get("vector", values)
    return values.reshape(-1, 2)


def in_collection(collection: bpy.types.Collection, *, apart_from: bpy.types.Object | None) -> list[bpy.types.Object]:
    """The meshes of a collection and of those in it that are there when the scene is rendered.

    Raises InvalidInput where there is none.
    """
    items = [item for item in collection.all_objects if item.type == "MESH" and not item.hide_render]
    items = [item for item in items if item != apart_from]
    if not items:
        raise InvalidInput(
            f"There is no mesh in the collection {collection.name!r} that hides anything.",
            hint="Add the meshes that hide the scan, or pick no collection.",
            field=collection.name,
        )
    return items
