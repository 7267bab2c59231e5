"""The add-on's session against real backends: started by its own process manager, killed, restarted, shared and refused."""

from __future__ import annotations

import dataclasses
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
import zmq

from blender_addon.install.child_process import is_alive
from blender_addon.link.backend_status import LinkState, choices, place_of
from blender_addon.link.client import Client, Transport
from blender_addon.link.connection import Place
from blender_addon.link.job_records import Job
from blender_addon.link.ledger import Ledger
from blender_addon.link.session import Session
from blender_addon.shared.algorithm import find
from blender_addon.shared.arrays import height_map
from blender_addon.shared.catalog import ALGORITHMS
from blender_addon.shared.codec import encode
from blender_addon.shared.endpoint import Endpoint, read_endpoint, write_endpoint
from blender_addon.shared.errors import AccessDenied, InvalidParameter, RelievoError, VersionMismatch
from blender_addon.shared.jobs import JobState
from blender_addon.shared.messages import Ping, Preview
from tests.blender.support import live_addon
from tests.blender.support.addon_probe import EXTRA_ALGORITHMS, PROBE
from tests.blender.support.backend_with_card import CARD, CPU, SECOND, BackendWithCard

ROOT = Path(__file__).resolve().parents[3]
NOISE = find(ALGORITHMS, "noise")
SMALL = {"width_px": 48, "height_px": 32, "octaves": 3}
PATIENCE_S = 60.0
pytestmark = pytest.mark.any_version  # blender_addon/link imports no bpy


@pytest.fixture(scope="module", autouse=True)
def development_backend():
    """The checkout's own environment instead of an installed one, with the probe engine in it."""
    with live_addon.environment(extra_algorithms=EXTRA_ALGORITHMS):
        yield


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory, development_backend):
    """A data folder with a backend that runs for all the tests that leave it in good order."""
    folder = tmp_path_factory.mktemp("relievo")
    keeper = started(folder)
    yield folder
    keeper.close()


@pytest.fixture
def session(data_dir):
    made = Session(data_dir, "test")
    made.connection.attach()
    made.wait_ready()
    yield made
    made.close()


@pytest.fixture
def own(tmp_path):
    """A session with a backend of its own, for tests that kill it."""
    made = started(tmp_path)
    yield made
    made.close()


def started(folder: Path) -> Session:
    made = Session(folder, "test")
    made.connection.start()
    made.wait_ready()
    return made


def pump_until(session: Session, condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}: {session.standing}"
        session.pump()
        time.sleep(0.01)


def heights(job: Job) -> np.ndarray:
    assert job.outputs is not None
    return job.outputs["height"][0].values


def backend_pid(session: Session) -> int:
    return read_endpoint(session.connection.process.endpoint_path).pid


# The ordinary way ---------------------------------------------------------------------------------------------


def test_a_result_comes_back_and_is_released(session):
    job = session.wait(session.submit(NOISE, {**SMALL, "seed": 7}, {}))
    assert heights(job).shape == (32, 48)
    assert job.recipe["params"]["seed"] == 7
    assert (session.ledger.folder / f"{job.id}.json").exists()
    session.mark_applied(job)
    pump_until(session, lambda: not session._to_release, "the release")
    assert job.outputs is None
    assert not (session.ledger.folder / f"{job.id}.json").exists()


def test_large_arrays_travel_unchanged(session):
    values = np.random.default_rng(1).normal(size=(1030, 517)).astype(np.float32)
    job = session.wait(session.submit(PROBE, {}, {"height": (height_map(values, 3.0),)}))
    assert np.array_equal(heights(job), values)
    session.discard(job)


def test_a_job_takes_the_output_of_an_earlier_one(session):
    base = session.submit(NOISE, {**SMALL, "seed": 3}, {}, silent=True)
    job = session.submit(PROBE, {}, {}, feeds={"height": (base, "height")})
    session.wait(job)
    alone = session.wait(session.submit(NOISE, {**SMALL, "seed": 3}, {}))
    assert np.array_equal(heights(job), heights(alone))
    assert base.id not in session.jobs, "a job that only feeds another one leaves the list"
    assert job.purpose["feed_recipes"]["height"]["params"]["seed"] == 3


def test_progress_and_previews_arrive_while_it_runs(session):
    job = session.submit(PROBE, {"steps": 30, "step_s": 0.05}, {}, preview=True)
    pump_until(session, lambda: job.preview is not None, "a preview")
    pump_until(session, lambda: job.fraction > 0.2, "progress")
    assert "step" in job.sentence
    assert not job.is_settled
    session.wait(job)


def test_a_parameter_out_of_bounds_is_refused_at_once(session):
    before = dict(session.jobs)
    with pytest.raises(InvalidParameter, match="width_px"):
        session.submit(NOISE, {"width_px": 0}, {})
    assert session.jobs == before


# Cancelling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["at once", "while it runs"])
def test_a_cancelled_job_ends_and_the_next_one_succeeds(session, point):
    job = session.submit(PROBE, {"steps": 1000, "step_s": 0.05}, {})
    if point == "while it runs":
        pump_until(session, lambda: job.done > 1, "the job to run")
    session.cancel(job)
    pump_until(session, lambda: job.is_settled, "the cancel")
    assert job.state is JobState.CANCELLED
    assert job.outputs is None
    session.wait(session.submit(NOISE, SMALL, {}))


def test_keep_takes_what_is_there(session):
    job = session.submit(PROBE, {"steps": 1000, "step_s": 0.05, "early": True}, {})
    pump_until(session, lambda: job.done > 1, "the job to run")
    session.cancel(job, keep=True)
    session.wait(job)
    assert heights(job).shape == (16, 16)


def test_cancelling_a_job_cancels_what_it_waits_for(session):
    base = session.submit(PROBE, {"steps": 1000, "step_s": 0.05}, {}, silent=True)
    job = session.submit(PROBE, {}, {}, feeds={"height": (base, "height")})
    session.cancel(job)
    pump_until(session, lambda: base.is_settled and job.is_settled, "both to end")
    assert {base.state, job.state} == {JobState.CANCELLED}


def test_a_job_that_was_never_sent_is_cancelled_without_a_backend(tmp_path):
    session = Session(tmp_path, "test")
    job = session.submit(NOISE, SMALL, {})
    session.cancel(job)
    assert job.state is JobState.CANCELLED
    session.close()


# Failing ------------------------------------------------------------------------------------------------------


def test_a_worker_that_dies_fails_its_job_with_a_sentence(session):
    job = session.submit(PROBE, {"ending": "kill"}, {})
    with pytest.raises(RelievoError) as caught:
        session.wait(job)
    assert caught.value.code == "worker_died"
    assert job.sentence.startswith("failed: ")
    assert job.error.code in job.report()
    session.wait(session.submit(NOISE, SMALL, {}))


def test_what_feeds_a_job_fails_it(session):
    base = session.submit(PROBE, {"ending": "error"}, {}, silent=True)
    job = session.submit(PROBE, {}, {}, feeds={"height": (base, "height")})
    with pytest.raises(RelievoError):
        session.wait(job)
    assert job.error is base.error


def test_a_backend_killed_in_mid_job_comes_back_and_finishes_it(own):
    expected = heights(own.wait(own.submit(PROBE, {"noise": 5.0, "seed": 4}, {})))
    job = own.submit(PROBE, {"noise": 5.0, "seed": 4, "steps": 20, "step_s": 0.1}, {})
    waiting = own.submit(NOISE, SMALL, {})
    pump_until(own, lambda: job.done > 1, "the job to run")
    pid, first = backend_pid(own), own.connection.welcome.session
    os.kill(pid, signal.SIGKILL)
    pump_until(own, lambda: not own.connection.is_ready, "the loss to be noticed")
    own.wait(job)
    assert own.connection.welcome.session != first
    assert np.array_equal(heights(job), expected)
    own.wait(waiting)


def test_the_backend_ends_with_the_session_that_started_it(tmp_path):
    session = started(tmp_path)
    pid = backend_pid(session)
    session.close()
    deadline = time.monotonic() + 20
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid)


def test_stop_and_start_again(own):
    own.connection.stop()
    pump_until(own, lambda: own.standing.state is LinkState.STOPPED, "the stop")
    assert own.standing.action == "start"
    own.connection.start()
    own.wait_ready()
    own.wait(own.submit(NOISE, SMALL, {}))


# Refused ------------------------------------------------------------------------------------------------------


def test_nothing_installed_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("RELIEVO_PYTHON")
    session = Session(tmp_path, "test")
    session.connection.attach()
    session.pump()
    standing = session.standing
    assert (standing.state, standing.action) == (LinkState.NOT_INSTALLED, "install")
    with pytest.raises(RelievoError, match="installed"):
        session.connection.start()
    session.close()


def refused(tmp_path: Path, endpoint: Endpoint) -> Session:
    write_endpoint(tmp_path / "other.json", endpoint)
    session = Session(tmp_path / "data", "test", place=Place(endpoint_path=str(tmp_path / "other.json")))
    session.connection.start()
    pump_until(session, lambda: session.standing.state is LinkState.FAILED, "the refusal")
    return session


def test_a_wrong_token_is_said(data_dir, tmp_path):
    right = read_endpoint(data_dir / "state/endpoint.json")
    session = refused(tmp_path, dataclasses.replace(right, token="0" * 64))
    assert session.connection.error.code == "access_denied"
    assert "token" in session.standing.sentence.lower()
    assert session.standing.action == "preferences"
    session.close()


@pytest.mark.parametrize(("key", "word"), [("", "without encryption"), ("x" * 40, "the encryption key")])
def test_a_missing_or_wrong_key_is_said(data_dir, tmp_path, key, word):
    right = read_endpoint(data_dir / "state/endpoint.json")
    session = refused(tmp_path, dataclasses.replace(right, server_public_key=key))
    assert word in session.standing.sentence
    assert "Copy the server key" in session.standing.hint
    session.close()


def test_another_protocol_is_said(tmp_path):
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.linger = 0
    port = router.bind_to_random_port("tcp://127.0.0.1")
    write_endpoint(tmp_path / "other.json", Endpoint(address=f"tcp://127.0.0.1:{port}", token="0" * 64))
    session = Session(tmp_path / "data", "test", place=Place(endpoint_path=str(tmp_path / "other.json")))
    session.connection.start()
    pump_until(session, lambda: router.poll(0), "the Hello")
    client, *_ = router.recv_multipart()
    router.send_multipart([client, b"RLVO\x63", b"{}"])
    pump_until(session, lambda: session.standing.state is LinkState.FAILED, "the refusal")
    assert session.connection.error.code == "version_mismatch"
    assert "protocol 99" in session.standing.sentence
    session.close()
    context.destroy(0)


def test_what_came_while_blender_was_frozen_is_read_after_the_link_broke():
    """300 messages wait unread and their sender goes away: none is lost, and libzmq does not abort between two frames."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.linger, router.sndhwm = 5000, 0
    port = router.bind_to_random_port("tcp://127.0.0.1")
    client = Client(Endpoint(address=f"tcp://127.0.0.1:{port}", token="0" * 64))
    assert client.receive() is None
    client.wait(PATIENCE_S)
    client.receive()
    client.send(Ping(id="1"))
    identity, *_ = router.recv_multipart()
    height = height_map(np.zeros((64, 64), np.float32), 1.0)
    for number in range(300):
        router.send_multipart([identity, *encode(Preview(job=str(number), arrays={"height": (height,)}))])
    time.sleep(0.5)  # the frozen Blender
    router.close()
    context.term()
    time.sleep(0.2)
    heard = []
    while (message := client.receive()) is not None:
        heard.append(message.job)
    assert heard == [str(number) for number in range(300)]
    assert client.transport is Transport.DOWN
    client.close()


def test_an_engine_that_differs_is_refused_alone(session):
    newer = dataclasses.replace(NOISE, version=NOISE.version + 1)
    assert "differs" in session.why_unavailable(newer)
    with pytest.raises(VersionMismatch, match="Update"):
        session.submit(newer, SMALL, {})
    assert session.why_unavailable(NOISE) == ""


def test_a_missing_connection_file_names_itself(tmp_path):
    session = Session(tmp_path / "data", "test", place=Place(endpoint_path=str(tmp_path / "none.json")))
    session.connection.start()
    assert "none.json" in session.standing.sentence
    session.close()


@pytest.mark.parametrize("address", ["", "nonsense", "host:99999"])
def test_an_address_that_is_none_is_said(tmp_path, address):
    session = Session(tmp_path / "data", "test", place=Place(address=address or ":"))
    session.connection.start()
    assert session.connection.error.code == "backend_unavailable"
    session.close()


# Several and gone ---------------------------------------------------------------------------------------------


def test_a_backend_that_computes_for_another_blender_is_stopped_only_when_asked_twice(own):
    other = Session(own.connection.data_dir, "other", adopt=False)
    other.connection.attach()
    other.wait_ready()
    job = own.submit(PROBE, {"steps": 1000, "step_s": 0.05}, {})
    pump_until(own, lambda: job.accepted, "acceptance")
    with pytest.raises(AccessDenied, match="1 job of other clients waits or runs") as caught:
        other.connection.stop()
    assert "again" in caught.value.hint
    pid = backend_pid(own)
    assert other.connection.is_ready
    other.connection.stop()
    pump_until(own, lambda: not is_alive(pid), "the end")
    other.close()


def test_two_blenders_at_once_each_get_their_own(data_dir, session):
    other = Session(data_dir, "other")
    other.connection.attach()
    other.wait_ready()
    assert other.ledger.owner != session.ledger.owner
    mine = session.submit(PROBE, {"noise": 1.0, "seed": 1}, {})
    theirs = other.submit(PROBE, {"noise": 1.0, "seed": 2}, {})
    other.wait(theirs)
    session.wait(mine)
    assert not np.array_equal(heights(mine), heights(theirs))
    assert (mine.id in other.jobs, theirs.id in session.jobs) == (False, False)
    other.close()
    session.pump()
    assert session.connection.is_ready, "one Blender that closes leaves the other's backend alone"


_DOOMED = """
import json, os, sys
from pathlib import Path
from blender_addon.link.session import Session
from blender_addon.shared.algorithm import find
from blender_addon.shared.catalog import ALGORITHMS
session = Session(Path(sys.argv[1]), "doomed")
session.connection.attach()
session.wait_ready()
job = session.submit(find(ALGORITHMS, "noise"), json.loads(sys.argv[2]), {}, purpose={"output": "MESH"})
while not job.accepted:
    session.pump()
print(job.id, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_blender_that_died_is_followed_by_one_that_fetches_its_result(data_dir):
    doomed = subprocess.run([sys.executable, "-c", _DOOMED, str(data_dir), json.dumps({**SMALL, "seed": 9})], cwd=ROOT,
                            env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)  # fmt: skip
    assert doomed.returncode == -signal.SIGKILL, doomed.stderr
    heir = Session(data_dir, "heir")
    heir.connection.attach()
    heir.wait_ready()
    job = heir.jobs[doomed.stdout.strip()]
    assert job.recovered
    heir.wait(job)
    again = heir.wait(heir.submit(NOISE, {**SMALL, "seed": 9}, {}))
    assert np.array_equal(heights(job), heights(again))
    heir.discard(job)
    heir.close()


def test_a_recovered_job_that_the_backend_never_had_is_told_apart(data_dir):
    ledger = Ledger(data_dir / "sessions")
    lost = Job(id=str(uuid.uuid4()), algorithm="noise", label="Noise 1", params={})
    ledger.write(lost.id, lost.to_entry())
    ledger.close()
    heir = Session(data_dir, "heir")
    heir.connection.attach()
    heir.wait_ready()
    job = heir.jobs[lost.id]
    pump_until(heir, lambda: job.is_settled, "the answer")
    assert "closed before" in job.error.message
    heir.close()


def test_a_broken_ledger_entry_is_dropped(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.write("good", {"a": 1})
    (ledger.folder / "cut.json").write_text('{"a": ')
    assert ledger.entries() == {"good": {"a": 1}}
    assert not (ledger.folder / "cut.json").exists()
    ledger.close()


def test_a_ledger_in_use_is_not_adopted(tmp_path):
    first = Ledger(tmp_path)
    first.write("job", {})
    second = Ledger(tmp_path)
    assert second.owner != first.owner
    second.close()
    first.close()
    third = Ledger(tmp_path)
    assert third.owner == first.owner
    third.close()


# Devices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("devices", "ran_on", "took"),
    [
        ([CPU], "cpu", "done in 3 s"),
        ([CARD, CPU], "cuda:0", "done in 3 s on the GPU"),
        ([CARD, CPU], "cpu", "done in 3 s on the CPU"),
        ([CARD, SECOND, CPU], "cuda:1", "done in 3 s on cuda:1"),
    ],
)
def test_a_job_says_where_it_ran_where_it_had_a_choice(tmp_path, devices, ran_on, took):
    with BackendWithCard(tmp_path, devices, ran_on=ran_on) as backend:
        session = Session(tmp_path / "data", "test", place=backend.place)
        session.connection.start()
        pump_until(session, lambda: session.connection.devices, "the devices")
        job = session.wait(session.submit(NOISE, SMALL, {}))
        session.mark_applied(job)
        assert job.sentence == took
        assert job.device_note == ""
        session.close()


def test_engines_are_told_by_device_where_there_is_more_than_one_kind():
    labels = {"noise": "Noise", "hydrology": "Hydrology", "terrain": "Terrain from a Sketch"}
    auto = {"noise": "cpu", "hydrology": "cpu", "terrain": "cuda:0"}
    split = ["NVIDIA RTX 4070: Terrain from a Sketch", "CPU: Noise, Hydrology"]
    assert choices([CARD, CPU], auto, labels) == choices([CARD, SECOND, CPU], auto, labels) == split
    assert choices([CARD, CPU], {**auto, "terrain": "cpu"}, labels) == ["CPU: Noise, Hydrology, Terrain from a Sketch"]
    assert choices([CPU], auto, labels) == choices([CARD, SECOND], auto, labels) == choices([], {}, labels) == []
    assert choices([CARD, CPU], {}, labels) == [], "a backend of before says nothing of it"
    assert choices([{"kind": "cuda"}, CPU], auto, labels)[0] == "?: Terrain from a Sketch"
    assert place_of("", [CARD, CPU]) == place_of("cpu", []) == ""
