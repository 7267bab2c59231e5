"""The relief of a painting: a canvas with a vertex per pixel, raised by a packed 32-bit image of how thick the paint lies.

The image stays editable, and so does the strength of the modifier that reads it. A picture of more than MOST_PX is raised by the
means over blocks of its pixels; its own image of heights is kept beside it.
"""

from __future__ import annotations

from math import pi

import bpy
import numpy as np
from mathutils import Matrix

from ... import typed
from ...datablocks.grid import GRID_KEY, SPACING_KEY
from ...shared.algorithm import Arrays
from ...shared.arrays import HEIGHT_MAP, Array, height_map
from .. import displacement, grid, images

MOST_PX = 1024  # vertices along the longer side: a million faces, which a view still turns smoothly


def heights_of(outputs: Arrays) -> Array | None:
    """How thick the paint lies, None where the engine has made no relief, or a flat or tiny one."""
    found = (array for given in outputs.values() for array in given if array.kind is HEIGHT_MAP)
    heights = next(found, None)
    return heights if heights is not None and min(heights.values.shape) > 1 and np.ptp(heights.values) > 0.0 else None


def surface(name: str, heights: Array, size: tuple[float, float]) -> bpy.types.Mesh:
    """A flat canvas that looks along -Y, upright, with as many vertices as raise_by() needs. size: Blender units."""
    rows, columns = _reduced_shape(heights.values.shape)
    mesh = grid.build(name, np.zeros((rows, columns), np.float32), size[0] / columns)
    for key in (GRID_KEY, SPACING_KEY):
        del mesh[key]  # it is no terrain
    upright = Matrix.Rotation(pi / 2, 4, "X")
    mesh.transform(upright @ Matrix.Diagonal((1.0, size[1] * columns / (size[0] * rows), 1.0, 1.0)))
    mesh.update()
    return mesh


def raise_by(canvas: bpy.types.Object, heights: Array, size: tuple[float, float]) -> None:
    """Raise a canvas of surface() by the heights, as high over its own width as they are over the map's."""
    name, reduced = f"{canvas.name} relief", _reduced(heights.values)
    pixel_size_m = heights.pixel_size_m * heights.values.shape[1] / reduced.shape[1]
    image = images.build(name, height_map(reduced, pixel_size_m), images.ours(name))
    displacement.by_modifier(canvas, image)
    modifier = typed.of(modifier_of(canvas), bpy.types.DisplaceModifier)
    modifier.direction = "NORMAL"
    modifier.strength = size[0] / (heights.values.shape[1] * heights.pixel_size_m)


def modifier_of(canvas: bpy.types.Object) -> bpy.types.DisplaceModifier | None:
    """The modifier that raises a canvas, None for a flat one. Cheap: for draw()."""
    found = canvas.modifiers.get(displacement.MODIFIER)
    return found if isinstance(found, bpy.types.DisplaceModifier) else None


def _reduced_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    scale = min(1.0, MOST_PX / max(shape))
    rows, columns = (max(2, round(side * scale)) for side in shape[:2])
    return rows, columns


def _reduced(values: np.ndarray) -> np.ndarray:
    """Heights [H, W] as their means over blocks, of _reduced_shape()."""
    for axis, count in enumerate(_reduced_shape(values.shape)):
        if count == values.shape[axis]:
            continue
        starts = np.arange(count) * values.shape[axis] // count
        sums = np.add.reduceat(values.astype(np.float64), starts, axis=axis)
        blocks = np.diff(np.append(starts, values.shape[axis]))
        values = sums / blocks.reshape((-1, 1) if axis == 0 else (1, -1))
    return np.ascontiguousarray(values, np.float32)
