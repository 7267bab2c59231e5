"""The normal equations of a texture from a strip of pixels, on the CPU: any number of threads, the same bytes.

binning.py says which thread may add to which texels when, chunks.py where pixels look. The plain form is
backend/ops/texels/stencil_plain.py.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from backend.ops.kernel_threads import parallel_loop, run_in_threads
from backend.ops.simd import (
    add,
    divide,
    larger,
    load_8,
    load_16,
    multiply,
    multiply_add,
    njit_no_refcount,
    peek,
    poke,
    splat_8,
    splat_16,
    square_root,
    store,
    store_turned,
    subtract,
    where_positive,
)
from backend.ops.simd import total as sum_vector
from backend.ops.texels.constants import HUBER, REDESCEND
from backend.ops.texels.cpu.binning import GROUPS, PHASES
from backend.ops.texels.cpu.chunks import (
    CHUNK,
    COARSER,
    COARSER_SPOT,
    COLOR,
    DRIFT,
    FINE,
    FINE_SPOT,
    KINDS,
    MODEL,
    SHARE,
    TARGET,
    WEIGHT,
    ZERO,
    ask_for_cell,
    find_cells,
    gather,
    look,
)
from backend.ops.texels.cpu.gradients import take_gradients
from backend.ops.texels.cpu.look_up import ONE
from backend.ops.texels.cpu.rows import add_row

SUMS = 22
SUMMED_CHUNKS = 16  # that sums in float32 take in before they go to those in float64


@njit_no_refcount
def weigh(count, numbers, tones, loss, threshold, sums):
    """Residuals and robust weights of the first `count` pixels in `numbers`, sixteen at a time, and their sums.

    sums: [22 * 16], lane by lane. Weight 0: no pixel. The targets, corrected colours, go to TARGET.
    """
    one, knee, sharp = splat_16(ONE), splat_16(threshold), splat_16(ONE / (threshold * threshold))
    for j in range(0, count, 16):
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


@njit_no_refcount
def empty_sums(lanes, sums):
    """Add sums in lanes [22 * 16] to sums [22] float64, and forget them."""
    for number in range(1, SUMS):
        sums[number] += sum_vector(load_16(lanes, 16 * number))
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


@njit(cache=True, inline="always")
def add_cell(cells, numbers, spots, spot, corners, row, j):
    """The row of a chunk's pixel j for one level: `spot` and `corners` are the places of its cell and its weights."""
    add_row(
        cells,
        peek(spots, spot * CHUNK + j),
        peek(spots, (spot + 1) * CHUNK + j),
        peek(numbers, corners * CHUNK + j),
        peek(numbers, (corners + 1) * CHUNK + j),
        peek(numbers, (corners + 2) * CHUNK + j),
        peek(numbers, (corners + 3) * CHUNK + j),
        row,
        j,
    )


@njit_no_refcount
def add_rows(cells, count, numbers, spots, row, mixed):
    """The rows of a chunk's first `count` pixels, one for each level a pixel looks at."""
    one = splat_16(ONE)
    for j in range(0, count, 8):
        write_rows(numbers, row, j, FINE, load_8(numbers, SHARE * CHUNK + j))
    for j in range(0, count, 16):
        base = load_16(numbers, WEIGHT * CHUNK + j)
        weigh_corners(numbers, j, FINE, multiply(base, subtract(one, load_16(numbers, SHARE * CHUNK + j))))
    for j in range(count):
        add_cell(cells, numbers, spots, FINE_SPOT, FINE, row, j)
    if not mixed:
        return
    for j in range(0, count, 8):
        write_rows(
            numbers, row, j, COARSER, multiply_add(splat_8(ONE), load_8(numbers, SHARE * CHUNK + j), splat_8(-ONE))
        )
    for j in range(0, count, 16):
        base = load_16(numbers, WEIGHT * CHUNK + j)
        weigh_corners(numbers, j, COARSER, multiply(base, load_16(numbers, SHARE * CHUNK + j)))
    for j in range(count):
        if peek(numbers, SHARE * CHUNK + j) > ZERO:
            add_cell(cells, numbers, spots, COARSER_SPOT, COARSER, row, j)


@njit_no_refcount
def take_chunk(
    cells, filled, table, texture, coarse, finest, more, tones, loss, threshold, solve, lanes, scratch, shown
):
    """The pixels that were gathered, step by step; see `take_tile`."""
    numbers, row, spots, origins = scratch
    for j in range(filled, (filled + 15) // 16 * 16):
        poke(numbers, WEIGHT * CHUNK + j, ZERO)
    mixed = find_cells(filled, numbers, spots, table)
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
    weigh(filled, numbers, tones, loss, threshold, lanes)
    if solve:
        add_rows(cells, filled, numbers, spots, row, mixed)


@njit_no_refcount
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
    filled, chunks = np.int64(0), 0  # a bare 0 is a type of its own, for which all that is called is compiled once more
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


def accumulate(cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, solve, gradient, width,
               starts, runs, order, bounds, shown):  # fmt: skip
    """Add the pixels of a strip to `cells`, and return their sums [22] float64.

    texture [3, S*S] and coarse [3, N] are the present texture's pyramid, or [3, 1] for none. tones [3, 3]: decoding, gain,
    offset. gradient: the weight of gradient rows, width: of the strip in pixels. starts, runs, order and bounds are from
    `binning.bin_pixels`. shown: [3 n], what the texture shows at each pixel that counts is written
    there, or [0].
    """
    sums = np.zeros((order.size, SUMS))
    places, tint = uv.reshape(-1), color.reshape(-1)
    flat, flat_coarse, finest, more = texture.reshape(-1), coarse.reshape(-1), texture.shape[1], coarse.shape[1]
    for phases in [bounds] if gradient == 0 else np.split(bounds, PHASES):
        _accumulate_phases(
            cells, table, flat, flat_coarse, finest, more, places, footprint, weight, tint, tones, loss, threshold, solve,
            starts, runs, order, phases, sums, shown,
        )  # fmt: skip
        if gradient > 0:
            run_in_threads(
                _gradient_groups, GROUPS,
                cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, gradient, width,
                starts, runs, order, phases[0],
            )  # fmt: skip
    return sums.sum(0)


@parallel_loop
def _accumulate_phases(
    cells, table, texture, coarse, finest, more, places, footprint, weight, tint, tones, loss, threshold, solve,
    starts, runs, order, bounds, sums, shown,
):  # fmt: skip
    for phase in range(bounds.shape[0]):
        for group in prange(GROUPS):
            _accumulate_group(
                bounds[phase, group], bounds[phase, group + 1],
                cells, table, texture, coarse, finest, more, places, footprint, weight, tint, tones, loss, threshold, solve,
                starts, runs, order, sums, shown,
            )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _accumulate_group(
    first, last, cells, table, texture, coarse, finest, more, places, footprint, weight, tint, tones, loss, threshold, solve,
    starts, runs, order, sums, shown,
):  # fmt: skip
    if first == last:
        return
    row, lanes = np.zeros(8 * CHUNK, np.float32), np.zeros(SUMS * 16, np.float32)
    scratch = (np.zeros(KINDS * CHUNK, np.float32), row, np.zeros(4 * CHUNK, np.int32), np.zeros(CHUNK, np.int32))
    for turn in range(first, last):
        own = runs[starts[order[turn]] : starts[order[turn] + 1]]
        take_tile(
            cells, table, texture, coarse, finest, more, places, footprint, weight, tint, tones, loss, threshold,
            solve, own, sums[turn], lanes, scratch, shown,
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _gradient_groups(
    begin, end, cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, gradient, width,
    starts, runs, order, bounds,
):  # fmt: skip
    row = np.zeros(8 * CHUNK, np.float32)
    for turn in range(bounds[begin], bounds[end]):
        take_gradients(
            cells, table, texture, coarse, uv, footprint, weight, color, tones, loss, threshold, gradient, width,
            runs[starts[order[turn]] : starts[order[turn] + 1]], row,
        )  # fmt: skip
