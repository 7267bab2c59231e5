"""Noise by coordinates: windows agree with the whole, twins with each other, and numbers are as independent as they must be."""

from __future__ import annotations

import pytest
import torch

from backend.ops.cuda_kernels import SIMULATED
from backend.ops.dispatch import Impl
from backend.ops.terrain.coordinate_noise import uniform, uniform_maps
from tests.support.devices import DEVICES


@pytest.mark.parametrize("device", DEVICES)
def test_a_window_is_cut_out_of_the_plane(device: str) -> None:
    whole = uniform(range(-40, 60), range(-30, 90), stream=2, seed=7)
    window = uniform(range(-5, 20), range(11, 40), stream=2, seed=7, device=device).cpu()
    assert torch.equal(window, whole[35:60, 41:70])


def test_the_twin_is_the_plain_form() -> None:
    made = [
        uniform(range(-9, 30), range(5, 70), stream=1 << 20, seed=2147483647, impl=impl) for impl in ("cpu", "plain")
    ]
    assert torch.equal(*made)


@pytest.mark.parametrize("impl", ["cpu", "plain"])
def test_maps_side_by_side_are_those_of_their_streams_and_repeat(impl: Impl) -> None:
    maps = uniform_maps(range(-9, 30), range(5, 70), streams=range(3, 6), seed=9, period=(12, 0), impl=impl)
    for place, stream in enumerate(range(3, 6)):
        one = uniform(range(-9, 30), range(5, 70), stream=stream, seed=9, period=(12, 0), impl=impl)
        assert torch.equal(maps[..., place], one)
    assert torch.equal(maps[:12], maps[12:24])
    assert not torch.equal(maps[:12], maps[1:13])


@pytest.mark.parametrize("period", [(0, 0), (6, 4)])
def test_the_cuda_twin_draws_the_same_bits(period: tuple[int, int]) -> None:
    device = "cpu" if SIMULATED else "cuda"
    places, columns, seed = range(-5, 4), range(1_000_000, 1_000_007), 2147483647
    plain = uniform_maps(places, columns, streams=range(3, 5), seed=seed, period=period, impl="plain")
    twin = uniform_maps(places, columns, streams=range(3, 5), seed=seed, period=period, device=device, impl="cuda")
    assert torch.equal(twin.cpu(), plain)
    one = uniform(places, columns, stream=1 << 20, seed=seed, period=period, device=device, impl="cuda").cpu()
    assert torch.equal(one, uniform(places, columns, stream=1 << 20, seed=seed, period=period, impl="plain"))


def test_numbers_are_uniform_and_independent() -> None:
    first = uniform(range(400), range(400), stream=0, seed=1)
    assert abs(float(first.mean())) < 0.01
    assert abs(float(first.std()) - 1.0) < 0.01
    assert float(first.abs().max()) <= 3.0**0.5 + 1e-6
    others = [uniform(range(400), range(400), stream=1, seed=1), uniform(range(400), range(400), stream=0, seed=2)]
    others += [first.roll(1, 0), first.roll(1, 1), first.T]
    for other in others:
        assert abs(float((first * other).mean())) < 0.02
