"""What hydrology leaves of the land, and what it makes of it: detail, profiles, beds, layers, hard rock, scree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from backend.algorithms import hydrology as engine
from backend.algorithms.erosion.profiles import concave_law
from backend.algorithms.erosion.strata import CLIFF_SHARE, HARD_SHARE, Strata
from backend.measures import terrain_statistics, terrain_structure
from backend.ops.terrain import depressions, drainage, river_beds, rivers, talus
from backend.runtime.context import JobContext
from shared.arrays import MASK, Array, height_map
from shared.catalog.hydrology import HydrologyParams
from tests.backend.ops.terrain.test_hydrology import rough

SIDE, PIXEL_M = 192, 30.0


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return rough(SIDE, 3, power=4.0).astype(np.float32)


@pytest.fixture(scope="module")
def drained(noise: np.ndarray) -> np.ndarray:
    """Land that drains, with long profiles: what hydrology makes of noise, drained once more."""
    height = torch.from_numpy(run(noise, amount=0.4, seed=1)["height"].values)
    law = concave_law(height, 0.4)
    return drainage.drain(rivers.with_profiles(height, [law], rounds=2)).numpy()


def run(height: np.ndarray, hardness: np.ndarray | None = None, **params: Any) -> dict[str, Array]:
    inputs = {"height": height_map(height, PIXEL_M), "mask": None}
    if hardness is not None:
        inputs["hardness"] = Array(MASK, hardness)
    return engine.run(HydrologyParams(**params), inputs, JobContext())


def test_land_that_drains_keeps_its_slopes_and_its_detail(drained: np.ndarray) -> None:
    made = run(drained)["height"].values
    fine = [z - gaussian_filter(z, 2.0) for z in (made, drained)]
    assert np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1] > 0.9
    slopes = [terrain_statistics.slope(z, PIXEL_M) for z in (made, drained)]
    assert terrain_statistics.distribution_error(*slopes) < 0.2
    assert np.abs(made - drained).max() > 0.01 * np.ptp(drained), "it does something"
    before, after = (run(drained, channels=way)["height"].values for way in ("cut", "profile"))
    errors = [terrain_statistics.spectrum_error(z, drained, PIXEL_M) for z in (before, after)]
    assert errors[1] < 0.4 * errors[0]


def test_noise_gets_valleys_with_profiles_and_no_slots(noise: np.ndarray) -> None:
    made = run(noise)["height"].values
    assert depressions.pit_fraction(torch.from_numpy(made)) == 0.0 < depressions.pit_fraction(torch.from_numpy(noise))
    structures = [terrain_structure.structure(z, PIXEL_M) for z in (made, noise)]
    assert structures[0].slots <= structures[1].slots + 0.005
    assert abs(structures[0].concavity - 0.4) < abs(structures[1].concavity - 0.4)
    assert structures[0].concavity == pytest.approx(0.4, abs=0.12)


def test_faded_detail_is_a_setting(drained: np.ndarray) -> None:
    kept, faded = (run(drained, fading=share, amount=0.5)["height"].values for share in (0.0, 1.0))
    rough_kept, rough_faded = (np.std(z - gaussian_filter(z, 1.0)) for z in (kept, faded))
    assert rough_faded < 0.95 * rough_kept


def test_lakes_stay_when_they_are_kept(drained: np.ndarray) -> None:
    bowl = drained.copy()
    rows, columns = np.mgrid[:SIDE, :SIDE]
    hollow = np.hypot(rows - 96, columns - 96) < 14
    bowl[hollow] = drained[hollow].min() - 60.0
    depths = {}
    for way in ("keep", "breach"):
        z = torch.from_numpy(run(bowl, depressions=way)["height"].values)
        depths[way] = float((depressions.fill_depressions(z) - z).max())
    assert depths["keep"] > 15.0
    assert depths["breach"] == 0.0


def test_water_that_was_level_stays_level(drained: np.ndarray) -> None:
    lake = drained.copy()
    rows, columns = np.mgrid[:SIDE, :SIDE]
    water = np.hypot(rows - 96, columns - 96) < 12
    lake[water] = drained[water].min()
    made = run(lake)["height"].values
    assert np.ptp(made[np.hypot(rows - 96, columns - 96) < 9]) < 0.5 < 0.1 * np.ptp(drained[water])


def test_a_cliff_between_level_plains_stays() -> None:
    step = np.where(np.arange(96) < 48, 0.0, 500.0)[:, None].repeat(96, 1).astype(np.float32)
    made = run(step, steps=4)["height"].values
    assert np.ptp(made) > 300.0


def test_layers_make_cliffs_and_benches_at_their_heights() -> None:
    ramp = torch.linspace(0.0, 1000.0, 501, dtype=torch.float64).expand(8, 501).contiguous()
    params = HydrologyParams(strata=1.0, layer_thickness=20.0)
    strata = Strata(ramp, params, PIXEL_M, torch.Generator().manual_seed(1))
    stepped = strata.benched(ramp, torch.full_like(ramp, 1e6), PIXEL_M)
    bases = strata.bases_m
    layer = torch.searchsorted(bases, ramp[0], right=True) - 1
    part = (ramp[0] - bases[layer]) / (bases[layer + 1] - bases[layer])
    steep = stepped[0].diff() / ramp[0].diff()
    inside = (part[1:] > part[:-1]) & ((part[:-1] >= 1 - HARD_SHARE) == (part[1:] >= 1 - HARD_SHARE))
    hard = inside & (part[:-1] >= 1 - HARD_SHARE)
    expected = CLIFF_SHARE / HARD_SHARE, (1 - CLIFF_SHARE) / (1 - HARD_SHARE)
    torch.testing.assert_close(steep[hard], torch.full_like(steep[hard], expected[0]), rtol=1e-3, atol=0)
    torch.testing.assert_close(
        steep[inside & ~hard], torch.full_like(steep[inside & ~hard], expected[1]), rtol=1e-2, atol=0
    )
    assert torch.equal(strata.benched(ramp, torch.zeros_like(ramp), PIXEL_M), ramp), "ground that was not worn stays"


def test_layers_that_dip_lie_lower_where_they_dip_to() -> None:
    level = torch.full((64, 64), 500.0, dtype=torch.float64)
    level[0, 0], level[-1, -1] = 0.0, 1000.0
    params = HydrologyParams(strata=1.0, dip=10.0, dip_direction=90.0)
    hard = Strata(level, params, 100.0, torch.Generator()).rate(level, 100.0)[1:-1]
    assert torch.equal(hard[0], hard[-1]), "bands run along the strike, from top to bottom"
    assert len(hard[0].unique()) == 2


def test_hard_rock_wears_less(noise: np.ndarray) -> None:
    hardness = np.zeros(noise.shape, np.float32)
    hardness[:, : SIDE // 2] = 1.0
    plain, made = run(noise)["wear"].values, run(noise, hardness)["wear"].values
    left, right = slice(8, SIDE // 2 - 16), slice(SIDE // 2 + 16, -8)
    assert made[:, left].mean() < 0.6 * plain[:, left].mean()
    assert made[:, right].mean() == pytest.approx(plain[:, right].mean(), rel=0.15)


def test_scree_keeps_its_mass_and_comes_to_rest_at_the_angle() -> None:
    cone = torch.zeros(61, 61, dtype=torch.float64)
    cone[28:33, 28:33] = 100.0
    slid = talus.slumped(cone, 1.0, 0.7, 1500)
    assert float(slid.sum()) == pytest.approx(float(cone.sum()))
    for axis in (0, 1):
        assert float(slid.diff(dim=axis).abs().max()) < 0.72
    assert float(slid.max()) < 50.0
    with pytest.raises(ValueError, match="above 0"):
        talus.slumped(cone, 1.0, 0.0, 1)


def test_beds_are_level_across_and_banks_meet_the_land() -> None:
    rows, columns = torch.meshgrid(torch.arange(41.0), torch.arange(60.0), indexing="ij")
    valley = ((rows - 20).abs() * 5.0 + columns * 0.1).double()
    width = torch.zeros(valley.shape, dtype=torch.float64)
    width[20] = 4.0
    made = river_beds.with_beds(valley, width.flatten())
    middle = made[:, 30]
    assert float(middle[17:24].max() - valley[20, 30]) <= 0.0, (
        "the bed, at the level of the river or of that just below"
    )
    assert torch.equal(made[:8], valley[:8])
    assert bool((made <= valley).all())
    assert bool((middle[24:33].diff() > 0).all()), "no step between bed and land"
    assert river_beds.with_beds(valley, width.flatten() * 0.1) is valley
