"""What of a photograph counts: the mask of a camera, over the photograph as it was taken.

A mask is the camera's second background image, painted over what the camera shows; or an image of this file that is called like
the photograph with "_mask" behind it, made from the file itself. The two differ where a lens bends the picture: the backdrop
shows it straightened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import bpy
import numpy as np

from .. import typed
from ..datablocks.camera import PHOTOGRAPH_KEY
from ..shared.arrays import MASK, Array
from ..shared.cameras import Camera
from ..shared.cameras.distortion import undistort_points, undistorted
from ..shared.errors import InvalidInput
from . import images
from .cameras import backdrop_of
from .photographs import Photograph

SUFFIX = "_mask"
EVERYTHING = Array(MASK, np.ones((1, 1), np.float32))  # for a photograph without a mask among some that have one
_CELL_PX = 8  # the lens is followed exactly at the corners of cells this wide, and straight between them


def image_of(item: bpy.types.Object, files: Mapping[str, bpy.types.Image] | None = None) -> bpy.types.Image | None:
    """The image that is a camera's mask, None where it has none. files: files_by_photograph(), for one who asks for many."""
    return _over_backdrop(item) or (files_by_photograph() if files is None else files).get(_stem(item))


def files_by_photograph() -> dict[str, bpy.types.Image]:
    """The images of this file that are called like masks, by the photograph's name without its ending."""
    found = {}
    for image in bpy.data.images:
        stem = image.name.rpartition(".")[0] or image.name
        if stem.endswith(SUFFIX):
            found[stem.removesuffix(SUFFIX)] = image
    return found


def _over_backdrop(item: bpy.types.Object) -> bpy.types.Image | None:
    given = [entry.image for entry in typed.camera(item).background_images if entry.image is not None]
    return given[1] if len(given) > 1 else None


def _stem(item: bpy.types.Object) -> str:
    """The name of a camera's photograph without its ending."""
    path, backdrop = str(typed.camera(item).get(PHOTOGRAPH_KEY, "")), backdrop_of(item)
    if not path and backdrop is not None:
        image = typed.present(backdrop.image)
        path = image.filepath or image.name
    return Path(path.replace("\\", "/")).stem


def read(item: bpy.types.Object, photograph: Photograph, camera: Camera | None, *, straightened: bool = False) -> Array:
    """The mask of a camera object, 1 where the photograph counts and 0 where not; EVERYTHING where it has none.

    camera: as readers/cameras.py reads it, None for one that is no pinhole. straightened: whether the photograph is sent as a
    pinhole would have taken it. Raises InvalidInput for a mask of another size than the photograph's.
    """
    image = image_of(item)
    if image is None:
        return EVERYTHING
    found = images.mask(image)
    bent = camera if camera is not None and not camera.distortion.is_none else None
    if bent is not None and image == _over_backdrop(item):  # painted over what is shown, at any size
        return Array(MASK, _resized(found.values, photograph.size) if straightened else as_taken(found.values, bent))
    width, height = photograph.size
    if found.values.shape != (height, width):
        rows, columns = found.values.shape
        raise InvalidInput(
            f"The mask {image.name!r} of the camera {item.name!r} is {columns} x {rows}, "
            f"its photograph is {width} x {height}.",
            hint="Paint it at the photograph's size.",
            field=item.name,
        )
    if bent is None or not straightened:
        return found
    return Array(MASK, np.ascontiguousarray(undistorted(found.values[..., None], bent)[0][..., 0]))


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The nearest value for each pixel of a picture of this width and height."""
    y, x = ((np.arange(n) + 0.5) / n * have for n, have in zip(size[::-1], mask.shape, strict=True))
    return np.ascontiguousarray(mask[y.astype(np.intp)[:, None], x.astype(np.intp)], np.float32)


def as_taken(mask: np.ndarray, camera: Camera) -> np.ndarray:
    """A mask over the straightened photograph, at any size, as one over the photograph as it was taken: float32 [H, W]."""
    straight = _straight_pixels(camera)
    known = np.isfinite(straight).all(axis=-1)  # beyond what the lens can be followed to, nothing counts
    x, y = (
        np.clip(np.where(known, straight[..., axis] / side * have, 0), 0, have - 1).astype(np.intp)
        for axis, side, have in ((0, camera.width, mask.shape[1]), (1, camera.height, mask.shape[0]))
    )
    return np.where(known, mask[y, x], np.float32(0.0))


def _straight_pixels(camera: Camera) -> np.ndarray:
    """Where each pixel [H, W, 2] of the photograph lies once it is straightened, in pixels; float32."""
    rows, columns = -(-camera.height // _CELL_PX) + 1, -(-camera.width // _CELL_PX) + 1
    y, x = np.mgrid[:rows, :columns] * float(_CELL_PX)
    bent = np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy], axis=-1)
    ideal = undistort_points(bent.reshape(-1, 2), camera.distortion).reshape(rows, columns, 2)
    corners = (ideal * (camera.fx, camera.fy) + (camera.cx, camera.cy)).astype(np.float32)
    return _between(_between(corners, camera.height, 0), camera.width, 1)


def _between(values: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Values at the corners of cells along an axis, linearly at `length` pixel centres."""
    place = (np.arange(length, dtype=np.float32) + 0.5) / _CELL_PX
    first = place.astype(np.intp)
    share = (place - first).reshape([-1 if number == axis else 1 for number in range(values.ndim)])
    return np.take(values, first, axis) * (1 - share) + np.take(values, first + 1, axis) * share
