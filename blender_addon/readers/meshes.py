"""The surface of a mesh, seen from above, as a height map: straight from the evaluated mesh, modifiers and all.

A map's outermost samples lie on the outermost vertices, so that a terrain built by Relievo gives back its very heights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from .. import typed
from ..datablocks import class_tags, grid
from ..shared.arrays import MAX_SIDE, Array
from ..shared.arrays import height_map as make_height_map
from ..shared.errors import InvalidInput
from ..units import metres_per_unit
from . import gaps, rasterizing


@dataclass(frozen=True)
class Triangles:
    """Surfaces in the scene. points: float64 [V, 3] world space, metres. corners: int32 [T, 3]. material: int32 [T]
    slot of each triangle. item: int32 [T] which of the objects asked for it belongs to. label: int32 [T] the value of
    the attribute of faces that was asked for, -1 where there is none.
    """

    points: np.ndarray
    corners: np.ndarray
    material: np.ndarray
    item: np.ndarray
    label: np.ndarray


@dataclass(frozen=True)
class Footprint:
    """Where a map lies: shape (rows, columns), metres a pixel, and the world position in metres of its top left
    sample.
    """

    shape: tuple[int, int]
    pixel_size_m: float
    left_m: float
    top_m: float

    @property
    def middle_m(self) -> tuple[float, float]:
        """World x and y of the map's middle: where an object built from the map has to stand to lie where the mesh
        was.
        """
        return (
            self.left_m + (self.shape[1] - 1) / 2 * self.pixel_size_m,
            self.top_m - (self.shape[0] - 1) / 2 * self.pixel_size_m,
        )


def height_map(
    item: bpy.types.Object | Sequence[bpy.types.Object],
    depsgraph: bpy.types.Depsgraph,
    *,
    longest_side_px: int = 512,
    pixel_size_m: float = 0.0,
    fill_gaps: bool = False,
) -> Array:
    """The topmost surface of one or several meshes as a HEIGHT_MAP in metres of world space, the top row at the
    largest Y.

    longest_side_px: samples along the longer side; pixel_size_m, above 0, is taken instead of it. fill_gaps: let
    the surroundings flow into samples without surface (an outline that is no rectangle, holes); without it they are
    refused with their count. Raises InvalidInput where there is no surface to see.
    """
    if isinstance(item, bpy.types.Object) and pixel_size_m <= 0.0:
        straight = _own_grid(item, depsgraph, longest_side_px)
        if straight is not None:
            return straight
    seen = triangles(item, depsgraph)
    where = footprint(seen, longest_side_px=longest_side_px, pixel_size_m=pixel_size_m)
    heights = rasterizing.highest(in_samples(seen, where), seen.corners, where.shape)
    return make_height_map(gaps.close(heights) if fill_gaps else _without_gaps(heights), where.pixel_size_m)


def footprint(seen: Triangles, *, longest_side_px: int = 512, pixel_size_m: float = 0.0) -> Footprint:
    """The map that covers all the surfaces from outermost vertex to outermost vertex."""
    low, high = seen.points.min(axis=0), seen.points.max(axis=0)
    width, depth = float(high[0] - low[0]), float(high[1] - low[1])
    if min(width, depth) <= 0.0:
        raise InvalidInput("The mesh has no extent seen from above.", hint="Lay it down, so that its surface faces up.")
    if pixel_size_m <= 0.0:
        if longest_side_px < 2:
            raise InvalidInput(f"{longest_side_px} samples make no map.", hint="Take at least 2.")
        pixel_size_m = max(width, depth) / (longest_side_px - 1)
    # a side that is a whole number of pixels but for the rounding of float32 vertices counts as whole
    shape = int(np.floor(depth / pixel_size_m + 1e-3)) + 1, int(np.floor(width / pixel_size_m + 1e-3)) + 1
    if min(shape) < 2 or max(shape) > MAX_SIDE:
        raise InvalidInput(
            f"At {pixel_size_m:g} m per pixel the map would be {shape[0]} x {shape[1]}.",
            hint=f"Both sides take 2 to {MAX_SIDE} pixels.",
        )
    return Footprint(shape, pixel_size_m, float(low[0]), float(high[1]))


def footprint_of(item: bpy.types.Object, depsgraph: bpy.types.Depsgraph, longest_side_px: int) -> Footprint:
    """The map that height_map() makes of one mesh, without looking at its faces. Raises InvalidInput as footprint() does."""
    bring_up_to_date(item, depsgraph)
    world, *_ = _read(item, depsgraph, faces=False)
    none = np.empty(0, np.int32)
    seen = Triangles(world * metres_per_unit(typed.present(depsgraph.scene)), none, none, none, none)
    return footprint(seen, longest_side_px=longest_side_px)


def in_samples(seen: Triangles, where: Footprint) -> np.ndarray:
    """Points as the rasteriser takes them: x and y in samples of the map from its top left, z in metres."""
    return np.stack(
        [
            (seen.points[:, 0] - where.left_m) / where.pixel_size_m,
            (where.top_m - seen.points[:, 1]) / where.pixel_size_m,
            seen.points[:, 2],
        ],
        axis=-1,
    )


def triangles(
    items: bpy.types.Object | Sequence[bpy.types.Object], depsgraph: bpy.types.Depsgraph, *, attribute: str = ""
) -> Triangles:
    """All triangles of the meshes as they are now, edit mode included. attribute: name of an integer attribute of faces to read
    along. Raises InvalidInput for what is not a mesh or has no faces.
    """
    given = [items] if isinstance(items, bpy.types.Object) else list(items)
    if not given:
        raise InvalidInput("No mesh is selected.", hint="Select a mesh.")
    for item in given:
        bring_up_to_date(item, depsgraph)
    scale = metres_per_unit(typed.present(depsgraph.scene))
    points, corners, materials, owners, labels, offset = [], [], [], [], [], 0
    for number, item in enumerate(given):
        world, vertices, material, label = _read(item, depsgraph, attribute=attribute)
        points.append(world * scale)
        corners.append(vertices + offset)
        materials.append(material)
        owners.append(np.full(len(vertices), number, np.int32))
        labels.append(label)
        offset += len(world)
    return Triangles(*(np.concatenate(parts) for parts in (points, corners, materials, owners, labels)))


def bring_up_to_date(item: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> None:
    """What is being edited becomes part of what is evaluated. Raises InvalidInput for what is not a mesh."""
    if item.type != "MESH":
        raise InvalidInput(
            f"{item.name!r} is not a mesh.", hint="Convert it to a mesh, or pick another object.", field=item.name
        )
    if item.mode == "EDIT":
        item.update_from_editmode()
    depsgraph.update()


def _own_grid(item: bpy.types.Object, depsgraph: bpy.types.Depsgraph, longest_side_px: int) -> Array | None:
    """The heights of a terrain of ours at its own resolution, taken as they are: no triangle has to be looked at.

    None where that would not be the same as looking: another resolution, a turned or uneven object, vertices moved
    sideways.
    """
    bring_up_to_date(item, depsgraph)
    own = typed.mesh(item)
    shape = grid.shape_of(own)
    world = np.array(item.matrix_world, np.float64)
    upright = (
        world[0, 0] > 0 and world[0, 0] == world[1, 1] and not np.any(world[:3, :3] - np.diag(world.diagonal()[:3]))
    )
    if shape is None or max(shape) != longest_side_px or not upright or item.mode == "EDIT":
        return None
    evaluated = item.evaluated_get(depsgraph)
    mesh = evaluated.to_mesh()
    try:
        if (len(mesh.vertices), len(mesh.polygons)) != (len(own.vertices), len(own.polygons)):
            return None
        positions = np.empty((*shape, 3), np.float32)
        typed.positions(mesh).foreach_get("vector", positions.ravel())
    finally:
        evaluated.to_mesh_clear()
    x, y = grid.lattice(*shape, float(own[grid.SPACING_KEY]))
    if not (
        np.isfinite(positions[..., 2]).all()
        and (positions[..., 0] == x).all()
        and (positions[..., 1] == y[:, None]).all()
    ):
        return None
    scale = metres_per_unit(typed.present(depsgraph.scene))
    heights = (positions[..., 2] * world[2, 2] + world[2, 3]) * scale
    return make_height_map(heights, float(own[grid.SPACING_KEY]) * world[0, 0] * scale)


def _read(
    item: bpy.types.Object, depsgraph: bpy.types.Depsgraph, *, faces: bool = True, attribute: str = ""
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """World positions float64 [V, 3], triangles int32 [T, 3], their material slots and their faces' attribute int32 [T], of one
    evaluated object; no triangles without faces.
    """
    evaluated = item.evaluated_get(depsgraph)
    # in edit mode the evaluated mesh is the cage; evaluated again, it has its modifiers
    mesh = (
        evaluated.to_mesh(preserve_all_data_layers=True, depsgraph=depsgraph)
        if item.mode == "EDIT"
        else evaluated.to_mesh()
    )
    try:
        local = positions(mesh, item.name)
        if faces:
            mesh.calc_loop_triangles()
        count = len(mesh.loop_triangles) if faces else 0
        vertices, slots = np.empty(count * 3, np.int32), np.zeros(count, np.int32)
        if count:
            mesh.loop_triangles.foreach_get("vertices", vertices)
        if count and "material_index" in mesh.attributes:  # absent where all faces have the first
            mesh.loop_triangles.foreach_get("material_index", slots)
        label = _labels(mesh, attribute, count)
        world = np.array(evaluated.matrix_world, np.float64)
    finally:
        evaluated.to_mesh_clear()
    return local.astype(np.float64) @ world[:3, :3].T + world[:3, 3], vertices.reshape(-1, 3), slots, label


def _labels(mesh: bpy.types.Mesh, attribute: str, count: int) -> np.ndarray:
    """int32 [T]: an integer attribute of faces, by triangle; -1 where the mesh has none of that name."""
    found = class_tags.of_faces(mesh, attribute)
    if found is None or not count:
        return np.full(count, -1, np.int32)
    by_face, face = np.empty(len(mesh.polygons), np.int32), np.empty(count, np.int32)
    typed.of(found, bpy.types.IntAttribute).data.foreach_get("value", by_face)
    mesh.loop_triangle_polygons.foreach_get("value", face)
    return by_face[face]


def positions(mesh: bpy.types.Mesh, name: str) -> np.ndarray:
    """The vertices of an object's evaluated mesh, float32 [V, 3] in its own space. Raises InvalidInput, with the object's name, for
    a mesh without faces or with vertices that are nowhere.
    """
    if not len(mesh.polygons):
        raise InvalidInput(f"The mesh {name!r} has no faces.", hint="Fill it, or pick another mesh.", field=name)
    local = np.empty(len(mesh.vertices) * 3, np.float32)
    typed.positions(mesh).foreach_get("vector", local)
    if not np.isfinite(local).all():
        bad = int(np.count_nonzero(~np.isfinite(local.reshape(-1, 3)).all(axis=1)))
        raise InvalidInput(
            f"{bad} of {len(mesh.vertices)} vertices of {name!r} have no position (NaN or infinite).",
            hint="Mesh > Clean Up, or look at the modifiers.",
            field=name,
        )
    return local.reshape(-1, 3)


def _without_gaps(heights: np.ndarray) -> np.ndarray:
    missing = int(np.count_nonzero(np.isnan(heights)))
    if missing:
        raise InvalidInput(
            f"{missing} of {heights.size} points of the map have no surface below them.",
            hint="Fill the gaps, or take a mesh with a rectangular outline and no holes.",
        )
    return heights
