"""Grease Pencil before and after 4.3, which made it anew: with compat.py the one place that knows the two apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np

_UNITS_PER_PIXEL = 1e-3  # of the old one's line widths, which are diameters in pixels
_LINE_WIDTH = 100  # of all old strokes: pressure makes them thinner and thicker


def new(name: str) -> bpy.types.ID:
    """An empty Grease Pencil datablock whose strokes cover each other in their order."""
    made = _store().new(name)
    made.stroke_depth_order = "2D"
    return made


def _store() -> Any:
    """From 4.3 to 4.5 the new kind has a store beside the old one, which is that of annotations."""
    return getattr(bpy.data, "grease_pencils_v3", bpy.data.grease_pencils)


def material(name: str) -> bpy.types.Material:
    """A new material for strokes: plain lines in their own colours."""
    made = bpy.data.materials.new(name)
    bpy.data.materials.create_gpencil_data(made)
    settings: Any = made.grease_pencil
    settings.show_stroke, settings.show_fill, settings.color = True, False, (0.5, 0.5, 0.5, 1.0)
    return made


def draw(data: Any, layer: str, frame: int, positions: np.ndarray, radii: np.ndarray, colors: np.ndarray) -> None:
    """Lay strokes on the layer of this name, from `frame` on, in the place of what is on it; a new layer where there is none.
    positions: [N, P, 3], radii: [N, P], Blender units; colors: [N, 4] linear, with opacity; all float32.
    """
    made = data.layers.get(layer) or data.layers.new(layer)
    made.use_lights = False
    for old in list(made.frames):
        made.frames.remove(old.frame_number if hasattr(old, "drawing") else old)
    drawn = made.frames.new(frame)
    if hasattr(drawn, "drawing"):
        _draw(drawn.drawing, positions, radii, colors)
    else:
        data.stroke_thickness_space, data.pixel_factor = "WORLDSPACE", 1.0
        _draw_old(drawn.strokes, positions, radii, colors)


def first_frame(data: Any, layer: str) -> int | None:
    """The first frame in which a layer has a drawing, None where there is none."""
    found = data.layers.get(layer)
    return min((frame.frame_number for frame in found.frames), default=None) if found is not None else None


def _draw(drawing: Any, positions: np.ndarray, radii: np.ndarray, colors: np.ndarray) -> None:
    count, points = radii.shape
    drawing.add_strokes([points] * count)
    drawing.set_types(type="POLY")
    opaque = np.ones((count, points, 4), np.float32)
    opaque[..., :3] = colors[:, None, :3]
    opacity = np.repeat(colors[:, 3:], points, axis=1)
    for name, kind, key, values in (
        ("position", "FLOAT_VECTOR", "vector", positions),
        ("radius", "FLOAT", "value", radii),
        ("opacity", "FLOAT", "value", opacity),
        ("vertex_color", "FLOAT_COLOR", "color", opaque),
    ):
        attribute = drawing.attributes.get(name) or drawing.attributes.new(name, kind, "POINT")
        attribute.data.foreach_set(key, np.ascontiguousarray(values, np.float32).ravel())
    drawing.tag_positions_changed()


def _draw_old(strokes: Any, positions: np.ndarray, radii: np.ndarray, colors: np.ndarray) -> None:
    points = radii.shape[1]
    pressures = radii * np.float32(2.0 / (_UNITS_PER_PIXEL * _LINE_WIDTH))
    for places, pressure, color in zip(positions, pressures, colors, strict=True):
        stroke = strokes.new()
        stroke.line_width = _LINE_WIDTH
        stroke.points.add(points)
        stroke.points.foreach_set("co", np.ascontiguousarray(places).ravel())
        stroke.points.foreach_set("pressure", np.ascontiguousarray(pressure))
        stroke.points.foreach_set("strength", np.full(points, color[3], np.float32))
        stroke.points.foreach_set("vertex_color", np.tile(np.append(color[:3], np.float32(1.0)), points))


def build(item: bpy.types.Object, name: str, frames: int) -> Any:
    """A Build modifier that lays an object's strokes down one after the other, in so many frames. Returns it."""
    old: Any = getattr(item, "grease_pencil_modifiers", None)
    modifiers: Any = item.modifiers if old is None else old
    made = modifiers.get(name) or modifiers.new(name, "GREASE_PENCIL_BUILD" if old is None else "GP_BUILD")
    made.mode, made.transition, made.time_mode = "SEQUENTIAL", "GROW", "FRAMES"
    made.start_delay, made.length = 0.0, float(frames)
    return made


def strokes_in(data: Any) -> Sequence[Any]:
    """The strokes of a datablock's first frame, in their order."""
    frame = data.layers[0].frames[0]
    return list(frame.drawing.strokes if hasattr(frame, "drawing") else frame.strokes)
