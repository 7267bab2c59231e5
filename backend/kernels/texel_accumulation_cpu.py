"""The normal equations of a texture from a strip of pixels, on the CPU: any number of threads, the same bytes.

Two pixels that fall on the same texel must be added in a fixed order. So the pixels are dealt out to square tiles of the
texture; a tile's pixels are taken one after the other by one thread. A pixel writes at most one texel of each
level beyond its tile's edge, so tiles that share neither edge nor corner may go side by side: four phases, as the
squares of a board with 2 x 2 colours. What is dealt out are runs: neighbours in a photograph's row mostly fall
into the same tile, and a run costs what a pixel would.

The geometry is that of texel_sampling_cpu, the plain twin is backend.ops.texel_stencil.accumulate_plain.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from backend.kernels.lanes import load_8, multiply_add, pack_8, splat_8, store
from backend.kernels.texel_sampling_cpu import HALF, ONE, TEXELS_A_PIXEL, TWO, choose_level, locate, look_up

PLANES = 8
L2, HUBER, REDESCEND = 0, 1, 2
SUMS = 22
PHASES = 4
GROUPS = 64  # pieces of a phase that threads share; more than threads there will be, so that each has equal work
MOST_PHOTOGRAPHS = 65535
NOWHERE = -1
SAME_SURFACE = np.float32(4)  # footprints that neighbouring pixels of one surface may be apart, by the larger axis


def tile_side(levels: int, gradient: bool) -> int:
    """Texels of level 0 a tile is wide: so many that tiles of one phase never write the same texel of any level.

    At the coarsest level a tile of c texels writes from -1 to c (gradient rows: a texel more), and the next one of its
    phase starts c texels further on.
    """
    return max(64, (4 if gradient else 2) << levels)


@njit(cache=True, parallel=True)
def assign_tiles(uv, footprint, weight, size, tile, across):
    """The tile of every pixel, int32 [n]; NOWHERE for pixels that say nothing. across: tiles in a row."""
    count = uv.shape[0]
    tiles = np.empty(count, np.int32)
    scale = np.float32(size)
    for p in prange(count):
        u, v, w = uv[p, 0], uv[p, 1], weight[p]
        if not (w > 0 and w < np.inf and footprint[p] > 0 and u >= 0 and u <= 1 and v >= 0 and v <= 1):
            tiles[p] = NOWHERE
            continue
        column = min(np.int32(u * scale), np.int32(size - 1)) // tile
        row = min(np.int32((ONE - v) * scale), np.int32(size - 1)) // tile
        tiles[p] = row * across + column
    return tiles


@njit(cache=True)
def deal_runs(tiles, tile_count):
    """Runs of neighbours in one tile, sorted by tile: where each tile's runs start [tiles + 1], runs [r, 2] (first pixel,
    length), and pixels of each tile [tiles].
    """
    starts = np.zeros(tile_count + 1, np.int64)
    pixels = np.zeros(tile_count, np.int64)
    before = np.int32(NOWHERE)
    for tile in tiles:
        if tile != NOWHERE:
            pixels[tile] += 1
            if tile != before:
                starts[tile + 1] += 1
        before = tile
    for tile in range(tile_count):
        starts[tile + 1] += starts[tile]
    runs = np.empty((starts[-1], 2), np.int32)
    filled = starts[:-1].copy()
    p, count = 0, tiles.size
    while p < count:
        first, tile = p, tiles[p]
        while p < count and tiles[p] == tile:
            p += 1
        if tile != NOWHERE:
            runs[filled[tile], 0], runs[filled[tile], 1] = first, p - first
            filled[tile] += 1
    return starts, runs, pixels


def schedule(pixels: np.ndarray, across: int) -> tuple[np.ndarray, np.ndarray]:
    """Tiles that have pixels, in the order of their phases, and bounds [PHASES, GROUPS + 1] of equal work in that order."""
    present = np.flatnonzero(pixels)
    phase = (present // across % 2) * 2 + present % across % 2
    order = present[np.argsort(phase, kind="stable")]
    ends = np.cumsum(np.bincount(phase, minlength=PHASES))
    bounds = np.empty((PHASES, GROUPS + 1), np.int64)
    for number, (start, end) in enumerate(zip((0, *ends[:-1]), ends)):
        work = np.cumsum(pixels[order[start:end]])
        total = work[-1] if work.size else 0
        cuts = np.searchsorted(work, total * np.arange(1, GROUPS) / GROUPS, side="left")
        bounds[number] = start + np.concatenate(([0], cuts, [end - start]))
    return order, bounds


@njit(cache=True, inline="always")
def robust_weight(squared, loss, threshold):
    """The factor on a pixel's weight for the squared length of its residual."""
    if loss == L2:
        return ONE
    if loss == HUBER:
        return ONE if squared <= threshold * threshold else threshold / math.sqrt(squared)
    kept = ONE / (ONE + squared / (threshold * threshold))
    return kept * kept


@njit(cache=True, inline="always")
def add_row(cells, at, side, w, a, b, c, d, red, green, blue):
    """w (a T0 + b T1 + c T2 + d T3 - color)² on the cell whose top left texel is `at` in `cells` [8 N]."""
    wa, wb, wc, wd = w * a, w * b, w * c, w * d
    zero = np.float32(0)
    here = at * PLANES
    own = pack_8(a, b, c, d, zero, red, green, blue)
    store(cells, here, multiply_add(splat_8(wa), own, load_8(cells, here)))
    own = pack_8(b, zero, d, zero, c, red, green, blue)
    store(cells, here + 8, multiply_add(splat_8(wb), own, load_8(cells, here + 8)))
    here += side * PLANES
    own = pack_8(c, d, zero, zero, zero, red, green, blue)
    store(cells, here, multiply_add(splat_8(wc), own, load_8(cells, here)))
    own = pack_8(d, zero, zero, zero, zero, red, green, blue)
    store(cells, here + 8, multiply_add(splat_8(wd), own, load_8(cells, here + 8)))


@njit(cache=True)
def take_tile(cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, solve, runs, sums):
    """All pixels of one tile's runs. tones [3, 3]: decoding, gain, offset. sums [22] is added to."""
    size, levels = table[0, 0], table.shape[1] - 1
    texels, finest = np.float32(size), size * size
    scale = np.float32(size * TEXELS_A_PIXEL)
    known = texture.shape[1] > 1
    zero = np.float32(0)
    count, squared_sum, length_sum, weight_sum = 0, 0.0, 0.0, 0.0
    for run in range(runs.shape[0]):
        first = np.int64(runs[run, 0])
        for p in range(first, first + runs[run, 1]):
            across, down = uv[p, 0] * texels, (ONE - uv[p, 1]) * texels
            level, share = choose_level(footprint[p], scale, levels)
            fine_side = table[0, level]
            shrink = np.float32(1.0 / (1 << level))
            column, right = locate(across, fine_side, shrink)
            row, low = locate(down, fine_side, shrink)
            left, up = ONE - right, ONE - low
            a, b, c, d = left * up, right * up, left * low, right * low
            fine_at = row * fine_side + column
            mixed = share > zero
            r0, g0, b0 = zero, zero, zero
            r1, g1, b1 = zero, zero, zero
            e, f, g, h = zero, zero, zero, zero
            coarse_side, coarse_at = fine_side, fine_at
            if known:
                r0, g0, b0 = look_up(texture, coarse, level, table[1, level] - finest, fine_side, fine_at, a, b, c, d)
            if mixed:
                coarse_side = table[0, level + 1]
                shrink = np.float32(0.5) * shrink
                column, right = locate(across, coarse_side, shrink)
                row, low = locate(down, coarse_side, shrink)
                left, up = ONE - right, ONE - low
                e, f, g, h = left * up, right * up, left * low, right * low
                coarse_at = row * coarse_side + column
                if known:
                    r1, g1, b1 = look_up(
                        texture, coarse, level + 1, table[1, level + 1] - finest, coarse_side, coarse_at, e, f, g, h
                    )
            keep = ONE - share
            mr, mg, mb = keep * r0 + share * r1, keep * g0 + share * g1, keep * b0 + share * b1
            cr = np.float32(color[p, 0]) * tones[0, 0]
            cg = np.float32(color[p, 1]) * tones[0, 1]
            cb = np.float32(color[p, 2]) * tones[0, 2]
            red = cr * tones[1, 0] + tones[2, 0]
            green = cg * tones[1, 1] + tones[2, 1]
            blue = cb * tones[1, 2] + tones[2, 2]
            er, eg, eb = red - mr, green - mg, blue - mb
            squared = er * er + eg * eg + eb * eb
            w = weight[p] * robust_weight(squared, loss, threshold)
            if solve:
                add_row(cells, table[1, level] + fine_at, fine_side, w * keep, a, b, c, d, er + r0, eg + g0, eb + b0)
                if mixed:
                    at = table[1, level + 1] + coarse_at
                    add_row(cells, at, coarse_side, w * share, e, f, g, h, er + r1, eg + g1, eb + b1)
            count += 1
            weight_sum += w
            squared_sum += w * squared
            length_sum += math.sqrt(squared)
            add_sums(sums, w, mr, cr, er, 0)
            add_sums(sums, w, mg, cg, eg, 1)
            add_sums(sums, w, mb, cb, eb, 2)
    sums[0] += count
    sums[1] += weight_sum
    sums[2] += squared_sum
    sums[3] += length_sum


@njit(cache=True, inline="always")
def add_sums(sums, w, m, c, residual, channel):
    """One pixel's part of one channel's sums."""
    wm, wc = w * m, w * c
    sums[4 + channel] += wm
    sums[7 + channel] += wc
    sums[10 + channel] += wm * m
    sums[13 + channel] += wm * c
    sums[16 + channel] += wc * c
    sums[19 + channel] += residual * residual


@njit(cache=True, inline="always")
def take_difference(
    cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, strength, p, q
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
    add_row(cells, table[1, level] + at, side, w, a, b, c, d, red, green, blue)


@njit(cache=True)
def take_gradients(cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, strength, width, tiles,
                   runs):  # fmt: skip
    """The gradient rows of all pixels of one tile's runs with their right and lower neighbours. width: of the strip."""
    count = weight.size
    for run in range(runs.shape[0]):
        first = np.int64(runs[run, 0])
        for p in range(first, first + runs[run, 1]):
            for step in range(2):
                q = p + width if step else p + 1
                if q >= count or tiles[q] == NOWHERE or (step == 0 and q % width == 0):
                    continue
                take_difference(
                    cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, strength, p, q
                )


@njit(cache=True, parallel=True)
def accumulate(cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, solve, gradient, width,
               tiles, starts, runs, order, bounds):  # fmt: skip
    """Add the pixels of a strip to `cells`, and return their sums [22] float64.

    texture [3, S*S] and coarse [3, N] are the present texture's pyramid, or [3, 1] for none. tones [3, 3]: decoding, gain,
    offset. gradient: the weight of gradient rows, width: of the strip in pixels. tiles, starts, runs, order and bounds are
    from `assign_tiles`, `deal_runs` and `schedule`.
    """
    sums = np.zeros((order.size, SUMS))
    for phase in range(PHASES):
        for group in prange(GROUPS):
            for turn in range(bounds[phase, group], bounds[phase, group + 1]):
                own = runs[starts[order[turn]] : starts[order[turn] + 1]]
                take_tile(
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
                    solve,
                    own,
                    sums[turn],
                )
                if gradient > 0:
                    take_gradients(
                        cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, gradient, width,
                        tiles, own,
                    )  # fmt: skip
    total = np.zeros(SUMS)
    for turn in range(order.size):
        total += sums[turn]
    return total


@njit(cache=True)
def mark_tile(touched, number, size, levels, uv, footprint, runs):
    """Count photograph `number` once at every place, 2 x 2 texels each, that a pixel of these runs covers."""
    texels = np.float32(size)
    widest = np.float32(0.87 * (1 << levels))  # a pixel of the coarsest level; more would leave the tile's surroundings
    side = touched.shape[0]
    for run in range(runs.shape[0]):
        first = np.int64(runs[run, 0])
        for p in range(first, first + runs[run, 1]):
            across, down = uv[p, 0] * texels, (ONE - uv[p, 1]) * texels
            reach = min(np.float32(0.5) * footprint[p] * texels, widest)
            left = max(np.int64(across - reach), 0) >> 1
            right = min(np.int64(across + reach) >> 1, side - 1)
            top = max(np.int64(down - reach), 0) >> 1
            bottom = min(np.int64(down + reach) >> 1, side - 1)
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    if touched[row, column, 1] != number:
                        touched[row, column, 1] = number
                        touched[row, column, 0] += 1


@njit(cache=True, parallel=True)
def mark_coverage(touched, number, size, levels, uv, footprint, starts, runs, order, bounds):
    """Count photograph `number` (1 to 65535) in touched [h, h, 2] uint16: photographs so far, and the last one's number."""
    for phase in range(PHASES):
        for group in prange(GROUPS):
            for turn in range(bounds[phase, group], bounds[phase, group + 1]):
                own = runs[starts[order[turn]] : starts[order[turn] + 1]]
                mark_tile(touched, number, size, levels, uv, footprint, own)
