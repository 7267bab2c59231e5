"""A convolution with fixed filters: torch's values and gradient, and the same bytes for any number of threads."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.layers.fixed_convolution import convolve

SHAPES = [(1, 24, 7, 1), (1, 1, 5, 2), (1, 6, 5, 3), (3, 16, 3, 1), (16, 8, 3, 2)]  # channels in and out, side, stride


def given(channels: int, count: int, side: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(count)
    values = torch.randn(2, channels, 44, 61, generator=draw, dtype=dtype).requires_grad_()
    return values, torch.randn(count, channels, side, side, generator=draw, dtype=dtype)


@pytest.mark.parametrize(("channels", "count", "side", "stride"), SHAPES)
def test_the_gradient_is_right(channels: int, count: int, side: int, stride: int) -> None:
    for dtype, tolerance in ((torch.float32, 2e-5), (torch.float64, 1e-12)):
        values, filters = given(channels, count, side, dtype)
        made, wanted = convolve(values, filters, stride=stride), F.conv2d(values, filters, stride=stride)
        assert torch.equal(made, wanted)
        slope = torch.randn(made.shape, generator=torch.Generator().manual_seed(9), dtype=dtype)
        own, theirs = (torch.autograd.grad(output, values, slope)[0] for output in (made, wanted))
        assert float((own - theirs).abs().max()) <= tolerance * float(theirs.abs().max())


@pytest.mark.parametrize(("channels", "count", "side", "stride"), SHAPES)
def test_the_gradient_does_not_depend_on_threads(channels: int, count: int, side: int, stride: int) -> None:
    values, filters = given(channels, count, side, torch.float32)
    before, found = torch.get_num_threads(), []
    for threads in (1, 2, 3, 16):
        torch.set_num_threads(threads)
        found.append(
            torch.autograd.grad(convolve(values, filters, stride=stride).square().sum((0, 2, 3)).sum(), values)[0]
        )
    torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_filters_that_are_trained_get_a_gradient() -> None:
    values, filters = given(3, 4, 3, torch.float32)
    filters.requires_grad_()
    assert torch.autograd.grad(convolve(values, filters).square().sum(), filters)[0].abs().sum() > 0
