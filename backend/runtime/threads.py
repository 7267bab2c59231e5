"""How many threads PyTorch and the compiled kernels use: set for the length of one job, and put back. Nothing else sets them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from backend.ops.dispatch import kernel_threads


@contextmanager
def using(count: int) -> Iterator[None]:
    """`count` threads for PyTorch's operations (its OpenMP and MKL) and for the compiled kernels, as before afterwards."""
    with torch_threads(count), kernel_threads(count):
        yield


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """`count` threads for PyTorch's operations, as before afterwards; the compiled kernels keep theirs."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
