"""Rivers and lakes as outputs of hydrology and relief transfer, none where there are none, and as lines of another terrain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backend.runtime import registry
from backend.runtime.compute import compute
from backend.runtime.context import JobContext
from shared.algorithm import find
from shared.arrays import CLASS_MAP, MASK, Array, height_map
from shared.curves import lines_of
from tests.backend.ops.terrain.test_hydrology import rough

PX_M = 30.0


def run(engine: str, inputs: dict[str, Array], **params: Any) -> dict[str, Array]:
    spec = find(registry.algorithms(), engine)
    made = compute(spec, spec.params(**params), {name: (given,) for name, given in inputs.items()}, JobContext(seed=0))
    return {name: given[0] for name, given in made.outputs.items()}


def land(side: int = 96, seed: int = 3) -> Array:
    return height_map(np.ascontiguousarray(rough(side, seed), np.float32), PX_M, crs="", transform=[1, 0, 0, 0, -1, 0])


def test_kept_hollows_are_lakes_and_rivers_run_between_them() -> None:
    made = run("hydrology", {"height": land()}, depressions="keep", steps=4)
    water, level, height = made["water"].values > 0, made["water_level"].values, made["height"].values
    assert 0.005 < water.mean() < 0.6
    assert (level[water] >= height[water]).all()
    np.testing.assert_array_equal(level[~water], height[~water])
    rivers = lines_of(made["rivers"].values)
    assert rivers
    assert made["rivers"].attributes["transform"] == [1, 0, 0, 0, -1, 0]
    for river in rivers:
        column, row = np.rint(river.points[1:-1] * 96 - 0.5).astype(int).T.clip(0, 95)
        assert np.count_nonzero(water[row, column]) <= 4, "smoothing may touch the shore, no more"


def test_land_that_was_drained_has_rivers_and_no_lakes() -> None:
    made = run("hydrology", {"height": land()}, steps=4)
    assert not made["water"].values.any()
    np.testing.assert_array_equal(made["water_level"].values, made["height"].values)
    assert len(lines_of(made["rivers"].values)) > 3


def test_protected_hollows_are_lakes() -> None:
    given = land()
    given.values[40:56, 40:56] = given.values.min() - 20.0
    mask = np.ones_like(given.values)
    mask[30:66, 30:66] = 0.0
    made = run("hydrology", {"height": given, "mask": Array(MASK, mask)}, steps=2)
    assert made["water"].values[41:55, 41:55].all()


@pytest.mark.parametrize("engine", ["hydrology", "morphology"])
def test_a_flat_map_has_no_lakes(engine: str) -> None:
    params: dict[str, Any] = {"steps": 2} if engine == "hydrology" else {"steps": 1, "filters": 2}
    flat = height_map(np.zeros((24, 24), np.float32), PX_M)
    made = run(engine, {"height": flat}, **params)
    assert not made["water"].values.any()


def test_a_small_map_has_no_rivers() -> None:
    made = run("hydrology", {"height": land(7)}, steps=2)
    assert made["rivers"].values.shape[0] == 0
    assert not made["water"].values.any()


def test_still_water_of_the_exemplar_is_a_lake_after_transfer() -> None:
    exemplar = land(96, 5)
    exemplar.values[20:70, 20:70] = np.float32(exemplar.values.min())
    made = run("morphology", {"height": land(96, 6), "exemplar": exemplar}, steps=4, filters=6, landform_px=24.0)
    water, level = made["water"].values > 0, made["water_level"].values
    assert 0.02 < water.mean() < 0.6
    np.testing.assert_array_equal(level[~water], made["height"].values[~water])
    assert lines_of(made["rivers"].values)


def test_rivers_of_one_terrain_are_lines_of_the_next() -> None:
    given = land(96, 7)
    made = run("hydrology", {"height": given}, steps=4)
    classes = Array(CLASS_MAP, np.full((96, 96), 2, np.uint8))
    inputs = {"classes": classes, "base": made["height"], "curves": made["rivers"]}
    params: dict[str, Any] = {"size_m": 96 * PX_M, "method": "network", "scale": "regional"}
    bent = run("terrain", inputs, **params)
    rivers = lines_of(made["rivers"].values)
    largest = max(rivers, key=lambda river: river.drained_m2[-1])
    column, row = np.rint(largest.points * 96 - 0.5).astype(int).T.clip(0, 95)
    off = np.abs(bent["height"].values[row, column] - largest.z_m)
    assert np.median(off) < 10.0, "the bed lies where the river was"
    inputs["curves"] = Array(made["rivers"].kind, made["rivers"].values[:0])
    assert run("terrain", inputs, **params)["height"].values.shape == (96, 96)
