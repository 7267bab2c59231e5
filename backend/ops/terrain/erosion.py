"""What running water and creeping soil do to a height map: one time step of landscape evolution.

    dz/dt = U - K A^m S^n + (G / A) integral over A of (U - dz/dt) + D laplacian(z),    S <= tan(talus)

Stream power with deposition as Yuan, Braun, Guerit, Rouby and Cordonnier (2019, doi:10.1029/2018JF004867), solved as Braun and
Willett (2013, doi:10.1016/j.geomorph.2012.10.008); hillslope creep by alternating directions. Height in metres, float64 inside; the
unit of time is the caller's. Plain torch on any device (stream_power_plain.py, hillslope_plain.py), numba twins on the CPU and on
cards; they agree to the rounding of float64. Routing is backend.ops.terrain.routing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.terrain import grid, hillslope_plain
from backend.ops.terrain.constants import LAKE_SLOPE
from backend.ops.terrain.routing import Flow, pieces_along

NOTHING = np.zeros(0)  # what the kernel takes for None
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
                raise ValueError(f"{name} must be 0 or more, not {value}")
        if not (math.isfinite(self.slope_exponent) and self.slope_exponent > 0 and self.steepest > 0):
            raise ValueError("slope_exponent and steepest must be above 0")


def stream_rate(
    flow: Flow,
    law: ErosionLaw,
    years: float,
    *,
    cells: Tensor | None = None,
    strength: Tensor | None = None,
    impl: Impl = "auto",
) -> Tensor:
    """K A^m times `years`, [H * W] float64.

    `cells` [H * W] float64 stands in for the number of cells upstream, say a mean over several routings. `strength`
    [H, W] 0..1 scales K; 0 protects a cell.
    """
    drained = flow.upstream if cells is None else cells
    cell_m2 = flow.pixel_size_m * flow.pixel_size_m
    if choose(impl, drained.device, cuda=True) == "cpu":
        from backend.ops.terrain import stream_power_cpu

        rate = torch.from_numpy(stream_power_cpu.area_powers(drained.numpy(), cell_m2, law.area_exponent))
    else:
        rate = (drained.double() * cell_m2) ** law.area_exponent
    rate *= law.erodibility * float(years)
    return rate if strength is None else rate * strength.flatten()


def incise(
    height: Tensor,
    flow: Flow,
    law: ErosionLaw,
    rate: Tensor,
    *,
    settling: Tensor | None = None,
    lakes: bool = True,
    impl: Impl = "auto",
) -> Tensor:
    """Heights [H, W] float64 after stream power at `rate` along `flow`, outlets held; no uplift, no creep.

    `settling` [H * W] is deposition in metres to lay down in the same, implicit, step (see `incise_and_settle`). With
    `lakes` ground below the level at which its basin spills does not wear; without, only the cells of the way out are
    spared, as in fastscapelib.
    """
    constants = (flow.pixel_size_m, law.slope_exponent, law.steepest, lakes)
    chosen = choose(impl, height.device, cuda=True)
    if chosen == "cuda":
        return _wear_on_card(height, flow, law, rate, settling, lakes, 0)[0]
    if chosen == "cpu":
        from backend.ops.terrain import stream_power_cpu

        supply = NOTHING if settling is None else settling.numpy()
        return torch.from_numpy(
            stream_power_cpu.incise(height.numpy(), supply, pieces_along(flow), rate.numpy(), *constants)
        )
    from backend.ops.terrain import stream_power_plain

    return stream_power_plain.incise(height, settling, flow.codes, flow.receiver, flow.levels, rate, *constants)


def incise_and_settle(
    height: Tensor, flow: Flow, law: ErosionLaw, rate: Tensor, *, guess: Tensor | None = None, impl: Impl = "auto"
) -> tuple[Tensor, Tensor | None]:
    """As `incise`, with the deposition of what is worn away upstream, found by iteration (Yuan et al. 2019, section 2).

    Returns the heights and the deposition [H * W] in metres, which is a good `guess` for the next step.
    """
    if choose(impl, height.device, cuda=True) == "cuda":
        return _wear_on_card(height, flow, law, rate, guess, True, SETTLING_ROUNDS if law.deposition else 0)
    lowered = incise(height, flow, law, rate, settling=guess, impl=impl)
    if law.deposition == 0:
        return lowered, None
    for _ in range(SETTLING_ROUNDS):
        settling = _settling(height, lowered, flow, rate, law.deposition, impl)
        again = incise(height, flow, law, rate, settling=settling, impl=impl)
        moved = float((again - lowered).abs_().max())
        lowered = again
        if moved <= SETTLED * float((lowered - height).abs_().max()):
            break
    return lowered, settling


def _wear_on_card(
    height: Tensor, flow: Flow, law: ErosionLaw, rate: Tensor, guess: Tensor | None, lakes: bool, rounds: int
) -> tuple[Tensor, Tensor | None]:
    from backend.ops.terrain import stream_power_cuda

    walk, size = flow.walk, flow.pixel_size_m
    order = walk.order.long()
    length = (grid.receiver_lengths(flow.codes).flatten() * size)[order]
    flows = walk.order != walk.order[walk.parent.long()]
    rate, before = rate[order], height.flatten()[order]
    share = (law.deposition / flow.upstream.double()).clamp_max(1.0)[order]
    share = torch.where(flows & (rate > 0.0), share, 0.0)
    supply = torch.zeros_like(before) if guess is None else guess[order]
    passing, made, water = (torch.empty_like(before) for _ in range(3))
    threads = stream_power_cuda.THREADS
    stream_power_cuda.wear.launch(
        threads, walk.starts, walk.parent, walk.donors, walk.first_donor, before, rate / length**law.slope_exponent, length,
        law.steepest, law.slope_exponent, LAKE_SLOPE * size if lakes else 0.0, lakes, share, rounds, SETTLED, guess is not None,
        supply, passing, made, water, block=(threads,),
    )  # fmt: skip
    lowered, settled = (torch.empty_like(before).scatter_(0, order, values) for values in (made, supply))
    return lowered.reshape(height.shape), settled if rounds else None


def _settling(before: Tensor, after: Tensor, flow: Flow, rate: Tensor, deposition: float, impl: Impl) -> Tensor:
    """Metres [H * W] float64 that settle on each cell out of what was worn away upstream (Yuan et al. 2019, eq. 5)."""
    if choose(impl, before.device) == "cpu":
        from backend.ops.terrain import stream_power_cpu

        network = pieces_along(flow), flow.upstream.numpy()
        return torch.from_numpy(
            stream_power_cpu.settling(before.numpy(), after.numpy(), *network, rate.numpy(), deposition)
        )
    from backend.ops.terrain import stream_power_plain

    return stream_power_plain.settling(before, after, flow.codes, flow.receiver, flow.upstream, rate, deposition)


def creep(height: Tensor, pixel_size_m: float, diffusivity: float, years: float, *, impl: Impl = "auto") -> Tensor:
    """Heights [H, W] float64 after `years` of linear diffusion with the edge held."""
    if diffusivity == 0:
        return height
    number = diffusivity * years / (pixel_size_m * pixel_size_m)
    chosen = choose(impl, height.device, cuda=True)
    if chosen == "cuda":
        return _creep_on_card(height, 0.5 * number)
    if chosen == "cpu":
        from backend.ops.terrain import hillslope_cpu

        return torch.from_numpy(hillslope_cpu.diffuse(height.numpy(), number))
    return hillslope_plain.diffuse(height, number)


def _creep_on_card(height: Tensor, half: float) -> Tensor:
    from backend.ops.terrain import hillslope_cuda

    if min(height.shape) < 3:
        return height.clone()
    ratio = _pivot_ratios(half, max(height.shape), height.device)
    for _ in range(2):  # along the rows, turned over, and then along the columns
        height = height.T.contiguous()
        made = torch.empty_like(height)
        hillslope_cuda.half_step.launch(height.shape[1], height, half, ratio, made)
        height = made
    return height


@lru_cache(maxsize=8)
def _pivot_ratios(half: float, count: int, device: torch.device) -> Tensor:
    """Kept, so that the steps of a run copy nothing to the card."""
    return torch.tensor(hillslope_plain.pivot_ratios(half, count), dtype=torch.float64).to(device)


def lower_rim(before: Tensor, after: Tensor) -> None:
    """Let the edge of the map, held as outlets, follow the ground beside it: changes `after` in place.

    Where the edge stands above its inner neighbour it is lowered by as much as that was, but not below it, so that no
    wall is left round the map; where it is lower it is a real outlet and stays.
    """
    rows, cols = after.shape
    if rows < 3 or cols < 3:
        return
    inner_row, inner_col = (torch.arange(n, device=after.device).clamp(1, n - 2) for n in (rows, cols))
    sides = (
        (slice(None), 0, inner_row, 1),
        (slice(None), cols - 1, inner_row, cols - 2),
        (0, slice(None), 1, inner_col),
        (rows - 1, slice(None), rows - 2, inner_col),
    )
    for row, col, in_row, in_col in sides:
        edge, inside = after[row, col], after[in_row, in_col]
        lowered = (inside - before[in_row, in_col]).clamp_max(0.0)
        after[row, col] = torch.minimum(edge, torch.maximum(edge + lowered, inside))
