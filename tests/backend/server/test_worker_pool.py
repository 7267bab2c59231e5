"""The worker processes as the server sees them: connections of others, starts that fail, logs, kills."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from backend.server import worker_pool
from backend.server.worker_pool import MAX_START_FAILURES, Died, WorkerPool
from tests.support.backend_process import PATIENCE_S, wait_for


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[WorkerPool]:
    context = zmq.Context()
    made = WorkerPool(context, tmp_path)
    yield made
    made.close()
    context.destroy(linger=0)


def failed_starts(pool: WorkerPool, devices: list[str]) -> dict[str, list[Died]]:
    """What is reported of each device until each has failed as often as it takes; the clock is ours."""
    now, deaths = 0.0, {device: [] for device in devices}
    patience = time.monotonic() + PATIENCE_S
    while min(map(len, deaths.values())) < MAX_START_FAILURES:
        assert time.monotonic() < patience, deaths
        now += worker_pool.LONGEST_PAUSE_S
        for died in pool.check(now):
            deaths[died.device].append(died)
        time.sleep(0.01)
    return deaths


@pytest.mark.parametrize(
    "head", [b"", b"[" * 100_000, b"{}", b"[1]", b'{"token": 3}', b'{"token": "\\ud800"}', b"\xff"]
)
def test_connections_without_the_token_are_ignored(pool: WorkerPool, head: bytes) -> None:
    with connected(pool, with_key=True) as stranger:
        stranger.send(head)
        assert pool.socket.poll(10_000)
        assert list(pool.receive()) == []
    assert pool.ready == {}


def test_without_the_key_nothing_arrives(pool: WorkerPool) -> None:
    with connected(pool, with_key=False) as stranger:
        stranger.send(b"{}")
        assert not pool.socket.poll(300)


def test_a_flood_is_taken_in_turns(pool: WorkerPool) -> None:
    """Two processes that send as fast as they can must not keep the server from its clients."""
    with connected(pool, with_key=True) as stranger:
        for _ in range(3 * worker_pool.MESSAGES_A_TURN):
            stranger.send(b"x")
        assert pool.socket.poll(10_000)
        assert list(pool.receive()) == []
        assert pool.socket.poll(1000), "the rest waits for the next turn"


@contextmanager
def connected(pool: WorkerPool, *, with_key: bool) -> Iterator[zmq.Socket]:
    """A socket of another process's kind, connected to the workers' door."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    if with_key:
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
        socket.curve_serverkey = pool.key.encode()
    socket.connect(pool.socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"))
    try:
        yield socket
    finally:
        context.destroy(linger=0)


def test_a_process_that_cannot_be_started_is_told_and_tried_again(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    pool.want("cpu")
    deaths = failed_starts(pool, ["cpu"])["cpu"]
    assert [died.failed for died in deaths] == [False, False, True]
    assert "cannot be started" in deaths[-1].reason
    assert deaths[-1].hint


def test_each_device_fails_by_itself(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU whose worker does not come up must not fail the jobs that the CPU's worker will take."""
    ends_badly = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    waits = [sys.executable, "-c", "input(); input()"]
    popen, devices = subprocess.Popen, iter(["waits"])

    def start(command: list[str], **options: object) -> subprocess.Popen:
        return popen(waits if next(devices, "") else ends_badly, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", start)
    pool.want("cpu")
    pool.want("cuda:0")
    assert list(pool.check(0.0)) == []
    deaths = failed_starts(pool, ["cuda:0"])["cuda:0"]
    assert [died.failed for died in deaths] == [False, False, True]
    assert deaths[0].reason.endswith("no such thing")


def test_a_device_that_is_not_there_fails_at_once_and_a_second_want_starts_no_second_worker(pool: WorkerPool) -> None:
    """A real worker process, which finds that the machine has no such device."""
    pool.want("cuda:77")
    pool.want("cuda:77")
    (died,) = wait_for(lambda: list(pool.check(0.0)))
    assert (died.device, died.was_ready, died.failed) == ("cuda:77", False, True)
    assert "This machine has no device 'cuda:77'" in died.reason


def test_a_killed_worker_is_told_once_it_is_gone(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = [sys.executable, "-c", "input(); input()"]
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: popen(waits, **options))
    pool.want("cpu")
    assert list(pool.check(0.0)) == []
    (worker,) = pool.pids
    pool.kill(worker)
    assert pool.is_killing
    assert worker not in pool.ready
    (died,) = wait_for(lambda: list(pool.check(0.0)))
    assert died.worker == worker
    assert not pool.is_killing


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    path.write_bytes(b"x" * 100_000 + b"\n" + "größer\n".encode())
    assert worker_pool._last_line(path) == "größer"
    assert "No such file" in worker_pool._last_line(tmp_path / "none")
