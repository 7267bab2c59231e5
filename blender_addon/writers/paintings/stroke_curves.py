"""Brush strokes -> one Curves object: a curve for each stroke in painting order, with its radius and its own colour.

A stroke is a quadratic Bezier curve; it becomes a few points along it, which a person can edit. How it looks is
stroke_ribbons.py's business. Its numbers go along as attributes of the curves: stroke_color, layer, segment, order.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ... import compat, typed
from ...shared.arrays import Array
from ...shared.errors import InvalidInput
from ...shared.strokes import INDEX, in_painting_order
from ..shader_graph import ShaderGraph

POINTS = 9  # along a stroke
RESOLUTION = 2  # steps from one to the next: more would make millions of vertices of thousands of strokes
COLOR = "stroke_color"  # not "color", which Cycles keeps for itself on curves
MATERIAL = "Relievo Strokes"
_KEY = "relievo_strokes_material"


def build(name: str, strokes: Array, size: tuple[float, float], thickness: float) -> bpy.types.Curves:
    """Curves on a canvas of width and height `size`, its middle at the origin, x to the right and z up.

    Later strokes lie in front (-y) of earlier ones, all within `thickness`. Invisible ones, without colour or length, stay: their
    order is the painting's.
    """
    values = in_painting_order(strokes.values)
    made = bpy.data.hair_curves.new(name)
    made.add_curves([POINTS] * len(values))
    _write(made, "position", "FLOAT_VECTOR", "POINT", "vector", _positions(values, size, thickness))
    _write(made, "radius", "FLOAT", "POINT", "value", _radii(values, size))
    _write(made, "resolution", "INT", "CURVE", "value", np.full(len(values), RESOLUTION, np.int32))
    colors = np.ones((len(values), 4), np.float32)
    colors[:, :3] = linear(_columns(values, "red", "green", "blue"))
    colors[:, 3] = _columns(values, "t0", "t2").mean(axis=1)
    _write(made, COLOR, "FLOAT_COLOR", "CURVE", "color", colors)
    for column in ("layer", "segment", "order"):
        _write(made, column, "INT", "CURVE", "value", np.rint(values[:, INDEX[column]]).astype(np.int32))
    made.materials.append(material())
    return made


@dataclass(frozen=True)
class Drawn:
    """Strokes as they are in a Curves object, edited or not, in painting order. positions: [N, POINTS, 3], radii: [N, POINTS],
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


def _columns(values: np.ndarray, *names: str) -> np.ndarray:
    return values[:, [INDEX[name] for name in names]]


def _positions(values: np.ndarray, size: tuple[float, float], thickness: float) -> np.ndarray:
    """[N, POINTS, 3]. In the array x is the row, from the top, and y the column."""
    start, bend, end = (_columns(values, f"y{n}", f"x{n}").astype(np.float64) for n in (0, 1, 2))
    control = start + (end - start) * bend
    t = np.linspace(0.0, 1.0, POINTS)[None, :, None]
    along = (1 - t) ** 2 * start[:, None] + 2 * t * (1 - t) * control[:, None] + t**2 * end[:, None]
    points = np.empty((len(values), POINTS, 3), np.float32)
    points[..., 0] = (along[..., 0] - 0.5) * size[0]
    points[..., 1] = -thickness * (0.25 + 0.75 * np.arange(len(values))[:, None] / max(len(values), 1))
    points[..., 2] = (0.5 - along[..., 1]) * size[1]
    return points


def _radii(values: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """[N, POINTS] from one end to the other; radii are shares of the canvas's longer side."""
    ends = _columns(values, "r0", "r2")
    t = np.linspace(0.0, 1.0, POINTS, dtype=np.float32)
    return np.maximum((1 - t) * ends[:, :1] + t * ends[:, 1:], 1e-4) * max(size)


def _write(made: bpy.types.Curves, name: str, kind: str, domain: str, key: str, values: np.ndarray) -> None:
    attribute = made.attributes.get(name) or made.attributes.new(name, kind, domain)  # type: ignore[arg-type]
    attribute.data.foreach_set(key, np.ascontiguousarray(values).ravel())  # type: ignore[attr-defined]


def material() -> bpy.types.Material:
    """One for the strokes of all paintings in the file: their own colours, unlit, as paint on a canvas looks."""
    for paint in bpy.data.materials:
        if paint.get(_KEY) and paint.library is None:
            return paint
    paint = bpy.data.materials.new(MATERIAL)
    paint[_KEY] = True
    tree = compat.use_nodes(paint)
    tree.nodes.clear()
    graph = ShaderGraph(tree)
    color = typed.new_node(tree, "ShaderNodeAttribute", attribute_type="GEOMETRY", attribute_name=COLOR)
    shader, output = graph.node("ShaderNodeEmission"), graph.node("ShaderNodeOutputMaterial")
    graph.feed(shader.inputs["Color"], color.outputs["Color"])
    graph.feed(output.inputs["Surface"], shader.outputs["Emission"])
    for node, x in ((color, -300), (shader, 0), (output, 300)):
        node.location = (x, 300)
    return paint


def linear(encoded: np.ndarray) -> np.ndarray:
    """sRGB 0..1 -> linear light (IEC 61966-2-1)."""
    values = np.clip(encoded, 0.0, 1.0)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
