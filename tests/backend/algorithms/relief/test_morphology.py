"""Relief transfer: water runs off, landforms are the exemplar's, layout is the user's, bytes are the seed's, bad
input is refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import numba
import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter
from skimage.morphology import reconstruction

import backend
from backend.algorithms.relief.relief_transfer import (
    TransferSettings,
    level_ratios,
    match_values,
    resample,
    transfer_relief,
)
from backend.files import exemplars
from backend.measures import terrain_statistics as statistics
from backend.measures import terrain_structure
from backend.ops.terrain.drainage import drain
from shared.arrays import CLASS_MAP, Array, height_map
from shared.errors import InvalidInput, JobCancelled
from tests.support.on_arrays import OnArrays

depressions = OnArrays("backend.ops.terrain.depressions")
fill_depressions, pit_fraction = depressions.fill_depressions, depressions.pit_fraction
QUICK = {"steps": 6, "filters": 12}


def hills(rows: int, columns: int, seed: int, sigma: float = 6.0, relief_m: float = 800.0) -> np.ndarray:
    values = gaussian_filter(np.random.default_rng(seed).standard_normal((rows, columns)), sigma)
    return ((values - values.min()) / np.ptp(values) * relief_m).astype(np.float32)


def drained(height: np.ndarray, **options: float) -> np.ndarray:
    return drain(torch.from_numpy(height), **options).numpy()


def transfer(
    layout: np.ndarray, exemplar: np.ndarray | list[Array], pixel_size_m: float = 30.0, **values: object
) -> Array:
    if isinstance(exemplar, np.ndarray):
        exemplar = [height_map(exemplar, pixel_size_m)]
    height = height_map(layout, pixel_size_m)
    return backend.run("morphology", height=height, exemplar=exemplar, device="cpu", **(QUICK | values))["height"]


# --- the nearest map that drains -------------------------------------------------------------------------------------

heights = arrays(
    np.float32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.floats(-500, 4000, width=32)
)


@given(heights, st.floats(0, 1))
@limits(max_examples=60, deadline=None)
def test_drained_heights_have_no_pit(height: np.ndarray, cut_share: float) -> None:
    result = drained(height, cut_share=cut_share, drop=1e-3)
    assert pit_fraction(result) == 0.0
    assert np.isfinite(result).all()


@given(heights)
@limits(max_examples=60, deadline=None)
def test_half_a_cut_moves_no_cell_by_more_than_half_the_deepest_pit(height: np.ndarray) -> None:
    depth = float((fill_depressions(height) - height).max())
    rounding = 16 * float(np.spacing(np.abs(height).max() + 1)) * height.size
    assert np.abs(drained(height, cut_share=0.5) - height).max() <= depth / 2 + rounding


@given(heights)
@limits(max_examples=60, deadline=None)
def test_all_fill_is_the_priority_flood_and_four_roundings_for_each_cell_of_the_way_out(height: np.ndarray) -> None:
    filled, result = flood(height), drained(height, cut_share=0.0).astype(np.float64)
    assert (result >= filled).all()
    assert (result - filled).max() <= 5.0 * float(np.spacing(np.abs(height).max())) * height.size


def test_all_fill_of_a_map_differs_from_the_flood_by_millimetres_on_its_lakes_alone() -> None:
    height = hills(60, 70, 1, sigma=2.0)
    filled, result = flood(height), drained(height, cut_share=0.0)
    np.testing.assert_allclose(result, filled, rtol=0, atol=70 * 4 * np.spacing(np.float32(800.0)))
    wet = maximum_filter(filled > height, 3)
    assert 0.05 < wet.mean() < 0.95
    assert np.array_equal(result[~wet], height[~wet])


def flood(height: np.ndarray) -> np.ndarray:
    """The lowest surface above the heights without an inner minimum, by reconstruction from the edge."""
    seed = np.full(height.shape, height.max())
    seed[0], seed[-1], seed[:, 0], seed[:, -1] = height[0], height[-1], height[:, 0], height[:, -1]
    return reconstruction(seed, height, method="erosion", footprint=np.ones((3, 3)))


def test_a_map_that_drains_stays_as_it_is() -> None:
    rows, columns = np.mgrid[0:40, 0:50].astype(np.float32)
    cone = 500 - np.hypot(rows - 20, columns - 25)
    np.testing.assert_array_equal(drained(cone), cone)


@pytest.mark.parametrize("cut_share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(cut_share: float) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        drain(torch.zeros(4, 4), cut_share=cut_share)


# --- the pyramid -----------------------------------------------------------------------------------------------------


def test_levels_rise_to_the_whole_map_and_leave_room_for_patches() -> None:
    ratios = level_ratios((512, 512), [(512, 512)], 112.0)
    assert ratios[-1] == 1.0
    assert ratios == sorted(ratios)
    assert 0.7 < ratios[0] / (7 / 112) < 1 / 0.7
    assert level_ratios((64, 64), [(24, 24)], 112.0)[0] * 24 >= 20
    assert level_ratios((16, 16), [(20, 20)], 1000.0) == [1.0]


def test_matched_values_keep_their_order_and_take_the_exemplar_s() -> None:
    height, exemplar = hills(40, 50, 1), hills(30, 35, 2) ** 1.5
    matched = match_values(torch.from_numpy(height), [torch.from_numpy(exemplar)]).numpy()
    assert (np.diff(matched.ravel()[np.argsort(height, axis=None)]) >= 0).all()
    np.testing.assert_allclose(np.quantile(matched, [0.1, 0.5, 0.9]), np.quantile(exemplar, [0.1, 0.5, 0.9]), rtol=0.01)


# --- the whole -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profiles", [True, False])
def test_same_seed_same_bytes_on_any_number_of_threads(profiles: bool) -> None:
    layout, exemplar = torch.from_numpy(hills(112, 120, 1)), torch.from_numpy(hills(100, 90, 2, sigma=2.0))
    settings, made = TransferSettings(steps=6, filters=12, profiles=profiles), []
    threads = numba.get_num_threads()
    for count in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(count)
        torch_threads = torch.get_num_threads()
        torch.set_num_threads(count)
        generator = torch.Generator().manual_seed(5)
        made.append(transfer_relief(layout, [exemplar], settings, generator))
        torch.set_num_threads(torch_threads)
    numba.set_num_threads(threads)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(transfer_relief(layout, [exemplar], settings, torch.Generator().manual_seed(6)), made[0])


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (64, 64), (70, 131)])
def test_any_size_is_given_back_drained(rows: int, columns: int) -> None:
    result = transfer(hills(rows, columns, 1), hills(80, 80, 2, sigma=2.0))
    assert result.values.shape == (rows, columns)
    assert result.values.dtype == np.float32
    assert result.pixel_size_m == 30.0
    assert np.isfinite(result.values).all()
    assert pit_fraction(result.values) == 0.0


def test_rivers_fall_as_the_exemplar_s_do() -> None:
    alpine = exemplars.load("alpine")
    layout, exemplar = hills(160, 160, 1, sigma=14.0), alpine.values[100:260, 100:260]
    off = {}
    for rivers in ("profile", "cut"):
        made = transfer(layout, exemplar, alpine.pixel_size_m, rivers=rivers).values
        figures = terrain_structure.compare(made, exemplar, alpine.pixel_size_m)
        off[rivers] = abs(figures.concavity - figures.concavity_real)
        assert pit_fraction(made) == 0.0
    assert off["profile"] < 0.3 * off["cut"]


def test_a_lake_of_the_exemplar_s_is_level_and_drains() -> None:
    exemplar = hills(120, 120, 2, sigma=5.0)
    exemplar[exemplar < np.quantile(exemplar, 0.25)] = np.quantile(exemplar, 0.25)
    made = transfer(hills(120, 120, 1, sigma=10.0), exemplar).values
    level = maximum_filter(made, 5) == minimum_filter(made, 5)
    assert 0.02 < level.mean() < 0.4
    assert pit_fraction(made) == 0.0


def test_landforms_come_nearer_and_the_layout_stays() -> None:
    alpine = exemplars.load("alpine", 1)
    layout, exemplar = hills(160, 160, 1, sigma=14.0), alpine.values[100:300, 100:300]
    pixel_size_m = alpine.pixel_size_m
    before = statistics.compare(layout, exemplar, pixel_size_m, layout)
    after = statistics.compare(
        transfer(layout, exemplar, pixel_size_m, steps=20).values, exemplar, pixel_size_m, layout
    )
    assert after.slope < 0.15 * before.slope
    assert after.curvature < 0.75 * before.curvature
    assert after.held_out < 0.3 * before.held_out
    assert after.layout > 0.8


def test_an_exemplar_of_another_pixel_size_is_brought_to_the_map_s() -> None:
    layout, fine = hills(96, 96, 1, sigma=10.0), hills(240, 240, 2, sigma=6.0)
    made = transfer(layout, [height_map(fine, 15.0)], steps=20, drainage=False)  # round pits are most of this exemplar
    real = statistics.slope(resample(torch.from_numpy(fine), (120, 120)).numpy(), 30.0)
    assert float(np.median(statistics.slope(made.values, 30.0))) == pytest.approx(float(np.median(real)), rel=0.2)


def test_classes_say_which_exemplar_applies_where() -> None:
    layout = hills(96, 128, 1, sigma=10.0)
    classes = np.zeros(layout.shape, np.uint8)
    classes[:, 64:] = 1
    calm, rough = hills(100, 100, 2, sigma=8.0, relief_m=100.0), hills(100, 100, 3, sigma=2.0)
    given = [height_map(calm, 30.0), height_map(rough, 30.0)]
    made = statistics.slope(
        transfer(layout, given, classes=Array(CLASS_MAP, classes), steps=20, drainage=False).values, 30.0
    )
    for part, exemplar in ((made[:, 8:52], calm), (made[:, 76:-8], rough)):
        assert float(np.median(part)) == pytest.approx(float(np.median(statistics.slope(exemplar, 30.0))), rel=0.4)


def test_exemplars_without_classes_are_pooled() -> None:
    made = transfer(hills(80, 80, 1), [height_map(hills(60, 90, s, sigma=3.0), 30.0) for s in (2, 3)]).values
    assert np.ptp(made) < 1600  # and no row of the fence between the exemplars is ever used
    assert pit_fraction(made) == 0.0


def test_relief_is_the_one_asked_for() -> None:
    assert np.ptp(transfer(hills(64, 64, 1), hills(64, 64, 2), relief=1234.0).values) == pytest.approx(1234.0, rel=0.01)


def test_undrained_on_request() -> None:
    assert pit_fraction(transfer(hills(96, 96, 1), hills(96, 96, 2, sigma=1.5), drainage=False).values) > 0.02


@pytest.mark.parametrize("landform", ["alpine", "dunes"])
def test_shipped_landforms_need_no_exemplar(landform: str) -> None:
    made = backend.run("morphology", height=height_map(hills(64, 64, 1), 60.0), landform=landform, **QUICK)["height"]
    assert np.isfinite(made.values).all()
    assert np.ptp(made.values) > 1.0


def test_a_flat_map_becomes_hills_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    made = transfer(np.full((40, 40), 7.0, np.float32), hills(60, 60, 1))
    assert np.isfinite(made.values).all()
    assert np.ptp(made.values) > 50.0
    assert "height map is flat" in caplog.text


def test_exemplars_without_relief_are_refused_with_a_hint() -> None:
    """All lake, or all plain. Recipes of earlier versions still make a plain of it; beside others one may be flat."""
    layout, lake = hills(40, 40, 1), np.full((40, 40), 412.0, np.float32)
    with pytest.raises(InvalidInput, match="The exemplar is flat") as caught:
        transfer(layout, lake)
    assert "Landform" in caught.value.hint
    with pytest.raises(InvalidInput, match="All exemplars are flat"):
        transfer(layout, [height_map(lake, 30.0), height_map(lake - 400.0, 30.0)])
    assert np.ptp(transfer(layout, lake, rivers="cut").values) < 1.0
    assert np.ptp(transfer(layout, [height_map(lake, 30.0), height_map(hills(40, 40, 2), 30.0)]).values) > 50.0


def test_an_exemplar_with_too_few_rivers_to_know_their_profile_still_makes_land_that_drains(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = transfer(hills(64, 64, 1), hills(22, 22, 2, sigma=2.0))
    assert "too few rivers" in caplog.text
    assert pit_fraction(made.values) == 0.0
    caplog.clear()
    transfer(hills(64, 64, 1), hills(128, 128, 2))
    assert "too few rivers" not in caplog.text


def test_the_first_edition_of_a_landform_is_the_exemplar_that_it_was() -> None:
    layout = height_map(hills(64, 64, 1), 60.0)
    made = [
        backend.run("morphology", height=layout, landform="canyon", edition=edition, **QUICK)["height"].values
        for edition in ("1", "2")
    ]
    given = backend.run("morphology", height=layout, exemplar=[exemplars.load("canyon", 1)], **QUICK)["height"].values
    assert np.array_equal(made[0], given)
    assert not np.array_equal(made[0], made[1])
    with pytest.raises(InvalidInput, match="first edition"):
        backend.run("morphology", height=layout, landform="karst", edition="1", **QUICK)


def test_bad_input_is_told() -> None:
    good = hills(64, 64, 1)
    with pytest.raises(InvalidInput, match="at least 16"):
        transfer(hills(15, 64, 1), good)
    with pytest.raises(InvalidInput, match="at least 20"):
        transfer(good, hills(19, 64, 1))
    with pytest.raises(InvalidInput, match="at least 20"):
        transfer(good, [height_map(good, 1.0)])
    with pytest.raises(InvalidInput, match="at most 16384"):
        transfer(good, [height_map(good, 30.0), height_map(good, 30000.0)], scale="true")
    with pytest.raises(InvalidInput, match="no room on less than 480000 m"):
        transfer(good, [height_map(good, 30000.0)], scale="true")
    with pytest.raises(InvalidInput, match="class map"):
        transfer(good, good, classes=Array(CLASS_MAP, np.zeros((3, 3), np.uint8)))
    with pytest.raises(InvalidInput, match="contains class 1"):
        transfer(good, good, classes=Array(CLASS_MAP, np.ones((64, 64), np.uint8)))


def test_cancelling_stops_it_at_once() -> None:
    stages = []

    def cancel(done: int, total: int, stage: str, remaining_s: float | None) -> None:
        stages.append(stage)
        raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        backend.run("morphology", height=height_map(hills(64, 64, 1), 30.0), on_progress=cancel, **QUICK)
    assert len(stages) == 1


def test_real_alps_from_noise(shared_data: Path) -> None:
    """At half the size and steps of the benchmark, within twice its gates."""
    with rasterio.open(shared_data / "elevation" / "srtm3" / "N46E008.tif") as file:
        real = file.read(1)[344:600, 344:600].astype(np.float32)
    layout = backend.run("noise", seed=3, width_px=256, height_px=256, pixel_size_m=90.0, feature_m=18000.0)[
        "height"
    ].values
    made = transfer(layout, real, 90.0, steps=20, filters=24).values
    figures = statistics.compare(made, real, 90.0, layout)
    assert figures.slope < 0.16
    assert figures.curvature < 0.16
    assert figures.spectrum < 0.6
    assert figures.pits == 0.0
    assert figures.layout > 0.7
