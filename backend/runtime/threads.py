"""How many threads PyTorch and the compiled kernels use: set for the length of one job, and put back. Nothing else sets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch

from backend.ops.dispatch import kernel_threads

WAIT_S = 0.05

Item = TypeVar("Item")
Made = TypeVar("Made")


@contextmanager
def using(count: int) -> Iterator[None]:
    """`count` threads for PyTorch's operations (its OpenMP and MKL) and for the compiled kernels, as before afterwards."""
    with (
        kernel_threads(count),
        torch_threads(count),
    ):  # in this order: as numba begins it sets OpenMP's number, PyTorch's, too
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


def spread(
    make: Callable[[Item], Made], items: Sequence[Item], count: int, observe: Callable[[int, int], object]
) -> list[Made]:
    """make() of every item, `count` at a time, each on one thread, so that no byte depends on `count`.

    observe: called every WAIT_S at least with the items done and in all; what it or make() raises is raised when no other item is
    being made.
    """
    with using(1), ThreadPoolExecutor(max(1, count), thread_name_prefix="spread") as pool:
        futures: list[Future[Made]] = [pool.submit(_on_one_thread, make, item) for item in items]
        waiting = set(futures)
        try:
            while waiting:
                observe(len(items) - len(waiting), len(items))
                done, waiting = wait(waiting, timeout=WAIT_S, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        finally:
            for future in waiting:
                future.cancel()
    return [future.result() for future in futures]


@contextmanager
def beside(make: Callable[[], Made], count: int) -> Iterator[Callable[[], Made]]:
    """make() on a thread of its own while the caller goes on: for what keeps one thread busy for long. Yields what waits for it and
    returns what it made. Where `count`, the job's threads, is one it is made when that is called."""
    if count < 2:
        yield make
        return
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as pool:
        yield pool.submit(_on_one_thread, lambda _: make(), None).result


def _on_one_thread(make: Callable[[Item], Made], item: Item) -> Made:
    with using(1):
        return make(item)
