"""Kernels for NVIDIA cards in numba-cuda, launched on PyTorch's tensors and streams; numba's simulator runs them without a card.

A kernel is a Python function of one thread, as in every x_cuda.py: `row, column = cuda.grid(2)`, a test against the shape, the
work. It is compiled when it is first launched, for the types that it gets, and kept on disk as the CPU's kernels are. Only
x_cuda.py modules import this one; which op has a CUDA twin and whether it may run is decided in backend.ops.dispatch.

The simulator (NUMBA_ENABLE_CUDASIM=1, set before numba is imported; the tests set it where there is no driver) takes tensors on
the CPU: a thousand times slower than plain torch, and right. It runs more of Python than the compiler takes: in kernels min and
max have two arguments. Products and sums are fused on a card, so that results differ from the CPU's in the last place.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from numba import config
from numba import cuda as numba_cuda
from numba.cuda.cudadrv.driver import CudaAPIError
from numba.extending import overload
from torch import Tensor

from backend.ops import cuda_simulator
from backend.ops.dispatch import KernelFailed

cuda: Any = numba_cuda  # type checkers take its functions for classes
SIMULATED = bool(config.ENABLE_CUDASIM)  # pyright: ignore[reportAttributeAccessIssue]
BLOCKS = {1: (256,), 2: (32, 8), 3: (32, 4, 2)}  # threads of a block, the last axis of the grid (columns) first
SIMULATED_BLOCKS = {1: (32,), 2: (8, 4), 3: (8, 2, 2)}  # Python's threads are costly to start


# numba's own min and max of two numbers take any number of them, and such a function does not compile for a card (numba 0.68)


@overload(min, target="cuda")
def _smaller(a, b):  # pyright: ignore[reportUnusedFunction]  # registered
    return lambda a, b: b if b < a else a


@overload(max, target="cuda")
def _larger(a, b):  # pyright: ignore[reportUnusedFunction]  # registered
    return lambda a, b: b if b > a else a


def device_function(function: Callable[..., Any]) -> Any:
    """What kernels and other device functions can call; it may return values."""
    return cuda.jit(device=True)(function)


def kernel(function: Callable[..., None]) -> Kernel:
    """Decorator of a kernel; it returns nothing and writes to its tensors."""
    return Kernel(function)


class Kernel:
    """One kernel, compiled at its first launch."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.function, self.module, self.name = function, function.__module__, function.__name__
        self.__doc__ = function.__doc__
        self._compiled: Any = None if SIMULATED else cuda.jit(cache=True)(function)

    def launch(self, threads: int | tuple[int, ...], *args: Any, block: tuple[int, ...] | None = None) -> None:
        """Run it for at least so many threads: a number, or numbers in the order of a tensor's shape, whose last is the x axis.

        A kernel over an image of [rows, columns] starts with `column, row = cuda.grid(2)`, so that threads side by side have
        columns side by side, and tests its place against the shape, for the grid is whole blocks. block: threads of a block along
        x, y, z, for kernels that share memory. args: numbers, and tensors on one device whose strides are not negative; memory that
        PyTorch frees is safe, since its next owner works on the same stream. Nothing waits for the card. Raises KernelFailed where
        it cannot be compiled, and RuntimeError for what the driver says.
        """
        shape = (threads,) if isinstance(threads, int) else tuple(reversed(threads))
        if min(shape) <= 0:
            return
        shares, block = block is not None, block or (SIMULATED_BLOCKS if SIMULATED else BLOCKS)[len(shape)]
        grid = tuple(math.ceil(count / size) for count, size in zip(shape, block, strict=True))
        if SIMULATED:
            cuda_simulator.launch(self.function, grid, block, args, shares=shares)
            return
        device = next(arg.device for arg in args if isinstance(arg, Tensor))
        with cuda.gpus[device.index or 0] if torch.cuda.device_count() > 1 else nullcontext():
            launch = self._compiled[grid, block, _stream(torch.cuda.current_stream(device).cuda_stream)]
            try:
                launch(*(arg.detach() if isinstance(arg, Tensor) else arg for arg in args))
            except CudaAPIError as error:  # the driver's word on an earlier launch, or on this one
                raise RuntimeError(f"CUDA error: {error}") from error
            except Exception as error:
                raise KernelFailed(self.name, error) from error


@functools.lru_cache(maxsize=16)
def _stream(handle: int) -> Any:
    """numba's object for one of PyTorch's streams; 0 is the default one of both."""
    return cuda.external_stream(handle) if handle else 0
