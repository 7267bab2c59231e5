"""The surface of the synthetic scan, in closed form: a sphere in six charts over hilly ground in one, and rays cast at it.

Nothing here uses the project's rasteriser or its texel model: photographs and the truth come by another way than the
results that are held to them. Metres, z up; UVs and pixels as shared/arrays.py and shared/cameras say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from benchmarks.scan_content import _value_noise
from shared.cameras.camera import Camera

RADIUS_M, CENTER_Z_M = 0.8, 1.15
GROUND_M = 1.6  # half the side of the square of ground
FACE, GROUND = 0.25, 0.75  # sides of a cube face's cell and of the ground's cell in UV units
GUTTER = 1.0 / 256.0  # UV units left free inside each cell: four texels of 1024
MARCH_SLOPE = 1.9  # above the steepest slope of the ground, so that no step can pass through it

# Normal and the two chart axes of each cube face; the second axis is normal x first. Then the cell's corner in UV.
_FACES = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
        [[0, -1, 0], [1, 0, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0], [0, 1, 0]], [[0, 0, -1], [1, 0, 0], [0, -1, 0]],
    ],
    np.float64,
)  # fmt: skip
_CELLS = np.array([[0, 0.75], [0.25, 0.75], [0.5, 0.75], [0.75, 0.75], [0.75, 0.5], [0.75, 0.25]])
_HILLS = np.array([[1.0, -0.85, 0.75, 0.30], [-1.0, 0.6, 0.6, 0.34], [0.15, 1.1, 0.7, 0.26], [-0.7, -1.0, 0.45, 0.3]])


@dataclass(frozen=True)
class UvMap:
    """What each pixel centre sees. uv: float32 [H, W, 2], NaN where nothing; depth [H, W] m; facing [H, W] 0..1."""

    uv: np.ndarray
    depth: np.ndarray
    facing: np.ndarray


def uv_map(camera: Camera, factor: int = 1) -> UvMap:
    """The surface as a camera sees it, at `factor` times its resolution."""
    pose = _pose(camera)
    made = _look(pose, camera.width * factor, camera.height * factor, float(factor))
    return UvMap(np.ascontiguousarray(made[..., :2]), made[..., 2].copy(), made[..., 3].copy())


def photograph(camera: Camera, mips: tuple[np.ndarray, ...], rays: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """The surface with the ground truth on it through an area filter.

    mips: the ground truth uint16 [S, S, 3] and its box averages by twos. Each pixel averages rays x rays rays, each of
    which takes the mip of its own footprint. Returns sRGB-encoded float32 [H, W, 3] and the share of rays that met the
    surface, float32 [H, W].
    """
    made = _shoot(_pose(camera), camera.width, camera.height, rays, mips)
    return np.ascontiguousarray(made[..., :3]), made[..., 3].copy()


def places(size: int, rows: slice) -> np.ndarray:
    """Where the texels of some rows of a size x size texture lie: float32 [R, size, 5], as scan_content.paint takes them.

    Charts go on into their gutters; the one free cell holds a copy of the ground's plane.
    """
    v = 1.0 - (np.arange(size)[rows] + 0.5) / size
    return _places(v, size)


def mesh(face_quads: int = 48, ground_quads: int = 128) -> np.ndarray:
    """The scan's triangles, float32 [N, 3, 5]: flat, so off the true surface by up to a tenth of a pixel, as scans are."""
    parts = []
    steps = np.linspace(-1, 1, face_quads + 1)
    a, b = np.meshgrid(steps, steps)
    for (normal, across, up), cell in zip(_FACES, _CELLS, strict=True):
        ray = normal + np.tan(a * np.pi / 4)[..., None] * across + np.tan(b * np.pi / 4)[..., None] * up
        xyz = RADIUS_M * ray / np.linalg.norm(ray, axis=-1, keepdims=True) + [0, 0, CENTER_Z_M]
        uv = cell + GUTTER + (np.stack([a, b], -1) + 1) / 2 * (FACE - 2 * GUTTER)
        parts.append(_triangles(np.concatenate([xyz, uv], -1)))
    steps = np.linspace(-GROUND_M, GROUND_M, ground_quads + 1)
    x, y = np.meshgrid(steps, steps)
    z = np.array([[ground_height(p, q) for p, q in zip(*row, strict=True)] for row in zip(x, y, strict=True)])
    uv = GUTTER + (np.stack([x, y], -1) / GROUND_M + 1) / 2 * (GROUND - 2 * GUTTER)
    parts.append(_triangles(np.concatenate([np.stack([x, y, z], -1), uv], -1)))
    return np.concatenate(parts).astype(np.float32)


def _triangles(grid: np.ndarray) -> np.ndarray:
    """Two triangles a quad of a grid [R, C, 5] whose columns run along the first chart axis."""
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    return np.concatenate(
        [np.stack([a, b, c], 2).reshape(-1, 3, 5), np.stack([a, c, d], 2).reshape(-1, 3, 5)]
    )  # fmt: skip


def _pose(camera: Camera) -> np.ndarray:
    """fx fy cx cy, centre, rotation by rows, in one array for the kernels."""
    numbers = [camera.fx, camera.fy, camera.cx, camera.cy]
    return np.concatenate([numbers, camera.center, np.asarray(camera.rotation).ravel()])


@numba.njit(cache=True)
def ground_height(x: float, y: float) -> float:
    """Metres above the rim, which is flat: nobody can look under it from above."""
    fade = max(1 - (x / GROUND_M) ** 2, 0.0) * max(1 - (y / GROUND_M) ** 2, 0.0)
    fade = 1 - (1 - fade) ** 3
    height = 0.09 * (1 + math.sin(3.1 * x + 0.5) * math.cos(2.7 * y))
    for hill in range(_HILLS.shape[0]):
        dx, dy = x - _HILLS[hill, 0], y - _HILLS[hill, 1]
        height += _HILLS[hill, 2] * math.exp(-(dx * dx + dy * dy) / (2 * _HILLS[hill, 3] ** 2))
    return fade * height


@numba.njit(cache=True)
def _hit(cx: float, cy: float, cz: float, dx: float, dy: float, dz: float) -> tuple[float, float, float, float, float]:
    """First surface along c + t d: t (negative for none), u, v, cosine of facing, UV units a metre."""
    best, u, v, facing, density = -1.0, 0.0, 0.0, 0.0, 0.0
    oz = cz - CENTER_Z_M
    aa, bb = dx * dx + dy * dy + dz * dz, cx * dx + cy * dy + oz * dz
    length = math.sqrt(aa)
    disc = bb * bb - aa * (cx * cx + cy * cy + oz * oz - RADIUS_M * RADIUS_M)
    if disc > 0:
        t = (-bb - math.sqrt(disc)) / aa
        if t > 0:
            x, y, z = (cx + t * dx) / RADIUS_M, (cy + t * dy) / RADIUS_M, (oz + t * dz) / RADIUS_M
            best, facing = t, -(x * dx + y * dy + z * dz) / length
            face, most = 0, -2.0
            for f in range(6):
                along = x * _FACES[f, 0, 0] + y * _FACES[f, 0, 1] + z * _FACES[f, 0, 2]
                if along > most:
                    most, face = along, f
            a = math.atan((x * _FACES[face, 1, 0] + y * _FACES[face, 1, 1] + z * _FACES[face, 1, 2]) / most)
            b = math.atan((x * _FACES[face, 2, 0] + y * _FACES[face, 2, 1] + z * _FACES[face, 2, 2]) / most)
            inner = FACE - 2 * GUTTER
            u = _CELLS[face, 0] + GUTTER + (a * 4 / math.pi + 1) / 2 * inner
            v = _CELLS[face, 1] + GUTTER + (b * 4 / math.pi + 1) / 2 * inner
            density = inner / (math.pi / 2 * RADIUS_M)
    t = _march(cx, cy, cz, dx, dy, dz, best)
    if t > 0:
        x, y = cx + t * dx, cy + t * dy
        e = 1e-4
        nx = -(ground_height(x + e, y) - ground_height(x - e, y)) / (2 * e)
        ny = -(ground_height(x, y + e) - ground_height(x, y - e)) / (2 * e)
        inner = GROUND - 2 * GUTTER
        best, facing = t, -(nx * dx + ny * dy + dz) / length / math.sqrt(nx * nx + ny * ny + 1)
        u, v = GUTTER + (x / GROUND_M + 1) / 2 * inner, GUTTER + (y / GROUND_M + 1) / 2 * inner
        density = inner / (2 * GROUND_M)
    return best, u, v, facing, density


@numba.njit(cache=True)
def _march(cx: float, cy: float, cz: float, dx: float, dy: float, dz: float, limit: float) -> float:
    """Where a ray meets the ground before t = limit (negative: no limit), or -1: steps that the steepest slope allows."""
    first, last = 0.0, limit if limit > 0 else 1e9
    for c, d in ((cx, dx), (cy, dy)):
        if abs(d) < 1e-12:
            if abs(c) > GROUND_M:
                return -1.0
            continue
        near, far = (-GROUND_M - c) / d, (GROUND_M - c) / d
        if near > far:
            near, far = far, near
        first, last = max(first, near), min(last, far)
    if cz + first * dz > 1.3 and dz < 0:
        first = (1.3 - cz) / dz
    if first >= last or cz + first * dz < 0:
        return -1.0
    flat = math.sqrt(dx * dx + dy * dy)
    closing = MARCH_SLOPE * flat + abs(dz)
    t = first
    for _ in range(200):
        gap = cz + t * dz - ground_height(cx + t * dx, cy + t * dy)
        if gap < 2e-5:
            return t
        t += gap / closing
        if t > last:
            return -1.0
    return t


@numba.njit(cache=True, parallel=True)
def _look(pose: np.ndarray, width: int, height: int, factor: float) -> np.ndarray:
    out = np.full((height, width, 4), np.nan, np.float32)
    for i in numba.prange(height):
        for j in range(width):
            x, y, z = _ray(pose, (j + 0.5) / factor, (i + 0.5) / factor)
            t, u, v, facing, _ = _hit(pose[4], pose[5], pose[6], x, y, z)
            if t > 0 and facing > 0:
                out[i, j, 0], out[i, j, 1], out[i, j, 2], out[i, j, 3] = u, v, t, facing
    return out


@numba.njit(cache=True, inline="always")
def _ray(pose: np.ndarray, x: float, y: float) -> tuple[float, float, float]:
    """Direction in the world through a place in the picture; its length is one of depth."""
    a, b = (x - pose[2]) / pose[0], (y - pose[3]) / pose[1]
    return (
        pose[7] * a + pose[10] * b + pose[13],
        pose[8] * a + pose[11] * b + pose[14],
        pose[9] * a + pose[12] * b + pose[15],
    )


@numba.njit(cache=True, parallel=True)
def _shoot(pose: np.ndarray, width: int, height: int, rays: int, mips: tuple[np.ndarray, ...]) -> np.ndarray:
    out = np.zeros((height, width, 4), np.float32)
    for i in numba.prange(height):
        color = np.empty(3)
        for j in range(width):
            for k in range(rays * rays):
                x, y, z = _ray(pose, j + (k % rays + 0.5) / rays, i + (k // rays + 0.5) / rays)
                t, u, v, facing, density = _hit(pose[4], pose[5], pose[6], x, y, z)
                if t > 0 and facing > 0:
                    width_m = t / math.sqrt(pose[0] * pose[1] * max(facing, 0.05)) / rays
                    _sample(mips, u, v, width_m * density, color)
                    out[i, j, 3] += 1
                else:  # a blurred room behind the scan
                    length = math.sqrt(x * x + y * y + z * z)
                    x, y, z = 3 * x / length, 3 * y / length, 3 * z / length
                    for c in range(3):
                        color[c] = 0.4 + 0.25 * _value_noise(x, y, z, 900 + c)
                for c in range(3):
                    out[i, j, c] += color[c]
            for c in range(4):
                out[i, j, c] /= rays * rays
    return out


@numba.njit(cache=True)
def _sample(mips: tuple[np.ndarray, ...], u: float, v: float, footprint: float, color: np.ndarray) -> None:
    """Trilinear, the level at which a texel is as wide as the footprint (UV units)."""
    level = min(max(math.log2(max(footprint * mips[0].shape[0], 1e-9)), 0.0), len(mips) - 1.001)
    low = int(level)
    color[:] = 0.0
    for k in range(2):
        share = (level - low if k == 1 else 1 - level + low) / 65535.0
        plane = mips[low + k]
        side = plane.shape[0]
        x, y = min(max(u * side - 0.5, 0.0), side - 1.001), min(max((1 - v) * side - 0.5, 0.0), side - 1.001)
        j, i = int(x), int(y)
        a, b = x - j, y - i
        for c in range(3):
            upper = (1 - a) * plane[i, j, c] + a * plane[i, j + 1, c]
            lower = (1 - a) * plane[i + 1, j, c] + a * plane[i + 1, j + 1, c]
            color[c] += share * ((1 - b) * upper + b * lower)


@numba.njit(cache=True, parallel=True)
def _places(v_rows: np.ndarray, size: int) -> np.ndarray:
    out = np.zeros((v_rows.shape[0], size, 5), np.float32)
    for i in numba.prange(v_rows.shape[0]):
        v = v_rows[i]
        for j in range(size):
            u = (j + 0.5) / size
            face = -1
            for f in range(6):
                if _CELLS[f, 0] <= u < _CELLS[f, 0] + FACE and _CELLS[f, 1] <= v < _CELLS[f, 1] + FACE:
                    face = f
            if face < 0:
                inner = GROUND - 2 * GUTTER
                x, y = ((u - GUTTER) / inner * 2 - 1) * GROUND_M, ((v - GUTTER) / inner * 2 - 1) * GROUND_M
                out[i, j, 0], out[i, j, 1], out[i, j, 2] = x, y, ground_height(x, y)
                out[i, j, 3], out[i, j, 4] = x + 1.0, 2.0 - y
                continue
            inner = FACE - 2 * GUTTER
            a = math.tan((((u - _CELLS[face, 0] - GUTTER) / inner) * 2 - 1) * math.pi / 4)
            b = math.tan((((v - _CELLS[face, 1] - GUTTER) / inner) * 2 - 1) * math.pi / 4)
            scale = RADIUS_M / math.sqrt(1 + a * a + b * b)
            x = scale * (_FACES[face, 0, 0] + a * _FACES[face, 1, 0] + b * _FACES[face, 2, 0])
            y = scale * (_FACES[face, 0, 1] + a * _FACES[face, 1, 1] + b * _FACES[face, 2, 1])
            z = scale * (_FACES[face, 0, 2] + a * _FACES[face, 1, 2] + b * _FACES[face, 2, 2])
            out[i, j, 0], out[i, j, 1], out[i, j, 2] = x, y, z + CENTER_Z_M
            out[i, j, 3], out[i, j, 4] = RADIUS_M * math.atan2(y, x), -RADIUS_M * math.asin(z / RADIUS_M)
    return out
