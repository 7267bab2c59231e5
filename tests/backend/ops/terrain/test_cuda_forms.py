"""Hydrology's CUDA twins against its plain forms and the compiled kernels, on small maps: a card's threads are simulated without
one.

erosion, routing, basins, drainage and rivers: bits where a card does the same operations, rounding elsewhere, for it fuses
products and sums.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

import backend
from backend.ops.cuda_kernels import SIMULATED
from backend.ops.terrain import drainage, erosion, forest, rivers, routing
from shared.arrays import height_map
from tests.backend.ops.terrain.test_hydrology import rough

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # hashes wrap around
DEVICE = "cpu" if SIMULATED else "cuda"
random = np.random.default_rng(0)
MAPS = {
    "rough": rough(8, 2)[:, :10],
    "few levels": np.round(random.normal(size=(7, 8))),
    "one cell inside": random.normal(size=(3, 3)),
    "all edge": random.normal(size=(2, 7)),
}
each_map = pytest.mark.parametrize("name", MAPS)


def heights(name: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(MAPS[name]))


def close(found: Tensor, expected: Tensor, scale: float = 1.0) -> None:
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-11, atol=1e-11 * scale)


@each_map
@pytest.mark.parametrize("jitter", [0.0, 0.7])
def test_routing_on_cuda_draws_the_same_network(name: str, jitter: float) -> None:
    z = heights(name)
    expected = routing.route(z, 10.0, jitter=jitter, seed=5, impl="plain")
    found = routing.route(z.to(DEVICE), 10.0, jitter=jitter, seed=5, impl="cuda")
    assert torch.equal(found.codes.cpu(), expected.codes)
    assert torch.equal(found.upstream.cpu(), expected.upstream)


@each_map
def test_water_spreads_alike_on_cuda(name: str) -> None:
    z = heights(name).float()
    expected = routing.spread_area(z, 3.0, impl="cpu")
    torch.testing.assert_close(routing.spread_area(z.to(DEVICE), 3.0, impl="cuda").cpu(), expected, rtol=1e-6, atol=0)


@each_map
@pytest.mark.parametrize("n", [1.0, 1.4])
@pytest.mark.parametrize("deposition", [0.0, 0.6])
def test_erosion_on_cuda_agrees(name: str, n: float, deposition: float) -> None:
    """With a guess of what settles, as a step after the first has it, and protected ground."""
    z = heights(name)
    law = erosion.ErosionLaw(erodibility=2e-5, slope_exponent=n, deposition=deposition, steepest=0.8)
    strength = torch.rand(z.shape, generator=torch.Generator().manual_seed(1))
    strength[:, : z.shape[1] // 3] = 0.0
    guess = torch.rand(z.numel(), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    results = []
    for place, impl in (("cpu", "cpu"), (DEVICE, "cuda")):
        height, start = z.to(place), guess.to(place)
        flow = routing.route(height, 10.0, impl=impl)  # type: ignore[arg-type]
        rate = erosion.stream_rate(flow, law, 1e4, strength=strength.to(place), impl=impl)  # type: ignore[arg-type]
        lowered, settled = erosion.incise_and_settle(height, flow, law, rate, guess=start, impl=impl)  # type: ignore[arg-type]
        dry = erosion.incise(height, flow, law, rate, lakes=False, impl=impl)  # type: ignore[arg-type]
        results.append([lowered, dry, *([] if settled is None else [settled])])
    for expected, found in zip(*results, strict=True):
        close(found, expected, float(z.abs().max()))


@each_map
@pytest.mark.parametrize("cut_share", [0.0, 0.6])
def test_heights_fall_alike_along_a_network_on_cuda(name: str, cut_share: float) -> None:
    z = heights(name)
    expected = drainage.falling(z, routing.route(z, 1.0, impl="cpu"), cut_share=cut_share, impl="cpu")
    there = z.to(DEVICE)
    found = drainage.falling(there, routing.route(there, 1.0, impl="cuda"), cut_share=cut_share, impl="cuda")
    close(found, expected, float(z.abs().max()))


@each_map
@pytest.mark.parametrize("years", [4.0, 1e6])
def test_creep_on_cuda_agrees(name: str, years: float) -> None:
    z = heights(name)
    expected = erosion.creep(z, 10.0, 5.0, years, impl="cpu")
    close(erosion.creep(z.to(DEVICE), 10.0, 5.0, years, impl="cuda"), expected, float(z.abs().max()))


@each_map
def test_profiles_and_the_membrane_on_cuda_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell is a river, some of them water, and the membrane goes over several tiles and launches."""
    monkeypatch.setattr(rivers, "LEAST_CELLS", 2)
    monkeypatch.setattr(rivers, "SWEEPS", 3)
    z = heights(name)
    law = rivers.RiverLaw(np.array([0.0, 1.0, 3.0]), np.array([1.0, 0.4, -1.0]))
    still = torch.zeros(z.shape, dtype=torch.bool)
    still[:, -3:] = True
    expected = rivers.with_profiles(z, [law], still=still, impl="cpu")
    found = rivers.with_profiles(z.to(DEVICE), [law], still=still.to(DEVICE), impl="cuda")
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-6, atol=1e-6 * float(z.abs().max()))


@pytest.mark.skipif(SIMULATED, reason="a whole job takes a simulated card too long")
@pytest.mark.parametrize("options", [{}, {"depressions": "fill", "flow_model": "single", "debris": 0.5, "strata": 0.5}])
def test_hydrology_on_cuda_is_hydrology_on_the_cpu(options: dict) -> None:
    """To a millimetre, but where a last bit sends water another way."""
    z = height_map(rough(200, 2), 30.0)
    expected, found = (
        backend.run("hydrology", height=z, device=device, steps=6, **options)["height"].values
        for device in ("cpu", "cuda")
    )
    assert float((np.abs(found - expected) > 1e-3).mean()) < 0.005


def test_a_walk_lists_each_cell_after_its_receiver_and_before_its_donors() -> None:
    receiver = torch.tensor([0, 0, 1, 1, 4, 2, 4, 0])
    walk = forest.walk(receiver, forest.depths(receiver))
    order, parent = walk.order.tolist(), walk.parent.tolist()
    assert order == [0, 4, 1, 6, 7, 2, 3, 5]
    assert [order[rank] for rank in parent] == receiver[walk.order.long()].tolist()
    assert walk.starts.tolist() == [0, 2, 5, 7, 8, 8, 8, 8, 8, 8]
    first = walk.first_donor.tolist()
    donors = [[order[rank] for rank in walk.donors[begin:end].tolist()] for begin, end in itertools.pairwise(first)]
    assert dict(zip(order, donors, strict=True)) == {0: [1, 7], 4: [6], 1: [2, 3], 6: [], 7: [], 2: [5], 3: [], 5: []}
