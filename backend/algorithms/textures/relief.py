"""Height of a material from its colour, as a guess, and its normals from height.

A photograph does not hold height. What is dark lies deeper (dirt gathers there and light does not reach it) is right for
bricks, bark, gravel and cloth, and wrong for paint, print and inlays: light areas then stand out. Slow changes of brightness are
left out, for they are mostly light.
"""

from __future__ import annotations

import numpy as np
import torch

from backend.ops.smoothing import gaussian

LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear R, G and B
SCALES = (1, 2, 4, 8, 16)  # pixels; differences between one smoothing and the next, coarser ones weighing more
RISE = 1.4  # of the weight, from a scale to the next
ENDS = (1.0, 99.0)  # percentiles that become 0 and 1


def height_of(base_color: np.ndarray) -> np.ndarray:
    """A guess of height [H, W] from 0 to 1 of linear colours [H, W, 3]."""
    luminance = sum(share * base_color[..., channel] for channel, share in enumerate(LUMINANCE))
    brightness = torch.from_numpy(np.log(luminance + 0.02).astype(np.float32))
    total, finer = torch.zeros_like(brightness), brightness
    most = min(brightness.shape) / 6
    for number, scale in enumerate(scale for scale in SCALES if scale <= max(most, 1)):
        coarser = gaussian(finer.contiguous(), float(scale), edge="nearest")
        total += RISE**number * (finer - coarser)
        finer = coarser
    low, high = np.percentile(total.numpy(), ENDS)
    return np.clip((total.numpy() - low) / max(float(high - low), 1e-6), 0.0, 1.0).astype(np.float32)


def normals_of(height: np.ndarray, depth_px: float, *, wraps: tuple[bool, bool]) -> np.ndarray:
    """Normals [H, W, 3] in tangent space, y up, of heights [H, W]; a height of 1 is depth_px pixels. wraps: down, across."""
    slopes = []
    for axis, wrap in enumerate(wraps):
        around = np.pad(height, [(1, 1) if n == axis else (0, 0) for n in (0, 1)], mode="wrap" if wrap else "edge")
        ahead, behind = (
            np.take(around, np.arange(2, around.shape[axis]), axis),
            np.take(around, np.arange(around.shape[axis] - 2), axis),
        )
        slopes.append(depth_px * (ahead - behind) / 2)
    down, across = slopes
    normal = np.stack([-across, down, np.ones_like(across)], axis=2)  # rows run down, y up
    return (normal / np.linalg.norm(normal, axis=2, keepdims=True)).astype(np.float32)
