"""Rivers as lines: where they run, where they join, how wide they are, and that no staircase is left of the grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.ops.terrain.depressions import breach_depressions
from backend.ops.terrain.river_lines import SHORTEST, river_lines, width_m
from backend.ops.terrain.routing import route
from shared.curves import Line
from tests.backend.ops.terrain.test_hydrology import rough

PX_M = 30.0
LEAST_M2 = 100 * PX_M**2


def valley(side: int = 96, *, turn: float = 0.3, fall: float = 0.2) -> torch.Tensor:
    """A valley with a straight floor from the top to the bottom, `turn` columns to the right per row."""
    row, column = np.mgrid[:side, :side].astype(np.float64)
    aside = np.abs(column - (0.3 * side + turn * row))
    return torch.from_numpy(20.0 * aside - fall * PX_M * row)


def drained(side: int, seed: int) -> torch.Tensor:
    return breach_depressions(torch.from_numpy(np.ascontiguousarray(rough(side, seed))).float())


def in_pixels(line: Line, side: int) -> np.ndarray:
    return line.points * side - 0.5


@pytest.mark.parametrize("turn", [0.0, 0.3, 0.5, 1.0])
def test_a_straight_valley_has_a_straight_river(turn: float) -> None:
    side = 96
    lines = river_lines(valley(side, turn=turn), PX_M, least_m2=LEAST_M2)
    longest = in_pixels(max(lines, key=lambda line: len(line.points)), side)
    aside = (longest[:, 0] - (0.3 * side + turn * longest[:, 1])) / np.hypot(1.0, turn)
    inner = slice(12, -12)  # its ends stay on the grid
    assert np.abs(aside[inner]).max() < 0.25, "of a pixel; cells are up to 0.5 off"
    step = np.diff(longest[inner], axis=0)
    bends = np.abs(np.diff(np.unwrap(np.arctan2(step[:, 1], step[:, 0]))))
    assert np.degrees(bends.max(initial=0.0)) < 8.0, "a path of cells turns by 45"


def test_rivers_fall_join_and_grow() -> None:
    side = 160
    height = drained(side, 4)
    lines = river_lines(height, PX_M, least_m2=LEAST_M2)
    assert len(lines) > 20
    ends = {tuple(line.points[-1]) for line in lines}
    begins = {tuple(line.points[0]): line for line in lines}
    joined = 0
    for line in lines:
        assert line.type == "river"
        assert line.as_drawn
        assert (np.diff(line.z_m) <= 0).all()
        assert (np.diff(line.drained_m2) >= 0).all()
        np.testing.assert_array_equal(line.width_m, width_m(line.drained_m2))
        steps = np.hypot(*np.diff(in_pixels(line, side), axis=0).T)
        assert steps.max() < 3.0
        below = begins.get(tuple(line.points[-1]))
        if below is None:
            edge = in_pixels(line, side)[-1]
            assert min(edge.min(), side - 1 - edge.max()) < 1e-9, "what joins nothing ends at the border"
            continue
        joined += 1
        assert line.z_m[-1] == below.z_m[0]
        assert line.drained_m2[-1] < below.drained_m2[0]
    assert joined > 10
    springs = [line for line in lines if tuple(line.points[0]) not in ends]
    assert min(len(line.points) for line in springs if tuple(line.points[-1]) in begins) > SHORTEST - 2


def test_the_drained_land_is_that_of_the_flow() -> None:
    side = 128
    height = drained(side, 5)
    area = route(height, PX_M).area_m2.numpy()
    lines = river_lines(height, PX_M, least_m2=LEAST_M2)
    mouths = [line for line in lines if np.isclose(in_pixels(line, side)[-1] % 1.0, 0.0).all()]
    for line in mouths:
        start = np.rint(in_pixels(line, side)[0]).astype(int)
        around = area[max(start[1] - 1, 0) : start[1] + 2, max(start[0] - 1, 0) : start[0] + 2]
        assert np.isclose(around, line.drained_m2[0]).any()
    assert max(line.drained_m2[-1] for line in lines) <= area.max()


def test_still_water_interrupts_a_river() -> None:
    side = 96
    height, still = valley(side), torch.zeros(side, side, dtype=torch.bool)
    still[40:60] = True
    lines = river_lines(height, PX_M, least_m2=LEAST_M2, still=still)
    rows = np.concatenate([in_pixels(line, side)[:, 1] for line in lines])
    assert not ((rows > 41.5) & (rows < 58.5)).any()
    assert any(in_pixels(line, side)[-1, 1] == 40 for line in lines), "its last point is in the water"
    assert any(in_pixels(line, side)[0, 1] == 60 for line in lines)


def test_a_map_without_a_large_river_has_none() -> None:
    assert river_lines(valley(32), PX_M, least_m2=33 * 32 * PX_M**2) == []
    assert river_lines(torch.zeros(1, 5), PX_M, least_m2=LEAST_M2) == []
    assert river_lines(torch.zeros(40, 40), PX_M, least_m2=LEAST_M2) == []


def test_plain_and_compiled_forms_and_repeats_agree_to_the_bit() -> None:
    height = drained(96, 6)
    first, second, plain = (river_lines(height, PX_M, least_m2=LEAST_M2, impl=impl) for impl in ("cpu", "cpu", "plain"))
    assert len(first) == len(second) == len(plain)
    for a, b, c in zip(first, second, plain, strict=True):
        for name in ("points", "z_m", "width_m", "drained_m2"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
            np.testing.assert_array_equal(getattr(a, name), getattr(c, name))


def test_a_river_through_a_hollow_runs_at_its_spill_level() -> None:
    side = 64
    height = valley(side).float()
    height[20:30] -= 30.0  # below the valley's floor further down
    lines = river_lines(height, PX_M, least_m2=LEAST_M2)
    assert all((np.diff(line.z_m) <= 0).all() for line in lines)
