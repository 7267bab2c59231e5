"""Class-adaptive features: the twin against plain torch, and what the formula says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.ops.dispatch import kernel_threads
from backend.ops.layers.class_affine import class_affine
from backend.ops.layers.constants import EPSILON, SLOPE
from tests.support.devices import DEVICES


def example(dtype: torch.dtype, channels: int = 24, classes: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    values = (3.0 * torch.randn(2, channels, 9, 13, generator=draw)).to(dtype)
    shares = torch.rand(2, classes, 9, 13, generator=draw).pow(3)
    shares[:, :, 4:] = torch.nn.functional.one_hot(torch.randint(classes, (2, 5, 13), generator=draw), classes).movedim(
        -1, 1
    )
    noise = torch.randn(2, 1, 9, 13, generator=draw)
    return values, shares / shares.sum(1, keepdim=True), noise, torch.randn(3 * channels, classes, generator=draw)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.bfloat16, 8e-3)])
@torch.inference_mode()
def test_the_twin_is_the_plain_form(dtype: torch.dtype, tolerance: float, layout: torch.memory_format) -> None:
    values, shares, noise, table = example(dtype)
    made = class_affine(
        values.contiguous(memory_format=layout), shares.contiguous(memory_format=layout), noise, table, impl="cpu"
    )
    exact = class_affine(values.double(), shares.double(), noise.double(), table.double(), impl="plain")
    assert made.dtype == dtype
    torch.testing.assert_close(made.double(), exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("device", DEVICES)
def test_the_formula(device: str) -> None:
    values, shares, noise, table = (part.to(device) for part in example(torch.float32))
    made = class_affine(values, shares, noise, table)
    y, x, main = 6, 2, int(shares[1, :, 6, 2].argmax())
    scale, offset, strength = table[:, main].chunk(3)
    pixel = values[1, :, y, x]
    expected = pixel / (pixel.square().mean() + EPSILON).sqrt() * scale + offset + noise[1, 0, y, x] * strength
    torch.testing.assert_close(
        made[1, :, y, x], torch.where(expected > 0, expected, SLOPE * expected), rtol=1e-4, atol=1e-5
    )


@torch.inference_mode()
def test_any_number_of_threads_gives_the_same_bytes() -> None:
    made = []
    for threads in (1, 2):
        with kernel_threads(threads):
            made.append(class_affine(*example(torch.bfloat16)))
    assert torch.equal(*made)


def test_gradients_flow_where_they_are_asked_for() -> None:
    values, shares, noise, table = example(torch.float32)
    table.requires_grad_()
    class_affine(values, shares, noise, table).sum().backward()
    assert table.grad is not None
    assert torch.isfinite(table.grad).all()
    assert table.grad.abs().max() > 0
