"""How water runs off a map while landforms are transferred to it, and at the end.

With profiles, rivers fall as those of the exemplars do at the same drained area and their valleys move along
(backend.ops.terrain.rivers); without, as in versions 1 and 2, by the nearest surface that drains (backend.ops.terrain.drainage),
which leaves canals that fall a millimetre per pixel. What no river reaches is drained so in the end, too: shallow pits of few
pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from backend.ops.terrain.drainage import drain
from backend.ops.terrain.rivers import fitted_law, with_profiles
from backend.ops.terrain.still_water import leveled, share_of_still_water, still_water

DROP_M = 1e-3
LAST_ROUNDS = 2


class Runoff:
    """The way out of maps of one size. groups: the exemplars of each class at that size, `unit_m` metres the unit of their heights
    and of all others."""

    def __init__(
        self, groups: Sequence[Sequence[Tensor]], labels: Tensor, unit_m: float, cut_share: float, *, profiles: bool
    ) -> None:
        self._drop, self._cut_share = DROP_M / unit_m, cut_share
        self._laws = [fitted_law(group, self._drop) for group in groups] if profiles else []
        self._water = share_of_still_water([e for group in groups for e in group], self._drop) if profiles else 0.0
        self._labels = labels if len(groups) > 1 else None

    @property
    def lacks_rivers(self) -> bool:
        """Whether an exemplar was too small, or too level, to fit a law of its rivers from."""
        return any(law is None for law in self._laws)

    def nearly(self, height: Tensor) -> Tensor:
        """The map [H, W] after one turn, for transport to go on with."""
        if not self._laws:
            return drain(height, cut_share=self._cut_share)
        return with_profiles(height, self._laws, labels=self._labels, still=still_water(height, self._water))

    def fully(self, height: Tensor) -> Tensor:
        """The map [H, W] without pits."""
        if not self._laws:
            return drain(height, cut_share=self._cut_share, drop=self._drop)
        still = still_water(height, self._water)
        height = with_profiles(height, self._laws, labels=self._labels, still=still, rounds=LAST_ROUNDS)
        return leveled(drain(height, cut_share=self._cut_share, drop=self._drop), still)
