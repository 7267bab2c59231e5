"""The exemplars that ship: they load, look like land in numbers, say how they were made, and are made alike
every time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.files import exemplars
from backend.ops.terrain.depressions import pit_fraction
from backend.training import landscapes, landscapes_cpu
from shared.arrays import HEIGHT_MAP, check
from shared.errors import InvalidInput

# median slope in degrees (least, most) and least relief in metres
LOOKS = {
    "alpine": (22.0, 38.0, 1500.0),
    "canyon": (5.0, 30.0, 700.0),
    "badlands": (10.0, 35.0, 60.0),
    "dunes": (8.0, 28.0, 25.0),
    "volcanic": (8.0, 25.0, 1500.0),
    "glacial": (15.0, 38.0, 1200.0),
}


@pytest.mark.parametrize("name", exemplars.NAMES)
def test_loads_as_heights_with_a_pixel_size(name: str) -> None:
    array = check(exemplars.load(name))
    assert array.kind is HEIGHT_MAP
    assert array.values.shape == (512, 512)
    assert array.pixel_size_m == landscapes.RECIPES[name]["pixel_size_m"]


@pytest.mark.parametrize("name", exemplars.NAMES)
def test_statistics_are_those_of_land(name: str) -> None:
    array = exemplars.load(name)
    z = array.values.astype(np.float64)
    slope = np.degrees(np.arctan(np.hypot(*np.gradient(z, array.pixel_size_m))))
    least, most, relief = LOOKS[name]
    assert least < np.median(slope) < most
    assert np.percentile(slope, 99.9) < 80.0
    assert np.ptp(z) > relief
    if name != "dunes":  # wind, not water, shapes those: hollows between crests drain nowhere
        assert pit_fraction(torch.from_numpy(array.values)) <= 0.03


@pytest.mark.parametrize("name", exemplars.NAMES)
def test_the_grid_does_not_show(name: str) -> None:
    """No more ground faces the eight directions of the grid than those half-way between them. Dunes face the wind."""
    if name == "dunes":
        pytest.skip("dunes have a direction of their own: the wind's")
    array = exemplars.load(name)
    north, east = np.gradient(array.values.astype(np.float64), array.pixel_size_m)
    steep = np.hypot(north, east) > 0.05
    # degrees from the next of the eight directions
    eighth = np.abs(((np.degrees(np.arctan2(north, east))[steep] + 22.5) % 45.0) - 22.5)
    assert 0.7 < np.mean(eighth < 5.0) / np.mean(eighth > 17.5) < 1.4


@pytest.mark.parametrize("name", exemplars.NAMES)
def test_the_recipe_is_whole_and_is_of_this_map(name: str) -> None:
    recipe = exemplars.recipe(name)
    expected = json.loads(json.dumps(landscapes.full_recipe(name)))
    for key in ("simulator", "side_px", "pixel_size_m", "seed", "step_m", "parameters", "code_version", "help"):
        assert recipe[key] == expected[key], f"{key} changed: make the exemplars again"
    values = np.ascontiguousarray(exemplars.load(name).values, "<f4")
    assert hashlib.sha256(values.tobytes()).hexdigest() == recipe["sha256"]


def test_all_of_them_are_small() -> None:
    assert sum(exemplars.path(name).stat().st_size for name in exemplars.NAMES) < 3_000_000
    assert set(exemplars.NAMES) == set(landscapes.RECIPES)


@pytest.mark.parametrize("name", exemplars.NAMES)
def test_making_one_again_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    recipe = landscapes.full_recipe(name, side_px=48)
    if name == "dunes":
        recipe["parameters"] = recipe["parameters"] | {"rounds": 10}
    first, second = landscapes.simulate(recipe), landscapes.simulate(recipe)
    assert first.shape == (48, 48)
    assert np.isfinite(first).all()
    assert np.ptp(first) > 0
    assert first.tobytes() == second.tobytes()
    assert not np.array_equal(first, landscapes.simulate(recipe | {"seed": recipe["seed"] + 1}))
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        landscapes.write(folder, recipe, first)
    for file in (f"{name}.tif", f"{name}.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="canyon"):
        exemplars.load("canion")


def test_all_rain_reaches_the_edge() -> None:
    z = landscapes.rough(60, 12.0, 3)
    receiver, order = landscapes_cpu.drain(z, 0.7, 5)
    cells = landscapes_cpu.cells_upstream(receiver, order).reshape(z.shape)
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
    z = landscapes.evolve(
        rng.uniform(0, 1, (48, 48)), pixel, 4e6, 200, 1, strength=np.full((48, 48), strength), uplift=uplift,
        exponent=exponent, diffusivity=0.0, steepest=89.0,
    )  # fmt: skip
    receiver, order = landscapes_cpu.drain(z, 1e-3, 0)
    area = landscapes_cpu.cells_upstream(receiver, order) * pixel**2
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
    landscapes_cpu.slide(z, 1.0, np.full(z.shape, np.tan(np.radians(45.0))), 3000)
    assert z.sum() == pytest.approx(before)
    assert np.abs(np.diff(z, axis=1)).max() < 1.01


def test_the_wind_keeps_every_slab() -> None:
    sand = np.full((40, 50), 9, np.int32)
    landscapes_cpu.blow(sand, 50, 5, 0.4, 0.6, 60_000, 4)
    assert sand.sum() == 9 * 40 * 50
    assert sand.min() >= 0
    assert sand.std() > 1.0  # the plain is unstable: dunes grow
