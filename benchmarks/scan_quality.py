"""How good a texture is: held-out views rendered with it against the photographs, and colour steps across seams.

Every method is looked at in the same pixels by the same renderer, in sRGB-encoded values 0..1. A texture is rendered in two
ways, once at pixel centres and once averaged over 4 x 4 points a pixel; what counts is the one that suits the method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from benchmarks.scan_scene import Scene
from benchmarks.scan_surface import uv_map

POINTS = 4  # a side of a pixel, in the averaged rendering


@dataclass(frozen=True)
class Judgement:
    """PSNR in dB over all held-out pixels: with pixel centres, with averages, and the higher one; views: that one's, each."""

    point: float
    area: float
    views: tuple[float, ...]

    @property
    def best(self) -> float:
        return max(self.point, self.area)


class Judge:
    """Holds the held-out views' UV maps, so that many textures can be judged. seen: bool [V, H, W] to restrict the pixels."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.maps = {factor: [uv_map(camera, factor).uv for camera in scene.held_cameras] for factor in (1, POINTS)}
        self.masks = scene.held_masks & np.stack([np.isfinite(uv[..., 0]) for uv in self.maps[1]])

    def __call__(self, texture: np.ndarray) -> Judgement:
        """texture: [S, S, 3], uint16, uint8 or float 0..1, the top row first."""
        texture = as_float(texture)
        errors = {factor: self._squares(texture, factor) for factor in self.maps}
        total = {factor: psnr(np.concatenate(squares).mean()) for factor, squares in errors.items()}
        better = max(total, key=lambda factor: total[factor])
        return Judgement(total[1], total[POINTS], tuple(psnr(view.mean()) for view in errors[better]))

    def render(self, texture: np.ndarray, view: int, factor: int = POINTS) -> np.ndarray:
        """One held-out view, float32 [H, W, 3], NaN outside the surface."""
        return render(as_float(texture), self.maps[factor][view], factor)

    def _squares(self, texture: np.ndarray, factor: int) -> list[np.ndarray]:
        return [
            ((render(texture, uv, factor) - photograph)[mask]) ** 2
            for uv, photograph, mask in zip(
                self.maps[factor], self.scene.held_photographs, self.masks, strict=True
            )
        ]  # fmt: skip


def as_float(texture: np.ndarray) -> np.ndarray:
    """float32 0..1 from any of the encodings."""
    if texture.dtype.kind == "u":
        return texture.astype(np.float32) / np.float32(np.iinfo(texture.dtype).max)
    return np.ascontiguousarray(texture, np.float32)


def psnr(mean_square: float) -> float:
    """Of values 0..1, in dB."""
    return float(-10 * np.log10(max(float(mean_square), 1e-12)))


@numba.njit(cache=True, parallel=True)
def render(texture: np.ndarray, uv: np.ndarray, factor: int) -> np.ndarray:
    """A bilinear look at every place of a UV map [H factor, W factor, 2], averaged over factor x factor; NaN where none saw."""
    height, width, side = uv.shape[0] // factor, uv.shape[1] // factor, texture.shape[0]
    out = np.empty((height, width, 3), np.float32)
    for i in numba.prange(height):
        for j in range(width):
            red = green = blue = count = 0.0
            for k in range(factor * factor):
                u = uv[i * factor + k // factor, j * factor + k % factor, 0]
                v = uv[i * factor + k // factor, j * factor + k % factor, 1]
                if np.isnan(u):
                    continue
                x = min(max(u * side - 0.5, 0.0), side - 1.001)
                y = min(max((1 - v) * side - 0.5, 0.0), side - 1.001)
                p, q = int(y), int(x)
                a, b = x - q, y - p
                w0, w1, w2, w3 = (1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b
                t0, t1, t2, t3 = texture[p, q], texture[p, q + 1], texture[p + 1, q], texture[p + 1, q + 1]
                red += w0 * t0[0] + w1 * t1[0] + w2 * t2[0] + w3 * t3[0]
                green += w0 * t0[1] + w1 * t1[1] + w2 * t2[1] + w3 * t3[1]
                blue += w0 * t0[2] + w1 * t1[2] + w2 * t2[2] + w3 * t3[2]
                count += 1
            scale = 1 / count if count else np.nan
            out[i, j, 0], out[i, j, 1], out[i, j, 2] = red * scale, green * scale, blue * scale
    return out
