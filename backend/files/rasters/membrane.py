"""Holes in a height map closed by a membrane: the surface that is stretched over a hole from its rim, Laplace's equation.

No direction is preferred, so that no rays, bars or plaid show, and no height lies beyond those of the rim. At the map's border the
membrane ends level. Solved by multigrid (Briggs, Henson and McCormick, A Multigrid Tutorial, 2000) with damped Jacobi sweeps: every
step is a sum of neighbours, so that the same holes give the same bytes with any number of threads. Many small holes are solved
together, exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

SMALL_CELLS = 4096  # a hole with fewer is solved exactly
BATCH_CELLS = 40_000  # of small holes, solved at once
CYCLES = 12
SWEEPS = 3  # before and after each coarser grid
COARSEST = 8  # cells along the shorter side of the coarsest grid
COARSEST_SWEEPS = 200
DAMPING = 0.8  # of Jacobi's steps in two dimensions
PRECISION = 1e-4  # of the rim's relief: cycles end when no cell moves further
MARGIN = 1  # cells around a hole that its rim takes


def fill(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """float32 [H, W]: `values` where there is data, the membrane in the holes.

    values: float32 [H, W]; what holes contain is not looked at, be it NaN. hole: [H, W] bool, not True everywhere.
    """
    filled = np.where(hole, np.float32(0.0), values).astype(np.float32)
    labelled: Any = ndimage.label(hole)  # typed as a number alone
    numbered, count = labelled
    if not count:
        return filled
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)
    small = sizes <= SMALL_CELLS
    small[0] = False
    _fill_small(filled, numbered, small)
    for number, box in enumerate(ndimage.find_objects(numbered), start=1):
        if not small[number]:
            around = tuple(slice(max(0, side.start - MARGIN), side.stop + MARGIN) for side in box)
            own = numbered[around] == number
            filled[around] = np.where(own, _relaxed(filled[around], own), filled[around])
    return filled


# Small holes ---------------------------------------------------------------------------------------------------------------------


def _fill_small(filled: np.ndarray, numbered: np.ndarray, small: np.ndarray) -> None:
    """All holes that `small` names, a batch of whole holes at a time."""
    cells = np.flatnonzero(small[numbered.ravel()])
    if not cells.size:
        return
    cells = cells[np.argsort(numbered.ravel()[cells], kind="stable")]
    number = numbered.ravel()[cells]
    batch = np.arange(cells.size) // BATCH_CELLS
    starts = np.flatnonzero(np.r_[True, number[1:] != number[:-1]])
    batch = np.repeat(batch[starts], np.diff(np.r_[starts, cells.size]))  # a hole goes with its first cell
    for index in np.unique(batch):
        _solve(filled, cells[batch == index])


def _solve(filled: np.ndarray, cells: np.ndarray) -> None:
    """The mean of the neighbours in each cell, as one sparse system. cells: flat indices, whole holes."""
    rows, columns = filled.shape
    cells = np.sort(cells)
    row, column = np.divmod(cells, columns)
    flat = filled.ravel()  # a view: filled is contiguous
    degree, known = np.zeros(cells.size), np.zeros(cells.size)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        inside = (row + down >= 0) & (row + down < rows) & (column + right >= 0) & (column + right < columns)
        neighbor = cells + down * columns + right
        at = np.minimum(np.searchsorted(cells, neighbor), cells.size - 1)
        unknown = inside & (cells[at] == neighbor)
        degree += inside
        rim = inside & ~unknown
        known[rim] += flat[neighbor[rim]]
        pairs.append((np.flatnonzero(unknown), at[unknown]))
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    matrix = sparse.csc_matrix((np.full(first.size, -1.0), (first, second)), (cells.size, cells.size))
    solved: Any = spsolve(matrix + sparse.diags(degree).tocsc(), known, permc_spec="MMD_AT_PLUS_A")
    flat[cells] = np.atleast_1d(solved)


# Large holes ---------------------------------------------------------------------------------------------------------------------


def _relaxed(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The membrane over one hole in its box, by multigrid cycles. float32 [h, w]."""
    rows, columns = values.shape
    levels = max(0, int(np.log2(max(min(rows, columns) / COARSEST, 1))))
    block = 1 << levels
    pads = ((0, -rows % block), (0, -columns % block))
    free = [np.pad(hole, pads, constant_values=True)]
    for _ in range(levels):
        free.append(np.asarray(_blocks(free[-1]).all(axis=(1, 3))))
    rim = ndimage.binary_dilation(hole) & ~hole
    middle, relief = float(values[rim].mean(dtype=np.float64)), float(np.ptp(values[rim]))
    heights = np.pad(np.where(hole, np.float32(0.0), values - np.float32(middle)), pads)
    heights = _first_guess(heights, free)
    for _ in range(CYCLES):
        before = heights
        heights = _cycle(heights, np.zeros_like(heights), free)
        if float(np.abs(heights - before).max()) <= PRECISION * max(relief, 1e-3):
            break
    return heights[:rows, :columns] + np.float32(middle)


def _blocks(values: np.ndarray) -> np.ndarray:
    """A view of [h, w] as [h / 2, 2, w / 2, 2]."""
    return values.reshape(values.shape[0] // 2, 2, values.shape[1] // 2, 2)


def _first_guess(heights: np.ndarray, free: list[np.ndarray]) -> np.ndarray:
    """From coarse to fine: the mean of what is known in each block, relaxed at each level."""
    known = [(np.where(free[0], np.float32(0.0), heights), (~free[0]).astype(np.float32))]
    for _ in free[1:]:
        total, weight = known[-1]
        known.append((_blocks(total).sum(axis=(1, 3)), _blocks(weight).sum(axis=(1, 3))))
    guess = np.zeros_like(known[-1][0])
    for level in range(len(free) - 1, -1, -1):
        total, weight = known[level]
        guess = np.where(weight > 0, total / np.maximum(weight, 1e-20), guess)
        sweeps = COARSEST_SWEEPS if level == len(free) - 1 else 2 * SWEEPS
        guess = _smoothed(guess, np.zeros_like(guess), weight == 0, sweeps)
        if level:
            guess = _finer(guess)
    return guess


def _cycle(heights: np.ndarray, source: np.ndarray, free: list[np.ndarray]) -> np.ndarray:
    """One V-cycle for: four times a cell less its neighbours is `source`, where free[0]."""
    if len(free) == 1:
        return _smoothed(heights, source, free[0], COARSEST_SWEEPS)
    heights = _smoothed(heights, source, free[0], SWEEPS)
    left = np.where(free[0], source - (4 * heights - _neighbors(heights)), np.float32(0.0))
    coarse = _blocks(left).sum(axis=(1, 3))  # a coarse cell has four times the area, and its operator no scale
    correction = _cycle(np.zeros_like(coarse), coarse, free[1:])
    heights = heights + np.where(free[0], _finer(correction), np.float32(0.0))
    return _smoothed(heights, source, free[0], SWEEPS)


def _smoothed(heights: np.ndarray, source: np.ndarray, free: np.ndarray, sweeps: int) -> np.ndarray:
    step = np.where(free, np.float32(DAMPING / 4), np.float32(0.0))
    for _ in range(sweeps):
        heights = heights + step * (source + _neighbors(heights) - 4 * heights)
    return heights


def _neighbors(values: np.ndarray) -> np.ndarray:
    """The sum of the four neighbours; beyond the border a cell meets itself, so that the surface ends level."""
    total = np.zeros_like(values)
    total[1:] += values[:-1]
    total[0] += values[0]
    total[:-1] += values[1:]
    total[-1] += values[-1]
    total[:, 1:] += values[:, :-1]
    total[:, 0] += values[:, 0]
    total[:, :-1] += values[:, 1:]
    total[:, -1] += values[:, -1]
    return total


def _finer(values: np.ndarray) -> np.ndarray:
    """Twice as many rows and columns, bilinear: 9, 3, 3 and 1 sixteenths of the four nearest."""
    for axis in (0, 1):
        moved = np.moveaxis(values, axis, 0)
        before, after = np.concatenate([moved[:1], moved[:-1]]), np.concatenate([moved[1:], moved[-1:]])
        out = np.empty((2 * len(moved), *moved.shape[1:]), np.float32)
        out[0::2], out[1::2] = 0.75 * moved + 0.25 * before, 0.75 * moved + 0.25 * after
        values = np.moveaxis(out, 0, axis)
    return np.ascontiguousarray(values)
