"""Arrays -> image datablocks that keep every bit: 32-bit float, packed into the file, rows turned for Blender.

An image that is neither packed nor saved is black after a save and reload, so each one is packed here.
"""

from __future__ import annotations

import bpy
import numpy as np

from .. import typed
from ..shared.arrays import NORMAL_MAP, Array, ArrayKind
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


def how_it_is_shown(image: bpy.types.Image) -> str:
    """Why an image made here may look white or black all over, "" for one that looks like what it holds."""
    in_units = kind_of(image) in ("HEIGHT_MAP", "AREA_MAP", "THICKNESS_MAP")
    return "Data image: values above 1 display as white" if in_units else ""


def build(name: str, array: Array, into: bpy.types.Image | None = None) -> bpy.types.Image:
    """The array as a packed 32-bit float image, value for value; a single channel fills red, green and blue.

    into: an image to write to instead, resized where it has to be, so that everything that uses it goes on using it.
    Numbers are Non-Color, linear colours Linear Rec.709. Normals are stored as normal map nodes read them, -1..1 in 0..1.
    """
    rows, columns = array.values.shape[:2]
    image = (
        into
        if into is not None
        else bpy.data.images.new(name, columns, rows, alpha=False, float_buffer=True, is_data=True)
    )
    if not image.is_float:
        raise InvalidInput(f"The image {image.name!r} has 8 bits per channel.", hint="Take a 32-bit float image.")
    space = "Linear Rec.709" if array.kind.color_space == "linear" else "Non-Color"
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


def show(image: bpy.types.Image, array: Array) -> None:
    """Write an array into a float image without packing it, resized where it has to be: for previews."""
    rows, columns = array.values.shape[:2]
    if typed.size(image) != (columns, rows):
        image.scale(columns, rows)
    typed.write_pixels(image, _pixels(array))
    image.update()


def renew(node: bpy.types.ShaderNodeTexImage, image: bpy.types.Image) -> None:
    """Put an image in the place of a node's old one, wherever else that is used as well; the old one goes, its name stays."""
    old = node.image
    node.image = image
    if old is None:
        return
    old.user_remap(image)
    name = old.name
    if not old.users:
        bpy.data.images.remove(old)
        image.name = name


def keep(image: bpy.types.Image, name: str = "") -> None:
    """See to it that an image that nothing uses is saved with the file all the same. name: of the one that it replaces, if that was
    made here and nothing has come to use it.
    """
    old = ours(name)
    if old is not None and old != image and old.users <= 1 and old.use_fake_user:
        bpy.data.images.remove(old)
        image.name = name
    image.use_fake_user = True


def _pixels(array: Array) -> np.ndarray:
    """[H, W, 4] float32, bottom row first. Channels beyond the array's own are 0, alpha is 1."""
    values = array.values[::-1]
    pixels = np.zeros((*values.shape[:2], 4), np.float32)
    if values.ndim == 2:
        pixels[..., :3] = values[..., None]
    else:
        pixels[..., : min(3, values.shape[2])] = values[..., :3]
    if array.kind is NORMAL_MAP:
        pixels[..., :3] = 0.5 * pixels[..., :3] + 0.5
    pixels[..., 3] = 1.0
    return pixels
