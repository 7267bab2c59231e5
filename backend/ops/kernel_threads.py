"""Spreads a compiled kernel over threads: pieces of its outermost loop, each a call that holds no lock of Python's.

For kernels that run for milliseconds. numba's own parallel=True takes longer to compile than most kernels do: it makes a
function of each loop, which is optimised by itself, in its wrapper, and in the kernel. What is called thousands of times for less
(the texels' accumulation, bending, the alignment's sums) has it all the same, as a thin loop around a function that is compiled
by itself: handing a call over to Python's threads costs about 0.1 ms, numba's loop a tenth of that.

What a kernel computes for a number must depend on that number alone, so that no byte depends on the number of threads. That
number is numba's (numba.set_num_threads) either way.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba

PIECES_PER_THREAD = 2  # more than one, so that nobody waits long for a thread that the system has set aside


def run_in_threads(kernel: Callable[..., Any], count: int, *args: Any, pieces: int = 0) -> list[Any]:
    """kernel(first, last, *args) for consecutive pieces that make up range(count); what each returned, in order.

    kernel: compiled with nogil=True; first == last must do no harm. pieces: how many at most, 0 for a few per thread. Raises
    what a piece raises, and KeyboardInterrupt, once no other piece is running.
    """
    if count <= 0:
        return []
    threads = min(numba.get_num_threads(), count)
    if threads == 1:
        return [kernel(0, count, *args)]
    kernel(0, 0, *args)  # compiles or loads it, if it must be, on the caller's thread, which signals reach
    pieces = min(pieces or threads * PIECES_PER_THREAD, count)
    bounds = [count * piece // pieces for piece in range(pieces + 1)]
    results: list[Any] = [None] * pieces
    turns = itertools.count()  # next() is one step of the interpreter: no piece is taken twice

    def work() -> None:
        while (piece := next(turns)) < pieces:
            results[piece] = kernel(bounds[piece], bounds[piece + 1], *args)

    helpers = [_pool().submit(work) for _ in range(min(threads, pieces) - 1)]
    try:
        work()
    finally:
        while next(turns) < pieces:  # after an exception nobody begins another piece
            pass
        errors = [helper.exception() for helper in helpers]
    for error in errors:
        if error is not None:
            raise error
    return results


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(numba.config.NUMBA_NUM_THREADS, thread_name_prefix="kernels")  # pyright: ignore[reportPrivateImportUsage, reportAttributeAccessIssue]
