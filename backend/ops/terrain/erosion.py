"""What running water and creeping soil do to a height map: one time step of landscape evolution.

    dz/dt = U - K A^m S^n + (G / A) integral over A of (U - dz/dt) + D laplacian(z),    S <= tan(talus)

Stream power with deposition as Yuan, Braun, Guerit, Rouby and Cordonnier (2019, doi:10.1029/2018JF004867), solved as
Braun and Willett (2013, doi:10.1016/j.geomorph.2012.10.008); hillslope creep by alternating directions. Height in
metres, float64 inside; the unit of time is the caller's. Routing is backend.ops.hydrology.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backend.ops.terrain import hillslope_cpu, stream_power_cpu
from backend.ops.terrain.routing import Flow

NOTHING = np.zeros(0)
SETTLING_ROUNDS = 8  # rounds between wear and deposition; 2-4 are common at G below 1
SETTLED = 0.02  # rounds end when no height moves by more than this share of the largest change


@dataclass(frozen=True, kw_only=True)
class ErosionLaw:
    """The constants of the equation above; time in any unit, here called a year.

    erodibility: K, m^(1 - 2 m) / yr. area_exponent: m. slope_exponent: n. deposition: G, dimensionless; 0 carries all
    sediment away, 1 is usual for alluvial rivers. diffusivity: D, m2 / yr. steepest: largest slope that holds, m / m.
    uplift: U, m / yr.
    """

    erodibility: float
    area_exponent: float = 0.45
    slope_exponent: float = 1.0
    deposition: float = 0.0
    diffusivity: float = 0.0
    steepest: float = math.inf
    uplift: float = 0.0

    def __post_init__(self) -> None:
        for name in ("erodibility", "area_exponent", "deposition", "diffusivity", "uplift"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a number from 0, not {value}")
        if not (math.isfinite(self.slope_exponent) and self.slope_exponent > 0 and self.steepest > 0):
            raise ValueError("slope_exponent and steepest must be above 0")


def stream_rate(
    flow: Flow, law: ErosionLaw, years: float, *, cells: np.ndarray | None = None, strength: np.ndarray | None = None
) -> np.ndarray:
    """K A^m times `years`, [H * W] float64.

    `cells` [H * W] float64 stands in for the number of cells upstream, say a mean over several routings. `strength`
    [H, W] 0..1 scales K; 0 protects a cell.
    """
    drained = flow.upstream if cells is None else cells
    rate = stream_power_cpu.area_powers(drained, flow.pixel_size_m * flow.pixel_size_m, law.area_exponent)
    rate *= law.erodibility * float(years)
    if strength is not None:
        rate *= strength.ravel()
    return rate


def incise(
    height: np.ndarray,
    flow: Flow,
    law: ErosionLaw,
    rate: np.ndarray,
    *,
    settling: np.ndarray | None = None,
    lakes: bool = True,
) -> np.ndarray:
    """Heights [H, W] float64 after stream power at `rate` along `flow`, outlets held; no uplift, no creep.

    `settling` [H * W] is deposition in metres to lay down in the same, implicit, step (see `incise_and_settle`). With
    `lakes` ground below the level at which its basin spills does not wear; without, only the cells of the way out are
    spared, as in fastscapelib.
    """
    return stream_power_cpu.incise(
        height,
        NOTHING if settling is None else settling,
        flow.codes,
        flow.order,
        rate,
        flow.pixel_size_m,
        law.slope_exponent,
        law.steepest,
        lakes,
    )


def incise_and_settle(
    height: np.ndarray,
    flow: Flow,
    law: ErosionLaw,
    rate: np.ndarray,
    *,
    guess: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """As `incise`, with the deposition of what is worn away upstream, found by iteration (Yuan et al. 2019, section 2).

    Returns the heights and the deposition [H * W] in metres, which is a good `guess` for the next step.
    """
    lowered = incise(height, flow, law, rate, settling=guess)
    if law.deposition == 0:
        return lowered, None
    for _ in range(SETTLING_ROUNDS):
        settling = stream_power_cpu.settling(
            height, lowered, flow.codes, flow.order, flow.upstream, rate, law.deposition
        )
        again = incise(height, flow, law, rate, settling=settling)
        moved = float(np.abs(again - lowered).max())
        lowered = again
        if moved <= SETTLED * float(np.abs(lowered - height).max()):
            break
    return lowered, settling


def creep(height: np.ndarray, pixel_size_m: float, diffusivity: float, years: float) -> np.ndarray:
    """Heights [H, W] float64 after `years` of linear diffusion with the edge held."""
    if diffusivity == 0:
        return height
    return hillslope_cpu.diffuse(height, diffusivity * years / (pixel_size_m * pixel_size_m))


def lower_rim(before: np.ndarray, after: np.ndarray) -> None:
    """Let the edge of the map, held as outlets, follow the ground beside it: changes `after` in place.

    Where the edge stands above its inner neighbour it is lowered by as much as that was, but not below it, so that no
    wall is left round the map; where it is lower it is a real outlet and stays.
    """
    rows, cols = after.shape
    if rows < 3 or cols < 3:
        return
    inner_row = np.clip(np.arange(rows), 1, rows - 2)
    inner_col = np.clip(np.arange(cols), 1, cols - 2)
    sides = (
        (slice(None), 0, inner_row, 1),
        (slice(None), cols - 1, inner_row, cols - 2),
        (0, slice(None), 1, inner_col),
        (rows - 1, slice(None), rows - 2, inner_col),
    )
    for row, col, in_row, in_col in sides:
        edge, inside = after[row, col], after[in_row, in_col]
        lowered = np.minimum(inside - before[in_row, in_col], 0.0)
        after[row, col] = np.minimum(edge, np.maximum(edge + lowered, inside))
