"""The exemplars that ship: they load, look like land in numbers, say how they were made, and are made alike
every time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from backend.files import exemplars
from backend.ops.terrain.depressions import pit_fraction
from backend.training import landscapes
from shared import digests
from shared.arrays import HEIGHT_MAP, check
from shared.catalog.morphology import MorphologyParams
from shared.errors import InvalidInput

# median slope in degrees (least, most) and least relief in metres
LOOKS = {
    "alpine": (22.0, 38.0, 1500.0),
    "canyon": (5.0, 30.0, 700.0),
    "badlands": (10.0, 35.0, 60.0),
    "dunes": (6.0, 28.0, 25.0),
    "volcanic": (8.0, 25.0, 1500.0),
    "glacial": (15.0, 38.0, 1200.0),
    "hills": (6.0, 22.0, 200.0),
    "ridges": (6.0, 25.0, 500.0),
    "mesas": (3.0, 28.0, 200.0),
    "fans": (2.0, 25.0, 500.0),
    "domes": (12.0, 38.0, 300.0),
    "karst": (8.0, 40.0, 100.0),
    "lava": (3.0, 15.0, 300.0),
    "drumlins": (2.0, 12.0, 40.0),
    "star-dunes": (8.0, 28.0, 80.0),
}
BLOWN = ("dunes", "star-dunes")
# Not shaped by rivers, or not for long: between dunes, in karst, in a desert basin, on fresh lava and on till hollows drain nowhere
HOLLOW = (*BLOWN, "karst", "fans", "lava", "drumlins")
DIRECTED = (*BLOWN, "drumlins", "ridges")  # by the wind, the ice or the folds


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
    north, east = np.gradient(z, array.pixel_size_m)
    slope = np.degrees(np.arctan(np.hypot(north, east)))
    least, most, relief = LOOKS[name]
    assert least < np.median(slope) < most
    assert np.percentile(slope, 99.9) < 80.0
    assert np.ptp(z) > relief
    if name not in HOLLOW:
        assert pit_fraction(torch.from_numpy(array.values)) <= 0.03


@pytest.mark.parametrize("name", exemplars.NAMES)
def test_the_grid_does_not_show(name: str) -> None:
    """No more ground faces the eight directions of the grid than those half-way between them."""
    if name in DIRECTED:
        pytest.skip("it has directions of its own")
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
    assert sum(file.stat().st_size for file in exemplars.FOLDER.rglob("*.*")) < 6_000_000
    assert tuple(landscapes.RECIPES) == exemplars.NAMES
    assert get_args(get_type_hints(MorphologyParams)["landform"]) == exemplars.NAMES


@pytest.mark.parametrize("name", exemplars.FIRST_NAMES)
def test_the_first_edition_is_as_it_was(name: str) -> None:
    recipe = exemplars.recipe(name, 1)
    assert recipe["code_version"] == 1
    values = np.ascontiguousarray(exemplars.load(name, 1).values, "<f4")
    assert hashlib.sha256(values.tobytes()).hexdigest() == recipe["sha256"]
    assert exemplars.load(name, 1).pixel_size_m == exemplars.load(name).pixel_size_m
    assert not np.array_equal(values, exemplars.load(name).values)


def test_a_recipe_finds_the_edition_that_it_means() -> None:
    first, present = exemplars.path("alpine", 1), exemplars.path("alpine")
    assert exemplars.recorded("alpine", file_sha256=digests.of_file(first)) == first
    assert exemplars.recorded("alpine", array_sha256=exemplars.load("alpine", 1).sha256) == first
    assert exemplars.recorded("alpine", file_sha256=digests.of_file(present)) == present
    assert exemplars.recorded("alpine", array_sha256=exemplars.load("alpine").sha256) == present
    assert exemplars.recorded("alpine") == present
    assert exemplars.recorded("karst", file_sha256=digests.of_file(first)) == exemplars.path("karst")


def test_a_landform_that_the_first_edition_lacks_is_refused() -> None:
    with pytest.raises(InvalidInput, match="first edition"):
        exemplars.load("karst", 1)


@pytest.mark.parametrize("name", exemplars.NAMES)
def test_making_one_again_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    recipe = landscapes.full_recipe(name, side_px=16)
    fewer = {"rounds": 6, "flows": 12, "steps": 12}
    recipe["parameters"] = {key: fewer.get(key, value) for key, value in recipe["parameters"].items()}
    first, second = landscapes.simulate(recipe), landscapes.simulate(recipe)
    assert first.shape == (16, 16)
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
