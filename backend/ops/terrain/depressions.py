"""Closed depressions of a height map: finding them, filling them, and breaching them with narrow channels.

Tensors are float32 [H, W] in metres; cells on the edge of the grid are outlets. Nothing here changes its input. What is decided
cell after cell in one order, channels and filling by steps, runs on the host whatever the device of the heights: they go there and
back once a call, 4 bytes a cell each way, and not at all where nothing has to be drained. This module must not know about flow
areas or erosion: see backend.ops.terrain.routing."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose, on_host
from shared.errors import InvalidInput

MOST_CELLS = np.iinfo(np.int32).max
NO_LIMIT = MOST_CELLS


def fill_depressions(height: Tensor, *, epsilon_m: float = 0.0, impl: Impl = "auto") -> Tensor:
    """Raise closed depressions to their spill level (priority-flood, Barnes et al. 2014).

    With `epsilon_m` = 0 the result is the lowest surface above `height` with no inner minimum: depressions become
    level. With `epsilon_m` > 0 every inner cell ends strictly above one of its neighbours, so that water runs off.
    """
    check_grid(height)
    epsilon = _usable_epsilon(height, epsilon_m) if epsilon_m > 0 else 0.0
    where = height.device if epsilon == 0.0 else "cpu"  # filling to the spill level takes every cell at once
    if choose(on_host(impl) if epsilon else impl, where) == "cpu":
        from backend.ops.terrain import filling_cpu

        filled = _copy(height)
        filling_cpu.fill(filled, epsilon)
        return torch.from_numpy(filled).to(height.device)
    from backend.ops.terrain import depressions_plain

    return depressions_plain.fill(height.float(), epsilon)


def breach_depressions(
    height: Tensor,
    *,
    epsilon_m: float = 1e-3,
    max_cost: float = math.inf,
    max_length: int = NO_LIMIT,
    fill_rest: bool = True,
    wander: float = 0.0,
    seed: int = 0,
    impl: Impl = "auto",
) -> Tensor:
    """Drain closed depressions by cutting the cheapest channel from each pit to lower ground.

    Least-cost breaching (Lindsay and Dhun 2015, doi:10.1080/13658816.2014.975715; Lindsay 2016,
    doi:10.1002/hyp.10648). From every inner cell of the result a strictly falling path leads to the edge: no pit is
    left. A channel falls `epsilon_m` metres per cell from its pit (more where float32 cannot hold so small a step).

    Pits whose channel would need more than `max_cost` metres of lowering in sum, or more than `max_length` cells, are
    filled instead, as are level patches that drain already, by steps of `epsilon_m`; without `fill_rest` both stay.
    With `wander` 0..1 the ground is taken to be more or less hard by chance, hashed from cell and `seed`, so that long
    channels wind; `max_cost` then counts metres times hardness, whose mean is 1.
    """
    check_grid(height)
    epsilon = _usable_epsilon(height, epsilon_m)
    limits = (epsilon, float(max_cost), int(max_length), float(wander), int(seed))
    if height.device.type != "cpu" and not _has_undrained(height):
        return height.float().clone()
    result = _copy(height)
    if choose(on_host(impl)) == "cpu":
        from backend.ops.terrain import depressions_cpu, filling_cpu

        without_outlet = depressions_cpu.undrained(result)
        pits = depressions_cpu.pit_cells(result, without_outlet)
        depressions_cpu.breach_pits(result, pits, *limits)
        if fill_rest and depressions_cpu.undrained(result).any():
            filling_cpu.fill(result, epsilon)
        return torch.from_numpy(result).to(height.device)
    from backend.ops.terrain import depressions_plain

    without_outlet = depressions_plain.undrained(torch.from_numpy(result)).numpy()
    depressions_plain.breach(result, depressions_plain.pit_cells(result, without_outlet), *limits)
    made = torch.from_numpy(result).to(height.device)
    return depressions_plain.fill(made, epsilon) if fill_rest and depressions_plain.undrained(made).any() else made


def pit_mask(height: Tensor, *, impl: Impl = "auto") -> Tensor:
    """Cells [H, W] bool that a priority-flood fill raises, by however little: those under water if it rained long."""
    return fill_depressions(height, impl=impl) > height


def pit_fraction(height: Tensor, *, impl: Impl = "auto") -> float:
    """Share 0..1 of all cells that a priority-flood fill raises; 0.02-0.04 on SRTM."""
    return int(pit_mask(height, impl=impl).sum()) / height.numel()


def check_grid(height: Tensor) -> None:
    """InvalidInput unless `height` is a non-empty [H, W] tensor whose cells can be numbered in 32 bits."""
    if height.ndim != 2 or height.numel() == 0:
        raise InvalidInput(
            f"A height map is a non-empty grid of rows and columns, not one of shape {tuple(height.shape)}."
        )
    if height.numel() > MOST_CELLS:
        raise InvalidInput(
            f"The height map has {height.numel()} cells; water can be routed over at most {MOST_CELLS}.",
            hint="Scale it down or cut it into tiles.",
        )


def _copy(height: Tensor) -> np.ndarray:
    return np.array(height.cpu().numpy(), np.float32, order="C")


def _has_undrained(height: Tensor) -> bool:
    """Whether any inner cell has no lower neighbour, found where the heights lie."""
    from backend.ops.terrain import depressions_plain

    return bool(depressions_plain.undrained(height.float()).any())


def _usable_epsilon(height: Tensor, epsilon_m: float) -> float:
    """At least two float32 steps at the largest height, so that a fall of epsilon is never rounded away."""
    if not epsilon_m > 0:
        raise ValueError(f"epsilon_m must be above 0, not {epsilon_m}")
    return max(float(epsilon_m), 2.0 * float(np.spacing(np.float32(float(height.abs().max())))))
