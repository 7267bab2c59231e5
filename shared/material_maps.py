"""The maps of a material by their names, and what the attribute `maps` of a TEXTURE_SET says of its channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import InvalidInput

COLORS = ("base_color", "emission")
MAP_NAMES = (
    *("base_color", "roughness", "metallic", "specular", "alpha", "normal", "height"),
    *("ambient_occlusion", "emission"),
)


@dataclass(frozen=True)
class Map:
    """One map of a set. color_space: "linear" or "data"."""

    name: str
    channels: int
    color_space: str


def described(given: Any, channels: int, what: str, field: str = "") -> tuple[Map, ...]:
    """The maps that the attribute describes; InvalidInput, about `what` and naming the port `field`, where it does not."""
    if not isinstance(given, (list, tuple)) or not given:
        raise InvalidInput(f"{what} does not say which maps it holds (attribute maps).", field=field)
    found = []
    for entry in given:
        if (
            not isinstance(entry, Mapping)
            or entry.get("name") not in MAP_NAMES
            or not isinstance(entry.get("channels"), int)
            or entry["channels"] < 1
            or entry.get("color_space") not in ("linear", "data")
        ):
            raise InvalidInput(
                f"{what} holds the map {entry!r}, which is not known.",
                hint=f"Maps are: {', '.join(MAP_NAMES)}, each with channels and color_space (linear or data).",
                field=field,
            )
        found.append(Map(entry["name"], entry["channels"], entry["color_space"]))
    if len({entry.name for entry in found}) != len(found):
        raise InvalidInput(f"{what} holds one map twice.", field=field)
    if sum(entry.channels for entry in found) != channels:
        raise InvalidInput(
            f"{what} has {channels} channels; its maps describe {sum(entry.channels for entry in found)}.",
            field=field,
        )
    return tuple(found)
