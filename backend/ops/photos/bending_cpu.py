"""Where the pixels of a bent photograph look in the texture; described in backend/ops/photos/bending.py.

Displacements change slowly: along a row, runs of pixels look at pixels beside each other, so that all a run needs lies side by
side, too. Loops count from 0 over slices, and few arrays share a loop: only so does LLVM make vectors. Every row belongs to one
thread, so that no byte depends on their number.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from backend.ops.kernel_threads import parallel_loop

CHUNK = 8  # rows that a thread takes at a time


@parallel_loop
def bend(
    uv, footprint, stretch, weights, same_chart, nodes, cell, first_row, above, rows, new_uv, new_footprint, new_weights
):
    """Look every pixel p up at p - d(p) of the drawn maps, d bilinear between nodes.

    uv [h, W, 2], footprint, stretch, weights [h, W]: drawn rows, `above` of them before the first that is written.
    same_chart: neighbours of one chart differ by at most so many footprints along the longer axis. nodes [gy, gx, 2]
    float32 px (x, y), cell px apart, the first at the photograph's corner. first_row: of the photograph, of the first written
    row. UVs are carried on by their derivative, for they are smooth where colours are not.
    """
    flat, out = uv.reshape(uv.size), new_uv.reshape(new_uv.size)
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        _bend_rows(
            chunk * CHUNK, min((chunk + 1) * CHUNK, rows), flat, footprint, stretch, weights, same_chart, nodes, cell,
            first_row, above, out, new_footprint, new_weights,
        )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _bend_rows(
    first, last, flat, footprint, stretch, weights, same_chart, nodes, cell, first_row, above, out, new_footprint,
    new_weights,
):  # fmt: skip
    height, width = weights.shape
    steps, offsets = np.empty((2, width), np.int64), np.empty((2, width), np.float32)
    reach, nothing = np.empty(width, np.float32), np.full(2 * width, np.nan, np.float32)
    for i in range(first, last):
        _displace(_between_rows(nodes, cell, first_row + i + 0.5), cell, steps, offsets)
        own, begin = out[2 * i * width : 2 * (i + 1) * width], np.int64(0)
        while begin < width:
            end, aside, y = _run_end(steps, begin), steps[0, begin] >> 1, i + above + (steps[1, begin] >> 1)
            left = min(max(begin, -aside), end)  # what of the run looks into the picture
            right = max(min(end, width - aside), left) if 0 <= y < height else left
            _leave_out(own, new_footprint[i], new_weights[i], begin, left)
            _leave_out(own, new_footprint[i], new_weights[i], right, end)
            looked = slice(left + aside, right + aside)
            if left < right and _take(
                weights[y, looked], footprint[y, looked], new_weights[i, left:right], new_footprint[i, left:right]
            ):
                _measure(same_chart, footprint[y, looked], stretch[y, looked], reach)
                moved, sides = (
                    own[2 * left : 2 * right],
                    (1 - 2 * (steps[0, begin] & 1), 1 - 2 * (steps[1, begin] & 1)),
                )
                _start(_row(flat, y, left + aside, height, width, nothing), weights[y, looked], moved)
                _carry_across(
                    flat, y * width, left + aside, width, sides[0], reach, offsets[0, left:right], nothing, moved
                )
                _carry(
                    _row(flat, y, left + aside, height, width, nothing),
                    _row(flat, y + sides[1], left + aside, height, width, nothing),
                    _row(flat, y - sides[1], left + aside, height, width, nothing),
                    reach, offsets[1, left:right], moved,
                )  # fmt: skip
            else:
                _leave_out(own, new_footprint[i], new_weights[i], left, right)
            begin = end


@njit(cache=True, error_model="numpy")
def _displace(across, cell, steps, offsets):
    """Where the pixels j of a row look, along x and y: at j + steps >> 1, a whole pixel, and offsets from its centre, whose sign
    is the lowest bit of steps (1: negative) and whose size is in offsets. steps int64, offsets float32 [2, W]."""
    inverse, last = 1.0 / cell, across.shape[0] - 1.0
    for left in range(max(across.shape[0] - 1, 1)):
        right = min(left + 1, across.shape[0] - 1)
        begin = int(np.ceil(left * cell - 0.5))
        end = steps.shape[1] if left >= across.shape[0] - 2 else int(np.ceil((left + 1) * cell - 0.5))
        begin, end = min(begin, steps.shape[1]), min(end, steps.shape[1])
        for axis in range(2):
            value, slope = across[left, axis], across[right, axis] - across[left, axis]
            step, offset = steps[axis, begin:end], offsets[axis, begin:end]
            for k in range(step.size):
                share = min((np.float64(begin + k) + 0.5) * inverse, last) - left
                moved = -(value + share * slope)
                whole = np.floor(moved + 0.5)
                step[k] = 2 * np.int64(whole) + (moved < whole)
                offset[k] = abs(moved - whole)


@njit(cache=True)
def _run_end(steps, begin):
    """The first pixel from begin on that does not look where its neighbour looks, one further."""
    aside, down, end = steps[0, begin], steps[1, begin], begin + 1
    while end < steps.shape[1] and steps[0, end] == aside and steps[1, end] == down:
        end += 1
    return end


@njit(cache=True)
def _leave_out(uv, footprint, weights, begin, end):
    """Pixels begin to end - 1 of a row see nothing."""
    uv[2 * begin : 2 * end] = np.nan
    footprint[begin:end], weights[begin:end] = np.nan, 0


@njit(cache=True)
def _take(weights, footprint, new_weights, new_footprint):
    """Weights and footprints; whether one of them counts."""
    seen = 0
    for k in range(weights.size):
        counts = weights[k] > 0
        new_weights[k] = weights[k] if counts else np.float32(0)
        new_footprint[k] = footprint[k] if counts else np.float32(np.nan)
        seen += counts
    return seen > 0


@njit(cache=True)
def _measure(same_chart, footprint, stretch, reach):
    """By how much neighbours' UVs may differ."""
    for k in range(footprint.size):
        reach[k] = same_chart * footprint[k] * np.sqrt(stretch[k])


@njit(cache=True)
def _start(uv, weights, out):
    """The UVs of the pixels looked at, NaN where they do not count."""
    for k in range(weights.size):
        counts = weights[k] > 0
        out[2 * k] = uv[2 * k] if counts else np.float32(np.nan)
        out[2 * k + 1] = uv[2 * k + 1] if counts else np.float32(np.nan)


@njit(cache=True)
def _carry(uv, near, far, reach, offset, out):
    """Add to UVs offset (0..1/2) times their derivative: of the neighbours that it points to, else of those on the other side,
    else none. A neighbour of another chart, or none (NaN), is out of reach."""
    none = np.float32(0)
    for k in range(offset.size):
        u, v = uv[2 * k], uv[2 * k + 1]
        near_u, near_v, far_u, far_v = near[2 * k] - u, near[2 * k + 1] - v, u - far[2 * k], v - far[2 * k + 1]
        nearby = (abs(near_u) <= reach[k]) & (abs(near_v) <= reach[k])
        behind = (abs(far_u) <= reach[k]) & (abs(far_v) <= reach[k])
        out[2 * k] += offset[k] * (near_u if nearby else (far_u if behind else none))
        out[2 * k + 1] += offset[k] * (near_v if nearby else (far_v if behind else none))


@njit(cache=True)
def _carry_across(flat, row, first, width, side, reach, offset, nothing, out):
    """_carry for pixels of a row from column first on, towards the next (side 1) or the one before (-1)."""
    begin = 0
    while begin < offset.size:
        column, end = first + begin, begin + 1  # at the picture's borders one pixel at a time
        if 0 < column < width - 1:
            end = min(offset.size, width - 1 - first)
        uv = flat[2 * (row + column) :]
        near = flat[2 * (row + column + side) :] if 0 <= column + side < width else nothing
        far = flat[2 * (row + column - side) :] if 0 <= column - side < width else nothing
        _carry(uv, near, far, reach[begin:end], offset[begin:end], out[2 * begin : 2 * end])
        begin = end


@njit(cache=True)
def _row(flat, row, column, height, width, nothing):
    """The UVs of a row from a column on; nothing beyond the picture."""
    return flat[2 * (row * width + column) :] if 0 <= row < height else nothing


@njit(cache=True)
def _between_rows(nodes, cell, y):
    """The nodes [gx, 2] of the displacement along one row of pixels, float64."""
    rows, columns = nodes.shape[:2]
    gy = min(y / cell, rows - 1.0)
    above = min(int(gy), max(rows - 2, 0))
    below, share = min(above + 1, rows - 1), gy - above
    across = np.empty((columns, 2))
    for column in range(columns):
        for axis in range(2):
            high, low = np.float64(nodes[above, column, axis]), np.float64(nodes[below, column, axis])
            across[column, axis] = high + share * (low - high)
    return across
