"""Drawings from the scene as sources: what a picker that is set to Scene stands for.

Cheap throughout, as draw() and poll() ask at every redraw; triangles are readers/drawing.py's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy

from ..datablocks import sketch
from ..placing import previews
from ..readers import drawn_meshes
from ..readers.drawn_meshes import MESHES, UVS
from ..readers.source import Source
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.errors import InvalidInput
from . import sketch_sources
from .earlier_results import made_from


def chosen(scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port, active: bpy.types.Object | None) -> Source:
    """The source of a port of classes. Raises InvalidInput, saying what to do, where there is nothing to draw."""
    source = _source(scene, spec, port, active)
    if not drawn_meshes.members(scene, source):
        raise InvalidInput(
            f"{port.label}: no mesh {_where(source)} carries a class.",
            hint="Select a mesh and set its class, or its material's, under Class.",
            field=port.name,
        )
    return source


def of_selection(options: Mapping[str, Any] | None = None, label: str = "Classes", field: str = "") -> Source:
    """A drawing of the meshes that are selected now. Raises InvalidInput where none is."""
    names = _selected()
    if not names:
        raise InvalidInput(f"{label}: no mesh is selected.", hint="Select the meshes to draw.", field=field)
    return Source("drawing", "", {**(options or {}), MESHES: names})


def _selected() -> list[str]:
    return [item.name for item in bpy.data.objects if _is_selected(item)]


def _is_selected(item: bpy.types.Object) -> bool:
    """Whether a mesh is selected that can be part of a drawing, or was before a preview of its terrain was laid over it."""
    if not isinstance(item.data, bpy.types.Mesh) or sketch.image_of(item) is not None:
        return False
    if previews.was_selected(item, active=False):
        return True
    return item.name in bpy.context.view_layer.objects and item.select_get() and not item.hide_get()


def _source(scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port, active: bpy.types.Object | None) -> Source:
    settings = sketch_sources.settings_of(scene, spec, port)
    options = {"resolution_px": settings.resolution, "outside": int(settings.outside), "attribute": settings.attribute}
    if settings.through == UVS:
        item = settings.object or (active if active is not None and active.type == "MESH" else None)
        if item is None:
            raise InvalidInput(f"{port.label}: no mesh is picked or selected.", hint="Select a mesh.", field=port.name)
        return Source("drawing", item.name, {**options, "through": UVS})
    if not settings.selected_only:
        return Source("drawing", settings.collection.name if settings.collection is not None else "", options)
    if again := _under_selected(scene, spec, port, active):
        return Source("drawing", "", {**options, MESHES: again})
    return of_selection(options, port.label, port.name)


def _under_selected(
    scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port, active: bpy.types.Object | None
) -> list[str]:
    """The meshes that lie hidden under the terrain that is selected, which was drawn from them; [] for any other selection."""
    earlier = made_from(spec, port, active) if active is not None and _is_selected(active) else None
    if earlier is None or earlier.kind != "drawing" or MESHES not in earlier.options:
        return []
    now = Source("drawing", "", {**earlier.options, MESHES: _selected()})
    return [] if drawn_meshes.members(scene, now) else list(earlier.options[MESHES])


def _where(source: Source) -> str:
    if drawn_meshes.goes_through_uvs(source):
        return f"called {source.name!r}"
    if MESHES in source.options:
        return "that is selected"
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
    return chosen(scene, spec, classes, active)
