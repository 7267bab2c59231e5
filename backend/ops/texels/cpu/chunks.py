"""Which cells of a texture's pyramid a chunk of pixels looks at and what it shows them, on the CPU, sixteen pixels at a time.

The geometry is that of look_up.py, in its order of operations. Nothing is added up here: that is
accumulation.py's.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.simd import (
    any_at_least,
    divide,
    fetch_ahead,
    larger,
    load_16,
    multiply,
    njit_no_refcount,
    peek,
    poke,
    real,
    smaller,
    splat_16,
    splat_whole,
    store,
    subtract,
    where_at_least,
    where_positive,
    whole,
    whole_multiply_add,
)
from backend.ops.texels.constants import PLANES, TEXELS_PER_PIXEL
from backend.ops.texels.cpu.look_up import HALF, ONE, THREE, TWO, blend

CHUNK = 128  # pixels between two steps; a multiple of 16
# What is known of a chunk's pixels, CHUNK numbers of each: where it looks, the share of the coarser level, its decoded and
# its corrected color, the texture's, how much more the finer level shows, the weights of the two cells' corners
ACROSS, DOWN, WIDTH, SHARE, WEIGHT, COLOR, TARGET, MODEL, DRIFT, FINE, COARSER = 0, 1, 2, 3, 4, 5, 8, 11, 14, 17, 21
KINDS = 25
FINE_SPOT, COARSER_SPOT = 0, 2  # top left texel and side of the two cells, CHUNK of each
ZERO = np.float32(0)
LEAST = np.float32(1e-30)  # far below the least share there is, float32's step at 1


@njit_no_refcount
def gather(first, count, filled, places, footprint, weight, tint, tones, numbers):
    """Pixels first to first + count - 1 as the chunk's pixels from `filled` on."""
    for j in range(count):
        poke(numbers, ACROSS * CHUNK + filled + j, peek(places, 2 * (first + j)))
        poke(numbers, DOWN * CHUNK + filled + j, peek(places, 2 * (first + j) + 1))
    for j in range(count):
        poke(numbers, WIDTH * CHUNK + filled + j, peek(footprint, first + j))
        poke(numbers, WEIGHT * CHUNK + filled + j, peek(weight, first + j))
    red, green, blue = tones[0, 0], tones[0, 1], tones[0, 2]
    for j in range(count):
        poke(numbers, COLOR * CHUNK + filled + j, np.float32(peek(tint, 3 * (first + j))) * red)
        poke(numbers, (COLOR + 1) * CHUNK + filled + j, np.float32(peek(tint, 3 * (first + j) + 1)) * green)
        poke(numbers, (COLOR + 2) * CHUNK + filled + j, np.float32(peek(tint, 3 * (first + j) + 2)) * blue)


@njit(cache=True, inline="always")
def place_cells(numbers, spots, j, across, down, shrink, side, start, corners, spot):
    """`locate` along both axes for sixteen pixels: the weights of the cell's corners and where it lies."""
    zero, one, half, two = splat_16(ZERO), splat_16(ONE), splat_16(HALF), splat_whole(np.int32(-2))
    most = whole_multiply_add(splat_whole(np.int32(1)), side, two)
    x = larger(subtract(multiply(across, shrink), half), zero)
    y = larger(subtract(multiply(down, shrink), half), zero)
    edge = real(most)
    left, top = real(whole(smaller(x, edge))), real(whole(smaller(y, edge)))
    right, low = smaller(subtract(x, left), one), smaller(subtract(y, top), one)
    rest, up = subtract(one, right), subtract(one, low)
    store(numbers, corners * CHUNK + j, multiply(rest, up))
    store(numbers, (corners + 1) * CHUNK + j, multiply(right, up))
    store(numbers, (corners + 2) * CHUNK + j, multiply(rest, low))
    store(numbers, (corners + 3) * CHUNK + j, multiply(right, low))
    at = whole_multiply_add(whole(top), side, whole(left))
    store(spots, spot * CHUNK + j, whole_multiply_add(splat_whole(np.int32(1)), at, start))
    store(spots, (spot + 1) * CHUNK + j, side)


@njit_no_refcount
def find_cells(count, numbers, spots, table):
    """Levels and cells of a chunk's first `count` pixels, sixteen at a time. Returns whether any looks at a second level."""
    one, two, half = splat_16(ONE), splat_16(TWO), splat_16(HALF)
    size, levels = np.float32(table[0, 0]), table.shape[1] - 1
    mixed = False
    for j in range(0, count, 16):
        across = multiply(load_16(numbers, ACROSS * CHUNK + j), splat_16(size))
        down = multiply(subtract(one, load_16(numbers, DOWN * CHUNK + j)), splat_16(size))
        width = multiply(load_16(numbers, WIDTH * CHUNK + j), splat_16(np.float32(table[0, 0] * TEXELS_PER_PIXEL)))
        shrink = one
        side, start = splat_whole(np.int32(table[0, 0])), splat_whole(np.int32(0))
        coarser = min(1, levels)
        next_side, next_start = splat_whole(np.int32(table[0, coarser])), splat_whole(np.int32(table[1, coarser]))
        level = 0
        shared = one if levels > 0 else splat_16(ZERO)
        while level < levels and any_at_least(width, two):
            level += 1
            coarser = min(level + 1, levels)
            side = where_at_least(width, two, splat_whole(np.int32(table[0, level])), side)
            start = where_at_least(width, two, splat_whole(np.int32(table[1, level])), start)
            next_side = where_at_least(width, two, splat_whole(np.int32(table[0, coarser])), next_side)
            next_start = where_at_least(width, two, splat_whole(np.int32(table[1, coarser])), next_start)
            shrink = where_at_least(width, two, multiply(shrink, half), shrink)
            if level == levels:
                shared = where_at_least(width, two, splat_16(ZERO), shared)
            width = where_at_least(width, two, multiply(width, half), width)
        share = divide(subtract(multiply(width, width), one), splat_16(THREE))
        share = multiply(where_positive(share, share), shared)
        store(numbers, SHARE * CHUNK + j, share)
        place_cells(numbers, spots, j, across, down, shrink, side, start, FINE, FINE_SPOT)
        if any_at_least(share, splat_16(LEAST)):
            mixed = True
            place_cells(
                numbers, spots, j, across, down, multiply(shrink, half), next_side, next_start, COARSER, COARSER_SPOT
            )
    return mixed


@njit(cache=True, inline="always")
def ask_for_cell(cells, texture, finest, at, side, known):
    """Have a cell, and what the texture shows of it, brought near."""
    here = np.int64(at) * PLANES
    fetch_ahead(cells, here)
    fetch_ahead(cells, here + 8)
    here += np.int64(side) * PLANES
    fetch_ahead(cells, here)
    fetch_ahead(cells, here + 8)
    if known and at < finest:
        for channel in range(3):
            fetch_ahead(texture, channel * finest + at)
            fetch_ahead(texture, channel * finest + at + side)


@njit(cache=True, inline="always")
def show(texture, coarse, finest, more, numbers, spots, j, corners, spot):
    """Three channels that the texture shows the chunk's pixel j at the cell in `spot`. finest, more: texels of a plane."""
    at, side = np.int64(peek(spots, spot * CHUNK + j)), np.int64(peek(spots, (spot + 1) * CHUNK + j))
    a, b = peek(numbers, corners * CHUNK + j), peek(numbers, (corners + 1) * CHUNK + j)
    c, d = peek(numbers, (corners + 2) * CHUNK + j), peek(numbers, (corners + 3) * CHUNK + j)
    if at < finest:
        return (
            blend(texture, at, side, a, b, c, d),
            blend(texture, at + finest, side, a, b, c, d),
            blend(texture, at + 2 * finest, side, a, b, c, d),
        )
    at -= finest
    return (
        blend(coarse, at, side, a, b, c, d),
        blend(coarse, at + more, side, a, b, c, d),
        blend(coarse, at + 2 * more, side, a, b, c, d),
    )


@njit_no_refcount
def look(count, texture, coarse, finest, more, numbers, spots, mixed):
    """What the texture shows a chunk's pixels: MODEL, and DRIFT, by how much its finer level differs from the coarser."""
    for j in range(count):
        r, g, b = show(texture, coarse, finest, more, numbers, spots, j, FINE, FINE_SPOT)
        if mixed:
            x, y, z = ZERO, ZERO, ZERO
            share = peek(numbers, SHARE * CHUNK + j)
            if share > ZERO:
                x, y, z = show(texture, coarse, finest, more, numbers, spots, j, COARSER, COARSER_SPOT)
                x, y, z = r - x, g - y, b - z
            poke(numbers, DRIFT * CHUNK + j, x)
            poke(numbers, (DRIFT + 1) * CHUNK + j, y)
            poke(numbers, (DRIFT + 2) * CHUNK + j, z)
            r, g, b = r - share * x, g - share * y, b - share * z
        poke(numbers, MODEL * CHUNK + j, r)
        poke(numbers, (MODEL + 1) * CHUNK + j, g)
        poke(numbers, (MODEL + 2) * CHUNK + j, b)
