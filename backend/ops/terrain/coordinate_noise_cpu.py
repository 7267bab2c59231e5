"""Noise by coordinates in one pass; the op is backend.ops.terrain.coordinate_noise, bit for bit the same."""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.hashing_cpu import mix32
from backend.ops.kernel_threads import run_in_threads


def fill(down: np.ndarray, across: np.ndarray, deviation: float) -> np.ndarray:
    """Numbers [len(down), len(across)] float32 from the hashes (uint32) of rows and columns."""
    made = np.empty((down.size, across.size), np.float32)
    run_in_threads(_rows, down.size, down, across, deviation, made)
    return made


def fill_maps(down: np.ndarray, across: np.ndarray, deviation: float) -> np.ndarray:
    """Numbers [rows, columns, streams] float32 from the hashes (uint32) of rows [rows, streams] and columns [columns, streams]."""
    made = np.empty((down.shape[0], across.size), np.float32)
    run_in_threads(_rows_of_maps, down.shape[0], down, across.reshape(-1), deviation, made)
    return made.reshape(*down.shape[:1], *across.shape)


@njit(cache=True, nogil=True)
def _rows_of_maps(begin, end, down, across, deviation, made):
    streams = down.shape[1]
    for y in range(begin, end):
        for x in range(across.size // streams):
            for k in range(streams):
                at = x * streams + k
                made[y, at] = np.float32((np.float64(mix32(down[y, k] ^ across[at])) / 4294967296.0 - 0.5) * deviation)


@njit(cache=True, nogil=True)
def _rows(begin, end, down, across, deviation, made):
    for y in range(begin, end):
        _row(down[y], across, deviation, made[y])


@njit(cache=True)
def _row(down, across, deviation, made):
    for x in range(across.size):
        made[x] = np.float32((np.float64(mix32(down ^ across[x])) / 4294967296.0 - 0.5) * deviation)
