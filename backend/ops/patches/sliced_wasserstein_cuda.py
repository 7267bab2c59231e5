"""Transport of 7 x 7 patches of any number of channels on NVIDIA cards, in three launches: every patch is projected once, a table
is made for each filter, and every pixel gathers what the displacements of the patches on it add up to.

The projections of the rows that move are kept, of some filters at a time where those of all would not fit. Counts are whole
numbers, and every pixel is written by one thread: two runs give the same bytes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import SIMULATED, cuda, device_function, kernel
from backend.ops.patches.constants import PATCH

AREA = PATCH * PATCH
REACH, HALF = PATCH - 1, PATCH // 2
GROUP = 4  # filters on which a thread projects a patch
COLUMNS, ROWS = (8, 4) if SIMULATED else (32, 8)  # threads of a block
TALL = 2 * ROWS  # a thread gathers for two pixels of a tile, ROWS apart
REACHED = (TALL + REACH, COLUMNS + REACH)  # patches on a tile
SCANNED = 32 if SIMULATED else 256  # threads that share a filter's table
TOGETHER = 3  # channels that are gathered at once
MOST_VALUES = 2**27  # projections in memory at once: 512 MiB of float32


def projection_extent(image: Tensor, filters: Tensor, row_step: int = 1) -> tuple[Tensor, Tensor]:
    """Lowest and highest projection on each filter, two [K], of every row_step-th row of patches of an image [C, H, W]."""
    rows, columns = _patch_rows(image, row_step), image.shape[2] - REACH
    low, high = (image.new_empty(len(filters)) for _ in range(2))
    count = max(GROUP, MOST_VALUES // max(rows * columns, 1))
    buffer = image.new_empty(min(count, len(filters)), rows, columns)
    for first in range(0, len(filters), count):
        some = slice(first, min(first + count, len(filters)))
        kept = buffer[: some.stop - first]
        _launch_projection(image, filters[some], row_step, kept=kept)
        torch.aminmax(kept.flatten(1), dim=1, out=(low[some], high[some]))
    return low, high


def projection_histogram(
    image: Tensor, filters: Tensor, low: Tensor, scale: Tensor, bins: int, row_first: int, row_step: int
) -> Tensor:
    """Counts float64 [K, bins], as those of the plain form."""
    counts = torch.zeros(len(filters), bins, dtype=torch.int32, device=image.device)
    _launch_projection(image, filters, row_step, row_first=row_first, counts=counts, low=low, scale=scale)
    return counts.double()


def add_ascent(
    image: Tensor, filters: Tensor, quantiles: Tensor, low: Tensor, scale: Tensor, bins: int, row_first: int | Tensor,
    row_step: int, moved_step: int, labels: Tensor | None, label: int, weight: Tensor | None, out: Tensor,
) -> None:  # fmt: skip
    """out [C, H, W] += the way down of an image [C, H, W]: see the op. row_first: a number, or int64 [1] on the device."""
    rows, columns = _patch_rows(image, moved_step), image.shape[2] - REACH
    counts = torch.zeros(len(filters), bins, dtype=torch.int32, device=image.device)
    table = image.new_empty(len(filters), bins + 1)
    count = max(GROUP, MOST_VALUES // max(rows * columns, 1) // GROUP * GROUP)
    weight = image.new_empty(0, 0) if weight is None else weight
    buffer = image.new_empty(min(count, len(filters)), rows, columns)
    nothing = torch.empty(0, dtype=torch.int64, device=image.device)
    number, turn = (0, row_first) if isinstance(row_first, Tensor) else (row_first, nothing)
    for first in range(0, len(filters), count):
        some = slice(first, min(first + count, len(filters)))
        bank = [part[some] for part in (filters, low, scale, counts, table)]
        given = {"row_first": number, "turn": turn, "low": bank[1], "scale": bank[2]}
        counted = {"counts": bank[3], "labels": labels, "label": label}
        kept = buffer[: some.stop - first]
        if row_step % moved_step == 0:  # what is counted lies on the rows that move
            _launch_projection(image, bank[0], moved_step, row_step, kept=kept, **given, **counted)
        else:
            _launch_projection(image, bank[0], row_step, **given, **counted)
            _launch_projection(image, bank[0], moved_step, kept=kept, **given)
        _tables.launch(SCANNED * len(kept), bank[3], quantiles[some], bank[1], bank[2], bank[4], block=(SCANNED,))
        threads = (-(-len(image) // TOGETHER), -(-image.shape[1] // TALL) * ROWS, image.shape[2])
        _gather.launch(
            threads, kept, bank[0], bank[1], bank[2], bank[4], weight, number, turn, moved_step, out,
            block=(COLUMNS, ROWS, 1),
        )  # fmt: skip


def _patch_rows(image: Tensor, step: int) -> int:
    """The most rows of patches that every step-th can be."""
    return -(-(image.shape[1] - REACH) // step)


def _launch_projection(
    image: Tensor, filters: Tensor, step: int, row_step: int = 0, *, row_first: int = 0, turn: Tensor | None = None,
    kept: Tensor | None = None, counts: Tensor | None = None, low: Tensor | None = None, scale: Tensor | None = None,
    labels: Tensor | None = None, label: int = 0,
) -> None:  # fmt: skip
    """Of every step-th row of patches, keeps the projections and counts those of every row_step-th row (as kept where 0)."""
    nothing = image.new_empty(0)
    _project.launch(
        (-(-len(filters) // GROUP), _patch_rows(image, step), image.shape[2] - REACH),
        image, filters, step, row_step or step, row_first,
        torch.empty(0, dtype=torch.int64, device=image.device) if turn is None else turn,
        nothing if low is None else low, nothing if scale is None else scale,
        torch.empty(0, 0, dtype=torch.uint8, device=image.device) if labels is None else labels, label,
        image.new_empty(0, 0, 0) if kept is None else kept,
        torch.empty(0, 0, dtype=torch.int32, device=image.device) if counts is None else counts,
        block=(COLUMNS, ROWS, 1),
    )  # fmt: skip


@kernel
def _project(
    image, filters, step, row_step, row_first, turn, low, scale, labels, label, kept, counts,
):  # fmt: skip
    """A patch on four filters; an empty array is neither kept, counted nor asked."""
    x, n, group = cuda.grid(3)
    first = row_first + turn[0] if turn.size else row_first
    y, k = first % step + n * step, group * GROUP
    is_patch = y < image.shape[1] - REACH and x < image.shape[2] - REACH
    taps = cuda.shared.array((AREA, GROUP), image.dtype)
    a = b = c = d = np.float32(0)
    for channel in range(image.shape[0]):
        cuda.syncthreads()
        place = cuda.threadIdx.y * COLUMNS + cuda.threadIdx.x
        while place < AREA * GROUP:
            tap, one = place // GROUP, place % GROUP
            is_there = k + one < filters.shape[0]
            taps[tap, one] = filters[k + one, channel, tap // PATCH, tap % PATCH] if is_there else np.float32(0)
            place += ROWS * COLUMNS
        cuda.syncthreads()
        if is_patch:
            for i in range(PATCH):
                for j in range(PATCH):
                    value, tap = image[channel, y + i, x + j], i * PATCH + j
                    a += taps[tap, 0] * value
                    b += taps[tap, 1] * value
                    c += taps[tap, 2] * value
                    d += taps[tap, 3] * value
    if not is_patch:
        return
    is_counted = counts.size > 0 and (y - first) % row_step == 0
    if is_counted and labels.size:
        is_counted = labels[y + HALF, x + HALF] == label
    _deliver(a, k, n, x, kept, is_counted, low, scale, counts)
    _deliver(b, k + 1, n, x, kept, is_counted, low, scale, counts)
    _deliver(c, k + 2, n, x, kept, is_counted, low, scale, counts)
    _deliver(d, k + 3, n, x, kept, is_counted, low, scale, counts)


@device_function
def _deliver(value, k, n, x, kept, is_counted, low, scale, counts):
    if kept.size and k < kept.shape[0]:
        kept[k, n, x] = value
    if is_counted and k < counts.shape[0]:
        place = min(max(int((value - low[k]) * scale[k]), 0), counts.shape[1] - 1)
        cuda.atomic.add(counts, (k, place), 1)


@kernel
def _tables(counts, quantiles, low, scale, table):
    """Displacement T(v) - v at the bin edges [K, bins + 1], a block for each filter: see the plain form."""
    k, thread, bins = cuda.blockIdx.x, cuda.threadIdx.x, counts.shape[1]
    sums = cuda.shared.array(SCANNED, counts.dtype)
    each = (bins + SCANNED - 1) // SCANNED
    start, stop = min(thread * each, bins), min((thread + 1) * each, bins)
    own = 0
    for place in range(start, stop):
        own += counts[k, place]
    sums[thread] = own
    apart = 1
    while apart < SCANNED:  # sums of everything up to this thread
        cuda.syncthreads()
        before = sums[thread - apart] if thread >= apart else 0
        cuda.syncthreads()
        sums[thread] += before
        apart *= 2
    cuda.syncthreads()
    total, below = sums[SCANNED - 1], sums[thread] - own
    last = quantiles.shape[1] - 1
    if thread == SCANNED - 1:
        stop += 1  # the last edge
    for place in range(start, stop):
        moved = 0.0
        if total > 0:
            level = below / total * last
            j = min(int(level), last - 1)
            target = quantiles[k, j] + (level - j) * (quantiles[k, j + 1] - quantiles[k, j])
            moved = target - (low[k] + place / scale[k])
        table[k, place] = moved
        if place < bins:
            below += counts[k, place]


@kernel
def _gather(kept, filters, low, scale, table, weight, row_first, turn, step, out):
    """For two pixels of three channels: the sum over filters and the patches on them of weight * displacement * tap.

    A block looks up the displacements of a tile's patches on one filter after the other, and its threads share them.
    """
    column, row = cuda.threadIdx.x, cuda.threadIdx.y
    x0, y0 = cuda.blockIdx.x * COLUMNS, cuda.blockIdx.y * TALL
    x, y, channel = x0 + column, y0 + row, cuda.blockIdx.z * TOGETHER
    first = (row_first + turn[0] if turn.size else row_first) % step
    moved = cuda.shared.array(REACHED, kept.dtype)
    taps = cuda.shared.array((AREA, TOGETHER), kept.dtype)
    start, stride = (y - first) % step, step
    if ROWS % step:  # the two rows have not the same patches: what lies on the others is 0
        start, stride = 0, 1
    is_alone = channel + 1 == out.shape[0]
    a = b = c = d = e = f = np.float32(0)
    for k in range(filters.shape[0]):
        cuda.syncthreads()
        _lay_tile(kept, k, low, scale, table, weight, first, step, y0, x0, out.shape[1], moved)
        place = row * COLUMNS + column
        while place < AREA * TOGETHER:
            tap, one = place // TOGETHER, place % TOGETHER
            is_there = channel + one < out.shape[0]
            taps[tap, one] = filters[k, channel + one, tap // PATCH, tap % PATCH] if is_there else np.float32(0)
            place += ROWS * COLUMNS
        cuda.syncthreads()
        for i in range(start, PATCH, stride):
            for j in range(PATCH):
                tap, down, across = i * PATCH + j, row + REACH - i, column + REACH - j
                upper, lower = moved[down, across], moved[down + ROWS, across]
                a += taps[tap, 0] * upper
                d += taps[tap, 0] * lower
                if not is_alone:
                    b += taps[tap, 1] * upper
                    c += taps[tap, 2] * upper
                    e += taps[tap, 1] * lower
                    f += taps[tap, 2] * lower
    _add(out, channel, y, x, a, b, c)
    _add(out, channel, y + ROWS, x, d, e, f)


@device_function
def _lay_tile(kept, k, low, scale, table, weight, first, step, y0, x0, height, moved):
    """The displacements on a filter of the patches that reach into a tile, by all threads of a block."""
    top = np.float32(table.shape[1] - 1) * np.float32(1.0 - 1e-6)
    place = cuda.threadIdx.y * COLUMNS + cuda.threadIdx.x
    while place < REACHED[0] * REACHED[1]:
        down, across = place // REACHED[1], place % REACHED[1]
        y, x = y0 - REACH + down, x0 - REACH + across
        value = np.float32(0)
        if 0 <= y < height - REACH and 0 <= x < kept.shape[2] and y >= first and (y - first) % step == 0:
            at = min(max((kept[k, (y - first) // step, x] - low[k]) * scale[k], np.float32(0)), top)
            left = int(at)
            edge = table[k, left]
            value = edge + (at - np.float32(left)) * (table[k, left + 1] - edge)
            if weight.size:
                value *= weight[y + HALF, x + HALF]
        moved[down, across] = value
        place += ROWS * COLUMNS


@device_function
def _add(out, channel, y, x, first, second, third):
    if y < out.shape[1] and x < out.shape[2]:
        out[channel, y, x] += first
        if channel + 1 < out.shape[0]:
            out[channel + 1, y, x] += second
        if channel + 2 < out.shape[0]:
            out[channel + 2, y, x] += third
