"""Launches of CUDA kernels in numba's simulator, for machines without a card: its module `cuda`, with launches of our own.

numba's own launch starts a thread of Python for each thread of each block and asks all of them, over and over, whether they wait.
Here threads that share nothing run one after the other, and those of a block wait for one another at a barrier.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from torch import Tensor


def launch(
    function: Callable[..., None], grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], *, shares: bool
) -> None:
    """Run a kernel's function for every thread. shares: whether threads of a block share memory. Raises what one of them raises,
    IndexError for places that are negative, which on a card are memory of somebody else, and RuntimeError where a thread ends
    before a barrier that others of its block wait at, where a card may wait forever."""
    simulator: Any = importlib.import_module("numba.cuda.simulator.kernel")
    whole = [(*sizes, 1, 1)[:3] for sizes in (grid, block)]
    blocks, threads = ([simulator.Dim3(*place) for place in np.ndindex(*sizes)] for sizes in whole)
    arrays = [arg.detach().numpy().view(_Checked) if isinstance(arg, Tensor) else arg for arg in args]
    module = simulator.FakeCUDAModule(*whole, 0)
    with simulator._push_kernel_context(module), simulator.swapped_cuda_module(function, module):
        run = _Together if shares else _one_after_the_other
        run(lambda: function(*arrays), blocks, threads)


class _Checked(np.ndarray):
    """An array that has no element -1."""

    def __getitem__(self, place: Any) -> Any:
        return super().__getitem__(_checked(place))

    def __setitem__(self, place: Any, value: Any) -> None:
        super().__setitem__(_checked(place), value)


def _checked(place: Any) -> Any:
    if min(place if isinstance(place, tuple) else (place,)) < 0:
        raise IndexError(f"{place} is outside the array")
    return place


def _one_after_the_other(work: Callable[[], None], blocks: Sequence[Any], threads: Sequence[Any]) -> None:
    here = cast(Any, threading.current_thread())
    with np.errstate(over="ignore"):  # hashes wrap around
        for here.blockIdx in blocks:
            for here.threadIdx in threads:
                work()


class _Together:
    """A thread of Python for each thread of a block, used again for the next block."""

    def __init__(self, work: Callable[[], None], blocks: Sequence[Any], threads: Sequence[Any]) -> None:
        self._work, self._blocks, self._count = work, blocks, len(threads)
        self._errors: list[BaseException] = []
        self._changed = threading.Condition()
        self._in_block, self._waiting, self._turn = len(threads), 0, 0
        self._votes, self._counted = 0, 0  # at this barrier, and at the last one
        self._block_ends = threading.Barrier(len(threads), action=self._begin)
        running = [_Thread(self, place) for place in threads]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def run(self, thread: _Thread) -> None:
        """All blocks, as one of their threads."""
        try:
            with np.errstate(over="ignore"):
                for thread.blockIdx in self._blocks:
                    self._work()
                    self._leave()
                    self._block_ends.wait()
        except threading.BrokenBarrierError:
            return  # another thread has failed
        except BaseException as error:
            with self._changed:
                self._fail(error)

    def wait(self, vote: bool = False) -> int:
        """Until every thread of the block waits; how many of them voted."""
        with self._changed:
            self._waiting += 1
            self._votes += vote
            turn = self._turn
            self._release()
            self._changed.wait_for(lambda: self._turn != turn or self._errors)
            if self._errors:
                raise threading.BrokenBarrierError
            return self._counted

    def _leave(self) -> None:
        with self._changed:
            self._in_block -= 1
            self._release()

    def _release(self) -> None:
        if not self._waiting or self._waiting < self._in_block:
            return
        if self._in_block < self._count:
            self._fail(RuntimeError("a thread has left its block before a barrier of the others"))
            return
        self._waiting, self._turn = 0, self._turn + 1
        self._votes, self._counted = 0, self._votes
        self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        """End all threads; called with the condition held."""
        self._errors.append(error)
        self._block_ends.abort()
        self._changed.notify_all()

    def _begin(self) -> None:
        """Of the next block, when all have left the last one."""
        self._in_block = self._count


class _Thread(threading.Thread):
    """Has what the simulator asks the thread of the moment for."""

    def __init__(self, block: _Together, place: Any) -> None:
        super().__init__(daemon=True)
        self.blockIdx: Any = None
        self.threadIdx, self._block = place, block

    def run(self) -> None:
        self._block.run(self)

    def syncthreads(self) -> None:
        self._block.wait()

    def syncthreads_count(self, value: Any) -> int:
        return self._block.wait(bool(value))

    def syncthreads_or(self, value: Any) -> int:
        return int(self._block.wait(bool(value)) > 0)

    def syncthreads_and(self, value: Any) -> int:
        return int(self._block.wait(not value) == 0)
