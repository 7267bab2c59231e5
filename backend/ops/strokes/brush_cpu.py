"""Strokes painted with a brush, tile by tile on the CPU; the op is backend.ops.strokes.brush.

mark() has the formulas of backend/ops/strokes/bristles.py for one pixel.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.hashing_cpu import mix32
from backend.ops.kernel_threads import run_in_threads
from backend.ops.strokes import constants as c
from backend.ops.strokes.compositing_cpu import shape_of, sort_strokes
from backend.ops.strokes.constants import BLOCKS, SIDE, TILE
from backend.ops.strokes.tiles_cpu import EMPTY, cover_tile, load_labels, load_tile, place, save_tile

_PIXELS = TILE * TILE
_COLUMN, _ROW, _PARTS = np.uint32(c.COLUMN_FACTOR), np.uint32(c.ROW_FACTOR), np.float32(2.0**-24)
_ZERO, _HALF, _ONE, _TWO, _THREE = (np.float32(value) for value in (0, 0.5, 1, 2, 3))
_FEWEST_HAIRS, _HAIRS_PER_SHARE, _MOST_HAIRS, _HAIR_LENGTH, _SIDE_PX = (
    np.float32(value) for value in (c.FEWEST_HAIRS, c.HAIRS_PER_SHARE, c.MOST_HAIRS, c.HAIR_LENGTH, c.SIDE_PX)
)
_RAGGED_END, _RAGGED_START, _STREAK, _SHADE, _FURROW = (
    np.float32(value) for value in (c.RAGGED_END, c.RAGGED_START, c.STREAK, c.SHADE, c.FURROW)
)
_RIM, _RIM_AT, _RIM_WIDTH, _STOP, _STOP_AT, _STOP_WIDTH, _BODY, _THINNING, _FULL_SHARE, _LEVELLED, _ROUNDING = (
    np.float32(value)
    for value in (
        *(c.RIM, c.RIM_AT, c.RIM_WIDTH, c.STOP, c.STOP_AT, c.STOP_WIDTH),
        *(c.BODY, c.THINNING, c.FULL_SHARE, c.LEVELLED, c.ROUNDING),
    )
)


def paint(strokes, ends, seeds, image, height, bristles, dryness):
    """Paint on image [H, W, 3] and height [H, W] in place. strokes: kernel_arrays of the compositor, with the starts' colours;
    ends [N, 3]; seeds uint32 [N]."""
    tiles, first, pair, stroke, _ = sort_strokes(strokes[3], image.shape[0], image.shape[1])
    manner = np.float32(bristles), np.float32(dryness), np.float32(max(image.shape[:2]))
    run_in_threads(_paint_tiles, len(tiles), tiles, first, pair, stroke, *strokes, ends, seeds, image, height, manner)


@njit(cache=True, nogil=True, error_model="numpy")
def _paint_tiles(
    begin, end, tiles, first, pair, stroke, geometry, opacity, color, boxes, labels, segments, clip, softness, ends, seeds,
    image, height, manner,
):  # fmt: skip
    planes, label = np.empty(3 * _PIXELS, np.float32), np.empty(_PIXELS if labels.size else 0, np.float32)
    alphas, places = np.empty(_PIXELS, np.float32), np.empty(_PIXELS, np.float32)
    blocks, heights = np.empty(BLOCKS, np.uint8), np.empty(_PIXELS, np.float32)
    across = (image.shape[1] + TILE - 1) // TILE
    for i in range(begin, end):
        tile = tiles[i]
        top, left = tile // across * TILE, tile % across * TILE
        load_tile(image, top, left, planes)
        load_labels(labels, top, left, label)
        heights[:] = _ZERO
        for k in range(first[tile], first[tile + 1]):
            n = stroke[pair[k]]
            cover_tile(
                geometry[n], opacity[n], boxes[n], top, left, softness, segments[n] if labels.size else -_ONE, label,
                clip, True, alphas, places, blocks,
            )  # fmt: skip
            s = shape_of(geometry[n], opacity[n], np.float32(top), np.float32(left))
            _paint_stroke(s, seeds[n], color[n], ends[n], manner, alphas, places, blocks, planes, heights)
        save_tile(planes, top, left, image)
        for y in range(min(TILE, height.shape[0] - top)):
            for x in range(min(TILE, height.shape[1] - left)):
                height[top + y, left + x] = heights[place(y, x)]


@njit(cache=True, error_model="numpy")
def _paint_stroke(s, seed, color, end, manner, alphas, places, blocks, planes, heights):
    """One stroke on a tile."""
    py, px, ay, ax, cy, cx, r, taper, _, _ = s
    length, width = arc(s, _ONE), max(max(r, r + taper), np.float32(0.1))
    for block in range(BLOCKS):
        if blocks[block] == EMPTY:
            continue
        for at in range(block * 16, block * 16 + 16):
            y, x = block // SIDE * SIDE + at % 16 // SIDE, block % SIDE * SIDE + at % SIDE
            share, t = alphas[at], places[at]
            if share <= _ZERO:
                continue
            wy = (np.float32(y) + _HALF - py) - t * (ay + t * cy)
            wx = (np.float32(x) + _HALF - px) - t * (ax + t * cx)
            sy, sx = ay + _TWO * t * cy, ax + _TWO * t * cx
            speed = np.sqrt(sy * sy + sx * sx + np.float32(1e-9))
            radius = max(r + taper * t, np.float32(0.1))
            across = (wx * sy - wy * sx) / (speed * radius)
            along = arc(s, t) + (wy * sy + wx * sx) / speed
            out = np.sqrt(wy * wy + wx * wx) / radius
            opaque, light, thick, pressed = mark(along, across, out, radius, length, width, seed, manner)
            share *= opaque
            for channel in range(3):
                place = channel * _PIXELS + at
                mixed = color[channel] + (end[channel] - color[channel]) * t
                tinted = min(max(mixed * light, _ZERO), _ONE)
                planes[place] = planes[place] * (_ONE - share) + share * tinted
            heights[at] += share * (thick - pressed * heights[at])


@njit(cache=True, error_model="numpy")
def arc(s, t):
    """About the curve's length from its start to t, in px."""
    half = t * _HALF
    start = np.sqrt(s[2] * s[2] + s[3] * s[3])
    middle = np.sqrt((s[2] + _TWO * half * s[4]) ** 2 + (s[3] + _TWO * half * s[5]) ** 2)
    end = np.sqrt((s[2] + _TWO * t * s[4]) ** 2 + (s[3] + _TWO * t * s[5]) ** 2)
    return t / np.float32(6) * (start + np.float32(4) * middle + end)


@njit(cache=True, error_model="numpy")
def noise(x, y, seed):
    left, top = np.floor(x), np.floor(y)
    u, v = x - left, y - top
    u, v = u * u * (_THREE - _TWO * u), v * v * (_THREE - _TWO * v)
    column, row = np.uint32(np.int64(left)), np.uint32(np.int64(top))
    first = np.uint32(column * _COLUMN + row * _ROW + seed)
    upper = _drawn(first) + u * (_drawn(np.uint32(first + _COLUMN)) - _drawn(first))
    below = np.uint32(first + _ROW)
    lower = _drawn(below) + u * (_drawn(np.uint32(below + _COLUMN)) - _drawn(below))
    return upper + v * (lower - upper)


@njit(cache=True)
def _drawn(key):
    return np.float32(mix32(key) >> np.uint32(8)) * _PARTS


@njit(cache=True, error_model="numpy")
def step(value, low, high):
    share = min(max((value - low) / (high - low), _ZERO), _ONE)
    return share * share * (_THREE - _TWO * share)


@njit(cache=True, error_model="numpy")
def mark(along, across, out, radius, length, width, seed, manner):
    """How opaque, how light, how thick a stroke is at a pixel, and how flat it presses what is below."""
    bristles, dryness, side = manner
    hairs = min(_FEWEST_HAIRS + _HAIRS_PER_SHARE * width / side, _MOST_HAIRS)
    x, y = _HALF * across * hairs, along / (_HAIR_LENGTH * width)
    f = np.float32
    fine = noise(x, y, seed) * f(0.6) + noise(f(2.3) * x + f(31), f(1.7) * y, seed) * f(0.4)
    hair = step(f(0.62) * fine + f(0.38) * noise(f(0.27) * x + f(57), _HALF * y, seed), f(0.22), f(0.78))
    way = along / max(length, f(1e-3))
    before, beyond = -along / radius, (along - length) / radius
    opaque = _ONE - _STREAK * bristles * (_ONE - hair) ** 2
    if bristles > _ZERO and (beyond > -_HALF or before > -_HALF):
        tip = _ONE - _RAGGED_END * bristles * noise(f(0.8) * x + f(83), _ZERO, seed)
        heel = _ONE - _RAGGED_START * bristles * noise(f(0.8) * x + f(113), _ZERO, seed)
        pixel = radius / max(_ONE, side / _SIDE_PX)
        opaque *= min(max((tip - beyond) * pixel + _HALF, _ZERO), _ONE)
        opaque *= min(max((heel - before) * pixel + _HALF, _ZERO), _ONE)
    gap = f(0.6) * dryness * step(way, f(0.25), _ONE)
    soft = min(max(f(0.4) * hairs / radius, f(0.1)), f(0.8))
    opaque *= step(hair + f(1e-3), gap - soft, gap)
    light = _ONE + _SHADE * bristles * (_TWO * hair - _ONE)
    rim = np.exp(-(((out - _RIM_AT) / _RIM_WIDTH) ** 2))
    stop = np.exp(-(((beyond - _STOP_AT) / _STOP_WIDTH) ** 2))
    body = (_BODY + (_RIM * rim + _STOP * stop) * (f(0.3) + f(0.7) * hair)) * (
        _ONE - _THINNING * min(max(way, _ZERO), _ONE)
    )
    pressed = step(f(1.03) - out, _ZERO, _ROUNDING) * step(hair, gap - f(0.1), gap + f(0.2))
    load = np.sqrt(min(width / (_FULL_SHARE * side), _ONE))
    return opaque, light, load * body * pressed * (_ONE - _FURROW * bristles * (_ONE - hair)), _LEVELLED * pressed
