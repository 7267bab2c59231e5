"""In a painting's box: how thick the paint lies, and the strokes that paint themselves.

draw() reads what lies on datablocks and does nothing else.
"""

from __future__ import annotations

import bpy

from ..datablocks import painting
from ..writers.paintings import impasto, stroke_animation


def draw(box: bpy.types.UILayout, canvas: bpy.types.Object) -> None:
    if (relief := impasto.modifier_of(canvas)) is not None:
        column = box.column(align=True)
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(relief, "strength", text="Relief")
    if painting.strokes_of(canvas) is None:
        return
    row = box.row(align=True)
    row.operator("relievo.animate_strokes", icon="PLAY", depress=stroke_animation.is_on(canvas))
    row.operator("relievo.save_painting_film", text="MP4", icon="FILE_MOVIE")
    box.operator("relievo.strokes_as_pencil", text="Grease Pencil", icon="OUTLINER_OB_GREASEPENCIL")
    box.operator("relievo.paint_edited_strokes", icon="OUTLINER_OB_CURVES")
