"""Below a picker of segments that are drawn from the view: the objects, materials or collections, and how each is painted.

draw() reads what lies on datablocks and does nothing else. The list has what a render could show; settings of what the camera does
not see are left aside when the segments are drawn.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..datablocks import segment_tags

ROWS = 4


class RELIEVO_UL_segments(bpy.types.UIList):
    """Segments with a check mark where they have settings of their own."""

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: Any,
        item: Any,
        icon: int | None,
        _active: Any,
        _property: str | None,
        _index: int | None = 0,
        _flag: int | None = 0,
    ) -> None:
        row = layout.row(align=True)
        tag = segment_tags.of(item)
        row.prop(tag, "is_used", text="")
        row.label(text=item.name, icon_value=icon or 0)
        entry = segment_tags.entry_of(item)
        if "share" in entry:
            row.label(text=f"{entry['share']:g} %")

    def filter_items(self, _context: bpy.types.Context, data: Any, property: str) -> tuple[list[int], list[int]]:
        """Only what has a surface that a render shows; in the order of names."""
        items = list(getattr(data, property))
        shown = [self.bitflag_filter_item if _is_one(item) else 0 for item in items]
        return shown, []


def _is_one(item: Any) -> bool:
    if isinstance(item, bpy.types.Object):
        return item.type in segment_tags.SHAPES and not item.hide_render
    if isinstance(item, bpy.types.Material):
        return item.users > 0 and not item.is_grease_pencil
    return not item.hide_render and len(item.all_objects) > 0


def draw(column: bpy.types.UILayout, scene: bpy.types.Scene, settings: Any) -> None:
    """The list, and the settings of the segment that is active in it."""
    owner: Any = scene if settings.by == "OBJECT" else bpy.data
    name = segment_tags.OWNERS[settings.by]
    items = getattr(owner, name)
    header, body = column.panel("relievo_segments", default_closed=True)
    count = sum(1 for item in items if segment_tags.of(item).is_used and _is_one(item))
    header.label(text=f"Segment Settings ({count})" if count else "Segment Settings")
    if body is None:
        return
    body.template_list("RELIEVO_UL_segments", settings.by, owner, name, settings, "active_segment", rows=ROWS)
    active = items[settings.active_segment] if 0 <= settings.active_segment < len(items) else None
    if active is None or not _is_one(active):
        return
    tag = segment_tags.of(active)
    detail = body.column()
    detail.use_property_split, detail.use_property_decorate = True, False
    detail.active = tag.is_used
    row = detail.row(align=True, heading="Share")
    row.prop(tag, "use_share", text="")
    value = row.row(align=True)
    value.active = tag.use_share
    value.prop(tag, "share", text="")
    for prop in ("largest", "smallest", "order", "opacity"):
        detail.prop(tag, prop)


def register() -> None:
    bpy.utils.register_class(RELIEVO_UL_segments)


def unregister() -> None:
    bpy.utils.unregister_class(RELIEVO_UL_segments)
