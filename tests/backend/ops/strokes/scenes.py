"""Strokes of every kind on a small canvas, for kernels that numba's simulator runs a thread at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.cuda_kernels import SIMULATED
from backend.ops.strokes.compositing import Segments

DEVICE = "cpu" if SIMULATED else "cuda"
SIZE = (21, 15)  # two rows of tiles, both in part beyond the canvas


def strokes(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Geometry, opacity and colour: every seventh of another kind (thin, nearly a dot, wide, even, beside the canvas, tapered)."""
    draw = torch.Generator().manual_seed(3)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw)

    middle, along = uniform(count, 2) * torch.tensor(SIZE), (uniform(count, 2) - 0.5) * 20
    bend = along.flip(1) * torch.tensor([1.0, -1.0]) * (uniform(count, 1) - 0.5)
    geometry = torch.cat((middle - along / 2, middle + bend, middle + along / 2, 1 + 3 * uniform(count, 2)), 1)
    opacity = 0.3 + 0.7 * uniform(count, 2)
    geometry[0::7, 6:] *= 0.1
    geometry[1::7, 2:6] = geometry[1::7, :2].repeat(1, 2) + 0.3
    geometry[2::7, 6:] += 8
    opacity[2:4] = 1.0
    opacity[3::7, 1] = opacity[3::7, 0]
    geometry[4::7, :6] += 100
    geometry[5::7, 7] = 0.3
    return geometry.to(DEVICE), opacity.to(DEVICE), uniform(count, 3).to(DEVICE)


def image(seed: int, channels: tuple[int, ...] = (3,)) -> Tensor:
    return torch.rand(*SIZE, *channels, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def segments(count: int) -> Segments:
    """Two halves of the canvas; the strokes are of the one, of the other, or of none."""
    labels = (torch.arange(SIZE[1]).repeat(SIZE[0], 1) // 8).int().to(DEVICE)
    return Segments(labels, (torch.arange(count, dtype=torch.int32) % 3 - 1).to(DEVICE))
