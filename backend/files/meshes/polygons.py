"""Faces as files have them, corners that point into lists of positions and of UVs, and the triangles they are made into.

Every reader of this package ends here: what is no surface is refused here, once for all formats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.files.meshes.compiling import njit
from shared.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Polygons:
    """positions: [V, 3]. sizes: [F], corners of each face. corners: [C] into positions, face after face. uvs: [T, 2], v up.
    uv_corners: [C] into uvs, -1 for a corner without one."""

    positions: np.ndarray
    sizes: np.ndarray
    corners: np.ndarray
    uvs: np.ndarray
    uv_corners: np.ndarray


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
        chosen = _cut(positions.astype(np.float64), corners, sizes)
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


@njit(cache=True)
def _cut(points, corners, sizes):
    """The corners (indices into `corners`) of the triangles that all faces are cut into, three after three."""
    total, longest = 0, 0
    for size in sizes:
        total += max(size - 2, 0)
        longest = max(longest, size)
    chosen = np.empty(3 * total, np.int64)
    ring, flat = np.empty(longest, np.int64), np.empty((longest, 2))
    written, start = 0, 0
    for size in sizes:
        if size == 3:
            for corner in range(3):
                chosen[written + corner] = start + corner
            written += 3
        elif size > 3:
            _flatten(points, corners, start, size, flat)
            written = _clip_ears(flat, start, size, ring, chosen, written)
        start += size
    return chosen


@njit(cache=True)
def _flatten(points, corners, start, size, flat):
    """A face seen along its Newell normal's longest axis, counter-clockwise."""
    nx, ny, nz = 0.0, 0.0, 0.0
    for corner in range(size):
        a, b = points[corners[start + corner]], points[corners[start + (corner + 1) % size]]
        nx += (a[1] - b[1]) * (a[2] + b[2])
        ny += (a[2] - b[2]) * (a[0] + b[0])
        nz += (a[0] - b[0]) * (a[1] + b[1])
    if abs(nx) >= abs(ny) and abs(nx) >= abs(nz):
        first, second, normal = 1, 2, nx
    elif abs(ny) >= abs(nz):
        first, second, normal = 2, 0, ny
    else:
        first, second, normal = 0, 1, nz
    for corner in range(size):
        point = points[corners[start + corner]]
        flat[corner, 0] = point[first]
        flat[corner, 1] = point[second] if normal >= 0.0 else -point[second]


@njit(cache=True)
def _turn(flat, a, b, c):
    """Twice the signed area of a triangle."""
    return (flat[b, 0] - flat[a, 0]) * (flat[c, 1] - flat[a, 1]) - (flat[b, 1] - flat[a, 1]) * (flat[c, 0] - flat[a, 0])


@njit(cache=True)
def _is_ear(flat, ring, left, at):
    a, b, c = ring[at - 1 if at else left - 1], ring[at], ring[(at + 1) % left]
    if _turn(flat, a, b, c) <= 0.0:
        return False
    for other in ring[:left]:
        if other in (a, b, c):
            continue
        if _turn(flat, a, b, other) >= 0.0 and _turn(flat, b, c, other) >= 0.0 and _turn(flat, c, a, other) >= 0.0:
            return False
    return True


@njit(cache=True)
def _clip_ears(flat, start, size, ring, chosen, written):
    """Meisters' theorem: a simple polygon has an ear. One that crosses itself may have none; its next corner goes then."""
    for corner in range(size):
        ring[corner] = corner
    left = size
    while left >= 3:
        ear = 1
        for turn in range(left):
            at = (1 + turn) % left
            if left == 3 or _is_ear(flat, ring, left, at):
                ear = at
                break
        chosen[written] = start + ring[ear - 1 if ear else left - 1]
        chosen[written + 1] = start + ring[ear]
        chosen[written + 2] = start + ring[(ear + 1) % left]
        written += 3
        for corner in range(ear, left - 1):
            ring[corner] = ring[corner + 1]
        left -= 1
    return written
