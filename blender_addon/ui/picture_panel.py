"""Below a picker that is set to the camera's view, to what a mesh wears or to a painting: which one, and what is missing."""

from __future__ import annotations

from typing import Any

import bpy

from .. import typed
from ..inputs import picture_sources, segment_settings, sources
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.errors import InvalidInput
from . import segment_list
from .text_fit import wrapped


def draw(
    column: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec, port: Port, settings: Any
) -> None:
    """Cheap: looks at no pixel."""
    if settings.source == "VIEW":
        _draw_view(column, typed.present(context.scene), port, settings)
        if hasattr(settings, "by") and segment_settings.has_them(spec):
            segment_list.draw(column, typed.present(context.scene), settings)
        return
    column.prop(settings, "object", text="")
    item = settings.object or sources.selected(context)
    is_painting = settings.source == "STROKES"
    try:
        source = picture_sources.strokes(port, item) if is_painting else picture_sources.surface(spec, port, item)
    except InvalidInput as error:
        wrapped(column, error.message, "ERROR")
        return
    if settings.object is None:
        column.label(text=f"Selected: {source.name}", icon="RESTRICT_SELECT_OFF")
    if not is_painting:
        column.label(text=source.options["image"], icon="IMAGE_DATA")


def _draw_view(column: bpy.types.UILayout, scene: bpy.types.Scene, port: Port, settings: Any) -> None:
    if hasattr(settings, "by"):
        row = column.row(align=True)
        row.use_property_split, row.use_property_decorate = True, False
        row.prop(settings, "by")
    if scene.camera is None:
        wrapped(column, "The scene has no camera", "ERROR")
    elif not hasattr(settings, "by") and not any(image.type == "RENDER_RESULT" for image in bpy.data.images):
        wrapped(column, "Render the scene first (F12)", "ERROR")
    else:
        column.label(text=f"Camera: {scene.camera.name}", icon="OUTLINER_OB_CAMERA")
