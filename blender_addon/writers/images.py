"""Arrays -> image datablocks that keep every bit: 32-bit float, packed into the file, rows turned for Blender.

An image that is neither packed nor saved is black after a save and reload, so each one is packed here.
"""

from __future__ import annotations

import bpy
import numpy as np

from .. import typed
from ..shared.arrays import COLOR_IMAGE, Array, ArrayKind
from ..shared.errors import InvalidInput

_KEY, _PIXEL_SIZE_KEY = "relievo_map", "relievo_pixel_size_m"  # custom properties of the images made here


def ours(name: str) -> bpy.types.Image | None:
    """The image of this name if it was made here and may be written over."""
    image = bpy.data.images.get(name)
    return image if image is not None and _KEY in image else None


def kind_of(image: bpy.types.Image) -> str:
    """Name of the array kind of an image made here, "" for any other."""
    return str(image.get(_KEY, ""))


def mark(image: bpy.types.Image, kind: ArrayKind) -> None:
    """Say what an image made here holds."""
    image[_KEY] = kind.name


def pixel_size_of(image: bpy.types.Image) -> float:
    """Metres a pixel of an image made here, 0 where that is not known."""
    return float(image.get(_PIXEL_SIZE_KEY, 0.0))


def build(name: str, array: Array, into: bpy.types.Image | None = None) -> bpy.types.Image:
    """The array as a packed 32-bit float image, value for value; a single channel fills red, green and blue.

    into: an image to write to instead, resized where it has to be, so that everything that uses it goes on using it.
    Numbers are Non-Color; a COLOR_IMAGE is Linear Rec.709.
    """
    rows, columns = array.values.shape[:2]
    image = (
        into
        if into is not None
        else bpy.data.images.new(name, columns, rows, alpha=False, float_buffer=True, is_data=True)
    )
    if not image.is_float:
        raise InvalidInput(f"The image {image.name!r} has 8 bits a channel.", hint="Take a 32-bit float image.")
    space = "Linear Rec.709" if array.kind is COLOR_IMAGE else "Non-Color"
    if typed.color_space(image) != space:  # setting it, even to the same, loads the packed pixels again
        typed.set_color_space(image, space)
    if typed.size(image) != (columns, rows):
        image.scale(columns, rows)
    mark(image, array.kind)
    if "pixel_size_m" in array.attributes:
        image[_PIXEL_SIZE_KEY] = float(array.attributes["pixel_size_m"])
    image.use_half_precision = False  # the viewport's texture; half floats step by a metre from 1 km up
    typed.write_pixels(image, _pixels(array))
    image.update()
    image.pack()
    return image


def _pixels(array: Array) -> np.ndarray:
    """[H, W, 4] float32, bottom row first."""
    values = array.values[::-1]
    pixels = np.empty((*values.shape[:2], 4), np.float32)
    pixels[..., :3] = values if values.ndim == 3 else values[..., None]
    pixels[..., 3] = 1.0
    return pixels
