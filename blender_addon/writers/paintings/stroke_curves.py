"""Brush strokes -> one Curves object: a curve for each stroke in painting order, with its radius and its own colour.

A stroke is a quadratic Bezier curve; it becomes a few points along it, which a person can edit. How it looks is
stroke_ribbons.py's business. Its numbers go along as attributes of the curves, by the names of datablocks/drawn_strokes.py, from
which they are read again.
"""

from __future__ import annotations

import bpy
import numpy as np

from ... import compat, typed
from ...datablocks.drawn_strokes import COLOR, COLOR_CHANGE, OPACITIES, POINTS, Canvas
from ...shared.arrays import Array
from ...shared.strokes import END_COLOR, INDEX, in_painting_order
from ..shader_graph import ShaderGraph

RESOLUTION = 2  # steps from one to the next: more would make millions of vertices of thousands of strokes
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
    for name, column in zip(OPACITIES, ("t0", "t2"), strict=True):
        _write(made, name, "FLOAT", "CURVE", "value", _columns(values, column))
    change = _columns(values, *END_COLOR) - _columns(values, "red", "green", "blue")
    _write(made, COLOR_CHANGE, "FLOAT_VECTOR", "CURVE", "vector", change)
    for column in ("layer", "segment", "order"):
        _write(made, column, "INT", "CURVE", "value", np.rint(values[:, INDEX[column]]).astype(np.int32))
    made.materials.append(material())
    Canvas.of_array(strokes, size).write(made)
    return made


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
