"""AliceVision's scenes as JSON, which Meshroom writes as cameras.sfm and sfm.json.

Poses map from world to camera, R (X - C), with R by columns. Up to version 1.2.0 of the format the principal point
counts from the picture's corner and after it from its middle; the focal length is in pixels before 1.2.2, in millimetres since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InvalidInput
from .camera import FISHEYE, PERSPECTIVE, Camera, Distortion
from .json_fields import number, numbers, objects, text
from .pose import posed

_CORNER_ORIGIN_BEFORE = (1, 2, 1)
_FOCAL_RATIO_BEFORE = (1, 2, 5)  # pixelRatio held fx / fy before, the pixel's width by its height since
_RADIAL = {"none": 0, "pinhole": 0, "radialk1": 1, "radial1": 1, "radialk3": 3, "radial3": 3}
_FISHEYES = {"fisheye4", "fisheye", "equidistant"}


@dataclass(frozen=True)
class Pose:
    rotation: np.ndarray
    center: np.ndarray

    def after(self, first: Pose) -> Pose:
        """This pose of a rig's camera, given in the rig's space, for the rig that stands at `first`."""
        return Pose(self.rotation @ first.rotation, first.center + first.rotation.T @ self.center)


def parse(document: Mapping[str, Any], path: str) -> list[Camera]:
    """The cameras of the views that have a pose and an intrinsic, in the order of the views; the others were not placed."""
    version = (
        tuple(int(value) for value in numbers(document, "version", 3, path)) if "version" in document else (1, 0, 0)
    )
    lenses = {text(item, "intrinsicId", path): item for item in objects(document, "intrinsics", path)}
    poses = {
        text(item, "poseId", path): _pose(item["pose"], path)
        for item in objects(document, "poses", path)
        if "pose" in item
    }
    rigs = {text(item, "rigId", path): objects(item, "subPoses", path) for item in objects(document, "rigs", path)}
    made = []
    for view in objects(document, "views", path):
        pose = poses.get(str(view.get("poseId", view.get("viewId", ""))))
        if pose is None:
            continue
        name = text(view, "path", path).replace("\\", "/")
        lens = lenses.get(str(view.get("intrinsicId", "")))
        if lens is None:
            raise InvalidInput(f"{path} has no intrinsics for {name}.", hint="Export the scene again.", field="cameras")
        made.append(_camera(view, lens, _in_rig(view, pose, rigs, path), name, version))
    return made


def _pose(item: Any, path: str) -> Pose:
    transform = item.get("transform", item) if isinstance(item, Mapping) else {}
    rotation = numbers(transform, "rotation", 9, path).reshape(3, 3).T  # written by columns
    return Pose(rotation, numbers(transform, "center", 3, path))


def _in_rig(view: Mapping[str, Any], pose: Pose, rigs: Mapping[str, Any], path: str) -> Pose:
    rig = rigs.get(str(view.get("rigId", "")))
    independent = str(view.get("isPoseIndependant", view.get("isPoseIndependent", True))).lower() in ("true", "1")
    if rig is None or independent:
        return pose
    index = int(number(view, "subPoseId", path))
    if not 0 <= index < len(rig):
        raise InvalidInput(f"{path} has no camera {index} in the rig of {view.get('path')}.", field="cameras")
    return _pose(rig[index].get("pose", {}), path).after(pose)


def _camera(
    view: Mapping[str, Any], lens: Mapping[str, Any], pose: Pose, name: str, version: tuple[int, ...]
) -> Camera:
    what = f"The lens of {name}"
    width, height = number(lens, "width", what), number(lens, "height", what)
    center = numbers(lens, "principalPoint", 2, what) if "principalPoint" in lens else np.zeros(2)
    if version >= _CORNER_ORIGIN_BEFORE or "principalPoint" not in lens:
        center = center + np.array((width / 2, height / 2))
    return posed(
        name=name,
        size=(width, height),
        focal=_focal_px(lens, width, what, version),
        center=(center[0], center[1]),
        rotation=pose.rotation,
        translation=-pose.rotation @ pose.center,
        position=pose.center,
        distortion=_distortion(lens, name, what),
    )


def _focal_px(lens: Mapping[str, Any], width: float, what: str, version: tuple[int, ...]) -> tuple[float, float]:
    if "pxFocalLength" in lens:
        value = lens["pxFocalLength"]
        if isinstance(value, (Mapping, list)):
            fx, fy = numbers(lens, "pxFocalLength", 2, what)
            return float(fx), float(fy)
        fx = number(lens, "pxFocalLength", what)
        return fx, fx
    fx = number(lens, "focalLength", what) / number(lens, "sensorWidth", what, 36.0) * width
    ratio = number(lens, "pixelRatio", what, 1.0)
    if ratio <= 0:
        ratio = 1.0  # unknown, as AliceVision writes it
    return fx, fx / ratio if version < _FOCAL_RATIO_BEFORE else fx * ratio


def _refuse_undistortion(lens: Mapping[str, Any], name: str, what: str) -> None:
    """Since version 1.2.6 a lens may have the inverse of a distortion instead, such as 3DEqualizer's anamorphic models."""
    kind = text(lens, "undistortionType", what, "none").lower()
    given = lens.get("undistortionParams") or []
    if kind in ("", "none") or not numbers({"undistortionParams": given}, "undistortionParams", len(given), what).any():
        return
    raise InvalidInput(
        f"The camera of {name} has the undistortion {kind}, which is not supported.",
        hint="Export undistorted photographs from Meshroom with their cameras (PrepareDenseScene).",
        field="cameras",
    )


def _distortion(lens: Mapping[str, Any], name: str, what: str) -> Distortion:
    """One type before the lens got one of its own, which then stands in distortionType."""
    kind = text(lens, "type", what, "pinhole").lower()
    lens_kind = text(lens, "distortionType", what, "").lower() or kind
    _refuse_undistortion(lens, name, what)
    given = lens.get("distortionParams") or []
    values = numbers({"distortionParams": given}, "distortionParams", len(given), what).tolist()
    fisheye = kind in _FISHEYES
    if fisheye and (lens_kind in ("fisheye4", "fisheye", "none", kind)):
        return Distortion(FISHEYE, tuple((values + [0.0] * 4)[:4]) if lens_kind != "none" else (0.0,) * 4)
    if not fisheye and lens_kind in _RADIAL:
        k = (values + [0.0] * 3)[: _RADIAL[lens_kind]] + [0.0] * (3 - _RADIAL[lens_kind])
        return Distortion(PERSPECTIVE, (k[0], k[1], 0.0, 0.0, k[2]))
    if not fisheye and lens_kind in ("brown", "brownt2"):
        k1, k2, k3, p1, p2 = (values + [0.0] * 5)[:5]
        return Distortion(PERSPECTIVE, (k1, k2, p1, p2, k3))
    if not any(values) and not fisheye and kind in ("pinhole", *_RADIAL):
        return Distortion()
    raise InvalidInput(
        f"The camera of {name} is of the type {kind} with the distortion {lens_kind}, which is not supported.",
        hint="Choose pinhole, radial1, radial3, brown or fisheye4 in Meshroom, or export undistorted photographs.",
        field="cameras",
    )
