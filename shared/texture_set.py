"""The maps of one material in one array: how a TEXTURE_SET is put together, taken apart and checked.

Channels are stacked in the order of the attribute `maps`, a list of {"name", "channels", "color_space"}. Names are those of
Blender's Principled BSDF in lower case: base_color, roughness, metallic, specular, alpha, normal (OpenGL, -1 to 1), height (metres,
or 0 to 1 where there is no scale), ambient_occlusion, emission. color_space is "linear" for colours, "data" for everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import TEXTURE_SET, Array
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


def stack(maps: Mapping[str, np.ndarray], **attributes: Any) -> Array:
    """A TEXTURE_SET of float maps [H, W] or [H, W, C] by their names, in their order. All have one size."""
    layers = {name: np.asarray(values, np.float32).reshape(*values.shape[:2], -1) for name, values in maps.items()}
    described = [
        {"name": name, "channels": layer.shape[2], "color_space": "linear" if name in COLORS else "data"}
        for name, layer in layers.items()
    ]
    return Array(TEXTURE_SET, np.concatenate(list(layers.values()), axis=2), {**attributes, "maps": described})


def split(array: Array) -> dict[str, np.ndarray]:
    """The set's maps by name, each [H, W, C] float32: views of the array, no copies."""
    parts, start = {}, 0
    for entry in maps_of(array):
        parts[entry.name] = array.values[..., start : start + entry.channels]
        start += entry.channels
    return parts


def maps_of(array: Array, name: str = "") -> tuple[Map, ...]:
    """What the attribute `maps` says; InvalidInput, naming the port `name`, where it does not describe the channels."""
    what = f"Input {name!r}" if name else "The TEXTURE_SET"
    given = array.attributes.get("maps")
    if not isinstance(given, (list, tuple)) or not given:
        raise InvalidInput(f"{what} does not say which maps it holds (attribute maps).", field=name)
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
                field=name,
            )
        found.append(Map(entry["name"], entry["channels"], entry["color_space"]))
    if len({entry.name for entry in found}) != len(found):
        raise InvalidInput(f"{what} holds one map twice.", field=name)
    if array.values.ndim == 3 and sum(entry.channels for entry in found) != array.values.shape[2]:
        raise InvalidInput(
            f"{what} has {array.values.shape[2]} channels; its maps describe {sum(entry.channels for entry in found)}.",
            field=name,
        )
    return tuple(found)
