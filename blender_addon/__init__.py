"""Relievo inside Blender: draws inputs from the scene, has them computed in the backend's process, and makes
terrains of the answers.

This file only registers. Without Blender (in a test, in a type checker) the modules that need no bpy can be
imported from here.
"""

from __future__ import annotations


def _modules() -> tuple:
    from . import image_panel, operators, panels, preferences, properties, pump

    return preferences, properties, operators, panels, image_panel, pump


def register() -> None:
    for module in _modules():
        module.register()


def unregister() -> None:
    for module in reversed(_modules()):
        module.unregister()
