"""Drawings from the scene as sources: what a picker that is set to Scene stands for.

Cheap throughout, as draw() and poll() ask at every redraw; triangles are readers/drawing.py's business.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..readers import drawn_meshes
from ..readers.drawn_meshes import UVS
from ..readers.source import Source
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.errors import InvalidInput
from . import sketch_sources


def chosen(scene: bpy.types.Scene, settings: Any, port: Port, active: bpy.types.Object | None) -> Source:
    """The source. Raises InvalidInput, saying what to do, where there is nothing to draw."""
    source = _source(settings, port, active)
    if not drawn_meshes.members(scene, source):
        raise InvalidInput(
            f"{port.label}: no mesh {_where(source)} carries a class.",
            hint="Select a mesh and set its class, or its material's, under Class.",
            field=port.name,
        )
    return source


def _source(settings: Any, port: Port, active: bpy.types.Object | None) -> Source:
    options = {"resolution_px": settings.resolution, "outside": int(settings.outside), "attribute": settings.attribute}
    if settings.through != UVS:
        return Source("drawing", settings.collection.name if settings.collection is not None else "", options)
    item = settings.object or (active if active is not None and active.type == "MESH" else None)
    if item is None:
        raise InvalidInput(f"{port.label}: no mesh is picked or selected.", hint="Select a mesh.", field=port.name)
    return Source("drawing", item.name, {**options, "through": UVS})


def _where(source: Source) -> str:
    if drawn_meshes.goes_through_uvs(source):
        return f"called {source.name!r}"
    return f"of the collection {source.name!r}" if source.name else "of the scene"


def heights(scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port, active: bpy.types.Object | None) -> Source:
    """For an input of heights: those of the meshes that the engine's sketch is drawn from. Raises InvalidInput where it is not
    drawn from above.
    """
    classes = sketch_sources.port_of(spec)
    settings = sketch_sources.settings_of(scene, spec, classes) if classes is not None else None
    if classes is None or settings is None or settings.source != "DRAWING" or settings.through == UVS:
        label = classes.label if classes is not None else "the sketch"
        raise InvalidInput(
            f"{port.label}: {label} is not drawn from the scene.",
            hint=f"Set {label} to Scene, or pick another source here.",
            field=port.name,
        )
    return chosen(scene, settings, classes, active)
