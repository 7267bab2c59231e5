"""The thread behind the server's loop: what it runs, what it tells, what it lets go of."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import zmq

from backend.server.background import Background
from shared.errors import InvalidInput, RelievoError
from tests.support.backend_process import wait_for

PATIENCE_MS = 10_000


@pytest.fixture
def background() -> Iterator[Background]:
    context = zmq.Context()
    thread = Background(context, "test")
    yield thread
    thread.close()
    context.term()


def fail(error: Exception) -> None:
    raise error


def test_work_is_done_in_order_elsewhere_and_what_follows_here(background: Background) -> None:
    threads: list[tuple[int, int]] = []
    for number in range(3):
        background.do(
            lambda number=number: threads.append((number, threading.get_ident())),
            lambda error, number=number: threads.append((10 + number, threading.get_ident())),
        )
    while len(threads) < 6:
        assert background.socket.poll(PATIENCE_MS)
        background.run_finished()
    here = threading.get_ident()
    assert [number for number, _ in threads if number < 10] == [0, 1, 2]
    assert [number for number, _ in threads if number >= 10] == [10, 11, 12]
    assert all((thread == here) == (number >= 10) for number, thread in threads)


@pytest.mark.parametrize(
    ("error", "code"), [(InvalidInput("no"), "invalid_input"), (RecursionError("deep"), "internal")]
)
def test_errors_travel_and_the_thread_goes_on(background: Background, error: Exception, code: str) -> None:
    outcomes: list[RelievoError | None] = []
    background.do(lambda: fail(error), outcomes.append)
    background.do(lambda: None, outcomes.append)
    while len(outcomes) < 2:
        assert background.socket.poll(PATIENCE_MS)
        background.run_finished()
    assert outcomes[0] is not None
    assert outcomes[0].code == code
    assert outcomes[1] is None


def test_an_idle_thread_holds_no_array_of_the_last_job(background: Background) -> None:
    values = np.ones(1000)
    known, done = weakref.ref(values), []
    background.do(lambda values=values: values.sum(), lambda error, values=values: done.append(values.size))
    del values
    while not done:
        assert background.socket.poll(PATIENCE_MS)
        background.run_finished()
    wait_for(lambda: gc.collect() is not None and known() is None)  # without a second work, which would push it out


def test_closing_finishes_what_was_given() -> None:
    context = zmq.Context()
    thread = Background(context, "test")
    outcomes: list[RelievoError | None] = []
    for _ in range(50):
        thread.do(lambda: None, outcomes.append)
    thread.close()
    assert outcomes == [None] * 50
    context.term()
