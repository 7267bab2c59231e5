"""Sand that the wind moves in slabs, on one thread in a fixed order.

Source: Werner (1995, doi:10.1130/0091-7613(1995)023<1107:EDCSAA>2.3.CO;2).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.training.landforms.erosion_cpu import chance

_ROWS = np.array((0, 1, 1, 1, 0, -1, -1, -1), np.int64)
_COLS = np.array((1, 1, 0, -1, -1, -1, 0, 1), np.int64)
_DISTANCE = np.array((1.0, 2.0**0.5, 1.0, 2.0**0.5, 1.0, 2.0**0.5, 1.0, 2.0**0.5))
HOPS = 50
SHADOW_PX = 32
SHADOW = 0.27  # tangent of the 15 degrees in the lee of a crest where no sand is lifted
REPOSE = 0.62  # tangent of the angle at which sand slides


@njit(cache=True)
def blow(sand, slab_px, east, south, keep_sand, keep_bare, slabs, seed):
    """Moves slabs about, in place. sand: [H, W] int32 slabs on a periodic plain, each slab_px of a cell's width high.

    A slab is picked anywhere out of the wind's shadow, flies (east, south) cells, give or take a third of that, and stays with the
    chance keep_sand (on sand), keep_bare (on rock) or always (in the shadow), else flies on. Slopes over REPOSE slide down.
    """
    height, width = sand.shape
    count = height * width
    far = np.hypot(east, south)
    back_x, back_y = -east / far, -south / far
    for step in range(slabs):
        cell = int(chance(4 * step, seed) * count)
        y, x = cell // width, cell % width
        if sand[y, x] == 0 or _in_shadow(sand, y, x, back_x, back_y, slab_px):
            continue
        y, x = _uphill(sand, y, x, slab_px)
        sand[y, x] -= 1
        for flight in range(HOPS):
            reach = 0.67 + 0.66 * chance(4 * step + 1, seed + 77 * flight)
            aside = (chance(4 * step + 2, seed + 77 * flight) - 0.5) * 0.5
            x = int(np.floor(x + (east - south * aside) * reach + 0.5)) % width
            y = int(np.floor(y + (south + east * aside) * reach + 0.5)) % height
            keep = keep_sand if sand[y, x] > 0 else keep_bare
            if chance(4 * step + 3, seed + 77 * flight) < keep or _in_shadow(sand, y, x, back_x, back_y, slab_px):
                break
        y, x = _downhill(sand, y, x, slab_px)
        sand[y, x] += 1


@njit(cache=True)
def _in_shadow(sand, y, x, back_x, back_y, slab_px):
    height, width = sand.shape
    for back in range(1, SHADOW_PX):
        b = int(np.floor(y + back_y * back + 0.5)) % height
        a = int(np.floor(x + back_x * back + 0.5)) % width
        if (sand[b, a] - sand[y, x]) * slab_px > SHADOW * back:
            return True
    return False


@njit(cache=True)
def _uphill(sand, y, x, slab_px):
    """The cell from which a slab really comes: up the steepest slope while one would slide without it."""
    height, width = sand.shape
    for _ in range(100):
        best, ny, nx = REPOSE, y, x
        for k in range(8):
            b, a = (y + _ROWS[k]) % height, (x + _COLS[k]) % width
            slope = (sand[b, a] - sand[y, x] + 1) * slab_px / _DISTANCE[k]
            if slope > best:
                best, ny, nx = slope, b, a
        if ny == y and nx == x:
            break
        y, x = ny, nx
    return y, x


@njit(cache=True)
def _downhill(sand, y, x, slab_px):
    """The cell to which a slab really goes: down the steepest slope while it would slide."""
    height, width = sand.shape
    for _ in range(100):
        best, ny, nx = REPOSE, y, x
        for k in range(8):
            b, a = (y + _ROWS[k]) % height, (x + _COLS[k]) % width
            slope = (sand[y, x] + 1 - sand[b, a]) * slab_px / _DISTANCE[k]
            if slope > best:
                best, ny, nx = slope, b, a
        if ny == y and nx == x:
            break
        y, x = ny, nx
    return y, x
