"""Image datablocks -> arrays: the stored numbers for heights, masks and classes, linear light for colours, top row
first.
"""

from __future__ import annotations

import logging

import bpy
import numpy as np

from .. import typed
from ..shared.arrays import CLASS_MAP, COLOR_IMAGE, MASK, Array
from ..shared.arrays import height_map as make_height_map
from ..shared.errors import InvalidInput

log = logging.getLogger(__name__)

MAX_CLASSES = 64
_LINEAR = {
    "Non-Color",
    "Linear Rec.709",
    "Linear",
    "Raw",
}  # scene linear by default: what is stored is what pixels shows


def height_map(image: bpy.types.Image, *, pixel_size_m: float, scale: float = 1.0, offset_m: float = 0.0) -> Array:
    """Red times scale plus offset_m, metres. An image of 8 bits a channel gives 256 steps and a warning in the log."""
    if has_eight_bits(image):
        log.warning("The image %r has 8 bits a channel: its heights come in steps of %g m.", image.name, scale / 255)
    values = _stored(image)[..., 0].astype(np.float64) * scale + offset_m
    return make_height_map(values, pixel_size_m)


def mask(image: bpy.types.Image) -> Array:
    """Red, cut to 0..1."""
    return Array(MASK, np.ascontiguousarray(np.clip(_stored(image)[..., 0], 0.0, 1.0), np.float32))


def class_map(image: bpy.types.Image) -> Array:
    """One class for each colour in the image, numbered from 0 from the darkest to the brightest: flat colours, hard
    edges.

    Raises InvalidInput where there are more colours than a person paints on purpose.
    """
    pixels = np.round(_stored(image)[..., :3] * 255.0).astype(np.int64)
    luma = pixels @ np.array([2126, 7152, 722])
    key = luma << 24 | pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    colors, number = np.unique(key, return_inverse=True)
    if len(colors) > MAX_CLASSES:
        raise InvalidInput(
            f"The image {image.name!r} has {len(colors)} different colours; a class map has up to {MAX_CLASSES}.",
            hint="Paint it with flat colours and a hard brush, without smoothing.",
            field=image.name,
        )
    return Array(CLASS_MAP, number.reshape(key.shape).astype(np.uint8))


def color_image(image: bpy.types.Image) -> Array:
    """Linear RGB. Bytes are stored as the image's colour space says, floats are linear already."""
    pixels = _pixels(image)[..., :3]
    if not image.is_float and typed.color_space(image) == "sRGB":
        pixels = np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    return Array(COLOR_IMAGE, np.ascontiguousarray(np.maximum(pixels, 0.0), np.float32))


def has_eight_bits(image: bpy.types.Image) -> bool:
    """Whether the image holds no more than 256 levels a channel: enough for a mask, too few for heights."""
    return not image.is_float


def _stored(image: bpy.types.Image) -> np.ndarray:
    """[H, W, C] float32 as it is in the file. A float image said to be sRGB has been bent on loading: read a copy
    said to be data.
    """
    if not image.is_float or typed.color_space(image) in _LINEAR:
        return _pixels(image)
    straight = image.copy()
    try:
        typed.set_color_space(straight, "Non-Color")
        return _pixels(straight)
    finally:
        bpy.data.images.remove(straight)


def _pixels(image: bpy.types.Image) -> np.ndarray:
    """[H, W, C] float32, top row first. Raises InvalidInput where there are none to be had."""
    if image.source == "TILED":
        raise InvalidInput(
            f"The image {image.name!r} is made of UDIM tiles.",
            hint="Take one tile as an image of its own.",
            field=image.name,
        )
    columns, rows = typed.size(image)
    if not columns or not rows:
        raise InvalidInput(
            f"The image {image.name!r} has no pixels.", hint="Check that its file is still there.", field=image.name
        )
    pixels = typed.read_pixels(image)
    if pixels.size != rows * columns * image.channels:
        raise InvalidInput(
            f"The pixels of {image.name!r} cannot be read.",
            hint="Save it as a plain image and open that.",
            field=image.name,
        )
    return pixels.reshape(rows, columns, image.channels)[::-1]
