"""The strokes of a painting in the scene -> a STROKES array, as they are now: moved, bent, thickened, coloured, copied or deleted.

A stroke is one bend between two ends, so a curve that was drawn freely becomes the quadratic one nearest to it. What lies in front
in the scene is painted last. The canvas's own plane counts, however canvas and strokes stand in the scene.
"""

from __future__ import annotations

import bpy
import numpy as np

from ..datablocks import drawn_strokes, painting
from ..datablocks.drawn_strokes import Canvas, Drawn
from ..shared.arrays import STROKES, Array
from ..shared.errors import InvalidInput
from ..shared.srgb import linear_to_srgb
from ..shared.strokes import COLUMNS, END_COLOR, INDEX

_NUDGE_PX = 1 / 256  # between ends of one row or column, so that a control point beside them is kept


def read(canvas: bpy.types.Object) -> Array:
    """The strokes of a canvas. Raises InvalidInput where there are none, or none of this version."""
    item = painting.strokes_of(canvas)
    if item is None or not isinstance(item.data, bpy.types.Curves) or not len(item.data.curves):
        raise InvalidInput(f"{canvas.name!r} has no strokes.", hint="Select a painting.", field=canvas.name)
    curves, ground = item.data, Canvas.of(item.data)
    if ground is None:
        raise InvalidInput(
            f"The strokes of {canvas.name!r} do not say how large their picture was: an older version has made them.",
            hint="Regenerate the painting, then edit its strokes.",
            field=canvas.name,
        )
    drawn = _on_canvas(drawn_strokes.drawn(curves), item)
    values = np.zeros((len(drawn.radii), len(COLUMNS)), np.float32)
    _write_places(values, drawn, ground)
    color = linear_to_srgb(np.clip(drawn.colors[:, :3], 0.0, 1.0))
    values[:, INDEX["red"] : INDEX["blue"] + 1] = color
    values[:, [INDEX[name] for name in END_COLOR]] = np.clip(color + drawn_strokes.changes(curves), 0.0, 1.0)
    values[:, [INDEX["t0"], INDEX["t2"]]] = _opacities(curves, drawn)
    for column, missing in (("layer", 0.0), ("segment", -1.0)):
        values[:, INDEX[column]] = drawn_strokes.numbers(curves, column, missing)
    values = values[np.argsort(-drawn.positions[..., 1].mean(axis=1), kind="stable")]  # from back to front
    values[:, INDEX["layer"]] = np.maximum.accumulate(values[:, INDEX["layer"]])  # the order in depth is what counts
    values[:, INDEX["order"]] = np.arange(len(values))
    attributes = {"canvas_width_px": ground.pixels[0], "canvas_height_px": ground.pixels[1]}
    if ground.color is not None:
        attributes |= {drawn_strokes.CANVAS_COLOR: list(ground.color)}
    return Array(STROKES, values, attributes)


def _on_canvas(drawn: Drawn, item: bpy.types.Object) -> Drawn:
    """Strokes in the coordinates of the canvas, which their object may have been moved or scaled on."""
    matrix = np.array(item.matrix_local, np.float64)
    scale = abs(np.linalg.det(matrix[:3, :3])) ** (1 / 3)
    places = drawn.positions.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    return Drawn(places, drawn.radii * scale, drawn.colors)


def _write_places(values: np.ndarray, drawn: Drawn, ground: Canvas) -> None:
    """Ends, control points and radii, of the curves and straight tapers nearest to what is drawn."""
    t = np.linspace(0.0, 1.0, drawn_strokes.POINTS)
    sides = np.array(ground.size)
    rows_and_columns = np.stack(
        [0.5 - drawn.positions[..., 2] / sides[1], 0.5 + drawn.positions[..., 0] / sides[0]], axis=-1
    )
    start, end = rows_and_columns[:, 0], rows_and_columns[:, -1]
    weight = 2 * t * (1 - t)
    rest = rows_and_columns - ((1 - t) ** 2)[:, None] * start[:, None] - (t**2)[:, None] * end[:, None]
    control = (weight[:, None] * rest).sum(axis=1) / (weight**2).sum()
    nudge = _NUDGE_PX / np.array(ground.pixels[::-1])
    beside = (np.abs(end - start) < nudge) & (np.abs(control - start) > nudge)
    end = np.where(beside, start + np.where(end < start, -nudge, nudge), end).astype(np.float32)
    start = start.astype(np.float32)
    gap = end.astype(np.float64) - start
    relative = np.where(gap == 0, 0.5, (control - start) / np.where(gap == 0, 1.0, gap))
    for column, found in (("x0", start), ("x1", relative), ("x2", end)):
        values[:, INDEX[column] : INDEX[column] + 2] = found
    line, *_ = np.linalg.lstsq(np.stack([1 - t, t], axis=1), drawn.radii.T.astype(np.float64), rcond=None)
    values[:, [INDEX["r0"], INDEX["r2"]]] = np.maximum(line.T, 0.0) / max(ground.size)


def _opacities(curves: bpy.types.Curves, drawn: Drawn) -> np.ndarray:
    """At both ends [N, 2]. The alpha of the colour is their mean, and where it was changed it counts. A curve that has neither is a
    new one, drawn without these attributes: it covers.
    """
    ends = np.stack([drawn_strokes.numbers(curves, name, 1.0) for name in drawn_strokes.OPACITIES], axis=1)
    mean, alpha = ends.mean(axis=1, keepdims=True), drawn.colors[:, 3:]
    scaled = np.where(mean > 0.0, ends * alpha / np.where(mean > 0.0, mean, 1.0), alpha)
    return np.clip(np.where((mean == 0.0) & (alpha == 0.0), 1.0, scaled), 0.0, 1.0)
