"""What an image is as a sample: the rectangle of it that is taken, and for a texture that was made in an Image Editor the image
that it was made from. Both belong to the image and are saved with it.

Pixels count from the lower left corner, as the Image Editor counts them.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import typed

_SAMPLE_KEY = "relievo_sample"
Region = tuple[int, int, int, int]  # left, bottom, columns, rows


def _begin_with_all(self: Any, _context: bpy.types.Context) -> None:
    """A region that nobody has drawn yet is the whole image."""
    columns, rows = size(self.id_data, bpy.context.scene)
    if self.is_used and not (self.width and self.height):
        self.x, self.y, self.width, self.height = 0, 0, columns, rows


class RELIEVO_PG_region(bpy.types.PropertyGroup):
    """A rectangle of an image."""

    is_used: bpy.props.BoolProperty(
        name="Only a Region",
        description="Take a rectangle of the image as the sample, instead of all of it",
        update=_begin_with_all,
    )
    x: bpy.props.IntProperty(name="X", description="Left side of the region", min=0, subtype="PIXEL")
    y: bpy.props.IntProperty(name="Y", description="Lower side of the region", min=0, subtype="PIXEL")
    width: bpy.props.IntProperty(name="Width", description="Columns of the region", min=0, subtype="PIXEL")
    height: bpy.props.IntProperty(name="Height", description="Rows of the region", min=0, subtype="PIXEL")


def settings_of(image: bpy.types.Image) -> Any:
    """The image's settings, for draw()."""
    return image.relievo_region  # pyright: ignore[reportAttributeAccessIssue]  # registered here


def of(image: bpy.types.Image) -> Region | None:
    """The rectangle of an image that is the sample, None where all of it is."""
    found = settings_of(image)
    return (found.x, found.y, found.width, found.height) if found.is_used else None


def set_on(image: bpy.types.Image, region: Region) -> None:
    """Make a rectangle the sample."""
    found = settings_of(image)
    found.x, found.y, found.width, found.height = region
    found.is_used = True


def note_sample(image: bpy.types.Image, sample: bpy.types.Image) -> None:
    """Say of a texture what it was made from."""
    image[_SAMPLE_KEY] = sample.name


def sample_of(image: bpy.types.Image) -> bpy.types.Image:
    """What another texture is made from where this image is shown: the image itself, or the sample that it was made from, so that a
    person who presses the button twice gets two textures of one sample.
    """
    return bpy.data.images.get(str(image.get(_SAMPLE_KEY, ""))) or image


def is_render(image: bpy.types.Image) -> bool:
    """Whether it is a Render Result or a Viewer, whose pixels Blender does not hand out."""
    return image.type in ("RENDER_RESULT", "COMPOSITING")


def size(image: bpy.types.Image, scene: bpy.types.Scene | None) -> tuple[int, int]:
    """Columns and rows; of a render as the scene says, since Blender does not tell."""
    if not is_render(image) or scene is None:
        return typed.size(image)
    return cropped_size(scene)


def cropped_size(scene: bpy.types.Scene) -> tuple[int, int]:
    """Columns and rows of what a scene renders, cropped to its border where that is asked for."""
    render = scene.render
    columns, rows = (side * render.resolution_percentage // 100 for side in (render.resolution_x, render.resolution_y))
    if render.use_border and render.use_crop_to_border:
        columns = int(columns * (render.border_max_x - render.border_min_x))
        rows = int(rows * (render.border_max_y - render.border_min_y))
    return columns, rows


def register() -> None:
    bpy.utils.register_class(RELIEVO_PG_region)
    bpy.types.Image.relievo_region = bpy.props.PointerProperty(type=RELIEVO_PG_region)  # pyright: ignore[reportAttributeAccessIssue]  # made here


def unregister() -> None:
    del bpy.types.Image.relievo_region  # pyright: ignore[reportAttributeAccessIssue]  # made here
    bpy.utils.unregister_class(RELIEVO_PG_region)
