"""The strokes of a painting as a Curves object holds them, edited or not: the names of its attributes, and how they are read.

Both sides use it: writers/paintings/stroke_curves.py builds the curves, readers/strokes.py takes them back.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ..shared.arrays import Array
from ..shared.errors import InvalidInput

POINTS = 9  # along a stroke
COLOR = "stroke_color"  # not "color", which Cycles keeps for itself on curves
OPACITIES = ("opacity_start", "opacity_end")
COLOR_CHANGE = "color_change"  # from a stroke's start to its end, in sRGB; nothing where it has one colour
CANVAS_COLOR = "canvas_color"  # attribute of strokes: three sRGB numbers, where the canvas had one colour
_CANVAS_KEY = "relievo_canvas"  # custom property of the curves


@dataclass(frozen=True)
class Canvas:
    """What strokes lie on. pixels: width and height of the picture. size: the same in Blender units. color: sRGB 0..1, None for one
    that is not plain.
    """

    pixels: tuple[int, int]
    size: tuple[float, float]
    color: tuple[float, ...] | None

    @classmethod
    def of_array(cls, strokes: Array, size: tuple[float, float]) -> Canvas:
        """That of a STROKES array, `size` Blender units wide and high."""
        width, height = (int(strokes.attributes[f"canvas_{side}_px"]) for side in ("width", "height"))
        color = strokes.attributes.get(CANVAS_COLOR)
        return cls((width, height), size, None if color is None else tuple(float(value) for value in color))

    @classmethod
    def of(cls, curves: bpy.types.Curves) -> Canvas | None:
        """That which was written with the curves, None for those of an older version."""
        found = curves.get(_CANVAS_KEY)
        if found is None or len(found) not in (4, 7):
            return None
        width, height, across, up, *color = (float(value) for value in found)
        return cls((round(width), round(height)), (across, up), tuple(color) if color else None)

    def write(self, curves: bpy.types.Curves) -> None:
        curves[_CANVAS_KEY] = [float(value) for value in (*self.pixels, *self.size, *(self.color or ()))]


@dataclass(frozen=True)
class Drawn:
    """Strokes as they are in a Curves object, edited or not, in its order. positions: [N, POINTS, 3], radii: [N, POINTS],
    Blender units; colors: [N, 4] linear, the alpha 0..1. All float32.
    """

    positions: np.ndarray
    radii: np.ndarray
    colors: np.ndarray


def drawn(curves: bpy.types.Curves) -> Drawn:
    """What a Curves object of build() holds now. Strokes that a person has given other numbers of points are resampled. Raises
    InvalidInput where the attributes are gone.
    """
    count, points = len(curves.curves), len(curves.points)
    try:
        positions, radii = (
            _read(curves, "position", "vector", (points, 3)),
            _read(curves, "radius", "value", (points, 1)),
        )
        colors = _read(curves, COLOR, "color", (count, 4))
    except KeyError as error:
        raise InvalidInput(
            f"The strokes {curves.name!r} have lost one of their attributes: position, radius or {COLOR}.",
            hint="Regenerate the painting.",
            field=curves.name,
        ) from error
    lengths = np.empty(count, np.int32)
    curves.curves.foreach_get("points_length", lengths)
    if (lengths != POINTS).any():
        positions, radii = _resampled(positions, lengths), _resampled(radii, lengths)
    return Drawn(positions.reshape(count, POINTS, 3), radii.reshape(count, POINTS), colors)


def changes(curves: bpy.types.Curves) -> np.ndarray:
    """COLOR_CHANGE of the curves, float32 [N, 3]; zeros where it is gone."""
    values = np.zeros(len(curves.curves) * 3, np.float32)
    found = curves.attributes.get(COLOR_CHANGE)
    if isinstance(found, bpy.types.FloatVectorAttribute) and found.domain == "CURVE":
        found.data.foreach_get("vector", values)
    return values.reshape(-1, 3)


def numbers(curves: bpy.types.Curves, name: str, missing: float) -> np.ndarray:
    """An attribute of the curves with one number each, float32 [N]; `missing` where it is gone."""
    found = curves.attributes.get(name)
    if found is None or found.domain != "CURVE" or found.data_type not in ("FLOAT", "INT"):
        return np.full(len(curves.curves), missing, np.float32)
    values = np.empty(len(curves.curves), np.float32 if found.data_type == "FLOAT" else np.int32)
    found.data.foreach_get("value", values)  # type: ignore[attr-defined]
    return values.astype(np.float32)


def _read(curves: bpy.types.Curves, name: str, key: str, shape: tuple[int, int]) -> np.ndarray:
    values = np.empty(shape[0] * shape[1], np.float32)
    curves.attributes[name].data.foreach_get(key, values)  # type: ignore[attr-defined]
    return values.reshape(shape)


def _resampled(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Values [P, C] of strokes one behind the other, `lengths` points each, at POINTS points of each: [N, POINTS, C]."""
    first = (np.cumsum(lengths) - lengths)[:, None]
    place = np.linspace(0.0, 1.0, POINTS) * (lengths[:, None] - 1)
    low = np.floor(place).astype(np.int64)
    share = (place - low)[..., None].astype(np.float32)
    high = np.minimum(low + 1, lengths[:, None] - 1)
    return values[first + low] * (1 - share) + values[first + high] * share
