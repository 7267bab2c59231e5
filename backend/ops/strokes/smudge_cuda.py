"""Paint pulled along by dry strokes, tile by tile on a card; the op is backend.ops.strokes.smudge.

The formulas are those of backend/ops/strokes/smudge_plain.py for one pixel.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import cuda, device_function, kernel
from backend.ops.strokes import constants as c
from backend.ops.strokes.brush_cuda import arc, hairs_of, heading, noise, step
from backend.ops.strokes.compositing_plain import Scene
from backend.ops.strokes.constants import TILE
from backend.ops.strokes.coverage_cuda import shape_at
from backend.ops.strokes.tiles_cuda import BLOCK, WHOLLY, as_floats, bands, cover_pixel, pixel_of

SAMPLES = c.PULL_SAMPLES
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_HAIR_LENGTH, _PULL, _GROOVE, _DRY_EDGE, _LEAST = (
    np.float32(value) for value in (c.HAIR_LENGTH, c.PULL, c.GROOVE, c.DRY_EDGE, 0.1)
)
_F02, _F03, _F04, _F06, _F07, _F08, _F23, _F31, _F57 = (
    np.float32(value) for value in (0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 2.3, 31, 57)
)
_FADING = np.float32(-c.PULL_FADING / SAMPLES)
_WEIGHT = np.float32(1 / sum(math.exp(-c.PULL_FADING * (k + 1) / SAMPLES) for k in range(SAMPLES)))
_SAMPLES = np.float32(SAMPLES)


def smudge(scene: Scene, height: Tensor, seeds: Tensor, amount: float) -> tuple[Tensor, Tensor]:
    """The image [H, W, 3] and the paint's thickness [H, W]; the scene's canvas is the paint that is there, its strokes are dry."""
    before = torch.cat((as_floats(scene.canvas), as_floats(height)[..., None]), 2)
    image, thickness = as_floats(scene.canvas).clone(), as_floats(height).clone()
    for tiles in bands(scene):
        _smudge.launch(tiles.threads, *tiles.lists, seeds, np.float32(amount), before, image, thickness, block=BLOCK)
    return image, thickness


@kernel
def _smudge(shapes, first, order, stroke, skipped, seeds, amount, before, image, thickness):
    """before [H, W, 4]: all strokes read the paint as it was."""
    tile = cuda.blockIdx.x
    row, column = pixel_of(tile + skipped, cuda.threadIdx.x, (image.shape[1] + TILE - 1) // TILE)
    if row >= image.shape[0] or column >= image.shape[1]:
        return
    pulled = cuda.local.array(4, np.float32)
    red, green, blue = image[row, column, 0], image[row, column, 1], image[row, column, 2]
    high = thickness[row, column]
    side = np.float32(max(image.shape[0], image.shape[1]))
    for k in range(first[tile], first[tile + 1]):
        n = stroke[order[k]]
        s = shape_at(shapes, n)
        share, t = cover_pixel(row, column, s, _ONE, True)
        if share <= _ZERO:
            continue
        if t >= WHOLLY:
            t -= WHOLLY
        y, x = np.float32(row) + _HALF - s[0], np.float32(column) + _HALF - s[1]
        touched, across, over, reach = touching(y, x, t, s, amount, side, int(seeds[n]))
        share *= touched
        if share <= _ZERO:
            continue
        pull(t, across, over, reach, s, before, pulled)
        red += share * (pulled[0] - red)
        green += share * (pulled[1] - green)
        blue += share * (pulled[2] - blue)
        high += share * (pulled[3] * (_ONE - _GROOVE * share) - high)
    image[row, column, 0], image[row, column, 1], image[row, column, 2] = red, green, blue
    thickness[row, column] = high


@device_function
def touching(y, x, t, s, amount, side, seed):
    """How much a dry stroke touches a pixel, where that lies across it and along it from t in radii, and how far paint comes."""
    hairs, width = hairs_of(s, side)
    radius = max(s[6] + s[7] * t, _LEAST)
    _, down, right = heading(s, t)
    wy, wx = y - t * (s[2] + t * s[4]), x - t * (s[3] + t * s[5])
    across, over = (wx * down - wy * right) / radius, (wy * down + wx * right) / radius
    hair_x, hair_y = _HALF * across * hairs, (arc(s, t) + over * radius) / (_HAIR_LENGTH * width)
    hair = _F06 * noise(hair_x, _HALF * hair_y, seed) + _F04 * noise(_F23 * hair_x + _F31, hair_y, seed)
    soft = min(max(_F04 * hairs / radius, _F02), _F08)
    from_here = _ONE - amount * (_ONE + soft)
    touched = step(step(hair, _F02, _F08), from_here, from_here + soft)
    touched *= step(_ONE - math.sqrt(wy * wy + wx * wx) / radius, _ZERO, _DRY_EDGE)
    return touched, across, over, _PULL * width * (_F03 + _F07 * noise(_F06 * hair_x + _F57, _ZERO, seed))


@device_function
def pull(t, across, over, reach, s, before, pulled):
    """Fill pulled [4] with colour and thickness of the paint behind a pixel."""
    for channel in range(4):
        pulled[channel] = _ZERO
    for sample in range(SAMPLES):
        t = max(t - reach / _SAMPLES / heading(s, t)[0], _ZERO)
        _, down, right = heading(s, t)
        radius = max(s[6] + s[7] * t, _LEAST)
        row = s[0] + t * (s[2] + t * s[4]) + radius * (over * down - across * right) - _HALF
        column = s[1] + t * (s[3] + t * s[5]) + radius * (over * right + across * down) - _HALF
        row = min(max(row, _ZERO), np.float32(before.shape[0] - 1))
        column = min(max(column, _ZERO), np.float32(before.shape[1] - 1))
        y, x = int(row), int(column)
        below, beside = min(y + 1, before.shape[0] - 1), min(x + 1, before.shape[1] - 1)
        v, u = row - np.float32(y), column - np.float32(x)
        weight = _WEIGHT * math.exp(_FADING * np.float32(sample + 1))
        for channel in range(4):
            upper = before[y, x, channel] + u * (before[y, beside, channel] - before[y, x, channel])
            lower = before[below, x, channel] + u * (before[below, beside, channel] - before[below, x, channel])
            pulled[channel] += weight * (upper + v * (lower - upper))
