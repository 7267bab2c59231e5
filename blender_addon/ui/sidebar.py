"""Where the panels are: the tab in the sidebars of the 3D view and of the Image Editor, and which engine and image it is about.

A panel of both is one class with what it draws, without a place, and one more for each place.
"""

from __future__ import annotations

import bpy

from .. import typed
from ..inputs import edited
from ..shared.algorithm import AlgorithmSpec, find
from ..shared.catalog import algorithms


class RelievoTab:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Relievo"


class ImageTab:
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Relievo"


def shown_sample(context: bpy.types.Context) -> bpy.types.Image | None:
    """The sample that a panel is about: in an Image Editor what it shows, or what that was made from; None in a 3D view."""
    return edited.sample(context)


def shown_spec(context: bpy.types.Context) -> AlgorithmSpec:
    """The engine that a panel is about: in an Image Editor the one that makes something of images, else the scene's."""
    found = edited.engine(typed.present(context.scene)) if shown_sample(context) is not None else None
    return found or find(algorithms(), typed.settings(context.scene).algorithm)
