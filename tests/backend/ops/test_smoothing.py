"""Gaussian smoothing on the CPU: SciPy's numbers, whatever the size, the edge and the number of threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from backend.ops.dispatch import kernel_threads
from backend.ops.smoothing import Edge, gaussian


@pytest.mark.parametrize("edge", ["nearest", "reflect"])
@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (5, 9), (64, 700), (301, 237)])
def test_the_numbers_are_scipys(shape: tuple[int, int], edge: Edge) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 300
    for sigma in (0.5, 2.3, 33.3):
        wanted = gaussian_filter(values.numpy(), sigma, mode=edge)
        for threads in (1, 2):
            with kernel_threads(threads):
                made = gaussian(values, sigma, edge=edge).numpy()
            # SciPy's compiler may join a product and a sum, on some processors
            np.testing.assert_allclose(made, wanted, rtol=2e-7, atol=3e-5)


def test_the_plain_form_agrees() -> None:
    values = torch.randn(50, 70, generator=torch.Generator().manual_seed(2))
    made, plain = (gaussian(values.T, 3.0, impl=impl) for impl in ("cpu", "plain"))
    torch.testing.assert_close(made, plain, rtol=1e-6, atol=1e-6)
