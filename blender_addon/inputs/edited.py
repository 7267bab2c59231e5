"""The image that an Image Editor shows, as what an engine makes a surface or a painting of."""

from __future__ import annotations

import bpy

from .. import typed
from ..datablocks import region
from ..readers import table
from ..shared.algorithm import AlgorithmSpec
from ..shared.catalog import algorithms

_MADE = ("surface", "painting")


def image_of(context: bpy.types.Context) -> bpy.types.Image | None:
    """The image that the image editor shows, if this is one."""
    space = context.space_data
    return space.image if isinstance(space, bpy.types.SpaceImageEditor) else None


def sample(context: bpy.types.Context) -> bpy.types.Image | None:
    """The image that a texture or a painting is made from in an image editor."""
    found = image_of(context)
    return region.sample_of(found) if found is not None else None


def engines() -> list[AlgorithmSpec]:
    """The engines that make something of an image: a surface or a painting. Cheap: for draw()."""
    return [spec for spec in algorithms() if spec.makes in _MADE and table.sample_port(spec) is not None]


def engine(scene: bpy.types.Scene) -> AlgorithmSpec | None:
    """The one of these that an Image Editor uses: the scene's where it is one, else the first; None where there is none."""
    able = engines()
    chosen = typed.settings(scene).algorithm
    return next((spec for spec in able if spec.name == chosen), next(iter(able), None))
