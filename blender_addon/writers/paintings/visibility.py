"""Which of a painting's objects is shown: the canvas with its picture, or the strokes, which lie in front of it."""

from __future__ import annotations

import bpy

from . import canvas_materials


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
