"""Water on a refined terrain runs off as it did before, and its averages stay.

Rivers keep the profile that they have on the smooth surface through the map: detail that dams one up is taken from its bed, and
the slopes beside it move along (backend.ops.terrain.rivers). What little is left is carved, and given back to the ridges: a cell
that no other drains through can be raised, and all water still runs as before. Hollows that the map itself has stay, and so does
level water. Makes no detail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.algorithms.relief.runoff import DROP_M
from backend.ops.block_means import restored, smooth
from backend.ops.terrain.constants import NO_RECEIVER
from backend.ops.terrain.depressions import fill_depressions
from backend.ops.terrain.drainage import drain
from backend.ops.terrain.rivers import with_profile_of
from backend.ops.terrain.routing import route
from backend.ops.terrain.still_water import level_water

PROFILE_ROUNDS = 2
CUT_SHARES = (0.6,) * 4


def let_off(height: Tensor, kept: Tensor, drop: float = DROP_M) -> Tensor:
    """A refined map [H * n, W * n] float32 m without pits but in the hollows of the map `kept` [H, W], whose averages it has. drop:
    the fall from pixel to pixel, at least."""
    times = height.shape[0] // kept.shape[0]
    waters = _Waters.of(kept, times, drop)
    height = waters.leveled(height)
    ground = smooth(kept, height.shape)
    for _ in range(PROFILE_ROUNDS):
        height = waters.leveled(restored(with_profile_of(height, ground, drop), kept))
    for cut_share in CUT_SHARES:
        height = waters.changed(height, lambda surface, share=cut_share: drain(surface, cut_share=share, drop=drop))
        height = waters.leveled(restored(height, kept))
    height = waters.changed(height, lambda surface: drain(surface, cut_share=1.0, drop=drop))
    return _with_ridges_raised(waters.filled(height), height, kept, ~waters.lake)


@dataclass(frozen=True)
class _Waters:
    """What holds water on the map itself, on the pixels of the result [H * n, W * n]: level water, which keeps its heights, and
    hollows, with the level that they would be full to."""

    lake: Tensor
    hollow: Tensor
    level_m: Tensor
    kept_m: Tensor

    @staticmethod
    def of(kept: Tensor, times: int, drop: float) -> _Waters:
        full = fill_depressions(kept)
        still = level_water(kept, drop)
        return _Waters(*(enlarged(values, times) for values in (still, full > kept, full, kept)))

    def leveled(self, height: Tensor) -> Tensor:
        return torch.where(self.lake, self.kept_m, height)

    def filled(self, height: Tensor) -> Tensor:
        return torch.where(self.hollow, torch.maximum(height, self.level_m), height)

    def changed(self, height: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        """The heights after a change of the surface that water runs on; what lies under water stays."""
        surface = self.filled(height)
        return torch.where(self.hollow | self.lake, height, height + (change(surface) - surface))


def enlarged(values: Tensor, times: int) -> Tensor:
    """Each pixel [H, W] as times x times pixels."""
    return values.repeat_interleave(times, 0).repeat_interleave(times, 1)


def _with_ridges_raised(surface: Tensor, height: Tensor, kept: Tensor, land: Tensor) -> Tensor:
    """The map with its averages, as far as the cells of the land that no other drains through give them back."""
    times = height.shape[0] // kept.shape[0]
    flow = route(surface, 1.0)
    ridge = (flow.upstream.reshape(height.shape) == 1) & (flow.codes != NO_RECEIVER) & land

    def sums(values: Tensor) -> Tensor:
        return values.reshape(kept.shape[0], times, kept.shape[1], times).sum((1, 3))

    lack = times**2 * kept.double() - sums(height.double())
    rise = (lack / sums(ridge.long()).clamp_min(1)).clamp_min(0).float()
    return torch.where(ridge, height + enlarged(rise, times), height)
