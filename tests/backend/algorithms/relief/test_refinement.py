"""Refined terrain: averaged back it is the terrain that it was, its detail is the exemplar's, water runs off as before."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import backend
from backend.algorithms.relief.refinement import refinement_ratios
from backend.algorithms.relief.scale import refinement_plan, roughness_exponent
from backend.files import exemplars
from backend.measures import terrain_statistics as statistics
from backend.ops.block_means import smooth
from backend.ops.terrain.depressions import pit_mask
from shared.arrays import CLASS_MAP, Array, height_map
from shared.errors import InvalidInput

SIDE, PIXEL_SIZE_M = 32, 30.0


def averages(height: np.ndarray, times: int) -> np.ndarray:
    rows, columns = height.shape
    return height.astype(np.float64).reshape(rows // times, times, columns // times, times).mean((1, 3))


def coarse(exemplar: str = "volcanic", times: int = 4) -> np.ndarray:
    """A corner of a shipped exemplar on pixels `times` as large."""
    values = exemplars.load(exemplar).values[: SIDE * times, : SIDE * times]
    return averages(values, times).astype(np.float32)


def refined(height: np.ndarray, pixel_size_m: float = PIXEL_SIZE_M, **values: Any) -> Array:
    settings: dict[str, Any] = {"refine": 4, "steps": 6, "filters": 12, "seed": 2, "device": "cpu"} | values
    return backend.run("morphology", height=height_map(height, pixel_size_m), **settings)["height"]


def self_affine(exponent: float) -> np.ndarray:
    """Noise whose power falls by frequency ^ -(2 H + 2), float32 [400, 400]."""
    frequency = np.hypot(np.fft.fftfreq(400)[:, None], np.fft.rfftfreq(400)[None])
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(np.random.default_rng(0).standard_normal((400, 400))) * frequency ** -(exponent + 1)
    return np.fft.irfft2(spectrum).astype(np.float32)


@pytest.fixture(scope="module")
def from_its_own() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A corner of an exemplar made coarse and refined by the opposite one; the corner as it was; what was refined."""
    whole = exemplars.load("volcanic").values
    given = coarse()
    beside = height_map(np.ascontiguousarray(whole[256:, 256:]), 30.0)
    return refined(given, 120.0, exemplar=[beside], steps=20).values, whole[: 4 * SIDE, : 4 * SIDE], given


def test_averaged_back_it_is_what_it_was(from_its_own: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    made, _, given = from_its_own
    off = np.abs(averages(made, 4) - given)
    assert off.max() < 1.0
    assert np.median(off) < 0.005


def test_detail_is_nearer_to_the_real_one_than_none(from_its_own: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    made, real, given = from_its_own
    without = smooth(torch.from_numpy(given), made.shape).numpy()
    for figure in (statistics.slope, statistics.curvature):
        errors = [statistics.distribution_error(figure(z, 30.0), figure(real, 30.0)) for z in (made, without)]
        assert errors[0] < 0.7 * errors[1]


def test_pits_are_those_of_the_map(from_its_own: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """But for a few cells beside them: in detail a hollow's rim is not where it was."""
    made, _, given = from_its_own
    hollow = pit_mask(torch.from_numpy(given)).repeat_interleave(4, 0).repeat_interleave(4, 1)
    pits = pit_mask(torch.from_numpy(made))
    assert (pits & ~hollow).float().mean() < 0.002


@pytest.mark.parametrize("times", [2, 3, 5])
def test_pixels_become_as_small_as_asked(times: int) -> None:
    given = coarse()
    made = refined(given, refine=times)
    assert made.values.shape == (SIDE * times, SIDE * times)
    assert made.pixel_size_m == pytest.approx(PIXEL_SIZE_M / times)
    assert np.abs(averages(made.values, times) - given).max() < 1.0


def test_levels_are_at_most_twice_as_fine_as_the_one_before() -> None:
    for times in range(2, 17):
        ratios = [1.0, *refinement_ratios(times)]
        assert ratios[-1] == times
        assert all(1.2 < finer / coarser <= 2.4 for coarser, finer in itertools.pairwise(ratios))


def test_level_water_stays_level() -> None:
    given = coarse("alpine")
    given[8:24, 8:24] = 500.0
    made = refined(given).values
    np.testing.assert_array_equal(made[36:92, 36:92], 500.0)


def test_each_class_takes_the_detail_of_its_exemplar() -> None:
    """Detail of smooth ground on the left, of rough ground on the right."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    slope = 500 + 3 * x + 2 * y
    rng = np.random.default_rng(4)
    fine_y, fine_x = np.mgrid[0:128, 0:128].astype(np.float32)
    ground = (fine_x + fine_y) / 2
    smooth_one, rough_one = (
        height_map((ground + size * rng.standard_normal(ground.shape)).astype(np.float32), 7.5) for size in (0.05, 2.0)
    )
    classes = Array(CLASS_MAP, np.repeat(np.array([[0, 1]], np.uint8), SIDE // 2, axis=1).repeat(SIDE, axis=0))
    made = refined(slope, exemplar=[smooth_one, rough_one], classes=classes, drainage=False).values
    bends = np.abs(np.diff(made, 2, axis=0))
    assert bends[:, 72:].mean() > 5 * bends[:, :56].mean()


def test_detail_of_coarse_exemplars_is_scaled_down_by_their_own_law() -> None:
    rough = self_affine(1.35)
    made = refinement_plan(height_map(coarse(), 30.0), [height_map(rough, 30.0)], 2, "fit")
    assert made.factor == pytest.approx(15.0 / (30.0 * 4))
    assert 1.2 < roughness_exponent(rough) < 1.5
    assert made.gain == pytest.approx(made.factor ** (roughness_exponent(rough) - 1))
    fine = refinement_plan(height_map(coarse(), 30.0), [height_map(rough, 5.0)], 2, "true")
    assert (fine.factor, fine.gain, fine.sizes) == (1.0, 1.0, ((133, 133),))


def test_the_exponent_is_that_of_a_self_affine_surface() -> None:
    for exponent in (0.6, 0.9):
        assert roughness_exponent(self_affine(exponent)) == pytest.approx(exponent, abs=0.1)


def test_a_sculpt_of_centimetres_is_refined_as_a_mountain_is() -> None:
    given = coarse()
    large, small = refined(given).values, refined(given * 1e-3, PIXEL_SIZE_M * 1e-3).values
    assert np.abs(averages(small, 4) - given * 1e-3).max() < 1e-3
    assert np.corrcoef(np.diff(small, 2).ravel(), np.diff(large, 2).ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"method": "gram"}, "not by the method gram"),
        ({"scale": "true"}, "no detail for pixels of 7.5 m"),
    ],
)
def test_what_cannot_be_refined_says_so(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        refined(coarse(), **values)


def test_a_result_that_is_too_large_names_the_largest() -> None:
    with pytest.raises(InvalidInput, match="for this map 8 is the most"):
        refinement_plan(height_map(np.zeros((1000, 1000), np.float32), 30.0), [exemplars.load("alpine")], 16, "fit")


def test_an_exemplar_without_detail_gives_the_smooth_surface() -> None:
    given, level = coarse("alpine"), height_map(np.full((160, 160), 7.0, np.float32), 7.5)
    made = refined(given, refine=2, exemplar=[level], drainage=False).values
    np.testing.assert_allclose(made, smooth(torch.from_numpy(given), made.shape).numpy(), rtol=0, atol=0.01)
