"""What a step of the colour fit needs, tile by tile on the CPU; the op is backend.ops.strokes.color_fit.

A tile is painted, compared and gathered from while it lies in the cache; alphas are the same at every step and kept where they fit.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.simd import load_16, multiply_add, splat_16, store, total_in_halves
from backend.ops.strokes.compositing_cpu import blend, most_strokes, sort_strokes
from backend.ops.strokes.constants import BLOCKS, TILE
from backend.ops.strokes.tiles_cpu import EMPTY, compare_tile, cover_tile, load_labels, load_plane, load_tile

_PIXELS = TILE * TILE
_ZERO, _ONE = np.float32(0), np.float32(1)
sort = sort_strokes  # for the op, which knows one kernel


def gather(tiles, lists, strokes, kept, known, ground, wanted, weight, sums):
    """sums float32 [P, 3]: of each pair, its share of each pixel that shows times weight times (painting on ground - wanted).

    tiles, lists and strokes: as the compositor has them. kept: alphas [P, TILE TILE] and blocks [P, BLOCKS] are filled, or read
    where they are `known`; of no elements, alphas are computed every time. ground, wanted [H, W, 3]; weight [H, W] or of no
    elements.
    """
    run_in_threads(_gather_tiles, len(tiles), tiles, *lists, *strokes, *kept, known, ground, wanted, weight, sums)


@njit(cache=True, nogil=True, error_model="numpy")
def _gather_tiles(
    begin, end, tiles, first, pair, stroke, geometry, opacity, color, boxes, labels, segments, clip, softness, kept_alphas,
    kept_blocks, known, ground, wanted, weight, sums,
):  # fmt: skip
    planes, label = np.empty(3 * _PIXELS, np.float32), np.empty(_PIXELS if labels.size else 0, np.float32)
    factors, places = np.empty(_PIXELS if weight.size else 0, np.float32), np.empty(_PIXELS, np.float32)
    keep = kept_blocks.size > 0
    depth = most_strokes(tiles[begin:end], first)
    alphas = kept_alphas if keep else np.empty((depth, _PIXELS), np.float32)
    blocks = kept_blocks if keep else np.empty((depth, BLOCKS), np.uint8)
    across = (ground.shape[1] + TILE - 1) // TILE
    for i in range(begin, end):
        tile = tiles[i]
        top, left, start = tile // across * TILE, tile % across * TILE, first[tile]
        at = start if keep else 0
        load_tile(ground, top, left, planes)
        load_labels(labels, top, left, label)
        for d in range(first[tile + 1] - start):
            n = stroke[pair[start + d]]
            if not (keep and known):
                cover_tile(
                    geometry[n], opacity[n], boxes[n], top, left, softness, segments[n] if labels.size else -_ONE,
                    label, clip, False, alphas[at + d], places, blocks[at + d],
                )  # fmt: skip
            blend(alphas[at + d], blocks[at + d], color[n], planes)
        compare_tile(wanted, top, left, planes)
        if weight.size:
            load_plane(weight, top, left, _ZERO, factors)
            for j in range(planes.size):
                planes[j] *= factors[j % _PIXELS]
        for d in range(first[tile + 1] - start - 1, -1, -1):
            _gather_pair(alphas[at + d], blocks[at + d], planes, sums[pair[start + d]])


@njit(cache=True)
def _gather_pair(alphas, blocks, planes, sums):
    """What one stroke shows of the planes, which become what shows through it."""
    red = green = blue = splat_16(_ZERO)
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
    sums[0], sums[1], sums[2] = total_in_halves(red), total_in_halves(green), total_in_halves(blue)


@njit(cache=True, nogil=True)
def add_up(sums, own, by_stroke):
    """by_stroke float32 [N, 3] from the sums [P, 3] of each stroke's pairs, in order."""
    for n in range(own.size - 1):
        for j in range(3):
            total = 0.0
            for p in range(own[n], own[n + 1]):
                total += sums[p, j]
            by_stroke[n, j] = total
