"""The parts of the sidebar for curves: what lies on the map, and what the active curve is. No points are read here."""

from __future__ import annotations

from typing import Any

import bpy

from .. import typed
from ..datablocks import curve_tags
from ..inputs import curve_sources, sources
from ..shared.algorithm import AlgorithmSpec, Port, find
from ..shared.arrays import CURVES
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from .sidebar import RelievoTab
from .text_fit import wrapped

AMOUNTS = {"RIVER": "Depth", "RIDGE": "Height", "CLIFF": "Step", "COAST": "Water Level"}


def draw(
    layout: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec, port: Port, settings: Any
) -> None:
    """Below a picker that is set to Curves."""
    layout.prop(settings, "collection", text="")
    try:
        given = sources.collect(typed.present(context.scene), spec, sources.selected(context))
    except InvalidInput:
        given = {}
    found = given.get(port.name, ())
    count = curve_sources.count(typed.present(context.scene), found[0]) if found else 0
    text = f"{count} curve{'s' * (count != 1)} on the map" if count else "No curve with a type lies on the map yet"
    wrapped(layout, text, "CURVE_PATH" if count else "INFO")
    layout.operator("relievo.draw_curve", icon="GREASEPENCIL")


class RELIEVO_PT_curve(RelievoTab, bpy.types.Panel):
    """What the active curve does to the terrain."""

    bl_label = "Curve"
    bl_parent_id = "RELIEVO_PT_main"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        spec = find(algorithms(), typed.settings(context.scene).algorithm)
        return curve_tags.of(context.active_object) is not None and any(port.kind is CURVES for port in spec.inputs)

    def draw(self, context: bpy.types.Context) -> None:
        settings = curve_tags.of(context.active_object)
        column = typed.present(self.layout).column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(settings, "type")
        if settings.type == curve_tags.NONE:
            return
        column.prop(settings, "width")
        if settings.type in AMOUNTS:
            column.prop(settings, "amount", text=AMOUNTS[settings.type])
        if settings.type == "ROAD":
            column.prop(settings, "slope")
        if settings.type == "RIVER":
            column.prop(settings, "as_drawn")
        column.prop(settings, "reach")
        column.prop(settings, "strength")
        column.prop(settings, "use_z")
