"""What becomes of a painting that is there: strokes that paint themselves, and strokes as Grease Pencil. No backend is asked."""

from __future__ import annotations

import bpy

from .. import typed
from ..placing import viewport
from ..writers.paintings import canvas_parts, stroke_animation, stroke_pencil
from .reporting import reports_errors

FRAMES = 120


def _canvas(context: bpy.types.Context) -> bpy.types.Object | None:
    """The canvas with strokes that is selected, or that what is selected belongs to."""
    item = canvas_parts.canvas_of(context.active_object)
    return item if item is not None and canvas_parts.strokes_of(item) is not None else None


def _has_strokes(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether a painting with strokes is selected; the operator's tooltip says so where none is."""
    if _canvas(context) is None:
        operator.poll_message_set("Select a painting with strokes")
        return False
    return True


class RELIEVO_OT_animate_strokes(bpy.types.Operator):
    """Show the painting as it is painted, stroke by stroke from the scene's first frame on; press again to see the picture"""

    bl_idname = "relievo.animate_strokes"
    bl_label = "Animate"
    bl_options = {"REGISTER", "UNDO"}

    frames: bpy.props.IntProperty(
        name="Frames",
        description="Frames from the empty canvas to the finished painting",
        default=FRAMES,
        min=1,
        soft_max=1000,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _has_strokes(cls, context)

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        canvas, scene = typed.present(_canvas(context)), typed.present(context.scene)
        if stroke_animation.is_on(canvas):
            stroke_animation.remove(canvas)
            viewport.select(canvas)
        else:
            viewport.select(stroke_animation.put_on(canvas, start=scene.frame_start, frames=self.frames))
        return {"FINISHED"}


class RELIEVO_OT_strokes_as_pencil(bpy.types.Operator):
    """Make Grease Pencil strokes of the painting, in painting order, with a Build modifier that lays them down"""

    bl_idname = "relievo.strokes_as_pencil"
    bl_label = "As Grease Pencil"
    bl_options = {"REGISTER", "UNDO"}

    frames: bpy.props.IntProperty(
        name="Frames",
        description="Frames in which the Build modifier lays the strokes down, 0 for no modifier",
        default=FRAMES,
        min=0,
        soft_max=1000,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _has_strokes(cls, context)

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        canvas = typed.present(_canvas(context))
        viewport.select(stroke_pencil.make(canvas, typed.present(context.scene), self.frames))
        return {"FINISHED"}


CLASSES = (RELIEVO_OT_animate_strokes, RELIEVO_OT_strokes_as_pencil)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
