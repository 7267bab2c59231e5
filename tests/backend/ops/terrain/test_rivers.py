"""Rivers with a profile: nearest to bed and law, falling everywhere, the land beside them moves along, still water stays level."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from backend.ops.terrain import forest, rivers, rivers_plain, still_water
from backend.ops.terrain.depressions import pit_fraction
from backend.ops.terrain.routing import route
from tests.backend.ops.terrain.test_hydrology import rough

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
LEVEL = 1e-4


def ground(side: int, seed: int) -> Tensor:
    """Rough land that leans to one side, so that rivers are long."""
    slope = torch.linspace(0, 300, side, dtype=torch.float64)[:, None]
    return (torch.from_numpy(np.ascontiguousarray(rough(side, seed))) + slope).float()


def law_of(height: Tensor) -> rivers.RiverLaw:
    law = rivers.fitted_law([height], LEVEL)
    assert law is not None
    return law


@pytest.mark.parametrize("device", DEVICES)
def test_the_plain_form_agrees_with_the_compiled_one(device: str) -> None:
    height = ground(96, 2)
    labels, still = torch.zeros(height.shape, dtype=torch.uint8), torch.zeros(height.shape, dtype=torch.bool)
    labels[:, 48:] = 1
    still[30:50, 20:40] = True
    laws = [law_of(ground(96, 3)), None]
    expected = rivers.with_profiles(height, laws, labels=labels, still=still, impl="cpu")
    found = rivers.with_profiles(
        height.to(device), laws, labels=labels.to(device), still=still.to(device), impl="plain"
    )
    torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-3)


def test_the_profile_is_the_least_of_its_energy() -> None:
    height = ground(24, 1).double()
    flow = route(height, 1.0)
    random = torch.Generator().manual_seed(1)
    stiffness = torch.rand(height.numel(), generator=random, dtype=torch.float64)
    stiffness[flow.receiver == torch.arange(height.numel())] = 0.0
    bed = 10.0 * forest.depths(flow.receiver).double()
    fall = 8.0 + 4.0 * torch.rand(
        bed.shape, generator=random, dtype=torch.float64
    )  # nothing has to be kept from rising
    made = rivers_plain.profile(bed, flow, fall, stiffness)
    assert bool((made >= made[flow.receiver]).all())
    x = made.clone().requires_grad_()
    energy = ((x - bed) ** 2).sum() + (stiffness * (x - x[flow.receiver] - fall) ** 2).sum()
    (gradient,) = torch.autograd.grad(energy, x)
    assert float(gradient.abs().max()) < 1e-9


def test_the_membrane_is_at_rest_where_nothing_pulls() -> None:
    random = torch.Generator().manual_seed(1)
    target = torch.randn(40, 50, generator=random, dtype=torch.float64)
    weight = (torch.rand(target.shape, generator=random) < 0.05).double()
    made = rivers_plain.membrane(target, weight, 400)
    padded = torch.nn.functional.pad(made[None], (1, 1, 1, 1), mode="replicate")[0]
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * made
    assert float((weight * (target - made) + around).abs().max()) < 1e-6


def test_the_law_of_a_map_is_found_and_goes_on() -> None:
    law = law_of(ground(160, 4))
    assert (np.diff(law.cells) > 0).all()
    at = torch.tensor([10.0 ** law.cells[1], 10.0 ** law.cells[-1], 1e12], dtype=torch.float64)
    assert torch.log10(law.fall(at))[:2].tolist() == pytest.approx([law.falls[1], law.falls[-1]])
    assert float(law.fall(at)[2]) <= float(law.fall(at)[1])


@pytest.mark.parametrize("height", [torch.zeros(64, 64), torch.rand(12, 12), torch.rand(2, 9)])
def test_no_law_of_a_plain_or_of_a_map_too_small_for_rivers(height: Tensor) -> None:
    assert rivers.fitted_law([height], LEVEL) is None
    assert bool(torch.isfinite(rivers.with_profiles(height, [None])).all())


def test_pits_go_and_the_land_beside_the_rivers_moves_along() -> None:
    bumps = gaussian_filter(np.random.default_rng(5).standard_normal((128, 128)), 4.0) * 800.0
    height = (torch.from_numpy(bumps) + torch.linspace(0, 300, 128)[:, None]).float()
    made = rivers.with_profiles(height, [law_of(height)], rounds=2)
    assert pit_fraction(made) < 0.2 * pit_fraction(height)
    moved = made - height
    assert float(moved.diff(dim=1).abs().max()) < 0.5 * float(moved.max() - moved.min()), "no bank steps to its river"


def test_as_much_still_water_is_made_as_there_is() -> None:
    lake = ground(128, 6)
    lake[40:80, 30:90] = 200.0
    share = still_water.share_of_still_water([lake], 1e-3)
    assert share == pytest.approx(40 * 60 / 128**2, rel=0.15)
    rippled = lake + 0.05 * torch.randn(lake.shape, generator=torch.Generator().manual_seed(1))
    still = still_water.still_water(rippled, share)
    assert float(still[42:78, 32:88].float().mean()) > 0.95
    assert not bool(still[:36].any() | still[:, :26].any())
    assert float(still_water.leveled(rippled, still)[still].unique().numel()) == 1
    assert not bool(still_water.still_water(rippled, 0.0).any())


def test_a_plain_that_slopes_is_no_lake() -> None:
    plain = torch.arange(96.0)[:, None].expand(96, 96) // 3  # level bands three pixels wide, as whole metres make them
    assert still_water.share_of_still_water([plain.contiguous()], 1e-3) == 0.0
