"""The server on a machine with a CUDA device: which worker computes what, and what the death of one does to the others."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shared.arrays import height_map
from shared.messages import Cancel, Ping, Pong, Result
from tests.support.backend_process import BackendProcess, Peer, wait_for

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

HILL = height_map(100 * np.add.outer(np.hanning(64), np.hanning(64)), 30.0)
NETWORKS = {"method": "gram", "feature_iterations": 2}  # of relief transfer; "auto" takes a GPU for them


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[BackendProcess]:
    with BackendProcess(tmp_path) as process:
        yield process


@pytest.fixture
def peer(backend: BackendProcess) -> Iterator[Peer]:
    client = backend.client()
    yield client
    client.close()


def recipe_of(peer: Peer, job: str) -> dict[str, Any]:
    result = peer.result(job)
    assert isinstance(result, Result), result
    return dict(result.recipe)


def device_of(peer: Peer, job: str) -> str:
    return recipe_of(peer, job)["device"]


def auto_devices(peer: Peer) -> dict[str, str]:
    pong = peer.ask(Ping())
    assert isinstance(pong, Pong)
    return dict(pong.auto_devices)


def test_only_a_job_that_wants_the_gpu_starts_its_worker(backend: BackendProcess, peer: Peer) -> None:
    reported = wait_for(lambda: auto_devices(peer))
    assert {reported[name] for name in ("noise", "morphology", "hydrology", "scan_texture")} == {"cpu"}
    assert device_of(peer, peer.submit("noise", width_px=64, height_px=64)) == "cpu"
    assert device_of(peer, peer.submit()) == "cpu"
    assert len(backend.worker_pids()) == 1
    assert device_of(peer, peer.submit(device="cuda")) == "cuda:0"
    assert len(backend.worker_pids()) == 2
    assert device_of(peer, peer.submit("noise", device="cuda:0", width_px=64, height_px=64)) == "cuda:0"
    assert device_of(peer, peer.submit("noise", width_px=64, height_px=64)) == "cpu"


def test_auto_takes_the_gpu_where_networks_compute(backend: BackendProcess, peer: Peer) -> None:
    exemplar = height_map(50 * np.random.default_rng(1).normal(size=(64, 64)), 30.0)
    arrays = {"height": (HILL,), "exemplar": (exemplar,)}
    assert device_of(peer, peer.submit("morphology", arrays, **NETWORKS)) == "cuda:0"
    assert device_of(peer, peer.submit("morphology", arrays, device="cpu", **NETWORKS)) == "cpu"


def test_a_gpu_that_the_algorithm_does_not_use_is_told(backend: BackendProcess, peer: Peer) -> None:
    job = peer.submit(device="cuda", host=True)
    said = "Probe does not use cuda:0 for this job; it runs on the CPU."
    recipe = recipe_of(peer, job)
    assert (recipe["device"], recipe["device_note"]) == ("cpu", said)
    assert len(backend.worker_pids()) == 1


def test_jobs_of_two_devices_run_side_by_side(backend: BackendProcess, peer: Peer) -> None:
    slow = peer.submit(device="cuda", steps=1000, step_s=0.01)
    peer.wait_running(slow)
    assert device_of(peer, peer.submit()) == "cpu", "it does not wait for the GPU"
    assert peer.status(slow)["state"] == "running"


def test_kill_9_of_the_gpus_worker_leaves_the_cpus_job_alone(backend: BackendProcess, peer: Peer) -> None:
    on_cpu = peer.submit(steps=300, step_s=0.02)
    peer.wait_running(on_cpu)
    before = set(backend.worker_pids())
    on_gpu = peer.submit(device="cuda", steps=1000, step_s=0.01)
    peer.wait_running(on_gpu)
    (worker,) = set(backend.worker_pids()) - before
    os.kill(worker, signal.SIGKILL)
    error = peer.finished(on_gpu).error
    assert error is not None
    assert error["code"] == "worker_died"
    assert device_of(peer, on_cpu) == "cpu"
    assert device_of(peer, peer.submit(device="cuda")) == "cuda:0", "the worker is replaced"


@pytest.mark.parametrize(
    ("ending", "said"), [("card-lost", "cuda:0 failed ("), ("card-memory", "cuda:0 has too little")]
)
def test_a_job_whose_card_fails_goes_on_on_the_cpu_and_the_next_gets_the_card(
    backend: BackendProcess, peer: Peer, ending: str, said: str
) -> None:
    wait_for(lambda: auto_devices(peer))
    recipe = recipe_of(peer, peer.submit(device="cuda", ending=ending))
    assert recipe["device"] == "cpu"
    assert recipe["device_note"].startswith(said)
    assert recipe["device_note"].endswith("Probe runs on the CPU.")
    assert device_of(peer, peer.submit("noise", device="cuda:0", width_px=64, height_px=64)) == "cuda:0"


def test_a_limit_of_memory_that_is_too_small_leads_to_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELIEVO_DEVICE_MEMORY", "8M")
    with BackendProcess(tmp_path) as backend:
        peer = backend.client()
        recipe = recipe_of(peer, peer.submit("noise", device="cuda", width_px=4096, height_px=4096))
        said = "cuda:0 has too little free memory; Noise runs on the CPU."
        assert (recipe["device"], recipe["device_note"]) == ("cpu", said)
        peer.close()


def test_a_cancel_does_not_wait_for_what_the_card_was_given(backend: BackendProcess, peer: Peer) -> None:
    wait_for(lambda: auto_devices(peer))
    job = peer.submit("morphology", {"height": (HILL,)}, device="cuda", method="gram", feature_iterations=1000)
    peer.wait_running(job)
    time.sleep(3.0)
    began = time.monotonic()
    peer.ask(Cancel(job=job))
    assert peer.finished(job).state == "cancelled"
    assert time.monotonic() - began < 0.6, "250 ms, and the time that messages take"
    assert device_of(peer, peer.submit("noise", device="cuda:0", width_px=64, height_px=64)) == "cuda:0"


def test_a_named_device_computes_what_it_can_and_the_cpu_the_rest(tmp_path: Path) -> None:
    with BackendProcess(tmp_path, devices=["cuda"]) as backend:
        peer = backend.client()
        assert device_of(peer, peer.submit("noise", width_px=64, height_px=64)) == "cuda:0"
        assert device_of(peer, peer.submit("hydrology", {"height": (HILL,)}, steps=1)) == "cuda:0"
        assert device_of(peer, peer.submit(host=True)) == "cpu"
        peer.close()


def test_a_backend_for_the_cpu_alone_says_that_it_is(tmp_path: Path) -> None:
    with BackendProcess(tmp_path, devices=["cpu"]) as backend:
        peer = backend.client()
        job = peer.submit(device="cuda")
        said = "This backend was not started with the device cuda:0; it runs on the CPU."
        recipe = recipe_of(peer, job)
        assert (recipe["device"], recipe["device_note"]) == ("cpu", said)
        assert len(backend.worker_pids()) == 1
        peer.close()


def test_the_cpus_worker_takes_no_memory_of_the_gpu(backend: BackendProcess, peer: Peer) -> None:
    """It lists the devices; that must not make a context, which takes hundreds of MiB on each of them."""
    ask = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]

    def used_mib() -> int:
        return int(subprocess.run(ask, capture_output=True, text=True, check=True).stdout)

    wait_for(lambda: auto_devices(peer))
    device_of(peer, peer.submit("noise", width_px=64, height_px=64))
    with_cpu = used_mib()
    device_of(peer, peer.submit("noise", device="cuda", width_px=64, height_px=64))
    time.sleep(0.5)
    assert used_mib() > with_cpu + 100, "the GPU's worker does take some"
    for pid in backend.worker_pids():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: used_mib() <= with_cpu)
