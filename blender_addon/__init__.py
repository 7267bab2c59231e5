"""Relievo inside Blender: draws inputs from the scene, has them computed in the backend's process, and makes
terrains of the answers.

This file only registers. Without Blender (in a test, in a type checker) the modules that need no bpy can be
imported from here.
"""

from __future__ import annotations

import atexit


def _modules() -> tuple:
    from . import operators, preferences, pump
    from .datablocks import class_tags, curve_tags, region, segment_tags
    from .settings import properties, scattering, wearing
    from .ui import image_panel, panels, segment_list, swatches

    settings = (class_tags, curve_tags, region, segment_tags, properties, scattering, wearing)
    return preferences, *settings, operators, swatches, segment_list, panels, image_panel, pump


def register() -> None:
    import bpy

    for module in _modules():
        module.register()
    if getattr(bpy.app, "module", False):  # a script that imports bpy never ends while our classes are registered
        atexit.register(unregister)


def unregister() -> None:
    atexit.unregister(unregister)
    for module in reversed(_modules()):
        module.unregister()
