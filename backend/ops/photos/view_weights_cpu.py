"""Loops over what a photograph sees: how far its silhouettes are, and how much each pixel counts.

The rules and their reasons are in view_weights.py. Every row belongs to one thread, so that no byte depends on their
number.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from backend.ops.kernel_threads import parallel_loop

_FIRST = np.int64(0)  # a bare 0 is a type of its own, for which numba compiles a function once more
WORD = 8  # flags that are looked at together
CHUNK = 16  # rows that a thread takes at a time


@njit(cache=True)
def _inverse(depth, y, x):
    """1/z of a pixel, NaN beyond the picture."""
    if y < 0 or y >= depth.shape[0] or x < 0 or x >= depth.shape[1]:
        return np.float32(np.nan)
    return np.float32(1) / depth[y, x]


@njit(cache=True)
def _is_no_slope(depth, y, x, dy, dx, step):
    """Whether one of two neighbours lies in front of the other, no crease or slope joining them.

    Along one surface 1/z changes by no more than its slopes to both sides say, on a plane by exactly that; across a break it
    changes by more than twice either, and by more than step of itself.
    """
    here, beside = _inverse(depth, y, x), _inverse(depth, y + dy, x + dx)
    steepest = np.float32(0)
    before, after = _inverse(depth, y - dy, x - dx), _inverse(depth, y + 2 * dy, x + 2 * dx)
    if not np.isnan(before):
        steepest = abs(here - before)
    if not np.isnan(after):
        steepest = max(steepest, abs(beside - after))
    return abs(beside - here) > np.float32(2) * steepest + step * max(here, beside)


@parallel_loop
def silhouettes(depth, facing, step, reach, distances):
    """Along its row, how far each pixel is from a seen one beside which the surface ends or another hides it.

    distances: uint8 [h, W], written, at most `reach` (which may be 255). step: the least relative change of 1/z that counts
    as a break. Depths may be NaN throughout.
    """
    rows = distances.shape[0]
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        _silhouette_rows(chunk * CHUNK, min((chunk + 1) * CHUNK, rows), depth, facing, step, reach, distances)


@njit(cache=True, error_model="numpy")
def _silhouette_rows(begin, end, depth, facing, step, reach, distances):
    height, width = distances.shape
    own, suspects = np.zeros(width // WORD + 1, np.uint64), np.zeros(width // WORD + 1, np.uint64)
    flags = own.view(np.uint8)
    for y in range(begin, end):
        own[:] = 0
        for dy, dx in ((0, 1), (-1, 0), (1, 0)):
            if not 0 <= y + dy < height:
                continue
            suspects[:] = 0
            last = width - dx
            _suspect(
                facing[y, :last],
                facing[y + dy, dx:],
                depth[y, :last],
                depth[y + dy, dx:],
                step,
                suspects.view(np.uint8),
            )
            x = _next(suspects, _FIRST, width)
            while x < width:
                here, beside = facing[y, x] > 0, facing[y + dy, x + dx] > 0
                ends = not (here and beside) or _is_no_slope(depth, y, x, dy, dx, step)
                if here and ends:
                    flags[x] = 1
                if dx and beside and ends:  # rows above and below find out for themselves
                    flags[x + 1] = 1
                x = _next(suspects, x + 1, width)
        _spread(own, reach, distances[y])


@njit(cache=True)
def _suspect(facing, facing_beside, depth, depth_beside, step, suspects):
    """1 where the surface ends between a pixel and its neighbour, or where its slope must be looked at."""
    for k in range(depth.size):
        here, beside = facing[k] > 0, facing_beside[k] > 0
        gap, nearer = abs(depth[k] - depth_beside[k]), min(depth[k], depth_beside[k])
        suspects[k] = (here != beside) | (here & beside & (gap > step * nearer))


@njit(cache=True)
def _next(words, begin, end):
    """The first place from begin on whose flag, a byte of a word, is set, or end where there is none before it."""
    flags = words.view(np.uint8)
    while begin < end and not flags[begin]:
        begin += 1
        if begin % WORD == 0:
            while begin < end and not words[begin // WORD]:
                begin += WORD
    return min(begin, end)


@njit(cache=True)
def _spread(flags, reach, distances):
    """How far each pixel is from a flagged one, at most reach."""
    distances[:] = reach
    width, before = distances.size, -1
    x = _next(flags, _FIRST, width)
    while x < width:
        distances[x] = 0
        half = (x - before) // 2 if before >= 0 else x
        for k in range(1, min(half, reach - 1) + 1):
            distances[x - k] = k
            if before >= 0:
                distances[before + k] = k
        before, x = x, _next(flags, x + 1, width)
    if before >= 0:
        for k in range(1, min(width - 1 - before, reach - 1) + 1):
            distances[before + k] = k


@parallel_loop
def weigh(facing, footprint, distances, radius, power, least_facing, least_weight, weights):
    """weights [h, W] float32, written: 0 where nothing is seen, else cos^power, faded towards silhouettes within radius px.

    distances: as from silhouettes with a reach of ceil(radius) + 1.
    """
    rows = weights.shape[0]
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        _weigh_rows(
            chunk * CHUNK, min((chunk + 1) * CHUNK, rows),
            facing, footprint, distances, radius, power, least_facing, least_weight, weights,
        )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _weigh_rows(begin, end, facing, footprint, distances, radius, power, least_facing, least_weight, weights):
    height, width = weights.shape
    reach = int(np.ceil(radius))
    most = np.float32(np.float32(radius + 1) ** 2)
    nearest = np.empty(width, np.float32)
    for y in range(begin, end):
        nearest[:] = most
        for b in range(max(y - reach, 0), min(y + reach + 1, height)):
            _approach(distances[b], np.float32((b - y) * (b - y)), nearest)
        own = weights[y]
        _face(facing[y], footprint[y], least_facing, own)
        if power != 1:
            for x in range(width):
                if own[x] > 0:
                    own[x] = own[x] ** power
        _fade(nearest, most, least_weight, own)


@njit(cache=True)
def _approach(distances, down, nearest):
    """The squared distance to the nearest silhouette, one row more being known; down: its own squared distance."""
    for k in range(nearest.size):
        across = np.float32(distances[k])
        squared = across * across + down
        nearest[k] = squared if squared < nearest[k] else nearest[k]


@njit(cache=True)
def _face(facing, footprint, least, weights):
    for k in range(weights.size):
        cosine, size = facing[k], footprint[k]
        counts = (cosine > least) & (size > np.float32(0)) & (size < np.float32(1))
        weights[k] = (cosine if cosine < np.float32(1) else np.float32(1)) if counts else np.float32(0)


@njit(cache=True, error_model="numpy")
def _fade(nearest, most, least, weights):
    for k in range(weights.size):
        share = nearest[k] / most
        share = share if share > least else least
        weights[k] *= np.float32(1) if nearest[k] >= most else share


@parallel_loop
def frame(weights, mask, has_mask, pixels, top, saturated, dim, first_row, height, border):
    """Fade weights [rows, W] towards the photograph's border, by its mask, and where its sensor was full. In place.

    mask [rows, W]: not read without has_mask. pixels [rows, W, 3]: as decoded; top: what they count as 1; from `saturated`
    of it on a pixel keeps `dim` of its weight.
    """
    full = np.float32(saturated * top)
    for i in prange(weights.shape[0]):
        _frame_row(weights[i], mask[i], has_mask, pixels[i], full, dim, first_row + i, height, border)


@njit(cache=True, error_model="numpy")
def _frame_row(weights, mask, has_mask, pixels, full, dim, row, height, border):
    width = weights.size
    above = min(row, height - 1 - row)
    if border > 0:
        # columns between the two have no border but those above and below
        left = width if above + 0.5 < border else min(int(np.ceil(border)), width)
        for j in range(left):
            weights[j] *= _from_border(min(j, width - 1 - j, above), border)
        for j in range(max(width - left, left), width):
            weights[j] *= _from_border(min(width - 1 - j, above), border)
    if has_mask:
        for j in range(width):
            weights[j] *= mask[j]
    _dim(pixels.reshape(3 * width), full, dim, weights)


@njit(cache=True)
def _from_border(pixels, border):
    """What is left of the weight of a pixel so many from the border."""
    return np.float32(min(1.0, (pixels + 0.5) / border))


@njit(cache=True)
def _dim(pixels, full, dim, weights):
    for k in range(weights.size):
        red, green, blue = np.float32(pixels[3 * k]), np.float32(pixels[3 * k + 1]), np.float32(pixels[3 * k + 2])
        filled = (red >= full) | (green >= full) | (blue >= full)
        weights[k] *= dim if filled else np.float32(1)
