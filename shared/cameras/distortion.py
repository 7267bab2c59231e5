"""What a lens does to a picture, both ways: Brown and Conrady with OpenCV's rational term, and the equidistant fisheye.

Points are normalised, x/z and y/z in camera space; NumPy only, so that Blender can straighten background pictures with it. The
backend straightens photographs with a kernel of its own, tested to agree with this.
"""

from __future__ import annotations

import math

import numpy as np

from ..sampling import bilinear
from .camera import COEFFICIENTS, FISHEYE, Camera, Distortion

NEWTON_STEPS = 20
ROWS_AT_ONCE = 1 << 20  # pixels; about 100 MB of temporaries in undistorted()
_TABLE = 2048  # radii that a Newton start is looked up from


def distort(points: np.ndarray, distortion: Distortion) -> np.ndarray:
    """Where the lens puts points [..., 2] that a pinhole would put at `points`; both normalised, float64.

    Beyond valid_radius() the formula folds back into the picture: the caller must leave such points out.
    """
    points = np.asarray(points, np.float64)
    x, y = points[..., 0], points[..., 1]
    if distortion.model == FISHEYE:
        r = np.hypot(x, y)
        theta = np.arctan(r)
        scale = np.divide(_fisheye_angle(theta, distortion)[0], r, out=np.ones_like(r), where=r > 1e-12)
        return np.stack([x * scale, y * scale], axis=-1)
    p1, p2 = _padded(distortion)[2:4]
    s = x * x + y * y
    radial = _radial(s, distortion)[0]
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (s + 2 * x * x),
            y * radial + p1 * (s + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def undistort_points(points: np.ndarray, distortion: Distortion) -> np.ndarray:
    """The inverse of distort() for points [..., 2], by Newton's method, to 1e-12; NaN where no point within
    valid_radius() is put there, and for what a fisheye sees at 90 degrees and more.
    """
    points = np.asarray(points, np.float64)
    if distortion.is_none:
        return points.copy()
    return (
        _undistort_fisheye(points, distortion) if distortion.model == FISHEYE else _undistort_brown(points, distortion)
    )


def valid_radius(distortion: Distortion) -> float:
    """The normalised radius up to which the radial part grows, so that no two points land on one; inf where it always does."""
    k1, k2, _, _, k3, k4, k5, k6 = _padded(distortion)
    if distortion.model == FISHEYE:
        k = distortion.coefficients[:4]
        slopes = [float(3 + 2 * i) * value for i, value in enumerate(k)]  # of theta_d by theta, in powers of theta^2
        theta = math.sqrt(_least_root([*reversed(slopes), 1.0]))
        return math.tan(theta) if theta < math.pi / 2 else math.inf
    numerator, denominator = np.array([k3, k2, k1, 1.0]), np.array([k6, k5, k4, 1.0])
    twice_s = np.array([2.0, 0.0])
    grows = np.polysub(
        np.polymul(np.polyadd(numerator, np.polymul(twice_s, np.polyder(numerator))), denominator),
        np.polymul(np.polymul(twice_s, numerator), np.polyder(denominator)),
    )
    return math.sqrt(min(_least_root(grows), _least_root(denominator)))


def project(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World points [N, 3] to pixels [N, 2] through the lens, and their depth z [N] m.

    Pixels are NaN for points at or behind the camera's plane and for those that the lens cannot see.
    """
    local = np.asarray(points, np.float64) @ camera.rotation.T + camera.translation
    z = local[:, 2]
    ahead = z > 0
    ideal = np.full((len(local), 2), np.nan)
    np.divide(local[:, :2], z[:, None], out=ideal, where=ahead[:, None])
    ideal[np.hypot(ideal[:, 0], ideal[:, 1]) > valid_radius(camera.distortion)] = np.nan
    bent = ideal if camera.distortion.is_none else distort(ideal, camera.distortion)
    return bent * (camera.fx, camera.fy) + (camera.cx, camera.cy), z


def undistorted(pixels: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """The picture [H, W, C] float32 that a pinhole of the same focal length and principal point would have taken.

    Returns the picture, bilinearly sampled and 0 where the photograph shows nothing, and inside [H, W] bool. Values should be
    premultiplied where a channel is alpha. A picture of another size than the camera's is taken as scaled.
    """
    height, width = pixels.shape[:2]
    if camera.distortion.is_none:
        return pixels.astype(np.float32, copy=True), np.ones((height, width), bool)
    fx, cx = camera.fx * width / camera.width, camera.cx * width / camera.width
    fy, cy = camera.fy * height / camera.height, camera.cy * height / camera.height
    limit = valid_radius(camera.distortion)
    made = np.zeros(pixels.shape, np.float32)
    inside = np.zeros((height, width), bool)
    step = max(ROWS_AT_ONCE // width, 1)
    columns = (np.arange(width) + 0.5 - cx) / fx
    for top in range(0, height, step):
        rows = (np.arange(top, min(top + step, height)) + 0.5 - cy) / fy
        ideal = np.stack(np.broadcast_arrays(columns[None, :], rows[:, None]), axis=-1)
        x, y = np.moveaxis(distort(ideal, camera.distortion) * (fx, fy) + (cx, cy), -1, 0)
        seen = (np.hypot(ideal[..., 0], ideal[..., 1]) <= limit) & (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
        made[top : top + step][seen] = bilinear(pixels, x[seen], y[seen])
        inside[top : top + step] = seen
    return made, inside


def _padded(distortion: Distortion) -> tuple[float, ...]:
    given = tuple(distortion.coefficients)
    return given + (0.0,) * (COEFFICIENTS - len(given))


def _radial(s: np.ndarray, distortion: Distortion) -> tuple[np.ndarray, np.ndarray]:
    """The radial factor at the squared radius s, and its derivative by s."""
    k1, k2, _, _, k3, k4, k5, k6 = _padded(distortion)
    above, below = 1 + s * (k1 + s * (k2 + s * k3)), 1 + s * (k4 + s * (k5 + s * k6))
    slope_above, slope_below = k1 + s * (2 * k2 + 3 * s * k3), k4 + s * (2 * k5 + 3 * s * k6)
    return above / below, (slope_above * below - above * slope_below) / (below * below)


def _fisheye_angle(theta: np.ndarray, distortion: Distortion) -> tuple[np.ndarray, np.ndarray]:
    """The image radius of a ray at the angle theta from the axis, and its derivative."""
    k1, k2, k3, k4 = _padded(distortion)[:4]
    t = theta * theta
    radius = theta * (1 + t * (k1 + t * (k2 + t * (k3 + t * k4))))
    return radius, 1 + t * (3 * k1 + t * (5 * k2 + t * (7 * k3 + t * 9 * k4)))


def _least_root(polynomial: np.ndarray | list[float]) -> float:
    """The least root above 0 of a polynomial, highest power first; inf where it has none."""
    coefficients = np.array(polynomial, float)
    coefficients[np.abs(coefficients) < 1e-12 * np.abs(coefficients).max()] = 0.0  # else a root beyond every number
    roots = np.roots(coefficients)
    real = roots.real[np.abs(roots.imag) <= 1e-9 * np.maximum(np.abs(roots), 1)]
    return float(min(real[real > 1e-12], default=math.inf))


def _undistort_fisheye(points: np.ndarray, distortion: Distortion) -> np.ndarray:
    radius = np.hypot(points[..., 0], points[..., 1])
    limit = min(math.atan(valid_radius(distortion)), math.pi / 2)
    table = np.linspace(0.0, limit, _TABLE)
    theta = np.interp(radius, _fisheye_angle(table, distortion)[0], table)
    for _ in range(NEWTON_STEPS):
        value, slope = _fisheye_angle(theta, distortion)
        theta = np.clip(theta - (value - radius) / np.maximum(slope, 1e-9), 0.0, limit)
    missed = np.abs(_fisheye_angle(theta, distortion)[0] - radius) > 1e-12 * np.maximum(radius, 1)
    theta = np.where(missed | (theta >= math.pi / 2), np.nan, theta)
    scale = np.divide(np.tan(theta), radius, out=np.ones_like(radius), where=radius > 1e-12)
    return points * scale[..., None]


def _undistort_brown(points: np.ndarray, distortion: Distortion) -> np.ndarray:
    """Newton in two dimensions, started at the solution of the radial part alone, which a table gives."""
    p1, p2 = _padded(distortion)[2:4]
    limit = valid_radius(distortion)
    radius = np.hypot(points[..., 0], points[..., 1])
    table = _radii(limit, float(np.nanmax(radius, initial=0.0)), distortion)
    start = np.interp(radius, table * _radial(table * table, distortion)[0], table)
    scale = np.divide(start, radius, out=np.ones_like(radius), where=radius > 1e-12)
    x, y = points[..., 0] * scale, points[..., 1] * scale
    for _ in range(NEWTON_STEPS):
        s = x * x + y * y
        radial, slope = _radial(s, distortion)
        off_x = x * radial + 2 * p1 * x * y + p2 * (s + 2 * x * x) - points[..., 0]
        off_y = y * radial + p1 * (s + 2 * y * y) + 2 * p2 * x * y - points[..., 1]
        xx = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
        xy = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
        yy = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
        with np.errstate(divide="ignore", invalid="ignore"):
            determinant = xx * yy - xy * xy
            x, y = x - (yy * off_x - xy * off_y) / determinant, y - (xx * off_y - xy * off_x) / determinant
    found = np.stack([x, y], axis=-1)
    with np.errstate(invalid="ignore"):
        error = np.abs(distort(found, distortion) - points).max(axis=-1)
        good = (error <= 1e-12 * np.maximum(radius, 1)) & (np.hypot(x, y) <= limit)
    return np.where(good[..., None], found, np.nan)


def _radii(limit: float, farthest: float, distortion: Distortion) -> np.ndarray:
    """Radii from 0 to where the lens reaches `farthest`, all below the limit."""
    end = 2.0 * farthest + 1e-6
    while end < min(limit, 1e4) and end * float(_radial(np.array(end * end), distortion)[0]) < farthest:
        end *= 2.0
    return np.linspace(0.0, min(end, limit * (1 - 1e-7)), _TABLE)  # short of a rational lens's pole
