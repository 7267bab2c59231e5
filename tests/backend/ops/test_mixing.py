"""Mixed values and their limits: against matrix products, and the plain form against the kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.ops.cuda_kernels import SIMULATED
from backend.ops.mixing import MOST_VALUES, limit, mixed

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_mixed_is_the_product_with_the_matrix() -> None:
    matrix, values = drawn(3, 5), drawn(5, 9, 11, seed=1)
    np.testing.assert_allclose(mixed(matrix, values), np.einsum("nm,mhw->nhw", matrix, values), atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_plain_form_limits_as_the_kernel_and_as_written_out(device: str) -> None:
    mixing, image = drawn(3, 4), drawn(3, 300, 21, seed=1)
    inverse = torch.linalg.pinv(mixing)
    mean, low, high = drawn(4, seed=2), torch.full((4,), -0.5), torch.full((4,), 0.4)
    values = np.einsum("vc,chw->vhw", inverse, image) + mean.numpy()[:, None, None]
    bounded = np.clip(values, -0.5, 0.4) - mean.numpy()[:, None, None]
    fused, plain = image.clone(), image.clone().to(device)
    limit(fused, mixing, inverse, mean, low, high, impl="cpu")
    limit(plain, mixing, inverse, mean, low, high, impl="plain")
    np.testing.assert_allclose(fused, np.einsum("cv,vhw->chw", mixing, bounded), atol=1e-5)
    torch.testing.assert_close(plain.cpu(), fused, rtol=0, atol=1e-5)
    assert float((fused - image).abs().max()) > 0.1


@pytest.mark.parametrize("values", [4, MOST_VALUES + 1])
def test_the_cuda_twin_limits_as_the_plain_form(values: int) -> None:
    """More values than a thread can hold are left to the plain form."""
    device = "cpu" if SIMULATED else "cuda"
    mixing, image = drawn(3, values), drawn(3, 5, 9, seed=1)
    inverse, mean = torch.linalg.pinv(mixing), drawn(values, seed=2)
    bounds = torch.full((values,), -0.5), torch.full((values,), 0.4)
    plain, twin = image.clone(), image.to(device, copy=True)
    limit(plain, mixing, inverse, mean, *bounds, impl="plain")
    limit(twin, mixing, inverse, mean, *bounds, impl="cuda")
    torch.testing.assert_close(twin.cpu(), plain, rtol=0, atol=1e-5)
    assert float((plain - image).abs().max()) > 0.1
