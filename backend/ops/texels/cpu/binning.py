"""Which tile of a texture each pixel of a strip falls into, on the CPU: the order in which threads may take them in.

Two pixels that fall on the same texel must be added in a fixed order. So the pixels are sorted into square tiles of the
texture; a tile's pixels are taken one after the other by one thread. A pixel writes at most one texel of each
level beyond its tile's edge, so tiles that share neither edge nor corner may go side by side: four phases, as the
squares of a board with 2 x 2 colours. What is sorted are runs: neighbours in a photograph's row mostly fall
into the same tile, and a run costs what a pixel would.

It knows where pixels fall, not what they show: that is accumulation.py's.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from backend.ops.kernel_threads import parallel_loop
from backend.ops.simd import njit_no_refcount, peek, poke
from backend.ops.texels.cpu.look_up import ONE

PHASES = 4
GROUPS = 64  # pieces of a phase that threads share; more than threads there will be, so that each has equal work
NOWHERE = -1
PIECE = 8192  # pixels that one thread looks at at a time


def tile_side(levels: int, gradient: bool) -> int:
    """Texels of level 0 a tile is wide: so many that tiles of one phase never write the same texel of any level.

    At the coarsest level a tile of c texels writes from -1 to c (gradient rows: a texel more), and the next one of its
    phase starts c texels further on. A power of two.
    """
    return max(64, (4 if gradient else 2) << levels)


@njit(cache=True, inline="always")
def counts(u, v, footprint, weight):
    """Whether a pixel says anything. No branch: so that many are asked at once."""
    return (weight > 0) & (weight < np.inf) & (footprint > 0) & (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)


@njit_no_refcount
def find_tiles(places, footprint, weight, size, tile, across, first, count, tiles):
    """The tile of each of `count` pixels from the first on, or NOWHERE. places: u, v, u, v ... tiles in a row: across."""
    scale, last = np.float32(size), np.float32(size - 1)
    shrink = ONE / np.float32(tile)
    for j in range(count):
        p = first + j
        u, v = peek(places, 2 * p), peek(places, 2 * p + 1)
        column = np.int32(min(u * scale, last) * shrink)
        row = np.int32(min((ONE - v) * scale, last) * shrink)
        found = np.int32(row * across + column)
        poke(tiles, j, found if counts(u, v, peek(footprint, p), peek(weight, p)) else np.int32(NOWHERE))


@njit_no_refcount
def find_runs(tiles, first, count, runs):
    """Runs of neighbours in one tile, [., 3]: tile, first pixel, length, from row `first` of `runs` on. Returns their number."""
    found = 0
    before, since = np.int32(NOWHERE), 0
    for j in range(count + 1):
        tile = peek(tiles, j) if j < count else np.int32(NOWHERE)
        if tile != before:
            if before != NOWHERE:
                at = first + found
                runs[at, 0], runs[at, 1], runs[at, 2] = before, first + since, j - since
                found += 1
            before, since = tile, j
    return found


@parallel_loop
def bin_pixels(uv, footprint, weight, size, tile, across):
    """Sort the pixels of a strip into tiles; across: tiles in a row.

    Returns where each tile's runs start [tiles + 1], runs [r, 2] (first pixel, length) sorted by tile, the tiles that have
    pixels in the order of their phases, and bounds [PHASES, GROUPS + 1] of equal work in that order.
    """
    places, found = uv.reshape(uv.size), np.empty((weight.size, 3), np.int32)
    numbers = np.zeros((weight.size + PIECE - 1) // PIECE, np.int64)
    for piece in prange(numbers.size):
        first = piece * PIECE
        own, tiles = min(PIECE, weight.size - first), np.empty(PIECE, np.int32)
        find_tiles(places, footprint, weight, size, tile, across, first, own, tiles)
        numbers[piece] = find_runs(tiles, first, own, found)
    starts, runs, pixels = sort_runs(found, numbers, across * across)
    order, bounds = schedule(pixels, across)
    return starts, runs, order, bounds


@njit(cache=True)
def sort_runs(found, numbers, tile_count):
    """The runs of all pieces by tile, each tile's in the order of its pixels; see `bin_pixels`. Also the pixels of each tile."""
    starts = np.zeros(tile_count + 1, np.int64)
    pixels = np.zeros(tile_count, np.int64)
    for piece in range(numbers.size):
        for at in range(piece * PIECE, piece * PIECE + numbers[piece]):
            starts[found[at, 0] + 1] += 1
            pixels[found[at, 0]] += found[at, 2]
    for tile in range(tile_count):
        starts[tile + 1] += starts[tile]
    runs = np.empty((starts[-1], 2), np.int32)
    filled = starts[:-1].copy()
    for piece in range(numbers.size):
        for at in range(piece * PIECE, piece * PIECE + numbers[piece]):
            place = filled[found[at, 0]]
            runs[place, 0], runs[place, 1] = found[at, 1], found[at, 2]
            filled[found[at, 0]] = place + 1
    return starts, runs, pixels


@njit(cache=True)
def schedule(pixels, across):
    """Tiles that have pixels, in the order of their phases, and bounds [PHASES, GROUPS + 1] of equal work in that order."""
    order = np.empty(np.count_nonzero(pixels), np.int64)
    bounds = np.empty((PHASES, GROUPS + 1), np.int64)
    filled = 0
    for phase in range(PHASES):
        first, work = filled, 0
        for row in range(phase // 2, across, 2):
            for column in range(phase % 2, across, 2):
                if pixels[row * across + column] > 0:
                    order[filled] = row * across + column
                    work += pixels[row * across + column]
                    filled += 1
        turn, done = first, 0
        for group in range(GROUPS):
            bounds[phase, group] = turn
            while turn < filled and done * GROUPS < work * (group + 1):
                done += pixels[order[turn]]
                turn += 1
        bounds[phase, GROUPS] = filled
    return order, bounds
