"""How many photographs have touched each place of a texture, on the CPU: any number of threads, the same bytes.

A place is 2 x 2 texels. A tile's pixels (cpu/binning.py) are drawn into a small map of its own first, so that every pixel
only writes; what the map shows is then counted once. The plain twin is in backend/ops/texels/stencil_plain.py.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from backend.ops.kernel_threads import parallel_loop
from backend.ops.simd import njit_no_refcount, peek, poke
from backend.ops.texels.constants import REACH
from backend.ops.texels.cpu.binning import GROUPS, PHASES
from backend.ops.texels.cpu.look_up import HALF, ONE


@njit_no_refcount
def draw_tile(drawn, side, last, row, column, size, widest, places, footprint, runs):
    """Mark in `drawn` [side * side], whose corner is the place (row, column), what the pixels of these runs cover.

    last: of the texture's places along an axis. Returns 1 + the farthest reach in places.
    """
    texels = np.float32(size)
    edge = np.float32(0)
    for run in range(runs.shape[0]):
        first = np.int64(runs[run, 0])
        for p in range(first, first + runs[run, 1]):
            across, down = peek(places, 2 * p) * texels, (ONE - peek(places, 2 * p + 1)) * texels
            reach = min(HALF * peek(footprint, p) * texels, widest)
            edge = max(edge, reach)
            left = (max(np.int64(across - reach), 0) >> 1) - column
            right = min(np.int64(across + reach) >> 1, last) - column
            top = (max(np.int64(down - reach), 0) >> 1) - row
            bottom = min(np.int64(down + reach) >> 1, last) - row
            if right - left < 2 and bottom - top < 2:
                poke(drawn, top * side + left, 1)
                poke(drawn, top * side + right, 1)
                poke(drawn, bottom * side + left, 1)
                poke(drawn, bottom * side + right, 1)
            else:
                for y in range(top, bottom + 1):
                    for x in range(left, right + 1):
                        poke(drawn, y * side + x, 1)
    return 1 + np.int64(edge * HALF + ONE)


@njit_no_refcount
def count_tile(touched, number, drawn, side, row, column, low, high):
    """Count what `drawn` shows from low to high - 1 along both axes, and wipe it."""
    across = touched.shape[0]
    for y in range(max(low, -row), min(high, across - row)):
        for x in range(max(low, -column), min(high, across - column)):
            if peek(drawn, y * side + x) != 0:
                poke(drawn, y * side + x, 0)
                at = row + y
                if touched[at, column + x, 1] != number:
                    touched[at, column + x, 1] = number
                    touched[at, column + x, 0] += 1


@parallel_loop
def mark_coverage(touched, number, size, levels, tile, uv, footprint, starts, runs, order, bounds):
    """Count photograph `number` (1 to 65535) in touched [h, h, 2] uint16: photographs so far, and the last one's number.

    tile: side in texels; starts, runs, order and bounds are from `binning.bin_pixels`.
    """
    places = uv.reshape(uv.size)
    for phase in range(PHASES):
        for group in prange(GROUPS):
            first, last = bounds[phase, group], bounds[phase, group + 1]
            _cover_group(first, last, touched, number, size, levels, tile, places, footprint, starts, runs, order)


@njit(cache=True, error_model="numpy")
def _cover_group(first, last, touched, number, size, levels, tile, places, footprint, starts, runs, order):
    if first == last:
        return
    widest = np.float32(REACH * (1 << levels))  # a wider pixel would leave its tile's surroundings
    margin = np.int64(widest * HALF) + 2
    side, own = tile // 2 + 2 * margin, tile // 2
    across = (size + tile - 1) // tile
    edge = touched.shape[0] - 1
    drawn = np.zeros(side * side, np.uint8)  # count_tile leaves it as it was
    for turn in range(first, last):
        row = order[turn] // across * own - margin
        column = order[turn] % across * own - margin
        part = runs[starts[order[turn]] : starts[order[turn] + 1]]
        reach = draw_tile(drawn, side, edge, row, column, size, widest, places, footprint, part)
        low, high = max(margin - reach, 0), min(margin + own + reach, side)
        count_tile(touched, number, drawn, side, row, column, low, high)
