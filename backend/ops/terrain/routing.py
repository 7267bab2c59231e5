"""Water on a height map: flow routing and drainage area.

Tensors [H, W] in metres; row 0 is the top row; cells on the edge of the grid are outlets. Routing is done in float64, results
for other modules are float32. Plain torch on any device (routing_plain.py, basins_plain.py), numba twins on the CPU: one and
the same network, to the bit. What the water does to the ground is backend.ops.terrain.erosion.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.terrain import forest, grid
from backend.ops.terrain.depressions import breach_depressions, check_grid


@dataclass(frozen=True)
class Flow:
    """A flow network with one receiver per cell, on one device.

    codes: direction codes [H, W] uint8 (see grid). order: all cells, donors before receivers, [H*W] int32.
    upstream: cells draining through each cell, itself included, [H*W] int32. pits: closed basins that were led out.
    """

    codes: Tensor
    order: Tensor
    upstream: Tensor
    pixel_size_m: float
    pits: int

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


def route(height: Tensor, pixel_size_m: float, *, jitter: float = 0.0, seed: int = 0, impl: Impl = "auto") -> Flow:
    """Steepest-descent flow over `height` [H, W], led out of closed depressions without changing a height.

    Depressions are crossed as if a narrow canyon were cut from the pit to the lowest pass (Cordonnier et al. 2019,
    "carving"). With `jitter` 0..1 directions are drawn, from `seed`, among the falling ones (routing_cpu.random_receivers).
    """
    check_grid(height)
    if not pixel_size_m > 0:
        raise ValueError(f"pixel_size_m must be above 0, not {pixel_size_m}")
    height, seed = height.double().contiguous(), int(seed) & 0x7FFFFFFF
    if choose(impl, height.device) == "cpu":
        return _route_cpu(height, float(pixel_size_m), float(jitter), seed)
    from backend.ops.terrain import basins_plain, routing_plain

    codes = routing_plain.receiver_codes(height, float(pixel_size_m), float(jitter), seed)
    codes, pits = basins_plain.lead_out(height, codes)
    return Flow(codes, *routing_plain.drainage_order(codes), float(pixel_size_m), pits)


def _route_cpu(height: Tensor, pixel_size_m: float, jitter: float, seed: int) -> Flow:
    from backend.ops.terrain import basins_cpu, routing_cpu

    z = height.numpy()
    if jitter > 0:
        codes = routing_cpu.random_receivers(z, pixel_size_m, jitter, seed)
    else:
        codes = routing_cpu.steepest_receivers(z, pixel_size_m)
    labels, pits = basins_cpu.basin_labels(codes)
    if pits.size:
        bits = basins_cpu.pass_bits(z, labels)
        edges = basins_cpu.basin_tree(z, codes, labels, bits, pits.size)
        basins_cpu.carve_basins(codes, labels, pits, edges)
    order, upstream = routing_cpu.drainage_order(codes, routing_cpu.donor_counts(codes))
    made = torch.from_numpy(codes), torch.from_numpy(order), torch.from_numpy(upstream)
    return Flow(*made, pixel_size_m, int(pits.size))


def accumulate(flow: Flow, source: Tensor, *, impl: Impl = "auto") -> Tensor:
    """Sum [H*W] float64 of `source` [H*W] float64 over each cell and all cells that drain through it."""
    if choose(impl, source.device) == "cpu":
        from backend.ops.terrain import routing_cpu

        return torch.from_numpy(routing_cpu.accumulate(flow.codes.numpy(), flow.order.numpy(), source.numpy()))
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
    drained = breach_depressions(height, impl=impl).double()
    if choose(impl, drained.device) == "cpu":
        from backend.ops.terrain import routing_cpu

        cells = torch.from_numpy(routing_cpu.spread_cells(drained.numpy()))
    else:
        from backend.ops.terrain import routing_plain

        cells = routing_plain.spread_cells(drained)
    return (cells * (pixel_size_m * pixel_size_m)).float()
