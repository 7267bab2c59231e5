"""A painted sketch -> its class map, and how large it is on the ground. The plane's own size counts, its turn and place do not.

Sizes are asked for at every redraw and look at no pixel; class_map() is called when a job is made.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from .. import typed
from ..datablocks import sketch
from ..shared.arrays import CLASS_MAP, Array
from ..shared.classes import Classes
from ..shared.errors import InvalidInput
from ..units import metres_per_unit
from . import images

UNEVEN = 0.01  # by how much the two sides of a pixel may differ


@dataclass(frozen=True)
class Ground:
    """What a sketch covers: rows and columns of its image, and the metres along its longer side."""

    rows: int
    columns: int
    size_m: float


def ground_of(item: bpy.types.Object, scene: bpy.types.Scene) -> Ground:
    """How large a sketch is. Cheap. Raises InvalidInput for one without an image, pixels or faces, and for one whose pixels are no
    squares on the ground.
    """
    image = _image_of(item)
    columns, rows = typed.size(image)
    if not columns or not rows:
        raise InvalidInput(
            f"The image {image.name!r} of the sketch has no pixels.", hint="Make a new sketch.", field=image.name
        )
    if not len(typed.mesh(item).polygons):
        raise InvalidInput(f"The sketch {item.name!r} has no faces.", hint="Make a new sketch.", field=item.name)
    scale = metres_per_unit(scene)
    width_m, depth_m = item.dimensions.x * scale, item.dimensions.y * scale
    if min(width_m, depth_m) <= 0.0:
        raise InvalidInput(f"The sketch {item.name!r} has no size.", hint="Scale it up again.", field=item.name)
    across, down = width_m / columns, depth_m / rows
    if abs(across / down - 1.0) > UNEVEN:
        raise InvalidInput(
            f"The sketch {item.name!r} is {width_m:,.0f} m x {depth_m:,.0f} m, its image {columns} x {rows} pixels: pixels must be "
            "square on the ground.",
            hint="Scale the plane by the same factor in x and y, or make a new sketch.",
            field=item.name,
        )
    return Ground(rows, columns, max(width_m, depth_m))


def class_map(
    item: bpy.types.Object, classes: Classes, *, snap: bool = False, longest_px: int = 0, scene: bpy.types.Scene
) -> Array:
    """The classes as they are painted now. longest_px: for a draft, at most so many pixels on the longer side, each with the
    class at its middle. Raises InvalidInput for a colour that is no class, and as ground_of() does.
    """
    ground_of(item, scene)
    found = images.class_map(_image_of(item), classes, snap=snap).values
    return Array(CLASS_MAP, fewer(found, longest_px) if longest_px else found)


def fewer(values: np.ndarray, longest_px: int) -> np.ndarray:
    """A class map [H, W] of at most longest_px a side: what stands at the middle of each larger pixel. No class is made up."""
    factor = max(values.shape) / longest_px
    if factor <= 1.0:
        return values
    rows, columns = (max(1, round(side / factor)) for side in values.shape)
    middle = [
        ((np.arange(count) + 0.5) * side / count).astype(int)
        for count, side in ((rows, values.shape[0]), (columns, values.shape[1]))
    ]
    return np.ascontiguousarray(values[np.ix_(*middle)])


def _image_of(item: bpy.types.Object) -> bpy.types.Image:
    image = sketch.image_of(item)
    if image is None and sketch.has_lost_its_image(item):
        raise InvalidInput(
            f"The image of the sketch {item.name!r} was deleted.",
            hint="Undo, or make a new sketch.",
            field=item.name,
        )
    if image is None:
        raise InvalidInput(f"{item.name!r} is no sketch.", hint="Press New Sketch, or pick a sketch.", field=item.name)
    return image
