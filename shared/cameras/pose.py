"""From the numbers of a file to a checked Camera: quaternions, camera-to-world matrices, and what no camera can be.

Every reader ends here, so that a broken pose is refused in the same words whatever format it came from. No file is opened here.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import InvalidInput
from .camera import COEFFICIENTS, Camera, Distortion

OPENGL = np.diag([1.0, -1.0, -1.0])  # y up and z backward into y down and z forward, and back
ROTATION_TOLERANCE = 1e-3  # of R R^T against 1; text files round to four digits and more
ROUNDING = (
    1e-5  # below it a rotation is left to the bit as the file has it: a hundredth of a pixel at 1000 px from the middle
)


FAR = 1e4  # units from the origin, from where a rounded rotation moves a camera that its file places by its centre


def rotation_from_quaternion(w: float, x: float, y: float, z: float) -> np.ndarray:
    """[3, 3] of a quaternion (Hamilton, real part first) of any length; NaN for one of length 0."""
    length = math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = (value / length if length > 0 else math.nan for value in (w, x, y, z))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def inverted(rotation: np.ndarray, translation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pose the other way round: camera-to-world from world-to-camera, and back."""
    return rotation.T, -rotation.T @ translation


def posed(
    *,
    name: str,
    size: tuple[float, float],
    focal: tuple[float, float],
    center: tuple[float, float],
    rotation: np.ndarray,
    translation: np.ndarray,
    distortion: Distortion | None = None,
    position: np.ndarray | None = None,
) -> Camera:
    """A Camera of checked numbers; its rotation is made one where a file has rounded it to few digits.

    size, focal, center: pixels, center from the outer corner of the top left pixel. position: the camera's place in the world [3],
    where the file says that and the translation follows from it: far from the origin it is kept. Raises InvalidInput, naming the
    photograph.
    """
    distortion = distortion or Distortion()
    coefficients = (*distortion.coefficients, *(0.0,) * (COEFFICIENTS - len(distortion.coefficients)))
    rotation = np.asarray(rotation, np.float64).reshape(3, 3)
    translation = np.asarray(translation, np.float64).reshape(3)
    if not (np.isfinite(rotation).all() and np.isfinite(translation).all()):
        raise _refusal(f"The pose of {name} is not finite (NaN or infinite).", "Export the cameras again.")
    if not all(math.isfinite(value) for value in (*size, *focal, *center, *coefficients)):
        raise _refusal(f"The lens of {name} is not finite (NaN or infinite).", "Export the cameras again.")
    if min(size) < 1 or min(focal) <= 0:
        raise _refusal(
            f"The camera of {name} is invalid: {size[0]:g} x {size[1]:g} px with a focal length of {focal[0]:g} x {focal[1]:g} px."
        )
    found = _nearest_rotation(rotation, name)
    if position is not None and found is not rotation and np.abs(position).max() > FAR:
        translation = -found @ np.asarray(position, np.float64)
    return Camera(
        name=name,
        width=int(size[0]),
        height=int(size[1]),
        fx=float(focal[0]),
        fy=float(focal[1]),
        cx=float(center[0]),
        cy=float(center[1]),
        rotation=found,
        translation=translation,
        distortion=Distortion(distortion.model, tuple(map(float, coefficients))),
    )


def _nearest_rotation(rotation: np.ndarray, name: str) -> np.ndarray:
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > ROTATION_TOLERANCE:
        raise _refusal(
            f"The pose of {name} is not a rotation and translation: its axes are not orthonormal.",
            "A pose must not contain a scale; export the cameras without one.",
        )
    if np.linalg.det(rotation) < 0:
        raise _refusal(f"The pose of {name} mirrors the world.", "A pose is a rotation and a translation.")
    if error < ROUNDING:
        return rotation
    left, _, right = np.linalg.svd(rotation)
    return left @ right


def _refusal(message: str, hint: str = "") -> InvalidInput:
    return InvalidInput(message, hint=hint, field="cameras")
