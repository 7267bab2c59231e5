"""The normal equations of a texture from a strip of pixels, on the CPU: any number of threads, the same bytes.

Who may add to which texels when is texel_dealing_cpu's. The geometry is that of texel_sampling_cpu, the plain twin is
backend.ops.texel_stencil_plain.accumulate_plain.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from backend.kernels.lanes import (
    divide,
    larger,
    load_8,
    load_16,
    multiply,
    multiply_add,
    peek,
    picker,
    poke,
    splat_8,
    splat_16,
    square_root,
    store,
    uncounted,
    where_positive,
)
from backend.kernels.lanes import total as sum_lanes
from backend.kernels.texel_dealing_cpu import GROUPS, PHASES, counts
from backend.kernels.texel_sampling_cpu import HALF, ONE, TEXELS_A_PIXEL, TWO, choose_level, locate, look_up

PLANES = 8
L2, HUBER, REDESCEND = 0, 1, 2
SUMS = 22
CHUNK = 64  # pixels between two steps of `take_tile`; a multiple of 16
SHARE, WEIGHT, COLOR, MODEL, KINDS = 0, 1, 2, 5, 8
ZERO = np.float32(0)
SHRINK = 0.5 ** np.arange(32, dtype=np.float32)
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
def add_row(cells, at, side, w, row, j):
    """w (a T0 + b T1 + c T2 + d T3 - color)² on the cell whose top left texel is `at` in `cells` [8 N].

    row: from 8 j on a, b, c, d, 0 and three channels of the color.
    """
    corners = load_8(row, 8 * j)
    here = at * PLANES
    share = splat_8(w * peek(row, 8 * j))
    store(cells, here, multiply_add(share, corners, load_8(cells, here)))
    share = splat_8(w * peek(row, 8 * j + 1))
    store(cells, here + 8, multiply_add(share, of_right_texel(corners), load_8(cells, here + 8)))
    here += side * PLANES
    share = splat_8(w * peek(row, 8 * j + 2))
    store(cells, here, multiply_add(share, of_lower_texel(corners), load_8(cells, here)))
    share = splat_8(w * peek(row, 8 * j + 3))
    store(cells, here + 8, multiply_add(share, of_last_texel(corners), load_8(cells, here + 8)))


@njit(cache=True, inline="always")
def write_row(row, j, a, b, c, d, red, green, blue):
    """A row as `add_row` takes it."""
    poke(row, 8 * j, a)
    poke(row, 8 * j + 1, b)
    poke(row, 8 * j + 2, c)
    poke(row, 8 * j + 3, d)
    poke(row, 8 * j + 5, red)
    poke(row, 8 * j + 6, green)
    poke(row, 8 * j + 7, blue)


@njit(cache=True, inline="always")
def look_at(
    p, j, table, texture, coarse, places, footprint, weight, tint, tones, known, numbers, fine, coarser, spots, shown
):
    """What pixel p sees, as pixel j of a chunk: see `take_tile`."""
    size, levels = table[0, 0], table.shape[1] - 1
    finest = size * size
    texels = np.float32(size)
    across, down = peek(places, 2 * p) * texels, (ONE - peek(places, 2 * p + 1)) * texels
    level, share = choose_level(peek(footprint, p), np.float32(size * TEXELS_A_PIXEL), levels)
    cr = np.float32(peek(tint, 3 * p)) * tones[0, 0]
    cg = np.float32(peek(tint, 3 * p + 1)) * tones[0, 1]
    cb = np.float32(peek(tint, 3 * p + 2)) * tones[0, 2]
    red, green, blue = cr * tones[1, 0] + tones[2, 0], cg * tones[1, 1] + tones[2, 1], cb * tones[1, 2] + tones[2, 2]
    side, start = table[0, level], table[1, level]
    column, right = locate(across, side, SHRINK[level])
    row, low = locate(down, side, SHRINK[level])
    left, up = ONE - right, ONE - low
    a, b, c, d = left * up, right * up, left * low, right * low
    at = row * side + column
    poke(spots, j, start + at)
    poke(spots, CHUNK + j, side)
    mr, mg, mb = ZERO, ZERO, ZERO
    if known:
        mr, mg, mb = look_up(texture, coarse, level, start - finest, side, at, a, b, c, d)
    dr, dg, db = ZERO, ZERO, ZERO
    if share > ZERO:
        side, start = table[0, level + 1], table[1, level + 1]
        column, right = locate(across, side, SHRINK[level + 1])
        row, low = locate(down, side, SHRINK[level + 1])
        left, up = ONE - right, ONE - low
        e, f, g, h = left * up, right * up, left * low, right * low
        at = row * side + column
        poke(spots, 2 * CHUNK + j, start + at)
        poke(spots, 3 * CHUNK + j, side)
        if known:
            r1, g1, b1 = look_up(texture, coarse, level + 1, start - finest, side, at, e, f, g, h)
            dr, dg, db = mr - r1, mg - g1, mb - b1
        keep = ONE - share
        write_row(coarser, j, e, f, g, h, red - keep * dr, green - keep * dg, blue - keep * db)
    dr, dg, db = share * dr, share * dg, share * db
    write_row(fine, j, a, b, c, d, red + dr, green + dg, blue + db)
    poke(numbers, SHARE * CHUNK + j, share)
    poke(numbers, WEIGHT * CHUNK + j, peek(weight, p))
    poke(numbers, COLOR * CHUNK + j, cr)
    poke(numbers, (COLOR + 1) * CHUNK + j, cg)
    poke(numbers, (COLOR + 2) * CHUNK + j, cb)
    poke(numbers, MODEL * CHUNK + j, mr - dr)
    poke(numbers, (MODEL + 1) * CHUNK + j, mg - dg)
    poke(numbers, (MODEL + 2) * CHUNK + j, mb - db)
    if shown.size > 0:
        poke(shown, 3 * p, mr - dr)
        poke(shown, 3 * p + 1, mg - dg)
        poke(shown, 3 * p + 2, mb - db)


@uncounted
def weigh(numbers, tones, loss, threshold, sums):
    """Residuals, robust weights and sums of the pixels in `numbers`, sixteen at a time. Weight 0: no pixel."""
    one, knee, sharp = splat_16(ONE), splat_16(threshold), splat_16(ONE / (threshold * threshold))
    for j in range(0, CHUNK, 16):
        base = load_16(numbers, WEIGHT * CHUNK + j)
        squared = splat_16(ZERO)
        for channel in range(3):
            color = load_16(numbers, (COLOR + channel) * CHUNK + j)
            model = load_16(numbers, (MODEL + channel) * CHUNK + j)
            error = multiply_add(color, splat_16(tones[1, channel]), splat_16(tones[2, channel]))
            error = where_positive(base, multiply_add(splat_16(-ONE), model, error))
            own = multiply(error, error)
            sums[19 + channel] += sum_lanes(own)
            squared = multiply_add(one, own, squared)
        length = square_root(squared)
        if loss == HUBER:
            base = multiply(base, divide(knee, larger(length, knee)))
        elif loss == REDESCEND:
            kept = divide(one, multiply_add(squared, sharp, one))
            base = multiply(base, multiply(kept, kept))
        store(numbers, WEIGHT * CHUNK + j, base)
        sums[1] += sum_lanes(base)
        sums[2] += sum_lanes(multiply(base, squared))
        sums[3] += sum_lanes(length)
        for channel in range(3):
            color = load_16(numbers, (COLOR + channel) * CHUNK + j)
            model = load_16(numbers, (MODEL + channel) * CHUNK + j)
            weighted, colored = multiply(base, model), multiply(base, color)
            sums[4 + channel] += sum_lanes(weighted)
            sums[7 + channel] += sum_lanes(colored)
            sums[10 + channel] += sum_lanes(multiply(weighted, model))
            sums[13 + channel] += sum_lanes(multiply(weighted, color))
            sums[16 + channel] += sum_lanes(multiply(colored, color))


@uncounted
def add_rows(cells, count, numbers, fine, coarser, spots):
    """The rows of a chunk's first `count` pixels, one for each level a pixel looks at."""
    for j in range(count):
        share, w = peek(numbers, SHARE * CHUNK + j), peek(numbers, WEIGHT * CHUNK + j)
        add_row(cells, peek(spots, j), peek(spots, CHUNK + j), w * (ONE - share), fine, j)
        if share > ZERO:
            add_row(cells, peek(spots, 2 * CHUNK + j), peek(spots, 3 * CHUNK + j), w * share, coarser, j)


@uncounted
def take_tile(
    cells, table, texture, coarse, places, footprint, weight, tint, tones, loss, threshold, solve, runs, sums, scratch,
    shown,
):  # fmt: skip
    """All pixels of one tile's runs. tones [3, 3]: decoding, gain, offset. sums [22] is added to.

    CHUNK pixels at a time, in three steps, so that no step waits for another's slow instructions (a processor looks ahead
    over one or two whole pixels only): what they see, their weights, their rows. numbers: for each pixel SHARE (of the
    coarser level), WEIGHT, from COLOR on its decoded colour, from MODEL on the texture's, CHUNK pixels of each together.
    fine, coarser: the rows of its two levels. spots: their top left texels and sides: `scratch`. places, tint: uv, color, flat.
    """
    numbers, fine, coarser, spots = scratch
    known = texture.shape[1] > 1
    filled, left = 0, 0
    for run in range(runs.shape[0]):
        left += runs[run, 1]
    sums[0] += left
    for run in range(runs.shape[0]):
        first = np.int64(runs[run, 0])
        for p in range(first, first + runs[run, 1]):
            look_at(
                p,
                filled,
                table,
                texture,
                coarse,
                places,
                footprint,
                weight,
                tint,
                tones,
                known,
                numbers,
                fine,
                coarser,
                spots,
                shown,
            )
            filled += 1
            left -= 1
            if filled == CHUNK or left == 0:
                for j in range(filled, CHUNK):
                    poke(numbers, WEIGHT * CHUNK + j, ZERO)
                weigh(numbers, tones, loss, threshold, sums)
                if solve:
                    add_rows(cells, filled, numbers, fine, coarser, spots)
                filled = 0


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
    write_row(scratch, 0, a, b, c, d, red, green, blue)
    add_row(cells, table[1, level] + at, side, w, scratch, 0)


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
    for phase in range(PHASES):
        for group in prange(GROUPS):
            first, last = bounds[phase, group], bounds[phase, group + 1]
            fine, coarser = np.zeros(8 * CHUNK, np.float32), np.zeros(8 * CHUNK, np.float32)
            scratch = (np.zeros(KINDS * CHUNK, np.float32), fine, coarser, np.zeros(4 * CHUNK, np.int64))
            for turn in range(first, last):
                own = runs[starts[order[turn]] : starts[order[turn] + 1]]
                take_tile(
                    cells, table, texture, coarse, places, footprint, weight, tint, tones, loss, threshold, solve, own,
                    sums[turn], scratch, shown,
                )  # fmt: skip
                if gradient > 0:
                    take_gradients(
                        cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, gradient, width,
                        own, fine,
                    )  # fmt: skip
                    fine[:] = ZERO
    total = np.zeros(SUMS)
    for turn in range(order.size):
        total += sums[turn]
    return total
