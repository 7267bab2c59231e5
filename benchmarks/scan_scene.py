"""The synthetic scan: 89 photographs of 320 x 256 and 8 that are held out, of a surface whose texture is known.

The ground truth has four times the texture's resolution and reaches the photographs through an area filter, by rays cast
at the surface in closed form; the methods get a mesh of flat triangles and cameras that are half a pixel off. What goes
wrong in photographs is added after: gain, white balance, highlights, noise, eight bits. One seed, one scene; the costly
part is kept in the folder for temporary files.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import scan_content, scan_surface
from shared.arrays import CAMERAS, MESH, PHOTOGRAPH, Array
from shared.cameras.camera import Camera, from_array, to_array

WIDTH, HEIGHT, FOCAL_PX = 320, 256, 370.0
TRUTH_FACTOR = 4


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What photographs suffer from.

    outliers: share of the surface's pixels under highlights. gain: exposures run from 1 - gain to 1 + gain, evenly, with a
    mean of 1. white_balance: standard deviation of what each channel deviates from that. pose_px: how far a camera is
    turned, in pixels, in a random direction. noise: standard deviation, of 1.
    """

    outliers: float = 0.03
    gain: float = 0.2
    white_balance: float = 0.02
    pose_px: float = 0.5
    noise: float = 0.01


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a method gets, and what it is judged by.

    mesh: float32 [N, 3, 5]. cameras: as given to the methods. photographs: uint8 [V, H, W, 3]. true_cameras and
    gains [V, 3]: what was added, for nobody but the reader of a report. held_cameras, held_photographs float32
    [8, H, W, 3], held_masks bool [8, H, W]: clean views with their true poses.
    """

    mesh: np.ndarray
    cameras: tuple[Camera, ...]
    photographs: np.ndarray
    true_cameras: tuple[Camera, ...]
    gains: np.ndarray
    held_cameras: tuple[Camera, ...]
    held_photographs: np.ndarray
    held_masks: np.ndarray

    def inputs(self) -> dict[str, Any]:
        """The scan texture engine's input ports: mesh, cameras, and photographs as PNG files' bytes."""
        files = [png(pixels) for pixels in self.photographs]
        images = tuple(
            Array(PHOTOGRAPH, np.frombuffer(file, np.uint8), {"name": camera.name})
            for file, camera in zip(files, self.cameras, strict=True)
        )
        return {"images": images, "mesh": Array(MESH, self.mesh), "cameras": to_array(self.cameras)}


def build(
    texture_size: int = 1024, trouble: Trouble | None = None, views: int = 89, held: int = 8, seed: int = 1
) -> Scene:
    """The scene whose ground truth is TRUTH_FACTOR x texture_size wide. A minute or two the first time, then a second."""
    trouble = trouble or Trouble()
    cameras = orbit(views + held, seed)
    pixels, coverage = _clean(texture_size, cameras, seed)
    rng = np.random.default_rng([seed, 7])
    gains = _gains(views, trouble, rng)
    taken = [
        _spoil(pixels[k], coverage[k], gains[k], trouble, np.random.default_rng([seed, 8, k])) for k in range(views)
    ]
    return Scene(
        mesh=scan_surface.mesh(),
        cameras=tuple(_nudge(camera, trouble.pose_px, rng) for camera in cameras[:views]),
        photographs=np.stack(taken),
        true_cameras=cameras[:views],
        gains=gains,
        held_cameras=cameras[views:],
        held_photographs=pixels[views:],
        held_masks=coverage[views:] >= 0.999,
    )


def truth(texture_size: int, seed: int = 1) -> np.ndarray:
    """The ground truth, uint8 [S, S, 3] sRGB-encoded with S = TRUTH_FACTOR x texture_size."""
    size = TRUTH_FACTOR * texture_size
    path = _kept(f"truth-{size}-{seed}", ".npy", scan_content, scan_surface)
    if not path.exists():
        sheet = scan_content.letters(seed)
        picture = np.empty((size, size, 3), np.uint8)
        for top in range(0, size, 256):
            rows = slice(top, top + 256)
            picture[rows] = scan_content.paint(scan_surface.places(size, rows).reshape(-1, 5), sheet, seed).reshape(
                -1, size, 3
            )
        _keep(path, lambda file: np.save(file, picture))
    return np.load(path, mmap_mode="r")


def mip_chain(picture: np.ndarray, levels: int = 7) -> tuple[np.ndarray, ...]:
    """uint16 [S, S, 3] of uint8 [S, S, 3] and its box averages by twos."""
    chain = [picture.astype(np.uint16) * np.uint16(257)]
    for _ in range(levels - 1):
        last = chain[-1]
        total = last[0::2, 0::2].astype(np.uint32) + last[0::2, 1::2] + last[1::2, 0::2] + last[1::2, 1::2]
        chain.append(((total + 2) // 4).astype(np.uint16))
    return tuple(chain)


def orbit(
    count: int, seed: int, width: int = WIDTH, height: int = HEIGHT, focal_px: float = FOCAL_PX
) -> tuple[Camera, ...]:
    """Cameras all round and above, 3.4 to 4.8 m away, looking about the middle, rolled a little."""
    rng = np.random.default_rng([seed, 3])
    cameras = []
    for index in range(count):
        turn, rise = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(8, 72))
        center = np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])
        center = center * rng.uniform(3.4, 4.8) + (0, 0, 0.6)
        forward = np.add(rng.normal(0, 0.2, 3), (0, 0, 0.65)) - center
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0, 1])
        right /= np.linalg.norm(right)
        rotation = _about_z(rng.normal(0, 0.1)) @ np.stack([right, np.cross(forward, right), forward])
        cameras.append(
            Camera(
                name=f"view_{index:03d}.png", width=width, height=height, fx=focal_px, fy=focal_px,
                cx=width / 2, cy=height / 2, rotation=rotation, translation=-rotation @ center,
            )
        )  # fmt: skip
    return tuple(cameras)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _clean(texture_size: int, cameras: tuple[Camera, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Photographs before anything went wrong, float32 [V, H, W, 3], and the surface's share of each pixel [V, H, W]."""
    name = f"views-{texture_size}-{len(cameras)}-{seed}"
    path = _kept(name, ".npz", scan_content, scan_surface)
    if not path.exists():
        mips = mip_chain(truth(texture_size, seed))
        made = [scan_surface.photograph(camera, mips) for camera in cameras]
        pixels, coverage = (np.stack(part) for part in zip(*made, strict=True))
        rows = to_array(cameras).values
        _keep(path, lambda file: np.savez(file, pixels=pixels, coverage=coverage, cameras=rows))
    kept = np.load(path)
    known = from_array(Array(CAMERAS, kept["cameras"]))
    if any(not np.array_equal(a.rotation, b.rotation) for a, b in zip(known, cameras, strict=True)):
        raise RuntimeError(f"{path} holds other cameras; delete it.")
    return kept["pixels"], kept["coverage"]


def _gains(views: int, trouble: Trouble, rng: np.random.Generator) -> np.ndarray:
    """float64 [V, 3] around 1: an even spread of exposures in random order, times white balance whose mean is 1."""
    spread = np.linspace(-1, 1, views) if views > 1 else np.zeros(1)
    exposure = 1 + trouble.gain * rng.permutation(spread)
    balance = rng.normal(0, trouble.white_balance, (views, 3))
    return exposure[:, None] * (1 + balance - balance.mean(0))


def _spoil(
    pixels: np.ndarray, coverage: np.ndarray, gain: np.ndarray, trouble: Trouble, rng: np.random.Generator
) -> np.ndarray:
    """Gain, highlights, noise, eight bits."""
    spoilt = pixels * gain
    surface, covered = coverage > 0.5, np.zeros(coverage.shape, bool)
    rows, columns = np.indices(coverage.shape)
    inside = np.argwhere(surface)
    while len(inside) and covered[surface].mean() < trouble.outliers:
        top, left = inside[rng.integers(len(inside))]
        angle, long, short = rng.uniform(0, np.pi), rng.uniform(1.5, 7.0), rng.uniform(1.0, 3.0)
        across = (columns - left) * np.cos(angle) + (rows - top) * np.sin(angle)
        along = (rows - top) * np.cos(angle) - (columns - left) * np.sin(angle)
        covered |= (across / long) ** 2 + (along / short) ** 2 <= 1
    spoilt[covered & surface] = 1.0
    spoilt = spoilt + rng.normal(0, trouble.noise, pixels.shape)
    return np.rint(np.clip(spoilt, 0, 1) * 255).astype(np.uint8)


def _nudge(camera: Camera, pixels: float, rng: np.random.Generator) -> Camera:
    """The camera turned about its own centre so that its picture moves by so many pixels, in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    x, y = pixels * np.cos(angle) / camera.fx, pixels * np.sin(angle) / camera.fy
    turn = _about_y(x) @ _about_x(-y)
    return dataclasses.replace(camera, rotation=turn @ camera.rotation, translation=turn @ camera.translation)


def _about_x(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_y(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _about_z(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _kept(name: str, suffix: str, *modules: object) -> Path:
    """Where a costly thing is kept: another file as soon as the code that makes it has changed."""
    code = b"".join(Path(str(getattr(module, "__file__", ""))).read_bytes() for module in modules)
    folder = Path(tempfile.gettempdir()) / "relievo-benchmarks"
    folder.mkdir(exist_ok=True)
    return folder / f"scan-{name}-{hashlib.sha256(code).hexdigest()[:10]}{suffix}"


def _keep(path: Path, write) -> None:
    """Write beside, then rename: two benchmarks at once see a whole file or none."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        write(file)
    os.replace(file.name, path)
