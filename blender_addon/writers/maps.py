"""An engine's outputs -> images alone: packed, each in its own colour space, saved with the file although nothing uses them.

What is no raster (a mesh, strokes, a report) is left to the writers that know it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy

from ..shared import texture_set
from ..shared.algorithm import Arrays
from ..shared.arrays import COLOR_IMAGE, HEIGHT_MAP, MASK, NORMAL_MAP, TEXTURE, TEXTURE_SET, Array, ArrayKind
from ..shared.classes import in_names
from ..shared.errors import InvalidInput
from . import images, record, texture_images

_SET_KINDS: Mapping[str, ArrayKind] = {
    "base_color": COLOR_IMAGE,
    "emission": COLOR_IMAGE,
    "normal": NORMAL_MAP,
    "height": HEIGHT_MAP,
}


def make(outputs: Arrays, *, name: str, recipe: Mapping[str, Any] | None = None) -> dict[str, bpy.types.Image]:
    """An image for each raster among the outputs, by port; a TEXTURE_SET gives one for each of its maps, as "port map". Raises
    InvalidInput where there is none.
    """
    apart = with_sets_split(with_names_split(outputs))
    found = {port: given for port, given in apart.items() if given and is_raster(given[0])}
    if not found:
        raise InvalidInput("There is no map among the outputs.", field="output")
    made = {}
    for port, given in found.items():
        image = made[port] = image_of(f"{name} {port}", given)
        images.keep(image)
        if recipe:
            record.write_recipe(image, recipe)
    return made


def image_of(name: str, given: Sequence[Array]) -> bpy.types.Image:
    """A packed image of one output, at full precision; a tiled one where it has UDIM tiles."""
    if given[0].kind is TEXTURE or len(given) > 1:
        return texture_images.build(name, given, depth="SHORT" if given[0].kind is TEXTURE else "FLOAT")
    return images.build(name, given[0])


def is_raster(array: Array) -> bool:
    return array.kind.axes[:2] == ("H", "W")


def with_names_split(outputs: Arrays) -> dict[str, tuple[Array, ...]]:
    """The outputs with each port whose arrays have names of their own taken apart: a density of "Forest" is "density_forest"."""
    apart: dict[str, tuple[Array, ...]] = {}
    for port, given in outputs.items():
        if given and all("name" in array.attributes for array in given):
            apart |= {f"{port}_{in_names(str(array.attributes['name']))}": (array,) for array in given}
        else:
            apart[port] = tuple(given)
    return apart


def with_sets_split(outputs: Arrays) -> dict[str, tuple[Array, ...]]:
    """The outputs with each TEXTURE_SET taken apart: arrays of kinds that writers know, as "port map". UDIM tiles stay together."""
    apart: dict[str, tuple[Array, ...]] = {}
    for port, given in outputs.items():
        if not given or given[0].kind is not TEXTURE_SET:
            apart[port] = tuple(given)
            continue
        for array in given:
            for name, array_of_map in split(array).items():
                apart[f"{port} {name}"] = (*apart.get(f"{port} {name}", ()), array_of_map)
    return apart


def split(array: Array) -> dict[str, Array]:
    """The maps of a TEXTURE_SET by their names: colours linear, normals -1..1, heights as they are, everything else 0..1."""
    made = {}
    for name, values in texture_set.split(array).items():
        kind = _SET_KINDS.get(name, MASK)
        channels = values[..., 0] if len(kind.axes) == 2 else values
        made[name] = Array(kind, channels, {key: value for key, value in array.attributes.items() if key != "maps"})
    return made
