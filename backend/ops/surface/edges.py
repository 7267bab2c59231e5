"""The edges that two triangles of a soup share in space, and whether they share them in UV: what charts and seams are made of.

A soup names no neighbours. Corners at exactly the same place are one; only edges that then have no partner are looked at
again, with corners nearer than a tolerance taken as one, so that fine meshes keep their short edges. A long edge that
meets several short ones (a T-junction) is no shared edge. Nothing here knows texels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]  # compiled, declared nowhere

TOLERANCE = 2e-6  # of the bounding box's diagonal: coordinates written with six digits, or rounded to float32
UV_TOLERANCE = 1e-5  # UVs written with five digits; a sixth of a texel at 16384


@dataclass(frozen=True, eq=False)
class SharedEdges:
    """P edges, both sides listed from the same end to the same end.

    triangle_a, triangle_b [P] int64. corners_a, corners_b [P, 3]: of each triangle the corner at the edge's start, at its
    end, and the one opposite. seam [P] bool: the two sides lie apart in UV.
    """

    triangle_a: np.ndarray
    triangle_b: np.ndarray
    corners_a: np.ndarray
    corners_b: np.ndarray
    seam: np.ndarray


def shared_edges(
    mesh: np.ndarray,  # MESH [N, 3, 5]; triangles with a NaN among their UVs share nothing
    tolerance: float = TOLERANCE,
) -> SharedEdges:
    """All edges between two triangles. An edge of more than two gives a pair for each two that follow one another."""
    whole = np.flatnonzero(~np.isnan(mesh[..., 3:]).any(axis=(1, 2)))
    places = mesh[whole, :, :3].reshape(-1, 3)
    if not len(places):
        return _pair(mesh, whole, *(np.empty((0, 2), np.int64) for _ in range(2)))
    vertices = _exactly_equal(places)
    ends = np.stack([vertices.reshape(-1, 3), np.roll(vertices.reshape(-1, 3), -1, axis=1)], axis=-1).reshape(-1, 2)
    pairs, lone = _partners(ends, np.arange(len(ends)))
    if len(lone):
        ends[lone] = _nearly_equal(places, vertices, ends[lone], tolerance)
        more, _ = _partners(ends, lone)
        pairs = np.concatenate([pairs, more])
    return _pair(mesh, whole, ends, pairs)


def _exactly_equal(places: np.ndarray) -> np.ndarray:
    """A number a place [M], the same for the same three floats; 0.0 and -0.0 are the same."""
    bits = (places + np.float32(0)).astype(np.float32).view(np.uint32).astype(np.uint64)
    _, plane = np.unique(bits[:, 0] << np.uint64(32) | bits[:, 1], return_inverse=True)
    _, numbers = np.unique(plane.astype(np.uint64) << np.uint64(32) | bits[:, 2], return_inverse=True)
    return numbers.astype(np.int64)


def _nearly_equal(places: np.ndarray, vertices: np.ndarray, ends: np.ndarray, tolerance: float) -> np.ndarray:
    """ends [L, 2] with the vertices renumbered so that those nearer than the tolerance have one number."""
    asked, position = np.unique(ends, return_inverse=True)
    first = np.zeros(vertices.max() + 1, np.int64)
    first[vertices] = np.arange(len(vertices))  # any corner there will do
    points = places[first[asked]].astype(np.float64)
    reach = tolerance * float(np.linalg.norm(np.ptp(places.astype(np.float64), axis=0)))
    near = cKDTree(points).query_pairs(reach, output_type="ndarray")
    links = coo_array((np.ones(len(near), bool), (near[:, 0], near[:, 1])), shape=(len(points), len(points)))
    return connected_components(links, directed=False)[1].astype(np.int64)[position].reshape(-1, 2)


def _partners(ends: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs [P, 2] of the half-edges `among` that join the same two vertices, and those that have no partner."""
    low, high = ends[among].min(axis=1), ends[among].max(axis=1)
    among, low, high = (values[low != high] for values in (among, low, high))
    keys = low << 32 | high
    order = np.argsort(keys, kind="stable")
    same = keys[order][1:] == keys[order][:-1]
    paired = np.zeros(len(among), bool)
    paired[order[1:][same]] = paired[order[:-1][same]] = True
    return np.stack([among[order[:-1][same]], among[order[1:][same]]], axis=1), among[~paired]


def _pair(mesh: np.ndarray, whole: np.ndarray, ends: np.ndarray, pairs: np.ndarray) -> SharedEdges:
    """Half-edges (3 * triangle + corner they start from) as sides that run the same way."""
    corners = []
    for half in pairs.T:
        start = half % 3
        forward = np.stack([start, (start + 1) % 3, (start + 2) % 3], axis=1)
        backward = forward[:, [1, 0, 2]]
        corners.append(np.where((ends[half, 0] <= ends[half, 1])[:, None], forward, backward))
    triangles = whole[pairs // 3]
    uv_a, uv_b = (mesh[triangles[:, side, None], corners[side][:, :2], 3:] for side in range(2))
    seam = np.asarray(np.any(np.abs(uv_a - uv_b) > UV_TOLERANCE, axis=(1, 2)))
    return SharedEdges(triangles[:, 0], triangles[:, 1], corners[0], corners[1], seam)
