"""Repeated steps: the same numbers whether they are replayed or not."""

from __future__ import annotations

import pytest
import torch

from backend.ops.cuda_graphs import RepeatedStep
from tests.support.devices import DEVICES


def grown(device: str, steps: int, *, waits: bool = False) -> list[float]:
    values, rate = torch.arange(4.0, device=device), torch.zeros((), device=device)

    def step() -> None:
        values.mul_(1.5).add_(rate)
        if waits:
            values.add_(float(rate))

    repeated = RepeatedStep(step, torch.device(device))
    for number in range(steps):
        rate.fill_(number)
        repeated()
    return values.tolist()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("steps", [1, 2, 3, 9])
def test_each_call_is_one_step_with_the_numbers_of_the_moment(device: str, steps: int) -> None:
    expected = [float(n) for n in range(4)]
    for number in range(steps):
        expected = [value * 1.5 + number for value in expected]
    assert grown(device, steps) == pytest.approx(expected)


@pytest.mark.parametrize("device", DEVICES)
def test_a_step_that_waits_for_the_card_still_runs(device: str) -> None:
    assert grown(device, 6, waits=True) == grown("cpu", 6, waits=True)
