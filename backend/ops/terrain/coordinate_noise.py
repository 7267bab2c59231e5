"""White noise by coordinates: a uniform number for every cell of an endless plane, hashed from its row and column.

A tile of a map draws the same numbers as the whole map, in any order, on any device and with any twin. An input of
networks; what people see as noise is backend.ops.terrain.noise.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.hashing import mix32

DEVIATION = math.sqrt(12.0)  # of uniform numbers one apart
_BITS = 0xFFFF_FFFF
_ACROSS = 0x9E37_79B9  # rows and columns go through different hashes


def uniform(
    rows: range,
    columns: range,
    *,
    stream: int,
    seed: int,
    period: tuple[int, int] = (0, 0),
    device: torch.device | str = "cpu",
    impl: Impl = "auto",
) -> Tensor:
    """Numbers [len(rows), len(columns)] float32 of mean 0 and deviation 1, one per cell of the plane.

    rows, columns: coordinates, which may be negative. period: rows and columns after which the plane repeats, 0 for never.
    stream: numbers of other streams are independent.
    """
    chosen = choose(impl, device, cuda=True)
    if chosen == "cuda":
        return _on_a_card(rows, columns, range(stream, stream + 1), seed, period, device)[..., 0]
    key = int(mix32(torch.tensor((seed * 0x01000193 + stream) & _BITS)))
    down = mix32((_along(rows, period[0], device) ^ key) & _BITS)
    across = mix32((_along(columns, period[1], device) * _ACROSS + key) & _BITS)
    if chosen == "cpu":
        from backend.ops.terrain import coordinate_noise_cpu

        rows_hash, columns_hash = (part.numpy().astype(np.uint32) for part in (down, across))
        return torch.from_numpy(coordinate_noise_cpu.fill(rows_hash, columns_hash, DEVIATION))
    hashed = mix32(down[:, None] ^ across[None, :])
    return (hashed.double() / 2.0**32 - 0.5).mul_(DEVIATION).float()


def uniform_maps(
    rows: range,
    columns: range,
    *,
    streams: range,
    seed: int,
    period: tuple[int, int] = (0, 0),
    device: torch.device | str = "cpu",
    impl: Impl = "auto",
) -> Tensor:
    """uniform() of several streams side by side: [len(rows), len(columns), len(streams)] float32."""
    chosen = choose(impl, device, cuda=True)
    if chosen == "cuda":
        return _on_a_card(rows, columns, streams, seed, period, device)
    keys = mix32((torch.tensor(list(streams), dtype=torch.int64, device=device) + seed * 0x01000193) & _BITS)
    down = mix32((_along(rows, period[0], device)[:, None] ^ keys) & _BITS)
    across = mix32((_along(columns, period[1], device)[:, None] * _ACROSS + keys) & _BITS)
    if chosen == "cpu":
        from backend.ops.terrain import coordinate_noise_cpu

        rows_hash, columns_hash = (part.numpy().astype(np.uint32) for part in (down, across))
        return torch.from_numpy(coordinate_noise_cpu.fill_maps(rows_hash, columns_hash, DEVIATION))
    hashed = mix32(down[:, None] ^ across[None])
    return (hashed.double() / 2.0**32 - 0.5).mul_(DEVIATION).float()


def _on_a_card(
    rows: range, columns: range, streams: range, seed: int, period: tuple[int, int], device: torch.device | str
) -> Tensor:
    from backend.ops.terrain import coordinate_noise_cuda

    return coordinate_noise_cuda.fill(rows, columns, streams, seed, period, DEVIATION, device)


def _along(places: range, period: int, device: torch.device | str) -> Tensor:
    along = torch.arange(places.start, places.stop, dtype=torch.int64, device=device)
    return along % period if period else along
