"""Operators on what was made: repeat it, vary it, take its settings, copy its recipe, look at its report.

They act on the active object: on the terrain that it is, or on the texture that it wears. Where it is both, of_texture says
which.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import bpy

from .. import compat, requests, typed
from ..datablocks import painting
from ..placing import covering
from ..requests import Request
from ..settings import properties
from ..shared.algorithm import find
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from ..shared.params import completed
from ..writers import displaced_surface, record, report, table, textures, waters
from .engines import run
from .reporting import reports_errors


def carrier_of(item: bpy.types.Object | None, *, of_texture: bool = False) -> bpy.types.ID | None:
    """What of an object carries a recipe: the object itself, or the material with its texture; None for neither."""
    item = carried_by(item)
    if item is None:
        return None
    material = textures.worn_by(item)
    if requests.recipe_on(item) is not None and not of_texture:
        return item
    return material if requests.recipe_on(material) is not None else None


def carried_by(item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The result that an object is, or a part of: the canvas of strokes, the terrain of water."""
    return waters.terrain_of(painting.canvas_of(item))


def report_carrier_of(item: bpy.types.Object | None) -> bpy.types.ID | None:
    """What of an object carries a report: its material, else the object itself; None where there is none. Cheap: for draw()."""
    if item is None:
        return None
    material = textures.worn_by(item)
    carriers: tuple[bpy.types.ID | None, ...] = (material, item)
    return next((carrier for carrier in carriers if carrier is not None and report.KEY in carrier), None)


class MadeOperator:
    """Acts on what Relievo has made of the active object. A mixin: Blender warns when an operator inherits from another."""

    poll_message_set: Any

    of_texture: bpy.props.BoolProperty(
        name="Texture", description="Use the object's texture, not its shape", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        item = context.active_object
        if carrier_of(item) is None and carrier_of(item, of_texture=True) is None:
            cls.poll_message_set("Select something that Relievo has made")
            return False
        return True

    def recipe(self, context: bpy.types.Context) -> dict[str, Any]:
        recipe = requests.recipe_on(carrier_of(context.active_object, of_texture=self.of_texture))
        if recipe is None:
            raise InvalidInput("Nothing that Relievo has made is selected.")
        return recipe

    def request(self, context: bpy.types.Context, **changes: Any) -> Request:
        item = carried_by(context.active_object)
        name = item.name if item is not None else ""
        request = requests.from_recipe(self.recipe(context), target=name, changes=changes)
        return replace(request, pressed_on=name)


class RELIEVO_OT_regenerate(MadeOperator, bpy.types.Operator):
    """Compute the selected result again from its recipe and replace it in place"""

    bl_idname = "relievo.regenerate"
    bl_label = "Regenerate"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        return run(self, context, self.request(context))


class RELIEVO_OT_update_terrain(MadeOperator, bpy.types.Operator):
    """Compute the selected result again with the sidebar's settings and the inputs of its recipe, and replace it in place"""

    bl_idname = "relievo.update_terrain"
    bl_label = "Apply Settings"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        request = self.request(context)
        params = properties.read(context.scene, request.spec)
        choice = properties.result_choice(context.scene, request.spec)
        is_surface = table.of(
            request.spec
        ).goes_on_mesh  # where only its storage changes, never what stands in the scene
        if is_surface and (filling := requests.fills_uvs(context, request.spec, request.target)):
            params, request = {**params, **filling}, replace(request, notes={**request.notes, record.FILLS_UVS: True})
        request = replace(request, notes={**request.notes, **requests.rivers_note(context.scene, request.spec)})
        return run(
            self, context, requests.with_params(request, params, output=choice if is_surface else request.output)
        )


class RELIEVO_OT_vary(MadeOperator, bpy.types.Operator):
    """Compute the selected result with a new random seed and replace it in place"""

    bl_idname = "relievo.vary"
    bl_label = "Vary"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        seeds = requests.new_seeds(find(algorithms(), self.recipe(context)["algorithm"]))
        if not seeds:
            raise InvalidInput("This engine has no seed.", hint="Change a setting and press Apply Settings.")
        return run(self, context, self.request(context, **seeds))


class RELIEVO_OT_settings_from_terrain(MadeOperator, bpy.types.Operator):
    """Set the sidebar to what is selected was made with"""

    bl_idname = "relievo.settings_from_terrain"
    bl_label = "Take Its Settings"
    bl_options = {"REGISTER", "UNDO"}

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        recipe = self.recipe(context)
        spec = find(algorithms(), recipe["algorithm"])
        typed.settings(context.scene).algorithm = spec.name
        properties.write(context.scene, spec, completed(spec.params, recipe["params"]))
        return {"FINISHED"}


class RELIEVO_OT_copy_recipe(MadeOperator, bpy.types.Operator):
    """Copy the recipe of what is selected to the clipboard: `relievo.py run --recipe` reads it"""

    bl_idname = "relievo.copy_recipe"
    bl_label = "Copy Recipe"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.clipboard = json.dumps(self.recipe(context), indent=1)
        self.report({"INFO"}, "The recipe is on the clipboard")
        return {"FINISHED"}


# Looking -------------------------------------------------------------------------------------------------------------


class RELIEVO_OT_open_report(bpy.types.Operator):
    """Open the engine's report on this result in a text editor in a new window"""

    bl_idname = "relievo.open_report"
    bl_label = "Open Report"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        carrier = report_carrier_of(context.active_object)
        text = report.text_of(carrier) if carrier is not None else None
        if text is None:
            raise InvalidInput("The report was deleted.", hint="Regenerate recreates it.")
        if bpy.app.background:
            self.report({"INFO"}, text.as_string())
            return {"FINISHED"}
        bpy.ops.wm.window_new()
        area = context.window_manager.windows[-1].screen.areas[0]
        area.type = "TEXT_EDITOR"
        area.spaces.active.text = text
        area.spaces.active.show_word_wrap = True
        return {"FINISHED"}


class RELIEVO_OT_show_source(bpy.types.Operator):
    """Show what this terrain was made from and lies over, or hide it again"""

    bl_idname = "relievo.show_source"
    bl_label = "Show Source"
    bl_options = {"REGISTER", "UNDO"}

    hidden: bpy.props.BoolProperty(name="Hide", description="Hide it instead", options={"SKIP_SAVE"})
    name: bpy.props.StringProperty(
        name="Object",
        description="Which of what lies below, with what lies beside it; empty for all",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        item = context.active_object
        if item is None or not covering.below(item):
            cls.poll_message_set("Select a terrain that lies over its source")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        for layer in covering.layers(typed.present(context.active_object)):
            if not self.name or self.name in {item.name for item in layer}:
                covering.show(layer, hidden=self.hidden)
        return {"FINISHED"}


class RELIEVO_OT_draw_in_full(bpy.types.Operator):
    """Have views draw all of this terrain, and not only its box. The first time may take a minute"""

    bl_idname = "relievo.draw_in_full"
    bl_label = "Draw in Full"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        item = context.active_object
        if item is None or item.display_type != "BOUNDS":
            cls.poll_message_set("Select a terrain that is drawn as its box")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        typed.present(context.active_object).display_type = "TEXTURED"
        return {"FINISHED"}


class RELIEVO_OT_show_textures(bpy.types.Operator):
    """Shade this view by materials, in which textures are seen"""

    bl_idname = "relievo.show_textures"
    bl_label = "Show Textures"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.space_data is not None and context.space_data.type == "VIEW_3D"

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.space_data.shading.type = "MATERIAL"
        return {"FINISHED"}


class RELIEVO_OT_displace(bpy.types.Operator):
    """Subdivide the mesh so that the heights of its texture move the surface in Cycles; press again to take it away"""

    bl_idname = "relievo.displace"
    bl_label = "Displace"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        item = context.active_object
        if item is None or not displaced_surface.can_be(textures.worn_by(item)):
            cls.poll_message_set("Select a mesh with a texture of Relievo that has heights")
            return False
        return True

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        item = typed.present(context.active_object)
        material = typed.present(textures.worn_by(item))
        if displaced_surface.modifier_of(item) is None:
            displaced_surface.put_on(item, material)
            if compat.needs_experimental(typed.present(context.scene)):
                self.report(
                    {"INFO"}, "Set Feature Set to Experimental in Cycles' settings to subdivide as finely as pixels"
                )
        else:
            displaced_surface.remove(item, material)
        return {"FINISHED"}


CLASSES = (
    RELIEVO_OT_displace,
    RELIEVO_OT_regenerate,
    RELIEVO_OT_update_terrain,
    RELIEVO_OT_vary,
    RELIEVO_OT_settings_from_terrain,
    RELIEVO_OT_copy_recipe,
    RELIEVO_OT_open_report,
    RELIEVO_OT_show_source,
    RELIEVO_OT_draw_in_full,
    RELIEVO_OT_show_textures,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
