"""Draw Region: a person drags a rectangle over the image that the Image Editor shows, and that part of it is the sample."""

from __future__ import annotations

from typing import Any

import bpy

from .. import typed
from ..datablocks import region
from ..inputs import edited
from ..shared.errors import InvalidInput
from .reporting import reports_errors

HELP = "Drag a rectangle over the image; right click or Esc leaves it as it is"
LEAST_PX = 2  # of each side: less is a click


class RELIEVO_OT_draw_region(bpy.types.Operator):
    """Drag a rectangle over the image: only that part of it is the sample"""

    bl_idname = "relievo.draw_region"
    bl_label = "Draw Region"
    bl_options = {"REGISTER", "UNDO"}

    image: bpy.props.StringProperty(name="Image", description="Empty for the image editor's", options={"SKIP_SAVE"})
    rectangle: bpy.props.IntVectorProperty(
        name="Region",
        description="Left, bottom, width and height in pixels, from the lower left corner",
        size=4,
        min=0,
        options={"SKIP_SAVE"},
    )

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        image = bpy.data.images.get(self.image) if self.image else edited.image_of(context)
        if image is None:
            raise InvalidInput(f"There is no image {self.image!r}." if self.image else "No image is shown.")
        columns, rows = region.size(image, context.scene)
        left, bottom, width, height = self.rectangle
        width, height = min(width, columns - left), min(height, rows - bottom)
        if min(width, height) < LEAST_PX:
            raise InvalidInput(
                "The region is empty.",
                hint=f"Drag a rectangle inside the image's {columns} x {rows} px.",
                field="rectangle",
            )
        region.set_on(image, (left, bottom, width, height))
        return {"FINISHED"}

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        image = edited.sample(context)
        if image is None or 0 in region.size(image, context.scene):
            self.report({"ERROR"}, "Show an image in the Image Editor first")
            return {"CANCELLED"}
        typed.of(context.space_data, bpy.types.SpaceImageEditor).image = image  # where a texture of it was shown
        self.image = image.name
        self._area = context.area
        self._canvas = next(part for part in context.area.regions if part.type == "WINDOW")
        self._start: tuple[int, int] | None = None
        self._end: tuple[int, int] | None = None
        space = typed.of(context.space_data, bpy.types.SpaceImageEditor)
        self._space = space
        self._drawing = space.draw_handler_add(_draw, (self,), "WINDOW", "POST_PIXEL")
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set(HELP)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        at = (event.mouse_x - self._canvas.x, event.mouse_y - self._canvas.y)
        if event.type in ("RIGHTMOUSE", "ESC"):
            self._leave(context)
            return {"CANCELLED"}
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            self._start = self._end = at
        elif event.type == "MOUSEMOVE" and self._start is not None:
            self._end = at
            self._area.tag_redraw()
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE" and self._start is not None:
            self._end = at
            self.rectangle = self._in_pixels(context)
            self._leave(context)
            return self.execute(context)
        elif event.type in ("MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE"):
            return {"PASS_THROUGH"}  # zoom and pan
        return {"RUNNING_MODAL"}

    def _in_pixels(self, context: bpy.types.Context) -> tuple[int, int, int, int]:
        """What was dragged, cut to the image."""
        columns, rows = region.size(typed.present(bpy.data.images.get(self.image)), context.scene)
        dragged = (typed.present(self._start), typed.present(self._end))
        corners = [self._canvas.view2d.region_to_view(*point) for point in dragged]
        sides = []
        for axis, most in ((0, columns), (1, rows)):
            ends = sorted(min(max(round(corner[axis] * most), 0), most) for corner in corners)
            sides.append((ends[0], ends[1] - ends[0]))
        (left, width), (bottom, height) = sides
        return left, bottom, width, height

    def _leave(self, context: bpy.types.Context) -> None:
        self._space.draw_handler_remove(self._drawing, "WINDOW")
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        self._area.tag_redraw()

    def cancel(self, context: bpy.types.Context) -> None:
        self._leave(context)


def _draw(operator: Any) -> None:
    """The rectangle while it is dragged: white over black, to be seen on any image."""
    import gpu
    from gpu_extras.batch import batch_for_shader

    if operator._start is None:
        return
    (left, bottom), (right, top) = operator._start, operator._end
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    for shift, color in ((1, (0.0, 0.0, 0.0, 0.8)), (0, (1.0, 1.0, 1.0, 1.0))):
        corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
        line = batch_for_shader(shader, "LINE_STRIP", {"pos": [(x + shift, y - shift) for x, y in corners]})
        shader.uniform_float("color", color)
        line.draw(shader)


CLASSES = (RELIEVO_OT_draw_region,)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
