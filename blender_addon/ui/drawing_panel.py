"""The parts of the sidebar for a sketch that is drawn from the scene: what is drawn, and the class of what is selected.

Like all of draw(): settings and boxes are read, no triangles, and nothing is changed.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import typed
from ..datablocks import class_tags, sketch
from ..inputs import drawing_sources, sketch_sources, sources
from ..readers import drawn_meshes
from ..settings import map_extent
from ..shared.algorithm import AlgorithmSpec, Port, find
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from ..writers import record
from . import size_lines
from .sidebar import RelievoTab
from .text_fit import length, wrapped


def draw(
    layout: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec, port: Port, settings: Any
) -> None:
    """Below a picker that is set to Scene, of classes or of their heights."""
    if not port.classes:
        wrapped(layout, "Lowest point where nothing is drawn", "INFO")
        return
    layout.row().prop(settings, "through", expand=True)
    through_uvs = settings.through == drawn_meshes.UVS
    if not through_uvs:
        layout.prop(settings, "selected_only")
    if through_uvs or not settings.selected_only:
        layout.prop(settings, "object" if through_uvs else "collection", text="")
    _draw_found(layout, context, spec, port)
    details = layout.column(align=True)
    details.use_property_split, details.use_property_decorate = True, False
    details.prop(settings, "resolution")
    details.prop(settings, "outside")
    details.prop(settings, "attribute")
    size_lines.draw(layout, context, spec)


def _draw_found(layout: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec, port: Port) -> None:
    """How many meshes are drawn, and how large that is."""
    scene = typed.present(context.scene)
    try:
        source = drawing_sources.chosen(scene, spec, port, sources.selected(context))
    except InvalidInput:
        return  # Generate says what is wrong
    found = drawn_meshes.members(scene, source)
    size = map_extent.extent_of(scene, source)
    text = f"{len(found)} mesh{'es' if len(found) != 1 else ''}"
    if size is not None:
        width_m, depth_m = ((side - 1) * size.pixel_size_m for side in (size.columns, size.rows))
        text += f", {length(width_m)} x {length(depth_m)}"
    layout.label(text=text, icon="MESH_DATA")


class RELIEVO_PT_class(RelievoTab, bpy.types.Panel):
    """What the active mesh and its active material are in a drawing from the scene."""

    bl_label = "Class"
    bl_parent_id = "RELIEVO_PT_main"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        spec = find(algorithms(), typed.settings(context.scene).algorithm)
        port, item = sketch_sources.port_of(spec), context.active_object
        if port is None or item is None or item.type != "MESH" or sketch.image_of(item) is not None:
            return False
        if record.RECIPE_KEY in item and class_tags.of(item) == class_tags.NONE:
            return False  # a result is not what it was made from
        is_drawn = sketch_sources.settings_of(typed.present(context.scene), spec, port).source == "DRAWING"
        return is_drawn or class_tags.of(item) != class_tags.NONE

    def draw(self, context: bpy.types.Context) -> None:
        layout, item = typed.present(self.layout), typed.present(context.active_object)
        column = layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(item, "relievo_class_name", text="Object")
        if (material := item.active_material) is not None:
            column.prop(material, "relievo_class_name", text="Material")
        if len(context.selected_objects or ()) > 1:
            column.operator("relievo.copy_class", icon="COPYDOWN")
