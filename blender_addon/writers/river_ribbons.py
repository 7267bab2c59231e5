"""Rivers as strips of water, draped over the ground, with UVs that run with the flow. No bpy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..datablocks.grid import lattice
from ..shared.curves import Line

ACROSS = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])  # vertices, in half widths from the middle
LIFT_PX = 0.02  # above the ground: faces of ground and water are not cut alike
NARROWEST_PX = 0.1
TAPER = 8  # points over which a spring begins, and a river widens to what flows on
DEEP_M, EDGE_M = 4.0, 0.8  # what a river's color counts as its depth: it is seldom as clear as a lake


@dataclass(frozen=True)
class Course:
    """A river over a terrain: points float64 [n, 3] in metres around its middle, z on the water; half_width [n] in metres."""

    points: np.ndarray
    half_width: np.ndarray


@dataclass(frozen=True)
class Ribbon:
    """Faces: corners [F, 4] of vertices, counter-clockwise from above; positions [V, 3] metres; depth [V] metres; uv [V, 2]: u 0..1
    from the right bank to the left, v downstream in widths of the river."""

    positions: np.ndarray
    corners: np.ndarray
    depth: np.ndarray
    uv: np.ndarray


def courses(lines: list[Line], heights: np.ndarray, pixel_size_m: float) -> list[Course]:
    """The lines of rivers over heights [H, W], half a pixel from point to point, nowhere below the ground."""
    made = []
    for line in lines:
        places = _finer(np.asarray(line.points, np.float64))
        width, level = (_halved(np.broadcast_to(values, len(line.points))) for values in (line.width_m, line.z_m))
        ground = highest_ground(heights, places)
        z = np.fmax(level, ground) + LIFT_PX * pixel_size_m
        points = np.column_stack([_metres(places, heights.shape, pixel_size_m), z])
        made.append(Course(points, 0.5 * np.nan_to_num(width).clip(min=NARROWEST_PX * pixel_size_m)))
    return _tapered(made, lines)


def ribbon(given: list[Course], heights: np.ndarray, pixel_size_m: float) -> Ribbon | None:
    """The faces of all courses, None where there are none."""
    strips = [_strip(course, heights, pixel_size_m) for course in given]
    if not strips:
        return None
    firsts = np.cumsum([0, *(len(strip.positions) for strip in strips)])
    corners = [strip.corners + first for strip, first in zip(strips, firsts, strict=False)]
    return Ribbon(
        np.concatenate([strip.positions for strip in strips]).astype(np.float32),
        np.concatenate(corners).astype(np.int32),
        np.concatenate([strip.depth for strip in strips]).astype(np.float32),
        np.concatenate([strip.uv for strip in strips]).astype(np.float32),
    )


def highest_ground(heights: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Heights [n] at shares of the map [n, 2], whichever way the grid's quads are cut into triangles."""
    rows, columns = heights.shape
    x = (places[:, 0] * columns - 0.5).clip(0, columns - 1)
    y = (places[:, 1] * rows - 0.5).clip(0, rows - 1)
    column, row = np.minimum(x.astype(int), max(columns - 2, 0)), np.minimum(y.astype(int), max(rows - 2, 0))
    right, down = x - column, y - row
    next_column, next_row = np.minimum(column + 1, columns - 1), np.minimum(row + 1, rows - 1)
    a, b = heights[row, column], heights[row, next_column]
    c, d = heights[next_row, column], heights[next_row, next_column]
    falling = np.where(right > down, a + right * (b - a) + down * (d - b), a + down * (c - a) + right * (d - c))
    is_upper = right + down < 1.0
    rising = np.where(is_upper, a + right * (b - a) + down * (c - a), d + (1 - right) * (c - d) + (1 - down) * (b - d))
    return np.maximum(falling, rising)


def _metres(places: np.ndarray, shape: tuple[int, ...], pixel_size_m: float) -> np.ndarray:
    """Shares of the map as x and y [n, 2] around its middle, where the mesh's vertices have theirs."""
    rows, columns = shape
    x, y = lattice(rows, columns, pixel_size_m)
    first = np.array([x[0], y[0]], np.float64)
    return first + (places * (columns, rows) - 0.5) * (pixel_size_m, -pixel_size_m)


def _places(points: np.ndarray, shape: tuple[int, ...], pixel_size_m: float) -> np.ndarray:
    """The way back."""
    rows, columns = shape
    x, y = lattice(rows, columns, pixel_size_m)
    return ((points - (x[0], y[0])) / (pixel_size_m, -pixel_size_m) + 0.5) / (columns, rows)


def _halved(values: np.ndarray) -> np.ndarray:
    """Values [n] and the means between them [2 n - 1]."""
    made = np.repeat(np.asarray(values, np.float64), 2)[:-1]
    made[1::2] = 0.5 * (made[:-1:2] + made[2::2])
    return made


def _finer(points: np.ndarray) -> np.ndarray:
    """Points [n, 2] and between each two the one on the cubic through four (Dyn, Levin and Gregory 1987)."""
    around = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    made = np.repeat(points, 2, axis=0)[:-1]
    made[1::2] = (9.0 * (around[1:-2] + around[2:-1]) - around[:-3] - around[3:]) / 16.0
    return made


def _tapered(given: list[Course], lines: list[Line]) -> list[Course]:
    """Springs begin narrow, and the largest river at a confluence widens to the one that flows on."""
    starts = {tuple(line.points[0]): number for number, line in enumerate(lines)}
    ends: dict[tuple[float, ...], int] = {}
    for number, line in enumerate(lines):
        key = tuple(line.points[-1])
        if key not in ends or given[number].half_width[-1] > given[ends[key]].half_width[-1]:
            ends[key] = number
    made = []
    for number, (course, line) in enumerate(zip(given, lines, strict=True)):
        width = course.half_width.copy()
        count = min(TAPER, len(width))
        ramp = np.linspace(0.0, 1.0, count)
        if tuple(line.points[0]) not in ends:
            width[:count] *= 0.2 + 0.8 * ramp
        key = tuple(line.points[-1])
        if key in starts and ends[key] == number:
            width[-count:] += ramp * (given[starts[key]].half_width[0] - width[-1])
        made.append(replace(course, half_width=width))
    return made


def _strip(course: Course, heights: np.ndarray, pixel_size_m: float) -> Ribbon:
    along = np.gradient(course.points[:, :2], axis=0)
    along /= np.hypot(*along.T).clip(min=1e-9)[:, None]
    aside = np.column_stack([-along[:, 1], along[:, 0]]) * course.half_width[:, None]
    places = course.points[:, None, :2] + ACROSS[None, :, None] * aside[:, None]
    ground = highest_ground(heights, _places(places.reshape(-1, 2), heights.shape, pixel_size_m))
    floor = ground.reshape(-1, len(ACROSS)) + LIFT_PX * pixel_size_m
    z = np.maximum(course.points[:, 2:], floor)
    count, across = z.shape
    first = (np.arange(count - 1)[:, None] * across + np.arange(across - 1)).ravel()
    corners = first[:, None] + np.array([0, across, across + 1, 1])
    depth = np.tile(EDGE_M + (DEEP_M - EDGE_M) * (1.0 - ACROSS**2), count)
    step = np.hypot(*np.diff(course.points[:, :2], axis=0).T)
    v = np.append(0.0, np.cumsum(step / (course.half_width[:-1] + course.half_width[1:])))
    uv = np.column_stack([np.tile(0.5 + 0.5 * ACROSS, count), np.repeat(v, across)])
    return Ribbon(np.concatenate([places, z[:, :, None]], axis=2).reshape(-1, 3), corners, depth, uv)
