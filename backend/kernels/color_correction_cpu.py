"""Loops over photographs' mean colours in coarse cells of the texture; told in backend/ops/color_correction.py.

They are short and run on one thread, in one order.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
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


@njit(cache=True)
def alternate(photograph, cell, weight, color, per_channel, with_bias, knee, prior, rounds, gain, bias, cells):
    """Colours of cells and gain and bias [P, 3] of photographs in turn, in place: color = gain * cell + bias.

    photograph, cell int32 [n]; weight [n]; color float64 [n, 3]; cells float64 [C, 3], written. per_channel: a gain for each
    channel, else one for all. knee: residuals (norm over channels) above it weigh less. prior: how firmly a gain is held to 1
    and a bias to 0, two numbers beside the mean squared colour.
    """
    count = len(photograph)
    robust = weight.copy()
    below = np.empty(cells.shape)
    sums = np.empty((len(gain), 3, 5))
    for turn in range(rounds):
        cells[:] = 0.0
        below[:] = 0.0
        for i in range(count):
            p, c = photograph[i], cell[i]
            for k in range(3):
                cells[c, k] += robust[i] * gain[p, k] * (color[i, k] - bias[p, k])
                below[c, k] += robust[i] * gain[p, k] * gain[p, k]
        for c in range(len(cells)):
            for k in range(3):
                cells[c, k] /= max(below[c, k], 1e-30)
        sums[:] = 0.0
        for i in range(count):
            p, c = photograph[i], cell[i]
            squared = 0.0
            for k in range(3):
                squared += (gain[p, k] * cells[c, k] + bias[p, k] - color[i, k]) ** 2
            robust[i] = weight[i] * min(1.0, knee / max(np.sqrt(squared), 1e-12)) if turn > 1 else weight[i]
            for k in range(3):
                m, d = cells[c, k], color[i, k]
                sums[p, k, 0] += robust[i]
                sums[p, k, 1] += robust[i] * m
                sums[p, k, 2] += robust[i] * d
                sums[p, k, 3] += robust[i] * m * m
                sums[p, k, 4] += robust[i] * m * d
        for p in range(len(gain)):
            regress(sums[p], per_channel, with_bias, prior, gain[p], bias[p])
        fix_gauge(gain, bias, sums)


@njit(cache=True)
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


@njit(cache=True)
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
