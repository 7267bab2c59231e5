"""What the backend survives: killed workers, its own death in mid-job, a full disk, an unreadable past, a parent that
is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from backend.server.job import Job
from backend.server.service import MAX_LISTED_JOBS
from shared.arrays import height_map
from shared.jobs import JobState
from shared.messages import Cancel, Fetch, Goodbye, Query, Release, Result, Shutdown, Status, Submit
from tests.support.backend_process import ROOT, BackendProcess, Peer, refusal, wait_for


def wait_running(client: Peer, job: str) -> None:
    wait_for(lambda: client.status(job)["state"] == "running")


def wait_succeeded(client: Peer, job: str) -> None:
    wait_for(lambda: client.status(job)["state"] == "succeeded")


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.mark.parametrize(
    ("ending", "code", "word"),
    [
        ("kill", "worker_died", "out of memory"), ("exit", "worker_died", "exit code 3"),
        ("memory", "out_of_memory", "memory"),
        ("error", "internal", "told to fail"), ("bad-output", "internal", "float64"),
    ],
)  # fmt: skip
def test_a_job_that_ends_badly_says_how_and_the_queue_goes_on(peer: Peer, ending: str, code: str, word: str) -> None:
    bad, good = peer.submit(ending=ending), peer.submit()
    finished = peer.finished(bad)
    assert finished.state == "failed"
    assert finished.error is not None
    assert finished.error["code"] == code
    assert word in finished.error["message"]
    assert refusal(peer.ask(Fetch(job=bad))).code == code, "the error waits for those who ask later"
    assert isinstance(peer.result(good), Result)


@linux_only
def test_kill_9_of_a_worker_in_mid_job(backend: BackendProcess, peer: Peer) -> None:
    job = peer.submit(steps=1000, step_s=0.01)
    peer.wait_running(job, done=3)
    for pid in backend.worker_pids():
        os.kill(pid, signal.SIGKILL)
    finished = peer.finished(job)
    assert finished.error is not None
    assert finished.error["code"] == "worker_died"
    assert finished.error["hint"]
    assert isinstance(peer.result(peer.submit()), Result)


@linux_only
def test_kill_9_of_the_server_in_mid_job_loses_nothing(tmp_path: Path) -> None:
    owner = str(uuid.uuid4())
    height = height_map(np.arange(12.0).reshape(3, 4), 10.0)
    with BackendProcess(tmp_path) as first:
        client = first.client(owner)
        done = client.submit(arrays={"height": (height,)})
        client.finished(done)
        running = client.submit(arrays={"height": (height,)}, steps=40, step_s=0.05)
        waiting = [client.submit(arrays={"height": (height,)}, seed=n) for n in range(2)]
        client.wait_running(running, done=3)
        workers = first.worker_pids()
        session = first.endpoint.session
        first.kill()
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
        client.close()
    with BackendProcess(tmp_path) as second:
        client = second.client(owner)
        assert second.endpoint.session != session, "a client sees the restart"
        reply = client.ask(Query())
        assert isinstance(reply, Status)
        assert {job["job"] for job in reply.jobs} == {done, running, *waiting}
        for job in (done, running, *waiting):
            wait_succeeded(client, job)
            result = client.ask(Fetch(job=job))
            np.testing.assert_array_equal(result.arrays["height"][0].values, height.values)  # type: ignore[attr-defined]
        client.close()


@linux_only
def test_a_job_that_takes_the_server_down_twice_is_not_tried_a_third_time(tmp_path: Path) -> None:
    owner, job = str(uuid.uuid4()), ""
    for _ in range(2):
        with BackendProcess(tmp_path) as backend:
            client = backend.client(owner)
            job = job or client.submit(steps=1000, step_s=0.05)
            wait_running(client, job)
            backend.kill()
            client.close()
    with BackendProcess(tmp_path) as backend:
        client = backend.client(owner)
        status = client.status(job)
        assert status["state"] == "failed"
        assert status["error"]["code"] == "worker_died"
        client.close()


def test_shutdown_keeps_what_waits_and_what_runs(tmp_path: Path) -> None:
    owner = str(uuid.uuid4())
    with BackendProcess(tmp_path) as first:
        client = first.client(owner)
        jobs = [client.submit(steps=20, step_s=0.05) for _ in range(2)]
        client.wait_running(jobs[0])
        assert isinstance(client.ask(Shutdown()), Goodbye)
        assert first.wait() == 0
        assert not (tmp_path / "endpoint.json").exists()
        client.close()
    with BackendProcess(tmp_path) as second:
        client = second.client(owner)
        for job in jobs:
            wait_succeeded(client, job)
        client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    with BackendProcess(tmp_path) as backend:
        assert backend.endpoint.pid == backend.popen.pid
        backend.popen.send_signal(number)
        assert backend.wait() == 0
    assert not (tmp_path / "endpoint.json").exists()
    assert "shut down cleanly" in (tmp_path / "backend.log").read_text()


def test_a_signal_in_the_middle_of_a_turn_is_not_lost(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys\n"
        "from backend.server import server\n"
        "is_done = server.Server._is_done\n"
        "def interrupted(self, now):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return is_done(self, now)\n"
        "server.Server._is_done = interrupted\n"
        "sys.exit(server.serve(state_dir=pathlib.Path(sys.argv[1])))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0
    assert "shut down cleanly" in (tmp_path / "backend.log").read_text()


def test_two_servers_do_not_share_a_folder(backend: BackendProcess) -> None:
    second = BackendProcess(backend.state_dir)
    assert second.wait() == 1
    assert second.output().startswith("backend_unavailable: Another backend already uses the folder")
    assert backend.endpoint.pid == backend.popen.pid, "the first one's connection file is untouched"


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = BackendProcess(tmp_path / "file" / "state")
    assert process.wait() == 1
    assert process.output().startswith("backend_unavailable: The folder")


def test_a_broken_module_of_algorithms_is_told(tmp_path: Path) -> None:
    process = BackendProcess(tmp_path, wrapper=["env", "RELIEVO_EXTRA_ALGORITHMS=no_such_module"])
    assert process.wait() == 1
    assert "no_such_module" in process.output()


def test_a_port_in_use_is_told(backend: BackendProcess, tmp_path: Path) -> None:
    port = int(backend.endpoint.address.rpartition(":")[2])
    second = BackendProcess(tmp_path, port=port)
    assert second.wait() == 1
    assert second.output().startswith(f"address_in_use: Port {port} on 127.0.0.1 is in use.")


def test_a_device_that_is_missing_fails_jobs_with_the_reason(tmp_path: Path) -> None:
    with BackendProcess(tmp_path, devices=["cuda:9"]) as backend:
        client = backend.client()
        job = client.submit()
        finished = client.finished(job)
        assert finished.error is not None
        assert finished.error["code"] == "worker_died"
        assert "cuda:9" in finished.error["message"]
        result = client.result(client.submit(host=True))
        assert result.recipe["device"] == "cpu", "what runs on the CPU alone goes on there"  # type: ignore[attr-defined]
        client.close()


def test_a_name_of_no_device_is_refused_at_the_start(tmp_path: Path) -> None:
    process = BackendProcess(tmp_path, devices=["banana"])
    assert process.wait() == 1
    assert process.output().startswith("invalid_parameter: There is no device 'banana'.")


@linux_only
def test_kill_9_of_every_worker_again_and_again(backend: BackendProcess, peer: Peer) -> None:
    """Each death fails the job that ran and no other."""
    waiting = [peer.submit(steps=2) for _ in range(2)]
    for _ in range(3):
        job = peer.submit(steps=1000, step_s=0.01)
        peer.wait_running(job)
        for pid in backend.worker_pids():
            os.kill(pid, signal.SIGKILL)
        assert peer.finished(job).error["code"] == "worker_died"  # type: ignore[index]
    for job in waiting:
        assert isinstance(peer.result(job), Result)


def test_a_full_disk_is_told_and_nothing_is_half_kept(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for the disk: writes past it fail in the same place, and it takes no privilege."""
    pytest.importorskip("resource", reason="no file size limits on this system")
    limit = [
        sys.executable,
        "-c",
        "import resource, signal, subprocess, sys, os\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))\n"
        "os.execv(sys.argv[1], sys.argv[1:])",
    ]
    with BackendProcess(tmp_path, wrapper=limit) as backend:
        client = backend.client()
        big = height_map(np.ones((1024, 1024)), 10.0)
        small = height_map(np.ones((256, 256)), 10.0)
        failure = refusal(client.ask(Submit(job=str(uuid.uuid4()), algorithm="probe", arrays={"height": (big,)})))
        assert failure.code == "storage_full"
        assert failure.hint
        assert list((tmp_path / "jobs").iterdir()) == []
        assert list((tmp_path / "incoming").iterdir()) == []
        assert isinstance(client.result(client.submit(arrays={"height": (small,)})), Result), (
            "a small one still has room"
        )
        client.close()


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 8 MiB, where mounting one is possible."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, check=False
    ).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@linux_only
def test_a_disk_that_fills_up_while_computing(small_disk: Path) -> None:
    with BackendProcess(small_disk / "state") as backend:
        client = backend.client()
        big = height_map(np.ones((1024, 1200)), 10.0)  # 4.7 MiB: the input fits, the output beside it does not
        job = client.submit(arrays={"height": (big,)})
        finished = client.finished(job)
        assert finished.error is not None
        assert finished.error["code"] == "storage_full"
        assert isinstance(client.result(client.submit()), Result), "its input is gone, so that there is room again"
        client.close()


def fill(path: Path) -> None:
    """Until the disk takes not one block more."""
    with path.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(4096)):
            pass


@linux_only
def test_it_starts_on_a_full_disk(small_disk: Path) -> None:
    """So that results can be fetched and released, which makes room again."""
    owner = str(uuid.uuid4())
    height = height_map(np.ones((512, 512)), 10.0)
    with BackendProcess(small_disk / "state") as backend:
        client = backend.client(owner)
        job = client.submit(arrays={"height": (height,)})
        client.result(job)
        client.close()
    fill(small_disk / "filler")
    with BackendProcess(small_disk / "state") as backend:
        client = backend.client(owner)
        np.testing.assert_array_equal(client.ask(Fetch(job=job)).arrays["height"][0].values, height.values)  # type: ignore[attr-defined]
        refused = Submit(job=str(uuid.uuid4()), algorithm="probe", arrays={"height": (height,)})
        assert refusal(client.ask(refused)).code == "storage_full"
        client.ask(Release(job=job))
        (small_disk / "filler").unlink()
        assert isinstance(client.result(client.submit(arrays={"height": (height,)})), Result)
        client.close()


def test_an_unreadable_job_does_not_stop_the_others(tmp_path: Path) -> None:
    for name, text in (("broken", "{"), (str(uuid.uuid4()), json.dumps({"state": "queued"}))):
        folder = tmp_path / "jobs" / name
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(text)
    with BackendProcess(tmp_path) as backend:
        client = backend.client()
        assert isinstance(client.result(client.submit()), Result)
        client.close()
    assert "cannot be read" in (tmp_path / "backend.log").read_text()


def test_a_result_that_the_last_backend_did_not_hear_of_is_kept(tmp_path: Path) -> None:
    """Its worker had stored it when the end came: on disk the job runs still, and its outputs are there."""
    owner = str(uuid.uuid4())
    jobs = []
    with BackendProcess(tmp_path) as backend:
        client = backend.client(owner)
        for _ in range(3):
            jobs.append(client.submit())
            client.result(jobs[-1])
        client.close()
    states = ("running", "cancelling", "queued")  # the last as an interrupted attempt that is made again
    for job, state in zip(jobs, states, strict=True):
        path = tmp_path / "jobs" / job / "job.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"state": state}))
        inputs = path.parent / "inputs"
        inputs.mkdir()
        (inputs / "arrays.json").write_text('{"arrays": []}')
    with BackendProcess(tmp_path) as backend:
        client = backend.client(owner)
        for job in jobs:
            wait_succeeded(client, job)
            assert isinstance(client.ask(Fetch(job=job)), Result)
        client.close()


def test_a_long_past_fits_into_an_answer(tmp_path: Path) -> None:
    """A client that never releases its jobs must still be able to ask how they stand: a header has its limit."""
    owner, now = str(uuid.uuid4()), time.time()
    error = {"code": "internal", "message": "x" * 1000, "hint": "y" * 1000, "field": ""}
    for number in range(MAX_LISTED_JOBS + 300):
        job = Job(id=str(uuid.uuid4()), owner=owner, algorithm="probe", state=JobState.FAILED, error=error)
        job.submitted_at = job.finished_at = now - 1000 + number
        folder = tmp_path / "jobs" / job.id
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(json.dumps(job.to_json()))
    with BackendProcess(tmp_path) as backend:
        client = backend.client(owner)
        reply = client.ask(Query())
        assert isinstance(reply, Status)
        assert len(reply.jobs) == MAX_LISTED_JOBS
        assert reply.jobs[-1]["submitted_at"] == now - 1000 + MAX_LISTED_JOBS + 299, "the newest are listed"
        client.close()


def test_it_ends_when_nobody_needs_it(tmp_path: Path) -> None:
    with BackendProcess(tmp_path, idle_exit_s=1.5) as backend:
        client = backend.client()
        time.sleep(2.0)
        assert backend.popen.poll() is None, "a connected client that is silent is still there"
        client.close()
        assert backend.wait() == 0


def test_it_ends_with_its_parent_but_not_before_jobs_and_clients(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=ROOT)
    try:
        with BackendProcess(tmp_path, parent_pid=parent.pid) as backend:
            client = backend.client()
            job = client.submit(steps=20, step_s=0.05)
            client.wait_running(job)
            parent.kill()
            client.finished(job)
            time.sleep(0.6)
            assert backend.popen.poll() is None, "a second Blender that is connected keeps it"
            second = client.submit(steps=20, step_s=0.05)
            client.close()
            assert backend.wait() == 0
    finally:
        parent.kill()
        parent.wait()
        assert parent.stdin is not None
        parent.stdin.close()
    for name in (job, second):
        assert json.loads((tmp_path / "jobs" / name / "job.json").read_text())["state"] == "succeeded"


def test_old_results_are_removed(tmp_path: Path) -> None:
    owner = str(uuid.uuid4())
    with BackendProcess(tmp_path) as backend:
        client = backend.client(owner)
        job = client.submit()
        client.result(job)
        client.close()
    with BackendProcess(tmp_path, max_age_s=0.0) as backend:
        client = backend.client(owner)
        wait_for(lambda: client.ask(Query()).jobs == [])  # type: ignore[attr-defined]
        assert not (tmp_path / "jobs" / job).exists()
        client.close()


@linux_only
def test_cancel_is_answered_while_the_worker_starts(tmp_path: Path) -> None:
    with BackendProcess(tmp_path) as backend:
        client = backend.client()
        job = client.submit()
        client.ask(Cancel(job=job))
        assert client.finished(job).state in ("cancelled", "succeeded")
        client.close()
