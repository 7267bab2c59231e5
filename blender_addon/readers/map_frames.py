"""Where a map lies in the scene, so that what is drawn over it finds its place: points of the world to shares of the map's sides.

A sketch counts in its plane's own space, turned or not; a mesh seen from above by its box, whose border goes through the middle of
the map's outermost pixels. Cheap: boxes alone are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector

from ..datablocks import grid, sketch
from . import drawn_meshes
from .source import Source


@dataclass(frozen=True)
class Frame:
    """to_map [4, 4]: from world space in Blender units to x and y as shares of the map, y down, and z over its level."""

    to_map: np.ndarray

    def shares(self, points: np.ndarray) -> np.ndarray:
        """Points float64 [n, 3] of the world on the map."""
        return points @ self.to_map[:3, :3].T + self.to_map[:3, 3]

    def is_over(self, points: np.ndarray) -> bool:
        """Whether the box around points [n, 3] lies over the map, if only in part."""
        places = self.shares(points)[:, :2]
        return bool((places.max(axis=0) >= 0.0).all() and (places.min(axis=0) <= 1.0).all())


def frame_of(scene: bpy.types.Scene, source: Source) -> Frame | None:
    """The frame of a source of a map; None for one that lies nowhere, is gone, or has no size."""
    if source.kind == "sketch":
        item = bpy.data.objects.get(source.name)
        return _of_plane(item) if item is not None and sketch.image_of(item) is not None else None
    if source.kind == "drawing" and not drawn_meshes.goes_through_uvs(source):
        return _of_boxes(drawn_meshes.members(scene, source), drawn_meshes.resolution_of(source))
    if source.kind in ("object", "materials", "objects") and (item := bpy.data.objects.get(source.name)) is not None:
        shape = grid.shape_of(item.data) if isinstance(item.data, bpy.types.Mesh) else None
        return _of_boxes([item], max(shape) if shape else int(source.options.get("resolution_px", 512)))
    return None


def corners_of(item: bpy.types.Object) -> np.ndarray:
    """The corners of an object's box in the world, float64 [8, 3]."""
    return np.array([item.matrix_world @ Vector(corner) for corner in item.bound_box], np.float64)


def _of_plane(item: bpy.types.Object) -> Frame | None:
    low, high = np.array(item.bound_box, np.float64).min(axis=0), np.array(item.bound_box, np.float64).max(axis=0)
    size = high - low
    world = np.array(item.matrix_world, np.float64)
    if min(size[:2]) <= 0.0 or abs(np.linalg.det(world)) < 1e-12:
        return None
    rise = float(np.linalg.norm(world[:3, 2]))  # z counts in units of the world, x and y in the plane's sides
    to_share = np.diag([1.0 / size[0], -1.0 / size[1], rise, 1.0])
    to_share[:2, 3] = -low[0] / size[0], high[1] / size[1]
    return Frame(to_share @ np.linalg.inv(world))


def _of_boxes(items: list[bpy.types.Object], longest_px: int) -> Frame | None:
    if not items or longest_px < 2:
        return None
    corners = np.concatenate([corners_of(item) for item in items])
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = high[:2] - low[:2]
    if min(size) <= 0.0:
        return None
    pixel = max(size) / (longest_px - 1)
    columns, rows = (int(side / pixel + 1e-3) + 1 for side in size)
    to_map = np.eye(4)
    to_map[0, 0], to_map[0, 3] = 1.0 / (pixel * columns), (0.5 - low[0] / pixel) / columns
    to_map[1, 1], to_map[1, 3] = -1.0 / (pixel * rows), (0.5 + high[1] / pixel) / rows
    return Frame(to_map)
