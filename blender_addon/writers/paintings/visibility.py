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
        hide(other, hidden=is_hidden)


def hide(item: bpy.types.Object, *, hidden: bool = True) -> None:
    """Hide an object in renders and in all view layers, or show it."""
    item.hide_render = hidden
    for scene in item.users_scene:
        for layer in scene.view_layers:
            if item.name in layer.objects:
                item.hide_set(hidden, view_layer=layer)
