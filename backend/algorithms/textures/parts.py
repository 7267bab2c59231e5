"""The parts of a sample that may be used: all of it, or rectangles around its transparent holes."""

from __future__ import annotations

import numpy as np

OPAQUE = 0.99
MOST_PARTS = 6
LEAST_SHARE = 0.05  # of the sample's pixels that a further rectangle must bring


def opaque_rectangles(alpha: np.ndarray, least_px: int) -> list[tuple[slice, slice]]:
    """Rectangles of a sample [H, W] without a transparent pixel, the largest first, none overlapping; of at least least_px a side.

    Empty where there are none.
    """
    free = alpha >= OPAQUE
    if free.all():
        return [(slice(0, free.shape[0]), slice(0, free.shape[1]))]
    found: list[tuple[slice, slice]] = []
    while len(found) < MOST_PARTS:
        rows, columns = largest_rectangle(free, least_px)
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        if not area or (found and area < LEAST_SHARE * free.size):
            break
        found.append((rows, columns))
        free[rows, columns] = False
    return found


def largest_rectangle(free: np.ndarray, least_px: int) -> tuple[slice, slice]:
    """The largest rectangle [H, W] in which all is True, no side below least_px; empty slices where there is none.

    Row by row with the heights of the columns that end there and a stack of rising ones, in time H * W.
    """
    best, found = 0, (slice(0, 0), slice(0, 0))
    heights = np.zeros(free.shape[1] + 1, int)
    for row, line in enumerate(free):
        heights[:-1] = (heights[:-1] + 1) * line
        stack: list[tuple[int, int]] = []  # first column and height of rectangles that still grow to the right
        for column, height in enumerate(heights.tolist()):
            first = column
            while stack and stack[-1][1] >= height:
                first, tall = stack.pop()
                wide = column - first
                if tall * wide > best and min(tall, wide) >= least_px:
                    best = tall * wide
                    found = (slice(row + 1 - tall, row + 1), slice(first, column))
            stack.append((first, height))
    return found
