"""The normal equations of a texture from a strip of pixels, on the CPU: any number of threads, the same bytes.

Who may add to which texels when is texel_dealing_cpu's. The geometry is that of texel_sampling_cpu, the plain twin is
backend.ops.texel_stencil_plain.accumulate_plain.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from backend.kernels.lanes import (
    add,
    any_at_least,
    divide,
    fetch_ahead,
    larger,
    load_8,
    load_16,
    multiply,
    multiply_add,
    peek,
    picker,
    poke,
    real,
    smaller,
    splat_8,
    splat_16,
    splat_whole,
    square_root,
    store,
    store_turned,
    subtract,
    uncounted,
    where_at_least,
    where_positive,
    whole,
    whole_multiply_add,
)
from backend.kernels.lanes import total as sum_lanes
from backend.kernels.texel_dealing_cpu import GROUPS, PHASES, counts
from backend.kernels.texel_sampling_cpu import HALF, ONE, TEXELS_A_PIXEL, THREE, TWO, blend, locate, look_up

PLANES = 8
L2, HUBER, REDESCEND = 0, 1, 2
SUMS = 22
CHUNK = 64  # pixels between two steps of `take_tile`; a multiple of 16
SUMMED_CHUNKS = 32  # that sums in float32 take in before they go to those in float64
# What is known of a chunk's pixels, CHUNK numbers of each: where it looks, the share of the coarser level, its decoded and
# its corrected color, the texture's, how much more the finer level shows, the weights of the two cells' corners
ACROSS, DOWN, WIDTH, SHARE, WEIGHT, COLOR, TARGET, MODEL, DRIFT, FINE, COARSER = 0, 1, 2, 3, 4, 5, 8, 11, 14, 17, 21
KINDS = 25
FINE_SPOT, COARSER_SPOT = 0, 2
LEAST = np.float32(1e-30)
ZERO = np.float32(0)
SAME_SURFACE = np.float32(4)  # footprints that neighbouring pixels of one surface may be apart, by the larger axis


@njit(cache=True, inline="always")
def robust_weight(squared, loss, threshold):
    """The factor on a pixel's weight for the squared length of its residual."""
    if loss == L2:
        return ONE
    if loss == HUBER:
        return ONE if squared <= threshold * threshold else threshold / math.sqrt(squared)
    kept = ONE / (ONE + squared / (threshold * threshold))
    return kept * kept


# A row's number of a texel's eight from (a, b, c, d, nothing, red, green, blue): its couplings, each other corner once
of_right_texel = picker(1, 8, 3, 8, 2, 5, 6, 7)
of_lower_texel = picker(2, 3, 8, 8, 8, 5, 6, 7)
of_last_texel = picker(3, 8, 8, 8, 8, 5, 6, 7)


@njit(cache=True, inline="always")
def add_row(cells, at, side, a, b, c, d, row, j):
    """w (A T0 + B T1 + C T2 + D T3 - color)² on the cell whose top left texel is `at` in `cells` [8 N]; a = w A, b = w B ...

    row: from 8 j on A, B, C, D, 0 and three channels of the color.
    """
    corners = load_8(row, 8 * j)
    here = np.int64(at) * PLANES
    store(cells, here, multiply_add(splat_8(a), corners, load_8(cells, here)))
    store(cells, here + 8, multiply_add(splat_8(b), of_right_texel(corners), load_8(cells, here + 8)))
    here += np.int64(side) * PLANES
    store(cells, here, multiply_add(splat_8(c), of_lower_texel(corners), load_8(cells, here)))
    store(cells, here + 8, multiply_add(splat_8(d), of_last_texel(corners), load_8(cells, here + 8)))


@uncounted
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


@uncounted
def find_cells(numbers, spots, table):
    """Levels and cells of a chunk's pixels, sixteen at a time. Returns whether any of them looks at a second level."""
    one, two, half = splat_16(ONE), splat_16(TWO), splat_16(HALF)
    size, levels = np.float32(table[0, 0]), table.shape[1] - 1
    mixed = False
    for j in range(0, CHUNK, 16):
        across = multiply(load_16(numbers, ACROSS * CHUNK + j), splat_16(size))
        down = multiply(subtract(one, load_16(numbers, DOWN * CHUNK + j)), splat_16(size))
        width = multiply(load_16(numbers, WIDTH * CHUNK + j), splat_16(np.float32(table[0, 0] * TEXELS_A_PIXEL)))
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


@uncounted
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


@uncounted
def weigh(numbers, tones, loss, threshold, sums):
    """Residuals and robust weights of the pixels in `numbers`, sixteen at a time, and their sums [22 * 16], lane by lane.

    Weight 0: no pixel. The targets, corrected colours, go to TARGET.
    """
    one, knee, sharp = splat_16(ONE), splat_16(threshold), splat_16(ONE / (threshold * threshold))
    for j in range(0, CHUNK, 16):
        base = load_16(numbers, WEIGHT * CHUNK + j)
        squared = splat_16(ZERO)
        for channel in range(3):
            color = load_16(numbers, (COLOR + channel) * CHUNK + j)
            model = load_16(numbers, (MODEL + channel) * CHUNK + j)
            target = multiply_add(color, splat_16(tones[1, channel]), splat_16(tones[2, channel]))
            store(numbers, (TARGET + channel) * CHUNK + j, target)
            error = where_positive(base, subtract(target, model))
            own = multiply(error, error)
            add_up(sums, 19 + channel, own)
            squared = multiply_add(one, own, squared)
        length = square_root(squared)
        if loss == HUBER:
            base = multiply(base, divide(knee, larger(length, knee)))
        elif loss == REDESCEND:
            kept = divide(one, multiply_add(squared, sharp, one))
            base = multiply(base, multiply(kept, kept))
        store(numbers, WEIGHT * CHUNK + j, base)
        add_up(sums, 1, base)
        add_up(sums, 2, multiply(base, squared))
        add_up(sums, 3, length)
        for channel in range(3):
            color = load_16(numbers, (COLOR + channel) * CHUNK + j)
            model = load_16(numbers, (MODEL + channel) * CHUNK + j)
            weighted, colored = multiply(base, model), multiply(base, color)
            add_up(sums, 4 + channel, weighted)
            add_up(sums, 7 + channel, colored)
            add_up(sums, 10 + channel, multiply(weighted, model))
            add_up(sums, 13 + channel, multiply(weighted, color))
            add_up(sums, 16 + channel, multiply(colored, color))


@njit(cache=True, inline="always")
def add_up(sums, number, lanes):
    store(sums, 16 * number, add(lanes, load_16(sums, 16 * number)))


@uncounted
def empty_sums(lanes, sums):
    """Add sums in lanes [22 * 16] to sums [22] float64, and forget them."""
    for number in range(1, SUMS):
        sums[number] += sum_lanes(load_16(lanes, 16 * number))
        store(lanes, 16 * number, splat_16(ZERO))


@njit(cache=True, inline="always")
def write_rows(numbers, row, j, corners, shift):
    """Rows as `add_row` takes them, of eight pixels. shift: how much of DRIFT their targets lie above the pixel's."""
    red = multiply_add(shift, load_8(numbers, DRIFT * CHUNK + j), load_8(numbers, TARGET * CHUNK + j))
    green = multiply_add(shift, load_8(numbers, (DRIFT + 1) * CHUNK + j), load_8(numbers, (TARGET + 1) * CHUNK + j))
    blue = multiply_add(shift, load_8(numbers, (DRIFT + 2) * CHUNK + j), load_8(numbers, (TARGET + 2) * CHUNK + j))
    store_turned(
        row,
        8 * j,
        load_8(numbers, corners * CHUNK + j),
        load_8(numbers, (corners + 1) * CHUNK + j),
        load_8(numbers, (corners + 2) * CHUNK + j),
        load_8(numbers, (corners + 3) * CHUNK + j),
        splat_8(ZERO),
        red,
        green,
        blue,
    )


@njit(cache=True, inline="always")
def weigh_corners(numbers, j, corners, factor):
    """Sixteen pixels' corners times their weights."""
    for corner in range(corners, corners + 4):
        store(numbers, corner * CHUNK + j, multiply(factor, load_16(numbers, corner * CHUNK + j)))


@uncounted
def add_rows(cells, count, numbers, spots, row, mixed):
    """The rows of a chunk's first `count` pixels, one for each level a pixel looks at."""
    one = splat_16(ONE)
    for j in range(0, CHUNK, 8):
        write_rows(numbers, row, j, FINE, load_8(numbers, SHARE * CHUNK + j))
    for j in range(0, CHUNK, 16):
        base = load_16(numbers, WEIGHT * CHUNK + j)
        weigh_corners(numbers, j, FINE, multiply(base, subtract(one, load_16(numbers, SHARE * CHUNK + j))))
    for j in range(count):
        add_row(
            cells,
            peek(spots, FINE_SPOT * CHUNK + j),
            peek(spots, (FINE_SPOT + 1) * CHUNK + j),
            peek(numbers, FINE * CHUNK + j),
            peek(numbers, (FINE + 1) * CHUNK + j),
            peek(numbers, (FINE + 2) * CHUNK + j),
            peek(numbers, (FINE + 3) * CHUNK + j),
            row,
            j,
        )
    if not mixed:
        return
    for j in range(0, CHUNK, 8):
        write_rows(
            numbers, row, j, COARSER, multiply_add(splat_8(ONE), load_8(numbers, SHARE * CHUNK + j), splat_8(-ONE))
        )
    for j in range(0, CHUNK, 16):
        base = load_16(numbers, WEIGHT * CHUNK + j)
        weigh_corners(numbers, j, COARSER, multiply(base, load_16(numbers, SHARE * CHUNK + j)))
    for j in range(count):
        if peek(numbers, SHARE * CHUNK + j) > ZERO:
            add_row(
                cells,
                peek(spots, COARSER_SPOT * CHUNK + j),
                peek(spots, (COARSER_SPOT + 1) * CHUNK + j),
                peek(numbers, COARSER * CHUNK + j),
                peek(numbers, (COARSER + 1) * CHUNK + j),
                peek(numbers, (COARSER + 2) * CHUNK + j),
                peek(numbers, (COARSER + 3) * CHUNK + j),
                row,
                j,
            )


@uncounted
def take_chunk(
    cells, filled, table, texture, coarse, finest, more, tones, loss, threshold, solve, lanes, scratch, shown
):
    """The pixels that were gathered, step by step; see `take_tile`."""
    numbers, row, spots, origins = scratch
    for j in range(filled, CHUNK):
        poke(numbers, WEIGHT * CHUNK + j, ZERO)
    mixed = find_cells(numbers, spots, table)
    known = texture.size > 3
    if solve or known:
        for j in range(filled):
            ask_for_cell(
                cells,
                texture,
                finest,
                peek(spots, FINE_SPOT * CHUNK + j),
                peek(spots, (FINE_SPOT + 1) * CHUNK + j),
                known,
            )
    if known:
        look(filled, texture, coarse, finest, more, numbers, spots, mixed)
        if shown.size > 0:
            for j in range(filled):
                p = 3 * np.int64(peek(origins, j))
                for channel in range(3):
                    poke(shown, p + channel, peek(numbers, (MODEL + channel) * CHUNK + j))
    weigh(numbers, tones, loss, threshold, lanes)
    if solve:
        add_rows(cells, filled, numbers, spots, row, mixed)


@uncounted
def take_tile(
    cells, table, texture, coarse, finest, more, places, footprint, weight, tint, tones, loss, threshold, solve, runs, sums,
    lanes, scratch, shown,
):  # fmt: skip
    """All pixels of one tile's runs. tones [3, 3]: decoding, gain, offset. sums [22] is added to.

    CHUNK pixels at a time, in steps, so that no step waits for another's slow instructions or for memory: which cells they
    look at, what the texture shows there, their weights, their rows. scratch: numbers, what is known of each pixel, CHUNK of
    each kind together; rows as `add_row` takes them; spots, the top left texels and sides of both cells; the pixels' own
    numbers. places, tint: uv, color, flat.
    """
    numbers, origins = scratch[0], scratch[3]
    filled, chunks = 0, 0
    for run in range(runs.shape[0]):
        first, left = np.int64(runs[run, 0]), np.int64(runs[run, 1])
        sums[0] += left
        while left > 0:
            count = min(left, CHUNK - filled)
            gather(first, count, filled, places, footprint, weight, tint, tones, numbers)
            if shown.size > 0:
                for j in range(count):
                    poke(origins, filled + j, np.int32(first + j))
            first += count
            left -= count
            filled += count
            if filled == CHUNK:
                take_chunk(
                    cells,
                    filled,
                    table,
                    texture,
                    coarse,
                    finest,
                    more,
                    tones,
                    loss,
                    threshold,
                    solve,
                    lanes,
                    scratch,
                    shown,
                )
                filled = 0
                chunks += 1
                if chunks == SUMMED_CHUNKS:
                    empty_sums(lanes, sums)
                    chunks = 0
    if filled > 0:
        take_chunk(
            cells, filled, table, texture, coarse, finest, more, tones, loss, threshold, solve, lanes, scratch, shown
        )
    empty_sums(lanes, sums)


@njit(cache=True, inline="always")
def take_difference(
    cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, strength, p, q, scratch
):
    """The gradient row of the neighbours p and q; see backend.ops.texel_stencil. Nothing where a fold lies between them."""
    texels = np.float32(table[0, 0])
    x0, y0 = uv[p, 0] * texels, (ONE - uv[p, 1]) * texels
    x1, y1 = uv[q, 0] * texels, (ONE - uv[q, 1]) * texels
    distance = max(abs(x1 - x0), abs(y1 - y0))
    if distance > SAME_SURFACE * max(footprint[p], footprint[q]) * texels:
        return
    level, shrink = 0, ONE
    while shrink * distance > ONE and level < table.shape[1] - 1:
        level += 1
        shrink *= HALF
    if shrink * distance > TWO:
        return
    side = table[0, level]
    column, right = locate((x0 + x1) * HALF, side, shrink)
    row, low = locate((y0 + y1) * HALF, side, shrink)
    dx, dy = (x1 - x0) * shrink, (y1 - y0) * shrink
    left, up = ONE - right, ONE - low
    a, b, c, d = -up * dx - left * dy, up * dx - right * dy, left * dy - low * dx, low * dx + right * dy
    at = row * side + column
    red = (np.float32(color[q, 0]) - np.float32(color[p, 0])) * tones[0, 0] * tones[1, 0]
    green = (np.float32(color[q, 1]) - np.float32(color[p, 1])) * tones[0, 1] * tones[1, 1]
    blue = (np.float32(color[q, 2]) - np.float32(color[p, 2])) * tones[0, 2] * tones[1, 2]
    w = strength * min(weight[p], weight[q])
    if loss != L2:
        start = table[1, level] - table[0, 0] * table[0, 0]
        r, g, v = look_up(texture, coarse, level, start, side, at, a, b, c, d)
        w *= robust_weight((red - r) ** 2 + (green - g) ** 2 + (blue - v) ** 2, loss, threshold)
    for place, value in enumerate((a, b, c, d, ZERO, red, green, blue)):
        poke(scratch, place, value)
    add_row(cells, table[1, level] + at, side, w * a, w * b, w * c, w * d, scratch, 0)


@uncounted
def take_gradients(cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, strength, width,
                   runs, scratch):  # fmt: skip
    """The gradient rows of all pixels of one tile's runs with their right and lower neighbours. width: of the strip."""
    count = weight.size
    for run in range(runs.shape[0]):
        first = np.int64(runs[run, 0])
        for p in range(first, first + runs[run, 1]):
            for step in range(2):
                q = p + width if step else p + 1
                if q >= count or (step == 0 and q % width == 0):
                    continue
                if not counts(uv[q, 0], uv[q, 1], footprint[q], weight[q]):
                    continue
                take_difference(
                    cells,
                    table,
                    texture,
                    coarse,
                    uv,
                    footprint,
                    weight,
                    color,
                    tones,
                    loss,
                    threshold,
                    strength,
                    p,
                    q,
                    scratch,
                )


@njit(cache=True, parallel=True)
def accumulate(cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, solve, gradient, width,
               starts, runs, order, bounds, shown):  # fmt: skip
    """Add the pixels of a strip to `cells`, and return their sums [22] float64.

    texture [3, S*S] and coarse [3, N] are the present texture's pyramid, or [3, 1] for none. tones [3, 3]: decoding, gain,
    offset. gradient: the weight of gradient rows, width: of the strip in pixels. starts, runs, order and bounds are from
    `texel_dealing_cpu.deal`. shown: [3 n], what the texture shows at each pixel that counts is written
    there, or [0].
    """
    sums = np.zeros((order.size, SUMS))
    places, tint = uv.reshape(-1), color.reshape(-1)
    flat, flat_coarse, finest, more = texture.reshape(-1), coarse.reshape(-1), texture.shape[1], coarse.shape[1]
    for phase in range(PHASES):
        for group in prange(GROUPS):
            first, last = bounds[phase, group], bounds[phase, group + 1]
            row, lanes = np.zeros(8 * CHUNK, np.float32), np.zeros(SUMS * 16, np.float32)
            spots = (np.zeros(4 * CHUNK, np.int32), np.zeros(CHUNK, np.int32))
            scratch = (np.zeros(KINDS * CHUNK, np.float32), row, spots[0], spots[1])
            for turn in range(first, last):
                own = runs[starts[order[turn]] : starts[order[turn] + 1]]
                take_tile(
                    cells, table, flat, flat_coarse, finest, more, places, footprint, weight, tint, tones, loss, threshold,
                    solve, own, sums[turn], lanes, scratch, shown,
                )  # fmt: skip
                if gradient > 0:
                    take_gradients(
                        cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, gradient, width,
                        own, row,
                    )  # fmt: skip
    total = np.zeros(SUMS)
    for turn in range(order.size):
        total += sums[turn]
    return total
