"""A painting on the mesh whose picture was painted: its colours and the relief of the paint, in the place of what was read.

The material that was read stays in the file, with its image: what is painted again is painted from these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import bpy
import numpy as np

from ...shared.algorithm import Arrays
from ...shared.arrays import HEIGHT_MAP, STROKES, Array
from .. import textures, uv_sizes

ROUGHNESS = 0.5  # of a painted thing: less matt than most
_DEPTH = "SHORT"


def slot_of(recipe: Mapping[str, Any]) -> int | None:
    """The material slot of the mesh that was read, by a result's recipe; None where none was."""
    given = recipe.get("scene", {}).get("sources", {}).values()
    read = (entry for entries in given for entry in entries if entry["kind"] == "surface")
    return next((int(entry["options"].get("slot", 0)) for entry in read), None)


def put_on(
    target: bpy.types.Object, outputs: Arrays, *, slot: int, uv_layer: str, recipe: Mapping[str, Any]
) -> bpy.types.Material:
    """Give the faces of the slot the painting, laid out by the UVs that the picture was read by. Raises InvalidInput."""
    width = uv_sizes.of_square(target, uv_layer)[0]
    shown = {
        port: tuple(_on_square(array, width) if array.kind is HEIGHT_MAP else array for array in given)
        for port, given in outputs.items()
        if given and given[0].kind is not STROKES
    }
    return textures.put_in_slot(
        target, slot, shown, depth=_DEPTH, uv_layer=uv_layer, recipe=recipe, roughness=ROUGHNESS
    )


def _on_square(heights: Array, width: float) -> Array:
    """Heights as high as they are on a canvas of the UV square's width, Blender units."""
    scale = width / (heights.values.shape[1] * heights.pixel_size_m)
    attributes = {**heights.attributes, "pixel_size_m": heights.pixel_size_m * scale}
    return replace(heights, values=np.multiply(heights.values, np.float32(scale)), attributes=attributes)
