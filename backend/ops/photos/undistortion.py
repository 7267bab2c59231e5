"""The photograph that a pinhole would have taken from the same place: decoded pixels in, straight pixels out.

Everything after it knows pinholes only. Intrinsics stay as they are, so that what bends outward is lost at the rim and what bends
inward leaves a border that shows nothing.
"""

from __future__ import annotations

import numpy as np

from shared.cameras import FISHEYE, Camera
from shared.cameras.distortion import valid_radius


def undistort(
    pixels: np.ndarray,  # [H, W, 3] uint8 or uint16
    camera: Camera,
) -> tuple[np.ndarray, np.ndarray | None]:
    """The pinhole's picture, of the same shape and type, and where it shows the photograph: [H, W] bool.

    A pinhole's photograph is returned as it is, with None for "everywhere". Pixels are fetched bicubically (Keys 1981); the
    photograph's outermost half pixel repeats its border. A photograph reduced in size is taken with intrinsics reduced likewise.
    """
    if camera.distortion.is_none:
        return pixels, None
    from backend.ops.photos import undistortion_cpu

    height, width = pixels.shape[:2]
    scale_x, scale_y = width / camera.width, height / camera.height
    lens = np.array([camera.fx * scale_x, camera.fy * scale_y, camera.cx * scale_x, camera.cy * scale_y])
    coefficients = np.zeros(8)
    coefficients[: len(camera.distortion.coefficients)] = camera.distortion.coefficients
    made, inside = np.empty(pixels.shape, pixels.dtype), np.empty((height, width), bool)
    undistortion_cpu.undistort(
        np.ascontiguousarray(pixels).reshape(height, -1),
        lens,
        coefficients,
        camera.distortion.model == FISHEYE,
        valid_radius(camera.distortion),
        undistortion_cpu.LANES,
        float(np.iinfo(pixels.dtype).max),
        made.reshape(height, -1),
        inside,
    )
    return made, inside
