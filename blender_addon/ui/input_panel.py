"""The sidebar's panel of what goes in: a picker for each input port, and what to do where something is missing."""

from __future__ import annotations

from typing import Any

import bpy

from .. import typed
from ..datablocks import region
from ..inputs import scan_sources, sources
from ..operators import cameras
from ..placing import previews
from ..readers import table
from ..settings import map_extent, properties, property_table
from ..shared.algorithm import AlgorithmSpec, Port, find
from ..shared.arrays import CAMERAS, MESH
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from . import curve_panel, drawing_panel, picture_panel, size_lines, sketch_panel
from .sidebar import RelievoTab, shown_sample, shown_spec
from .text_fit import wrapped


class Inputs:
    """A picker for each port; in an Image Editor the first sample is the image that it shows."""

    layout: Any
    bl_label = "From"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(shown_spec(context).inputs)

    def draw(self, context: bpy.types.Context) -> None:
        spec, shown = shown_spec(context), shown_sample(context)
        if scan_sources.has_cameras(spec):
            self._draw_scan(context, spec)
            return
        group = getattr(typed.settings(context.scene), spec.name)
        for port in spec.inputs:
            if shown is not None and port == table.sample_port(spec):
                _draw_shown(typed.present(self.layout).column(align=True), port, shown)
            else:
                self._draw_picker(context, spec, port, getattr(group, f"from_{port.name}"), 0)
            if port.many:
                for index, more in enumerate(getattr(group, f"more_{port.name}"), 1):
                    self._draw_picker(context, spec, port, more, index)
                add = typed.present(self.layout).operator("relievo.add_input", text=f"Add {port.label}", icon="ADD")
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
                if problem := cameras.problem():
                    wrapped(column, problem, "ERROR")
        column = typed.present(self.layout).column(align=True)
        for line in sources.summary(context.scene, spec, sources.selected(context)):
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
        row.prop(settings, "source", text=port.label if index == 0 else str(index + 1))
        if index:
            remove = row.operator("relievo.remove_input", text="", icon="X")
            remove.algorithm, remove.port, remove.index = spec.name, port.name, index
        if settings.source == "IMAGE":
            self._draw_image(column, spec, port, settings, index)
        elif settings.source == "OBJECT":
            column.prop(settings, "object", text="")
            self._draw_mesh(column, context, spec, port, settings)
        elif settings.source == "MATERIAL":
            column.prop(settings, "material", text="")
            if settings.material is None:
                column.label(text="Pick a material", icon="ERROR")
        elif settings.source in ("VIEW", "SURFACE", "STROKES"):
            picture_panel.draw(column, context, spec, port, settings)
        elif settings.source == "SKETCH":
            sketch_panel.draw(column, context, spec, port, settings)
        elif settings.source == "DRAWING":
            drawing_panel.draw(column, context, spec, port, settings)
        elif settings.source == "CURVES":
            curve_panel.draw(column, context, spec, port, settings)
        elif settings.source == "AUTO":
            self._draw_automatic(column, context, spec, port, settings)
        elif settings.source == "EXEMPLAR":
            column.prop(settings, "exemplar", text="")
        elif settings.source in ("MATERIALS", "OBJECTS"):
            self._draw_classes(column, context, spec, port, settings)
        elif settings.source == "NONE" and not port.optional:
            wrapped(column, f"Nothing in Blender gives {port.label} to this engine", "ERROR")
        elif (engine := table.picked_engine(spec, port, settings.source)) is not None:
            self._draw_engine(column, context, engine)
        if index == 0 and settings.source in ("IMAGE", "MATERIALS", "OBJECTS"):
            _draw_palette(column, port, settings.source)
        if index == 0:
            size_lines.draw_limit(column, size_lines.limit(context, spec), port.name)

    def _draw_image(
        self, column: bpy.types.UILayout, spec: AlgorithmSpec, port: Port, settings: Any, index: int
    ) -> None:
        row = column.row(align=True)
        row.prop(settings, "image", text="")
        load = row.operator("relievo.open_image", text="", icon="FILEBROWSER")
        load.algorithm, load.port, load.index = spec.name, port.name, index
        if settings.image is None:
            column.label(text="Pick or open an image", icon="ERROR")
            return
        if port.classes:
            column.prop(settings, "snap")
        reader = table.reader_of(port, "IMAGE")
        detail = column.column(align=True)
        detail.use_property_split, detail.use_property_decorate = True, False
        if reader is not None and reader.has_size:
            detail.prop(settings, "size")
        if reader is not None and reader.has_region:
            draw_region(detail, settings.image)
        if reader is not None and reader.has_range:
            detail.row().prop(settings, "meaning", expand=True)
            if settings.meaning == "RANGE":
                detail.prop(settings, "low")
                detail.prop(settings, "high")
        if index == 0 and map_extent.port_of(spec) == port:
            size_lines.draw(column, bpy.context, spec)

    def _draw_classes(
        self, column: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec, port: Port, settings: Any
    ) -> None:
        """Pass indices of the scene; with a mesh to lie on where the engine has no heights that they lie on."""
        if settings.source == "OBJECTS":
            column.prop(settings, "collection", text="")
        if sources.ground_port_of(context.scene, spec) is None:
            column.prop(settings, "object", text="")
            self._draw_mesh(column, context, spec, port, settings, fills_gaps=False)
        if not port.classes:
            what = "material" if settings.source == "MATERIALS" else "object"
            column.label(text=f"The pass index of each {what} is its class", icon="INFO")

    def _draw_mesh(
        self,
        column: bpy.types.UILayout,
        context: bpy.types.Context,
        spec: AlgorithmSpec,
        port: Port,
        settings: Any,
        *,
        fills_gaps: bool = True,
    ) -> None:
        """Below the picker: which mesh it is where none is picked, and how it is read."""
        active = sources.selected(context)
        if settings.object is None:
            if active is not None and active.type == "MESH":
                again = sources.made_from(spec, port, active)
                text = f"Selected: {active.name}"
                if again is not None and again.kind == "object":
                    text = f"Again from: {again.name}"
                column.label(text=text, icon="RESTRICT_SELECT_OFF")
            else:
                column.label(text="Select a mesh", icon="ERROR")
        column.prop(settings, "resolution")
        if map_extent.port_of(spec) == port:
            size_lines.draw(column, context, spec)
        if fills_gaps:
            column.prop(settings, "fill_gaps")

    def _draw_automatic(
        self, column: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec, port: Port, settings: Any
    ) -> None:
        """What is taken now."""
        active = sources.selected(context)
        try:
            source = sources.automatic(context.scene, spec, port, settings, active)
        except InvalidInput:
            self._draw_image(column, spec, port, settings, 0)
            return
        if source.kind == "object":
            is_selected = active is not None and source.name == active.name
            text = f"{'Selected' if is_selected else 'Again from'}: {source.name}"
            column.label(text=text, icon="RESTRICT_SELECT_OFF")
            column.prop(settings, "resolution")
            size_lines.draw(column, context, spec)
            column.prop(settings, "fill_gaps")
        elif source.kind == "image":
            self._draw_image(column, spec, port, settings, 0)
        elif source.kind == "engine":
            self._draw_engine(column, context, find(algorithms(), source.name))
        else:
            column.label(text=source.name, icon="INFO")

    def _draw_engine(self, column: bpy.types.UILayout, context: bpy.types.Context, engine: AlgorithmSpec) -> None:
        column.label(text=f"{engine.label} engine's settings{_seed_of(context, engine)}", icon="INFO")


def draw_region(column: bpy.types.UILayout, image: bpy.types.Image) -> None:
    """Whether a rectangle of the image is the sample, and which."""
    settings = region.settings_of(image)
    column.prop(settings, "is_used")
    if settings.is_used:
        for pair in (("x", "y"), ("width", "height")):
            row = column.row(align=True)
            row.use_property_split = False
            for name in pair:
                row.prop(settings, name)


def _draw_shown(column: bpy.types.UILayout, port: Port, image: bpy.types.Image) -> None:
    """In the place of the first picker: the image of the editor."""
    row = column.split(factor=0.4)
    name = row.row()
    name.alignment = "RIGHT"
    name.label(text=port.label)
    row.label(text=image.name, icon="IMAGE_DATA")
    reader = table.reader_of(port, "IMAGE")
    if reader is None or not reader.has_region:
        return
    detail = column.column(align=True)
    detail.use_property_split, detail.use_property_decorate = True, False
    draw_region(detail, image)
    column.operator_context = "INVOKE_DEFAULT"
    column.operator("relievo.draw_region", icon="SELECT_SET")


def _seed_of(context: bpy.types.Context, spec: AlgorithmSpec) -> str:
    """ ", seed 7" for an engine that has one."""
    group = getattr(typed.settings(context.scene), spec.name)
    return "".join(
        f", seed {getattr(group, property_table.property_name(seed))}" for seed in properties.seeds_of(spec)[:1]
    )


def _draw_palette(column: bpy.types.UILayout, port: Port, source: str) -> None:
    """The classes of a port, as an image names them by their colours and the scene by pass indices."""
    for number, (name, rgb) in enumerate(port.classes):
        shown = "#" + "".join(f"{round(255 * value):02X}" for value in rgb) if source == "IMAGE" else f"Pass {number}"
        row = column.row()
        row.label(text=name, icon="BLANK1")
        row.label(text=shown)


class RELIEVO_PT_inputs(RelievoTab, Inputs, bpy.types.Panel):
    bl_parent_id = "RELIEVO_PT_main"
