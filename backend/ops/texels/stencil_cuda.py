"""Normal equations of a texture from pixels, on a card: the same numbers every run, and nothing that the host waits for.

A thread a pixel finds its rows (one for each level that it looks at) and counts them by cell; rows are then listed cell by cell,
and a thread a texel adds up what the rows of the four cells around it say. Within a cell rows come in any order, but they are added
as whole numbers in units of UNIT, so that their order changes nothing. backend/ops/texels/stencil_plain.py is the plain form.

Pixels are [B, n]: B photographs with gains and sums of their own.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import SIMULATED, cuda, device_function, kernel
from backend.ops.texels.constants import HUBER, L2, PLANES, REACH, SAME_SURFACE, TEXELS_PER_PIXEL

SUMS = 22  # of a photograph: see observations.Residuals
BLOCK = 32 if SIMULATED else 256  # threads of a block, whose sums are added up together
PITCH = BLOCK + 1  # no two terms of a thread in one bank
LOOKS, DIFFERENCES = 2, 2  # rows of a pixel: of two levels, and with its right and lower neighbours
TOGETHER = 62  # photographs that coverage is marked of at once: bits of a whole number
UNIT = 2.0**-32  # what sums are whole numbers of; a row of a seen texel weighs about 1

_UNITS, _UNIT = np.float32(1 / UNIT), np.float32(UNIT)
_ZERO, _HALF, _ONE, _TWO, _THREE = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2), np.float32(3)
_INFINITE, _REACH = np.float32(np.inf), np.float32(REACH)
_WIDTHS, _APART = np.float32(TEXELS_PER_PIXEL), np.float32(SAME_SURFACE)


def accumulate(
    cells: Tensor, size: int, levels: int, texture: Tensor, coarse: Tensor, uv: Tensor, footprint: Tensor, weight: Tensor,
    color: Tensor, tones: Tensor, loss: int, threshold: float, solve: bool, gradient: float, width: int, shown: Tensor | None,
) -> Tensor:  # fmt: skip
    """Add pixels to cells [N, 8]; their sums [B, SUMS] float64.

    texture [3, size²] and coarse [3, M]: the present texture's levels, or [3, 1] for none. uv [B, n, 2], footprint, weight [B, n],
    color [B, n, 3]; tones [B, 3, 3]: decoding, gain, offset. gradient: the weight of gradient rows, width: pixels of a row. shown:
    [B, n, 3], see stencil.accumulate.
    """
    count, pixels = weight.shape
    kinds = LOOKS + (DIFFERENCES if gradient > 0 else 0)
    blocks = -(-pixels // BLOCK)
    partial = torch.empty((count, blocks, SUMS), dtype=torch.float64, device=weight.device)
    rows = count * pixels * kinds if solve else 0
    spots, ranks, order = (torch.empty(rows, dtype=torch.int32, device=weight.device) for _ in range(3))
    records = torch.empty((rows, 8), device=weight.device)
    counts = torch.zeros(len(cells) if solve else 0, dtype=torch.int32, device=weight.device)
    has_texture, has_shown = texture.shape[1] > 1, shown is not None
    common = (size, levels, texture, coarse, has_texture, uv, footprint, weight, color, tones, loss, threshold)
    look.launch(
        (count, pixels), *common, solve, kinds, spots, ranks, records, counts, weight[..., None] if shown is None else shown,
        has_shown, partial, block=(BLOCK, 1),
    )  # fmt: skip
    if solve:
        if gradient > 0:
            differ.launch(
                (count, pixels), *common, gradient, width, kinds, spots, ranks, records, counts, block=(BLOCK, 1)
            )
        ends = counts.cumsum(0, dtype=torch.int32)
        list_rows.launch(rows, spots, ranks, counts, ends, order)
        add_rows.launch(len(cells), size, levels, counts, ends, order, records, cells)
    return partial.sum(1)


def mark_coverage(
    touched: Tensor, numbers: Tensor, size: int, levels: int, uv: Tensor, footprint: Tensor, weight: Tensor
) -> None:
    """Count the photographs numbers [B] int32 once at every place of touched [h, h, 2] that a pixel of theirs covers."""
    count, pixels = weight.shape
    for first in range(0, count, TOGETHER):
        own = slice(first, first + TOGETHER)
        masks = torch.zeros(touched.shape[:2], dtype=torch.int64, device=touched.device)
        mark.launch(
            (len(numbers[own]), pixels), size, levels, uv[own], footprint[own], weight[own], masks, block=(BLOCK, 1)
        )
        count_marks.launch(tuple(masks.shape), masks, numbers[own], touched)


# What pixels see ------------------------------------------------------------------------------------------------------


@kernel
def look(size, levels, texture, coarse, has_texture, uv, footprint, weight, color, tones, loss, threshold, solve, kinds, spots,
         ranks, records, counts, shown, has_shown, partial):  # fmt: skip
    """A pixel's two rows, and the sums of a block of pixels."""
    sums = cuda.shared.array((SUMS, PITCH), np.float32)
    pixel, photograph = cuda.grid(2)
    lane = cuda.threadIdx.x
    for term in range(SUMS):
        sums[term, lane] = _ZERO
    if pixel < weight.shape[1]:
        row = (photograph * weight.shape[1] + pixel) * kinds
        if _counts(uv, footprint, weight, photograph, pixel):
            x, y = _to_texels(uv, photograph, pixel, size)
            level, share = _choose_level(footprint[photograph, pixel] * (np.float32(size) * _WIDTHS), levels)
            fine, fine_down, fine_right, fr, fg, fb = _see(size, level, x, y, texture, coarse, has_texture)
            coarser, coarser_down, coarser_right, cr, cg, cb = fine, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
            if share > _ZERO:
                coarser, coarser_down, coarser_right, cr, cg, cb = _see(
                    size, level + 1, x, y, texture, coarse, has_texture
                )
            mr, mg, mb = _mix(fr, cr, share), _mix(fg, cg, share), _mix(fb, cb, share)
            if has_shown:
                shown[photograph, pixel, 0], shown[photograph, pixel, 1], shown[photograph, pixel, 2] = mr, mg, mb
            er, eg, eb, robust = _weigh(
                color, tones, photograph, pixel, mr, mg, mb, weight[photograph, pixel], loss, threshold, sums, lane
            )
            if solve:
                first, second = robust * (_ONE - share), robust * share
                _note(spots, ranks, counts, row, fine)
                _write_look(records, row, fine_down, fine_right, first, er + fr, eg + fg, eb + fb)
                if share > _ZERO:
                    _note(spots, ranks, counts, row + 1, coarser)
                    _write_look(records, row + 1, coarser_down, coarser_right, second, er + cr, eg + cg, eb + cb)
                else:
                    spots[row + 1] = -1
        elif solve:
            spots[row] = -1
            spots[row + 1] = -1
    cuda.syncthreads()
    for term in range(lane, SUMS, cuda.blockDim.x):
        total = 0.0
        for other in range(cuda.blockDim.x):
            total += np.float64(sums[term, other])
        partial[photograph, cuda.blockIdx.x, term] = total


@device_function
def _counts(uv, footprint, weight, photograph, pixel):
    """Whether a pixel is used. NaN is no number between."""
    u, v, w = uv[photograph, pixel, 0], uv[photograph, pixel, 1], weight[photograph, pixel]
    return u >= _ZERO and u <= _ONE and v >= _ZERO and v <= _ONE and w > _ZERO and w < _INFINITE and (
        footprint[photograph, pixel] > _ZERO
    )  # fmt: skip


@device_function
def _to_texels(uv, photograph, pixel, size):
    return uv[photograph, pixel, 0] * np.float32(size), (_ONE - uv[photograph, pixel, 1]) * np.float32(size)


@device_function
def _choose_level(width, levels):
    """pyramid.choose_levels: the finer level and the coarser one's share. width: of the pixel, in texels."""
    level = 0
    while width >= _TWO and level < levels:
        width *= _HALF
        level += 1
    if level >= levels or width <= _ONE:
        return level, _ZERO
    return level, (width * width - _ONE) / _THREE


@device_function
def _level(size, level):
    """The side of a level and where it begins among all levels' texels."""
    side, start = size, 0
    for finer in range(level):
        start += side * side
        side = (size + (1 << (finer + 1)) - 1) >> (finer + 1)
    return side, start


@device_function
def _shrink(level):
    return _ONE / np.float32(1 << level)


@device_function
def _locate(across, side, scale):
    """One axis: the first of the two texels and the second one's share."""
    position = min(max(across * scale - _HALF, _ZERO), np.float32(side - 1))
    first = min(int(position), side - 2)
    return first, position - np.float32(first)


@device_function
def _blend(plane, channel, at, side, a, b, c, d):
    return (
        plane[channel, at] * a + plane[channel, at + 1] * b + plane[channel, at + side] * c + plane[channel, at + side + 1] * d
    )  # fmt: skip


@device_function
def _see(size, level, x, y, texture, coarse, has_texture):
    """The cell (its first texel) of a level that a place falls into, the shares of its lower and right texels, its colour."""
    side, start = _level(size, level)
    column, right = _locate(x, side, _shrink(level))
    row, down = _locate(y, side, _shrink(level))
    at = row * side + column
    red, green, blue = _ZERO, _ZERO, _ZERO
    if has_texture:
        a, b = (_ONE - right) * (_ONE - down), right * (_ONE - down)
        c, d = (_ONE - right) * down, right * down
        red, green, blue = _show(size, level, at + start, side, texture, coarse, a, b, c, d)
    return start + at, down, right, red, green, blue


@device_function
def _show(size, level, spot, side, texture, coarse, a, b, c, d):
    if level == 0:
        return (
            _blend(texture, 0, spot, side, a, b, c, d), _blend(texture, 1, spot, side, a, b, c, d),
            _blend(texture, 2, spot, side, a, b, c, d),
        )  # fmt: skip
    at = spot - size * size
    return (
        _blend(coarse, 0, at, side, a, b, c, d), _blend(coarse, 1, at, side, a, b, c, d),
        _blend(coarse, 2, at, side, a, b, c, d),
    )  # fmt: skip


@device_function
def _mix(fine, coarser, share):
    return (_ONE - share) * fine + share * coarser


@device_function
def _robust(squared, loss, threshold):
    if loss == L2:
        return _ONE
    if loss == HUBER:
        return np.float32(threshold) / max(np.float32(math.sqrt(squared)), np.float32(threshold))
    kept = _ONE / (_ONE + squared / (np.float32(threshold) * np.float32(threshold)))
    return kept * kept


@device_function
def _weigh(color, tones, photograph, pixel, mr, mg, mb, weight, loss, threshold, sums, lane):
    """Residuals and robust weight of a pixel that shows mr, mg, mb; its sums."""
    dr, dg, db = (
        np.float32(color[photograph, pixel, 0]) * tones[photograph, 0, 0],
        np.float32(color[photograph, pixel, 1]) * tones[photograph, 0, 1],
        np.float32(color[photograph, pixel, 2]) * tones[photograph, 0, 2],
    )
    er = dr * tones[photograph, 1, 0] + tones[photograph, 2, 0] - mr
    eg = dg * tones[photograph, 1, 1] + tones[photograph, 2, 1] - mg
    eb = db * tones[photograph, 1, 2] + tones[photograph, 2, 2] - mb
    squared = er * er + eg * eg + eb * eb
    w = weight * _robust(squared, loss, threshold)
    sums[0, lane], sums[1, lane], sums[2, lane] = _ONE, w, w * squared
    sums[3, lane] = np.float32(math.sqrt(squared))
    _sum_channel(sums, lane, 0, w, mr, dr, er)
    _sum_channel(sums, lane, 1, w, mg, dg, eg)
    _sum_channel(sums, lane, 2, w, mb, db, eb)
    return er, eg, eb, w


@device_function
def _sum_channel(sums, lane, channel, w, m, c, e):
    wm, wc = w * m, w * c
    sums[4 + channel, lane], sums[7 + channel, lane] = wm, wc
    sums[10 + channel, lane], sums[13 + channel, lane] = wm * m, wm * c
    sums[16 + channel, lane], sums[19 + channel, lane] = wc * c, e * e


@kernel
def differ(size, levels, texture, coarse, has_texture, uv, footprint, weight, color, tones, loss, threshold, gradient, width, kinds,
           spots, ranks, records, counts):  # fmt: skip
    """A pixel's gradient rows with its right and its lower neighbour."""
    pixel, photograph = cuda.grid(2)
    if pixel >= weight.shape[1]:
        return
    for step in range(DIFFERENCES):
        row = (photograph * weight.shape[1] + pixel) * kinds + LOOKS + step
        other = pixel + (1 if step == 0 else width)
        spots[row] = -1
        if other >= weight.shape[1] or (step == 0 and other % width == 0):
            continue
        if _counts(uv, footprint, weight, photograph, pixel) and _counts(uv, footprint, weight, photograph, other):
            _difference(
                size, levels, texture, coarse, has_texture, uv, footprint, weight, color, tones, loss, threshold, gradient,
                photograph, pixel, other, row, spots, ranks, records, counts,
            )  # fmt: skip


@device_function
def _difference(size, levels, texture, coarse, has_texture, uv, footprint, weight, color, tones, loss, threshold, gradient,
                photograph, p, q, row, spots, ranks, records, counts):  # fmt: skip
    x0, y0 = _to_texels(uv, photograph, p, size)
    x1, y1 = _to_texels(uv, photograph, q, size)
    distance = max(abs(x1 - x0), abs(y1 - y0))
    if distance > _APART * max(footprint[photograph, p], footprint[photograph, q]) * np.float32(size):
        return
    level, scale = 0, _ONE
    while scale * distance > _ONE and level < levels:
        level += 1
        scale *= _HALF
    if scale * distance > _TWO:
        return
    side, start = _level(size, level)
    column, right = _locate((x0 + x1) * _HALF, side, scale)
    line, down = _locate((y0 + y1) * _HALF, side, scale)
    dx, dy = (x1 - x0) * scale, (y1 - y0) * scale
    left, up = _ONE - right, _ONE - down
    a, b, c, d = -up * dx - left * dy, up * dx - right * dy, left * dy - down * dx, down * dx + right * dy
    spot = start + line * side + column
    red = _step(color, tones, photograph, p, q, 0)
    green = _step(color, tones, photograph, p, q, 1)
    blue = _step(color, tones, photograph, p, q, 2)
    w = np.float32(gradient) * min(weight[photograph, p], weight[photograph, q])
    if loss != L2 and has_texture:
        r, g, v = _show(size, level, spot, side, texture, coarse, a, b, c, d)
        red_gap, green_gap, blue_gap = red - r, green - g, blue - v
        w *= _robust(red_gap * red_gap + green_gap * green_gap + blue_gap * blue_gap, loss, threshold)
    _note(spots, ranks, counts, row, spot)
    _write(records, row, a, b, c, d, w, red, green, blue)


@device_function
def _step(color, tones, photograph, p, q, channel):
    change = np.float32(color[photograph, q, channel]) - np.float32(color[photograph, p, channel])
    return change * tones[photograph, 0, channel] * tones[photograph, 1, channel]


# Rows by cell ---------------------------------------------------------------------------------------------------------


@device_function
def _note(spots, ranks, counts, row, spot):
    spots[row] = spot
    ranks[row] = cuda.atomic.add(counts, spot, 1)


@device_function
def _write_look(records, row, down, right, weight, red, green, blue):
    left, up = _ONE - right, _ONE - down
    _write(records, row, left * up, right * up, left * down, right * down, weight, red, green, blue)


@device_function
def _write(records, row, a, b, c, d, weight, red, green, blue):
    records[row, 0], records[row, 1], records[row, 2], records[row, 3] = a, b, c, d
    records[row, 4], records[row, 5], records[row, 6], records[row, 7] = weight, red, green, blue


@kernel
def list_rows(spots, ranks, counts, ends, order):
    """Rows by cell: those of a cell follow one another in `order`."""
    row = cuda.grid(1)
    if row < spots.size and spots[row] >= 0:
        spot = spots[row]
        order[ends[spot] - counts[spot] + ranks[row]] = row


@kernel
def add_rows(size, levels, counts, ends, order, records, cells):
    """What the rows of the four cells around a texel add to its eight numbers."""
    texel = cuda.grid(1)
    if texel >= cells.shape[0]:
        return
    level = 0
    side, start = _level(size, level)
    while texel >= start + side * side:
        level += 1
        side, start = _level(size, level)
    row, column = (texel - start) // side, (texel - start) % side
    total = cuda.local.array(PLANES, np.int64)
    for term in range(PLANES):
        total[term] = 0
    found = 0
    for role in range(4):  # the texel is this corner of the cell
        if row < role // 2 or column < role % 2:
            continue
        spot = texel - (role // 2) * side - role % 2
        found += counts[spot]
        for place in range(ends[spot] - counts[spot], ends[spot]):
            _add_row(records, order[place], role, total)
    if found > 0:
        for term in range(PLANES):
            cells[texel, term] += np.float32(total[term]) * _UNIT


@device_function
def _add_row(records, row, role, total):
    a, b, c, d = records[row, 0], records[row, 1], records[row, 2], records[row, 3]
    corner = a if role == 0 else b if role == 1 else c if role == 2 else d
    own = records[row, 4] * corner
    total[0] += np.int64(own * corner * _UNITS)
    if role == 0:
        total[1] += np.int64(own * b * _UNITS)
        total[2] += np.int64(own * c * _UNITS)
        total[3] += np.int64(own * d * _UNITS)
    elif role == 1:
        total[2] += np.int64(own * d * _UNITS)
        total[4] += np.int64(own * c * _UNITS)
    elif role == 2:
        total[1] += np.int64(own * d * _UNITS)
    for channel in range(3):
        total[5 + channel] += np.int64(own * records[row, 5 + channel] * _UNITS)


# Coverage -------------------------------------------------------------------------------------------------------------


@kernel
def mark(size, levels, uv, footprint, weight, masks):
    """A photograph's bit at every place, 2 x 2 texels, that a pixel of it covers."""
    pixel, photograph = cuda.grid(2)
    if pixel >= weight.shape[1] or not _counts(uv, footprint, weight, photograph, pixel):
        return
    last, bit = masks.shape[0] - 1, np.int64(1) << np.int64(photograph)
    x, y = _to_texels(uv, photograph, pixel, size)
    reach = min(_HALF * footprint[photograph, pixel] * np.float32(size), _REACH * np.float32(1 << levels))
    left, right = max(int(x - reach), 0) >> 1, min(max(int(x + reach), 0) >> 1, last)
    top, bottom = max(int(y - reach), 0) >> 1, min(max(int(y + reach), 0) >> 1, last)
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            if masks[row, column] & bit == 0:
                cuda.atomic.or_(masks, (row, column), bit)


@kernel
def count_marks(masks, numbers, touched):
    column, row = cuda.grid(2)
    if row >= masks.shape[0] or column >= masks.shape[1] or masks[row, column] == 0:
        return
    count, last = touched[row, column, 0], touched[row, column, 1]
    for photograph in range(numbers.size):
        if (masks[row, column] >> np.int64(photograph)) & np.int64(1) != 0 and numbers[photograph] != last:
            count += 1
            last = numbers[photograph]
    touched[row, column, 0], touched[row, column, 1] = count, last
