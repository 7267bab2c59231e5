"""Spreads a compiled kernel over threads: by Python's threads or by numba's.

run_in_threads hands pieces of the outermost loop to Python's threads, each a call that does not hold the interpreter's lock. For
kernels that run for many milliseconds: a call costs about 0.1 ms, and nothing is compiled but the kernel itself.

parallel_loop is for what is called hundreds or thousands of times: numba's threads take a call in a hundredth of a millisecond.
numba makes a function of each loop, optimised by itself, in its wrapper and in the kernel, which takes longer to compile than
most kernels do; so the decorated function is a thin loop around a function that is compiled by itself.

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
import numpy as np
from numba import njit
from numba.core.cpu_options import ParallelOptions

# an object, not a dict: numba empties the dict that it is given as it compiles, and the next signature would get all of it
_PRANGE_ALONE = ParallelOptions({
    "prange": True, "comprehension": False, "reduction": False, "inplace_binop": False, "setitem": False, "numpy": False,
    "stencil": False, "fusion": False,
})  # fmt: skip
PIECES_PER_THREAD = 2  # more than one, so that nobody waits long for a thread that the system has set aside


def parallel_loop(driver: Callable[..., Any]) -> Any:
    """Compile a function whose loops over numba.prange run on numba's threads; everything else in it stays on the caller's.

    Without that restriction numba makes a parallel loop of each array expression and each np.zeros as well, which costs more
    in a small kernel than it gains, compile time included.
    """
    return njit(cache=True, error_model="numpy", parallel=_PRANGE_ALONE)(driver)  # pyright: ignore[reportArgumentType]


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


def copied(values: np.ndarray, dtype: type | None = None) -> np.ndarray:
    """A copy of an array, made by several threads: most of the time of a large one goes into its new pages, which are cleared by
    whoever touches them first."""
    made = np.empty(values.shape, dtype or values.dtype)
    run_in_threads(lambda first, last: np.copyto(made[first:last], values[first:last]), len(values))
    return made


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(numba.config.NUMBA_NUM_THREADS, thread_name_prefix="kernels")  # pyright: ignore[reportPrivateImportUsage, reportAttributeAccessIssue]
