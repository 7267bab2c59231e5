"""A scan small enough for tests: a hilly square whose texture is a formula, photographed through an area filter.

What each pixel shows is the formula at 3 x 3 points, found by the project's rasteriser (held to other code by its own tests), so
nothing of the solver's model is in the photographs. Files are PNG; poses, exposures and outliers go wrong on request.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from shared.arrays import CAMERAS, MESH, PHOTOGRAPH, Array
from shared.cameras.camera import Camera, from_array, to_array
from tests.support.drawn import draw, project

POINTS = 3
Paint = Callable[[np.ndarray], np.ndarray]  # UVs [..., 2] -> sRGB-encoded colours [..., 3]


def paint(uv: np.ndarray) -> np.ndarray:
    """Waves and a checkerboard with soft edges, 0.15 to 0.85."""
    u, v = uv[..., 0], uv[..., 1]
    board = np.tanh(6 * np.sin(2 * np.pi * 4 * u) * np.sin(2 * np.pi * 4 * v))
    waves = [np.sin(2 * np.pi * (k * u + (5 - k) * v) + k) for k in (1, 2, 4)]
    return np.stack([0.5 + 0.17 * board + 0.18 * wave for wave in waves], axis=-1)


def hills(quads: int = 10, height: float = 0.15, tile: tuple[int, int] = (0, 0), side: float = 1.0) -> np.ndarray:
    """A square of ground [N, 3, 5] around the origin, z up, its UVs 0.03 to 0.97 of a UDIM tile."""
    steps = np.linspace(0, 1, quads + 1)
    s, t = np.meshgrid(steps, steps)
    z = height * np.sin(5 * s + 1) * np.cos(4 * t)
    grid = np.stack([(s - 0.5) * side, (t - 0.5) * side, z, tile[0] + 0.03 + 0.94 * s, tile[1] + 0.03 + 0.94 * t], -1)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    quads_of = [np.stack([a, b, c], 2).reshape(-1, 3, 5), np.stack([a, c, d], 2).reshape(-1, 3, 5)]
    return np.concatenate(quads_of).astype(np.float32)


def ring(
    count: int, width: int = 96, height: int = 80, focal_px: float = 110.0, distance: float = 1.35
) -> list[Camera]:
    """Cameras round about and above the origin, looking at it."""
    made = []
    for number in range(count):
        turn, rise = 2.4 * number, np.deg2rad(50 + 35 * np.sin(1.7 * number))
        center = distance * np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])
        ahead = -center / np.linalg.norm(center)
        right = np.cross(ahead, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(ahead, right), ahead])
        made.append(
            Camera(
                name=f"{number:02d}.png", width=width, height=height, fx=focal_px, fy=focal_px, cx=width / 2 + 0.3,
                cy=height / 2 - 0.2, rotation=rotation, translation=-rotation @ center,
            )
        )  # fmt: skip
    return made


def photograph(
    mesh: np.ndarray, camera: Camera, paint: Paint = paint, occluders: np.ndarray | None = None
) -> np.ndarray:
    """float64 [H, W, 3], each pixel the mean of POINTS x POINTS points; occluders are red, the rest is black."""
    fine = replace(
        camera, width=camera.width * POINTS, height=camera.height * POINTS, fx=camera.fx * POINTS,
        fy=camera.fy * POINTS, cx=camera.cx * POINTS, cy=camera.cy * POINTS,
    )  # fmt: skip
    seen = draw(project(mesh, fine, occluders))
    shown = np.where(np.isfinite(seen.uv[..., :1]), paint(np.nan_to_num(seen.uv)), 0.0)
    hidden = np.isfinite(seen.depth) & ~np.isfinite(seen.uv[..., 0])
    shown[hidden] = (0.9, 0.05, 0.05)
    return shown.reshape(camera.height, POINTS, camera.width, POINTS, 3).mean(axis=(1, 3))


def png(pixels: np.ndarray) -> np.ndarray:
    """The bytes of a PNG file, uint8 [n], of colours 0..1."""
    file = io.BytesIO()
    Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)).save(file, "PNG", compress_level=1)
    return np.frombuffer(file.getvalue(), np.uint8)


def turned(camera: Camera, x_px: float, y_px: float) -> Camera:
    """The camera turned so that what it shows at its middle moves by so many pixels to the right and down."""
    about_y, about_x = x_px / camera.fx, -y_px / camera.fy
    turn = np.array([[1, 0, about_y], [0, 1, -about_x], [-about_y, about_x, 1]])
    rotation = np.linalg.qr(turn)[0]
    rotation *= np.sign(np.diag(rotation))
    return replace(camera, rotation=rotation @ camera.rotation, translation=rotation @ camera.translation)


@dataclass(frozen=True)
class SmallScan:
    """What run() takes, and what is true. photographs: float64 [V, H, W, 3] before they became files."""

    mesh: np.ndarray
    cameras: list[Camera]
    photographs: list[np.ndarray]

    def inputs(self, **more: Any) -> dict[str, Any]:
        names = [camera.name for camera in self.cameras]
        images = [
            Array(PHOTOGRAPH, png(pixels), {"name": name}) for pixels, name in zip(self.photographs, names, strict=True)
        ]
        return {"images": images, "mesh": Array(MESH, self.mesh), "cameras": to_array(self.cameras)} | more


def small_scan(
    views: int = 8, *, mesh: np.ndarray | None = None, occluders: np.ndarray | None = None,
    gains: Sequence[float] | np.ndarray = (), outliers: float = 0.0, poses_px: float = 0.0, noise: float = 0.0,
    seed: int = 0, **lens: Any,
) -> SmallScan:  # fmt: skip
    """gains: of each photograph, or of each and channel. outliers: share of pixels that are nearly white. poses_px: how far cameras
    are given wrong, in a random direction."""
    rng = np.random.default_rng(seed)
    mesh = hills() if mesh is None else mesh
    true = ring(views, **lens)
    given, pictures = [], []
    for number, camera in enumerate(true):
        pixels = photograph(mesh, camera, occluders=occluders)
        if len(gains):
            pixels = pixels * np.asarray(gains[number])
        pixels = pixels + rng.normal(0, noise, pixels.shape) if noise else pixels
        pixels[rng.random(pixels.shape[:2]) < outliers] = 0.97
        angle = rng.uniform(0, 2 * np.pi)
        given.append(turned(camera, poses_px * np.cos(angle), poses_px * np.sin(angle)) if poses_px else camera)
        pictures.append(pixels)
    return SmallScan(mesh, given, pictures)


def truth(size: int, paint: Paint = paint) -> np.ndarray:
    """The texture [S, S, 3] as it should be, the mean over each texel."""
    steps = (np.arange(4 * size) + 0.5) / (4 * size)
    u, v = np.meshgrid(steps, steps[::-1])
    return paint(np.stack([u, v], -1)).reshape(size, 4, size, 4, 3).mean(axis=(1, 3))


def psnr(texture: np.ndarray, chosen: np.ndarray | None = None, paint: Paint = paint) -> float:
    """Of a uint16 texture [S, S, 3] in dB, over the chosen texels [S, S] bool."""
    error = texture / 65535.0 - truth(texture.shape[0], paint)
    error = error if chosen is None else error[chosen]
    return float(-10 * np.log10(np.mean(error**2)))


def cameras_of(array: Array) -> list[Camera]:
    assert array.kind is CAMERAS
    return list(from_array(array))
