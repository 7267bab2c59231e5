"""The sides of a terrain's water: where it reaches the border of the map, a wall from its surface down to its bed.

Numbers alone, no bpy; water.py puts them under the level surface.
"""

from __future__ import annotations

import numpy as np

from ..datablocks.grid import lattice


def sides(heights: np.ndarray, is_water: np.ndarray, level: np.ndarray, pixel_size_m: float) -> np.ndarray:
    """Quads [F, 4, 4] that face outwards, counter-clockwise from there: x, y, z and the depth of the water at each corner, metres.

    heights, is_water, level: [H, W]. A wall ends where the ground comes through the water's surface.
    """
    rows, columns = heights.shape
    last_row, last_column = rows - 1, columns - 1
    r, c = np.arange(last_row), np.arange(last_column)
    ends = [  # of each border edge, the left one as seen from outside first: its two pixels, and the two behind them
        ((0 * c, c + 1), (0 * c, c), 1, 0),
        ((0 * c + last_row, c), (0 * c + last_row, c + 1), -1, 0),
        ((r, 0 * r), (r + 1, 0 * r), 0, 1),
        ((r + 1, 0 * r + last_column), (r, 0 * r + last_column), 0, -1),
    ]
    every = [_side(heights, is_water, level, pixel_size_m, *given) for given in ends]
    return np.concatenate(every)


def _side(
    heights: np.ndarray,
    is_water: np.ndarray,
    level: np.ndarray,
    pixel_size_m: float,
    left: tuple[np.ndarray, np.ndarray],
    right: tuple[np.ndarray, np.ndarray],
    down: int,
    across: int,
) -> np.ndarray:
    """The quads of one side of the map. down, across: from a pixel of the border to the one behind it."""
    surface = np.full(len(left[0]), -np.inf)
    for row, column in (left, right):
        for inner in (0, 1):
            at = row + inner * down, column + inner * across
            surface = np.maximum(surface, np.where(is_water[at], level[at], -np.inf))
    rows, columns = heights.shape
    x, y = lattice(rows, columns, pixel_size_m)
    starts = np.stack([x[left[1]], y[left[0]], heights[left]], axis=-1).astype(np.float64)
    stops = np.stack([x[right[1]], y[right[0]], heights[right]], axis=-1).astype(np.float64)
    is_wet = np.isfinite(surface) & ((starts[:, 2] < surface) | (stops[:, 2] < surface))
    starts, stops, surface = starts[is_wet], stops[is_wet], surface[is_wet]
    fall = stops[:, 2] - starts[:, 2]
    crossing = np.divide(surface - starts[:, 2], fall, out=np.full_like(fall, 0.5), where=fall != 0.0).clip(0.0, 1.0)
    shore = starts + crossing[:, None] * (stops - starts)
    shore[:, 2] = surface
    is_dry = [(end[:, 2] > surface)[:, None] for end in (starts, stops)]
    starts, stops = np.where(is_dry[0], shore, starts), np.where(is_dry[1], shore, stops)
    return _quads(starts, stops, surface)


def _quads(starts: np.ndarray, stops: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """From the surface down to a line of the bed. Where one end is on the shore, the wall is a triangle, and its fourth corner
    the middle of the bed.
    """
    top_left, top_right = starts.copy(), stops.copy()
    top_left[:, 2] = top_right[:, 2] = surface
    middle = 0.5 * (starts + stops)
    low_left = np.where((starts[:, 2] == surface)[:, None], middle, starts)
    low_right = np.where((stops[:, 2] == surface)[:, None], middle, stops)
    depth = np.stack([surface - starts[:, 2], surface - stops[:, 2]], axis=-1)
    corners = np.stack([top_left, low_left, low_right, top_right], axis=1)
    return np.concatenate([corners, depth[:, [0, 0, 1, 1], None]], axis=2)
