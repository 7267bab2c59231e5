"""Pieces of a loop on threads: each once, in order, on any number of threads; errors come out."""

from __future__ import annotations

import threading

import numba
import numpy as np
import pytest

from backend.ops.kernel_threads import run_in_threads


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest):
    before = numba.get_num_threads()
    numba.set_num_threads(min(request.param, numba.config.NUMBA_NUM_THREADS))
    yield request.param
    numba.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_every_number_is_taken_once_and_results_come_in_order(threads: int, count: int, pieces: int) -> None:
    taken = np.zeros(count, np.int64)

    def kernel(first: int, last: int, array: np.ndarray) -> tuple[int, int]:
        array[first:last] += 1
        return first, last

    results = run_in_threads(kernel, count, taken, pieces=pieces)
    assert (taken == 1).all()
    assert [first for first, _ in results] == [0, *(last for _, last in results[:-1])][: len(results)]
    assert not results or results[-1][1] == count
    assert not pieces or len(results) <= pieces


def test_an_error_comes_out_and_no_piece_is_begun_after_it(threads: int) -> None:
    begun = []

    def kernel(first: int, last: int) -> None:
        if last > first:
            begun.append(first)
            raise ValueError(f"piece {first}")

    with pytest.raises(ValueError, match="piece"):
        run_in_threads(kernel, 100)
    assert len(begun) <= threads


def test_the_caller_meets_a_kernel_first(threads: int) -> None:
    """It may have to be compiled, and only the main thread hears of signals meanwhile."""
    seen = []
    run_in_threads(lambda first, last: seen.append(threading.get_ident()), 10)
    assert seen[0] == threading.get_ident()
