"""The long-range structure of terrain: long profiles of rivers, heights above them, landform elements, slots.

What the distributions of backend.measures.terrain_statistics do not see: two maps can share slopes and curvatures, and only one has
valleys. Heights are numpy [H, W] in metres of any real dtype; water follows the steepest descent of backend.ops.terrain.routing,
through pits. Nothing here is used to make terrain, only to judge it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from backend.measures.terrain_statistics import distribution_error
from backend.ops.terrain import forest
from backend.ops.terrain.routing import route

CHANNEL_CELLS = 200  # drained by a cell that counts as a river
SLOPE_CELLS = 20  # fewer are hillslopes, whose slope does not follow the law of rivers
LEVEL_SLOPE = 1e-5  # below it water stands: lakes, filled pits and steps of whole-metre data
BIN_DECADES = 0.3
LEAST_IN_BIN = 30
BORDER_PX = 4
STEEP = 2.0  # how much steeper the banks of a slot are than the median slope, and than the ground behind them

ELEMENTS = ("flat", "peak", "ridge", "shoulder", "spur", "slope", "hollow", "footslope", "valley", "pit")
REACH_PX = 12
FLAT_DEG = 1.0
_FLAT, _PEAK, _RIDGE, _SHOULDER, _SPUR, _SLOPE, _HOLLOW, _FOOTSLOPE, _VALLEY, _PIT = range(10)
_ROWS = (  # rows: directions in which the ground falls, 0 to 8; columns: in which it rises; both together are 8 at most
    (_FLAT, _FLAT, _FLAT, _FOOTSLOPE, _FOOTSLOPE, _VALLEY, _VALLEY, _VALLEY, _PIT),
    (_FLAT, _FLAT, _FOOTSLOPE, _FOOTSLOPE, _FOOTSLOPE, _VALLEY, _VALLEY, _VALLEY),
    (_FLAT, _SHOULDER, _SLOPE, _SLOPE, _HOLLOW, _HOLLOW, _VALLEY),
    (_SHOULDER, _SHOULDER, _SLOPE, _SLOPE, _SLOPE, _HOLLOW),
    (_SHOULDER, _SHOULDER, _SPUR, _SLOPE, _SLOPE),
    (_RIDGE, _RIDGE, _SPUR, _SPUR),
    (_RIDGE, _RIDGE, _RIDGE),
    (_RIDGE, _RIDGE),
    (_PEAK,),
)


@dataclass(frozen=True, kw_only=True)
class Structure:
    """concavity: see concavity(). slots: share of the river cells. hand: metres above the nearest river, one value per inner
    cell."""

    concavity: float
    slots: float
    hand: np.ndarray


@dataclass(frozen=True, kw_only=True)
class StructuralLikeness:
    """A terrain against the real one. hand: W1 in deviations of the real one's. geomorphons: L1, 0 to 2."""

    concavity: float
    concavity_real: float
    hand: float
    geomorphons: float
    slots: float
    slots_real: float

    def passes(self) -> bool:
        """All gates at once; those of concavity only where the real one has a law."""
        return (
            not abs(self.concavity - self.concavity_real) > 0.08 and self.hand <= 0.12 and self.geomorphons <= 0.12
            and self.slots <= self.slots_real + 0.005
        )  # fmt: skip


def compare(height: np.ndarray, real: np.ndarray, pixel_size_m: float) -> StructuralLikeness:
    """Every figure of `height` against `real` at the same pixel size."""
    made, model = (structure(z, pixel_size_m) for z in (height, real))
    elements = [geomorphons(z, pixel_size_m) for z in (height, real)]
    return StructuralLikeness(
        concavity=made.concavity,
        concavity_real=model.concavity,
        hand=distribution_error(made.hand, model.hand),
        geomorphons=float(np.abs(elements[0] - elements[1]).sum()),
        slots=made.slots,
        slots_real=model.slots,
    )


def structure(height: np.ndarray, pixel_size_m: float) -> Structure:
    """All that follows the water over one map."""
    z = np.ascontiguousarray(height, np.float64)
    flow = route(torch.from_numpy(z), pixel_size_m)
    rows, columns = np.divmod(flow.receiver.numpy().reshape(z.shape), z.shape[1])
    down, across = (to - here for to, here in zip((rows, columns), np.indices(z.shape), strict=True))
    inner = (down != 0) | (across != 0)
    inner[:BORDER_PX] = inner[-BORDER_PX:] = False
    inner[:, :BORDER_PX] = inner[:, -BORDER_PX:] = False
    area = flow.upstream.numpy().reshape(z.shape)
    water = _water(z, flow.receiver)
    fall = (water - water.ravel()[flow.receiver.numpy()].reshape(z.shape)) / (
        np.hypot(down, across).clip(1) * pixel_size_m
    )
    channel = area >= CHANNEL_CELLS
    here = torch.arange(z.size)
    base = forest.roots(torch.where(torch.from_numpy(channel.ravel()), here, flow.receiver)).numpy()
    return Structure(
        concavity=concavity(area[inner], fall[inner]),
        slots=_slots(z, inner & channel, down, across, inner, pixel_size_m),
        hand=(water - water.ravel()[base].reshape(z.shape))[inner],
    )


def concavity(area: np.ndarray, slope: np.ndarray) -> float:
    """theta of slope = k area^-theta: the slope of a line through the medians of log slope in bins of log drained cells; not a
    number where there are fewer than three bins. Level water is left out."""
    law = slope_law(area, slope)
    return float(-np.polyfit(law[0], law[1], 1)[0]) if len(law[0]) > 2 else float("nan")


def slope_law(area: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middles of bins of log10 drained cells, and the median of log10 slope in each."""
    river = (area >= SLOPE_CELLS) & (slope > LEVEL_SLOPE)
    log_area, log_slope = np.log10(area[river]), np.log10(slope[river])
    found = []
    for low in np.arange(1.3, log_area.max(initial=0.0), BIN_DECADES):
        within = (log_area >= low) & (log_area < low + BIN_DECADES)
        if within.sum() > LEAST_IN_BIN:
            found.append((low + BIN_DECADES / 2, float(np.median(log_slope[within]))))
    middles, medians = zip(*found, strict=True) if found else ((), ())
    return np.array(middles), np.array(medians)


def geomorphons(height: np.ndarray, pixel_size_m: float) -> np.ndarray:
    """Shares [10] of the ELEMENTS among the cells REACH_PX from the border and farther.

    In each of eight directions the ground rises, falls or is level, by the steepest lines of sight up and down; how many rise and
    how many fall names the element (Jasiewicz and Stepinski 2013, doi:10.1016/j.geomorph.2012.11.005, fig. 4).
    """
    z = np.asarray(height, np.float64)
    n = REACH_PX
    middle = z[n:-n, n:-n]
    rising, falling = np.zeros(middle.shape, np.int64), np.zeros(middle.shape, np.int64)
    for dy, dx in ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)):
        slopes = [
            (z[n + k * dy : z.shape[0] - n + k * dy, n + k * dx : z.shape[1] - n + k * dx] - middle)
            / (k * pixel_size_m * np.hypot(dy, dx))
            for k in range(1, n + 1)
        ]
        up, down = (np.degrees(np.arctan(limit)) for limit in (np.max(slopes, axis=0), -np.min(slopes, axis=0)))
        rising += up - down > FLAT_DEG
        falling += down - up > FLAT_DEG
    table = np.array([[*row, *[-1] * (9 - len(row))] for row in _ROWS])
    return np.bincount(table[falling, rising].ravel(), minlength=len(ELEMENTS)) / middle.size


def _water(z: np.ndarray, receiver: torch.Tensor) -> np.ndarray:
    """The greatest height on each cell's way out: the ground, or the level of the water that stands on it."""
    level = torch.from_numpy(z.ravel())
    for ahead in forest.jumps(receiver):
        level = torch.maximum(level, level[ahead])
    return level.numpy().reshape(z.shape)


def _slots(
    z: np.ndarray, river: np.ndarray, down: np.ndarray, across: np.ndarray, inner: np.ndarray, pixel_size_m: float
) -> float:
    """Share of the river cells whose both banks, one cell across the flow, rise more than STEEP times the median slope and more
    than STEEP times what the next cells rise: trenches one cell wide."""
    y, x = np.nonzero(river)
    if not y.size:
        return 0.0
    dy, dx = -across[river], down[river]
    sides = [[z[y + k * sign * dy, x + k * sign * dx] for k in (1, 2)] for sign in (1, -1)]
    near = np.minimum(sides[0][0], sides[1][0]) - z[y, x]
    next_ = np.minimum(sides[0][1] - sides[0][0], sides[1][1] - sides[1][0])
    typical = float(np.median(np.hypot(*np.gradient(z, pixel_size_m))[inner]))
    steep = near / (np.hypot(dy, dx) * pixel_size_m) > STEEP * typical
    return float((steep & (near > STEEP * next_.clip(0))).mean())
