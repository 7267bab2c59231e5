"""Curves as sources: what a picker that is set to Curves stands for, and the maps that they may lie on.

Cheap throughout, as draw() and poll() ask at every redraw.
"""

from __future__ import annotations

from collections.abc import Mapping

import bpy

from ..readers import curves
from ..readers.source import Source
from ..shared.algorithm import AlgorithmSpec, Port
from ..writers import record


def of_collection(
    scene: bpy.types.Scene, spec: AlgorithmSpec, collection: str, given: Mapping[str, tuple[Source, ...]]
) -> Source | None:
    """The curves of a collection, "" for the whole scene; None where none with a type lies over the map.

    given: the sources of the engine's other inputs.
    """
    below = _maps(scene, spec, given)
    source = Source("curves", collection, {"maps": [entry.to_json() for entry in below]})
    found = curves.over(curves.members(scene, collection), curves.frames(scene, source))
    return source if found else None


def count(scene: bpy.types.Scene, source: Source) -> int:
    """How many curves lie on the map."""
    return len(curves.over(curves.members(scene, source.name), curves.frames(scene, source)))


def _maps(scene: bpy.types.Scene, spec: AlgorithmSpec, given: Mapping[str, tuple[Source, ...]]) -> list[Source]:
    """The engine's map, and the terrain that was made of it where that stands elsewhere: curves may be drawn on either."""
    port = map_port(spec)
    entries = given.get(port.name, ()) if port is not None else ()
    if not entries:
        return []
    found = [entries[0]]
    if entries[0].kind == "sketch":
        found += [Source("object", item.name) for item in scene.objects if _is_made_of(item, entries[0].name)]
    return found


def map_port(spec: AlgorithmSpec) -> Port | None:
    """The input that lines lie on: the first that is one map."""
    return next((port for port in spec.inputs if not port.many and port.kind.axes[:2] == ("H", "W")), None)


def _is_made_of(item: bpy.types.Object, sketch: str) -> bool:
    recipe = record.recipe_on(item) if record.RECIPE_KEY in item and item.type == "MESH" else None
    entries = [entry for given in (recipe or {}).get("scene", {}).get("sources", {}).values() for entry in given]
    return any(entry["kind"] == "sketch" and entry["name"] == sketch for entry in entries)
