"""Flow directions on a height grid on the CPU: one receiver a cell, and flow spread over many.

A receiver is stored as one byte, a direction code: 0..7 in row-major order of the eight neighbours

    0 1 2
    3 . 4      so that 7 - code is the way back, and NONE (8) marks an outlet on the edge or a pit inside.
    5 6 7

One byte keeps a million cells in the cache. The neighbour order and the strict comparison are those of fastscapelib's
SingleFlowRouter, so that results can be compared cell by cell. Arguments are checked in backend.ops.terrain.routing.

Rows are handed to several threads where a cell asks only for its neighbours. Walks along rivers are those of walks_cpu; flow over
many neighbours is one queue, on one thread.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.hashing_constants import GOLDEN_64
from backend.ops.hashing_cpu import finalise64
from backend.ops.kernel_threads import run_in_threads
from backend.ops.terrain.constants import NO_RECEIVER

NONE = NO_RECEIVER
_GOLDEN = np.uint64(GOLDEN_64)


@njit(cache=True)
def offsets(cols):
    """Flat index steps [9] for the direction codes on a grid of `cols` columns; NONE steps nowhere."""
    return np.array([-cols - 1, -cols, -cols + 1, -1, 1, cols - 1, cols, cols + 1, 0], np.int64)


@njit(cache=True, inline="always")
def hash_bits(cell, seed):
    """64 bits that depend on nothing but the arguments: SplitMix64 (Steele, Lea and Flood 2014)."""
    h = (np.uint64(seed) << np.uint64(32)) + np.uint64(cell) + np.uint64(1)
    return finalise64(h * _GOLDEN)


def steepest_receivers(height, pixel_size):
    """Direction codes [H, W] of steepest descent on `height` [H, W] float64 (O'Callaghan and Mark 1984, "D8")."""
    codes = np.empty(height.shape, np.uint8)
    run_in_threads(_steepest_rows, len(codes), height, pixel_size, codes)
    return codes


@njit(cache=True, nogil=True, error_model="numpy")
def _steepest_rows(begin, end, height, pixel_size, codes):
    rows, cols = height.shape
    diagonal = np.sqrt(2.0 * pixel_size * pixel_size)
    codes[begin:end] = NONE
    for r in range(max(begin, 1), min(end, rows - 1)):
        above = height[r - 1]
        here = height[r]
        below = height[r + 1]
        out = codes[r]
        for c in range(1, cols - 1):
            z = here[c]
            best = 0.0
            code = NONE
            s = (z - above[c - 1]) / diagonal
            if s > best:
                best, code = s, 0
            s = (z - above[c]) / pixel_size
            if s > best:
                best, code = s, 1
            s = (z - above[c + 1]) / diagonal
            if s > best:
                best, code = s, 2
            s = (z - here[c - 1]) / pixel_size
            if s > best:
                best, code = s, 3
            s = (z - here[c + 1]) / pixel_size
            if s > best:
                best, code = s, 4
            s = (z - below[c - 1]) / diagonal
            if s > best:
                best, code = s, 5
            s = (z - below[c]) / pixel_size
            if s > best:
                best, code = s, 6
            s = (z - below[c + 1]) / diagonal
            if s > best:
                best, code = s, 7
            out[c] = code


def random_receivers(height, pixel_size, jitter, seed):
    """Direction codes [H, W] where each falling slope is first shortened by up to the share `jitter` 0..1 at random.

    The spirit of Rho8 (Fairfield and Leymarie 1991): on a plane the eight directions are hit in such turns that the
    flow runs, on the whole, down the true slope and not along the grid. The numbers are hashed from cell, direction
    and `seed`, never drawn, so threads do not matter.
    """
    codes = np.empty(height.shape, np.uint8)
    run_in_threads(_random_rows, len(codes), height, pixel_size, jitter, seed, codes)
    return codes


@njit(cache=True, nogil=True, error_model="numpy")
def _random_rows(begin, end, height, pixel_size, jitter, seed, codes):
    rows, cols = height.shape
    diagonal = np.sqrt(2.0 * pixel_size * pixel_size)
    codes[begin:end] = NONE
    for r in range(max(begin, 1), min(end, rows - 1)):
        for c in range(1, cols - 1):
            best = 0.0
            bits = hash_bits(r * cols + c, seed)  # one byte for each direction is fine enough
            for k in range(8):
                step = k if k < 4 else k + 1
                dr = step // 3 - 1
                dc = step % 3 - 1
                fall = height[r, c] - height[r + dr, c + dc]
                if fall > 0.0:
                    length = diagonal if dr != 0 and dc != 0 else pixel_size
                    chance = (np.float64((bits >> np.uint64(8 * k)) & np.uint64(255)) + 0.5) / 256.0
                    s = fall / length * (1.0 - jitter * chance)
                    if s > best:
                        best = s
                        codes[r, c] = k


@njit(cache=True, nogil=True)
def spread_cells(height):
    """Cells draining through each cell [H, W] float64 when water goes to all lower neighbours (Quinn et al. 1991).

    A neighbour takes a share in proportion to slope times contour length (0.5 along an axis, sqrt(2)/4 across the
    corner: their eq. 3). `height` float64 must have no inner minimum and no level patch inside. Cells on the edge are
    outlets. Cells are visited as soon as all higher neighbours have been (Kahn's order).
    """
    rows, cols = height.shape
    flat = height.ravel()
    step = offsets(cols)
    weight = np.array([0.25, 0.5, 0.25, 0.5, 0.5, 0.25, 0.5, 0.25])  # sqrt(2)/4 over a length of sqrt(2) is 0.25
    waiting = np.zeros(rows * cols, np.int8)
    total = np.ones(rows * cols)
    for r in range(1, rows - 1):
        for c in range(1, cols - 1):
            cell = r * cols + c
            for k in range(8):
                if flat[cell + step[k]] < flat[cell]:
                    waiting[cell + step[k]] += 1
    queue = np.empty(rows * cols, np.int32)
    tail = 0
    for cell in range(rows * cols):
        if waiting[cell] == 0:
            queue[tail] = cell
            tail += 1
    for head in range(rows * cols):
        if head >= tail:
            break
        cell = np.int64(queue[head])
        r = cell // cols
        c = cell - r * cols
        if r == 0 or c == 0 or r == rows - 1 or c == cols - 1:
            continue
        shares = 0.0
        for k in range(8):
            shares += weight[k] * max(flat[cell] - flat[cell + step[k]], 0.0)
        for k in range(8):
            n = cell + step[k]
            fall = flat[cell] - flat[n]
            if fall > 0.0:
                total[n] += total[cell] * (weight[k] * fall / shares)
                waiting[n] -= 1
                if waiting[n] == 0:
                    queue[tail] = n
                    tail += 1
    return total.reshape(rows, cols)
