"""Texture Paint on a sketch, set up so that strokes are of exact class colours: palette, hard brush, and its colour.

What it changes are settings of Texture Paint alone, and only when a person starts to paint on a sketch or picks a class.
"""

from __future__ import annotations

import bpy
import numpy as np

from .. import compat, typed
from ..shared.classes import Classes
from . import viewport

BRUSH, PALETTE = "Relievo Class", "Relievo Classes"


def start(context: bpy.types.Context, item: bpy.types.Object, classes: Classes, number: int | None = None) -> None:
    """Paint on a sketch with a class; number None leaves the class as it is, or takes the second one at first."""
    if item.mode != "TEXTURE_PAINT":
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        viewport.select(item)
        bpy.ops.object.mode_set(mode="TEXTURE_PAINT")
    settings = typed.present(context.scene.tool_settings)
    _use_palette(settings, classes)
    brush = _use_brush(settings)
    _paint_exactly(settings)
    chosen = chosen_class(context.scene, classes)
    if number is None:
        number = chosen if chosen is not None else min(1, len(classes) - 1)
    _set_color(settings, brush, classes[number][1])


def chosen_class(scene: bpy.types.Scene, classes: Classes) -> int | None:
    """The class whose colour the brush has, None for any other colour. Cheap: for draw()."""
    settings = typed.present(scene.tool_settings)
    brush = typed.present(settings.image_paint).brush
    if brush is None or brush.name.partition(".")[0] != BRUSH:
        return None
    shared = compat.unified_paint(settings)
    color = np.array(shared.color if shared.use_unified_color else brush.color)
    away = [float(np.abs(color - compat.paint_color(rgb)).max()) for _, rgb in classes]
    return int(np.argmin(away)) if away and min(away) < 1e-3 else None


def is_stroke_going_on() -> bool:
    """Whether a person has the brush down. Blender holds on to evaluated meshes meanwhile: the scene has to stay as it is."""
    windows = bpy.context.window_manager.windows
    return any(operator.bl_idname.startswith("PAINT_OT") for window in windows for operator in window.modal_operators)


def _use_palette(settings: bpy.types.ToolSettings, classes: Classes) -> None:
    """A palette of the classes, in their order. Blender's palettes have no names for colours; the panel has."""
    palette = bpy.data.palettes.get(PALETTE) or bpy.data.palettes.new(PALETTE)
    wanted = [compat.paint_color(rgb) for _, rgb in classes]
    held = [(entry.color.r, entry.color.g, entry.color.b) for entry in palette.colors]
    if len(held) != len(wanted) or not np.allclose(held, wanted, atol=1e-4):
        palette.colors.clear()
        for color in wanted:
            palette.colors.new().color = color
    typed.present(settings.image_paint).palette = palette


def _use_brush(settings: bpy.types.ToolSettings) -> bpy.types.Brush:
    brush = bpy.data.brushes.get(BRUSH)
    if brush is None or brush.library is not None:
        brush = bpy.data.brushes.new(BRUSH, mode="TEXTURE_PAINT")
        brush.use_fake_user = True
    compat.harden(brush)
    compat.use_brush(settings, brush)
    return brush


def _paint_exactly(settings: bpy.types.ToolSettings) -> None:
    """What would mix colours outside the brush: a falloff towards grazing angles, bleeding at seams, dithering."""
    paint, shared = typed.present(settings.image_paint), compat.unified_paint(settings)
    paint.mode = "MATERIAL"
    paint.use_normal_falloff, paint.seam_bleed, paint.dither = False, 0, 0.0
    paint.use_stencil_layer = paint.use_cavity = False
    if shared.use_unified_strength:
        shared.strength = 1.0


def _set_color(settings: bpy.types.ToolSettings, brush: bpy.types.Brush, color: tuple[float, float, float]) -> None:
    """Of the brush, and of what all brushes share, whichever counts."""
    brush.color = compat.unified_paint(settings).color = compat.paint_color(color)
