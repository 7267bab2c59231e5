"""Kinds of arrays: what each lets through, and what it says of what it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shared.algorithm import check_inputs
from shared.arrays import AREA_MAP, CLASS_MAP, COLOR_IMAGE, HEIGHT_MAP, KINDS, MASK, MAX_SIDE, Array, check, height_map
from shared.errors import InvalidInput
from shared.recipe import check_recipe, make_recipe
from tests.support.probe_algorithms import PROBE, ProbeParams

F32 = np.float32
PIXEL = {"pixel_size_m": 10.0}

ACCEPTED: dict[str, Array] = {
    "one cell": height_map(np.zeros((1, 1)), 0.1),
    "below the sea": height_map(np.array([[-11_000.0, 8_849.0]]), 90.0),
    "strided": Array(HEIGHT_MAP, np.zeros((8, 8), F32)[::2, ::3], PIXEL),
    "georeferenced": height_map(np.zeros((2, 2)), 1.0, crs="EPSG:4326", transform=[1.0, 0.0]),
    "whole mask": Array(MASK, np.array([[0.0, 1.0]], F32)),
    "classes": Array(CLASS_MAP, np.array([[0, 255]], np.uint8)),
    "brighter than white": Array(COLOR_IMAGE, np.full((2, 2, 3), 7.0, F32)),
    "longest": Array(CLASS_MAP, np.zeros((1, MAX_SIDE), np.uint8)),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    assert check(ACCEPTED[name]) is ACCEPTED[name]


REFUSED: dict[str, tuple[Array, str]] = {
    "float64": (Array(HEIGHT_MAP, np.zeros((2, 2)), PIXEL), "float64"),
    "8 bits": (Array(HEIGHT_MAP, np.zeros((2, 2), np.uint8), PIXEL), "uint8"),
    "one axis": (Array(HEIGHT_MAP, np.zeros(4, F32), PIXEL), "2 axes"),
    "0-d": (Array(HEIGHT_MAP, np.zeros((), F32), PIXEL), "a single number"),
    "channels": (Array(HEIGHT_MAP, np.zeros((2, 2, 1), F32), PIXEL), "2 x 2 x 1"),
    "four channels": (Array(COLOR_IMAGE, np.zeros((2, 2, 4), F32)), "3 channels"),
    "empty": (Array(HEIGHT_MAP, np.zeros((0, 5), F32), PIXEL), "empty"),
    "too long": (Array(CLASS_MAP, np.zeros((MAX_SIDE + 1, 1), np.uint8)), str(MAX_SIDE)),
    "NaN": (height_map(np.array([[1.0, np.nan], [np.nan, 1.0]]), 1.0), "2 of 4 cells"),
    "infinite": (height_map(np.array([[1.0, -np.inf]]), 1.0), "1 of 2 cells"),
    "all NaN": (height_map(np.full((2, 2), np.nan), 1.0), "4 of 4 cells"),
    "no pixel size": (Array(HEIGHT_MAP, np.zeros((2, 2), F32)), "pixel_size_m"),
    "pixel size 0": (height_map(np.zeros((2, 2)), 0.0), "above 0"),
    "pixel size NaN": (height_map(np.zeros((2, 2)), np.nan), "above 0"),
    "pixel size text": (Array(HEIGHT_MAP, np.zeros((2, 2), F32), {"pixel_size_m": "10"}), "above 0"),
    "negative area": (Array(AREA_MAP, np.array([[-1.0]], F32), PIXEL), "0.0 and up"),
    "mask above 1": (Array(MASK, np.array([[1.01]], F32)), "0.0 to 1.0"),
    "mask below 0": (Array(MASK, np.array([[-1e-6]], F32)), "0.0 to 1.0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason_and_the_port(name: str) -> None:
    array, words = REFUSED[name]
    with pytest.raises(InvalidInput) as caught:
        check(array, "height")
    assert words in caught.value.message
    assert "'height'" in caught.value.message
    assert caught.value.field == "height"


def test_kinds_are_found_by_their_name() -> None:
    assert all(KINDS[kind.name] is kind for kind in KINDS.values())
    assert all(len(kind.help) > 10 for kind in KINDS.values())


def test_a_digest_tells_what_matters_apart() -> None:
    base = height_map(np.arange(6.0).reshape(2, 3), 10.0)
    same = height_map(np.asfortranarray(np.arange(6.0).reshape(2, 3)), 10.0, crs="EPSG:4326")
    others = [
        height_map(np.arange(6.0).reshape(3, 2), 10.0),
        height_map(np.arange(6.0).reshape(2, 3), 5.0),
        height_map(np.arange(1.0, 7.0).reshape(2, 3), 10.0),
    ]
    assert base.sha256 == same.sha256
    assert len({array.sha256 for array in [base, *others]}) == 4


HEIGHT = height_map(np.zeros((2, 2)), 10.0)


def test_inputs_become_what_run_takes() -> None:
    inputs = check_inputs(PROBE, {"height": (HEIGHT,), "extra": (HEIGHT, HEIGHT)})
    assert inputs == {"height": HEIGHT, "extra": (HEIGHT, HEIGHT), "classes": None}
    assert check_inputs(PROBE, {}) == {"height": None, "extra": (), "classes": None}


def test_a_recipe_names_everything_that_went_in() -> None:
    recipe = make_recipe(
        PROBE, ProbeParams(seed=7), {"extra": (HEIGHT, HEIGHT)}, device="cpu", sources={"extra": ["a.tif"]}
    )
    assert check_recipe(recipe) is recipe
    assert recipe["params"]["seed"] == 7
    assert recipe["digest"] == PROBE.digest
    assert [entry["source"] for entry in recipe["inputs"]["extra"]] == ["a.tif", ""]


@pytest.mark.parametrize(
    "recipe",
    [
        None,
        [],
        {},
        {"algorithm": "a"},
        {"algorithm": "a", "params": {}},
        {"algorithm": "a", "params": {}, "format": 99},
    ],
)
def test_what_is_no_recipe_is_refused(recipe: Any) -> None:
    with pytest.raises(InvalidInput):
        check_recipe(recipe)
