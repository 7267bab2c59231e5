"""A camera's background image -> the bytes of its photograph, as they lie on disk or in the .blend.

Nothing is decoded here unless it has to be: a photograph is sent as the file that it is. Reading Image.size would load all pixels,
so sizes come from the file's header.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from .. import typed
from ..datablocks.camera import PHOTOGRAPH_KEY
from ..shared import png
from ..shared.arrays import PHOTOGRAPH, Array
from ..shared.cameras.image_header import image_size
from ..shared.errors import InvalidInput
from . import cameras


@dataclass(frozen=True)
class Photograph:
    """A camera's photograph. data: uint8 [N], a file's bytes. size: width and height in pixels."""

    name: str
    data: np.ndarray
    size: tuple[int, int]

    @property
    def array(self) -> Array:
        return Array(PHOTOGRAPH, self.data, {"name": self.name})


def has_photograph(item: bpy.types.Object) -> bool:
    """Whether a photograph belongs to this camera; its file may be gone all the same. Cheap: for draw()."""
    return bool(typed.camera(item).get(PHOTOGRAPH_KEY)) or cameras.backdrop_of(item) is not None


def read(item: bpy.types.Object) -> Photograph:
    """The photograph of a camera object. Raises InvalidInput, naming camera and file, where there is none to be had."""
    path, backdrop = typed.camera(item).get(PHOTOGRAPH_KEY), cameras.backdrop_of(item)
    if path:
        data, name = _on_disk(Path(bpy.path.abspath(str(path))), item), Path(str(path)).name
    elif backdrop is not None:
        data, name = _of_image(typed.present(backdrop.image), item)
    else:
        raise InvalidInput(
            f"The camera {item.name!r} has no photograph.",
            hint="Add one under Object Data > Background Images, or take the camera out of the set.",
            field=item.name,
        )
    size = _size(data, name, item)
    wanted = cameras.recorded_size(item)
    if wanted is not None and wanted != size:
        raise InvalidInput(
            f"Photo {name} is {size[0]} x {size[1]}, its camera {item.name!r} says {wanted[0]} x {wanted[1]}.",
            hint="Pick the original photograph, or import the cameras that belong to this one.",
            field=item.name,
        )
    return Photograph(name, data, size)


def _on_disk(path: Path, item: bpy.types.Object) -> np.ndarray:
    """The file's bytes, mapped: they are read when they are needed and take no memory until then."""
    try:
        if path.stat().st_size:
            return np.memmap(path, np.uint8, "r").view(np.ndarray)
    except OSError as error:
        raise InvalidInput(
            f"The photograph {path} of the camera {item.name!r} cannot be read: {error.strerror}.",
            hint="Put it back, or import the cameras again with the right images folder.",
            field=item.name,
        ) from error
    raise InvalidInput(
        f"The photograph {path} of the camera {item.name!r} is empty.", hint="Copy it again.", field=item.name
    )


def _of_image(image: bpy.types.Image, item: bpy.types.Object) -> tuple[np.ndarray, str]:
    """Bytes and name of an image datablock's photograph."""
    if image.source not in ("FILE", "GENERATED", "VIEWER"):
        raise InvalidInput(
            f"The photograph of the camera {item.name!r} is a {image.source.lower()}, not a single picture.",
            hint="Use one still image per camera.",
            field=item.name,
        )
    path = Path(bpy.path.abspath(image.filepath, library=image.library))
    name = path.name or image.name
    if image.source != "FILE" or image.is_dirty:
        return _written(image, item), image.name
    packed = image.packed_file
    data = np.frombuffer(packed.data, np.uint8) if packed is not None else _on_disk(path, item)
    return (data, name) if _is_sent_as_it_is(data) else (_written(image, item), name)


def _is_sent_as_it_is(data: np.ndarray) -> bool:
    """Whether these are the bytes of a kind of file that every backend decodes: JPEG, PNG, TIFF or WebP."""
    try:
        image_size(data[: 1 << 20].tobytes())
    except InvalidInput:
        return False
    return True


def _written(image: bpy.types.Image, item: bpy.types.Object) -> np.ndarray:
    """An image that is no file of such a kind, or was painted on since, as the bytes of a PNG. Not by Image.copy(), which forgets
    what was painted.
    """
    columns, rows = typed.size(image)
    pixels = typed.read_pixels(image)
    if not pixels.size or pixels.size != columns * rows * image.channels:
        raise InvalidInput(
            f"The photograph {image.name!r} of the camera {item.name!r} has no pixels.",
            hint="Check that its file is still there.",
            field=item.name,
        )
    colors = pixels.reshape(rows, columns, image.channels)[::-1, :, :3]
    if image.channels < 3:
        colors = np.repeat(colors[..., :1], 3, axis=-1)
    if (
        image.is_float and not typed.present(image.colorspace_settings).is_data
    ):  # bytes are kept as stored, floats are linear light
        light = np.clip(colors, 0.0, 1.0)
        colors = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)  # IEC 61966-2-1
    return png.from_values(colors, bits=16 if image.is_float else 8)


def _size(data: np.ndarray, name: str, item: bpy.types.Object) -> tuple[int, int]:
    try:
        return image_size(data)
    except InvalidInput as error:
        raise InvalidInput(
            f"The photograph {name} of the camera {item.name!r} is not a readable image: {error.message}",
            hint="JPEG, PNG, TIFF and WebP are supported.",
            field=item.name,
        ) from error
