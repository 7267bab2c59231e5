"""Valleys cut into the large form of a terrain, with the fine relief laid on it again.

Water runs over the map on a coarse grid, where each step costs little. What it moves is kept apart from the land that was there:
soil creep evens out the cuts, and rounds the land itself only where it is gentle. The land's fine relief fades where the ground is
worn away or buried, and stays elsewhere. Land full of hollows has not been shaped by water: its rivers get their profile first, it
wears faster, and its fine relief, which holds water, goes. So noise is turned into valleys by the same settings that leave land
that drains as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.algorithms.erosion.ground import Ground
from backend.algorithms.erosion.incision import Incision, erosion_law, mean_slope
from backend.algorithms.erosion.profiles import with_beds, with_rivers
from backend.algorithms.erosion.strata import Strata
from backend.ops.resampling import resize
from backend.ops.smoothing import gaussian
from backend.ops.terrain import depressions, erosion, talus
from backend.ops.terrain.lakes import survey_level
from backend.ops.terrain.still_water import flattened, level_water, leveled
from backend.runtime.context import JobContext
from shared.catalog.hydrology import HydrologyParams

GRID_SIDE, GRID_SHARE = (
    384,
    0.25,
)  # pixels of the coarse grid along the map's longer side; or a share of the map's, if that is more
FINEST_CELL = 2  # pixels of the map: a channel on the coarse grid is never one pixel wide; maps of up to
LEAST_SIDE = 64  # pixels are taken as they are
FINEST_FORM = 1.0  # deviations in pixels of the coarse grid: nothing smaller is large form
FIRST_ROUNDS = 4  # in which rivers find their way through land full of hollows
HOLLOW_SHARE = 0.25  # of the cells around: so many in hollows make land that water has not shaped
HOLLOW_REACH = 0.03  # sides of the map: what "around" means
HASTE = 12.0  # how much faster such land wears
HOLLOW_DETAIL = 0.9  # share of its fine relief that goes
HARDEST = 0.02  # rate of wear where the mask of hardness is 1
GENTLE = 0.3  # of the mean slope from divide to edge: steeper land does not creep
BURIED = 0.02  # of the relief: a layer of sediment so thick creeps on any slope
WORN_AWAY = 3.0  # how many of its own deviations the ground must change to lose half of its fine relief
REBOUND_REACH = 0.1  # sides of the map over which the crust bends
REBOUND_GRID = 32
SLIDE_EVERY, SLIDE_ROUNDS = 2, 8  # steps between slides, and rounds of one at full strength


@dataclass(frozen=True)
class Site:
    """What a terrain is worn with besides the settings: maps [H, W] float32 0..1 or None; metres."""

    pixel_size_m: float
    relief_m: float
    strength: Tensor | None
    hardness: Tensor | None


class Valleys:
    """A terrain under erosion, as the sum of three: its large form, what water and creep have changed, and its fine relief."""

    def __init__(self, given: Tensor, params: HydrologyParams, site: Site, job: JobContext) -> None:
        self._given, self._params, self._site, self._job = given, params, site, job
        longer = max(given.shape)
        side = min(longer, max(LEAST_SIDE, min(longer // FINEST_CELL, max(GRID_SIDE, round(GRID_SHARE * longer)))))
        self._shape = tuple(max(1, round(n * side / longer)) for n in given.shape)
        self._pixel_size_m = site.pixel_size_m * longer / side
        self._law = erosion_law(params, self._shape, self._pixel_size_m, site.relief_m)
        self._incision = Incision(params, self._law, self._pixel_size_m, job)
        land = self._coarse(given).double()
        self._finest = max(params.valley_size / 100.0 * min(self._shape), FINEST_FORM)
        self._form = gaussian(land, self._finest, edge="nearest")
        self._fine = land - self._form
        spread = gaussian(self._fine * self._fine, 2.0 * self._finest, edge="nearest").clamp_min(0.0).sqrt()
        self._tolerance_m = WORN_AWAY * spread + 1e-6 * site.relief_m + 1e-12
        self._raw = self._hollowness()
        hard = 0.0 if site.hardness is None else self._coarse(site.hardness).clamp(0.0, 1.0).double()
        self._rate = (1.0 + HASTE * self._raw) * HARDEST**hard
        if site.strength is not None:
            self._rate = self._rate * self._coarse(site.strength).clamp(0.0, 1.0).double()
        self._soil = 1.0 - torch.as_tensor(hard)
        self._change = torch.zeros_like(land)
        self.strata = Strata(given.double(), params, site.pixel_size_m, job.generator) if params.strata > 0 else None
        self.ground = Ground(land)

    def erode(self) -> None:
        """All steps, or as many as there are until the user asks for the current result."""
        if self._params.amount > 0 and self._params.depressions != "keep":
            self._take(with_rivers(self.ground.height.float(), self._params, rounds=FIRST_ROUNDS).double())
        for number in range(self._params.steps):
            if self._job.finish_early:
                return
            self._step(number)
            self._job.preview(height=self.surface)

    def surface(self) -> Tensor:
        """The terrain [H, W] float32 on the map's own grid."""
        form, change = (self._full(part.float()) for part in (self._form, self._change))
        return form + change + self._full(self._kept().float()).clamp(0.0, 1.0) * (self._given - form)

    def layers(self) -> tuple[Tensor, Tensor, Tensor]:
        """Sediment, wear and all that settled [H, W] float64 on the map's own grid, metres."""
        ground = self.ground
        parts = (ground.sediment, ground.wear, ground.settled)
        sediment, wear, settled = (self._full(part.float()).clamp_min(0.0).double() for part in parts)
        return sediment, wear, settled

    def _step(self, number: int) -> None:
        self._report(number)
        self._lift(self._rising())
        before = self.ground.height
        rate = self._rate if self.strata is None else self._rate * self.strata.rate(before, self._pixel_size_m)
        after = self._incision.step(number, before, rate, lambda: self._report(number))
        if self._params.debris > 0 and number % SLIDE_EVERY == 0:
            after = self._slide(after)
        erosion.lower_rim(before, after)
        self._take(after)
        settled = self._incision.settled
        if settled is not None:
            self.ground.settled += settled.reshape(before.shape)
        self._lift(self._params.rebound * self._unloading(before - after))
        self._creep()

    def _take(self, surface: Tensor) -> None:
        self._change = self._change + (surface - self.ground.height)
        self.ground.move_to(surface)

    def _lift(self, by: Tensor | None) -> None:
        if by is not None:
            self._change = self._change + by
            self.ground.height = self.ground.height + by

    def _rising(self) -> Tensor | None:
        """What the land is lifted in a step: high land rises, coasts stay."""
        if self._law.uplift == 0:
            return None
        z = self._form + self._change
        return (z - z.min()) * (self._law.uplift / self._params.steps / max(float(z.max() - z.min()), 1e-9))

    def _unloading(self, lost: Tensor) -> Tensor:
        """How far the crust rises [H, W] where `lost` metres were taken off it: as much, spread over REBOUND_REACH."""
        longer = max(self._shape)
        small = [max(1, round(n * min(1.0, REBOUND_GRID / longer))) for n in self._shape]
        spread = gaussian(resize(lost, small), REBOUND_REACH * min(small), edge="nearest")
        return resize(spread, self._shape)

    def _slide(self, height: Tensor) -> Tensor:
        rounds = max(1, round(SLIDE_ROUNDS * self._params.debris))
        slid = talus.slumped(height, self._pixel_size_m, self._law.steepest, rounds)
        return height + (slid - height) * self._rate.clamp_max(1.0)

    def _creep(self) -> None:
        """Soil creep evens what was changed, and the land itself where it is gentle or buried."""
        if self._law.diffusivity > 0:
            years, change = 1.0 / self._params.steps, self._change
            land = self._form + change
            slope = _slope(land, self._pixel_size_m) / (
                GENTLE * mean_slope(self._shape, self._pixel_size_m, self._site.relief_m)
            )
            deep = self.ground.sediment / (BURIED * self._site.relief_m + 1e-12)
            soil = self._soil * torch.maximum(1.0 / (1.0 + slope**4), (deep * deep / (1.0 + deep * deep)))
            evened = erosion.creep(change, self._pixel_size_m, self._law.diffusivity, years) - change
            rounded = erosion.creep(land, self._pixel_size_m, self._law.diffusivity, years) - land
            moved = evened + soil * (rounded - evened)
            if self._site.strength is not None:
                moved = moved * self._rate.clamp_max(1.0)
            self._change = change + moved
        self.ground.move_to(self._form + self._change + self._kept() * self._fine)

    def _kept(self) -> Tensor:
        """Share of the fine relief that is left [H, W]."""
        gone = self._change / self._tolerance_m
        fresh = 1.0 - HOLLOW_DETAIL * self._raw * self._soil
        return (1.0 - self._params.fading) + self._params.fading * fresh / (1.0 + gone * gone)

    def _hollowness(self) -> Tensor:
        """How little water has shaped the land around each cell [H, W] 0..1, by how much of it lies in hollows."""
        pits = self._coarse(depressions.pit_mask(self._given).float())
        around = gaussian(pits, HOLLOW_REACH * min(self._shape), edge="nearest")
        return (around / HOLLOW_SHARE).clamp(0.0, 1.0).double()

    def _coarse(self, values: Tensor) -> Tensor:
        return resize(values, self._shape)

    def _full(self, values: Tensor) -> Tensor:
        return resize(values, self._given.shape)

    def _report(self, number: int) -> None:
        self._job.step(1 + number, self._params.steps + 2, "cutting valleys")


def shaped(given: Tensor, params: HydrologyParams, site: Site, job: JobContext) -> Ground:
    """A terrain [H, W] float32 after erosion, on its own grid, with the sediment on it and how far it was worn."""
    ground = Ground(given)
    if not (params.amount > 0 or params.smoothing > 0 or params.uplift > 0 or params.debris > 0):
        return ground
    valleys = Valleys(given, params, site, job)
    valleys.erode()
    height = valleys.surface()
    sediment, wear, settled = valleys.layers()
    if valleys.strata is not None:
        height = valleys.strata.benched(height.double(), wear, site.pixel_size_m).float()
    if params.amount > 0:
        still = _lakes(given)
        height = with_rivers(height, params, still if bool(still.any()) else None)
        height = leveled(with_beds(height, params), still)
    if site.strength is not None:
        height = given + site.strength * (height - given)
    ground.height, ground.sediment, ground.wear, ground.settled = height.double(), sediment, wear, settled
    return ground


def _lakes(given: Tensor) -> Tensor:
    """The level water of a map, bool [H, W]; of level ground at two heights side by side only one."""
    level_m = survey_level(given)
    still = level_water(given, level_m)
    return still & ((flattened(given, still) - given).abs() <= level_m)


def _slope(height: Tensor, pixel_size_m: float) -> Tensor:
    """|grad z| [H, W], m / m; 0 on maps of one row or column."""
    if min(height.shape) < 2:
        return torch.zeros_like(height)
    down, across = torch.gradient(height, spacing=pixel_size_m)
    return torch.hypot(down, across)
