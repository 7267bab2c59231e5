"""Water on a height map: depressions, flow routing and drainage area.

numpy [H, W] arrays in metres; row 0 is the top row; cells on the edge of the grid are outlets. Routing is done in
float64, results for other modules are float32. What the water does to the ground is backend.ops.erosion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.ops.terrain import basins_cpu, routing_cpu
from backend.ops.terrain.depressions import breach_depressions, check_grid, fill_depressions, pit_fraction, pit_mask

__all__ = [
    "Flow",
    "breach_depressions",
    "drainage_area",
    "fill_depressions",
    "pit_fraction",
    "pit_mask",
    "route",
    "spread_area",
]


@dataclass(frozen=True)
class Flow:
    """A flow network with one receiver a cell.

    codes: direction codes [H, W] uint8 (see flow_routing_cpu). order: all cells, donors before receivers, [H*W] int32.
    upstream: cells draining through each cell, itself included, [H*W] int32. pits: closed basins that were led out.
    """

    codes: np.ndarray
    order: np.ndarray
    upstream: np.ndarray
    pixel_size_m: float
    pits: int

    @property
    def area_m2(self) -> np.ndarray:
        """Drainage area [H, W] float64, m2."""
        return self.upstream.reshape(self.codes.shape) * (self.pixel_size_m * self.pixel_size_m)


def route(height: np.ndarray, pixel_size_m: float, *, jitter: float = 0.0, seed: int = 0) -> Flow:
    """Steepest-descent flow over `height` [H, W], led out of closed depressions without changing a height.

    Depressions are crossed as if a narrow canyon were cut from the pit to the lowest pass (Cordonnier et al. 2019,
    "carving"). With `jitter` 0..1 directions are drawn, from `seed`, among the falling ones: see random_receivers.
    """
    check_grid(height)
    height = np.ascontiguousarray(height, np.float64)
    if not pixel_size_m > 0:
        raise ValueError(f"pixel_size_m must be above 0, not {pixel_size_m}")
    if jitter > 0:
        codes = routing_cpu.random_receivers(height, float(pixel_size_m), float(jitter), int(seed) & 0x7FFFFFFF)
    else:
        codes = routing_cpu.steepest_receivers(height, float(pixel_size_m))
    labels, pits = basins_cpu.basin_labels(codes)
    if pits.size:
        bits = basins_cpu.pass_bits(height, labels)
        edges = basins_cpu.basin_tree(height, codes, labels, bits, pits.size)
        basins_cpu.carve_basins(codes, labels, pits, edges)
    order, upstream = routing_cpu.drainage_order(codes, routing_cpu.donor_counts(codes))
    return Flow(codes, order, upstream, float(pixel_size_m), int(pits.size))


def drainage_area(height: np.ndarray, pixel_size_m: float) -> np.ndarray:
    """Area [H, W] float32 in m2 that drains through each cell, itself included, by steepest descent.

    Pits are led out over their lowest pass; the areas at the edge add up to that of the map.
    """
    return route(height, pixel_size_m).area_m2.astype(np.float32)


def spread_area(height: np.ndarray, pixel_size_m: float) -> np.ndarray:
    """Area [H, W] float32 in m2 that drains through each cell when water spreads over all lower neighbours.

    Smooth on slopes, where single directions draw stripes (Quinn et al. 1991, doi:10.1002/hyp.3360050106).
    Depressions are breached on a copy first.
    """
    drained = breach_depressions(np.asarray(height, np.float32))
    cells = routing_cpu.spread_cells(drained.astype(np.float64))
    return (cells * (pixel_size_m * pixel_size_m)).astype(np.float32)
