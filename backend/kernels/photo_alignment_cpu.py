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


@njit(cache=True)
def solve_step(cells, nodes, data_scale, bend_scale, length_scale):
    """The Gauss-Newton step of all nodes [gy, gx, 2], and the matrix's and right side's share in it, data alone.

    Minimises data_scale (s' A s - 2 b' s) + bend_scale |second differences of nodes + s|² + length_scale |nodes + s|², A and
    b being assembled from cells. Returns step, s'As, b's. Cholesky's factorisation in a band, on one thread, in one order.
    """
    rows, columns = nodes.shape[:2]
    size, width = 2 * rows * columns, 4 * columns + 2
    band = np.zeros((size, width + 1))  # band[i, k] = entry (i, i - k)
    data = np.zeros((size, width + 1))
    side, force = np.zeros(size), np.zeros(size)
    _assemble_cells(cells, columns, data, force)
    for i in range(size):
        side[i] = data_scale * force[i]
        for k in range(width + 1):
            band[i, k] = data_scale * data[i, k]
        band[i, 0] += length_scale
        side[i] -= length_scale * nodes[i // 2 // columns, i // 2 % columns, i % 2]
    _assemble_bends(nodes, bend_scale, band, side)
    step = _solve_banded(band, side)
    return step.reshape(nodes.shape), _quadratic(data, step), np.dot(force, step)


@njit(cache=True)
def _put(band, i, j, value):
    """Add to entry (i, j) of a symmetric matrix kept by its lower band."""
    if i >= j:
        band[i, i - j] += value


@njit(cache=True)
def _assemble_cells(cells, columns, data, force):
    corner = np.empty(4, np.int64)
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            cell = cells[y, x]
            corner[0], corner[1] = y * columns + x, y * columns + x + 1
            corner[2], corner[3] = corner[0] + columns, corner[1] + columns
            pair = 0
            for a in range(4):
                for b in range(a, 4):
                    for k in range(2):
                        for m in range(2):
                            value = cell[3 * pair + k + m]
                            _put(data, 2 * corner[a] + k, 2 * corner[b] + m, value)
                            if a != b:
                                _put(data, 2 * corner[b] + m, 2 * corner[a] + k, value)
                    pair += 1
                for k in range(2):
                    force[2 * corner[a] + k] += cell[3 * PAIRS + 2 * a + k]


@njit(cache=True)
def _assemble_bends(nodes, scale, band, side):
    """Second differences along rows, along columns, and twice the mixed ones."""
    rows, columns = nodes.shape[:2]
    at = np.empty(4, np.int64)
    factor = np.empty(4)
    for y in range(rows):
        for x in range(columns):
            here = y * columns + x
            for kind in range(3):
                if kind == 0 and 0 < x < columns - 1:
                    at[0], at[1], at[2], at[3] = here - 1, here, here + 1, here
                    factor[0], factor[1], factor[2], factor[3] = 1.0, -2.0, 1.0, 0.0
                elif kind == 1 and 0 < y < rows - 1:
                    at[0], at[1], at[2], at[3] = here - columns, here, here + columns, here
                    factor[0], factor[1], factor[2], factor[3] = 1.0, -2.0, 1.0, 0.0
                elif kind == 2 and x < columns - 1 and y < rows - 1:
                    at[0], at[1], at[2], at[3] = here, here + 1, here + columns, here + columns + 1
                    root = np.sqrt(2.0)
                    factor[0], factor[1], factor[2], factor[3] = root, -root, -root, root
                else:
                    continue
                for k in range(2):
                    bent = 0.0
                    for a in range(4):
                        bent += factor[a] * nodes[at[a] // columns, at[a] % columns, k]
                    for a in range(4):
                        side[2 * at[a] + k] -= scale * factor[a] * bent
                        for b in range(4):
                            _put(band, 2 * at[a] + k, 2 * at[b] + k, scale * factor[a] * factor[b])


@njit(cache=True)
def _solve_banded(band, side):
    """x of A x = side for a positive definite A kept by its lower band, which is overwritten."""
    size, width = band.shape[0], band.shape[1] - 1
    for i in range(size):
        for k in range(min(i, width), -1, -1):
            j = i - k
            value = band[i, k]
            for m in range(max(i - width, j - width, 0), j):
                value -= band[i, i - m] * band[j, j - m]
            band[i, k] = np.sqrt(value) if k == 0 else value / band[j, 0]
    x = side.copy()
    for i in range(size):
        for k in range(1, min(i, width) + 1):
            x[i] -= band[i, k] * x[i - k]
        x[i] /= band[i, 0]
    for i in range(size - 1, -1, -1):
        x[i] /= band[i, 0]
        for k in range(1, min(i, width) + 1):
            x[i - k] -= band[i, k] * x[i]
    return x


@njit(cache=True)
def _quadratic(data, x):
    total = 0.0
    for i in range(len(x)):
        total += data[i, 0] * x[i] * x[i]
        for k in range(1, min(i, data.shape[1] - 1) + 1):
            total += 2.0 * data[i, k] * x[i] * x[i - k]
    return total
