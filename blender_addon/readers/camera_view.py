"""Segments of what a camera sees: which object, material or collection each pixel of the scene's render shows, exact and without
smoothing, at the render's own size.

Drawn here from the evaluated scene, in background mode as well, so that it fits a render that is there already. What is no
surface (hair, volumes, Grease Pencil) is seen through, and so is the transparency of materials: a pane of glass is a segment.
"""

from __future__ import annotations

import bpy
import numpy as np

from .. import typed
from ..datablocks import region
from ..shared.arrays import CLASS_MAP, Array
from ..shared.errors import InvalidInput
from ..shared.object_classes import BACKGROUND
from . import rasterizing, rendered_surfaces
from .rendered_surfaces import By

MOST = 255  # segments beside the background, which is 0
_WORDS = {"OBJECT": "objects", "MATERIAL": "materials", "COLLECTION": "collections"}


def segments(context: bpy.types.Context, camera: bpy.types.Object, by: By) -> Array:
    """A CLASS_MAP [H, W] of the scene's render size, the top row first: 0 where the camera sees nothing, and from 1 on what it
    sees, in the order of the names, which its attribute `names` has.

    Raises InvalidInput for a panoramic camera, an empty view, and more than MOST segments.
    """
    scene = typed.present(context.scene)
    if typed.camera(camera).type not in ("PERSP", "ORTHO"):
        raise InvalidInput(
            f"The camera {camera.name!r} is panoramic: segments are drawn for perspective and orthographic ones.",
            hint="Change its type, or paint the segments as an image.",
            field=camera.name,
        )
    seen = rendered_surfaces.collect(context, by)
    shape = _full_size(scene)
    points, corners, label = _in_pixels(seen, _to_clip_space(camera, context, shape), shape)
    owner = rasterizing.topmost(points, corners, shape)
    shown = np.where(owner >= 0, label[np.maximum(owner, 0)] if len(label) else 0, -1)
    numbers, found = _numbered(_cropped(shown, scene), camera, by)
    return Array(CLASS_MAP, numbers, {"names": [BACKGROUND, *(seen.names[label] for label in found)]})


def _numbered(shown: np.ndarray, camera: bpy.types.Object, by: By) -> tuple[np.ndarray, np.ndarray]:
    """Labels [H, W], -1 for nothing, as class numbers without gaps, and the label of each number from 1 on."""
    found = np.unique(shown[shown >= 0])
    if not len(found):
        raise InvalidInput(
            f"The camera {camera.name!r} sees no surface.",
            hint="Turn it to the scene, and check what is hidden in renders.",
            field=camera.name,
        )
    if len(found) > MOST:
        raise InvalidInput(
            f"The camera {camera.name!r} sees {len(found)} {_WORDS[by]}; at most {MOST} segments are possible.",
            hint="Take the segments by material or by collection.",
            field=camera.name,
        )
    return np.where(shown >= 0, np.searchsorted(found, shown) + 1, 0).astype(np.uint8), found


def _full_size(scene: bpy.types.Scene) -> tuple[int, int]:
    """Rows and columns of the render without a border."""
    render = scene.render
    columns, rows = (side * render.resolution_percentage // 100 for side in (render.resolution_x, render.resolution_y))
    return max(rows, 1), max(columns, 1)


def _cropped(shown: np.ndarray, scene: bpy.types.Scene) -> np.ndarray:
    """The part that is rendered where the render is cropped to a border."""
    render = scene.render
    if not (render.use_border and render.use_crop_to_border):
        return shown
    columns, rows = region.cropped_size(scene)
    left, bottom = int(shown.shape[1] * render.border_min_x), int(shown.shape[0] * render.border_min_y)
    top = max(shown.shape[0] - bottom - rows, 0)
    return shown[top : top + rows, left : left + columns]


def _to_clip_space(camera: bpy.types.Object, context: bpy.types.Context, shape: tuple[int, int]) -> np.ndarray:
    """float64 [4, 4] from the world to homogeneous clip coordinates. The camera's own scale does not count, as in Blender."""
    depsgraph, render = context.evaluated_depsgraph_get(), typed.present(context.scene).render
    evaluated = camera.evaluated_get(depsgraph)
    projection = evaluated.calc_matrix_camera(
        depsgraph, x=shape[1], y=shape[0], scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
    )
    view = np.linalg.inv(np.array(evaluated.matrix_world.normalized(), np.float64))
    return np.array(projection, np.float64) @ view


def _in_pixels(
    seen: rendered_surfaces.Surfaces, to_clip: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points [V, 3] as the rasteriser takes them, with a third coordinate that grows towards the camera and is linear over the
    picture; triangles [T, 3] cut at the camera's near and far planes, and their labels [T].
    """
    clip = seen.points @ to_clip[:, :3].T + to_clip[:, 3]
    corners, label = seen.corners, seen.label
    for sign in (1.0, -1.0):  # near: z >= -w; far: z <= w
        clip, corners, label = _cut(clip, corners, label, sign)
    if not len(corners):
        return np.empty((0, 3)), np.empty((0, 3), np.int64), np.empty(0, np.int32)
    used, corners = np.unique(corners, return_inverse=True)
    places = clip[used, :3] / clip[used, 3:]
    rows, columns = shape
    x, y = (places[:, 0] + 1.0) / 2.0 * columns - 0.5, (1.0 - places[:, 1]) / 2.0 * rows - 0.5
    return np.stack([x, y, -places[:, 2]], axis=-1), corners.reshape(-1, 3), label


def _cut(
    clip: np.ndarray, corners: np.ndarray, label: np.ndarray, sign: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles on the inner side of the plane w + sign z = 0: those that reach over it as one or two smaller ones."""
    distance = clip[:, 3] + sign * clip[:, 2]
    is_in = (distance > 0.0)[corners]
    count = is_in.sum(axis=1)
    points, triangles, labels = [clip], [corners[count == 3]], [label[count == 3]]
    total = len(clip)
    for inside in (1, 2):
        chosen = np.flatnonzero(count == inside)
        if not len(chosen):
            continue
        # turned so that the odd corner, which alone is on its side, comes first
        odd = np.argmax(is_in[chosen] == (inside == 1), axis=1)
        turned = np.take_along_axis(corners[chosen], (odd[:, None] + np.arange(3)) % 3, axis=1)
        first, second, third = turned.T
        crossings = [_crossing(clip, distance, first, other) for other in (second, third)]
        a, b = (total + number * len(chosen) + np.arange(len(chosen)) for number in (0, 1))
        points += crossings
        total += 2 * len(chosen)
        if inside == 1:
            triangles.append(np.stack([first, a, b], axis=-1))
            labels.append(label[chosen])
        else:
            triangles += [np.stack([a, second, third], axis=-1), np.stack([a, third, b], axis=-1)]
            labels += [label[chosen]] * 2
    return np.concatenate(points), np.concatenate(triangles), np.concatenate(labels)


def _crossing(clip: np.ndarray, distance: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Where edges cross the plane, [E, 4]."""
    share = distance[start] / (distance[start] - distance[end])
    return clip[start] + share[:, None] * (clip[end] - clip[start])
