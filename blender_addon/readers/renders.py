"""A render's pixels, which Blender hands out only as a file: as they are seen, with the scene's view transform.

A render as seen is what a photograph of the same thing would be: a sample of colours from black to white. What was set for the
scene's own output files is as before afterwards.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from .. import compat
from ..datablocks import region
from ..shared.errors import InvalidInput


@contextmanager
def readable(image: bpy.types.Image, scene: bpy.types.Scene) -> Iterator[bpy.types.Image]:
    """The image itself, and in the place of a Render Result or a Viewer a copy in 16 bits, sRGB, as long as it is read.

    Raises InvalidInput where there is no render.
    """
    if not region.is_render(image):
        yield image
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{bpy.path.clean_name(image.name)}.png"
        with compat.output_as_png(scene):
            try:
                image.save_render(str(path), scene=scene)
            except RuntimeError as error:
                raise InvalidInput(
                    f"{image.name} is empty: nothing has been rendered yet.",
                    hint="Render the scene first (F12), or pick another image.",
                    field=image.name,
                ) from error
        copy = bpy.data.images.load(str(path))
        try:
            yield copy
        finally:
            bpy.data.images.remove(copy)
