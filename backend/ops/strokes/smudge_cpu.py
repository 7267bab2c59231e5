"""Paint pulled along by dry strokes, tile by tile on the CPU; the op is backend.ops.strokes.smudge.

The formulas are those of backend/ops/strokes/smudge_plain.py for one pixel.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.strokes import constants as c
from backend.ops.strokes.brush_cpu import arc, noise, step
from backend.ops.strokes.compositing_cpu import shape_of, sort_strokes
from backend.ops.strokes.constants import BLOCKS, SIDE, TILE
from backend.ops.strokes.tiles_cpu import EMPTY, cover_tile, load_plane, load_tile, place, save_tile

_PIXELS = TILE * TILE
_ZERO, _HALF, _ONE, _TWO = (np.float32(value) for value in (0, 0.5, 1, 2))
_FEWEST_HAIRS, _HAIRS_PER_SHARE, _MOST_HAIRS, _HAIR_LENGTH = (
    np.float32(value) for value in (c.FEWEST_HAIRS, c.HAIRS_PER_SHARE, c.MOST_HAIRS, c.HAIR_LENGTH)
)
_PULL, _GROOVE, _DRY_EDGE, _LEAST = (np.float32(value) for value in (c.PULL, c.GROOVE, c.DRY_EDGE, 0.1))
_WEIGHTS = np.exp(-c.PULL_FADING * np.arange(1, c.PULL_SAMPLES + 1) / c.PULL_SAMPLES)
_WEIGHTS = (_WEIGHTS / _WEIGHTS.sum()).astype(np.float32)
_SAMPLES = np.float32(c.PULL_SAMPLES)


def smudge(strokes, seeds, before, after, amount):
    """Write to `after` what the dry strokes make of the paint `before`, image [H, W, 3] and height [H, W] each. strokes:
    kernel_arrays of the compositor; seeds uint32 [N]."""
    tiles, first, pair, stroke, _ = sort_strokes(strokes[3], *before[1].shape)
    run_in_threads(
        _smudge_tiles, len(tiles), tiles, first, pair, stroke, strokes[0], strokes[1], strokes[3], seeds, *before, *after,
        np.float32(amount),
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _smudge_tiles(
    begin, end, tiles, first, pair, stroke, geometry, opacity, boxes, seeds, image, height, new_image, new_height, amount,
):  # fmt: skip
    planes, heights, label = np.empty(3 * _PIXELS, np.float32), np.empty(_PIXELS, np.float32), np.empty(0, np.float32)
    alphas, places, blocks = np.empty(_PIXELS, np.float32), np.empty(_PIXELS, np.float32), np.empty(BLOCKS, np.uint8)
    across = (image.shape[1] + TILE - 1) // TILE
    for i in range(begin, end):
        tile = tiles[i]
        top, left = tile // across * TILE, tile % across * TILE
        load_tile(image, top, left, planes)
        load_plane(height, top, left, _ZERO, heights)
        for k in range(first[tile], first[tile + 1]):
            n = stroke[pair[k]]
            cover_tile(
                geometry[n], opacity[n], boxes[n], top, left, _ONE, -_ONE, label, False, True, alphas, places, blocks
            )
            s = shape_of(geometry[n], opacity[n], np.float32(top), np.float32(left))
            _drag(s, seeds[n], top, left, amount, alphas, places, blocks, image, height, planes, heights)
        save_tile(planes, top, left, new_image)
        for y in range(min(TILE, height.shape[0] - top)):
            for x in range(min(TILE, height.shape[1] - left)):
                new_height[top + y, left + x] = heights[place(y, x)]


@njit(cache=True, error_model="numpy")
def _drag(s, seed, top, left, amount, alphas, places, blocks, image, height, planes, heights):
    """One dry stroke on a tile."""
    width, side = max(max(s[6], s[6] + s[7]), _LEAST), np.float32(max(image.shape[0], image.shape[1]))
    hairs = min(_FEWEST_HAIRS + _HAIRS_PER_SHARE * width / side, _MOST_HAIRS)
    pulled = np.empty(4, np.float32)
    for block in range(BLOCKS):
        if blocks[block] == EMPTY:
            continue
        for at in range(block * 16, block * 16 + 16):
            y, x = block // SIDE * SIDE + at % 16 // SIDE, block % SIDE * SIDE + at % SIDE
            share, t = alphas[at], places[at]
            if share <= _ZERO or top + y >= height.shape[0] or left + x >= height.shape[1]:
                continue
            radius = max(s[6] + s[7] * t, _LEAST)
            _, down, right = _heading(s, t)
            wy = (np.float32(y) + _HALF - s[0]) - t * (s[2] + t * s[4])
            wx = (np.float32(x) + _HALF - s[1]) - t * (s[3] + t * s[5])
            across, over = (wx * down - wy * right) / radius, (wy * down + wx * right) / radius
            hair_x, hair_y = _HALF * across * hairs, (arc(s, t) + over * radius) / (_HAIR_LENGTH * width)
            share *= _touching(hair_x, hair_y, hairs / radius, seed, amount)
            share *= step(_ONE - np.sqrt(wy * wy + wx * wx) / radius, _ZERO, _DRY_EDGE)
            if share <= _ZERO:
                continue
            far = noise(np.float32(0.6) * hair_x + np.float32(57), _ZERO, seed)
            reach = _PULL * width * (np.float32(0.3) + np.float32(0.7) * far)
            _pull(s, t, across, over, reach, top, left, image, height, pulled)
            pulled[3] *= _ONE - _GROOVE * share
            for channel in range(3):
                planes[channel * _PIXELS + at] += share * (pulled[channel] - planes[channel * _PIXELS + at])
            heights[at] += share * (pulled[3] - heights[at])


@njit(cache=True, error_model="numpy")
def _heading(s, t):
    """Speed of the curve at t, and the unit vector along it."""
    down, right = s[2] + _TWO * t * s[4], s[3] + _TWO * t * s[5]
    speed = np.sqrt(down * down + right * right + np.float32(1e-9))
    return speed, down / speed, right / speed


@njit(cache=True, error_model="numpy")
def _touching(x, y, fineness, seed, amount):
    """How much a hair at a place of the brush touches the paint."""
    f = np.float32
    hair = f(0.6) * noise(x, _HALF * y, seed) + f(0.4) * noise(f(2.3) * x + f(31), y, seed)
    soft = min(max(f(0.4) * fineness, f(0.2)), f(0.8))
    from_here = _ONE - amount * (_ONE + soft)
    return step(step(hair, f(0.2), f(0.8)), from_here, from_here + soft)


@njit(cache=True, error_model="numpy")
def _pull(s, t, across, over, reach, top, left, image, height, pulled):
    """Fill pulled [4] with colour and thickness of the paint behind a pixel."""
    pulled[:] = _ZERO
    for weight in _WEIGHTS:
        t = max(t - reach / _SAMPLES / _heading(s, t)[0], _ZERO)
        _, down, right = _heading(s, t)
        radius = max(s[6] + s[7] * t, _LEAST)
        row = s[0] + t * (s[2] + t * s[4]) + np.float32(top) + radius * (over * down - across * right) - _HALF
        column = s[1] + t * (s[3] + t * s[5]) + np.float32(left) + radius * (over * right + across * down) - _HALF
        row = min(max(row, _ZERO), np.float32(height.shape[0] - 1))
        column = min(max(column, _ZERO), np.float32(height.shape[1] - 1))
        y, x = int(row), int(column)
        below, beside = min(y + 1, height.shape[0] - 1), min(x + 1, height.shape[1] - 1)
        v, u = row - np.float32(y), column - np.float32(x)
        for channel in range(3):
            upper = image[y, x, channel] + u * (image[y, beside, channel] - image[y, x, channel])
            lower = image[below, x, channel] + u * (image[below, beside, channel] - image[below, x, channel])
            pulled[channel] += weight * (upper + v * (lower - upper))
        upper = height[y, x] + u * (height[y, beside] - height[y, x])
        lower = height[below, x] + u * (height[below, beside] - height[below, x])
        pulled[3] += weight * (upper + v * (lower - upper))
