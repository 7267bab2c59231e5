"""Neighbours on a grid of cells, by direction code, with plain torch operations on any device.

0 1 2
3 . 4      7 - code is the way back, and NO_RECEIVER (8) steps nowhere.
5 6 7
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.terrain.constants import NO_RECEIVER

DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))  # (rows, columns), by code


def offsets(columns: int, device: torch.device) -> Tensor:
    """Flat index steps [9] int64 for the direction codes on a grid of `columns` columns."""
    return torch.tensor([*(dr * columns + dc for dr, dc in DIRECTIONS), 0], device=device)


def receivers(codes: Tensor) -> Tensor:
    """The flat index [N] int64 of the cell to which each cell's direction code [H, W] leads; its own for NO_RECEIVER."""
    flat = codes.flatten().long()
    return torch.arange(len(flat), device=codes.device) + offsets(codes.shape[1], codes.device)[flat]


def receiver_lengths(codes: Tensor) -> Tensor:
    """How far it is to each cell's receiver [H, W] float64, in pixels: 1, across a corner its diagonal; 1 for NO_RECEIVER."""
    lengths = [*((2.0 if dr and dc else 1.0) ** 0.5 for dr, dc in DIRECTIONS), 1.0]
    return torch.tensor(lengths, dtype=torch.float64, device=codes.device)[codes.long()]


def inner(values: Tensor, code: int = NO_RECEIVER) -> Tensor:
    """A view [H - 2, W - 2] of the neighbours in one direction of the cells inside the edge; of those cells by default."""
    dr, dc = DIRECTIONS[code] if code < NO_RECEIVER else (0, 0)
    rows, columns = values.shape
    return values[1 + dr : rows - 1 + dr, 1 + dc : columns - 1 + dc]


def edge_mask(rows: int, columns: int, device: torch.device) -> Tensor:
    """Which cells [H, W] bool lie on the edge."""
    mask = torch.ones(rows, columns, dtype=torch.bool, device=device)
    mask[1:-1, 1:-1] = False
    return mask
