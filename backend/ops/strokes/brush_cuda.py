"""Strokes painted with a brush, tile by tile on a card; the op is backend.ops.strokes.brush.

mark() has the formulas of backend/ops/strokes/bristles.py for one pixel.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import cuda, device_function, kernel
from backend.ops.hashing_cuda import mix32
from backend.ops.strokes import constants as c
from backend.ops.strokes.compositing_plain import Scene
from backend.ops.strokes.constants import TILE
from backend.ops.strokes.coverage_cuda import shape_at
from backend.ops.strokes.tiles_cuda import BLOCK, WHOLLY, as_floats, bands, bounds_of, cover_pixel, is_outside, pixel_of

_PARTS, _BITS, _EIGHT = np.float32(2.0**-24), 0xFFFF_FFFF, np.uint32(8)
_COLUMN, _ROW = c.COLUMN_FACTOR, c.ROW_FACTOR
_ZERO, _HALF, _ONE, _TWO, _THREE, _FOUR, _SIX = (np.float32(value) for value in (0, 0.5, 1, 2, 3, 4, 6))
_FAST_TINY, _LEAST, _LEAST_LENGTH, _LEAST_HAIR = (np.float32(value) for value in (1e-9, 0.1, 1e-3, 1e-3))
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
# what the noises are taken at and weighed with: see bristles.mark
_F02, _F022, _F025, _F027, _F03, _F038, _F04, _F06, _F062, _F07, _F078, _F08, _F103 = (
    np.float32(value) for value in (0.2, 0.22, 0.25, 0.27, 0.3, 0.38, 0.4, 0.6, 0.62, 0.7, 0.78, 0.8, 1.03)
)
_F17, _F23, _F31, _F57, _F83, _F113 = (np.float32(value) for value in (1.7, 2.3, 31, 57, 83, 113))


def paint(scene: Scene, ends: Tensor, seeds: Tensor, bristles: float, dryness: float) -> tuple[Tensor, Tensor]:
    """The painting [H, W, 3] and the paint's thickness [H, W]. ends: colours [N, 3] of the strokes' ends; seeds int64 [N]."""
    image = as_floats(scene.canvas).clone()
    height = torch.empty_like(image[..., 0])
    manner = np.float32(bristles), np.float32(dryness), np.float32(max(height.shape))
    strokes = as_floats(scene.color), as_floats(ends), *bounds_of(scene), seeds
    for tiles in bands(scene):
        _paint.launch(tiles.threads, *tiles.lists, *strokes, *manner, image, height, block=BLOCK)
    return image, height


@kernel
def _paint(
    shapes, first, order, stroke, skipped, color, ends, labels, segments, bounded, clip, softness, seeds, bristles, dryness, side,
    image, height,
):  # fmt: skip
    tile = cuda.blockIdx.x
    row, column = pixel_of(tile + skipped, cuda.threadIdx.x, (image.shape[1] + TILE - 1) // TILE)
    if row >= image.shape[0] or column >= image.shape[1]:
        return
    red, green, blue = image[row, column, 0], image[row, column, 1], image[row, column, 2]
    thickness = _ZERO
    for k in range(first[tile], first[tile + 1]):
        n = stroke[order[k]]
        s = shape_at(shapes, n)
        share, t = cover_pixel(row, column, s, softness, True)
        if share <= _ZERO or (bounded and clip and is_outside(labels, row, column, segments[n])):
            continue
        if t >= WHOLLY:
            t -= WHOLLY
        y, x = np.float32(row) + _HALF - s[0], np.float32(column) + _HALF - s[1]
        along, across, out, radius = place_on(y, x, t, s)
        opaque, light, thick, pressed = mark(along, across, out, radius, s, bristles, dryness, side, int(seeds[n]))
        share *= opaque
        left = _ONE - share
        red = red * left + share * tinted(color[n, 0], ends[n, 0], t, light)
        green = green * left + share * tinted(color[n, 1], ends[n, 1], t, light)
        blue = blue * left + share * tinted(color[n, 2], ends[n, 2], t, light)
        thickness += share * (thick - pressed * thickness)
    image[row, column, 0], image[row, column, 1], image[row, column, 2] = red, green, blue
    height[row, column] = thickness


@device_function
def tinted(color, end, t, light):
    return min(max((color + (end - color) * t) * light, _ZERO), _ONE)


@device_function
def heading(s, t):
    """Speed of the curve at t, and the unit vector along it."""
    down, right = s[2] + _TWO * t * s[4], s[3] + _TWO * t * s[5]
    speed = math.sqrt(down * down + right * right + _FAST_TINY)
    return speed, down / speed, right / speed


@device_function
def place_on(y, x, t, s):
    """How far a pixel lies along its stroke in px, across it and from the curve in radii, and the radius there."""
    wy, wx = y - t * (s[2] + t * s[4]), x - t * (s[3] + t * s[5])
    _, down, right = heading(s, t)
    radius = max(s[6] + s[7] * t, _LEAST)
    return (
        arc(s, t) + wy * down + wx * right,
        (wx * down - wy * right) / radius,
        math.sqrt(wy * wy + wx * wx) / radius,
        radius,
    )


@device_function
def arc(s, t):
    """About the curve's length from its start to t, in px."""
    start = math.sqrt(s[2] * s[2] + s[3] * s[3])
    down, right = s[2] + t * s[4], s[3] + t * s[5]
    middle = math.sqrt(down * down + right * right)
    down, right = s[2] + _TWO * t * s[4], s[3] + _TWO * t * s[5]
    return t / _SIX * (start + _FOUR * middle + math.sqrt(down * down + right * right))


@device_function
def hairs_of(s, side):
    """How many hairs a brush has, and its larger radius."""
    width = max(max(s[6], s[6] + s[7]), _LEAST)
    return min(_FEWEST_HAIRS + _HAIRS_PER_SHARE * width / side, _MOST_HAIRS), width


@device_function
def drawn(column, row, seed):
    return np.float32(mix32(np.uint32((column * _COLUMN + row * _ROW + seed) & _BITS)) >> _EIGHT) * _PARTS


@device_function
def noise(x, y, seed):
    column, row = np.int64(math.floor(x)), np.int64(math.floor(y))
    u, v = x - np.float32(column), y - np.float32(row)
    u, v = u * u * (_THREE - _TWO * u), v * v * (_THREE - _TWO * v)
    first = drawn(column, row, seed)
    upper = first + u * (drawn(column + 1, row, seed) - first)
    below = drawn(column, row + 1, seed)
    return upper + v * (below + u * (drawn(column + 1, row + 1, seed) - below) - upper)


@device_function
def step(value, low, high):
    share = min(max((value - low) / (high - low), _ZERO), _ONE)
    return share * share * (_THREE - _TWO * share)


@device_function
def mark(along, across, out, radius, s, bristles, dryness, side, seed):
    """How opaque, how light, how thick a stroke is at a pixel, and how flat it presses what is below."""
    hairs, width = hairs_of(s, side)
    length = arc(s, _ONE)
    x, y = _HALF * across * hairs, along / (_HAIR_LENGTH * width)
    fine = noise(x, y, seed) * _F06 + noise(_F23 * x + _F31, _F17 * y, seed) * _F04
    hair = step(_F062 * fine + _F038 * noise(_F027 * x + _F57, _HALF * y, seed), _F022, _F078)
    way = along / max(length, _LEAST_LENGTH)
    before, beyond = -along / radius, (along - length) / radius
    opaque = _ONE - _STREAK * bristles * (_ONE - hair) * (_ONE - hair)
    pixel = radius / max(_ONE, side / _SIDE_PX)
    soonest, surest = _ONE - _RAGGED_END * bristles - _HALF / pixel, _ONE - _RAGGED_START * bristles - _HALF / pixel
    if bristles > _ZERO and (beyond > soonest or before > surest):  # elsewhere no hair has ended
        tip = _ONE - _RAGGED_END * bristles * noise(_F08 * x + _F83, _ZERO, seed)
        heel = _ONE - _RAGGED_START * bristles * noise(_F08 * x + _F113, _ZERO, seed)
        opaque *= min(max((tip - beyond) * pixel + _HALF, _ZERO), _ONE)
        opaque *= min(max((heel - before) * pixel + _HALF, _ZERO), _ONE)
    gap = _F06 * dryness * step(way, _F025, _ONE)
    soft = min(max(_F04 * hairs / radius, _LEAST), _F08)
    opaque *= step(hair + _LEAST_HAIR, gap - soft, gap)
    light = _ONE + _SHADE * bristles * (_TWO * hair - _ONE)
    at_rim, at_stop = (out - _RIM_AT) / _RIM_WIDTH, (beyond - _STOP_AT) / _STOP_WIDTH
    ridges = (_RIM * math.exp(-at_rim * at_rim) + _STOP * math.exp(-at_stop * at_stop)) * (_F03 + _F07 * hair)
    body = (_BODY + ridges) * (_ONE - _THINNING * min(max(way, _ZERO), _ONE))
    pressed = step(_F103 - out, _ZERO, _ROUNDING) * step(hair, gap - _LEAST, gap + _F02)
    load = math.sqrt(min(width / (_FULL_SHARE * side), _ONE))
    return opaque, light, load * body * pressed * (_ONE - _FURROW * bristles * (_ONE - hair)), _LEVELLED * pressed
