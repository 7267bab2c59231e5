"""Closed depressions of a height map: finding them, filling them, and breaching them with narrow channels.

Arrays are numpy float32 [H, W] in metres; cells on the edge of the grid are outlets. Nothing here changes its input.
It must not know about flow areas or erosion: see backend.ops.hydrology.
"""

from __future__ import annotations

import math

import numpy as np

from backend.ops.terrain import depressions_cpu
from shared.errors import InvalidInput

FloatGrid = np.ndarray  # float32 [H, W], metres
NO_LIMIT = np.iinfo(np.int32).max


def fill_depressions(height: FloatGrid, *, epsilon_m: float = 0.0) -> FloatGrid:
    """Raise closed depressions to their spill level (priority-flood, Barnes et al. 2014).

    With `epsilon_m` = 0 the result is the lowest surface above `height` with no inner minimum: depressions become
    level. With `epsilon_m` > 0 every inner cell ends strictly above one of its neighbours, so that water runs off.
    """
    filled = _copy(height)
    depressions_cpu.priority_flood(filled, _usable_epsilon(filled, epsilon_m) if epsilon_m > 0 else 0.0)
    return filled


def breach_depressions(
    height: FloatGrid,
    *,
    epsilon_m: float = 1e-3,
    max_cost: float = math.inf,
    max_length: int = NO_LIMIT,
    fill_rest: bool = True,
    wander: float = 0.0,
    seed: int = 0,
) -> FloatGrid:
    """Drain closed depressions by cutting the cheapest channel from each pit to lower ground.

    Least-cost breaching (Lindsay and Dhun 2015, doi:10.1080/13658816.2014.975715; Lindsay 2016,
    doi:10.1002/hyp.10648). From every inner cell of the result a strictly falling path leads to the edge: no pit is
    left. A channel falls `epsilon_m` metres a cell from its pit (more where float32 cannot hold so small a step).

    Pits whose channel would need more than `max_cost` metres of lowering in sum, or more than `max_length` cells, are
    filled instead, as are level patches that drain already, by steps of `epsilon_m`; without `fill_rest` both stay.
    With `wander` 0..1 the ground is taken to be more or less hard by chance, hashed from cell and `seed`, so that long
    channels wind; `max_cost` then counts metres times hardness, whose mean is 1.
    """
    result = _copy(height)
    epsilon = _usable_epsilon(result, epsilon_m)
    without_outlet = depressions_cpu.undrained(result)
    pits = depressions_cpu.pit_cells(result, without_outlet)
    depressions_cpu.breach_pits(result, pits, epsilon, float(max_cost), int(max_length), float(wander), int(seed))
    if fill_rest and depressions_cpu.undrained(result).any():
        depressions_cpu.priority_flood(result, epsilon)
    return result


def pit_mask(height: FloatGrid) -> np.ndarray:
    """Cells [H, W] bool that a priority-flood fill raises, by however little: those under water if it rained long."""
    return fill_depressions(height) > height


def pit_fraction(height: FloatGrid) -> float:
    """Share 0..1 of all cells that a priority-flood fill raises; 0.02-0.04 on SRTM."""
    return float(np.count_nonzero(pit_mask(height))) / height.size


def check_grid(height: np.ndarray) -> None:
    """InvalidInput unless `height` is a non-empty [H, W] array whose cells can be numbered in 32 bits."""
    if height.ndim != 2 or height.size == 0:
        raise InvalidInput(f"A height map is a non-empty grid of rows and columns, not one of shape {height.shape}.")
    if height.size > NO_LIMIT:
        raise InvalidInput(
            f"The height map has {height.size} cells; water can be routed over at most {NO_LIMIT}.",
            hint="Scale it down or cut it into tiles.",
        )


def _copy(height: FloatGrid) -> FloatGrid:
    check_grid(height)
    return np.array(height, np.float32, order="C")


def _usable_epsilon(height: FloatGrid, epsilon_m: float) -> float:
    """At least two float32 steps at the largest height, so that a fall of epsilon is never rounded away."""
    if not epsilon_m > 0:
        raise ValueError(f"epsilon_m must be above 0, not {epsilon_m}")
    return max(float(epsilon_m), 2.0 * float(np.spacing(np.abs(height).max())))
