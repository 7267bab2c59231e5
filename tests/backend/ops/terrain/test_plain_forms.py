"""Hydrology's plain forms on every device against the compiled kernels: bits where both do the same operations, rounding else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from backend.ops.terrain import depressions, drainage, erosion, forest, grid, routing
from tests.backend.ops.terrain.test_hydrology import rough

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
on_every_device = pytest.mark.parametrize("device", DEVICES)

random = np.random.default_rng(0)
MAPS = {
    "rough": rough(90, 2),
    "steps, many flats and tied passes": np.round(rough(70, 5) / 20.0) * 20.0,
    "few levels": np.round(random.normal(size=(40, 33))),
    "level": np.zeros((9, 8)),
    "one cell inside": random.normal(size=(3, 3)),
    "all edge": random.normal(size=(2, 7)),
}
each_map = pytest.mark.parametrize("name", MAPS)
SMALL = arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.one_of(st.integers(-3, 3).map(float), st.floats(-500, 9000)),
)


def heights(name: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(MAPS[name]))


def equal(found: Tensor, expected: Tensor) -> bool:
    return torch.equal(found.cpu(), expected)


@on_every_device
@each_map
def test_filled_heights_are_the_same_bits(name: str, device: str) -> None:
    height = heights(name).float()
    for epsilon in (0.0, 1e-3):
        expected = depressions.fill_depressions(height, epsilon_m=epsilon, impl="cpu")
        assert equal(depressions.fill_depressions(height.to(device), epsilon_m=epsilon, impl="plain"), expected)


@on_every_device
@each_map
@pytest.mark.parametrize(
    "options", [{}, {"wander": 0.7, "seed": 3}, {"max_cost": 20.0}, {"max_length": 5, "fill_rest": False}]
)
def test_breached_heights_are_the_same_bits(name: str, options: dict, device: str) -> None:
    height = heights(name).float()
    expected = depressions.breach_depressions(height, impl="cpu", **options)
    assert equal(depressions.breach_depressions(height.to(device), impl="plain", **options), expected)


@on_every_device
@each_map
@pytest.mark.parametrize("cut_share", [0.0, 0.6, 1.0])
def test_drained_heights_are_the_same_bits(name: str, cut_share: float, device: str) -> None:
    height = heights(name).float()
    expected = drainage.drain(height, cut_share=cut_share, drop=1e-3, impl="cpu")
    assert equal(drainage.drain(height.to(device), cut_share=cut_share, drop=1e-3, impl="plain"), expected)


@on_every_device
@each_map
@pytest.mark.parametrize("jitter", [0.0, 0.4, 1.0])
def test_the_flow_network_is_the_same_to_the_bit(name: str, jitter: float, device: str) -> None:
    height = heights(name)
    expected = routing.route(height, 10.0, jitter=jitter, seed=5, impl="cpu")
    found = routing.route(height.to(device), 10.0, jitter=jitter, seed=5, impl="plain")
    assert equal(found.codes, expected.codes)
    assert equal(found.upstream, expected.upstream)
    assert found.pits == expected.pits
    position = torch.empty(height.numel(), dtype=torch.int64)
    position[found.order.cpu().long()] = torch.arange(height.numel())
    receiver = found.receiver.cpu()
    inner = receiver != torch.arange(height.numel())
    assert bool((position[inner] < position[receiver[inner]]).all())


@given(SMALL)
@settings(max_examples=150, deadline=None)
def test_small_maps_of_any_kind_route_and_drain_alike(height: np.ndarray) -> None:
    z = torch.from_numpy(np.ascontiguousarray(height))
    assert equal(routing.route(z, 1.0, impl="plain").codes, routing.route(z, 1.0, impl="cpu").codes)
    assert equal(drainage.drain(z.float(), impl="plain"), drainage.drain(z.float(), impl="cpu"))
    # The kernel takes part of a level patch for a pit where the patch hangs together through cells of the edge alone. That
    # stays, for the bytes of recipes; here the edge is level with nothing inside.
    z = z.float() + 0.123 * grid.edge_mask(*z.shape, z.device)
    breached = depressions.breach_depressions(z, impl="plain")
    assert equal(breached, depressions.breach_depressions(z, impl="cpu"))


@on_every_device
@each_map
def test_spread_areas_agree(name: str, device: str) -> None:
    height = heights(name).float()
    expected = routing.spread_area(height, 3.0, impl="cpu")
    found = routing.spread_area(height.to(device), 3.0, impl="plain").cpu()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


@on_every_device
@each_map
@pytest.mark.parametrize("n", [1.0, 1.4, 0.7])
def test_erosion_and_deposition_agree(name: str, n: float, device: str) -> None:
    height = heights(name)
    law = erosion.ErosionLaw(erodibility=2e-5, slope_exponent=n, deposition=0.6, steepest=0.8)
    strength = torch.rand(height.shape, generator=torch.Generator().manual_seed(1))
    strength[:, : height.shape[1] // 3] = 0.0
    results = []
    for place, impl in (("cpu", "cpu"), (device, "plain")):
        z = height.to(place)
        flow = routing.route(z, 10.0, impl=impl)  # type: ignore[arg-type]
        rate = erosion.stream_rate(flow, law, 1e4, strength=strength.to(place), impl=impl)  # type: ignore[arg-type]
        lowered, settled = erosion.incise_and_settle(z, flow, law, rate, impl=impl)  # type: ignore[arg-type]
        dry = erosion.incise(z, flow, law, rate, lakes=False, impl=impl)  # type: ignore[arg-type]
        assert settled is not None
        results.append([values.cpu() for values in (rate, lowered, settled.reshape(z.shape), dry)])
    scale = float(height.abs().max()) + 1e-9
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12 * scale)


@on_every_device
@each_map
@pytest.mark.parametrize("years", [4.0, 400.0, 1e6])
def test_creep_agrees(name: str, years: float, device: str) -> None:
    height = heights(name)
    expected = erosion.creep(height, 10.0, 5.0, years, impl="cpu")
    found = erosion.creep(height.to(device), 10.0, 5.0, years, impl="plain").cpu()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11 * (float(height.abs().max()) + 1e-9))


@on_every_device
def test_trees_are_walked_as_step_by_step(device: str) -> None:
    generator = np.random.default_rng(3)
    receiver = np.array([0, *(int(generator.integers(max(0, n - 6), n)) for n in range(1, 400))])
    receiver[[150, 290]] = [150, 290]  # two more roots
    source = generator.integers(0, 100, 400)
    root, depth, total = receiver.copy(), np.zeros(400, int), source.copy()
    for cell in range(400):
        while receiver[root[cell]] != root[cell]:
            root[cell] = receiver[root[cell]]
        here = cell
        while receiver[here] != here:
            here, depth[cell] = receiver[here], depth[cell] + 1
            total[here] += source[cell]
    there = torch.from_numpy(receiver).to(device)
    assert forest.roots(there).tolist() == root.tolist()
    assert forest.depths(there).tolist() == depth.tolist()
    assert forest.accumulate(there, torch.from_numpy(source).to(device)).tolist() == total.tolist()
    levels = forest.levels(there)
    assert [sorted(cells.tolist()) for cells in levels] == [
        np.flatnonzero(depth == level).tolist() for level in range(len(levels))
    ]
    assert forest.jumps(there)[-1].tolist() == root.tolist()
