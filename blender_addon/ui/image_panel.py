"""The tab "Relievo" in the Image Editor's sidebar: what an image of ours is, what made it, a terrain of it, and textures and
paintings of it by the panels of the 3D view.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import requests, typed
from ..datablocks import region
from ..inputs import edited
from ..shared.algorithm import find
from ..shared.catalog import algorithms
from ..shared.errors import UnknownAlgorithm
from ..shared.params import Param, with_role
from ..writers import images, texture_images
from . import input_panel, panels
from .sidebar import ImageTab
from .text_fit import wrapped

_KINDS = {
    "HEIGHT_MAP": "Heights in metres",
    "AREA_MAP": "Area that drains through each point, m²",
    "THICKNESS_MAP": "Thickness in metres",
    "MASK": "Mask from 0 to 1",
    "CLASS_MAP": "Class numbers",
    "COLOR_IMAGE": "Colours, linear",
    "COUNT_MAP": "Number of photographs that saw each texel",
    "TEXTURE": "Texture",
    "NORMAL_MAP": "Normal map, OpenGL (+Y up)",
}


class RELIEVO_PT_image(ImageTab, bpy.types.Panel):
    bl_label = "Relievo"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return edited.image_of(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout, image = typed.present(self.layout), typed.present(edited.image_of(context))
        kind = images.kind_of(image)
        if kind:
            text = "Colours" if kind == "COLOR_IMAGE" and typed.color_space(image) == "sRGB" else _KINDS.get(kind, kind)
            layout.label(text=text, icon="IMAGE_DATA")
        columns, rows = region.size(image, context.scene)
        size = f"{columns} x {rows} px"
        if pixel_size_m := images.pixel_size_of(image):
            size += f", {pixel_size_m:.4g} m each"
        layout.label(text=size, icon="BLANK1")
        if shown_as := images.how_it_is_shown(image):
            wrapped(layout, shown_as, "INFO")
        if texture_images.WHITE_KEY in image:
            layout.label(text=f"White = {image[texture_images.WHITE_KEY]} photographs", icon="BLANK1")
        self._draw_recipe(layout, image)
        if not region.is_render(image) and kind in ("", "HEIGHT_MAP"):
            layout.operator_context = "INVOKE_DEFAULT"
            layout.operator("relievo.terrain_from_image", icon="RNDCURVE")

    def _draw_recipe(self, layout: bpy.types.UILayout, image: bpy.types.Image) -> None:
        recipe = requests.recipe_on(image)
        if recipe is None:
            return
        try:
            spec = find(algorithms(), recipe["algorithm"])
        except UnknownAlgorithm:
            layout.label(text=f"Made by the engine {recipe['algorithm']}, which is not installed", icon="ERROR")
            return
        box = layout.box().column(align=True)
        seeds = [
            parameter.name for parameter in with_role(spec.parameters, "seed") if parameter.name in recipe["params"]
        ]
        seed = "".join(f", seed {recipe['params'][name]}" for name in seeds[:1])
        box.label(text=f"{spec.label}{seed}", icon=typed.icon(spec.icon))
        for parameter in spec.parameters:
            value = recipe["params"].get(parameter.name, parameter.default)
            if parameter.name not in seeds[:1] and value != parameter.default:
                row = box.row()
                row.label(text=parameter.label)
                row.label(text=_shown(parameter, value))


def _shown(parameter: Param, value: Any) -> str:
    """A parameter's value as the sidebar shows it."""
    if parameter.choices:
        return dict(parameter.choices).get(value, str(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g} {parameter.unit}".strip() if isinstance(value, int | float) else str(value)


class RELIEVO_PT_image_texture(ImageTab, bpy.types.Panel):
    bl_label = "From This Image"
    bl_parent_id = "RELIEVO_PT_image"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return edited.engine(typed.present(context.scene)) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout, image = typed.present(self.layout), typed.present(edited.image_of(context))
        panels.draw_state(layout)
        able, chosen = edited.engines(), edited.engine(typed.present(context.scene))
        if len(able) > 1:
            row = layout.row(align=True)
            for spec in able:
                button = row.operator(
                    "relievo.use_engine", text=spec.label, icon=typed.icon(spec.icon), depress=spec == chosen
                )
                button.algorithm = spec.name
        if chosen is None or chosen.makes != "surface":
            return
        if region.sample_of(image) != image or requests.recipe_on(image) is not None:  # how it goes on at its borders
            layout.prop(context.space_data, "show_repeat", text="Repeat Image")


class RELIEVO_PT_image_inputs(ImageTab, input_panel.Inputs, bpy.types.Panel):
    bl_parent_id = "RELIEVO_PT_image_texture"


class RELIEVO_PT_image_settings(ImageTab, panels.Settings, bpy.types.Panel):
    bl_parent_id = "RELIEVO_PT_image_texture"


class RELIEVO_PT_image_result(ImageTab, panels.Output, bpy.types.Panel):
    bl_parent_id = "RELIEVO_PT_image_texture"


class RELIEVO_PT_image_generate(ImageTab, panels.Generate, bpy.types.Panel):
    bl_parent_id = "RELIEVO_PT_image_texture"


class RELIEVO_PT_image_jobs(ImageTab, panels.Jobs, bpy.types.Panel):
    bl_parent_id = "RELIEVO_PT_image_texture"


CLASSES = (
    RELIEVO_PT_image,
    RELIEVO_PT_image_texture,
    RELIEVO_PT_image_inputs,
    RELIEVO_PT_image_settings,
    RELIEVO_PT_image_result,
    RELIEVO_PT_image_generate,
    RELIEVO_PT_image_jobs,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
