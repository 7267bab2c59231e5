"""What each stroke is worth, tile by tile on the CPU; the op is backend.ops.strokes.removal."""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.simd import load_16, multiply_add, splat_16, store, total_in_halves
from backend.ops.strokes.compositing_cpu import blend, keep_before, most_strokes, sort_strokes
from backend.ops.strokes.constants import BLOCKS, TILE
from backend.ops.strokes.tiles_cpu import EMPTY, compare_tile, cover_tile, load_labels, load_plane, load_tile, place

_PIXELS = TILE * TILE
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)


def removal_costs(strokes, canvas, target, weight):
    """float32 [N]. strokes: kernel_arrays of the compositing op; weight [H, W] or of no elements."""
    tiles, first, pair, stroke, own = sort_strokes(strokes[3], canvas.shape[0], canvas.shape[1])
    costs = np.zeros(len(pair), np.float32)
    run_in_threads(_costs_of_tiles, len(tiles), tiles, first, pair, stroke, *strokes, canvas, target, weight, costs)
    return np.array([costs[own[n] : own[n + 1]].sum(dtype=np.float64) for n in range(len(own) - 1)], np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def _costs_of_tiles(
    begin, end, tiles, first, pair, stroke, geometry, opacity, color, boxes, labels, segments, clip, softness, canvas, target,
    weight, costs,
):  # fmt: skip
    depth = most_strokes(tiles[begin:end], first)
    alphas, blocks = np.empty((depth, _PIXELS), np.float32), np.empty((depth, BLOCKS), np.uint8)
    befores, places = np.empty((depth, 3 * _PIXELS), np.float32), np.empty(_PIXELS, np.float32)
    planes, label = np.empty(3 * _PIXELS, np.float32), np.empty(_PIXELS if labels.size else 0, np.float32)
    shown, factors = np.empty(_PIXELS, np.float32), np.ones(_PIXELS, np.float32)
    across = (canvas.shape[1] + TILE - 1) // TILE
    for i in range(begin, end):
        tile = tiles[i]
        top, left, start = tile // across * TILE, tile % across * TILE, first[tile]
        load_tile(canvas, top, left, planes)
        load_labels(labels, top, left, label)
        if weight.size:
            load_plane(weight, top, left, _ZERO, factors)
        for d in range(first[tile + 1] - start):
            n = stroke[pair[start + d]]
            cover_tile(
                geometry[n], opacity[n], boxes[n], top, left, softness, segments[n] if labels.size else -_ONE, label,
                clip, False, alphas[d], places, blocks[d],
            )  # fmt: skip
            keep_before(blocks[d], planes, befores[d])
            blend(alphas[d], blocks[d], color[n], planes)
        compare_tile(target, top, left, planes)
        hide_beyond(canvas.shape, top, left, shown)
        for d in range(first[tile + 1] - start - 1, -1, -1):
            p = pair[start + d]
            costs[p] = _pair_cost(color[stroke[p]], alphas[d], blocks[d], befores[d], planes, factors, shown)


@njit(cache=True)
def hide_beyond(size, top, left, shown):
    """1 [BLOCKS, 16] where a tile's pixels are on the canvas, 0 beyond it."""
    shown[:] = _ZERO
    for y in range(min(TILE, size[0] - top)):
        for x in range(min(TILE, size[1] - left)):
            shown[place(y, x)] = _ONE


@njit(cache=True)
def _pair_cost(color, alphas, blocks, befores, errors, factors, shown):
    """By how much a stroke's removal would raise the squared error in a tile; shown becomes what shows through the stroke."""
    cost = splat_16(_ZERO)
    for block in range(BLOCKS):
        if blocks[block] == EMPTY:
            continue
        at = block * 16
        alpha, seen, factor = load_16(alphas, at), load_16(shown, at), load_16(factors, at)
        share = seen * alpha
        for channel in range(3):
            change = share * (load_16(befores, at + channel * _PIXELS) - color[channel])
            grows = change * (load_16(errors, at + channel * _PIXELS) * _TWO + change)
            cost = multiply_add(grows, factor, cost)
        store(shown, at, seen * (_ONE - alpha))
    return total_in_halves(cost)
