"""transforms.json, as NeRF, instant-ngp and nerfstudio write it.

Poses map from camera to world, and the camera looks along -z with y up (OpenGL). Intrinsics stand once for all or with
each frame; pixels count from the outer corner, as COLMAP's do, which these files come from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidInput
from .camera import FISHEYE, PERSPECTIVE, Camera, Distortion
from .json_fields import number, numbers, objects, text
from .photographs import Photographs
from .pose import OPENGL, inverted, posed

_PERSPECTIVES = {"OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE"}
_FISHEYES = {"OPENCV_FISHEYE", "FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE"}

_OTHERS = {"is_latlong", "latlong", "is_equirectangular", "equirectangular", "is_orthographic", "orthographic"}


def parse(document: Mapping[str, Any], path: str, photographs: Photographs) -> list[Camera]:
    """A camera a frame, in their order. One without a size in the file whose photograph is missing is left out."""
    made = [_camera({**document, **frame}, path, photographs) for frame in objects(document, "frames", path)]
    return [camera for camera in made if camera is not None]


def _camera(frame: Mapping[str, Any], path: str, photographs: Photographs) -> Camera | None:
    name = text(frame, "file_path", f"{path}, a frame").replace("\\", "/").removeprefix("./")
    what = f"{path}, {name}"
    size = _size(frame, name, what, photographs)
    if size is None:
        return None
    matrix = numbers(frame, "transform_matrix", 16, what).reshape(4, 4)
    rotation, translation = inverted(matrix[:3, :3], matrix[:3, 3])
    return posed(
        name=name,
        size=size,
        focal=_focal_px(frame, size, what),
        center=(number(frame, "cx", what, size[0] / 2), number(frame, "cy", what, size[1] / 2)),
        rotation=OPENGL @ rotation,
        translation=OPENGL @ translation,
        position=matrix[:3, 3],
        distortion=_distortion(frame, name, what),
    )


def _size(frame: Mapping[str, Any], name: str, what: str, photographs: Photographs) -> tuple[float, float] | None:
    if "w" in frame and "h" in frame:
        return number(frame, "w", what), number(frame, "h", what)
    return photographs.size(name)


def _focal_px(frame: Mapping[str, Any], size: tuple[float, float], what: str) -> tuple[float, float]:
    """fl_x and fl_y, or the angles of view; what is missing of y is as x."""
    angles = {axis: frame.get(f"camera_angle_{axis}") for axis in "xy"}
    given: dict[str, float] = {}
    for axis, side in zip("xy", size, strict=True):
        if f"fl_{axis}" in frame:
            given[axis] = number(frame, f"fl_{axis}", what)
        elif angles[axis] is not None:
            given[axis] = 0.5 * side / math.tan(0.5 * number(frame, f"camera_angle_{axis}", what))
    if not given:
        raise InvalidInput(
            f"{what} has neither fl_x nor camera_angle_x.", hint="Export the cameras again.", field="cameras"
        )
    return given.get("x", given.get("y", 0.0)), given.get("y", given.get("x", 0.0))


def _distortion(frame: Mapping[str, Any], name: str, what: str) -> Distortion:
    model = text(frame, "camera_model", what, "").upper()
    _refuse_other_projections(frame, name)
    k1, k2, k3, k4, p1, p2 = _coefficients(frame, what)
    if model in _FISHEYES or (not model and frame.get("is_fisheye") is True):
        return Distortion(FISHEYE, (k1, k2, k3, k4))
    if (model and model not in _PERSPECTIVES) or k4 or any(number(frame, key, what, 0.0) for key in ("k5", "k6")):
        extra = "" if model and model not in _PERSPECTIVES else " with a k4, k5 or k6"
        raise InvalidInput(
            f"The camera of {name} is of the model {model or 'OPENCV'}{extra}, which is not supported.",
            hint="Supported: OPENCV, PINHOLE and OPENCV_FISHEYE.",
            field="cameras",
        )
    return Distortion(PERSPECTIVE, (k1, k2, p1, p2, k3))


def _coefficients(frame: Mapping[str, Any], what: str) -> tuple[float, ...]:
    """k1 k2 k3 k4 p1 p2: by name, or in that order in nerfstudio's distortion_params."""
    if frame.get("distortion_params") is not None:
        return tuple(numbers(frame, "distortion_params", 6, what).tolist())
    return tuple(number(frame, key, what, 0.0) for key in ("k1", "k2", "k3", "k4", "p1", "p2"))


def _refuse_other_projections(frame: Mapping[str, Any], name: str) -> None:
    """What instant-ngp marks by a field of its own rather than by the camera_model."""
    found = next((key for key in frame if key.startswith("ftheta_") or (key in _OTHERS and frame[key] is True)), "")
    if found:
        raise InvalidInput(
            f"The camera of {name} has {found}: a projection that is not supported.",
            hint="Supported: OPENCV, PINHOLE and OPENCV_FISHEYE.",
            field="cameras",
        )
