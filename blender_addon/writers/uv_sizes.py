"""How large a mesh's UV square is on its surface, so that a texture that tiles can be laid on it at a size. In Blender units, as
the nodes that use it. Changes nothing.
"""

from __future__ import annotations

import bpy
import numpy as np

from .. import typed, units

TILE_WIDTH_M = 2.0  # of one repetition on a large surface: about what a photograph of a wall or of ground shows


def tile_width(item: bpy.types.Object, size: tuple[float, float]) -> float:
    """Blender units after which a new texture repeats: TILE_WIDTH_M, and on smaller surfaces once over the UV square."""
    scene = next(iter(item.users_scene), None)
    return min(TILE_WIDTH_M / (units.metres_per_unit(scene) if scene is not None else 1.0), size[0])


def of_square(item: bpy.types.Object, uv_layer: str) -> tuple[float, float]:
    """Blender units on the surface of a mesh object per unit of u and of v, the mean over its faces; (1, 1) without UVs."""
    mesh = typed.mesh(item)
    layer = mesh.uv_layers.get(uv_layer)
    if layer is None or not len(mesh.polygons):
        return 1.0, 1.0
    mesh.calc_loop_triangles()
    count = len(mesh.loop_triangles)
    corners, vertices = np.empty(count * 3, np.int32), np.empty(len(mesh.loops), np.int32)
    uv, points = np.empty(len(mesh.loops) * 2, np.float32), np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.loop_triangles.foreach_get("loops", corners)
    mesh.loops.foreach_get("vertex_index", vertices)
    layer.uv.foreach_get("vector", uv)
    typed.positions(mesh).foreach_get("vector", points)
    placed = points.reshape(-1, 3) @ np.array(item.matrix_world.to_3x3(), np.float64).T
    return _mean_size(placed[vertices[corners]].reshape(-1, 3, 3), uv.reshape(-1, 2)[corners].reshape(-1, 3, 2))


def _mean_size(points: np.ndarray, uv: np.ndarray) -> tuple[float, float]:
    """Lengths of the surface's derivatives by u and v over triangles [n, 3, 3] and their UVs [n, 3, 2], by area."""
    a, b = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    s, t = (uv[:, 1] - uv[:, 0]).astype(np.float64), (uv[:, 2] - uv[:, 0]).astype(np.float64)
    twice = s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]
    known = np.abs(twice) > 1e-12
    if not known.any():
        return 1.0, 1.0
    a, b, s, t, twice = a[known], b[known], s[known], t[known], twice[known, None]
    by_u = (a * t[:, 1:] - b * s[:, 1:]) / twice
    by_v = (b * s[:, :1] - a * t[:, :1]) / twice
    weights = np.linalg.norm(np.cross(a, b), axis=1) + 1e-12
    u, v = (float(np.average(np.linalg.norm(by, axis=1), weights=weights)) for by in (by_u, by_v))
    return max(u, 1e-6), max(v, 1e-6)
