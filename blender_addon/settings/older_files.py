"""Settings that an older version saved with a scene keep their meaning in this one.

A parameter that has been added since takes the value under which the engine computes what it computed without it, as in a recipe
(shared.params.completed). Each engine's group says which version it is of; a file of version 0.1 says nothing, which reads as 0.
"""

from __future__ import annotations

from typing import Any

import bpy
from bpy.app.handlers import persistent

from .. import typed
from ..shared.algorithm import AlgorithmSpec
from ..shared.catalog import algorithms
from . import property_table

VERSION = "engine_version"  # the property of an engine's group


def annotation() -> Any:
    """The property that holds the version of the engine whose settings these are."""
    return bpy.props.IntProperty(options={"HIDDEN"})


def complete(scene: bpy.types.Scene) -> None:
    """Bring the scene's settings of every engine to this version."""
    for spec in algorithms():
        group = getattr(typed.settings(scene), spec.name)
        if getattr(group, VERSION) < spec.version and _is_saved(group, spec):
            for parameter in spec.parameters:
                name = property_table.property_name(parameter)
                if parameter.before is not None and not group.is_property_set(name):
                    setattr(group, name, parameter.before)
        _mark(group, spec)


def _is_saved(group: bpy.types.PropertyGroup, spec: AlgorithmSpec) -> bool:
    """Whether anything in it was ever set; a group that was never touched has nothing to keep."""
    return any(group.is_property_set(property_table.property_name(parameter)) for parameter in spec.parameters)


def _mark(group: bpy.types.PropertyGroup, spec: AlgorithmSpec) -> None:
    if getattr(group, VERSION) != spec.version:
        setattr(group, VERSION, spec.version)


@persistent
def _on_load_post(*_: object) -> None:
    for scene in bpy.data.scenes:
        if scene.library is None:
            complete(scene)


@persistent
def _on_save_pre(*_: object) -> None:
    """Scenes that were made since the file was opened hold settings of this version."""
    for scene in bpy.data.scenes:
        if scene.library is None:
            for spec in algorithms():
                _mark(getattr(typed.settings(scene), spec.name), spec)


_HANDLERS = (("load_post", _on_load_post), ("save_pre", _on_save_pre))


def register() -> None:
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
