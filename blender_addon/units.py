"""Metres and Blender's units."""

from __future__ import annotations

import bpy


def metres_per_unit(scene: bpy.types.Scene) -> float:
    """Metres per Blender unit, as the scene's units say."""
    return scene.unit_settings.scale_length if scene.unit_settings.system != "NONE" else 1.0
