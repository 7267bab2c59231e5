"""The objects that belong to a canvas: its strokes as curves and as Grease Pencil, and which of them is shown."""

from __future__ import annotations

import bpy

from . import canvas_materials

STROKES_KEY = "relievo_strokes"  # custom property of the object that holds a canvas's strokes
PENCIL_KEY = "relievo_pencil"  # of the one that holds them as Grease Pencil


def canvas_of(item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The canvas that strokes belong to, curves or Grease Pencil; the object itself where it holds none."""
    holds = item is not None and (STROKES_KEY in item or PENCIL_KEY in item)
    return item.parent if item is not None and holds and item.parent is not None else item


def strokes_of(canvas: bpy.types.Object) -> bpy.types.Object | None:
    """The object with a canvas's strokes, None where it has none."""
    return next((item for item in canvas.children if STROKES_KEY in item), None)


def show_strokes(canvas: bpy.types.Object, item: bpy.types.Object, *, shown: bool) -> None:
    """Show what holds a canvas's strokes, and hide the canvas where it shows the picture, which would lie behind them; or the other
    way round.
    """
    shows_picture = canvas_materials.picture_of(canvas) is not None
    for other, is_hidden in ((canvas, shown and shows_picture), (item, not shown and shows_picture)):
        other.hide_render = is_hidden
        for scene in other.users_scene:
            for layer in scene.view_layers:
                if other.name in layer.objects:
                    other.hide_set(is_hidden, view_layer=layer)
