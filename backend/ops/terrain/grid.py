"""Neighbours on a grid of cells, by direction code, with plain torch operations on any device.

0 1 2
3 . 4      7 - code is the way back, and NO_RECEIVER (8) steps nowhere.
5 6 7
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from backend.ops.terrain.constants import NO_RECEIVER

DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))  # (rows, columns), by code


@lru_cache(maxsize=64)
def offsets(columns: int, device: torch.device) -> Tensor:
    """Flat index steps [9] int64 for the direction codes on a grid of `columns` columns. Kept, as all small tables here: a copy to
    a card costs as much as a launch. Not to be changed."""
    return torch.tensor([*(dr * columns + dc for dr, dc in DIRECTIONS), 0], device=device)


def receivers(codes: Tensor) -> Tensor:
    """The flat index [N] int64 of the cell to which each cell's direction code [H, W] leads; its own for NO_RECEIVER."""
    flat = codes.flatten().long()
    return torch.arange(len(flat), device=codes.device) + offsets(codes.shape[1], codes.device)[flat]


def receiver_lengths(codes: Tensor) -> Tensor:
    """How far it is to each cell's receiver [H, W] float64, in pixels: 1, across a corner its diagonal; 1 for NO_RECEIVER."""
    return _lengths(codes.device)[codes.long()]


@lru_cache(maxsize=8)
def _lengths(device: torch.device) -> Tensor:
    lengths = [*((2.0 if dr and dc else 1.0) ** 0.5 for dr, dc in DIRECTIONS), 1.0]
    return torch.tensor(lengths, dtype=torch.float64, device=device)


def codes_of(steps: Tensor, columns: int) -> Tensor:
    """The direction codes uint8 of flat index steps between neighbours, of any shape."""
    sorted_steps, codes = _codes_by_step(columns, steps.device)
    return codes[torch.searchsorted(sorted_steps, steps)]


@lru_cache(maxsize=64)
def _codes_by_step(columns: int, device: torch.device) -> tuple[Tensor, Tensor]:
    code_of = {dr * columns + dc: code for code, (dr, dc) in enumerate(DIRECTIONS)}
    steps = sorted(code_of)
    codes = torch.tensor([code_of[step] for step in steps], dtype=torch.uint8, device=device)
    return torch.tensor(steps, device=device), codes


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
