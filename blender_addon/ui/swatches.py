"""Icons of one colour, for the buttons of classes. Made when first asked for, removed with the add-on."""

from __future__ import annotations

from typing import Any

import bpy
import bpy.utils.previews
import numpy as np

SIDE_PX, RIM_PX = 32, 3

_icons: Any = None


def icon(color: tuple[float, float, float]) -> int:
    """Number of an icon in an sRGB colour 0..1, with a thin dark rim, for icon_value."""
    global _icons
    if _icons is None:
        _icons = bpy.utils.previews.new()
    key = ",".join(f"{value:.4f}" for value in color)
    if key not in _icons:
        made = _icons.new(key)
        pixels = np.zeros((SIDE_PX, SIDE_PX, 4), np.float32)
        inner = slice(RIM_PX, SIDE_PX - RIM_PX)
        pixels[inner, inner] = (0.0, 0.0, 0.0, 0.7)
        inner = slice(RIM_PX + 1, SIDE_PX - RIM_PX - 1)
        pixels[inner, inner] = (*color, 1.0)
        made.icon_size = (SIDE_PX, SIDE_PX)
        made.icon_pixels_float.foreach_set(pixels.ravel())
    return int(_icons[key].icon_id)


def register() -> None:
    """Nothing is made before it is drawn."""


def unregister() -> None:
    global _icons
    if _icons is not None:
        bpy.utils.previews.remove(_icons)
        _icons = None
