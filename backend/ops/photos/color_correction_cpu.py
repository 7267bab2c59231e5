"""Loops over photographs' mean colours in coarse cells of the texture; described in backend/ops/photos/color_correction.py.

They are short and run on one thread, in one order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.simd import peek, poke


@njit(cache=True, nogil=True)
def gather_cells(uv, weights, pixels, scale, left, bottom, width, side, sums):
    """Add a strip's colours to sums float64 [tiles * side * side, 4]: weight, and weighted decoded colour.

    uv [h, W, 2], weights [h, W], pixels [h, W, 3]. Tiles: a table of width columns from (left, bottom) on.
    """
    rows, columns = weights.shape
    height = sums.shape[0] // (width * side * side)
    for i in range(rows):
        for j in range(columns):
            weight, u, v = weights[i, j], uv[i, j, 0] - left, uv[i, j, 1] - bottom
            if not weight > 0 or not (0 <= u < width and 0 <= v < height):
                continue
            tile = int(v) * width + int(u)
            cell = tile * side * side + int((v - int(v)) * side) * side + int((u - int(u)) * side)
            sums[cell, 0] += weight
            for k in range(3):
                sums[cell, 1 + k] += weight * scale * pixels[i, j, k]


@njit(cache=True, nogil=True)
def alternate(photograph, cell, weight, color, per_channel, with_bias, knee, prior, rounds, gain, bias, cells):
    """Colours of cells and gain and bias [P, 3] of photographs in turn, in place: color = gain * cell + bias.

    photograph, cell int32 [n]; weight [n]; color float64 [n, 3]; cells float64 [C, 3], written. per_channel: a gain for each
    channel, else one for all. knee: residuals (norm over channels) above it weigh less. prior: how firmly a gain is held to 1
    and a bias to 0, two numbers beside the mean squared colour.
    """
    robust, flat, means = weight.copy(), color.reshape(color.size), cells.reshape(cells.size)
    below, starts = np.empty(cells.size), _runs(photograph)
    sums = np.empty((len(gain), 3, 5))
    for turn in range(rounds):
        means[:] = 0.0
        below[:] = 0.0
        for run in range(len(starts) - 1):
            begin, end, p = starts[run], starts[run + 1], photograph[starts[run]]
            _add_to_cells(cell[begin:end], robust[begin:end], flat[3 * begin :], gain[p], bias[p], means, below)
        for c in range(means.size):
            means[c] /= max(below[c], 1e-30)
        sums[:] = 0.0
        for run in range(len(starts) - 1):
            begin, end, p = starts[run], starts[run + 1], photograph[starts[run]]
            _weaken(
                cell[begin:end], weight[begin:end], flat[3 * begin :], gain[p], bias[p], means,
                knee if turn > 1 else np.inf, robust[begin:end],
            )  # fmt: skip
            for k in range(3):
                _add_to_sums(cell[begin:end], robust[begin:end], flat[3 * begin + k :], means[k:], sums[p, k])
        for p in range(len(gain)):
            regress(sums[p], per_channel, with_bias, prior, gain[p], bias[p])
        fix_gauge(gain, bias, sums)


@njit(cache=True)
def _runs(photograph):
    """Where runs of one photograph begin; the last one's end after them."""
    starts, count = np.empty(len(photograph) + 1, np.int64), 0
    for i in range(len(photograph)):
        if i == 0 or photograph[i] != photograph[i - 1]:
            starts[count] = i
            count += 1
    starts[count] = len(photograph)
    return starts[: count + 1]


@njit(cache=True)
def _add_to_cells(cell, robust, color, gain, bias, above, below):
    """One photograph's say in its cells' colours. color, above, below: flat, three a cell."""
    g0, g1, g2 = gain
    b0, b1, b2 = bias
    for i in range(cell.size):
        c, r = 3 * np.int64(peek(cell, i)), peek(robust, i)
        r0, r1, r2 = r * g0, r * g1, r * g2
        poke(above, c, peek(above, c) + r0 * (peek(color, 3 * i) - b0))
        poke(above, c + 1, peek(above, c + 1) + r1 * (peek(color, 3 * i + 1) - b1))
        poke(above, c + 2, peek(above, c + 2) + r2 * (peek(color, 3 * i + 2) - b2))
        poke(below, c, peek(below, c) + r0 * g0)
        poke(below, c + 1, peek(below, c + 1) + r1 * g1)
        poke(below, c + 2, peek(below, c + 2) + r2 * g2)


@njit(cache=True, error_model="numpy")
def _weaken(cell, weight, color, gain, bias, means, knee, robust):
    """One photograph's weights, less where its residual is above knee."""
    g0, g1, g2 = gain
    b0, b1, b2 = bias
    for i in range(cell.size):
        c = 3 * np.int64(peek(cell, i))
        red = g0 * peek(means, c) + b0 - peek(color, 3 * i)
        green = g1 * peek(means, c + 1) + b1 - peek(color, 3 * i + 1)
        blue = g2 * peek(means, c + 2) + b2 - peek(color, 3 * i + 2)
        squared = red * red + green * green + blue * blue
        share = knee / np.sqrt(squared)
        poke(robust, i, peek(weight, i) * (share if share < 1.0 else 1.0))


@njit(cache=True)
def _add_to_sums(cell, robust, color, means, sums):
    """One photograph's channel against its cells: weight, model, color, model², model color. color, means: every third."""
    w, model, shown, squared, product = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(cell.size):
        r, m, d = peek(robust, i), peek(means, 3 * np.int64(peek(cell, i))), peek(color, 3 * i)
        rm = r * m
        w += r
        model += rm
        shown += r * d
        squared += rm * m
        product += rm * d
    sums[0] += w
    sums[1] += model
    sums[2] += shown
    sums[3] += squared
    sums[4] += product


@njit(cache=True, nogil=True)
def regress(sums, per_channel, with_bias, prior, gain, bias):
    """Gain and bias [3], in place, from sums [3, 5]: weight, model, color, model², model color."""
    if not sums[0, 0] > 0:
        gain[:] = 1.0
        bias[:] = 0.0
        return
    if not per_channel:
        above, below = 0.0, 0.0
        for k in range(3):
            above += sums[k, 4] + prior[0] * sums[k, 0]
            below += sums[k, 3] + prior[0] * sums[k, 0]
        gain[:] = above / below
        bias[:] = 0.0
        return
    for k in range(3):
        w, m, d, mm, md = sums[k]
        mm, md = mm + prior[0] * w, md + prior[0] * w
        if with_bias:
            ww = w * (1.0 + prior[1])
            determinant = mm * ww - m * m
            gain[k] = (md * ww - m * d) / determinant
            bias[k] = (mm * d - m * md) / determinant
        else:
            gain[k] = md / mm
            bias[k] = 0.0
        gain[k] = min(max(gain[k], 0.1), 10.0)


@njit(cache=True, nogil=True)
def fix_gauge(gain, bias, sums):
    """Make the weighted geometric mean of the gains 1 and the weighted mean of the biases 0, channel by channel.

    Returns scale, shift [3]: colours that were t are now scale * t + shift. sums[p, k, 0] is photograph p's weight.
    """
    scale, shift = np.ones(3), np.zeros(3)
    for k in range(3):
        total, logs = 0.0, 0.0
        for p in range(len(gain)):
            total += sums[p, k, 0]
            logs += sums[p, k, 0] * np.log(gain[p, k])
        if not total > 0:
            continue
        scale[k] = np.exp(logs / total)
        biases, gains = 0.0, 0.0
        for p in range(len(gain)):
            gain[p, k] /= scale[k]
            biases += sums[p, k, 0] * bias[p, k]
            gains += sums[p, k, 0] * gain[p, k]
        shift[k] = biases / gains
        for p in range(len(gain)):
            bias[p, k] -= gain[p, k] * shift[k]
    return scale, shift
