"""One posed photograph: size, focal length, principal point, pose and lens distortion, and the row of numbers it is sent as.

Pixels: (0, 0) is the outer corner of the top left pixel, whose centre is (0.5, 0.5); x to the right, y down. Camera space: x to
the right, y down, z forward (OpenCV, COLMAP). A file that counts from pixel centres is brought here by its reader.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ..arrays import CAMERAS, Array
from ..errors import InvalidInput

PERSPECTIVE = "perspective"  # Brown and Conrady, with OpenCV's rational term: k1 k2 p1 p2 k3 k4 k5 k6
FISHEYE = "fisheye"  # Kannala and Brandt, equidistant: k1 k2 k3 k4
COEFFICIENTS = 8
_MODELS = (PERSPECTIVE, FISHEYE)
COLUMNS = 27  # width height, fx fy cx cy, rotation by rows (9), translation (3), model, distortion (8)


@dataclass(frozen=True)
class Distortion:
    """How the lens bends the picture. coefficients: as many as the model has, in OpenCV's order; all 0 is a pinhole.

    PERSPECTIVE with x, y = X/Z, Y/Z and r2 = x x + y y:
        x' = x (1 + k1 r2 + k2 r2^2 + k3 r2^3) / (1 + k4 r2 + k5 r2^2 + k6 r2^3) + 2 p1 x y + p2 (r2 + 2 x x), and likewise y'.
    FISHEYE with t = atan(r): x' = x / r (t + k1 t^3 + k2 t^5 + k3 t^7 + k4 t^9).
    """

    model: str = PERSPECTIVE
    coefficients: tuple[float, ...] = (0.0,) * COEFFICIENTS

    @property
    def is_none(self) -> bool:
        return self.model == PERSPECTIVE and not any(self.coefficients)


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera:
    """A camera as its photograph was taken.

    name: of the photograph's file. width, height, fx, fy, cx, cy: pixels. rotation [3, 3] and translation [3] m: from the world
    into camera space, p_camera = rotation @ p_world + translation.
    """

    name: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    rotation: np.ndarray
    translation: np.ndarray
    distortion: Distortion = field(default_factory=Distortion)

    @property
    def center(self) -> np.ndarray:
        """The camera's position in the world [3] m."""
        return -self.rotation.T @ self.translation

    @property
    def intrinsics(self) -> np.ndarray:
        """[3, 3]: pixels = intrinsics @ p_camera / z, without the lens."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


def to_array(cameras: Iterable[Camera]) -> Array:
    """CAMERAS [N, 27] float64, with their names. The order is the photographs'."""
    cameras = tuple(cameras)
    rows = np.zeros((len(cameras), COLUMNS))
    for row, camera in zip(rows, cameras, strict=True):
        row[:6] = camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy
        row[6:15], row[15:18] = np.asarray(camera.rotation).ravel(), camera.translation
        row[18] = _MODELS.index(camera.distortion.model)
        row[19 : 19 + len(camera.distortion.coefficients)] = camera.distortion.coefficients
    return Array(CAMERAS, rows, {"names": [camera.name for camera in cameras]})


def from_array(array: Array) -> tuple[Camera, ...]:
    """The cameras of a CAMERAS array. Raises InvalidInput for numbers that are no camera."""
    names = array.attributes.get("names", [])
    names = [str(name) for name in names] if isinstance(names, list) else []
    names += [f"camera {index}" for index in range(len(names), len(array.values))]
    return tuple(_from_row(row, name) for row, name in zip(array.values, names, strict=False))


def _from_row(row: np.ndarray, name: str) -> Camera:
    width, height, fx, fy, cx, cy = row[:6]
    rotation = row[6:15].reshape(3, 3).copy()
    if not (width >= 1 and height >= 1 and fx > 0 and fy > 0 and row[18] in (0, 1)):
        raise InvalidInput(
            f"The camera of {name} is invalid: {width:g} x {height:g} px with a focal length of {fx:g} x {fy:g} px.",
            field="cameras",
        )
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3):
        raise InvalidInput(
            f"The rotation of the camera of {name} is not a rotation matrix.",
            hint="A pose is a rotation and a translation, without scale.",
            field="cameras",
        )
    return Camera(
        name=name,
        width=int(width),
        height=int(height),
        fx=float(fx),
        fy=float(fy),
        cx=float(cx),
        cy=float(cy),
        rotation=rotation,
        translation=row[15:18].copy(),
        distortion=Distortion(_MODELS[int(row[18])], tuple(float(value) for value in row[19:27])),
    )
