"""A painting that paints itself: the share of its strokes that is shown, keyframed from none to all."""

from __future__ import annotations

import bpy

from ... import compat
from ...datablocks import painting
from ...shared.errors import InvalidInput
from . import stroke_curves, stroke_ribbons, visibility
from .stroke_ribbons import SHOWN


def is_on(canvas: bpy.types.Object) -> bool:
    """Whether a canvas's strokes are animated. Cheap: for draw()."""
    strokes = painting.strokes_of(canvas)
    modifier = stroke_ribbons.modifier_of(strokes) if strokes is not None else None
    if strokes is None or modifier is None:
        return False
    return compat.has_keyframes(strokes, compat.node_input_path(modifier, SHOWN))


def put_on(canvas: bpy.types.Object, *, start: int, frames: int) -> bpy.types.Object:
    """Show the strokes in the place of the picture, none of them in frame `start` and all of them `frames` later. Returns their
    object. Raises InvalidInput.
    """
    strokes = painting.strokes_of(canvas)
    modifier = stroke_ribbons.modifier_of(strokes) if strokes is not None else None
    if strokes is None or modifier is None:
        raise InvalidInput(
            f"{canvas.name!r} has no strokes to animate.",
            hint="Select a painting, or regenerate it.",
            field=canvas.name,
        )
    stroke_ribbons.bring_up_to_date(modifier, stroke_curves.material())
    compat.keyframe_node_input(modifier, SHOWN, [(start, 0.0), (start + frames, 1.0)])
    visibility.show_strokes(canvas, strokes, shown=True)
    _hide_pencil(canvas)
    return strokes


def remove(canvas: bpy.types.Object) -> None:
    """All strokes are there again, and the picture is shown in their place where there is one."""
    strokes = painting.strokes_of(canvas)
    modifier = stroke_ribbons.modifier_of(strokes) if strokes is not None else None
    if strokes is None or modifier is None:
        return
    compat.drop_keyframes(strokes, compat.node_input_path(modifier, SHOWN))
    compat.set_node_input(modifier, SHOWN, 1.0)
    strokes.update_tag()
    visibility.show_strokes(canvas, strokes, shown=False)
    _hide_pencil(canvas)


def _hide_pencil(canvas: bpy.types.Object) -> None:
    """The same strokes as Grease Pencil, which lie in the same place."""
    if (pencil := painting.pencil_of(canvas)) is not None:
        visibility.hide(pencil)
