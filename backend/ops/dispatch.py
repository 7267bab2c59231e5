"""Which implementation of an op runs: plain torch operations on any device, a numba twin on the CPU, or a CUDA twin.

Every op that has a twin takes `impl`: "auto" (the twin of the device that the tensors are on, else the plain form), "plain",
"cpu" or "cuda". RELIEVO_IMPL=plain makes "auto" mean "plain" everywhere: a compiler that is broken or missing slows a job down
and stops none. RELIEVO_IMPL=cuda takes the CUDA twins on the CPU, in numba's simulator: whole engines can be tried without a card.
Twins are imported inside the function that calls them, never at the top of an op's module: a machine without a working numba must
be able to import every op.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

log = logging.getLogger(__name__)

VARIABLE = "RELIEVO_IMPL"

Impl = Literal["auto", "plain", "cpu", "cuda"]
Implementation = Literal["plain", "cpu", "cuda"]

CPU_ONLY: dict[str, str] = {
    "terrain.drainage_cpu": (
        "One heap over the whole map decides the parent of each cell; no form that goes over all cells at once grows the same tree."
        " Without a compiler it is a Python loop on the host."
    ),
    "terrain.depressions_cpu": (
        "Channels are cut one after the other, each through what the ones before have left. Without a compiler that is a Python"
        " loop on the host; filling has a vectorised form."
    ),
}
"""Kernel modules (dotted, below backend.ops) without a plain torch form for every device, each with the reason why. They still
run without a compiler."""


def choose(
    impl: Impl, device: torch.device | str = "cpu", *, cuda: bool = False, compiled: bool = True
) -> Implementation:
    """The implementation to run for tensors on `device`, of an op with a CPU twin and, where `cuda`, a CUDA twin.

    compiled: whether the CPU twin needs numba; one that calls a library (SciPy) runs where the compiler does not. An op
    that works on the host whatever the tensors' device (CPU_ONLY) asks for "cpu" and moves the tensors itself.
    Raises ValueError for a twin that is asked for by name and cannot take tensors of this device.
    """
    kind = device.type if isinstance(device, torch.device) else torch.device(device).type
    if impl == "plain":
        return "plain"
    if impl in ("cpu", "cuda"):
        simulated = impl == "cuda" and kind == "cpu" and _simulates_cuda()
        if (kind != impl and not simulated) or (impl == "cuda" and not cuda):
            raise ValueError(f"impl={impl!r} cannot run on tensors of the device {kind!r}")
        return impl
    if impl != "auto":
        raise ValueError(f'impl is {impl!r}; it must be "auto", "plain", "cpu" or "cuda"')
    if plain_only():
        return "plain"
    if cuda and kind == "cpu" and os.environ.get(VARIABLE) == "cuda" and _simulates_cuda():
        return "cuda"
    if kind == "cpu":
        return "cpu" if not compiled or compiler_works() else "plain"
    return "cuda" if kind == "cuda" and cuda and cuda_kernels_work() else "plain"


def on_host(impl: Impl) -> Impl:
    """What an op asks for in a part that runs on the host whatever the tensors' device: "cuda" names no twin of it."""
    return "auto" if impl == "cuda" else impl


def plain_only() -> bool:
    """Whether RELIEVO_IMPL=plain is set. Any other value but "", "auto" and "cuda" is refused with ValueError."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", "auto", "plain", "cuda"):
        raise ValueError(f'{VARIABLE} is {wanted!r}; it must be "auto" or "plain"')
    return wanted == "plain"


@functools.cache
def compiler_works() -> bool:
    """Whether numba can be imported and compiles a function; where not, a warning is logged once."""
    try:
        import numba

        @numba.njit(cache=True)  # from the second process on this loads in milliseconds
        def increment(x):
            return x + 1

        return increment(1) == 2
    except Exception as error:  # whatever a broken LLVM raises: the plain form runs instead, and the log says why
        log.warning("numba does not work here (%s): everything runs without compiled kernels, which is slower.", error)
        return False


class KernelFailed(Exception):
    """A CUDA kernel that could not be compiled or linked here. backend.runtime.compute goes on with the plain forms."""

    def __init__(self, name: str, cause: BaseException) -> None:
        super().__init__(f"{name}: {type(cause).__name__}: {cause}")


_without_cuda_kernels = False


def give_up_cuda_kernels(reason: object) -> None:
    """From now on this process runs the plain forms on its cards; the reason is logged, the first time."""
    global _without_cuda_kernels
    if not _without_cuda_kernels:
        log.warning(
            "CUDA kernels do not work here (%s): the card runs without compiled kernels, which is slower.", reason
        )
    _without_cuda_kernels = True


def cuda_kernels_work() -> bool:
    """Whether numba-cuda can be imported, runs a kernel on the card, and none has failed to compile; where not, a warning is logged
    once. AMD's cards, which PyTorch calls "cuda" too, run the plain forms."""
    return not _without_cuda_kernels and torch.version.hip is None and _first_cuda_kernel()


@functools.cache
def _first_cuda_kernel() -> bool:
    try:
        from backend.ops import cuda_check

        cuda_check.check()
        return True
    except Exception as error:  # whatever a driver, a compiler or a missing package raises
        give_up_cuda_kernels(error)
        return False


def _simulates_cuda() -> bool:
    """Whether CUDA kernels run in numba's simulator, which takes tensors on the CPU."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


@contextmanager
def kernel_threads(count: int) -> Iterator[None]:
    """At most `count` threads for compiled kernels, as before afterwards; nothing where no kernel is in use."""
    if plain_only() or not compiler_works():
        yield
        return
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(max(1, min(count, numba.config.NUMBA_NUM_THREADS)))  # pyright: ignore[reportAttributeAccessIssue, reportPrivateImportUsage]
    try:
        yield
    finally:
        numba.set_num_threads(before)
