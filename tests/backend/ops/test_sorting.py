"""Sorting on the CPU: torch's own answers, ties and both zeros included."""

from __future__ import annotations

import torch

from backend.ops.sorting import sorted_values, stable_order


def test_order_and_values_are_torchs() -> None:
    draw = torch.Generator().manual_seed(3)
    values = torch.randn(40000, generator=draw)
    values[::3] = values[::3].round()  # many ties, and zeros of both signs
    values[5], values[7], values[11] = -0.0, 3e38, -3e38
    assert (values == 0).sum() > 100
    assert torch.equal(stable_order(values), values.argsort(stable=True))
    assert torch.equal(sorted_values(values), values.sort().values)


def test_one_value() -> None:
    assert stable_order(torch.tensor([4.0])).tolist() == [0]
