"""Scale and level of relief transfer: slopes stay the exemplar's on maps of any pixel size, the cost stays bounded, what lies
below the sea stays there, and what cannot work is refused before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import backend
from backend.algorithms.relief.scale import at_level, landform_m, plan
from backend.files import exemplars
from backend.measures import terrain_statistics as statistics
from shared.arrays import CLASS_MAP, Array, height_map
from shared.errors import InvalidInput
from tests.support.on_arrays import OnArrays

pit_fraction = OnArrays("backend.ops.terrain.depressions").pit_fraction

ROWS, COLUMNS = 96, 72


def waves(pixel_size_m: float, rows: int = ROWS, columns: int = COLUMNS) -> Array:
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    return height_map(200 + 80 * np.sin(5 * x / columns) * np.cos(5 * y / rows), pixel_size_m)


def transferred(layout: Array, **values: Any) -> np.ndarray:
    made = backend.run("morphology", height=layout, device="cpu", steps=6, filters=12, seed=2, **values)
    return made["height"].values


def median_slope_deg(height: np.ndarray, pixel_size_m: float) -> float:
    return float(np.degrees(np.arctan(np.median(statistics.slope(height, pixel_size_m)))))


def test_a_lidar_tile_has_the_slopes_of_the_exemplar() -> None:
    """33.6 degrees, where the map took minutes and had 64."""
    alpine = exemplars.load("alpine")
    made = backend.run("morphology", height=waves(1.0, 211, 157), device="cpu", steps=12)["height"].values
    assert median_slope_deg(made, 1.0) == pytest.approx(median_slope_deg(alpine.values, 30.0), abs=2.5)


@pytest.fixture(scope="module")
def at_the_exemplars_pixels() -> np.ndarray:
    return transferred(waves(30.0), level="exemplar")


@pytest.mark.parametrize("pixel_size_m", [10.0, 2.7 / ROWS, 1e-4])
def test_a_small_map_is_the_one_at_the_exemplars_pixels_made_smaller(
    pixel_size_m: float, at_the_exemplars_pixels: np.ndarray
) -> None:
    """A hillside, a sculpt, a coin: no tolerance in metres of the code shows at any size."""
    made = transferred(waves(pixel_size_m), level="exemplar")
    np.testing.assert_allclose(made * (30.0 / pixel_size_m), at_the_exemplars_pixels, rtol=0, atol=0.05)


def test_a_map_that_holds_the_landforms_takes_them_at_true_metres() -> None:
    alpine = exemplars.load("alpine")
    side = round(1.1 * landform_m(alpine) / 30.0)
    assert plan(waves(30.0, side, side), [alpine], "fit") == plan(waves(30.0, side, side), [alpine], "true")
    large = waves(10.0, 3 * side, 3 * side)
    assert plan(large, [alpine], "fit").factor == 1.0
    assert plan(waves(10.0, side, side), [alpine], "fit").factor == pytest.approx(1 / 3)


def test_landforms_are_measured_as_the_wave_that_they_are() -> None:
    x = np.arange(640) * 25.0
    wave = np.sin(2 * np.pi * x / 2000.0)[None] + np.sin(2 * np.pi * x / 2000.0)[:, None]
    assert landform_m(height_map(300 * wave, 25.0)) == pytest.approx(2000.0, rel=0.02)
    assert landform_m(height_map(np.full((40, 40), 7.0), 25.0)) == 0.0


@pytest.mark.parametrize("scale", ["fit", "true"])
@pytest.mark.parametrize("pixel_size_m", [30.0, 14.0, 5.0, 1.0])
def test_no_exemplar_is_computed_at_more_than_four_times_its_pixels(scale: str, pixel_size_m: float) -> None:
    side = round(2000.0 / pixel_size_m)
    planned = plan(waves(pixel_size_m, side, side), [exemplars.load("alpine")], scale)
    (size,) = planned.sizes
    assert size[0] * size[1] <= 4.3 * 512 * 512
    assert min(planned.shape) >= 16


def test_version_0_1_enlarged_the_exemplar() -> None:
    planned = plan(waves(10.0), [exemplars.load("alpine")], "true", legacy=True)
    assert (planned.shape, planned.sizes) == ((ROWS, COLUMNS), ((1536, 1536),))


def test_exemplars_keep_their_sizes_relative_to_each_other() -> None:
    alpine, canyon = exemplars.load("alpine"), exemplars.load("canyon")
    planned = plan(waves(1.0), [alpine, canyon], "fit")
    assert planned.sizes == ((512, 512), (341, 341))


def test_true_metres_on_finer_pixels_are_computed_at_the_exemplars() -> None:
    made = transferred(waves(10.0, 600, 480), scale="true")
    assert made.shape == (600, 480)
    assert median_slope_deg(made, 10.0) == pytest.approx(33.6, abs=4.0)
    assert pit_fraction(made) == 0.0


def test_classes_follow_the_plan() -> None:
    layout = waves(10.0, 300, 240)
    classes = np.zeros((300, 240), np.uint8)
    classes[:, 120:] = 1
    rough = exemplars.load("alpine")
    calm = height_map(rough.values * np.float32(0.2), 30.0)
    made = transferred(layout, exemplar=[calm, rough], classes=Array(CLASS_MAP, classes), scale="true")
    assert median_slope_deg(made[:, :100], 10.0) < 0.6 * median_slope_deg(made[:, 140:], 10.0)


@pytest.mark.parametrize("method", ["sliced-wasserstein", "gram"])
def test_true_metres_without_room_are_refused_before_computing(method: str) -> None:
    calls: list[Callable[..., None]] = []
    with pytest.raises(InvalidInput, match=r"The height map is 72 x 96 m.*a pixel of the exemplar is 30 m") as refused:
        transferred(waves(1.0), scale="true", method=method, on_progress=lambda *progress: calls.append(progress))
    assert "--scale fit" in refused.value.hint
    assert not calls


def test_feature_methods_are_fitted_too() -> None:
    values = {"method": "gram", "feature_iterations": 2, "level": "exemplar"}
    fine, coarse = transferred(waves(1.0), **values), transferred(waves(30.0), **values)
    np.testing.assert_allclose(fine * 30.0, coarse, rtol=0, atol=0.05)


# --- level ------------------------------------------------------------------------------------------------------------


def hills(sigma: float, seed: int, low: float, high: float) -> np.ndarray:
    values = gaussian_filter(np.random.default_rng(seed).standard_normal((ROWS, COLUMNS)), sigma)
    return ((values - values.min()) / np.ptp(values) * (high - low) + low).astype(np.float32)


def test_a_sea_floor_stays_below_the_sea() -> None:
    layout = height_map(hills(8.0, 3, -4487.0, -2521.0), 200.0)
    made = transferred(layout)
    assert made.max() < 0
    assert abs(float(made.mean() - layout.values.mean())) < 500
    assert transferred(layout, level="exemplar").min() > 0


def test_a_shallow_sea_floor_does_not_rise_above_its_own_highest_point() -> None:
    layout = height_map(hills(8.0, 3, -300.0, -10.0), 200.0)
    assert transferred(layout).max() <= -9.0


def test_as_much_lies_below_the_sea_as_before() -> None:
    layout = height_map(hills(8.0, 4, -900.0, 700.0), 30.0)
    made = transferred(layout, drainage=False)
    assert float((made < 0).mean()) == pytest.approx(float((layout.values < 0).mean()), abs=1e-3)
    assert np.corrcoef(made.ravel() < 0, layout.values.ravel() < 0)[0, 1] > 0.5


def test_levels_of_land() -> None:
    land, new = torch.from_numpy(hills(8.0, 5, 100.0, 300.0)), torch.from_numpy(hills(3.0, 6, 500.0, 2500.0))
    assert at_level(new, land, "auto") is new
    assert at_level(new, land, "exemplar") is new
    assert float(at_level(new, land, "map").mean()) == pytest.approx(float(land.mean()), abs=0.1)
