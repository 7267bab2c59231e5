"""Steps whose numbers lie in tensors that stay where they are: the same as with plain numbers, for one source and for two."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from backend.ops.adam import Adam
from backend.ops.cuda_kernels import SIMULATED
from backend.ops.dispatch import Impl
from backend.ops.patches import sliced_wasserstein
from backend.ops.patches.filter_bank import random_filters
from backend.ops.patches.transport_steps import TransportSteps

KERNELS_ON = "cpu" if SIMULATED else "cuda"


def terrain(rows: int, columns: int, seed: int, sigma: float = 1.5) -> Tensor:
    values = gaussian_filter(np.random.default_rng(seed).standard_normal((rows, columns)), sigma)
    return torch.from_numpy(np.ascontiguousarray(values / values.std(), np.float32))


def moved(side: int, sources: int, steps: int, device: str, impl: Impl, *, stay: bool) -> Tensor:
    """A map after some steps towards the patches of its sources, with banks, rows and rates that change."""
    drawn = [random_filters(4, torch.Generator().manual_seed(seed)) for seed in range(2)]
    measured = [
        sliced_wasserstein.measure_banks([terrain(side, side, n).to(device)], drawn, impl=impl) for n in range(sources)
    ]
    height = terrain(side, side + 3, 9).to(device)
    labels = torch.zeros(height.shape, dtype=torch.uint8, device=device)
    labels[:, side // 2 :] = 1
    numbers = TransportSteps([list(banks) for banks in zip(*measured, strict=True)], height.device, stay=stay)
    adam = Adam([height], decay=(0.9, 0.98), floor=0.5, patch=7)

    def step() -> None:
        direction = torch.zeros_like(height)
        for source in range(sources):
            sliced_wasserstein.ascent(
                height, numbers.banks[source], row_first=numbers.row_first, row_step=2,
                labels=labels if sources > 1 else None, label=source, out=direction, impl=impl,
            )  # fmt: skip
        adam.step([height], [direction], numbers.rate, impl=impl)

    move = numbers.repeated(step)
    for number in range(steps):
        numbers.set(number % 2, number % 3, 0.1 / (1 + number))
        move()
    return height.cpu()


@pytest.mark.parametrize("impl", ["cpu", "plain"])
@pytest.mark.parametrize("sources", [1, 2])
def test_numbers_that_stay_where_they_are_change_no_byte(sources: int, impl: Impl) -> None:
    numbers, tensors = (moved(40, sources, 6, "cpu", impl, stay=stay) for stay in (False, True))
    torch.testing.assert_close(tensors, numbers, rtol=0, atol=0 if impl == "cpu" else 1e-6)
    assert float((numbers - terrain(40, 43, 9)).abs().max()) > 0.05


def test_steps_of_the_cuda_twins_are_those_of_the_plain_forms() -> None:
    steps = 2 if SIMULATED else 8  # on a card the third is the first from a graph
    plain = moved(13, 1, steps, "cpu", "plain", stay=False)
    twin = moved(13, 1, steps, KERNELS_ON, "cuda", stay=True)
    difference = (twin - plain).abs()  # a projection on a bin's edge may fall to either side
    assert float(difference.max()) < 0.02
    assert float(difference.mean()) < 1e-3
