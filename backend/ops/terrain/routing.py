"""Water on a height map: flow routing and drainage area.

Tensors [H, W] in metres; row 0 is the top row; cells on the edge of the grid are outlets. Routing is done in float64, results for
other modules are float32. Plain torch on any device (routing_plain.py, basins_plain.py), numba twins on the CPU, kernels for what a
card does cell by cell (routing_cuda.py): one and the same network, to the bit. What the water does to the ground is
backend.ops.terrain.erosion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from backend.ops.dispatch import Impl, Implementation, choose, on_host
from backend.ops.terrain import forest, grid
from backend.ops.terrain.basins import lead_out
from backend.ops.terrain.depressions import breach_depressions, check_grid


@dataclass(frozen=True)
class Flow:
    """A flow network with one receiver per cell, on one device.

    codes: direction codes [H, W] uint8 (see grid). order: all cells, donors before receivers, [H*W] int32.
    upstream: cells draining through each cell, itself included, [H*W] int32. pits: closed basins that were led out. depth: how far
    each cell lies from its outlet [H*W] int64, where that is known. pieces: the same network as kernels on the CPU walk along it, a
    walks_cpu.Walk, where they made it.
    """

    codes: Tensor
    order: Tensor
    upstream: Tensor
    pixel_size_m: float
    pits: int
    depth: Tensor | None = None
    pieces: Any = None

    @property
    def area_m2(self) -> Tensor:
        """Drainage area [H, W] float64, m2."""
        return self.upstream.double().reshape(self.codes.shape) * (self.pixel_size_m * self.pixel_size_m)

    @cached_property
    def receiver(self) -> Tensor:
        """The flat index of the cell downstream of each [H*W] int64; outlets are their own."""
        return grid.receivers(self.codes)

    @cached_property
    def levels(self) -> list[Tensor]:
        """The cells by their distance from the outlet, outlets first."""
        return forest.levels(self.receiver)

    @cached_property
    def walk(self) -> forest.Walk:
        """The network as kernels on a card walk it."""
        return forest.walk(self.receiver, forest.depths(self.receiver) if self.depth is None else self.depth)


def route(height: Tensor, pixel_size_m: float, *, jitter: float = 0.0, seed: int = 0, impl: Impl = "auto") -> Flow:
    """Steepest-descent flow over `height` [H, W], led out of closed depressions without changing a height.

    Depressions are crossed as if a narrow canyon were cut from the pit to the lowest pass (Cordonnier et al. 2019,
    "carving"). With `jitter` 0..1 directions are drawn, from `seed`, among the falling ones (routing_cpu.random_receivers).
    """
    check_grid(height)
    if not pixel_size_m > 0:
        raise ValueError(f"pixel_size_m must be above 0, not {pixel_size_m}")
    height, seed = height.double().contiguous(), int(seed) & 0x7FFFFFFF
    chosen = choose(impl, height.device, cuda=True)
    codes, pits = lead_out(height, _directions(height, float(pixel_size_m), float(jitter), seed, chosen), impl=impl)
    if chosen == "cpu":
        from backend.ops.terrain import walks_cpu

        walk, upstream = walks_cpu.walk_of(codes.numpy())
        made = codes, torch.from_numpy(walk.order), torch.from_numpy(upstream)
        return Flow(*made, float(pixel_size_m), pits, pieces=walk)
    from backend.ops.terrain import routing_plain

    order, upstream, depth = routing_plain.drainage_order(codes)
    return Flow(codes, order, upstream, float(pixel_size_m), pits, depth)


def _directions(height: Tensor, pixel_size_m: float, jitter: float, seed: int, chosen: Implementation) -> Tensor:
    """Direction codes [H, W] uint8 of steepest descent, pits and the edge without one."""
    if chosen == "plain":
        from backend.ops.terrain import routing_plain

        return routing_plain.receiver_codes(height, pixel_size_m, jitter, seed)
    if chosen == "cpu":
        from backend.ops.terrain import routing_cpu

        if jitter > 0:
            return torch.from_numpy(routing_cpu.random_receivers(height.numpy(), pixel_size_m, jitter, seed))
        return torch.from_numpy(routing_cpu.steepest_receivers(height.numpy(), pixel_size_m))
    from backend.ops.terrain import routing_cuda

    codes = torch.empty(height.shape, dtype=torch.uint8, device=height.device)
    kept = 1.0 - jitter * ((torch.arange(256, dtype=torch.float64, device=height.device) + 0.5) / 256.0)
    diagonal = math.sqrt(2.0 * pixel_size_m * pixel_size_m)
    routing_cuda.receiver_codes.launch(
        tuple(height.shape), height, pixel_size_m, diagonal, kept, jitter > 0, seed, codes
    )
    return codes


def pieces_along(flow: Flow) -> Any:
    """The walks_cpu.Walk of a network, whatever made it."""
    from backend.ops.terrain import walks_cpu

    return flow.pieces if flow.pieces is not None else walks_cpu.walk_of(flow.codes.numpy())[0]


def accumulate(flow: Flow, source: Tensor, *, impl: Impl = "auto") -> Tensor:
    """Sum [H*W] float64 of `source` [H*W] float64 over each cell and all cells that drain through it."""
    if choose(impl, source.device, cuda=True) == "cpu":
        from backend.ops.terrain import walks_cpu

        return torch.from_numpy(walks_cpu.accumulate(pieces_along(flow), source.numpy()))
    return forest.accumulate(flow.receiver, source)


def drainage_area(height: Tensor, pixel_size_m: float, *, impl: Impl = "auto") -> Tensor:
    """Area [H, W] float32 in m2 that drains through each cell, itself included, by steepest descent.

    Pits are led out over their lowest pass; the areas at the edge add up to that of the map.
    """
    return route(height, pixel_size_m, impl=impl).area_m2.float()


def spread_area(height: Tensor, pixel_size_m: float, *, impl: Impl = "auto") -> Tensor:
    """Area [H, W] float32 in m2 that drains through each cell when water spreads over all lower neighbours.

    Smooth on slopes, where single directions draw stripes (Quinn et al. 1991, doi:10.1002/hyp.3360050106).
    Depressions are breached on a copy first.
    """
    drained = breach_depressions(height, impl=on_host(impl)).double()
    chosen = choose(impl, drained.device, cuda=True)
    if chosen == "cpu":
        from backend.ops.terrain import routing_cpu

        cells = torch.from_numpy(routing_cpu.spread_cells(drained.numpy()))
    elif chosen == "cuda":
        cells = _spread_on_card(drained)
    else:
        from backend.ops.terrain import routing_plain

        cells = routing_plain.spread_cells(drained)
    return (cells * (pixel_size_m * pixel_size_m)).float()


def _spread_on_card(height: Tensor) -> Tensor:
    from backend.ops.terrain import routing_cuda

    waiting = torch.empty(height.numel(), dtype=torch.int32, device=height.device)
    shares, total = (torch.empty(height.numel(), dtype=torch.float64, device=height.device) for _ in range(2))
    routing_cuda.spread_waiting.launch(tuple(height.shape), height, waiting, shares)
    queue = waiting.argsort().int()
    ends = (waiting == 0).sum(dtype=torch.int32).repeat(2)
    threads = routing_cuda.THREADS
    routing_cuda.spread.launch(threads, height, waiting, shares, queue, ends, total, block=(threads,))
    return total.reshape(height.shape)
