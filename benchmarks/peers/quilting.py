"""Image quilting (Efros and Freeman 2001, "Image quilting for texture synthesis and transfer", doi:10.1145/383259.383296): the peer
that copies whole blocks and joins them along the cheapest cut.

As published: blocks laid in raster order, one of those whose overlap is within a tenth of the best error is drawn by chance, and
the cut through the overlap is the cheapest path by dynamic programming.
"""

from __future__ import annotations

import numpy as np

TOLERANCE = 0.1


def quilt(sample: np.ndarray, side: int, *, block_px: int, seed: int = 0) -> np.ndarray:
    """A texture [C, side, side] of a sample [C, h, w] float32; blocks overlap by a sixth of their side."""
    overlap = max(2, block_px // 6)
    step = block_px - overlap
    count = -(-(side - overlap) // step)
    draw = np.random.default_rng(seed)
    canvas = np.zeros((sample.shape[0], count * step + overlap, count * step + overlap), np.float32)
    blocks = np.lib.stride_tricks.sliding_window_view(sample, (block_px, block_px), axis=(1, 2))
    for row in range(count):
        for column in range(count):
            y, x = row * step, column * step
            there = canvas[:, y : y + block_px, x : x + block_px]
            block = _chosen(blocks, there, row > 0, column > 0, overlap, draw)
            keep = np.zeros((block_px, block_px), bool)  # of what is there already
            if column:
                keep[:, :overlap] |= _left_of_cut(((there - block)[:, :, :overlap] ** 2).sum(0))
            if row:
                keep[:overlap] |= _left_of_cut(((there - block)[:, :overlap] ** 2).sum(0).T).T
            canvas[:, y : y + block_px, x : x + block_px] = np.where(keep, there, block)
    return canvas[:, :side, :side]


def _chosen(
    blocks: np.ndarray, there: np.ndarray, above: bool, left: bool, overlap: int, draw: np.random.Generator
) -> np.ndarray:
    rows, columns = blocks.shape[1:3]
    error = np.zeros((rows, columns))
    for used, place in ((above, np.s_[:overlap, :]), (left, np.s_[overlap if above else 0 :, :overlap])):
        if used:
            for channel in range(len(there)):
                part, wanted = blocks[channel][(..., *place)], there[channel][place]
                error += np.einsum("yxij,yxij->yx", part, part) - 2 * np.einsum("yxij,ij->yx", part, wanted)
                error += float((wanted**2).sum())
    candidates = np.argwhere(error <= max(error.min(), 1e-6) * (1 + TOLERANCE))
    y, x = candidates[draw.integers(len(candidates))]
    return blocks[:, y, x]


def _left_of_cut(error: np.ndarray) -> np.ndarray:
    """Which pixels [n, overlap] lie left of the cheapest path from top to bottom."""
    cost = error.astype(np.float64)
    for row in range(1, len(cost)):
        before = np.pad(cost[row - 1], 1, constant_values=np.inf)
        cost[row] += np.minimum(np.minimum(before[:-2], before[1:-1]), before[2:])
    keep = np.zeros(cost.shape, bool)
    column = int(cost[-1].argmin())
    for row in range(len(cost) - 1, -1, -1):
        keep[row, :column] = True
        if row:
            first = max(column - 1, 0)
            column = first + int(cost[row - 1, first : column + 2].argmin())
    return keep
