"""The sidebar's panel of what goes in: a picker for each input port, and what to do where something is missing."""

from __future__ import annotations

from typing import Any

import bpy

from .. import typed
from ..inputs import scan_sources, sources
from ..operators import cameras
from ..placing import previews
from ..shared.algorithm import AlgorithmSpec, Port, find
from ..shared.arrays import CAMERAS, HEIGHT_MAP, MESH
from ..shared.catalog import algorithms
from .connection_panel import wrapped
from .sidebar import RelievoTab


class RELIEVO_PT_inputs(RelievoTab, bpy.types.Panel):
    bl_label = "From"
    bl_parent_id = "RELIEVO_PT_main"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(_spec(context).inputs)

    def draw(self, context: bpy.types.Context) -> None:
        spec = _spec(context)
        if scan_sources.has_cameras(spec):
            self._draw_scan(context, spec)
            return
        group = getattr(typed.settings(context.scene), spec.name)
        for port in spec.inputs:
            self._draw_picker(context, spec, port, getattr(group, f"from_{port.name}"), 0)
            if port.many:
                for index, more in enumerate(getattr(group, f"more_{port.name}"), 1):
                    self._draw_picker(context, spec, port, more, index)
                add = typed.present(self.layout).operator(
                    "relievo.add_input", text=f"Add {port.label or port.name}", icon="ADD"
                )
                add.algorithm, add.port = spec.name, port.name

    # A scan: a mesh, cameras, and what belongs to them ----------------------------------------------------------------

    def _draw_scan(self, context: bpy.types.Context, spec: AlgorithmSpec) -> None:
        """In the order in which a person works: the mesh, the cameras, what stands in between; then what was found."""
        group, surface = getattr(typed.settings(context.scene), spec.name), scan_sources.surface_port(spec)
        ports = [port for port in spec.inputs if port.kind in (MESH, CAMERAS)]
        for port in sorted(ports, key=lambda port: (port != surface, port.kind is MESH)):
            settings = getattr(group, f"from_{port.name}")
            column = typed.present(self.layout).column(align=True)
            column.use_property_split, column.use_property_decorate = True, False
            if port == surface:
                column.prop(settings, "object", text=port.label)
                self._draw_mesh_state(column, context, settings)
                continue
            column.prop(settings, "source", text=port.label)
            if settings.source in ("COLLECTION", "OBJECT"):
                column.prop(settings, settings.source.lower(), text=" ")
            if port.kind is CAMERAS:
                column.operator("relievo.import_cameras", text="Import Cameras...", icon="IMPORT")
                if told := cameras.problem():
                    wrapped(column, told, "ERROR")
        column = typed.present(self.layout).column(align=True)
        for line in sources.summary(context.scene, spec, context.active_object):
            wrapped(column, line)

    def _draw_mesh_state(self, column: bpy.types.UILayout, context: bpy.types.Context, settings: Any) -> None:
        active = context.active_object
        mesh = settings.object or (active if active is not None and active.type == "MESH" else None)
        if mesh is None:
            hidden = previews.stood_for(context.view_layer.objects.active)
            column.label(
                text=f"{hidden} is being textured" if hidden else "Select a mesh", icon="NONE" if hidden else "ERROR"
            )
            return
        if settings.object is None:
            column.label(text=f"Selected: {mesh.name}", icon="RESTRICT_SELECT_OFF")
        if isinstance(mesh.data, bpy.types.Mesh) and not mesh.data.uv_layers:
            column.operator("relievo.unwrap", icon="UV")

    # One picker -------------------------------------------------------------------------------------------------------

    def _draw_picker(
        self, context: bpy.types.Context, spec: AlgorithmSpec, port: Port, settings: Any, index: int
    ) -> None:
        column = typed.present(self.layout).column(align=True)
        row = column.row(align=True)
        row.use_property_split, row.use_property_decorate = True, False
        row.prop(settings, "source", text=(port.label or port.name) if index == 0 else " ")
        if index:
            remove = row.operator("relievo.remove_input", text="", icon="X")
            remove.algorithm, remove.port, remove.index = spec.name, port.name, index
        if settings.source == "IMAGE":
            self._draw_image(column, spec, port, settings, index)
        elif settings.source == "OBJECT":
            self._draw_mesh(column, context, settings)
        elif settings.source == "EXEMPLAR":
            column.prop(settings, "exemplar", text="")
        elif settings.source == "MATERIALS":
            column.label(text="Pass index of each material: 0 is the first exemplar", icon="INFO")
        elif settings.source == "OBJECTS":
            column.prop(settings, "collection", text="")
            column.label(text="Pass index of each object: 0 is the first exemplar", icon="INFO")
        elif settings.source == "NOISE":
            seed = typed.settings(context.scene).noise.seed
            column.label(text=f"Noise engine's settings, seed {seed}", icon="INFO")

    def _draw_image(
        self, column: bpy.types.UILayout, spec: AlgorithmSpec, port: Port, settings: Any, index: int
    ) -> None:
        row = column.row(align=True)
        row.prop(settings, "image", text="")
        load = row.operator("relievo.load_height_image", text="", icon="FILEBROWSER")
        load.algorithm, load.port, load.index = spec.name, port.name, index
        if settings.image is None:
            column.label(text="Pick or open an image", icon="ERROR")
            return
        if port.kind is HEIGHT_MAP:
            detail = column.column(align=True)
            detail.use_property_split, detail.use_property_decorate = True, False
            detail.prop(settings, "size")
            detail.row().prop(settings, "meaning", expand=True)
            if settings.meaning == "RANGE":
                detail.prop(settings, "low")
                detail.prop(settings, "high")

    def _draw_mesh(self, column: bpy.types.UILayout, context: bpy.types.Context, settings: Any) -> None:
        active = context.active_object
        column.prop(settings, "object", text="")
        if settings.object is None:
            if active is not None and active.type == "MESH":
                column.label(text=f"Selected: {active.name}", icon="RESTRICT_SELECT_OFF")
            else:
                column.label(text="Select a mesh", icon="ERROR")
        column.prop(settings, "resolution")
        column.prop(settings, "fill_gaps")


def _spec(context: bpy.types.Context) -> AlgorithmSpec:
    return find(algorithms(), typed.settings(context.scene).algorithm)
