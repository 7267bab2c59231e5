"""What a person has in view: select a new terrain, and bring it into the 3D views at a distance where it can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

DEPTH_STEPS = 1e5  # far over near, as in Blender's own default; with more of them far surfaces show through one another


def select(made: bpy.types.Object) -> None:
    """Selected and active, alone, as after Add > Mesh."""
    layer = bpy.context.view_layer
    layer.update()  # until then a new object is not among its objects
    if made.name not in layer.objects:
        return  # its collection is excluded from this view layer
    for other in layer.objects:
        if other.select_get():
            other.select_set(False)
    made.select_set(True)
    layer.objects.active = made


def frame(made: bpy.types.Object) -> None:
    """Bring the object into every 3D view of this window, far clipping included: Blender's default ends at 1 km.

    Leaves the selection as it is.
    """
    with _selected_alone(made):
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                if area.type == "VIEW_3D":
                    _frame_in(window, area, made)


def _frame_in(window: bpy.types.Window, area: bpy.types.Area, made: bpy.types.Object) -> None:
    space = area.spaces.active
    space.clip_end = max(space.clip_end, 4.0 * max(made.dimensions))
    space.clip_start = max(space.clip_start, space.clip_end / DEPTH_STEPS)
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.view3d.view_selected()


@contextmanager
def _selected_alone(made: bpy.types.Object) -> Iterator[None]:
    """view_selected() goes by the selection itself, which no override reaches."""
    layer = bpy.context.view_layer
    layer.update()
    before = [item.name for item in layer.objects if item.select_get()]
    try:
        for item in layer.objects:
            item.select_set(item == made)
        yield
    finally:
        for item in layer.objects:
            item.select_set(item.name in before)
