"""What Relievo has made of the selected object: its boxes in the sidebar, and what the engine tells about each photograph.

draw() reads what lies on datablocks and does nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy

from .. import pump, requests, typed
from ..datablocks import painting
from ..link.job_records import Job
from ..placing import covering, variations
from ..settings import properties, scattering
from ..shared.algorithm import AlgorithmSpec
from ..shared.catalog import algorithms
from ..writers import base, displaced_surface, report, scatter, surface_nodes, terrain, textures, waters
from . import failures, painting_box, wearing_box
from .sidebar import RelievoTab
from .text_fit import wrapped


def draw(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """A box for the terrain or painting that the active object is, and one for the texture that it wears."""
    item = waters.terrain_of(painting.canvas_of(context.active_object))
    if item is None:
        return
    recipe = requests.recipe_on(item)
    if seeds := variations.seeds_of(item):
        _draw_variation(layout, item, seeds)
    elif recipe is not None:
        _draw_object(layout, item, _engine_of(recipe))
    material = textures.worn_by(item)
    if material is not None and requests.recipe_on(material) is not None:
        _draw_texture(layout, context, item, material)


def _engine_of(recipe: Mapping[str, Any]) -> AlgorithmSpec | None:
    """The engine of a recipe, None where it is not installed."""
    return next((spec for spec in algorithms() if spec.name == recipe["algorithm"]), None)


def _draw_object(layout: bpy.types.UILayout, item: bpy.types.Object, spec: AlgorithmSpec | None) -> None:
    box = layout.box()
    box.label(text=item.name, icon=typed.icon(spec.icon) if spec is not None else "QUESTION")
    if spec is None:
        wrapped(box, "It was made by an engine that is not installed.", "ERROR")
        return
    row = box.row(align=True)
    row.operator("relievo.regenerate", text="Regenerate")
    if properties.seeds_of(spec):
        row.operator("relievo.vary")
        if spec.makes == "terrain":
            _draw_variations(box, item)
    row = box.row(align=True)
    row.operator("relievo.update_terrain")
    row.operator("relievo.settings_from_terrain", text="", icon="EYEDROPPER")
    row.operator("relievo.copy_recipe", text="", icon="COPYDOWN")
    if report.KEY in item:
        row.operator("relievo.open_report", text="", icon="TEXT")
    if spec.makes == "terrain":
        row = box.row(align=True)
        row.operator("relievo.set_up_view", icon="LIGHT_SUN")
        if base.can_have_one(item):
            row.operator("relievo.base", icon="MESH_CUBE", depress=base.modifier_of(item) is not None)
        _draw_state(box, item)
        _draw_scatter(box, item)
        wearing_box.draw(box, item)
    if spec.makes == "painting":
        painting_box.draw(box, item)
    _draw_device_note(box, item)
    failures.draw(box, _newest(item, spec))


def _draw_variations(box: bpy.types.UILayout, item: bpy.types.Object) -> None:
    """Four other seeds, and how to get rid of them."""
    session = pump.current()
    row = box.row(align=True)
    row.operator("relievo.variations", icon="IMGDISPLAY")
    if variations.strip_of(item) or (session is not None and variations.jobs_of(session, item)):
        row.operator("relievo.discard_variations", text="", icon="X")


def _draw_variation(layout: bpy.types.UILayout, item: bpy.types.Object, seeds: Mapping[str, int]) -> None:
    """One of four small terrains."""
    box = layout.box()
    original = variations.varied_by(item)
    of = f" of {original.name}" if original is not None else ""
    box.label(text=f"Seed {', '.join(map(str, seeds.values()))}{of}", icon="IMGDISPLAY")
    if original is None:
        wrapped(box, "Its terrain was deleted.", "INFO")
    else:
        box.operator("relievo.use_variation", icon="CHECKMARK")
    box.operator("relievo.discard_variations", icon="X")


def _draw_state(box: bpy.types.UILayout, item: bpy.types.Object) -> None:
    """What a view does not show: a heavy terrain itself, and what lies below."""
    if item.display_type == "BOUNDS" and terrain.is_heavy(item):
        wrapped(box, f"Drawn as its box: {len(typed.mesh(item).vertices) / 1e6:.1f} million vertices", "INFO")
        box.operator("relievo.draw_in_full", icon="SHADING_SOLID")
    layers = covering.layers(item)
    for layer in [*layers[:1], *layers[1:][-1:]]:  # the last result, and what the first was made from
        is_hidden = any(under.hide_render for under in layer)
        what = layer[0].name if len(layer) == 1 else f"{len(layer)} Objects"
        text = f"{'Show' if is_hidden else 'Hide'} {what}"
        button = box.operator("relievo.show_source", text=text, icon="HIDE_ON" if is_hidden else "HIDE_OFF")
        button.hidden, button.name = not is_hidden, layer[0].name


def _draw_scatter(box: bpy.types.UILayout, item: bpy.types.Object) -> None:
    """A collection for each class, and the one button that scatters them."""
    entries = scattering.entries_of(item)
    if not entries:
        return
    header, body = box.panel("relievo_scatter", default_closed=True)
    header.label(text="Scatter")
    if body is None:
        return
    column = body.column(align=True)
    column.use_property_split, column.use_property_decorate = True, False
    for name, entry in entries.items():
        column.prop(entry, "collection", text=scatter.label_of(name))
    body.operator("relievo.scatter", icon="STICKY_UVS_DISABLE")


def _newest(item: bpy.types.Object, spec: AlgorithmSpec) -> Job | None:
    """The last job that a button in the object's own box has started."""
    session = pump.current()
    jobs = reversed(list(session.jobs.values())) if session is not None else ()
    mine = (job for job in jobs if job.purpose.get("pressed_on") == item.name and job.algorithm == spec.name)
    return next(mine, None)


def _draw_texture(
    layout: bpy.types.UILayout, context: bpy.types.Context, item: bpy.types.Object, material: bpy.types.Material
) -> None:
    box = layout.box()
    image = textures.image_of(material)
    row = box.row()
    row.label(text=item.name, icon="TEXTURE")
    if image is not None:
        row.label(text=f"{typed.size(image)[0]} px")
    box.operator("relievo.regenerate", text="Regenerate").of_texture = True
    row = box.row(align=True)
    row.operator("relievo.update_terrain").of_texture = True
    row.operator("relievo.settings_from_terrain", text="", icon="EYEDROPPER").of_texture = True
    row.operator("relievo.copy_recipe", text="", icon="COPYDOWN").of_texture = True
    if report.KEY in material:
        row.operator("relievo.open_report", text="", icon="TEXT")
    found = report.read(material)
    if found is not None:
        _draw_summary(box.column(align=True), found)
    _draw_device_note(box, material)
    _draw_relief(box, item, material)
    draw_asset(box, material)
    engine = _engine_of(requests.recipe_on(material) or {"algorithm": ""})
    if engine is not None:
        failures.draw(box, _newest(item, engine))
    if context.space_data.shading.type in ("WIREFRAME", "SOLID"):
        box.operator("relievo.show_textures", icon="SHADING_TEXTURE")


def _draw_device_note(box: bpy.types.UILayout, made: bpy.types.ID) -> None:
    """Why it was not computed on the device that was meant for it."""
    if note := (requests.recipe_on(made) or {}).get("device_note"):
        wrapped(box, str(note), "INFO")


def draw_asset(layout: bpy.types.UILayout, material: bpy.types.Material) -> None:
    """The button that puts a material into the Asset Browser, pressed where it is there."""
    is_one = material.asset_data is not None
    layout.operator("relievo.mark_asset", icon="ASSET_MANAGER", depress=is_one).material = material.name


def _draw_relief(box: bpy.types.UILayout, item: bpy.types.Object, material: bpy.types.Material) -> None:
    """What is set to taste on a material that repeats or has heights: the material's own nodes."""
    tile = typed.tree_of(material).nodes.get(surface_nodes.TILE_WIDTH_NODE)
    raise_by = displaced_surface.displacement_node(material)
    column = box.column(align=True)
    column.use_property_split, column.use_property_decorate = True, False
    if tile is not None:
        column.prop(tile.outputs[0], "default_value", text="Tile Width")
    if raise_by is not None:
        column.prop(raise_by.inputs["Scale"], "default_value", text="Relief")
        is_on = displaced_surface.modifier_of(item) is not None
        box.operator("relievo.displace", icon="MOD_SUBSURF", depress=is_on)
    if displaced_surface.is_scale_in_the_way(item, material):
        wrapped(box, "Apply the mesh's scale (Ctrl A): the normal map is shaded wrongly until then", "INFO")


def _draw_summary(column: bpy.types.UILayout, found: report.Report) -> None:
    for sentence in found.summary:
        wrapped(column, sentence)


class RELIEVO_PT_photographs(RelievoTab, bpy.types.Panel):
    bl_label = "Photographs"
    bl_parent_id = "RELIEVO_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        found = _report_of(context)
        return found is not None and bool(found.photographs)

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        typed.present(self.layout).operator("relievo.open_report", text="", icon="TEXT", emboss=False)

    def draw(self, context: bpy.types.Context) -> None:
        found = _report_of(context)
        if found is None:
            return
        column = typed.present(self.layout).column(align=True)
        for photograph in found.photographs[:SHOWN]:
            icon = "ERROR" if photograph.is_misfit else "CHECKMARK" if photograph.used else "HIDE_ON"
            column.label(text=photograph.name, icon=icon)
            wrapped(column, photograph.sentence, "BLANK1")
        if len(found.photographs) > SHOWN:
            column.operator(
                "relievo.open_report", text=f"{len(found.photographs) - SHOWN} More in the Report", icon="TEXT"
            )


SHOWN = 24  # photographs in the panel; a sidebar of hundreds of lines is of no use


def _report_of(context: bpy.types.Context) -> report.Report | None:
    material = textures.worn_by(context.active_object) if context.active_object is not None else None
    return report.read(material) if material is not None else None
