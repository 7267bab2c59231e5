"""The maps of one material in one array: how a TEXTURE_SET is put together, taken apart and checked.

Channels are stacked in the order of the attribute `maps`, a list of {"name", "channels", "color_space"}. Names are those of
Blender's Principled BSDF in lower case: base_color, roughness, metallic, specular, alpha, normal (OpenGL, -1 to 1), height (metres,
or 0 to 1 where there is no scale), ambient_occlusion, emission. color_space is "linear" for colours, "data" for everything else.
The attribute `repeats` ("x", "y" or "xy"), if there is one, says in which directions the maps tile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .arrays import TEXTURE_SET, Array
from .material_maps import COLORS, Map, described


def stack(maps: Mapping[str, np.ndarray], **attributes: Any) -> Array:
    """A TEXTURE_SET of float maps [H, W] or [H, W, C] by their names, in their order. All have one size."""
    layers = {name: np.asarray(values, np.float32).reshape(*values.shape[:2], -1) for name, values in maps.items()}
    described = [
        {"name": name, "channels": layer.shape[2], "color_space": "linear" if name in COLORS else "data"}
        for name, layer in layers.items()
    ]
    return Array(TEXTURE_SET, np.concatenate(list(layers.values()), axis=2), {**attributes, "maps": described})


def of_layers(values: np.ndarray, widths: Mapping[str, int], **attributes: Any) -> Array:
    """A TEXTURE_SET of maps that lie stacked already: float32 [H, W, C], with the number of channels of each by its name."""
    described = [
        {"name": name, "channels": width, "color_space": "linear" if name in COLORS else "data"}
        for name, width in widths.items()
    ]
    return Array(TEXTURE_SET, values, {**attributes, "maps": described})


def split(array: Array) -> dict[str, np.ndarray]:
    """The set's maps by name, each [H, W, C] float32: views of the array, no copies."""
    parts, start = {}, 0
    for entry in maps_of(array):
        parts[entry.name] = array.values[..., start : start + entry.channels]
        start += entry.channels
    return parts


def maps_of(array: Array) -> tuple[Map, ...]:
    """The maps that a set holds, in the order of its channels. Raises InvalidInput where it does not describe them."""
    return described(array.attributes.get("maps"), array.values.shape[-1], "The TEXTURE_SET")
