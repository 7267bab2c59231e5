"""Adam against torch's own to the bit, its numba twin against the plain form, and the edge of a map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.ops import adam_cpu
from backend.ops.adam import Adam, patch_share
from backend.ops.cuda_kernels import SIMULATED

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KERNELS_ON = "cpu" if SIMULATED else "cuda"


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("decay", [(0.9, 0.999), (0.8, 0.98)])
def test_plain_steps_are_those_of_torch_to_the_bit(decay: tuple[float, float]) -> None:
    ours = [draw(40, 30), draw(7)]
    theirs = [values.clone().requires_grad_() for values in ours]
    adam, reference = Adam(ours, decay=decay), torch.optim.Adam(theirs, lr=0.1, betas=decay, foreach=False)
    for step in range(12):
        rate = 0.1 * 0.9**step
        gradients = [draw(*values.shape, seed=step + 1) * 10.0**-step for values in ours]
        adam.step(ours, [-gradient for gradient in gradients], rate)
        reference.param_groups[0]["lr"] = rate
        for values, gradient in zip(theirs, gradients, strict=True):
            values.grad = gradient
        reference.step()
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.equal(found, expected.detach())


@pytest.mark.parametrize("device", DEVICES)
def test_the_twin_for_maps_equals_the_plain_form(device: str) -> None:
    twin = draw(40, 51)
    plain = twin.to(device, copy=True)
    options = {"decay": (0.9, 0.98), "floor": 0.5, "epsilon": 1e-12, "patch": 7}
    adams = Adam([twin], **options), Adam([plain], **options)
    for step in range(20):
        direction = draw(40, 51, seed=step + 1)
        adams[0].step([twin], [direction], 0.05, impl="cpu")
        adams[1].step([plain], [direction.to(device)], 0.05, impl="plain")
    torch.testing.assert_close(plain.cpu(), twin, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("shape", "patch", "floor"), [((11, 9), 7, 0.5), ((6, 20), 1, 0.0)])
def test_the_cuda_twin_equals_the_plain_form(shape: tuple[int, int], patch: int, floor: float) -> None:
    plain = draw(*shape)
    twin = plain.to(KERNELS_ON, copy=True)
    options = {"decay": (0.9, 0.98), "floor": floor, "epsilon": 1e-12, "patch": patch}
    adams = Adam([plain], **options), Adam([twin], **options)
    for step in range(4):
        direction, rate = draw(*shape, seed=step + 1), 0.05 / (step + 1)
        adams[0].step([plain], [direction], rate, impl="plain")
        given = torch.tensor([rate], device=KERNELS_ON) if step % 2 else rate
        adams[1].step([twin], [direction.to(KERNELS_ON)], given, impl="cuda")
    torch.testing.assert_close(twin.cpu(), plain, rtol=0, atol=2e-6)


def test_share_counts_the_patches_on_each_pixel() -> None:
    count = torch.zeros(12, 9)
    for y in range(12 - 6):
        for x in range(9 - 6):
            count[y : y + 7, x : x + 7] += 1
    share = patch_share(torch.zeros(30, 20), 7)
    assert float(share[15, 10]) == 1.0
    assert float(share[0, 0]) == pytest.approx(1 / 49)
    assert float(share[2, 10]) == pytest.approx(3 / 7)
    assert bool((patch_share(count, 7) * 49 >= count).all())  # a map narrower than two patches has fewer than that


def test_the_mean_square_is_numpys_to_the_last_bit() -> None:
    for side in (200, 256, 257, 601):
        values = np.random.default_rng(side).normal(0, 3, (side, side + 5)).astype(np.float32)
        assert adam_cpu.mean_square(values) == np.mean(np.square(values))
