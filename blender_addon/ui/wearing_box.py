"""In a terrain's box: the texture of each ground, how large and how strong it is, and the button that puts them on.

draw() reads what lies on datablocks and does nothing else.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..settings import wearing
from ..writers import materials


def draw(box: bpy.types.UILayout, item: bpy.types.Object) -> None:
    entries = wearing.entries_of(item)
    if not entries:
        return
    header, body = box.panel("relievo_wearing", default_closed=True)
    header.label(text="Ground Textures")
    if body is None:
        return
    for name, entry in entries.items():
        _draw_entry(body.column(align=True), name, entry)
    row = body.row(align=True)
    row.operator("relievo.wear_textures", icon="TEXTURE")
    if materials.worn_with_grounds(item) is not None:
        row.operator("relievo.take_off_textures", text="", icon="X")


def _draw_entry(column: bpy.types.UILayout, name: str, entry: Any) -> None:
    column.use_property_decorate = False
    row = column.row(align=True)
    row.label(text=name)
    row.prop(entry, "texture", text="")
    if entry.texture == wearing.MATERIAL:
        column.prop(entry, "material", text="")
    elif entry.texture == wearing.IMAGE:
        column.prop(entry, "image", text="")
    if entry.texture != wearing.NONE:
        row = column.row(align=True)
        row.prop(entry, "tile_m")
        row.prop(entry, "strength")
