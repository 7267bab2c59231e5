"""Painting strokes tile by tile on the CPU, and the way back; the op is backend.ops.strokes.compositing.

Each pair of tile and stroke has its own place for what it adds to a sum, and each stroke's are added up in one order: the bytes
do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.simd import (
    absolute,
    any_at_least,
    load_16,
    multiply_add,
    splat_16,
    store,
    total_in_halves,
)
from backend.ops.strokes.constants import BLOCKS, TILE
from backend.ops.strokes.coverage_cpu import SHAPE, add_to_ends, alpha_derivative, deep_derivative, is_thick
from backend.ops.strokes.tiles_cpu import (
    DEEP,
    EMPTY,
    bin_strokes,
    cover_tile,
    load_labels,
    load_tile,
    outside_of,
    pixels_of,
    save_tile,
)

_PIXELS = TILE * TILE
HANDS = 64  # that tiles are dealt to, by depth
SUMS = SHAPE + 3  # of a pair: what alpha_derivative makes, and the colour
_ZERO, _HALF, _ONE, _LEAST = np.float32(0), np.float32(0.5), np.float32(1), np.float32(1e-30)


def sort_strokes(boxes, height, width):
    """bin_strokes, and before it the tiles that have any stroke, deep and shallow ones mixed: threads take runs of them."""
    first, pair, stroke, own = bin_strokes(boxes, height, width)
    depth = np.diff(first)
    tiles = np.argsort(-depth, kind="stable")[: np.count_nonzero(depth)]
    return np.concatenate([tiles[hand::HANDS] for hand in range(HANDS)]), first, pair, stroke, own


@njit(cache=True)
def most_strokes(tiles, first):
    """Of any of the tiles."""
    most = 0
    for tile in tiles:
        most = max(most, first[tile + 1] - first[tile])
    return most


def paint(tiles, lists, strokes, kept, image, leaks):
    """Paint the strokes on image [H, W, 3] in place; leaks float32 [P] gets each pair's.

    tiles and lists (first, pair, stroke): of sort_strokes. strokes: kernel_arrays of the op, labels float32 [H, W] and segments [N]
    being of no elements where there are none; and fading, as cover_tile has it. kept: alphas and places [P, TILE TILE], blocks
    [P, BLOCKS] for the way back, or of no elements.
    """
    run_in_threads(_paint_tiles, len(tiles), tiles, *lists, *strokes, *kept, image, leaks)


@njit(cache=True, nogil=True, error_model="numpy")
def _paint_tiles(
    begin, end, tiles, first, pair, stroke, geometry, opacity, color, boxes, labels, segments, clip, softness, fading,
    kept_alphas, kept_places, kept_blocks, image, leaks,
):  # fmt: skip
    planes, label = np.empty(3 * _PIXELS, np.float32), np.empty(_PIXELS if labels.size else 0, np.float32)
    keep = kept_blocks.size > 0
    alphas = kept_alphas if keep else np.empty((1, _PIXELS), np.float32)
    places = kept_places if keep else np.empty((1, _PIXELS), np.float32)
    blocks = kept_blocks if keep else np.empty((1, BLOCKS), np.uint8)
    across = (image.shape[1] + TILE - 1) // TILE
    for i in range(begin, end):
        tile = tiles[i]
        top, left = tile // across * TILE, tile % across * TILE
        load_tile(image, top, left, planes)
        load_labels(labels, top, left, label)
        for k in range(first[tile], first[tile + 1]):
            n, d = stroke[pair[k]], k if keep else 0
            leak = cover_tile(
                geometry[n], opacity[n], boxes[n], top, left, softness, segments[n] if labels.size else -_ONE, label,
                clip, fading, alphas[d], places[d], blocks[d],
            )  # fmt: skip
            leaks[pair[k]] = total_in_halves(leak)
            blend(alphas[d], blocks[d], color[n], planes)
        save_tile(planes, top, left, image)


@njit(cache=True)
def keep_before(blocks, planes, before):
    """Copy the blocks of a tile's planes that a stroke will change."""
    for block in range(BLOCKS):
        if blocks[block] != EMPTY:
            for channel in range(3):
                at = channel * _PIXELS + block * 16
                store(before, at, load_16(planes, at))


@njit(cache=True)
def blend(alphas, blocks, color, planes):
    """Paint one colour over the planes of a tile."""
    for block in range(BLOCKS):
        if blocks[block] != EMPTY:
            alpha = load_16(alphas, block * 16)
            left = _ONE - alpha
            for channel in range(3):
                at = channel * _PIXELS + block * 16
                store(planes, at, load_16(planes, at) * left + alpha * color[channel])


def gradients(tiles, lists, strokes, kept, canvas, wanted, leak, shapes, sums):
    """sums float32 [P, SUMS] of each pair, from dL/dimage `wanted` [H, W, 3] and dL/dleak `leak`.

    canvas [H, W, 3] before the first stroke. kept: by paint; what has no elements is computed again. shapes: whether more than the
    colours is asked for.
    """
    run_in_threads(_gradients_of_tiles, len(tiles), tiles, *lists, *strokes, *kept, canvas, wanted, leak, shapes, sums)


@njit(cache=True, nogil=True, error_model="numpy")
def _gradients_of_tiles(
    begin, end, tiles, first, pair, stroke, geometry, opacity, color, boxes, labels, segments, clip, softness, fading,
    kept_alphas, kept_places, kept_blocks, canvas, wanted, leak, shapes, sums,
):  # fmt: skip
    planes, label = np.empty(3 * _PIXELS, np.float32), np.empty(_PIXELS if labels.size else 0, np.float32)
    depth = most_strokes(tiles[begin:end], first)
    befores = np.empty((depth, 3 * _PIXELS), np.float32)
    kept = kept_blocks.size > 0
    alphas = kept_alphas if kept else np.empty((depth, _PIXELS), np.float32)
    places = kept_places if kept else np.empty((depth, _PIXELS), np.float32)
    blocks = kept_blocks if kept else np.empty((depth, BLOCKS), np.uint8)
    across = (canvas.shape[1] + TILE - 1) // TILE
    for i in range(begin, end):
        tile = tiles[i]
        top, left, start = tile // across * TILE, tile % across * TILE, first[tile]
        at = start if kept else 0
        load_tile(canvas, top, left, planes)
        load_labels(labels, top, left, label)
        for d in range(first[tile + 1] - start):
            n = stroke[pair[start + d]]
            if not kept:
                cover_tile(
                    geometry[n], opacity[n], boxes[n], top, left, softness, segments[n] if labels.size else -_ONE,
                    label, clip, fading, alphas[d], places[d], blocks[d],
                )  # fmt: skip
            keep_before(blocks[at + d], planes, befores[d])
            blend(alphas[at + d], blocks[at + d], color[n], planes)
        load_tile(wanted, top, left, planes)
        for d in range(first[tile + 1] - start - 1, -1, -1):
            p = pair[start + d]
            n = stroke[p]
            shape = shape_of(geometry[n], opacity[n], np.float32(top), np.float32(left))
            _pair_gradient(
                shape, color[n], softness, segments[n] if labels.size else -_ONE, label, clip, fading, leak, shapes,
                alphas[at + d], places[at + d], befores[d], blocks[at + d], planes, sums[p],
            )  # fmt: skip


@njit(cache=True)
def shape_of(geometry, opacity, top, left):
    """The SHAPE numbers of coverage_cpu as a tuple."""
    two = np.float32(2)
    py, px = geometry[0] - top, geometry[1] - left
    ay, ax = two * (geometry[2] - top - py), two * (geometry[3] - left - px)
    cy = (geometry[4] - top - (geometry[2] - top)) - (geometry[2] - top - py)
    cx = (geometry[5] - left - (geometry[3] - left)) - (geometry[3] - left - px)
    taper, fade = geometry[7] - geometry[6], opacity[1] - opacity[0]
    return py, px, ay, ax, cy, cx, geometry[6], taper, opacity[0], fade


@njit(cache=True, error_model="numpy")
def _pair_gradient(
    s, color, softness, segment, label, clip, fading, leak, shapes, alphas, places, befores, blocks, planes, sums
):
    """One stroke in a tile; planes, dL/dimage over it, become dL/dimage under it."""
    zero = splat_16(_ZERO)
    py = px = ay = ax = cy = cx = radius = taper = opacity = fade = red = green = blue = zero
    thick = is_thick(s, softness)
    bounded = label.size > 0 and segment >= _ZERO
    for block in range(BLOCKS):
        if blocks[block] == EMPTY:
            continue
        at = block * 16
        alpha = load_16(alphas, at)
        left = _ONE - alpha
        r, g, b = load_16(planes, at), load_16(planes, at + _PIXELS), load_16(planes, at + 2 * _PIXELS)
        red, green, blue = multiply_add(r, alpha, red), multiply_add(g, alpha, green), multiply_add(b, alpha, blue)
        store(planes, at, r * left)
        store(planes, at + _PIXELS, g * left)
        store(planes, at + 2 * _PIXELS, b * left)
        if not shapes:
            continue
        given = r * (color[0] - load_16(befores, at)) + g * (color[1] - load_16(befores, at + _PIXELS))
        given = given + b * (color[2] - load_16(befores, at + 2 * _PIXELS))
        if bounded:
            outside = outside_of(label, at, segment)
            given = given * (_ONE - outside) if clip else multiply_add(outside, splat_16(leak), given)
        if not any_at_least(absolute(given), splat_16(_LEAST)):
            continue
        row, column = pixels_of(block)
        if blocks[block] == DEEP:
            if s[9] == _ZERO and not fading:
                continue
            made = deep_derivative(row, column, load_16(places, at), s, given)
        else:
            made = alpha_derivative(row, column, load_16(places, at), s, softness, thick, given)
        py, px, ay, ax, cy, cx = (
            py + made[0], px + made[1], ay + made[2], ax + made[3], cy + made[4], cx + made[5],
        )  # fmt: skip
        radius, taper, opacity, fade = radius + made[6], taper + made[7], opacity + made[8], fade + made[9]
    sums[0], sums[1], sums[2] = total_in_halves(py), total_in_halves(px), total_in_halves(ay)
    sums[3], sums[4], sums[5] = total_in_halves(ax), total_in_halves(cy), total_in_halves(cx)
    sums[6], sums[7], sums[8] = total_in_halves(radius), total_in_halves(taper), total_in_halves(opacity)
    sums[9], sums[10], sums[11] = total_in_halves(fade), total_in_halves(red), total_in_halves(green)
    sums[12] = total_in_halves(blue)


@njit(cache=True, nogil=True)
def add_up(sums, own, by_shape, by_color):
    """by_shape float32 [N, 10] (geometry, opacity) and by_color [N, 3] from the sums of the pairs of each stroke, in order."""
    for n in range(own.size - 1):
        of_stroke = np.zeros(SUMS, np.float64)
        for p in range(own[n], own[n + 1]):
            for j in range(SUMS):
                of_stroke[j] += sums[p, j]
        row = np.zeros(SHAPE, np.float64)
        add_to_ends(of_stroke, row)
        for j in range(SHAPE):
            by_shape[n, j] = row[j]
        for j in range(3):
            by_color[n, j] = of_stroke[SHAPE + j]
