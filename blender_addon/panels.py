"""The sidebar tab "Relievo" in the 3D view, the terrain box of the selected object, and the entry under Add > Mesh.

draw() reads settings and the session's records and does nothing else: no I/O, no datablock that may be gone.
"""

from __future__ import annotations

from typing import Any

import bpy

from . import property_table, pump, requests, results
from .connection_panel import draw_connection, wrapped
from .job_records import Job, format_seconds
from .shared.algorithm import AlgorithmSpec, Port, find
from .shared.arrays import HEIGHT_MAP
from .shared.catalog import ALGORITHMS
from .shared.jobs import JobState
from .shared.params import Param

# The tab ------------------------------------------------------------------------------------------------------


class RelievoTab:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Relievo"


class RELIEVO_PT_main(RelievoTab, bpy.types.Panel):
    bl_label = "Relievo"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.relievo
        draw_connection(layout, pump.current())
        for job in _jobs():
            if not job.is_settled:
                _draw_running(layout, job)
        column = layout.column(align=True)
        column.scale_y = 1.1
        column.prop(settings, "algorithm", expand=True)
        if requests.recipe_on(context.active_object) is not None:
            self._draw_terrain(layout, context.active_object)

    def _draw_terrain(self, layout: bpy.types.UILayout, terrain: bpy.types.Object) -> None:
        box = layout.box()
        box.label(text=terrain.name, icon="OUTLINER_OB_MESH")
        row = box.row(align=True)
        row.operator("relievo.regenerate", text="Regenerate")
        row.operator("relievo.vary")
        row = box.row(align=True)
        row.operator("relievo.update_terrain")
        row.operator("relievo.settings_from_terrain", text="", icon="EYEDROPPER")
        row.operator("relievo.copy_recipe", text="", icon="COPYDOWN")
        box.operator("relievo.set_up_view", icon="LIGHT_SUN")


class RELIEVO_PT_inputs(RelievoTab, bpy.types.Panel):
    bl_label = "From"
    bl_parent_id = "RELIEVO_PT_main"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(_spec(context).inputs)

    def draw(self, context: bpy.types.Context) -> None:
        spec = _spec(context)
        group = getattr(context.scene.relievo, spec.name)
        for port in spec.inputs:
            self._draw_picker(context, spec, port, getattr(group, f"from_{port.name}"), 0)
            if port.many:
                for index, more in enumerate(getattr(group, f"more_{port.name}"), 1):
                    self._draw_picker(context, spec, port, more, index)
                add = self.layout.operator("relievo.add_input", text=f"Add {port.label or port.name}", icon="ADD")
                add.algorithm, add.port = spec.name, port.name

    def _draw_picker(
        self, context: bpy.types.Context, spec: AlgorithmSpec, port: Port, settings: Any, index: int
    ) -> None:
        column = self.layout.column(align=True)
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
            seed = context.scene.relievo.noise.seed
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


class RELIEVO_PT_settings(RelievoTab, bpy.types.Panel):
    bl_label = "Settings"
    bl_parent_id = "RELIEVO_PT_main"

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        if _spec(context).presets:
            self.layout.menu("RELIEVO_MT_presets", text="", icon="PRESET")

    def draw(self, context: bpy.types.Context) -> None:
        spec = _spec(context)
        group = getattr(context.scene.relievo, spec.name)
        column = self.layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        _draw_parameters(column, group, [p for p in spec.parameters if not p.group and p.name != "seed"])
        names = dict.fromkeys(parameter.group for parameter in spec.parameters if parameter.group)
        for name in names:
            header, body = self.layout.panel(f"relievo_{spec.name}_{name}", default_closed=True)
            header.label(text=name)
            if body is not None:
                body.use_property_split, body.use_property_decorate = True, False
                _draw_parameters(body.column(), group, [p for p in spec.parameters if p.group == name])


def _draw_parameters(layout: bpy.types.UILayout, group: Any, parameters: list[Param]) -> None:
    for parameter in parameters:
        layout.prop(group, property_table.property_name(parameter))


class RELIEVO_MT_presets(bpy.types.Menu):
    bl_label = "Presets"

    def draw(self, context: bpy.types.Context) -> None:
        spec = _spec(context)
        for preset in spec.presets:
            entry = self.layout.operator("relievo.apply_preset", text=preset.label)
            entry.algorithm, entry.preset = spec.name, preset.name


class RELIEVO_PT_result(RelievoTab, bpy.types.Panel):
    bl_label = "Result"
    bl_parent_id = "RELIEVO_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        output = context.scene.relievo.output
        column = self.layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(output, "kind", text="As")
        column.prop(output, "preview")
        column.prop(output, "frame")


class RELIEVO_PT_generate(RelievoTab, bpy.types.Panel):
    bl_label = "Generate"
    bl_parent_id = "RELIEVO_PT_main"
    bl_options = {"HIDE_HEADER"}

    def draw(self, context: bpy.types.Context) -> None:
        spec = _spec(context)
        row = self.layout.row(align=True)
        row.scale_y = 1.5
        row.operator("relievo.generate", icon="PLAY")
        if any(parameter.name == "seed" for parameter in spec.parameters):
            seed = row.row(align=True)
            seed.scale_x = 0.6
            seed.prop(getattr(context.scene.relievo, spec.name), "seed", text="")
            row.operator("relievo.roll_seed", text="", icon="FILE_REFRESH")


class RELIEVO_PT_jobs(RelievoTab, bpy.types.Panel):
    bl_label = "Jobs"
    bl_parent_id = "RELIEVO_PT_main"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return any(job.is_settled for job in _jobs())

    def draw(self, _context: bpy.types.Context) -> None:
        for job in reversed(_jobs()):
            if job.is_settled:
                self._draw_settled(job)

    def _draw_settled(self, job: Job) -> None:
        box = self.layout.box().column(align=True)
        row = box.row(align=True)
        sentence = results.sentence_of(job)
        is_brief = job.applied or job.state is JobState.CANCELLED
        brief = format_seconds(job.seconds) if job.applied else sentence
        row.label(text=f"{job.label}, {brief}" if is_brief else job.label, icon=_job_icon(job))
        if job.applied:
            row.operator("relievo.show_job", text="", icon="VIEWZOOM").job = job.id
            row.operator("relievo.again_job", text="", icon="FILE_REFRESH").job = job.id
        row.operator("relievo.forget_job", text="", icon="X").job = job.id
        if not is_brief:
            wrapped(box, f"{sentence[:1].upper()}{sentence[1:]}")
        if job.error is not None:
            self._draw_error(box, job)
        elif job.held:
            box.operator("relievo.place_job", icon="IMPORT").job = job.id
        for warning in job.warnings:
            wrapped(box, warning, "INFO")

    def _draw_error(self, box: bpy.types.UILayout, job: Job) -> None:
        if job.error is not None and job.error.hint:
            wrapped(box, job.error.hint, "INFO")
        row = box.row(align=True)
        if job.outputs is not None:
            row.operator("relievo.place_job", text="Try Again", icon="IMPORT").job = job.id
        else:
            row.operator("relievo.again_job", text="Again", icon="FILE_REFRESH").job = job.id
        row.operator("relievo.copy_job_report", icon="COPYDOWN").job = job.id


def _draw_running(layout: bpy.types.UILayout, job: Job) -> None:
    """Under the connection, where it is seen wherever the sidebar is scrolled to."""
    column = layout.box().column(align=True)
    row = column.row(align=True)
    row.label(text=job.label)
    if job.can_be_kept:
        row.operator("relievo.keep_job", text="Keep").job = job.id
    row.operator("relievo.cancel_job", text="", icon="X").job = job.id
    column.progress(factor=job.fraction, text=results.sentence_of(job))


def _jobs() -> list[Job]:
    session = pump.current()
    return [job for job in session.jobs.values() if not job.silent] if session is not None else []


def _job_icon(job: Job) -> str:
    if job.error is not None:
        return "ERROR"
    if job.state is JobState.CANCELLED:
        return "CANCEL"
    return "CHECKMARK" if job.applied else "INFO"


def _spec(context: bpy.types.Context) -> AlgorithmSpec:
    return find(ALGORITHMS, context.scene.relievo.algorithm)


def _draw_add_menu(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.operator("relievo.add_terrain", icon="RNDCURVE")


CLASSES = (
    RELIEVO_MT_presets,
    RELIEVO_PT_main,
    RELIEVO_PT_inputs,
    RELIEVO_PT_settings,
    RELIEVO_PT_result,
    RELIEVO_PT_generate,
    RELIEVO_PT_jobs,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.VIEW3D_MT_mesh_add.append(_draw_add_menu)


def unregister() -> None:
    bpy.types.VIEW3D_MT_mesh_add.remove(_draw_add_menu)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
