"""Sketches as sources: which one an engine's port takes, and the settings that it brings with it.

Cheap throughout: draw() and poll() ask at every redraw. Reading pixels is readers/sketches.py's business.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import typed
from ..datablocks import sketch
from ..readers import sketches
from ..readers.source import Source
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.errors import InvalidInput


def port_of(spec: AlgorithmSpec) -> Port | None:
    """The input of an engine that a sketch can be: its first map of named classes. None for an engine without."""
    return next((port for port in spec.inputs if port.classes and not port.many), None)


def with_port(spec: AlgorithmSpec) -> tuple[AlgorithmSpec, Port] | None:
    """The engine and its port of a sketch, None for an engine without."""
    port = port_of(spec)
    return (spec, port) if port is not None else None


def picked(
    scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port, active: bpy.types.Object | None
) -> bpy.types.Object | None:
    """The sketch that a port takes: the one that is picked, else the selected one, else the only one of the scene."""
    return _of(scene, settings_of(scene, spec, port), active)


def settings_of(scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port) -> Any:
    """The settings of a port's picker."""
    return getattr(getattr(typed.settings(scene), spec.name), f"from_{port.name}")


def _of(scene: bpy.types.Scene, settings: Any, active: bpy.types.Object | None) -> bpy.types.Object | None:
    if settings.object is not None and settings.object.name in scene.objects:
        return settings.object
    if sketch.image_of(active) is not None:
        return active
    there = sketch.sketches(scene)
    return there[0] if len(there) == 1 else None


def chosen(scene: bpy.types.Scene, settings: Any, port: Port, active: bpy.types.Object | None) -> Source:
    """What a picker set to Sketch stands for. Raises InvalidInput, saying what to do, for none, and for one that cannot be read."""
    item = _of(scene, settings, active)
    if item is None:
        what = "several sketches, and none is picked" if sketch.sketches(scene) else "no sketch"
        hint = "Pick or select one." if sketch.sketches(scene) else "Press New Sketch."
        raise InvalidInput(f"{port.label}: there is {what}.", hint=hint, field=port.name)
    sketches.ground_of(item, scene)
    return Source("sketch", item.name, {"snap": True} if settings.snap else {})


def of_object(item: bpy.types.Object) -> Source | None:
    """The source of an object that was named as an input of classes; None where it is no sketch."""
    return Source("sketch", item.name) if sketch.image_of(item) is not None else None
