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
        sums = np.empty(5)
        for i in range(max(first, 1), min(last, height - 1)):
            y = (first_row + i + 0.5) / cell
            row = min(int(y), cells.shape[0] - 1)
            fy = y - row
            for j in range(left, right):
                if weights[i, j] <= 0 or not _products(model, pixels, scale, gain, offset, i, j, sums):
                    continue
                weight = weights[i, j]
                squared = sums[0]
                if squared > knee * knee:
                    weight *= knee / np.sqrt(squared)
                fx = (j + 0.5) / cell - column
                share[0], share[1], share[2], share[3] = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
                _add(cells[row, column], share, weight, sums, _residual(model, pixels, scale, gain, offset, i, j))


@njit(cache=True, inline="always")
def _corrected(pixels, scale, gain, offset, i, j, k):
    return gain[k] * (pixels[i, j, k] * scale) + offset[k]


@njit(cache=True)
def _products(model, pixels, scale, gain, offset, i, j, sums):
    """sums: squared residual, gxx, gxy, gyy over the channels; False where a neighbour is missing."""
    sums[:] = 0.0
    for k in range(3):
        if np.isnan(model[i, j, k] + model[i, j - 1, k] + model[i, j + 1, k] + model[i - 1, j, k] + model[i + 1, j, k]):
            return False
        gx, gy = _gradient(model, pixels, scale, gain, i, j, k)
        residual = model[i, j, k] - _corrected(pixels, scale, gain, offset, i, j, k)
        sums[0] += residual * residual
        sums[1] += gx * gx
        sums[2] += gx * gy
        sums[3] += gy * gy
    return True


@njit(cache=True, inline="always")
def _gradient(model, pixels, scale, gain, i, j, k):
    """Half of the model's central difference and half of the photograph's."""
    factor = gain[k] * scale
    gx = model[i, j + 1, k] - model[i, j - 1, k] + factor * (np.float64(pixels[i, j + 1, k]) - pixels[i, j - 1, k])
    gy = model[i + 1, j, k] - model[i - 1, j, k] + factor * (np.float64(pixels[i + 1, j, k]) - pixels[i - 1, j, k])
    return 0.25 * gx, 0.25 * gy


@njit(cache=True)
def _residual(model, pixels, scale, gain, offset, i, j):
    """gx r and gy r over the channels."""
    along_x, along_y = 0.0, 0.0
    for k in range(3):
        gx, gy = _gradient(model, pixels, scale, gain, i, j, k)
        residual = model[i, j, k] - _corrected(pixels, scale, gain, offset, i, j, k)
        along_x += gx * residual
        along_y += gy * residual
    return along_x, along_y


@njit(cache=True)
def _add(cell, share, weight, sums, along):
    pair = 0
    for a in range(4):
        for b in range(a, 4):
            product = weight * share[a] * share[b]
            cell[3 * pair] += product * sums[1]
            cell[3 * pair + 1] += product * sums[2]
            cell[3 * pair + 2] += product * sums[3]
            pair += 1
        cell[3 * PAIRS + 2 * a] += weight * share[a] * along[0]
        cell[3 * PAIRS + 2 * a + 1] += weight * share[a] * along[1]
    cell[3 * PAIRS + 8] += weight
    cell[3 * PAIRS + 9] += weight * sums[0]
