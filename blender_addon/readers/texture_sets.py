"""The maps of a material -> a TEXTURE_SET: from one image, or from the images behind a material's Principled BSDF.

Colours become linear as their image's colour space says; every other map is taken as the numbers in its file. Maps of another size
than the base colour's are resampled to it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import bpy
import numpy as np

from ..shared import texture_set
from ..shared.algorithm import Port
from ..shared.arrays import Array
from ..shared.errors import InvalidInput
from ..shared.material_maps import COLORS, MAP_NAMES
from ..shared.sampling import bilinear
from . import images, shader_inputs
from .shader_inputs import Found

log = logging.getLogger(__name__)

_DIFFERENT_SHAPE = 0.02  # of the ratio of width to height: the maps do not cover the same surface


def of_image(image: bpy.types.Image) -> Array:
    """The image as base colour, with its transparency as alpha where it has some."""
    maps = {"base_color": images.color_image(image).values}
    opacity = images.alpha(image)
    if opacity is not None:
        maps["alpha"] = opacity
    return texture_set.stack(maps)


def cropped(given: Array, region: Sequence[int], name: str, port: Port) -> Array:
    """A rectangle of a set: left, bottom, columns and rows, from the lower left corner. Raises InvalidInput where it is none."""
    left, bottom, columns, rows = (int(side) for side in region)
    height, width = given.values.shape[:2]
    if min(left, bottom) < 0 or left + columns > width or bottom + rows > height:
        raise InvalidInput(
            f"The region of {name!r}, {columns} x {rows} px at {left}, {bottom}, goes beyond its {width} x {height} px.",
            hint="Draw it again in the Image Editor.",
            field=port.name,
        )
    if min(columns, rows) < port.least_px:
        raise InvalidInput(
            f"The region of {name!r} is {columns} x {rows} px; at least {port.least_px} are needed on each side.",
            hint="Draw a larger one in the Image Editor.",
            field=port.name,
        )
    kept = given.values[height - bottom - rows : height - bottom, left : left + columns]
    return Array(given.kind, np.ascontiguousarray(kept), given.attributes)


def of_material(material: bpy.types.Material, field: str = "") -> Array:
    """The maps of a material that is made of images. Raises InvalidInput, saying what to do, where it is not."""
    found, constants = shader_inputs.maps_of(material, field)
    maps = {name: _read(name, entry) for name, entry in found.items()}
    rows, columns = _size(material, found, maps, field)
    maps = {name: _resampled(values, rows, columns) for name, values in maps.items()}
    if "normal" in maps:
        maps["normal"] = _unit(maps["normal"])
    for name, value in constants.items():
        maps[name] = np.full((rows, columns, len(value)), value, np.float32)
    return texture_set.stack({name: maps[name] for name in MAP_NAMES if name in maps})


def _read(name: str, found: Found) -> np.ndarray:
    """[H, W, C] of one map."""
    if name in COLORS:
        return images.color_image(found.image).values
    if name == "normal":
        normals = images.normal_map(found.image).values
        return normals * np.array([1.0, -1.0, 1.0], np.float32) if found.y_down else normals
    values = images.channel(found.image, found.channel or 0)
    if found.inverted:
        values = 1.0 - values
    if name != "height":
        values = np.clip(values, 0.0, 1.0)
    elif images.has_eight_bits(found.image):
        log.warning("The height image %r has 8 bits per channel: its heights come in 256 steps.", found.image.name)
    return values[..., None]


def _size(
    material: bpy.types.Material, found: dict[str, Found], maps: dict[str, np.ndarray], field: str
) -> tuple[int, int]:
    """Rows and columns of the set: the base colour's, or the largest map's where there is none."""
    first = "base_color" if "base_color" in maps else max(maps, key=lambda name: maps[name].size)
    rows, columns = maps[first].shape[:2]
    for name, values in maps.items():
        if abs(values.shape[1] / values.shape[0] / (columns / rows) - 1.0) > _DIFFERENT_SHAPE:
            raise InvalidInput(
                f"The maps of the material {material.name!r} differ in shape: {found[first].image.name!r} is {columns} x "
                f"{rows} pixels, {found[name].image.name!r} is {values.shape[1]} x {values.shape[0]}.",
                hint="Crop or scale them to one shape.",
                field=field,
            )
    return rows, columns


def _resampled(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The map at another size: the mean over whole pixels first where it becomes smaller, then linearly between centres."""
    if values.shape[:2] == (rows, columns):
        return values
    down, across = max(1, values.shape[0] // rows), max(1, values.shape[1] // columns)
    if down > 1 or across > 1:
        kept = values[: values.shape[0] // down * down, : values.shape[1] // across * across]
        values = kept.reshape(kept.shape[0] // down, down, kept.shape[1] // across, across, -1).mean(axis=(1, 3))
    if values.shape[:2] == (rows, columns):
        return np.ascontiguousarray(values, np.float32)
    y, x = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    taken = bilinear(values, x.ravel() * values.shape[1], y.ravel() * values.shape[0])
    return np.ascontiguousarray(taken.reshape(rows, columns, -1), np.float32)


def _unit(normals: np.ndarray) -> np.ndarray:
    """Resampling shortens normals."""
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
