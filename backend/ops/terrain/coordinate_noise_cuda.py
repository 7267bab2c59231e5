"""Noise by coordinates in one launch on a card; the op is backend.ops.terrain.coordinate_noise, bit for bit the same."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import cuda, kernel
from backend.ops.hashing_cuda import mix32

_ACROSS = np.uint32(0x9E37_79B9)


def fill(
    rows: range, columns: range, streams: range, seed: int, period: tuple[int, int], deviation: float,
    device: torch.device | str,
) -> Tensor:  # fmt: skip
    """Numbers [len(rows), len(columns), len(streams)] float32; the steps of the ranges are 1."""
    made = torch.empty(len(rows), len(columns), len(streams), device=device)
    key = seed * 0x0100_0193 + streams.start & 0xFFFF_FFFF
    _fill.launch(tuple(made.shape), rows.start, columns.start, key, *period, deviation, made)
    return made


@kernel
def _fill(first_row, first_column, first_key, period_rows, period_columns, deviation, made):
    stream, x, y = cuda.grid(3)
    if y >= made.shape[0] or x >= made.shape[1] or stream >= made.shape[2]:
        return
    row, column = first_row + y, first_column + x
    if period_rows:
        row %= period_rows
    if period_columns:
        column %= period_columns
    key = mix32(np.uint32((first_key + stream) & 0xFFFF_FFFF))
    down = mix32(np.uint32((row ^ np.int64(key)) & 0xFFFF_FFFF))
    across = mix32(np.uint32((column * np.int64(_ACROSS) + np.int64(key)) & 0xFFFF_FFFF))
    made[y, x, stream] = (np.float64(mix32(np.uint32(down ^ across))) / 4294967296.0 - 0.5) * deviation
