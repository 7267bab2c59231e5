"""Lakes: hollows that count and those that do not, still water that something ran over, and level ground of a map."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.ops.terrain.lakes import LEAST_CELLS, Lakes, still_lakes, with_filled_hollows
from backend.ops.terrain.still_water import level_water
from tests.backend.ops.terrain.test_hydrology import rough

PX_M = 10.0


def slope(side: int = 64) -> torch.Tensor:
    row, column = np.mgrid[:side, :side]
    return torch.from_numpy((3.0 * row + 0.1 * column).astype(np.float32))


def dry(height: torch.Tensor) -> Lakes:
    return Lakes(torch.zeros(height.shape, dtype=torch.bool), height)


def test_a_wide_deep_hollow_fills_to_its_sill_and_dents_do_not() -> None:
    height = slope()
    height[20:30, 20:30] = 10.0
    height[50, 50] = 0.0  # one cell
    height[50:56, 10:16] -= 3.05  # six by six, but hardly deeper than the slope beside it
    lakes = with_filled_hollows(dry(height), PX_M)
    assert bool(lakes.where[22:29, 21:29].all())
    assert not bool(lakes.where[48:].any())
    level = lakes.surface[lakes.where]
    assert level.min() == level.max()
    outside = torch.ones_like(lakes.where)
    outside[20:30, 20:30] = False
    beside = torch.cat([height[19, 19:31], height[30, 19:31], height[19:31, 19], height[19:31, 30]])
    assert level.max() == beside.min()
    np.testing.assert_array_equal(lakes.surface[~lakes.where].numpy(), height[~lakes.where].numpy())


def test_land_that_drains_has_no_lakes() -> None:
    made = with_filled_hollows(dry(slope()), PX_M)
    assert not bool(made.where.any())
    assert not bool(still_lakes(slope(), PX_M).where.any())


@pytest.mark.parametrize("height", [torch.zeros(30, 30), torch.zeros(1, 1), torch.ones(2, 40), torch.full((9, 9), 5.0)])
def test_maps_without_relief_have_no_lakes(height: torch.Tensor) -> None:
    assert not bool(still_lakes(height, PX_M).where.any())
    assert not bool(with_filled_hollows(dry(height), PX_M).where.any())


def test_level_water_is_wide_in_every_direction() -> None:
    height = torch.from_numpy(np.ascontiguousarray(rough(64, 1))).float()
    height[8:20, 8:24] = 7.0
    height[40:43, 4:60] = 9.0  # a terrace
    found = level_water(height, 1e-4)
    expected = torch.zeros_like(found)
    expected[8:20, 8:24] = True
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("corner", range(4))
def test_the_smallest_water_is_found_wherever_it_lies(corner: int) -> None:
    height = torch.from_numpy(np.ascontiguousarray(rough(40, 2))).float()
    height[10 + corner : 17 + corner, 9 + corner : 16 + corner] = 3.0
    assert int(level_water(height, 1e-4).sum()) == 49


def test_what_ran_over_a_lake_leaves_it_at_one_level() -> None:
    before = slope()
    before[20:40, 20:40] = 50.0
    after = before.clone()
    after[20:40, 20:40] -= 0.05 * torch.rand(20, 20, generator=torch.Generator().manual_seed(1))
    after[29:31, 20:40] -= 5.0  # a bed through it
    after[34:37, 34:37] += 8.0  # an island of sediment
    lakes = still_lakes(after, PX_M, before=before)
    assert int(lakes.where.sum()) == 400 - 9
    assert lakes.surface[lakes.where].unique().numel() == 1
    assert bool((lakes.surface >= after).all())


def test_a_lake_that_is_mostly_gone_is_gone() -> None:
    before = slope()
    before[20:40, 20:40] = 50.0
    after = before.clone()
    after[20:40, 20:33] -= torch.arange(13) * 2.0
    assert not bool(still_lakes(after, PX_M, before=before).where.any())
    assert LEAST_CELLS < 400
