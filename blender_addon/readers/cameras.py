"""Blender's cameras -> the cameras of posed photographs: exact to Blender's own float32, for imported ones and for those set up by
hand.

What Blender cannot hold (the photograph's size, pixels that are not square, the lens's distortion, where the photograph
lies) is kept in custom properties of the camera's data; writers/cameras.py writes them. Everything else is read from Blender's
own settings, so that a camera that was moved or zoomed since is taken as it is now.

Source of the frame's geometry: Blender's BKE_camera_params_compute_viewplane (shift and sensor fit) and the overlay that
draws background images (their frame method).
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix

from .. import typed
from ..datablocks.camera import ASPECT_KEY, COEFFICIENTS_KEY, LENS_KEY, SIZE_KEY, frame_of
from ..shared.cameras import FISHEYE, PERSPECTIVE, Camera, Distortion
from ..shared.errors import InvalidInput
from ..units import metres_per_unit

Pair = tuple[float, float]


def is_pinhole(item: bpy.types.Object) -> bool:
    """Whether the camera draws straight lines straight, so that the backend can draw what it sees."""
    return typed.camera(item).type == "PERSP"


def recorded_size(item: bpy.types.Object) -> tuple[int, int] | None:
    """Width and height in pixels of the photograph that the camera was imported for; None for one set up by hand."""
    size = typed.camera(item).get(SIZE_KEY)
    return (int(size[0]), int(size[1])) if size is not None and len(size) == 2 else None


def distortion(item: bpy.types.Object) -> Distortion:
    """The lens as it was imported; none for a camera set up by hand. Raises InvalidInput for a model that is not known."""
    model = str(typed.camera(item).get(LENS_KEY, PERSPECTIVE))
    if model not in (PERSPECTIVE, FISHEYE):
        raise InvalidInput(
            f"The lens of the camera {item.name!r} is {model!r}, which is not a supported lens model.",
            hint=f"Set its custom property {LENS_KEY} to {PERSPECTIVE} or {FISHEYE}.",
            field=item.name,
        )
    given = [float(value) for value in typed.camera(item).get(COEFFICIENTS_KEY, ())]
    return Distortion(model, tuple((given + [0.0] * 8)[:8]))


def camera(
    item: bpy.types.Object,
    depsgraph: bpy.types.Depsgraph,
    size: tuple[int, int],
    *,
    name: str = "",
    origin_m: np.ndarray | None = None,
) -> Camera:
    """The camera that took the photograph which this camera object shows.

    size: width and height of the photograph in pixels. origin_m [3]: a point of the world in metres to count from, so that
    a place far from the world's origin keeps its digits. Raises InvalidInput for a camera that is no pinhole, that is
    sheared or mirrored, or whose background image is moved or turned.
    """
    if not is_pinhole(item):
        raise InvalidInput(
            f"The camera {item.name!r} is not a perspective camera.",
            hint="Set its lens type to Perspective.",
            field=item.name,
        )
    fx, fy, cx, cy = intrinsics(item, typed.present(depsgraph.scene), size)
    rotation, center = pose(item, depsgraph)
    center = center - (np.zeros(3) if origin_m is None else np.asarray(origin_m, np.float64))
    return Camera(
        name=name or item.name,
        width=size[0],
        height=size[1],
        fx=fx,
        fy=fy,
        cx=cx,
        cy=cy,
        rotation=rotation,
        translation=-rotation @ center,
        distortion=distortion(item),
    )


def intrinsics(
    item: bpy.types.Object, scene: bpy.types.Scene, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy in pixels of a photograph of this size (width, height), as the camera's background image shows it.

    The photograph of an imported camera fills its frame, whatever size the scene is rendered at. One that was set up by
    hand lies in the frame of the scene's render size as its frame method says; without any, it is what would be rendered.
    """
    data = typed.camera(item)
    width, height = size
    if recorded_size(item) is not None:
        frame = shown = (float(width), height / float(data.get(ASPECT_KEY, 1.0)))
    elif (backdrop := backdrop_of(item)) is not None:
        frame = frame_of(scene)
        shown = _shown(item, backdrop, frame, size)
    else:
        render = scene.render
        frame = shown = (width * render.pixel_aspect_x, height * render.pixel_aspect_y)
    is_level = data.sensor_fit == "HORIZONTAL" or (data.sensor_fit == "AUTO" and frame[0] >= frame[1])
    side = frame[0] if is_level else frame[1]
    sensor_mm = data.sensor_height if data.sensor_fit == "VERTICAL" else data.sensor_width
    focal = data.lens / sensor_mm * side
    across, down = width / shown[0], height / shown[1]  # pixels of the photograph a unit of the frame
    return (
        focal * across,
        focal * down,
        width / 2.0 - data.shift_x * side * across,
        height / 2.0 + data.shift_y * side * down,
    )


def backdrop_of(item: bpy.types.Object) -> bpy.types.CameraBackgroundImage | None:
    """The background image that stands for the camera's photograph: the first that has one. Cheap: for draw()."""
    return next((entry for entry in typed.camera(item).background_images if entry.image is not None), None)


def _shown(
    item: bpy.types.Object, backdrop: bpy.types.CameraBackgroundImage, frame: Pair, size: tuple[int, int]
) -> Pair:
    """Width and height of the background image in units of the frame, around whose middle it lies."""
    if backdrop.rotation or any(backdrop.offset.to_tuple()) or backdrop.use_flip_x or backdrop.use_flip_y:
        raise InvalidInput(
            f"The photograph of the camera {item.name!r} is moved, turned or mirrored in its background.",
            hint="Set its offset and rotation to 0, switch Flip off, and turn the camera instead.",
            field=item.name,
        )
    width, height = frame
    if backdrop.frame_method != "STRETCH":
        pixel = typed.present(backdrop.image).display_aspect
        aspect = size[0] * pixel[0] / (size[1] * pixel[1])
        is_wider = aspect > frame[0] / frame[1]
        if is_wider == (backdrop.frame_method == "FIT"):
            height = width / aspect
        else:
            width = height * aspect
    return width * backdrop.scale, height * backdrop.scale


def pose(item: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> tuple[np.ndarray, np.ndarray]:
    """rotation [3, 3] from the world into camera space (x right, y down, z forward) and the camera's place [3] in metres.

    Constraints, parents and animation count as they are now; the object's scale does not, as in Blender.
    """
    world = np.array(_world_matrix(item, depsgraph), np.float64)
    lengths = np.linalg.norm(world[:3, :3], axis=0)
    if not np.isfinite(world).all() or not (lengths > 0).all():
        raise InvalidInput(
            f"The camera {item.name!r} has no valid transform: it is not finite, or scaled to 0.",
            hint="Clear its scale (Alt S) and that of its parents.",
            field=item.name,
        )
    axes = world[:3, :3] / lengths
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3) or np.linalg.det(axes) < 0:
        raise InvalidInput(
            f"The camera {item.name!r} is sheared or mirrored.",
            hint="Apply the scale of its parents (Ctrl A), and give the camera positive scales.",
            field=item.name,
        )
    left, _, right = np.linalg.svd(axes)  # the nearest rotation: float32 axes are off by 1e-7
    rotation = np.diag([1.0, -1.0, -1.0]) @ (left @ right).T
    return rotation, world[:3, 3] * metres_per_unit(typed.present(depsgraph.scene))


def _world_matrix(item: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> Matrix:
    """Blender does not evaluate what lies in an excluded collection; a camera on its own stands where it was put all the same."""
    evaluated = item.evaluated_get(depsgraph)
    if evaluated.is_evaluated:
        return evaluated.matrix_world
    if item.parent is not None or len(item.constraints):
        raise InvalidInput(
            f"The position of the camera {item.name!r} is not known: its collection is excluded from the view layer.",
            hint="Tick the collection in the outliner; it may be hidden by its eye.",
            field=item.name,
        )
    return item.matrix_basis
