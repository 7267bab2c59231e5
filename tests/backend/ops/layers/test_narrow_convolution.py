"""The convolution to a few numbers per pixel: the twin against the library's in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from backend.ops.dispatch import kernel_threads
from backend.ops.layers.narrow_convolution import narrow_convolution


@pytest.mark.parametrize("size", [(7, 11), (1, 4), (5, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_the_twin_is_exact(dtype: torch.dtype, size: tuple[int, int]) -> None:
    draw = torch.Generator().manual_seed(1)
    values = torch.randn(2, 16, *size, generator=draw).to(dtype)
    weight, bias = torch.randn(3, 16, 3, 3, generator=draw), torch.randn(3, generator=draw)
    exact = F.conv2d(values.double(), weight.double(), bias.double(), padding=1)
    for impl in ("cpu", "plain"):
        made = narrow_convolution(values, weight, bias, impl=impl)
        assert made.dtype == torch.float32
        torch.testing.assert_close(made.double(), exact, rtol=1e-5, atol=2e-5)


@torch.inference_mode()
def test_any_number_of_threads_gives_the_same_bytes() -> None:
    draw = torch.Generator().manual_seed(1)
    values, weight = torch.randn(1, 8, 33, 20, generator=draw), torch.randn(1, 8, 3, 3, generator=draw)
    made = []
    for threads in (1, 2):
        with kernel_threads(threads):
            made.append(narrow_convolution(values, weight, torch.zeros(1)))
    assert torch.equal(*made)
