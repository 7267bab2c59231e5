"""The kernel that tells whether kernels run on this machine's cards: see backend.ops.dispatch.cuda_kernels_work."""

from __future__ import annotations

import torch

from backend.ops.cuda_kernels import SIMULATED, cuda, kernel


def check() -> None:
    """Launches a small kernel. Raises whatever goes wrong, RuntimeError where the numbers are not right."""
    numbers = torch.zeros(100, device="cpu" if SIMULATED else "cuda")
    _count.launch(len(numbers), numbers)
    if numbers.tolist() != list(range(1, 101)):
        raise RuntimeError("a kernel has written wrong numbers")


@kernel
def _count(numbers):
    place = cuda.grid(1)
    if place < numbers.size:
        numbers[place] = place + 1
