"""The photograph that a pinhole would have taken from the same place: decoded pixels in, straight pixels out.

Everything after it knows pinholes only. Intrinsics stay as they are, so that what bends outward is lost at the rim and what bends
inward leaves a border that shows nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.photos import undistortion_plain
from shared.cameras import FISHEYE, Camera
from shared.cameras.distortion import valid_radius


def undistort(
    pixels: Tensor,  # [H, W, 3] uint8 or uint16
    camera: Camera,
    *,
    impl: Impl = "auto",
) -> tuple[Tensor, Tensor | None]:
    """The pinhole's picture, of the same shape and type, and where it shows the photograph: [H, W] bool.

    A pinhole's photograph is returned as it is, with None for "everywhere". Pixels are fetched bicubically (Keys 1981); the
    photograph's outermost half pixel repeats its border. A photograph reduced in size is taken with intrinsics reduced likewise.
    """
    if camera.distortion.is_none:
        return pixels, None
    height, width = pixels.shape[:2]
    scale_x, scale_y = width / camera.width, height / camera.height
    lens = np.array([camera.fx * scale_x, camera.fy * scale_y, camera.cx * scale_x, camera.cy * scale_y])
    coefficients = np.zeros(8)
    coefficients[: len(camera.distortion.coefficients)] = camera.distortion.coefficients
    fisheye, limit = camera.distortion.model == FISHEYE, valid_radius(camera.distortion)
    chosen = choose(impl, pixels.device, cuda=True)
    if chosen == "cuda":
        from backend.ops.photos import undistortion_cuda

        straight, shown = (
            torch.empty_like(pixels, memory_format=torch.contiguous_format),
            torch.empty((height, width), dtype=torch.bool, device=pixels.device),
        )
        undistortion_cuda.undistort.launch(
            (height, width), pixels, *lens.tolist(), torch.from_numpy(coefficients).to(pixels.device), fisheye, float(limit),
            float(torch.iinfo(pixels.dtype).max), straight, shown,
        )  # fmt: skip
        return straight, shown
    if chosen == "plain":
        fx, fy, cx, cy = lens.tolist()
        bending = undistortion_plain.Lens(fx, fy, cx, cy, coefficients.tolist(), fisheye, limit)
        return undistortion_plain.undistort(pixels, bending)
    from backend.ops.photos import undistortion_cpu

    made, inside = torch.empty_like(pixels), torch.empty((height, width), dtype=torch.bool)
    undistortion_cpu.undistort(
        pixels.contiguous().reshape(height, -1).numpy(),
        lens,
        coefficients,
        fisheye,
        limit,
        undistortion_cpu.LANES,
        float(torch.iinfo(pixels.dtype).max),
        made.reshape(height, -1).numpy(),
        inside.numpy(),
    )
    return made, inside
