"""Strokes with a colour at each end, tile by tile on the CPU; the op is backend.ops.strokes.end_colors."""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.simd import load_16, multiply_add, splat_16, store, total_in_halves
from backend.ops.strokes.compositing_cpu import most_strokes, sort_strokes
from backend.ops.strokes.constants import BLOCKS, TILE
from backend.ops.strokes.tiles_cpu import EMPTY, compare_tile, cover_tile, load_tile, save_tile

_PIXELS = TILE * TILE
_ZERO, _ONE = np.float32(0), np.float32(1)
sort = sort_strokes  # for the op, which knows one kernel


def paint(strokes, ends, image):
    """Paint on image [H, W, 3] in place. strokes: kernel_arrays of the compositor, with the colours of the starts; ends [N, 3]."""
    tiles, first, pair, stroke, _ = sort_strokes(strokes[3], image.shape[0], image.shape[1])
    run_in_threads(_paint_tiles, len(tiles), tiles, first, pair, stroke, *strokes, ends, image)


def gather(tiles, lists, strokes, ends, ground, wanted, sums):
    """sums float32 [P, 6]: of each pair, its start's and its end's share of each pixel that shows times (painting on ground -
    wanted); ground, wanted [H, W, 3]."""
    run_in_threads(_gather_tiles, len(tiles), tiles, *lists, *strokes, ends, ground, wanted, sums)


@njit(cache=True, nogil=True, error_model="numpy")
def _paint_tiles(
    begin, end, tiles, first, pair, stroke, geometry, opacity, color, boxes, labels, segments, clip, softness, ends, image,
):  # fmt: skip
    planes, label = np.empty(3 * _PIXELS, np.float32), np.empty(0, np.float32)
    alphas, places, blocks = np.empty(_PIXELS, np.float32), np.empty(_PIXELS, np.float32), np.empty(BLOCKS, np.uint8)
    across = (image.shape[1] + TILE - 1) // TILE
    for i in range(begin, end):
        tile = tiles[i]
        top, left = tile // across * TILE, tile % across * TILE
        load_tile(image, top, left, planes)
        for k in range(first[tile], first[tile + 1]):
            n = stroke[pair[k]]
            cover_tile(
                geometry[n], opacity[n], boxes[n], top, left, softness, -_ONE, label, clip, True, alphas, places, blocks
            )
            _blend(alphas, places, blocks, color[n], ends[n], planes)
        save_tile(planes, top, left, image)


@njit(cache=True, nogil=True, error_model="numpy")
def _gather_tiles(
    begin, end, tiles, first, pair, stroke, geometry, opacity, color, boxes, labels, segments, clip, softness, ends, ground,
    wanted, sums,
):  # fmt: skip
    planes, label = np.empty(3 * _PIXELS, np.float32), np.empty(0, np.float32)
    depth = most_strokes(tiles[begin:end], first)
    alphas, places = np.empty((depth, _PIXELS), np.float32), np.empty((depth, _PIXELS), np.float32)
    blocks = np.empty((depth, BLOCKS), np.uint8)
    across = (ground.shape[1] + TILE - 1) // TILE
    for i in range(begin, end):
        tile = tiles[i]
        top, left, start = tile // across * TILE, tile % across * TILE, first[tile]
        load_tile(ground, top, left, planes)
        for d in range(first[tile + 1] - start):
            n = stroke[pair[start + d]]
            cover_tile(
                geometry[n], opacity[n], boxes[n], top, left, softness, -_ONE, label, clip, True, alphas[d], places[d],
                blocks[d],
            )  # fmt: skip
            _blend(alphas[d], places[d], blocks[d], color[n], ends[n], planes)
        compare_tile(wanted, top, left, planes)
        for d in range(first[tile + 1] - start - 1, -1, -1):
            _gather_pair(alphas[d], places[d], blocks[d], planes, sums[pair[start + d]])


@njit(cache=True)
def _blend(alphas, places, blocks, color, end, planes):
    """Paint one stroke over the planes of a tile."""
    for block in range(BLOCKS):
        if blocks[block] != EMPTY:
            alpha, t = load_16(alphas, block * 16), load_16(places, block * 16)
            left = _ONE - alpha
            for channel in range(3):
                at = channel * _PIXELS + block * 16
                mixed = t * (end[channel] - color[channel]) + color[channel]
                store(planes, at, load_16(planes, at) * left + alpha * mixed)


@njit(cache=True)
def _gather_pair(alphas, places, blocks, planes, sums):
    """What a stroke's start and end show of the planes, which become what shows through it."""
    zero = splat_16(_ZERO)
    red = green = blue = red2 = green2 = blue2 = zero
    for block in range(BLOCKS):
        if blocks[block] == EMPTY:
            continue
        at = block * 16
        alpha, left = load_16(alphas, at), _ONE - load_16(alphas, at)
        end = alpha * load_16(places, at)
        start = alpha - end
        r, g, b = load_16(planes, at), load_16(planes, at + _PIXELS), load_16(planes, at + 2 * _PIXELS)
        red, green, blue = multiply_add(r, start, red), multiply_add(g, start, green), multiply_add(b, start, blue)
        red2, green2, blue2 = multiply_add(r, end, red2), multiply_add(g, end, green2), multiply_add(b, end, blue2)
        store(planes, at, r * left)
        store(planes, at + _PIXELS, g * left)
        store(planes, at + 2 * _PIXELS, b * left)
    sums[0], sums[1], sums[2] = total_in_halves(red), total_in_halves(green), total_in_halves(blue)
    sums[3], sums[4], sums[5] = total_in_halves(red2), total_in_halves(green2), total_in_halves(blue2)


@njit(cache=True, nogil=True)
def add_up(sums, own, by_stroke):
    """by_stroke float32 [2 N, 3], of the starts and then of the ends, from the sums [P, 6] of each stroke's pairs, in order."""
    count = own.size - 1
    for n in range(count):
        for j in range(6):
            total = 0.0
            for p in range(own[n], own[n + 1]):
                total += sums[p, j]
            by_stroke[n + (count if j >= 3 else 0), j % 3] = total
