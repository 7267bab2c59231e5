"""What an engine's own earlier result was made from: Generate, pressed with the result selected, takes the same source again.

Reads the recipe that lies on the object, and no datablock of the source. Cheap: for draw().
"""

from __future__ import annotations

import bpy

from ..readers.source import Source, from_json
from ..shared.algorithm import AlgorithmSpec, Port
from ..writers import record


def made_from(spec: AlgorithmSpec, port: Port, item: bpy.types.Object) -> Source | None:
    """Where the engine took this input from when it made the object; None where it has not, or where that is gone."""
    recipe = record.recipe_on(item)
    if recipe is None or recipe["algorithm"] != spec.name:
        return None
    entries = recipe.get("scene", {}).get("sources", {}).get(port.name)
    if not entries:
        return None
    source = from_json(entries[0])
    there = {"object": bpy.data.objects, "image": bpy.data.images}.get(source.kind)
    return source if there is None or source.name in there else None
