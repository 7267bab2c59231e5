"""The end of a real backend: in good order when asked once, at once when asked twice, and never held up by what does not answer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from shared.arrays import height_map
from shared.messages import Cancel, Fetch, Query, Submit
from tests.support.backend_process import ROOT, BackendProcess, refusal, wait_for

HEIGHT = height_map(np.arange(12.0).reshape(3, 4), 10.0)
posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and modes")

_STUCK = """
import pathlib, sys, time
from backend.server import background, server, worker_pool
{patch}
sys.exit(server.serve(state_dir=pathlib.Path(sys.argv[1])))
"""
_WORKER_STAYS = """
import subprocess
def wait(self, timeout=None):
    raise subprocess.TimeoutExpired("worker", timeout)
worker_pool.subprocess.Popen.wait = wait
"""
_SWEEPER_STAYS = """
from shared.handoff import Handoff
Handoff.sweep = lambda self: time.sleep(1000)
"""
_LOOP_STAYS = """
import backend.server.stopping as stopping
stopping.LIMIT_S = 2.0
def is_done(self, now):
    if self._stopping.is_asked:
        return False
    time.sleep(0.01)
    if (pathlib.Path(sys.argv[1]) / "hang").exists():
        time.sleep(1000)
    return False
server.Server._is_done = is_done
"""


def serve(tmp_path: Path, patch: str) -> subprocess.Popen[bytes]:
    """A backend with something in it that does not answer, and a worker that is ready."""
    process = subprocess.Popen([sys.executable, "-c", _STUCK.format(patch=patch), str(tmp_path)], cwd=ROOT)
    log = tmp_path / "backend.log"
    wait_for(lambda: log.exists() and "is ready on" in log.read_text())
    return process


@pytest.mark.parametrize("patch", [_WORKER_STAYS, _SWEEPER_STAYS], ids=["worker", "sweeper"])
def test_what_does_not_answer_is_named_and_left_behind(tmp_path: Path, patch: str) -> None:
    process = serve(tmp_path, patch)
    began = time.monotonic()
    process.terminate()
    assert process.wait(20) == (1 if os.name != "nt" else process.returncode)
    assert time.monotonic() - began < 12
    text = (tmp_path / "backend.log").read_text()
    assert "while the backend ends" in text
    assert "left behind" in text
    assert not (tmp_path / "endpoint.json").exists()
    assert "most recent call first" in (tmp_path / "stacks.log").read_text()


@posix_only
def test_a_loop_that_hangs_is_broken_off_with_its_stacks(tmp_path: Path) -> None:
    process = serve(tmp_path, _LOOP_STAYS)
    (tmp_path / "hang").touch()
    time.sleep(0.6)
    process.terminate()
    assert process.wait(20) == 1
    assert "is_done" in (tmp_path / "stacks.log").read_text()


@posix_only
@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGINT)])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, numbers: tuple[int, int]) -> None:
    process = serve(tmp_path, _LOOP_STAYS.replace("2.0", "1000.0"))
    (tmp_path / "hang").touch()
    time.sleep(0.6)
    process.send_signal(numbers[0])
    time.sleep(0.7)
    process.send_signal(numbers[1])
    assert process.wait(5) == 128 + numbers[1]
    assert not (tmp_path / "endpoint.json").exists()
    assert "is_done" in (tmp_path / "stacks.log").read_text()


@posix_only
def test_a_signal_that_comes_twice_is_one_wish(tmp_path: Path) -> None:
    """As `timeout` sends it: to the process, then to its group."""
    with BackendProcess(tmp_path) as backend:
        assert backend.endpoint
        backend.popen.send_signal(signal.SIGINT)
        backend.popen.send_signal(signal.SIGTERM)
        assert backend.wait() == 0
    assert "shut down cleanly" in (tmp_path / "backend.log").read_text()
    assert not (tmp_path / "stacks.log").exists()


@posix_only
def test_stacks_on_request(tmp_path: Path) -> None:
    with BackendProcess(tmp_path) as backend:
        client = backend.client()
        assert client.ask(Query())  # its loop runs; the endpoint is written a moment before that
        backend.popen.send_signal(signal.SIGUSR1)
        wait_for(lambda: "_loop" in (tmp_path / "stacks.log").read_text())
        assert client.ask(Query())
        client.close()


@pytest.mark.parametrize("moment", ["cancel", "keep", "fetch", "store"])
def test_it_ends_in_the_midst_of_things(tmp_path: Path, moment: str) -> None:
    with BackendProcess(tmp_path) as backend:
        client = backend.client()
        client.join_handoff()
        large = height_map(np.ones((1024, 1024)), 10.0)
        job = client.submit(arrays={"height": (large,)}, steps=1 if moment == "fetch" else 400, step_s=0.01)
        if moment == "fetch":
            client.finished(job)
            client.send(Fetch(job=job, handoff=True))
        elif moment == "store":
            for _ in range(5):
                client.send(Submit(job=str(uuid.uuid4()), algorithm="probe", arrays={"height": (large,)}))
        else:
            client.wait_running(job)
            client.send(Cancel(job=job, keep=moment == "keep"))
        began = time.monotonic()
        assert backend.stop() == 0
        assert time.monotonic() - began < 10
        client.close()


@posix_only
def test_a_reader_that_reads_nothing_does_not_hold_it_up(tmp_path: Path) -> None:
    """The command line shows the log; a pipe that is full takes no more of it."""
    command = [sys.executable, "-m", "backend", "serve", "--state", str(tmp_path / "state")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: (tmp_path / "state" / "endpoint.json").exists())
        attached = BackendProcess.__new__(BackendProcess)
        attached.state_dir, attached.popen = tmp_path / "state", process
        client = attached.client()
        for _ in range(1500):  # each is a line of a hundred characters and more
            client.socket.send_multipart([b"no message"])
        assert client.ask(Query())
        client.close()
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@posix_only
def test_a_state_folder_that_is_deleted_ends_the_backend(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with BackendProcess(state) as backend:
        client = backend.client()
        shutil.rmtree(state)
        failure = refusal(client.ask(Submit(job=str(uuid.uuid4()), algorithm="probe", arrays={"height": (HEIGHT,)})))
        assert "was deleted" in failure.message
        assert backend.wait() == 1
        assert "was deleted or replaced" in backend.output()
        assert not state.exists(), "it is not made again"
        client.close()


@posix_only
def test_files_are_for_their_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    with BackendProcess(state, wrapper=["sh", "-c", 'umask 000; exec "$0" "$@"']) as backend:
        client = backend.client()
        client.result(client.submit(arrays={"height": (HEIGHT,)}))
        waiting = client.submit(arrays={"height": (HEIGHT,)}, steps=1000, step_s=0.1)
        client.wait_running(waiting)
        client.send(Submit(job=str(uuid.uuid4()), algorithm="probe", arrays={"height": (HEIGHT,)}))
        for path in [state, *state.rglob("*")]:
            mode = stat.S_IMODE(path.lstat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), path
        client.close()


@posix_only
def test_a_result_whose_bytes_have_changed_is_refused_and_the_others_come(tmp_path: Path) -> None:
    owner = str(uuid.uuid4())
    with BackendProcess(tmp_path) as backend:
        client = backend.client(owner)
        good, bad = (client.submit(arrays={"height": (HEIGHT,)}) for _ in range(2))
        for job in (good, bad):
            client.result(job)
        client.close()
    path = tmp_path / "jobs" / bad / "outputs" / "0.raw"
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(data)
    with BackendProcess(tmp_path) as backend:
        client = backend.client(owner)
        failure = refusal(client.ask(Fetch(job=bad)))
        assert "outputs/0.raw" in failure.message
        assert "SHA-256" in failure.message
        np.testing.assert_array_equal(client.ask(Fetch(job=good)).arrays["height"][0].values, HEIGHT.values)  # type: ignore[attr-defined]
        client.close()


def test_a_damaged_input_fails_its_job_and_the_worker_lives(tmp_path: Path) -> None:
    owner = str(uuid.uuid4())
    with BackendProcess(tmp_path) as backend:
        client = backend.client(owner)
        first = client.submit(arrays={"height": (HEIGHT,)}, steps=1000, step_s=0.1)
        client.wait_running(first)
        bad, odd, good = (client.submit(arrays={"height": (HEIGHT,)}) for _ in range(3))
        (tmp_path / "jobs" / bad / "inputs" / "0.raw").write_bytes(b"short")
        path = tmp_path / "jobs" / odd / "inputs" / "arrays.json"
        path.write_text(json.dumps({"arrays": [json.loads(path.read_text())["arrays"][0] | {"attributes": {}}]}))
        pids = backend.worker_pids() if sys.platform == "linux" else []
        client.ask(Cancel(job=first))
        finished = client.finished(bad)
        assert finished.error is not None
        assert "inputs/0.raw" in finished.error["message"]
        assert client.finished(odd).state == "failed"
        client.result(good)
        if sys.platform == "linux":
            assert len(backend.worker_pids()) == len(pids)
        client.close()
