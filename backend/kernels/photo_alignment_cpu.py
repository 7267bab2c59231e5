"""The normal equations of a photograph's displacement, cell by cell of its grid of nodes; told in backend/ops/photo_alignment.py.

A cell belongs to one thread, which walks its pixels row by row: no byte depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

PAIRS = 10  # of a cell's four corners with themselves and each other
COLUMNS = 3 * PAIRS + 8 + 2  # gxx gxy gyy of each pair; gx r, gy r of each corner; weight, weighted squared residual


@njit(cache=True, parallel=True)
def accumulate(model, pixels, scale, gain, offset, weights, knee, cell, first_row, first, last, cells):
    """Add rows first to last - 1 of a strip to cells float64 [gy - 1, gx - 1, COLUMNS].

    model [h, W, 3] float32: the texture as this photograph would show it, NaN where it sees none. pixels [h, W, 3]: as
    decoded; scale brings them to 0..1, gain and offset [3] to the texture's colours. weights [h, W]. knee: residuals above
    it weigh less (Huber). cell: px. first_row: of the photograph, of the strip's row 0. Pixels without four neighbours
    have no gradient and are left out.
    """
    height, width = weights.shape
    columns = cells.shape[1]
    for column in prange(columns):
        left = max(int(np.ceil(column * cell - 0.5)), 1)
        right = min(int(np.ceil((column + 1) * cell - 0.5)), width - 1)
        if column == columns - 1:
            right = width - 1
        share = np.empty(4)
        sums = np.empty(6)
        for i in range(max(first, 1), min(last, height - 1)):
            y = (first_row + i + 0.5) / cell
            row = min(int(y), cells.shape[0] - 1)
            fy = y - row
            for j in range(left, right):
                if not weights[i, j] > 0 or not _products(model, pixels, scale, gain, offset, i, j, sums):
                    continue
                weight = np.float64(weights[i, j])
                if sums[0] > knee * knee:
                    weight *= knee / np.sqrt(sums[0])
                fx = (j + 0.5) / cell - column
                share[0], share[1], share[2], share[3] = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
                _add(cells[row, column], share, weight, sums)


@njit(cache=True)
def _products(model, pixels, scale, gain, offset, i, j, sums):
    """sums over the channels: squared residual, gx gx, gx gy, gy gy, gx r, gy r; False where a neighbour is missing.

    A gradient is half of the model's central difference and half of the photograph's.
    """
    if np.isnan(model[i, j, 0] + model[i, j - 1, 0] + model[i, j + 1, 0] + model[i - 1, j, 0] + model[i + 1, j, 0]):
        return False
    sums[:] = 0.0
    for k in range(3):
        factor = gain[k] * scale
        gx = model[i, j + 1, k] - model[i, j - 1, k] + factor * (np.float64(pixels[i, j + 1, k]) - pixels[i, j - 1, k])
        gy = model[i + 1, j, k] - model[i - 1, j, k] + factor * (np.float64(pixels[i + 1, j, k]) - pixels[i - 1, j, k])
        residual = model[i, j, k] - (factor * pixels[i, j, k] + offset[k])
        sums[0] += residual * residual
        sums[1] += 0.0625 * gx * gx
        sums[2] += 0.0625 * gx * gy
        sums[3] += 0.0625 * gy * gy
        sums[4] += 0.25 * gx * residual
        sums[5] += 0.25 * gy * residual
    return True


@njit(cache=True)
def _add(cell, share, weight, sums):
    pair = 0
    for a in range(4):
        own = weight * share[a]
        for b in range(a, 4):
            product = own * share[b]
            cell[3 * pair] += product * sums[1]
            cell[3 * pair + 1] += product * sums[2]
            cell[3 * pair + 2] += product * sums[3]
            pair += 1
        cell[3 * PAIRS + 2 * a] += own * sums[4]
        cell[3 * PAIRS + 2 * a + 1] += own * sums[5]
    cell[3 * PAIRS + 8] += weight
    cell[3 * PAIRS + 9] += weight * sums[0]
