"""One step of Adam on a map, on the CPU, in one pass over memory; the op is backend.ops.adam."""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads

HALVINGS = 5
LEAST_SQUARES = 1 << 16  # summed side by side


def adam_step(image, ascent, mean, square, rate, floor, decay_mean, decay_square, correct_mean, correct_square, patch):
    """One step of Adam (Kingma and Ba 2015, algorithm 1) along `ascent`, in place; all arrays float32 [H, W].

    patch: the side of the patches that `ascent` was gathered from; near the edge the step is as short as the pixel's share
    of them.
    """
    run_in_threads(
        _adam_rows, image.shape[0],
        image, ascent, mean, square, rate, floor, decay_mean, decay_square, correct_mean, correct_square, patch,
    )  # fmt: skip


def mean_square(values):
    """The mean of the squares of a contiguous float32 array: NumPy's number, whose halves are summed side by side as NumPy does."""
    flat = values.reshape(-1)
    if flat.size < LEAST_SQUARES:
        return np.mean(np.square(flat))
    pieces = [(0, flat.size)]
    for _ in range(HALVINGS):
        pieces = [half for first, last in pieces for half in _halves(first, last)]
    sums = run_in_threads(_sum_squares, len(pieces), flat, pieces)
    parts = [part for some in sums for part in some]
    while len(parts) > 1:
        parts = [first + second for first, second in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0] / np.float32(flat.size)


def _halves(first, last):
    """As NumPy's pairwise sum cuts: the first half a multiple of its eight lanes; nothing where it does not cut."""
    half = (last - first) // 2
    half -= half % 8
    return ((first, first + half), (first + half, last))


def _sum_squares(begin, end, flat, pieces):
    return [np.sum(np.square(flat[first:last])) for first, last in pieces[begin:end]]


@njit(cache=True, nogil=True, error_model="numpy")
def _adam_rows(
    begin, end, image, ascent, mean, square, rate, floor, decay_mean, decay_square, correct_mean, correct_square, patch
):  # fmt: skip
    one = np.float32(1)
    height, width = image.shape
    for y in range(begin, end):
        rows = min(y + 1, height - y, patch)
        _decay(ascent[y], mean[y], square[y], decay_mean, one - decay_mean, decay_square, one - decay_square)
        row, means, squares = image[y], mean[y], square[y]
        for x in range(width):
            share = np.float32(rows * min(x + 1, width - x, patch)) / np.float32(patch * patch)
            row[x] += share * rate * (means[x] * correct_mean) / (np.sqrt(squares[x] * correct_square) + floor)


@njit(cache=True)
def _decay(ascent, mean, square, keep_mean, take_mean, keep_square, take_square):
    """Of one row, and apart from the step: where more arrays might overlap, LLVM gives up on vectors."""
    for x in range(ascent.size):
        g = ascent[x]
        mean[x] = keep_mean * mean[x] + take_mean * g
        square[x] = keep_square * square[x] + take_square * g * g
