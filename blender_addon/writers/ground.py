"""What follows from an engine's maps at each pixel: how steep the ground is, and how rough it looks. Numbers alone, no bpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..shared.arrays import AREA_MAP, CLASS_MAP, MASK, Array

DRY, WET, WATER = 0.92, 0.4, 0.1  # roughness of a Principled surface
CLASS_ROUGHNESS = {
    "snow": 0.5,
    "ice": 0.35,
    "rock": 0.8,
    "water": WATER,
}  # by a word in the class's name; DRY for all others
STREAM_SHARE, RIVER_SHARE = (
    -3.5,
    -2.0,
)  # log10 of the map's area that drains through a pixel: where wet ground begins, and is wet
STREAM_SLOPE, DRY_SLOPE = np.radians(15.0), np.radians(35.0)  # water stays on gentle ground
BAND = 256  # rows at once, so that a large map has no double of itself


def slope(heights: np.ndarray, pixel_size_m: float) -> np.ndarray:
    """The angle to the horizontal in radians, float32 [H, W], by central differences; one-sided at the border."""
    steep = np.empty(heights.shape, np.float32)
    for first in range(0, len(heights), BAND):
        top, last = max(first - 1, 0), min(first + BAND + 1, len(heights))
        down, right = np.gradient(heights[top:last], pixel_size_m)
        own = slice(first - top, first - top + min(BAND, len(heights) - first))
        steep[first : first + BAND] = np.arctan(np.hypot(down[own], right[own]))
    return steep


def roughness(outputs: Mapping[str, Array], steepness: np.ndarray) -> np.ndarray:
    """Of the surface, float32 [H, W] 0..1: that of its class, smoother where water runs, and smooth where it stands.

    outputs: of the maps "classes", "flow" and "water" those that have the size of steepness, which is in radians.
    """
    rough = np.full(steepness.shape, DRY, np.float32)
    maps = {name: array for name, array in outputs.items() if array.values.shape == steepness.shape}
    classes, flow, water = maps.get("classes"), maps.get("flow"), maps.get("water")
    if classes is not None and classes.kind is CLASS_MAP:
        rough = _by_class(classes.attributes.get("names", ()))[classes.values]
    if flow is not None and flow.kind is AREA_MAP and "pixel_size_m" in flow.attributes:
        area = flow.values.size * flow.pixel_size_m**2
        order = np.log10(np.maximum(flow.values / area, 1e-9))
        wet = _smoothstep(order, STREAM_SHARE, RIVER_SHARE) * (1.0 - _smoothstep(steepness, STREAM_SLOPE, DRY_SLOPE))
        rough += (np.minimum(rough, WET) - rough) * wet
    if water is not None and water.kind is MASK:
        rough += (WATER - rough) * water.values
    return rough.astype(np.float32)


def _by_class(names: Sequence[str]) -> np.ndarray:
    """Roughness float32 [256] by class number."""
    table = np.full(256, DRY, np.float32)
    for number, name in enumerate(names):
        words = str(name).lower().split()
        table[number] = next((value for word, value in CLASS_ROUGHNESS.items() if word in words), DRY)
    return table


def _smoothstep(values: np.ndarray, low: float, high: float) -> np.ndarray:
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)
