"""A painting in the file: a canvas, and the objects below it that hold its strokes. What they are known by, and nothing else."""

from __future__ import annotations

import bpy

STROKES_KEY = "relievo_strokes"  # custom property of the object that holds a canvas's strokes as curves
PENCIL_KEY = "relievo_pencil"  # of the one that holds them as Grease Pencil


def canvas_of(item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The canvas that strokes belong to, curves or Grease Pencil; the object itself where it holds none."""
    holds = item is not None and (STROKES_KEY in item or PENCIL_KEY in item)
    return item.parent if item is not None and holds and item.parent is not None else item


def strokes_of(canvas: bpy.types.Object) -> bpy.types.Object | None:
    """The object with a canvas's strokes, None where it has none. Cheap: for draw()."""
    return next((item for item in canvas.children if STROKES_KEY in item), None)


def pencil_of(canvas: bpy.types.Object) -> bpy.types.Object | None:
    """The Grease Pencil object of a canvas, None where it has none. Cheap: for draw()."""
    return next((item for item in canvas.children if PENCIL_KEY in item), None)
