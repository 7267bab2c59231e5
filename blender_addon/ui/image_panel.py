"""The tab "Relievo" in the image editor's sidebar: what an image of ours is, what made it, and a terrain of it."""

from __future__ import annotations

from typing import Any

import bpy

from .. import requests, typed
from ..operators.scene import edited_image
from ..shared.algorithm import find
from ..shared.catalog import algorithms
from ..shared.errors import UnknownAlgorithm
from ..shared.params import Param, with_role
from ..writers import images, texture_images
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


class RELIEVO_PT_image(bpy.types.Panel):
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Relievo"
    bl_label = "Relievo"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return edited_image(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout, image = typed.present(self.layout), typed.present(edited_image(context))
        kind = images.kind_of(image)
        if kind:
            layout.label(text=_KINDS.get(kind, kind), icon="IMAGE_DATA")
        columns, rows = typed.size(image)
        size = f"{columns} x {rows} px"
        if pixel_size_m := images.pixel_size_of(image):
            size += f", {pixel_size_m:.4g} m each"
        layout.label(text=size, icon="BLANK1")
        if shown_as := images.how_it_is_shown(image):
            wrapped(layout, shown_as, "INFO")
        if texture_images.WHITE_KEY in image:
            layout.label(text=f"White = {image[texture_images.WHITE_KEY]} photographs", icon="BLANK1")
        self._draw_recipe(layout, image)
        if kind in ("", "HEIGHT_MAP"):
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


def register() -> None:
    bpy.utils.register_class(RELIEVO_PT_image)


def unregister() -> None:
    bpy.utils.unregister_class(RELIEVO_PT_image)
