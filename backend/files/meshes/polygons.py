"""Faces as files have them, corners that point into lists of positions and of UVs, and the triangles they are made into.

Every reader of this package ends here: what is no surface is refused here, once for all formats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.files.meshes.cutting import cut
from shared.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Polygons:
    """positions: [V, 3]. sizes: [F], corners of each face. corners: [C] into positions, face after face. uvs: [T, 2], v up.
    uv_corners: [C] into uvs, -1 for a corner without one. materials: their names, face_materials [F] into them, where a file has
    several."""

    positions: np.ndarray
    sizes: np.ndarray
    corners: np.ndarray
    uvs: np.ndarray
    uv_corners: np.ndarray
    materials: tuple[str, ...] = ()
    face_materials: np.ndarray | None = None


class BrokenMesh(ValueError):
    """What a decoder says about bytes that are no such file, in half a sentence that follows the file's name."""


def without_uvs(positions: np.ndarray, sizes: np.ndarray, corners: np.ndarray) -> Polygons:
    return Polygons(positions, sizes, corners, np.empty((0, 2)), np.full(len(corners), -1))


def with_vertex_uvs(positions: np.ndarray, uvs: np.ndarray, sizes: np.ndarray, corners: np.ndarray) -> Polygons:
    """Where each vertex has its UV."""
    return Polygons(positions, sizes, corners, uvs, corners)


def to_triangles(polygons: Polygons, name: str) -> np.ndarray:
    """MESH values [N, 3, 5] float32: quads and larger faces are cut into triangles, concave ones by their ears.

    name: the file's, for the errors. Raises InvalidInput where there are no faces, where faces point beyond the lists, and
    where a corner is no place.
    """
    sizes = np.asarray(polygons.sizes, np.int64)
    if not (sizes >= 3).any():
        what = f"{len(polygons.positions)} points and no faces" if len(polygons.positions) else "nothing in it"
        raise InvalidInput(
            f"{name} has {what}.", hint="Make a surface of the points first, for example with MeshLab.", field=name
        )
    corners, uv_corners = np.asarray(polygons.corners, np.int64), np.asarray(polygons.uv_corners, np.int64)
    beyond = (corners < 0) | (corners >= len(polygons.positions)) | (uv_corners >= len(polygons.uvs))
    if beyond.any():
        raise InvalidInput(
            f"{name} has {int(beyond.sum())} face corners that refer to missing vertices.",
            hint="The file is damaged or cut short: export it again.",
            field=name,
        )
    positions = np.ascontiguousarray(polygons.positions, np.float32)
    if not (sizes == 3).all():
        chosen = cut(positions.astype(np.float64), corners, sizes)
        corners, uv_corners = corners[chosen], uv_corners[chosen]
    mesh = np.empty((len(corners), 5), np.float32)
    mesh[:, :3] = positions[corners]
    bad = ~np.isfinite(mesh[:, :3]).all(axis=1)
    if bad.any():
        raise InvalidInput(
            f"{name} has {len(np.unique(corners[bad]))} vertices with NaN or infinite coordinates.",
            hint="Delete them in the program that made the mesh, and export it again.",
            field=name,
        )
    uvs = np.append(np.asarray(polygons.uvs, np.float32).reshape(-1, 2), [[np.nan, np.nan]], axis=0)
    mesh[:, 3:] = uvs[uv_corners]  # -1 is the last row
    mesh[:, 3:][~np.isfinite(mesh[:, 3:]).all(axis=1)] = np.nan
    return mesh.reshape(-1, 3, 5)
