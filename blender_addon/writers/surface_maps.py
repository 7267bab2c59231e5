"""What a surface engine has made, as the maps of one material: which output is which input of Blender's Principled shader.

No bpy here: surface_nodes.py wires them, texture_images.py makes images of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..shared.algorithm import Arrays
from ..shared.arrays import COLOR_IMAGE, HEIGHT_MAP, NORMAL_MAP, TEXTURE, TEXTURE_SET, Array
from ..shared.errors import InvalidInput
from . import maps

BASE_COLOR = "base_color"
_ROLES = {TEXTURE: BASE_COLOR, COLOR_IMAGE: BASE_COLOR, NORMAL_MAP: "normal", HEIGHT_MAP: "height"}


@dataclass(frozen=True)
class SurfaceMap:
    """name: of the port, or of the map in its set. role: a name of shared/texture_set.py, "" for what the material only keeps at
    hand. is_of_set: whether its numbers are part of the look, and not only about it. repeats: whether it may go on beyond the unit
    square, with a seam where it was not made to tile.
    """

    name: str
    role: str
    arrays: tuple[Array, ...]
    is_of_set: bool = False
    repeats: bool = False


def of(outputs: Arrays) -> list[SurfaceMap]:
    """The maps of one material, its base colour first; each role once. Raises InvalidInput where there is nothing to see."""
    found: list[SurfaceMap] = []
    taken: set[str] = set()
    for port, given in sorted(outputs.items(), key=lambda entry: _rank(entry[1])):
        if not given:
            continue
        if given[0].kind is TEXTURE_SET:
            apart = [maps.split(array) for array in given]
            goes_on = repeats(given[0])
            for name in apart[0]:
                role = name if name not in taken else ""
                taken.add(role)
                found.append(SurfaceMap(name, role, tuple(parts[name] for parts in apart), True, goes_on))
        elif maps.is_raster(given[0]):
            role = _ROLES.get(given[0].kind, "")
            role = role if role not in taken else ""
            taken.add(role)
            found.append(SurfaceMap(port, role, tuple(given)))
    if not taken - {""}:
        raise InvalidInput("There is no texture among the outputs.", field="texture")
    return sorted(found, key=lambda entry: entry.role != BASE_COLOR)


def repeats(array: Array) -> bool:
    """Whether a set says that its maps go on at their opposite edges (attribute repeats: "x", "y", "xy")."""
    return array.attributes.get("repeats") in ("x", "y", "xy")


def _rank(given: tuple[Array, ...]) -> int:
    """Sets first, then textures: what they have decides what a single map beside them is."""
    order = (TEXTURE_SET, TEXTURE, COLOR_IMAGE)
    return order.index(given[0].kind) if given and given[0].kind in order else len(order)
