"""Image datablocks -> arrays: the stored numbers for heights, masks and classes, linear light for colours, top row
first.
"""

from __future__ import annotations

import logging

import bpy
import numpy as np

from .. import typed
from ..shared.arrays import CLASS_MAP, COLOR_IMAGE, COUNT_MAP, MASK, NORMAL_MAP, TEXTURE, Array, ArrayKind
from ..shared.arrays import height_map as make_height_map
from ..shared.classes import Classes, class_numbers
from ..shared.errors import InvalidInput
from ..shared.heights import implausible, likely_cause, place, undeclared_nodata

log = logging.getLogger(__name__)

MAX_CLASSES = 64
SNAP_HINT = "Paint over them with a class, or turn on Snap to Nearest Class under the input."
_LINEAR = {
    "Non-Color",
    "Linear Rec.709",
    "Linear",
    "Raw",
}  # scene linear by default: what is stored is what pixels shows


def height_map(image: bpy.types.Image, *, pixel_size_m: float, scale: float = 1.0, offset_m: float = 0.0) -> Array:
    """Red times scale plus offset_m, metres. An image of 8 bits a channel gives 256 steps and a warning in the log."""
    if has_eight_bits(image):
        log.warning("The image %r has 8 bits per channel: its heights come in steps of %g m.", image.name, scale / 255)
    stored = _stored(image)[..., 0]
    values = stored.astype(np.float64) * scale + offset_m
    _warn_of_heights(image, stored, values)
    return make_height_map(values, pixel_size_m)


def _warn_of_heights(image: bpy.types.Image, stored: np.ndarray, values: np.ndarray) -> None:
    """Words in the log about values that stand for no data and heights that no world has, as the reader of files has them."""
    known = np.isfinite(stored)
    if has_eight_bits(image) or not known.any():
        return
    for found in undeclared_nodata(stored, known):
        log.warning(
            "The image %r has %.7g in %d pixels (%s), which seems to stand for no data and makes pits or peaks.",
            *(image.name, found.value, np.count_nonzero(found.hole), place(found.hole)),
        )
        known = known & ~found.hole
    if not known.any():
        return
    low, high = float(values[known].min()), float(values[known].max())
    if implausible(low, high):
        log.warning("The image %r: %s: %s.", image.name, implausible(low, high), likely_cause(low, high))


def mask(image: bpy.types.Image) -> Array:
    """Red, cut to 0..1."""
    return Array(MASK, np.ascontiguousarray(np.clip(_stored(image)[..., 0], 0.0, 1.0), np.float32))


def measured_map(image: bpy.types.Image, kind: ArrayKind, *, pixel_size_m: float) -> Array:
    """Red as an area or a thickness, never below 0."""
    values = np.maximum(_stored(image)[..., 0], 0.0)
    return Array(kind, np.ascontiguousarray(values, np.float32), {"pixel_size_m": pixel_size_m})


def count_map(image: bpy.types.Image) -> Array:
    """Red as a whole number: as it is in a float image, 0 to 255 in one of 8 bits."""
    values = _stored(image)[..., 0] * (255.0 if has_eight_bits(image) else 1.0)
    return Array(COUNT_MAP, np.clip(np.rint(values), 0, 65535).astype(np.uint16))


def normal_map(image: bpy.types.Image) -> Array:
    """Normals as images hold them, -1..1 in 0..1, made unit vectors again; one without a direction points up."""
    values = _stored(image)[..., :3].astype(np.float64) * 2.0 - 1.0
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    unit = np.where(length > 1e-3, values / np.maximum(length, 1e-3), (0.0, 0.0, 1.0))
    return Array(NORMAL_MAP, np.ascontiguousarray(np.clip(unit, -1.0, 1.0), np.float32))


def class_map(image: bpy.types.Image, classes: Classes = (), *, snap: bool = False) -> Array:
    """The class that each pixel's colour stands for in the palette that the port declares. snap: a colour that is none of them
    counts as the nearest, instead of being refused.

    Without a palette each colour of the image is a class, numbered from 0 from the darkest to the brightest: flat colours, hard
    edges. Raises InvalidInput where there are then more colours than a person paints on purpose.
    """
    if classes:
        numbers = class_numbers(
            _encoded(image), classes, snap=snap, what=repr(image.name), hint=SNAP_HINT, field=image.name
        )
        return Array(CLASS_MAP, numbers)
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


def channel(image: bpy.types.Image, number: int) -> np.ndarray:
    """[H, W] float32, the numbers of one channel as they are in the file: 0 red to 3 alpha; the last one where there are fewer."""
    stored = _stored(image)
    return np.ascontiguousarray(stored[..., min(number, stored.shape[-1] - 1)], np.float32)


def alpha(image: bpy.types.Image) -> np.ndarray | None:
    """[H, W] float32 0..1, how opaque the image is; None where it is opaque throughout or its alpha means nothing."""
    if image.alpha_mode in ("NONE", "CHANNEL_PACKED") or image.channels < 4:
        return None
    opacity = np.clip(_pixels(image)[..., 3], 0.0, 1.0)
    return np.ascontiguousarray(opacity, np.float32) if opacity.min() < 1.0 else None


def texture(image: bpy.types.Image) -> Array:
    """sRGB colours in 16 bits."""
    return Array(TEXTURE, np.ascontiguousarray(np.rint(np.clip(_encoded(image), 0.0, 1.0) * 65535.0), np.uint16))


def _encoded(image: bpy.types.Image) -> np.ndarray:
    """[H, W, 3] sRGB colours 0..1, whatever the image is stored as."""
    if not image.is_float:
        return _pixels(image)[..., :3]
    linear = np.clip(_pixels(image)[..., :3], 0.0, None)
    if typed.present(image.colorspace_settings).is_data:
        return linear  # someone has said that these are no light but numbers: the file's own
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)  # IEC 61966-2-1


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
            hint="Save one tile as a separate image.",
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
