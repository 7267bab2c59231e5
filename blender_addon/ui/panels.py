"""The sidebar tab "Relievo" in the 3D view, and the entry under Add > Mesh. What goes in is input_panel.py's, what was made of the
selected object result_panel.py's.

draw() reads settings and the session's records and does nothing else: no I/O, no datablock that may be gone.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import pump, requests, typed
from ..inputs import scan_sources
from ..link.job_records import Job, format_seconds
from ..operators import engines
from ..placing import results
from ..settings import properties, property_table, uv_fill
from ..shared.algorithm import AlgorithmSpec
from ..shared.arrays import TEXTURE_SET
from ..shared.jobs import JobState
from ..shared.params import with_role
from ..writers import table
from . import curve_panel, drawing_panel, failures, input_panel, result_panel, size_lines
from .connection_panel import draw_connection
from .sidebar import RelievoTab, shown_sample, shown_spec
from .text_fit import on_a_bar, wrapped

# The tab ------------------------------------------------------------------------------------------------------


class RELIEVO_PT_main(RelievoTab, bpy.types.Panel):
    bl_label = "Relievo"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = typed.present(self.layout), typed.settings(context.scene)
        draw_state(layout)
        column = layout.column(align=True)
        column.scale_y = 1.1
        column.prop(settings, "algorithm", expand=True)
        result_panel.draw(layout, context)


def draw_state(layout: bpy.types.UILayout) -> None:
    """The connection, and the jobs that run."""
    draw_connection(layout, pump.current())
    for job in _jobs():
        if not job.is_settled or results.preparing_share(job) is not None:
            _draw_running(layout, job)


class Settings:
    """The engine's parameters."""

    layout: Any
    bl_label = "Settings"

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        if shown_spec(context).presets:
            typed.present(self.layout).menu("RELIEVO_MT_presets", text="", icon="PRESET")

    def draw(self, context: bpy.types.Context) -> None:
        spec = shown_spec(context)
        group = getattr(typed.settings(context.scene), spec.name)
        column = typed.present(self.layout).column()
        column.use_property_split, column.use_property_decorate = True, False
        seeds = properties.seeds_of(spec)
        found = size_lines.limit(context, spec)
        brought = size_lines.brought(context, spec)
        by_uvs = self._draw_uv_fill(column, context, spec)
        for parameter in (p for p in spec.parameters if not p.group and p not in seeds):
            if parameter.name in by_uvs:
                continue
            if parameter.name in brought:
                size_lines.draw_brought(column, parameter, brought[parameter.name])
                continue
            column.prop(group, property_table.property_name(parameter))
            size_lines.draw_limit(column, found, parameter.name)
        if len(with_role(spec.parameters, "size")) == 2:
            size_lines.draw(typed.present(self.layout), context, spec)
        names = dict.fromkeys(parameter.group for parameter in spec.parameters if parameter.group)
        for name in names:
            header, body = typed.present(self.layout).panel(f"relievo_{spec.name}_{name}", default_closed=True)
            header.label(text=name)
            if body is not None:
                body.use_property_split, body.use_property_decorate = True, False
                for parameter in (p for p in spec.parameters if p.group == name):
                    body.prop(group, property_table.property_name(parameter))

    def _draw_uv_fill(self, column: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec) -> set[str]:
        """Whether the texture fills the UVs of the mesh that is going to wear it. Returns the parameters that are then decided."""
        output = typed.settings(context.scene).output
        if not uv_fill.can_fill(spec) or not requests.wearer(context, spec, shown_sample(context)):
            return set()
        column.prop(output, "fill_uvs")
        if output.fill_uvs:
            column.prop(output, "texel_density")
        return {parameter.name for parameter in uv_fill.parameters(spec)} if output.fill_uvs else set()


class RELIEVO_PT_settings(RelievoTab, Settings, bpy.types.Panel):
    bl_parent_id = "RELIEVO_PT_main"


class RELIEVO_MT_presets(bpy.types.Menu):
    bl_label = "Presets"

    def draw(self, context: bpy.types.Context) -> None:
        spec = shown_spec(context)
        for preset in spec.presets:
            entry = typed.present(self.layout).operator("relievo.apply_preset", text=preset.label)
            entry.algorithm, entry.preset = spec.name, preset.name


class Output:
    """What the result becomes."""

    layout: Any
    bl_label = "Result"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        output, writer = typed.settings(context.scene).output, table.of(shown_spec(context))
        column = typed.present(self.layout).column()
        column.use_property_split, column.use_property_decorate = True, False
        if len(writer.items) > 1:
            column.prop(output, writer.setting, text="As")
        if table.has_rivers(shown_spec(context)):
            row = column.row()
            row.active = output.kind != "IMAGES"
            row.prop(output, "rivers")
        column.prop(output, "preview")
        if output.preview and any(port.kind is TEXTURE_SET for port in shown_spec(context).outputs):
            column.prop(output, "tiled_preview")
        if writer.frames:
            column.prop(output, "frame")


class RELIEVO_PT_result(RelievoTab, Output, bpy.types.Panel):
    bl_parent_id = "RELIEVO_PT_main"


class Generate:
    """The button, and what it waits for."""

    layout: Any
    bl_label = "Generate"
    bl_options = {"HIDE_HEADER"}

    def draw(self, context: bpy.types.Context) -> None:
        spec, shown = shown_spec(context), shown_sample(context)
        row = typed.present(self.layout).row(align=True)
        row.scale_y = 1.5
        if shown is None:
            row.operator("relievo.generate", text=table.of(spec).button, icon="PLAY")
        else:
            row.operator("relievo.texture_from_image", text=table.of(spec).button, icon="PLAY")
        seeds = properties.seeds_of(spec)
        if seeds:
            column = row.row(align=True)
            column.scale_x = 0.6
            column.prop(
                getattr(typed.settings(context.scene), spec.name), property_table.property_name(seeds[0]), text=""
            )
            row.operator("relievo.roll_seed", text="", icon="FILE_REFRESH").algorithm = spec.name
        if shown is not None:
            _draw_wearer(typed.present(self.layout), context, spec)
        elif where := _where_it_goes(context, spec):
            typed.present(self.layout).label(text=where, icon="MATERIAL")
        size_lines.draw_warning(typed.present(self.layout), context, spec)
        if reason := requests.why_not(context, spec, shown):
            wrapped(typed.present(self.layout), reason, "ERROR")
        failures.draw(typed.present(self.layout), _newest(spec.name))


class RELIEVO_PT_generate(RelievoTab, Generate, bpy.types.Panel):
    bl_parent_id = "RELIEVO_PT_main"


def _newest(engine: str) -> Job | None:
    """The last job of an engine that Generate has started."""
    jobs = (job for job in reversed(_jobs()) if job.algorithm == engine and not job.purpose.get("pressed_on"))
    return next(jobs, None)


def _where_it_goes(context: bpy.types.Context, spec: AlgorithmSpec) -> str:
    """For a surface whose mesh is not among the inputs, and for a picture that goes back to the mesh that wears it: what is going
    to wear it, "" for anything else.
    """
    if mesh := requests.mesh_to_return_to(context, spec):
        return f"Goes on: {mesh}"
    if not table.of(spec).goes_on_mesh or scan_sources.surface_port(spec) is not None:
        return ""
    name = requests.selected_mesh(context, spec)
    if not name:
        return "Select a mesh, or get a material alone"
    item = typed.mesh(typed.present(context.active_object))
    return f"Goes on: {name}" if len(item.uv_layers) else f"{name} has no UVs: unwrap it first"


def _draw_wearer(layout: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec) -> None:
    """In an Image Editor: whether the selected mesh is going to wear the texture."""
    if not table.of(spec).goes_on_mesh:
        return
    name = requests.selected_mesh(context, spec)
    if name:
        layout.prop(typed.settings(context.scene).output, "wear", text=f"Put on {name}")
    else:
        layout.label(text="It becomes an image and a material", icon="MATERIAL")


class Jobs:
    """What is done."""

    layout: Any
    bl_label = "Jobs"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return any(job.is_settled for job in _jobs())

    def draw(self, _context: bpy.types.Context) -> None:
        for job in reversed(_jobs()):
            if job.is_settled and results.preparing_share(job) is None:
                self._draw_settled(job)

    def _draw_settled(self, job: Job) -> None:
        box = typed.present(self.layout).box().column(align=True)
        row = box.row(align=True)
        sentence = results.sentence_of(job)
        is_brief = job.applied or job.state is JobState.CANCELLED
        brief = format_seconds(job.seconds) if job.applied else sentence
        row.label(text=f"{job.label}, {brief}" if is_brief else job.label, icon=typed.icon(_job_icon(job)))
        if job.applied:
            row.operator("relievo.show_job", text="", icon="VIEWZOOM").job = job.id
            row.operator("relievo.again_job", text="", icon="FILE_REFRESH").job = job.id
        row.operator("relievo.forget_job", text="", icon="X").job = job.id
        if not is_brief:
            wrapped(box, f"{sentence[:1].upper()}{sentence[1:]}")
        if job.error is not None:
            failures.draw_ways_out(box, job)
        elif job.held:
            text = table.of(job.spec).held if job.spec is not None else "Place"
            box.operator("relievo.place_job", text=text, icon="IMPORT").job = job.id
        if job.applied and job.ran_on and not job.device_note:
            wrapped(box, f"Computed on {job.ran_on}", "BLANK1")  # the first line has no room beside three buttons
        for warning in (*job.warnings, *filter(None, [job.device_note])):
            wrapped(box, warning, "INFO")


class RELIEVO_PT_jobs(RelievoTab, Jobs, bpy.types.Panel):
    bl_parent_id = "RELIEVO_PT_main"


def _draw_running(layout: bpy.types.UILayout, job: Job) -> None:
    """Under the connection, where it is seen wherever the sidebar is scrolled to."""
    column = layout.box().column(align=True)
    row = column.row(align=True)
    row.label(text=job.label)
    if job.can_be_kept:
        row.operator("relievo.keep_job", text="Keep").job = job.id
    row.operator("relievo.cancel_job", text="", icon="X").job = job.id
    share = results.preparing_share(job)
    column.progress(factor=job.fraction if share is None else share, text=on_a_bar(results.sentences_of(job)))


def _jobs() -> list[Job]:
    session = pump.current()
    jobs = session.jobs.values() if session is not None else ()
    return [job for job in jobs if not job.silent and not job.purpose.get("draft")]


def _job_icon(job: Job) -> str:
    if job.error is not None:
        return "ERROR"
    if job.state is JobState.CANCELLED:
        return "CANCEL"
    return "CHECKMARK" if job.applied else "INFO"


def _draw_add_menu(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    layout = typed.present(self.layout)
    layout.separator()
    layout.operator("relievo.add_terrain", icon=typed.icon(engines.new_terrain().icon))


CLASSES = (
    RELIEVO_MT_presets,
    RELIEVO_PT_main,
    input_panel.RELIEVO_PT_inputs,
    drawing_panel.RELIEVO_PT_class,
    curve_panel.RELIEVO_PT_curve,
    RELIEVO_PT_settings,
    RELIEVO_PT_result,
    RELIEVO_PT_generate,
    result_panel.RELIEVO_PT_photographs,
    RELIEVO_PT_jobs,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.VIEW3D_MT_mesh_add.append(_draw_add_menu)  # pyright: ignore[reportArgumentType]  # Blender passes the menu as well


def unregister() -> None:
    bpy.types.VIEW3D_MT_mesh_add.remove(_draw_add_menu)  # pyright: ignore[reportArgumentType]  # Blender passes the menu as well
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
