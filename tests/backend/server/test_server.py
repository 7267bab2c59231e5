"""A real backend on a free port: the life of a job as a client sees it."""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.arrays import CLASS_MAP, Array, height_map
from shared.messages import (
    Accepted,
    Cancel,
    Failure,
    Fetch,
    Finished,
    Hello,
    Ping,
    Pong,
    Preview,
    Progress,
    Query,
    Release,
    Released,
    Result,
    Status,
    Submit,
    Welcome,
)
from shared.version import PROTOCOL, VERSION
from tests.support.backend_process import BackendProcess, Peer, refusal, wait_for
from tests.support.probe_algorithms import PROBE

HEIGHT = height_map(np.linspace(0, 900, 32 * 48).reshape(32, 48), 30.0, crs="EPSG:32632")


def test_welcome_says_who_is_there(backend: BackendProcess, peer: Peer) -> None:
    welcome = peer.hello()
    assert isinstance(welcome, Welcome)
    assert (welcome.protocol, welcome.backend_version) == (PROTOCOL, VERSION)
    assert welcome.session == backend.endpoint.session
    assert welcome.digests["probe"] == PROBE.digest
    assert welcome.limits["total_bytes"] > 2**30


def test_devices_are_known_once_a_worker_is_up(peer: Peer) -> None:
    def devices() -> list:
        pong = peer.ask(Ping())
        assert isinstance(pong, Pong)
        return pong.devices

    device = wait_for(devices)[-1]
    assert device["name"] == "cpu"
    assert device["memory_bytes"] > 2**28


def test_auto_devices_are_told_by_algorithm(backend: BackendProcess, peer: Peer) -> None:
    def reported() -> dict:
        pong = peer.ask(Ping())
        assert isinstance(pong, Pong)
        return dict(pong.auto_devices)

    devices = wait_for(reported)
    assert devices.keys() >= {"probe", "noise", "hydrology", "morphology", "scan_texture"}
    assert {devices[name] for name in ("probe", "noise", "hydrology", "morphology", "scan_texture")} == {"cpu"}
    welcome = peer.hello()
    assert isinstance(welcome, Welcome)
    assert welcome.auto_devices == devices
    if sys.platform == "linux" and not torch.cuda.is_available():
        assert len(backend.worker_pids()) == 1, "one worker for the CPU, and no second one"


def test_a_device_is_asked_for_by_name(peer: Peer) -> None:
    result = peer.result(peer.submit(device="cpu"))
    assert isinstance(result, Result)
    assert result.recipe["device"] == "cpu"
    error = peer.finished(peer.submit(device="cuda:77")).error
    assert error is not None
    assert (error["code"], error["field"]) == ("invalid_parameter", "device")
    assert "no device 'cuda:77'" in error["message"]
    failure = refusal(peer.ask(Submit(job=str(uuid.uuid4()), algorithm="probe", device="banana")))
    assert (failure.code, failure.field) == ("invalid_parameter", "device")
    assert isinstance(peer.result(peer.submit()), Result), "the worker goes on"


def test_submit_to_result(peer: Peer) -> None:
    classes = Array(CLASS_MAP, np.eye(5, dtype=np.uint8))
    job = peer.submit(arrays={"height": (HEIGHT,), "extra": (HEIGHT, HEIGHT), "classes": (classes,)}, steps=2)
    finished = peer.finished(job)
    assert finished.outputs["height"] == {"kind": "HEIGHT_MAP", "shape": [32, 48]}
    result = peer.ask(Fetch(job=job))
    assert isinstance(result, Result)
    (height,) = result.arrays["height"]
    np.testing.assert_array_equal(height.values, 3 * HEIGHT.values)
    assert height.attributes == HEIGHT.attributes
    np.testing.assert_array_equal(result.arrays["classes"][0].values, classes.values)
    assert result.recipe["params"]["steps"] == 2
    assert result.recipe["inputs"]["extra"][1]["sha256"] == HEIGHT.sha256


@pytest.mark.parametrize("by_file", [False, True])
def test_large_arrays_are_the_same_by_frame_and_by_file(backend: BackendProcess, peer: Peer, by_file: bool) -> None:
    if by_file:
        peer.join_handoff()
    height = height_map(np.random.default_rng(3).normal(0, 500, (1024, 768)), 10.0)
    result = peer.result(job := peer.submit(arrays={"height": (height,)}, steps=1))
    np.testing.assert_array_equal(result.arrays["height"][0].values, height.values)  # type: ignore[attr-defined]
    assert isinstance(peer.ask(Release(job=job)), Released)
    assert [path.name for path in (backend.state_dir / "handoff").iterdir()] == ["proof"]


def test_a_refused_job_leaves_no_handed_over_file(backend: BackendProcess, peer: Peer) -> None:
    peer.join_handoff()
    big = height_map(np.full((1024, 512), np.nan), 10.0)
    for algorithm in ("probe", "no such"):
        refusal(peer.ask(Submit(job=str(uuid.uuid4()), algorithm=algorithm, arrays={"height": (big,)})))
    assert [path.name for path in (backend.state_dir / "handoff").iterdir()] == ["proof"]


def test_a_job_that_is_sent_twice_leaves_no_handed_over_file(backend: BackendProcess, peer: Peer) -> None:
    peer.join_handoff()
    job, big = str(uuid.uuid4()), height_map(np.ones((1024, 512)), 10.0)
    for name in ("first", "at once", "later"):
        peer.send(Submit(id=name, job=job, algorithm="probe", arrays={"height": (big,)}))
        if name != "first":
            assert isinstance(peer.wait(lambda m, name=name: m.reply_to == name), Accepted)
    peer.finished(job)
    assert [path.name for path in (backend.state_dir / "handoff").iterdir()] == ["proof"]


def test_a_result_whose_file_is_gone_is_told(backend: BackendProcess, peer: Peer) -> None:
    job = peer.submit()
    peer.result(job)
    outputs = backend.state_dir / "jobs" / job / "outputs"
    (outputs / "0.raw").unlink()
    assert refusal(peer.ask(Fetch(job=job))).code == "internal"
    (outputs / "result.json").unlink()
    assert refusal(peer.ask(Fetch(job=job))).code == "internal"
    assert isinstance(peer.ask(Release(job=job)), Released)
    assert isinstance(peer.result(peer.submit()), Result)


def test_a_seed_gives_the_same_bytes(peer: Peer) -> None:
    first, second, other = (peer.result(peer.submit(noise=5.0, seed=seed)) for seed in (1, 1, 2))
    values = [result.arrays["height"][0].values.tobytes() for result in (first, second, other)]  # type: ignore[attr-defined]
    assert values[0] == values[1] != values[2]


def test_progress_is_thinned_and_the_last_word_comes_last(peer: Peer) -> None:
    job = peer.submit(steps=200, step_s=0.005, preview=False)
    started = time.monotonic()
    messages = []
    while not (messages and isinstance(messages[-1], Finished)):
        messages.append(peer.wait(lambda message: getattr(message, "job", "") == job))
    seconds = time.monotonic() - started
    progress = [message for message in messages if isinstance(message, Progress)]
    assert 2 <= len(progress) <= 12 * seconds + 3, "at most 10 a second"
    assert [message.done for message in progress] == sorted(message.done for message in progress)
    assert not any(isinstance(message, Preview) for message in messages), "nobody asked for previews"
    assert not [message for message in peer.drain(0.3) if getattr(message, "job", "") == job], "nothing after Finished"


def test_previews_are_small_and_in_scale(peer: Peer) -> None:
    big = height_map(np.ones((1030, 600)), 10.0)
    job = peer.submit(arrays={"height": (big,)}, steps=20, step_s=0.05, preview=True)
    (height,) = peer.wait_type(Preview, lambda preview: preview.job == job).arrays["height"]
    assert height.values.shape == (343, 200)
    assert height.attributes["pixel_size_m"] == 30.0
    assert height.values.dtype == np.float32
    peer.ask(Cancel(job=job))
    peer.finished(job)


@pytest.mark.parametrize("cancel_point", ["after submit", "after start", "half-way"])
def test_cancel_then_a_second_job_succeeds(peer: Peer, cancel_point: str) -> None:
    job = peer.submit(steps=400, step_s=0.01)
    if cancel_point != "after submit":
        peer.wait_running(job, done=200 if cancel_point == "half-way" else 0)
    status = peer.ask(Cancel(job=job))
    assert isinstance(status, Status)
    assert status.jobs[0]["state"] in ("cancelling", "cancelled")
    assert peer.finished(job).state == "cancelled"
    assert refusal(peer.ask(Fetch(job=job))).code == "invalid_input"
    assert isinstance(peer.result(peer.submit()), Result)


def test_a_waiting_job_is_cancelled_at_once(peer: Peer) -> None:
    first = peer.submit(steps=1000, step_s=0.01)
    second = peer.submit(steps=1000, step_s=0.01)
    status = peer.ask(Cancel(job=second))
    assert isinstance(status, Status)
    assert status.jobs[0]["state"] == "cancelled"
    assert peer.finished(second).seconds == 0.0
    peer.ask(Cancel(job=first))
    assert peer.finished(first).state == "cancelled"


def test_a_deaf_job_is_killed_and_the_next_succeeds(peer: Peer) -> None:
    job = peer.submit(steps=100, step_s=10.0, deaf=True)
    wait_for(lambda: peer.status(job)["state"] == "running")
    peer.ask(Cancel(job=job))
    assert peer.finished(job).state == "cancelled"
    assert isinstance(peer.result(peer.submit()), Result)


@pytest.mark.parametrize(("early", "state"), [(True, "succeeded"), (False, "cancelled")])
def test_keep_finishes_early_where_the_algorithm_can(peer: Peer, early: bool, state: str) -> None:
    job = peer.submit(steps=4000, step_s=0.01, early=early)
    peer.wait_running(job, done=2)  # before its first step there is nothing to keep, and the job is cancelled
    peer.ask(Cancel(job=job, keep=True))
    assert peer.finished(job).state == state


def test_sending_a_job_twice_is_harmless(peer: Peer) -> None:
    job = str(uuid.uuid4())
    submit = {"job": job, "algorithm": "probe", "params": {"steps": 2}}
    replies = [peer.ask(Submit(**submit)) for _ in range(3)]
    assert all(isinstance(reply, Accepted) for reply in replies)
    peer.finished(job)
    again = peer.ask(Submit(**submit))
    assert isinstance(again, Accepted)
    assert again.state == "succeeded"
    assert len([message for message in peer.drain(0.5) if isinstance(message, Finished)]) == 0


def test_requests_behind_a_submit_find_the_job(peer: Peer) -> None:
    """Sent in one go: the job is still on its way to the disk when the others come in."""
    job = str(uuid.uuid4())
    height = height_map(np.ones((1500, 1500)), 10.0)
    requests = [
        Submit(
            id="s", job=job, algorithm="probe", params={"steps": 1000, "step_s": 0.01}, arrays={"height": (height,)}
        ),
        Query(id="q", job=job),
        Cancel(id="c", job=job),
    ]
    for request in requests:
        peer.send(request)
    assert isinstance(peer.wait(lambda m: m.reply_to == "s"), Accepted)
    assert isinstance(peer.wait(lambda m: m.reply_to == "q"), Status)
    assert isinstance(peer.wait(lambda m: m.reply_to == "c"), Status)
    assert peer.finished(job).state == "cancelled"


def test_a_result_waits_until_it_is_released(backend: BackendProcess, peer: Peer) -> None:
    job = peer.submit()
    peer.result(job)
    peer.close()
    back = backend.client(peer.owner)
    assert isinstance(back.ask(Fetch(job=job)), Result)
    assert [entry["job"] for entry in back.ask(Query()).jobs] == [job]  # type: ignore[attr-defined]
    assert isinstance(back.ask(Release(job=job)), Released)
    for request in (Fetch(job=job), Query(job=job), Release(job=job), Cancel(job=job)):
        assert refusal(back.ask(request)).code == "unknown_job"
    assert not (backend.state_dir / "jobs" / job).exists()
    back.close()


def test_a_running_job_is_not_released(peer: Peer) -> None:
    job = peer.submit(steps=1000, step_s=0.01)
    assert refusal(peer.ask(Release(job=job))).code == "invalid_input"
    peer.ask(Cancel(job=job))
    peer.finished(job)


def test_owners_take_turns(backend: BackendProcess, peer: Peer) -> None:
    other = backend.client()
    blocker = peer.submit(steps=100, step_s=0.02)
    peer.wait_running(blocker)
    mine = [peer.submit(steps=1) for _ in range(4)]
    theirs = other.submit(steps=1)
    assert peer.status(mine[0])["position"] == 0
    assert other.status(theirs)["position"] <= 1, "not behind all of mine"
    other.finished(theirs)
    for job in [blocker, *mine]:
        assert peer.finished(job).state == "succeeded"
    assert other.status(theirs)["submitted_at"] > peer.status(mine[3])["submitted_at"]
    other.close()


def test_jobs_belong_to_their_owner(backend: BackendProcess, peer: Peer) -> None:
    job = peer.submit()
    peer.finished(job)
    stranger = backend.client()
    for request in (
        Fetch(job=job),
        Query(job=job),
        Release(job=job),
        Cancel(job=job),
        Submit(job=job, algorithm="probe"),
    ):
        assert refusal(stranger.ask(request)).code == "access_denied"
    assert stranger.ask(Query()).jobs == []  # type: ignore[attr-defined]
    assert not [message for message in stranger.drain(0.2) if getattr(message, "job", "")]
    stranger.close()


def test_a_slow_reader_loses_no_last_word_and_holds_nobody_up(backend: BackendProcess, peer: Peer) -> None:
    """A frozen Blender: it reads nothing while many messages are made for it; others work on meanwhile."""
    frozen = backend.client(receive_limit=1)
    big = height_map(np.ones((512, 512)), 10.0)
    jobs = [frozen.submit(arrays={"height": (big,)}, steps=6, step_s=0.11, preview=True) for _ in range(3)]
    for index in range(400):  # answers that it does not read either
        frozen.send(Ping(id=f"ping {index}"))
    assert isinstance(peer.result(peer.submit(steps=1)), Result)
    wait_for(lambda: not peer.ask(Ping()) or all(job_state(backend, job) == "succeeded" for job in jobs))
    for job in jobs:
        assert frozen.finished(job).state == "succeeded"
    frozen.close()


def job_state(backend: BackendProcess, job: str) -> str:
    import json

    return json.loads(Path(backend.state_dir / "jobs" / job / "job.json").read_text())["state"]


INVALID: dict[str, tuple[dict, str, str]] = {
    "unknown algorithm": ({"algorithm": "prob"}, "unknown_algorithm", "Did you mean 'probe'?"),
    "unknown parameter": ({"params": {"stps": 3}}, "invalid_parameter", "Did you mean 'steps'?"),
    "parameter too large": ({"params": {"steps": 10**9}}, "invalid_parameter", ""),
    "parameter of wrong type": ({"params": {"steps": "3"}}, "invalid_parameter", ""),
    "NaN": ({"arrays": {"height": (height_map(np.full((4, 4), np.nan), 1.0),)}}, "invalid_input", "Fill them first"),
    "unknown port": ({"arrays": {"hight": (HEIGHT,)}}, "invalid_input", "Did you mean 'height'?"),
    "two for one": ({"arrays": {"height": (HEIGHT, HEIGHT)}}, "invalid_input", ""),
    "wrong kind": ({"arrays": {"classes": (HEIGHT,)}}, "invalid_input", ""),
    "empty": ({"arrays": {"height": (height_map(np.zeros((0, 4)), 1.0),)}}, "invalid_input", ""),
    "no pixel size": ({"arrays": {"height": (Array(HEIGHT.kind, HEIGHT.values),)}}, "invalid_input", "--pixel-size"),
    "too long": ({"arrays": {"height": (height_map(np.zeros((1, 65537)), 1.0),)}}, "invalid_input", "tiles"),
    "another declaration": ({"digest": "0" * 16}, "version_mismatch", "Update"),
    "not a UUID": ({"job": "../../etc"}, "protocol", ""),
}


@pytest.mark.parametrize("name", INVALID)
def test_what_is_wrong_is_refused_at_once_and_leaves_nothing(backend: BackendProcess, peer: Peer, name: str) -> None:
    changes, code, hint = INVALID[name]
    values = {"job": str(uuid.uuid4()), "algorithm": "probe"} | changes
    failure = refusal(peer.ask(Submit(**values)))
    assert failure.code == code
    assert failure.message.endswith((".", ")"))
    assert hint in failure.hint
    assert peer.ask(Query()).jobs == []  # type: ignore[attr-defined]
    assert not (backend.state_dir / "jobs" / values["job"].replace("/", "")).exists()


def test_a_version_mismatch_names_the_algorithm(peer: Peer) -> None:
    assert refusal(peer.ask(Submit(job=str(uuid.uuid4()), algorithm="probe", digest="x"))).field == "probe"


def test_another_major_protocol_is_refused(backend: BackendProcess) -> None:
    client = Peer(backend.endpoint)
    assert refusal(client.hello(protocol="2.0")).code == "version_mismatch"
    assert isinstance(client.hello(protocol="1.99"), Welcome), "a newer minor version is welcome"
    client.close()


def test_hello_again_is_welcome(peer: Peer) -> None:
    assert isinstance(peer.ask(Hello(token=peer.endpoint.token, owner=peer.owner, protocol=PROTOCOL)), Welcome)


def test_a_reply_is_no_request(peer: Peer) -> None:
    peer.send(Pong(id="x", session="s"))
    assert peer.wait_type(Failure).code == "protocol"


def test_too_many_jobs_are_refused(peer: Peer) -> None:
    first = peer.submit(steps=2000, step_s=0.01)
    peer.wait_running(first)
    jobs = [peer.submit() for _ in range(64)]
    assert refusal(peer.ask(Submit(job=str(uuid.uuid4()), algorithm="probe"))).code == "queue_full"
    for job in [*jobs, first]:
        peer.ask(Cancel(job=job))
    assert peer.finished(first).state == "cancelled"
