"""The operator that begins a curve on the map: with its type set, in edit mode, and with Blender's own draw tool."""

from __future__ import annotations

import bpy

from .. import typed
from ..datablocks import curve_tags


class RELIEVO_OT_draw_curve(bpy.types.Operator):
    """Add a curve that bends the terrain, and draw it on what lies below"""

    bl_idname = "relievo.draw_curve"
    bl_label = "Draw Curve"
    bl_options = {"REGISTER", "UNDO"}

    type: bpy.props.EnumProperty(
        name="Type", description="What the curve is on the map", items=[*curve_tags.ITEMS[1:]], default="RIVER"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.mode == "OBJECT"

    def execute(self, context: bpy.types.Context) -> set:
        data = bpy.data.curves.new(self.type.title(), "CURVE")
        data.dimensions, data.resolution_u = "3D", 8
        item = bpy.data.objects.new(self.type.title(), data)
        typed.present(context.collection).objects.link(item)
        curve_tags.of(item).type = self.type
        for other in context.selected_objects or ():
            other.select_set(False)
        item.select_set(True)
        typed.present(context.view_layer).objects.active = item
        bpy.ops.object.mode_set(mode="EDIT")
        self._take_the_pen(context)
        return {"FINISHED"}

    def _take_the_pen(self, context: bpy.types.Context) -> None:
        """Blender's draw tool, on surfaces, where there is a view to draw in."""
        settings = typed.present(typed.present(context.scene).tool_settings).curve_paint_settings
        settings.curve_type, settings.depth_mode = "BEZIER", "SURFACE"
        if context.area is not None and context.area.type == "VIEW_3D":
            bpy.ops.wm.tool_set_by_id(name="builtin.draw")


def register() -> None:
    bpy.utils.register_class(RELIEVO_OT_draw_curve)


def unregister() -> None:
    bpy.utils.unregister_class(RELIEVO_OT_draw_curve)
