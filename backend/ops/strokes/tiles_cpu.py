"""A tile of the canvas with all its strokes, on the CPU: which they are, what each adds, what was there before each.

The tile's pixels are planes [BLOCKS, 16], block by block of SIDE x SIDE pixels, each a vector: a small stroke would leave rows of
sixteen half empty. For the way back a tile is painted once more and keeps the colours before each stroke: memory is that of the
tile in hand, whatever the picture's size.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.simd import (
    load_16,
    multiply_add,
    splat_16,
    store,
    where_at_least,
)
from backend.ops.strokes.constants import BLOCKS, CHORDS, SIDE, TILE
from backend.ops.strokes.coverage_cpu import (
    CHORD,
    SHAPE,
    alpha_at,
    is_thick,
    margin,
    nearest_chord,
    none_above,
    none_below,
    refine,
    set_shape,
)

_PIXELS = TILE * TILE
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_ROWS, _COLUMNS = (np.ascontiguousarray(half.ravel()) for half in (np.mgrid[:SIDE, :SIDE] + 0.5).astype(np.float32))
_BEYOND = np.float32(-1e9)  # the label of what is not on the canvas
EMPTY, EDGE, DEEP = np.uint8(0), np.uint8(1), np.uint8(2)  # of a block under a stroke; deep: wholly covered
_HALF_DIAGONAL = np.float32(TILE * 0.7072)


@njit(cache=True, nogil=True)
def bin_strokes(boxes, height, width):
    """Tiles and strokes that touch: first [T + 1] of each tile's list, pair [P] of that list, stroke [P] of each pair, own [N + 1].

    boxes [N, 4] px. Pairs are numbered stroke by stroke, own[n] is stroke n's first; a tile's list is in painting order.
    """
    down, across = (height + TILE - 1) // TILE, (width + TILE - 1) // TILE
    count = boxes.shape[0]
    own = np.zeros(count + 1, np.int64)
    ranges = np.zeros((count, 4), np.int64)
    first = np.zeros(down * across + 1, np.int64)
    for n in range(count):
        top, left = max(np.floor(boxes[n, 0] / TILE), 0.0), max(np.floor(boxes[n, 1] / TILE), 0.0)
        bottom = min(np.ceil(boxes[n, 2] / TILE), float(down))
        right = min(np.ceil(boxes[n, 3] / TILE), float(across))
        if top < bottom and left < right:
            ranges[n, 0], ranges[n, 1], ranges[n, 2], ranges[n, 3] = int(top), int(bottom), int(left), int(right)
        own[n + 1] = own[n] + (ranges[n, 1] - ranges[n, 0]) * (ranges[n, 3] - ranges[n, 2])
        for y in range(ranges[n, 0], ranges[n, 1]):
            for x in range(ranges[n, 2], ranges[n, 3]):
                first[y * across + x + 1] += 1
    for tile in range(down * across):
        first[tile + 1] += first[tile]
    filled = first[:-1].copy()
    pair, stroke = np.empty(own[count], np.int64), np.empty(own[count], np.int64)
    for n in range(count):
        at = own[n]
        for y in range(ranges[n, 0], ranges[n, 1]):
            for x in range(ranges[n, 2], ranges[n, 3]):
                tile = y * across + x
                pair[filled[tile]] = at
                stroke[at] = n
                filled[tile] += 1
                at += 1
    return first, pair, stroke, own


@njit(cache=True)
def place(y, x):
    """Where a tile's pixel stands in a plane."""
    return (y // SIDE * SIDE + x // SIDE) * 16 + y % SIDE * SIDE + x % SIDE


@njit(cache=True, forceinline=True)
def pixels_of(block):
    """Row and column of the middles of a block's pixels, from the tile's corner on."""
    top, left = np.float32(block // SIDE * SIDE), np.float32(block % SIDE * SIDE)
    return load_16(_ROWS, 0) + top, load_16(_COLUMNS, 0) + left


@njit(cache=True)
def load_tile(image, top, left, planes):
    """Planes [3, BLOCKS, 16], flat, of an image [H, W, 3]; 0 beyond it."""
    rows, columns = min(TILE, image.shape[0] - top), min(TILE, image.shape[1] - left)
    planes[:] = _ZERO
    for y in range(rows):
        for x in range(columns):
            for channel in range(3):
                planes[channel * _PIXELS + place(y, x)] = image[top + y, left + x, channel]


@njit(cache=True)
def compare_tile(image, top, left, planes):
    """Planes minus an image [H, W, 3], and 0 beyond it."""
    for y in range(TILE):
        for x in range(TILE):
            there = top + y < image.shape[0] and left + x < image.shape[1]
            for channel in range(3):
                at = channel * _PIXELS + place(y, x)
                planes[at] = planes[at] - image[top + y, left + x, channel] if there else _ZERO


@njit(cache=True)
def save_tile(planes, top, left, image):
    """The reverse of load_tile."""
    for y in range(min(TILE, image.shape[0] - top)):
        for x in range(min(TILE, image.shape[1] - left)):
            for channel in range(3):
                image[top + y, left + x, channel] = planes[channel * _PIXELS + place(y, x)]


@njit(cache=True)
def load_plane(values, top, left, beyond, plane):
    """A plane [BLOCKS, 16], flat, of an image [H, W]; `beyond` beyond it."""
    plane[:] = beyond
    for y in range(min(TILE, values.shape[0] - top)):
        for x in range(min(TILE, values.shape[1] - left)):
            plane[place(y, x)] = values[top + y, left + x]


@njit(cache=True)
def load_labels(labels, top, left, plane):
    """Labels as float32, _BEYOND beyond the image. Nothing where there are no labels."""
    if labels.size:
        load_plane(labels, top, left, _BEYOND, plane)


@njit(cache=True, forceinline=True)
def outside_of(labels, at, segment):
    """1 where a pixel is on the canvas and not of the segment."""
    label = load_16(labels, at)
    zero, one, half = splat_16(_ZERO), splat_16(_ONE), splat_16(_HALF)
    other = where_at_least(label - segment, half, one, where_at_least(segment - label, half, one, zero))
    return where_at_least(splat_16(_BEYOND), label, zero, other)


@njit(cache=True)
def cover_tile(geometry, opacity, box, top, left, softness, segment, labels, clip, fading, alphas, places, blocks):
    """Alpha and t* of one stroke in a tile, flat [BLOCKS, 16] each, and blocks [BLOCKS] of EMPTY, EDGE or DEEP; the leak by lane.

    segment: of the stroke, -1 for none. labels: of the tile, or none. fading: whether t* is asked for where it does not matter to
    alpha, for the derivative by opacity.
    """
    shape, chords = np.empty(SHAPE, np.float32), np.empty((CHORDS, CHORD), np.float32)
    count = set_shape(geometry, opacity, np.float32(top), np.float32(left), shape, chords)
    s = (shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6], shape[7], shape[8], shape[9])
    bound = margin(shape, count, softness)
    thick = is_thick(s, softness)
    zero = splat_16(_ZERO)
    bounded = labels.size > 0 and segment >= _ZERO
    leak = zero
    blocks[:] = EMPTY
    middle = tile_distance(chords, count)
    if middle > bound + _HALF_DIAGONAL:
        return leak
    even = s[9] == _ZERO and not fading
    all_deep = even and middle < -(bound + _HALF_DIAGONAL)
    first_row, first_column = max(0, int(box[0]) - top) // SIDE, max(0, int(box[1]) - left) // SIDE
    end_row, end_column = min(TILE, int(np.ceil(box[2])) - top), min(TILE, int(np.ceil(box[3])) - left)
    for block in range(BLOCKS):
        if not (first_row <= block // SIDE and first_column <= block % SIDE):
            continue
        if block // SIDE * SIDE >= end_row or block % SIDE * SIDE >= end_column:
            continue
        row, column = pixels_of(block)
        t, alpha, kind = zero, splat_16(s[8]), DEEP
        if not all_deep:
            t, away = nearest_chord(row, column, s, chords, count)
            if none_below(away, bound):
                continue
            deep = none_above(away, -bound)
            if not (deep and even):
                t = refine(row, column, t, s)
                alpha = t * s[9] + s[8] if deep else alpha_at(row, column, t, s, softness, thick)
            kind = DEEP if deep else EDGE
        if bounded:
            outside = outside_of(labels, block * 16, segment)
            if clip:
                alpha = alpha * (_ONE - outside)
            else:
                leak = multiply_add(alpha, outside, leak)
        store(alphas, block * 16, alpha)
        store(places, block * 16, t)
        blocks[block] = kind
    return leak


@njit(cache=True)
def tile_distance(chords, count):
    """Distance of the tile's middle from the edge, as nearest_chord measures it, in px."""
    best, middle = np.float32(1e30), np.float32(TILE / 2)
    for k in range(count):
        y, x = middle - chords[k, 0], middle - chords[k, 1]
        share = min(max(y * chords[k, 4] + x * chords[k, 5], _ZERO), _ONE)
        y, x = y - share * chords[k, 2], x - share * chords[k, 3]
        best = min(best, np.sqrt(y * y + x * x) - (chords[k, 6] + share * chords[k, 7]))
    return best
