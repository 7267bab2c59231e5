"""The rules of the simulated landscapes: what rivers, slides, ice, lava, sinking rain and wind do to simple ground."""

from __future__ import annotations

import numpy as np
import pytest

from backend.training.landforms import erosion_cpu, karst_cpu, lava_cpu, rock, sand_cpu
from backend.training.landforms.erosion import evolve
from backend.training.landforms.grid import Grid, rough


def test_all_rain_reaches_the_edge() -> None:
    z = rough(60, 12.0, 3)
    receiver, order = erosion_cpu.drain(z, 0.7, 5)
    cells = erosion_cpu.cells_upstream(receiver, order).reshape(z.shape)
    edge = np.ones(z.shape, bool)
    edge[1:-1, 1:-1] = False
    assert cells[edge].sum() == z.size
    place = np.empty(z.size, np.int64)
    place[order] = np.arange(z.size)
    inner = receiver != np.arange(z.size)
    assert (place[receiver[inner]] < place[inner]).all()


def test_incision_reaches_the_steady_slope_of_its_law() -> None:
    """U = K A^m S on the river of a narrow valley, after long uplift."""
    uplift, strength, exponent, pixel = 1e-3, 2e-5, 0.45, 50.0
    rng = np.random.default_rng(1)
    z = evolve(
        rng.uniform(0, 1, (48, 48)), pixel, 4e6, 200, 1, strength=np.full((48, 48), strength), uplift=uplift,
        exponent=exponent, diffusivity=0.0, steepest=89.0,
    )  # fmt: skip
    receiver, order = erosion_cpu.drain(z, 1e-3, 0)
    area = erosion_cpu.cells_upstream(receiver, order) * pixel**2
    cells = np.arange(z.size)
    rows, columns = np.divmod(cells, 48)
    down_rows, down_columns = np.divmod(receiver, 48)
    distance = pixel * np.hypot(rows - down_rows, columns - down_columns)
    river = (area > 30 * pixel**2) & (distance > 0)
    slope = (z.ravel() - z.ravel()[receiver])[river] / distance[river]
    expected = uplift / (strength * area[river] ** exponent)
    assert np.median(slope / expected) == pytest.approx(1.0, abs=0.12)


def test_slides_keep_the_mass_and_the_angle() -> None:
    z = np.zeros((40, 40))
    z[20, 20] = 300.0
    before = z.sum()
    erosion_cpu.slide(z, 1.0, np.full(z.shape, np.tan(np.radians(45.0))), 3000)
    assert z.sum() == pytest.approx(before)
    assert np.abs(np.diff(z, axis=1)).max() < 1.01


def test_the_wind_keeps_every_slab() -> None:
    sand = np.full((40, 50), 9, np.int32)
    sand_cpu.blow(sand, 0.33, 5.0, 1.5, 0.6, 0.4, 60_000, 4)
    assert sand.sum() == 9 * 40 * 50
    assert sand.min() >= 0
    assert sand.std() > 0.8  # of 0 at first: the plain is unstable: dunes grow


def test_the_wind_blows_where_it_is_told() -> None:
    """A heap on bare rock goes with the wind, whichever way that is."""
    for east, south in ((6.0, 0.0), (0.0, 6.0), (-4.0, -4.0)):
        sand = np.zeros((80, 80), np.int32)
        sand[38:42, 38:42] = 30
        sand_cpu.blow(sand, 0.2, east, south, 0.6, 0.4, 60_000, 4)
        rows, columns = np.indices(sand.shape) - 39.5
        moved = np.average(columns, weights=sand), np.average(rows, weights=sand)
        assert moved[0] * east + moved[1] * south > 6.0
        assert abs(moved[0] * south - moved[1] * east) < 0.5 * (moved[0] * east + moved[1] * south)


def test_what_is_too_steep_falls_to_its_angle_in_every_direction() -> None:
    """A high plateau around a round pit becomes a funnel, not a pyramid."""
    far = np.hypot(*(np.indices((101, 101)) - 50.0))
    z = np.where(far <= 10.0, 0.0, 100.0)
    steepest = np.full(z.shape, 0.5)
    erosion_cpu.fail(z, 1.0, steepest, 1.0)
    ring = (far > 14.0) & (far < 45.0)
    assert np.abs(z - 0.5 * (far - 10.0))[ring].max() < 0.6
    before = z.copy()
    erosion_cpu.fail(z, 1.0, steepest, 1.0)
    assert np.abs(z - before).max() < 1e-9


def test_hillslopes_are_not_cut_by_rivers() -> None:
    """The law of rivers has half its strength where channel_m2 drain."""
    z = np.tile(np.linspace(0.0, 100.0, 40), (40, 1))
    free, held = z.copy(), z.copy()
    receiver, order = erosion_cpu.drain(z, 0.7, 1)
    cells = erosion_cpu.cells_upstream(receiver, order)
    strength = np.full(z.shape, 0.05)
    erosion_cpu.incise(free, receiver, order, cells, 10.0, strength, 0.5, 0.0)
    erosion_cpu.incise(held, receiver, order, cells, 10.0, strength, 0.5, 1e9)
    assert (z - free).max() > 1.0
    assert (z - held).max() < 0.01 * (z - free).max()


def test_a_trough_is_round_and_lowers_only() -> None:
    z = np.full((61, 61), 50.0)
    reach, depth = np.zeros(z.shape), np.full(z.shape, 20.0)
    reach[30, 30] = 100.0
    erosion_cpu.carve(z, np.full(z.shape, 10.0), reach, depth, 2.0, 10.0)
    far = 10.0 * np.hypot(*(np.indices(z.shape) - 30.0))
    expected = np.where(far < 150.0, np.minimum(50.0, 10.0 + 20.0 * (far / 100.0) ** 2), 50.0)
    assert np.abs(z - expected).max() < 1e-9


def test_still_water_fills_hollows_to_their_outlets() -> None:
    z = np.full((20, 20), 10.0)
    z[5:15, 5:15] = 3.0
    z[10, 15:] = 6.0
    level = erosion_cpu.still_water(z)
    assert (level[5:15, 5:15] == 6.0).all()
    assert (level >= z).all()


def test_ice_does_not_flow_on_where_it_has_melted() -> None:
    z = np.tile(np.arange(12.0), (3, 1))
    receiver, order = erosion_cpu.drain(z, 0.1, 0)
    source = np.where(z.ravel() > 5, 1.0, -10.0)
    flux = erosion_cpu.gathered(receiver, order, source).reshape(z.shape)
    assert flux[1, 6] > 0
    assert (flux[:, :4] == 0).all()


def test_rain_sinks_where_the_ground_is_lowest() -> None:
    rows, columns = np.indices((41, 41)) - 20.0
    water = karst_cpu.sinking(np.hypot(rows, columns), 1.2, 3)
    assert water.argmax() == 20 * 41 + 20
    assert water[20, 20] > 900


def test_lava_flows_down_and_hardens() -> None:
    z = np.tile(np.linspace(300.0, 0.0, 80)[:, None], (1, 60))
    before, hard = z.copy(), np.zeros(z.shape)
    receiver, _ = erosion_cpu.drain(z, 0.3, 0)
    lava_cpu.flow(z, hard, receiver, 10 * 60 + 30, 12.0, 3.0, 30.0, 1)
    risen = z - before
    assert risen.min() >= 0
    assert risen[:6].max() == 0  # not uphill
    assert risen[20].max() > 4.0
    assert (hard > 0).sum() == (risen > 0).sum()


def test_beds_are_hard_and_soft_by_turns_and_lie_still() -> None:
    layers = rock.beds(3, 50.0, 0.8)
    values = layers(np.linspace(-800.0, 800.0, 4000))
    changes = np.flatnonzero(np.diff(values))
    assert len(changes) > 20
    assert (np.sign(values[changes]) != np.sign(values[changes + 1])).all()
    assert layers(np.array([12.0]))[0] == layers(np.array([12.0]))[0]


def test_roughness_is_the_same_on_cells_of_every_size() -> None:
    coarse, fine = Grid(60, 40.0).roughness(1200.0, 4, 3), Grid(120, 20.0).roughness(1200.0, 4, 3)
    meant = fine.reshape(60, 2, 60, 2).mean((1, 3))
    assert np.corrcoef(coarse.ravel(), meant.ravel())[0, 1] > 0.99
