"""How much pixels count, on a card: a thread a pixel, every photograph of a batch in one launch.

The rules and their reasons are in view_weights.py, the arithmetic is view_weights_plain.py's. All maps are [B, h, W].
"""

from __future__ import annotations

import math

import numpy as np

from backend.ops.cuda_kernels import cuda, device_function, kernel

_ZERO, _ONE, _TWO, _NAN = np.float32(0), np.float32(1), np.float32(2), np.float32(np.nan)


@kernel
def find_rims(depth, facing, step, rims):
    """rims uint8: 1 where a pixel is seen and the surface ends beside it or another hides it."""
    column, row, photograph = cuda.grid(3)
    if photograph >= rims.shape[0] or row >= rims.shape[1] or column >= rims.shape[2]:
        return
    found = False
    if facing[photograph, row, column] > _ZERO:
        found = (
            _ends(depth, facing, photograph, row, column, 0, 1, step)
            or _ends(depth, facing, photograph, row, column, -1, 0, step)
            or _ends(depth, facing, photograph, row, column, 1, 0, step)
        )
        if not found and column > 0:
            # the pixel to the left either shows nothing or finds the same break
            found = not facing[photograph, row, column - 1] > _ZERO or _ends(
                depth, facing, photograph, row, column - 1, 0, 1, step
            )
    rims[photograph, row, column] = 1 if found else 0


@device_function
def _ends(depth, facing, photograph, row, column, down, right, step):
    """Whether the surface of a seen pixel ends before its neighbour."""
    y, x = row + down, column + right
    if y < 0 or y >= depth.shape[1] or x >= depth.shape[2]:
        return False
    if not facing[photograph, y, x] > _ZERO:
        return True
    here, other = depth[photograph, row, column], depth[photograph, y, x]
    if not abs(here - other) > np.float32(step) * min(here, other):
        return False
    inverse, beside = _ONE / here, _ONE / other
    steepest = _ZERO
    before = abs(inverse - _inverse(depth, photograph, row - down, column - right))
    if before > steepest:
        steepest = before
    after = abs(beside - _inverse(depth, photograph, row + 2 * down, column + 2 * right))
    if after > steepest:
        steepest = after
    return abs(beside - inverse) > _TWO * steepest + np.float32(step) * max(inverse, beside)


@device_function
def _inverse(depth, photograph, row, column):
    """1/z of a pixel, NaN beyond the picture."""
    if row < 0 or row >= depth.shape[1] or column < 0 or column >= depth.shape[2]:
        return _NAN
    return _ONE / depth[photograph, row, column]


@kernel
def spread(rims, reach, distances):
    """distances uint8: how far each pixel is from a rim along its row, at most reach."""
    column, row, photograph = cuda.grid(3)
    if photograph >= rims.shape[0] or row >= rims.shape[1] or column >= rims.shape[2]:
        return
    away = 0
    while away < reach:
        if column >= away and rims[photograph, row, column - away] != 0:
            break
        if column + away < rims.shape[2] and rims[photograph, row, column + away] != 0:
            break
        away += 1
    distances[photograph, row, column] = away


@kernel
def weigh(facing, footprint, distances, radius, power, least_facing, least_weight, weights):
    """0 where nothing is seen, else cos^power, faded towards silhouettes within radius px (0: nowhere)."""
    column, row, photograph = cuda.grid(3)
    if photograph >= weights.shape[0] or row >= weights.shape[1] or column >= weights.shape[2]:
        return
    cosine, size = facing[photograph, row, column], footprint[photograph, row, column]
    weight = _ZERO
    if cosine > np.float32(least_facing) and size > _ZERO and size < _ONE:
        weight = min(cosine, _ONE)
        if power != 1.0:
            weight = np.float32(math.pow(weight, np.float32(power)))
        if radius > 0.0:
            weight *= _fade(distances, photograph, row, column, radius, least_weight)
    weights[photograph, row, column] = weight


@device_function
def _fade(distances, photograph, row, column, radius, least_weight):
    most = np.float32(radius + 1.0) * np.float32(radius + 1.0)
    nearest, reach = most, np.int64(math.ceil(radius))
    for y in range(max(row - reach, 0), min(row + reach + 1, distances.shape[1])):
        across, down = np.float32(distances[photograph, y, column]), np.float32(y - row)
        nearest = min(nearest, across * across + down * down)
    return _ONE if nearest >= most else max(nearest / most, np.float32(least_weight))


@kernel
def frame(weights, pixels, mask, has_mask, full, share, first_row, height, border):
    """Multiply weights by what the photograph's border, its mask and its full pixels leave of them."""
    column, row, photograph = cuda.grid(3)
    if photograph >= weights.shape[0] or row >= weights.shape[1] or column >= weights.shape[2]:
        return
    weight = weights[photograph, row, column]
    if border > 0.0:
        y = first_row + row
        away = min(min(y, height - 1 - y), min(column, weights.shape[2] - 1 - column))
        weight *= np.float32(min((away + 0.5) / border, 1.0))
    if has_mask:
        weight *= mask[photograph, row, column]
    for channel in range(3):
        if np.float32(pixels[photograph, row, column, channel]) >= np.float32(full):
            weight *= np.float32(share)
            break
    weights[photograph, row, column] = weight
