"""The part of the sidebar for a painted sketch: which one it is, how large, and a button for each class to paint with.

Like all of draw(): settings and sizes are read, no pixels, and nothing is changed.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import pump, typed
from ..datablocks import sketch
from ..inputs import sketch_sources
from ..placing import drafts, paint_mode
from ..readers import sketches
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.errors import InvalidInput
from . import swatches
from .text_fit import length, on_a_bar, wrapped


def draw(
    layout: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec, port: Port, settings: Any
) -> None:
    """Below a picker that is set to Sketch."""
    scene = typed.present(context.scene)
    item = sketch_sources.picked(scene, spec, port, context.active_object)
    row = layout.row(align=True)
    row.prop(settings, "object", text="")
    row.operator_context = "INVOKE_DEFAULT"
    row.operator("relievo.new_sketch", text="" if item is not None else "New Sketch", icon="ADD").algorithm = spec.name
    if item is None or sketch.image_of(item) is None:
        return
    layout.label(text=_size_of(item, scene), icon="BLANK1")
    _draw_classes(layout, context, spec, port, item)
    layout.prop(settings, "live")
    if settings.live:
        _draw_draft(layout, item)
    layout.prop(settings, "snap")


def _draw_draft(layout: bpy.types.UILayout, item: bpy.types.Object) -> None:
    """What has become of the last draft, and what is wrong with it: here, where a person paints."""
    job_id, problem = drafts.state_of(item)
    if problem:
        wrapped(layout, problem, "ERROR")
    session = pump.current()
    job = session.jobs.get(job_id) if session is not None else None
    if job is not None:
        layout.progress(factor=job.fraction, text=on_a_bar([f"Draft: {sentence}" for sentence in job.sentences]))


def _size_of(item: bpy.types.Object, scene: bpy.types.Scene) -> str:
    try:
        ground = sketches.ground_of(item, scene)
    except InvalidInput:
        return item.name  # Generate says what is wrong
    pixel_m = ground.size_m / max(ground.rows, ground.columns)
    return f"{ground.columns} x {ground.rows} px, {length(ground.size_m)}, {length(pixel_m)} per pixel"


def _draw_classes(
    layout: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec, port: Port, item: bpy.types.Object
) -> None:
    """A button a class, the chosen one pressed while a person paints."""
    is_painted = sketch.is_painted(item)
    chosen = paint_mode.chosen_class(typed.present(context.scene), port.classes) if is_painted else None
    if not is_painted:
        wrapped(layout, "Press a class to paint it on the sketch", "BRUSH_DATA")
    column = layout.column(align=True)
    for number, (name, color) in enumerate(port.classes):
        button = column.operator(
            "relievo.paint_class", text=name, icon_value=swatches.icon(color), depress=number == chosen
        )
        button.number, button.sketch, button.algorithm = number, item.name, spec.name
    if is_painted:
        layout.operator("object.mode_set", text="Done Painting", icon="CHECKMARK").mode = "OBJECT"
