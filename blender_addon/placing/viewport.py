"""What a person has in view: select a new terrain, and bring it into the 3D views at a distance where it can be seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import bpy
from mathutils import Euler, Vector

from .. import typed
from ..writers import waters

FLAT_DEPTH_STEPS = 5e3  # the same where a shore lies only metres over its water: a flat map from afar, and lakes
TILT = math.radians(42.0)  # of a view on a sketch, from straight down
SENSOR_MM = 72.0  # over the longer side of a region, as Blender counts a view's lens
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


def show_image(image: bpy.types.Image) -> None:
    """In an image editor of this window, or in a new window where there is none."""
    windows = bpy.context.window_manager.windows
    area = next((area for window in windows for area in window.screen.areas if area.type == "IMAGE_EDITOR"), None)
    if area is None:
        if bpy.app.background:
            return
        bpy.ops.wm.window_new()
        area = windows[-1].screen.areas[0]
        area.type = "IMAGE_EDITOR"
    typed.of(area.spaces.active, bpy.types.SpaceImageEditor).image = image
    if bpy.app.background:
        return  # there is no view to fit it in
    window = next(window for window in windows if area in window.screen.areas[:])
    region = next(region for region in area.regions if region.type == "WINDOW")
    override = bpy.context.temp_override(window=window, area=area, region=region)
    with override:  # pyright: ignore[reportGeneralTypeIssues]  # its __enter__ is not declared
        bpy.ops.image.view_all(fit_view=True)


def frame(made: bpy.types.Object) -> None:
    """Bring the object into every 3D view of this window, far clipping included: Blender's default ends at 1 km.

    Leaves the selection as it is.
    """
    with _selected_alone(made):
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                if area.type == "VIEW_3D":
                    _frame_in(window, area, made)


def frame_beside(item: bpy.types.Object) -> None:
    """Bring a flat object into every 3D view of this window, from the south and from above, with room of its size to its right; and
    let Solid views show textures.
    """
    bpy.context.view_layer.update()
    width, depth, _ = item.dimensions
    middle = item.matrix_world.translation + Vector((0.55 * width, 0.0, 0.0))
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                _look_down_at(area, middle, (2.2 * width, 1.1 * depth))


def _look_down_at(area: bpy.types.Area, middle: Vector, extent: tuple[float, float]) -> None:
    space = typed.of(area.spaces.active, bpy.types.SpaceView3D)
    space.clip_end = max(space.clip_end, 4.0 * max(extent))
    space.clip_start = max(space.clip_start, space.clip_end / FLAT_DEPTH_STEPS)
    typed.present(space.shading).color_type = "TEXTURE"
    region = next(region for region in area.regions if region.type == "WINDOW")
    view = typed.present(space.region_3d)
    if not region.width or not region.height:
        return
    view.view_perspective = "PERSP"
    view.view_rotation = Euler((TILT, 0.0, 0.0)).to_quaternion()
    view.view_location = middle
    half_angle = SENSOR_MM / 2.0 / space.lens  # of the longer side of the region, as its tangent
    longer = max(region.width, region.height)
    free = region.width - next(other for other in area.regions if other.type == "UI").width
    across, up = half_angle * max(free, 0.4 * region.width) / longer, half_angle * region.height / longer
    nearer = 0.5 * extent[1] * math.sin(TILT)  # its near edge is that much closer than its middle
    view.view_distance = nearer + max(0.5 * extent[0] / across, 0.5 * extent[1] * math.cos(TILT) / up)
    _clear_of_sidebar(area, region, view)


def _frame_in(window: bpy.types.Window, area: bpy.types.Area, made: bpy.types.Object) -> None:
    space = typed.of(area.spaces.active, bpy.types.SpaceView3D)
    space.clip_end = max(space.clip_end, 4.0 * max(made.dimensions.to_tuple()))
    steps = FLAT_DEPTH_STEPS if waters.of(made) else DEPTH_STEPS
    space.clip_start = max(space.clip_start, space.clip_end / steps)
    region = next(region for region in area.regions if region.type == "WINDOW")
    override = bpy.context.temp_override(window=window, area=area, region=region)
    with override, _at_once():  # pyright: ignore[reportGeneralTypeIssues]  # its __enter__ is not declared
        bpy.ops.view3d.view_selected()
    _clear_of_sidebar(area, region, typed.present(space.region_3d))


def _clear_of_sidebar(area: bpy.types.Area, region: bpy.types.Region, view: bpy.types.RegionView3D) -> None:
    """Blender frames in the middle of the whole region, of which the sidebar may cover a third."""
    sidebar = next(other for other in area.regions if other.type == "UI")
    share = sidebar.width / max(region.width, 1)
    if not bpy.context.preferences.system.use_region_overlap or not view.is_perspective or not 0.02 < share < 0.6:
        return
    free = region.width - sidebar.width
    view.view_distance *= min(region.width, region.height) / min(free, region.height)
    half_width = view.view_distance / view.window_matrix[0][0]  # of what is seen at the middle's distance
    view.view_location += view.view_rotation @ Vector((share * half_width, 0.0, 0.0))


@contextmanager
def _at_once() -> Iterator[None]:
    """Without the glide between two views, which would go on after what is set here."""
    view = bpy.context.preferences.view
    before = view.smooth_view
    view.smooth_view = 0
    try:
        yield
    finally:
        view.smooth_view = before


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
