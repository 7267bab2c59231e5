"""Rivers with a long profile: heights near given ones whose rivers fall as those of real terrain do.

Filling and carving leave level reaches and trenches one cell wide (backend.ops.terrain.drainage). Here each river is first
brought to the mean of the filled and the carved bed, which falls everywhere, then to the profile that is nearest to it and has
the falls of a law of slope against drained cells, fitted from an exemplar (Flint 1974, doi:10.1029/WR010i005p00969: slope = k
area^-theta, here with its bends). The slopes beside it move along as a membrane does that is held by the rivers, firmly by large
ones and loosely by brooks: valley sides keep their form, and no bank steps down to its river. A gorge through a sill is as wide
as the membrane spans.

Heights are in any unit, lengths in pixels. Cells on the edge of the grid are outlets. A few shallow pits stay between the rivers.
Compiled kernels run on the host, or on a card; a plain form on any device agrees to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.terrain import forest, grid, rivers_plain
from backend.ops.terrain.constants import NO_RECEIVER, POWERS_TABLE
from backend.ops.terrain.drainage import falling
from backend.ops.terrain.routing import Flow, pieces_along, route
from backend.ops.terrain.still_water import flattened

LEAST_CELLS = 20  # drained: fewer make no channel, and slopes there do not fall with the area
RIGID_CELLS = 1000  # a river that drains so many holds the membrane as firmly as one of the four neighbours of a cell
STRAIGHT_CELLS = 10  # a river that drains so many weighs the law as much as its bed: the larger, the smoother
CUT_SHARE = 0.6
STILL = 100.0  # how much more firmly than a brook still water holds its level and the membrane
SWEEPS = 40
BIN_DECADES = 0.3
LEAST_IN_BIN = 30
LEAST_BINS = 3
VECTOR, BLOCK = (
    16,
    1 << 14,
)  # numbers that PyTorch computes side by side, and fewer than it shares out between threads: by which of
# its loops a power is computed, and so its last bit, never depends on them
MOST_LAW_SIDE = 768  # of the part of an exemplar that a law is fitted from


@dataclass(frozen=True)
class RiverLaw:
    """The fall per pixel of a river by the cells that it drains: log10 falls [K] at rising log10 cells [K], straight between
    them."""

    cells: np.ndarray
    falls: np.ndarray

    def fall(self, cells: Tensor) -> Tensor:
        """Of rivers that drain so many cells (float64 of any shape)."""
        place = torch.log10(cells)
        knots = torch.from_numpy(self.cells).to(cells.device)
        values = torch.from_numpy(self.falls).to(cells.device)
        right = torch.searchsorted(knots, place.contiguous()).clamp(1, len(knots) - 1)
        share = ((place - knots[right - 1]) / (knots[right] - knots[right - 1])).clamp_min(0.0)
        return 10.0 ** (values[right - 1] + share * (values[right] - values[right - 1]))

    def fall_of_counts(self, cells: Tensor, impl: Impl = "auto") -> Tensor:
        """fall() of whole numbers of cells [N] int32. On the CPU most are looked up: most cells drain few others."""
        if choose(impl, cells.device, cuda=True) != "cpu":
            return self.fall(cells.double())
        from backend.ops.terrain import rivers_cpu

        others = rivers_cpu.beyond(cells.numpy(), POWERS_TABLE)
        many = cells[torch.from_numpy(others)].double()
        many = torch.cat([many, many.new_ones(-len(many) % VECTOR)])
        values = torch.cat([self.fall(block) for block in many.split(BLOCK)])[: len(others)]
        table = self.fall(torch.arange(POWERS_TABLE, dtype=torch.float64))
        return torch.from_numpy(rivers_cpu.looked_up(cells.numpy(), table.numpy(), others, values.numpy()))


def fitted_law(exemplars: Sequence[Tensor], level: float) -> RiverLaw | None:
    """The law of the rivers of maps [h, w] in one unit, from medians of log fall in bins of log cells; falls up to `level` per
    pixel are standing water and left out. Beyond the largest rivers it goes on as it does on the whole, but never rises. None where
    too few rivers are found."""
    found = [_falls(exemplar) for exemplar in exemplars]
    cells, fall = (np.concatenate(values) for values in zip(*found, strict=True))
    rivers = (cells >= LEAST_CELLS) & (fall > level)
    log_cells, log_fall = np.log10(cells[rivers]), np.log10(fall[rivers])
    knots = []
    for low in np.arange(np.log10(LEAST_CELLS), log_cells.max(initial=0.0), BIN_DECADES):
        within = (log_cells >= low) & (log_cells < low + BIN_DECADES)
        if within.sum() > LEAST_IN_BIN:
            knots.append((low + BIN_DECADES / 2, float(np.median(log_fall[within]))))
    if len(knots) < LEAST_BINS:
        return None
    places, medians = np.array(knots).T
    steepness = min(0.0, float(np.polyfit(places, medians, 1)[0]))
    last, value = knots[-1]
    knots.append((last + 3.0, value + 3.0 * steepness))
    return RiverLaw(*np.array(knots).T.copy())


def with_profile_of(
    height: Tensor, ground: Tensor, least_fall: float, *, rounds: int = 1, impl: Impl = "auto"
) -> Tensor:
    """Heights float32 [H, W] near `height` whose rivers fall from pixel to pixel as `ground` [H, W] does below them, and by
    `least_fall` where it rises. rounds: as in with_profiles()."""
    z, below = height.double().contiguous(), ground.double().flatten()
    for _ in range(rounds):
        flow = route(z, 1.0, impl=impl)
        step = grid.receiver_lengths(flow.codes).flatten()
        fall = ((below - below[flow.receiver]) / step).clamp_min(least_fall)
        z = z + _correction(z, z, flow, fall, None, impl)
    return z.float()


def with_profiles(
    height: Tensor,
    laws: Sequence[RiverLaw | None],
    *,
    labels: Tensor | None = None,
    still: Tensor | None = None,
    rounds: int = 1,
    impl: Impl = "auto",
) -> Tensor:
    """Heights float32 [H, W] near `height` whose rivers have the profiles of the laws, in the unit of the laws.

    labels: which law applies where, [H, W]; without them the first. Where a law is None rivers are smoothed only. still: bool [H,
    W], water that does not fall. rounds: each finds the rivers anew, for they have moved.
    """
    z = height.double().contiguous()
    for _ in range(rounds):
        level = z if still is None else flattened(z, still)
        flow = route(level, 1.0, impl=impl)
        z = z + _correction(z, level, flow, _falls_by_law(flow, laws, labels, still, impl), still, impl)
    return z.float()


def _falls_by_law(
    flow: Flow, laws: Sequence[RiverLaw | None], labels: Tensor | None, still: Tensor | None, impl: Impl
) -> Tensor:
    """The fall per pixel [N] float64 that each cell's river should have."""
    cells = flow.upstream
    falls = [
        cells.new_zeros(len(cells), dtype=torch.float64) if law is None else law.fall_of_counts(cells, impl)
        for law in laws
    ]
    fall = falls[0]
    for number, other in enumerate(falls[1:] if labels is not None else (), start=1):
        assert labels is not None
        fall = torch.where(labels.flatten() == number, other, fall)
    return fall if still is None else torch.where(still.flatten(), 0.0, fall)


def _correction(z: Tensor, level: Tensor, flow: Flow, fall: Tensor, still: Tensor | None, impl: Impl) -> Tensor:
    """What the rivers and the slopes beside them have to rise [H, W] float64; level: the heights with still water at one level."""
    bed = falling(level, flow, cut_share=CUT_SHARE, impl=impl)
    chosen = choose(impl, z.device, cuda=True)
    if chosen == "cpu":
        from backend.ops.terrain import rivers_cpu

        water = np.zeros(0, bool) if still is None else still.flatten().numpy()
        rules = LEAST_CELLS, RIGID_CELLS, STRAIGHT_CELLS, STILL
        held = rivers_cpu.holds(flow.upstream.numpy(), flow.codes.numpy(), fall.numpy(), water, rules)
        return torch.from_numpy(rivers_cpu.risen(z.numpy(), bed.numpy(), pieces_along(flow), held, SWEEPS))
    cells = flow.upstream.double()
    river = cells >= LEAST_CELLS
    hold, firm = cells / RIGID_CELLS, cells / STRAIGHT_CELLS
    if still is not None:
        water = still.flatten()
        river = river | water
        hold, firm = (torch.where(water, values.clamp_min(STILL), values) for values in (hold, firm))
    step = grid.receiver_lengths(flow.codes).flatten()
    stiffness = torch.where(river & (flow.codes.flatten() != NO_RECEIVER), firm, 0.0) / step
    fall = fall * step
    weight = torch.where(river, hold, 0.0).reshape(z.shape)
    profile, membrane = (
        (_profile_on_card, _membrane_on_card) if chosen == "cuda" else (rivers_plain.profile, rivers_plain.membrane)
    )
    rise = torch.where(river, profile(bed, flow, fall, stiffness) - z.flatten(), 0.0).reshape(z.shape)
    return membrane(rise, weight, SWEEPS)


def _profile_on_card(bed: Tensor, flow: Flow, fall: Tensor, stiffness: Tensor) -> Tensor:
    from backend.ops.terrain import rivers_cuda

    walk, threads = flow.walk, rivers_cuda.THREADS
    order = walk.order.long()
    own, sums, made = (torch.empty_like(bed) for _ in range(3))
    tree = (walk.starts, walk.parent, walk.donors, walk.first_donor)
    values = (bed[order], fall[order], stiffness[order], own, sums, made)
    rivers_cuda.profile.launch(threads, *tree, *values, block=(threads,))
    return torch.empty_like(made).scatter_(0, order, made)


def _membrane_on_card(target: Tensor, weight: Tensor, sweeps: int) -> Tensor:
    from backend.ops.terrain import rivers_cuda

    pull = rivers_plain.with_neighbours(weight)
    held, made, other = weight * target, target.clone(), torch.empty_like(target)
    wide, high = rivers_cuda.TILE_THREADS
    blocks = [-(-side // rivers_cuda.TILE) for side in target.shape]
    for done in range(0, 2 * sweeps, rivers_cuda.BORDER):
        count = min(rivers_cuda.BORDER, 2 * sweeps - done)
        threads = (blocks[0] * high, blocks[1] * wide)
        rivers_cuda.sweep.launch(threads, held, pull, made, done & 1, count, other, block=(wide, high))
        made, other = other, made
    return made


def _falls(height: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Drained cells and fall per pixel of the water of the cells of a map's middle that do not end where they are."""
    top, left = (max(0, (side - MOST_LAW_SIDE) // 2) for side in height.shape)
    z = height[top : top + MOST_LAW_SIDE, left : left + MOST_LAW_SIDE].cpu().double().contiguous()
    flow = route(z, 1.0)
    water = z.flatten()
    for ahead in forest.jumps(flow.receiver):
        water = torch.maximum(water, water[ahead])
    step = grid.receiver_lengths(flow.codes).flatten()
    moving = flow.codes.flatten() != NO_RECEIVER
    fall = (water - water[flow.receiver]) / step
    return flow.upstream[moving].double().numpy(), fall[moving].numpy()
