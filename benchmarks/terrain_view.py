"""Pictures of a terrain without a renderer: a shaded relief, and a view across it in perspective with sun, cast shadows and haze.

Plain NumPy. The view walks away from the camera row by row, and keeps for each pixel column how high the ground has reached
so far; a pixel shows the first row that reaches it.
"""

from __future__ import annotations

import numpy as np

AZIMUTH_DEG, ALTITUDE_DEG = 315.0, 38.0
SUN, SKY = np.array((1.0, 0.95, 0.86)), np.array((0.30, 0.36, 0.46))
HORIZON, ZENITH = np.array((0.72, 0.79, 0.87)), np.array((0.30, 0.47, 0.72))
WATER = np.array((0.035, 0.10, 0.15))
CUT = np.array((0.16, 0.13, 0.11))  # the front of the block of ground
BACK_SHARE, UP_SHARE = 0.62, 0.62  # of the map's side, from its front edge: where the camera stands
FIELD_DEG = 58.0
AXIS = 0.42  # of the picture, from its top: where the axis of the view meets it


def shaded(height: np.ndarray, pixel_size_m: float, exaggeration: float = 1.0) -> np.ndarray:
    """Lambert shading from the north-west, 0..1 [H, W]."""
    return lit(height * exaggeration, pixel_size_m) / np.sin(np.deg2rad(ALTITUDE_DEG)) * 0.72


def lit(height: np.ndarray, pixel_size_m: float) -> np.ndarray:
    """Lambert's cosine 0..1 [H, W]."""
    down, across = np.gradient(np.asarray(height, np.float64), pixel_size_m)
    east, south, up = _sun()
    return np.clip((-across * east - down * south + up) / np.sqrt(1.0 + across**2 + down**2), 0.0, 1.0)


def shadows(height: np.ndarray, pixel_size_m: float) -> np.ndarray:
    """1 in the sun, 0 in the shadow of other ground, soft over a few metres of height, [H, W]."""
    east, south, up = _sun()
    rise = up / np.hypot(east, south) * pixel_size_m
    rows, columns = height.shape
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    light = np.ones(height.shape)
    steps = int(min(np.ptp(height) / rise + 1, 220))
    for step in np.unique(np.geomspace(1, max(steps, 1), 60).astype(int)):
        at_y = np.clip(np.rint(y + south / np.hypot(east, south) * step), 0, rows - 1).astype(int)
        at_x = np.clip(np.rint(x + east / np.hypot(east, south) * step), 0, columns - 1).astype(int)
        over = height[at_y, at_x] - (height + step * rise)
        light = np.minimum(light, 1.0 - np.clip(over / (0.6 * rise), 0.0, 1.0))
    return light


def view(
    height: np.ndarray, albedo: np.ndarray, water: np.ndarray, pixel_size_m: float, size: tuple[int, int]
) -> np.ndarray:
    """A view from the south, linear RGB [rows, columns, 3]. height: surface, exaggerated as it is to be seen; water bool [H, W]."""
    color = _lit_color(height, albedo, water, pixel_size_m)
    rows, columns = size[0] * 2, size[1] * 2  # supersampled
    side = height.shape[0]
    relief = (height - height.min()) / pixel_size_m
    eye_y, eye_z = side * (1.0 + BACK_SHARE), float(np.mean(relief)) + side * UP_SHARE
    focal = columns / 2 / np.tan(np.deg2rad(FIELD_DEG / 2))
    pitch = np.arctan2(eye_z - float(np.mean(relief)), eye_y - side * 0.46)
    depth = np.arange(side - 1, -1, -0.5)  # rows of the map, front to back
    distance = eye_y - depth
    # across a row of the map, at the distance along the optical axis of level ground
    along = distance * np.cos(pitch) + eye_z * np.sin(pitch)
    screen = (np.arange(columns) + 0.5 - columns / 2) / focal
    x = height.shape[1] / 2 + screen[None] * along[:, None]
    inside = (x >= 0) & (x <= height.shape[1] - 1)
    at_y = np.clip(np.rint(depth), 0, side - 1).astype(int)[:, None]
    at_x = np.clip(np.rint(x), 0, height.shape[1] - 1).astype(int)
    z = eye_z - relief[at_y, at_x]  # below the eye
    far = distance[:, None] * np.cos(pitch) + z * np.sin(pitch)
    line = rows * AXIS + focal * (z * np.cos(pitch) - distance[:, None] * np.sin(pitch)) / far
    line = np.where(inside, line, np.inf)
    reached = np.minimum.accumulate(line, axis=0)  # falls from front to back
    picture = _sky(rows, columns)
    haze = np.clip((distance - distance.min()) / (2.8 * side), 0.0, 1.0) ** 1.3
    rows_at = np.arange(rows) + 0.5
    floor = _floor(eye_z + 0.02 * side, distance, pitch, focal, rows)
    for column in range(columns):
        if not inside[:, column].any():
            continue
        front = int(np.argmax(inside[:, column]))
        index = np.searchsorted(-reached[:, column], -rows_at, side="left")
        shown = (index < len(depth)) & (rows_at <= line[front, column])
        index = index[shown]
        ground = color[at_y[index, 0], at_x[index, column]]
        picture[shown, column] = ground + (HORIZON * 0.9 - ground) * haze[index][:, None]
        picture[(rows_at > line[front, column]) & (rows_at < floor[front]), column] = CUT
    return picture.reshape(size[0], 2, size[1], 2, 3).mean((1, 3))


def _floor(z: float, distance: np.ndarray, pitch: float, focal: float, rows: int) -> np.ndarray:
    """The line on the screen of a level far below the eye, by distance."""
    far = distance * np.cos(pitch) + z * np.sin(pitch)
    return rows * AXIS + focal * (z * np.cos(pitch) - distance * np.sin(pitch)) / far


def _lit_color(height: np.ndarray, albedo: np.ndarray, water: np.ndarray, pixel_size_m: float) -> np.ndarray:
    sun = (lit(height, pixel_size_m) * shadows(height, pixel_size_m))[..., None]
    ground = np.where(water[..., None], 0.5 * albedo + 0.5 * WATER, albedo)
    return ground * (sun * SUN * 1.5 + SKY)


def _sky(rows: int, columns: int) -> np.ndarray:
    up = np.linspace(1.0, 0.0, rows)[:, None, None] ** 0.8
    return np.broadcast_to(HORIZON + (ZENITH - HORIZON) * up, (rows, columns, 3)).copy()


def _sun() -> tuple[float, float, float]:
    """Towards the sun: east, south, up."""
    azimuth, altitude = np.deg2rad(AZIMUTH_DEG), np.deg2rad(ALTITUDE_DEG)
    return (
        float(np.sin(azimuth) * np.cos(altitude)),
        float(-np.cos(azimuth) * np.cos(altitude)),
        float(np.sin(altitude)),
    )
