"""Whatever a power cut, a dying disk or a hand has left in the store: the backend's part of it starts, and the other jobs live."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.server import clock, job_files, lifecycle
from backend.server.background import Background
from backend.server.job import Job
from backend.server.job_files import read_inputs, write_result
from backend.server.lifecycle import Lifecycle
from backend.server.placement import Placement
from backend.server.store import Store
from shared.arrays import height_map
from shared.errors import InternalError, InvalidInput
from shared.jobs import JobState

HEIGHT = height_map(np.arange(12.0).reshape(3, 4), 10.0)
DEEP = "[" * 200_000 + "]" * 200_000


class NoClients:
    """Nobody is connected."""

    def send_event(self, *_: object) -> None: ...
    def send_final(self, *_: object) -> None: ...


class NoWorkers:
    """A pool of none: what is recovered waits."""

    ready: dict[str, str] = {}

    def want(self, device: str) -> None: ...


class AtOnce(Background):
    """The background thread's work, done where it is given."""

    def __init__(self) -> None: ...

    def do(self, work: Callable[[], None], then: Any = None) -> None:
        work()


def started(store: Store, **limits: float) -> Lifecycle:
    """What a backend that starts on this store knows."""
    made = Lifecycle(
        store=store,
        pool=NoWorkers(),  # type: ignore[arg-type]
        placement=Placement(),
        send_queue=NoClients(),  # type: ignore[arg-type]
        sweeper=AtOnce(),
        clients_of=lambda owner: [],
        **{"max_age_s": 1000.0, "max_bytes": 10**9, **limits},  # type: ignore[arg-type]
    )
    made.recover()
    return made


def accept(store: Store, **fields: Any) -> Job:
    job = Job(id=str(uuid.uuid4()), owner=str(uuid.uuid4()), algorithm="hydrology", submitted_at=time.time(), **fields)
    store.accept(job, {"height": (HEIGHT,)})
    return job


def end(store: Store, job: Job, finished_at: float | None = None) -> None:
    write_result(store.folder(job.id), {"height": (HEIGHT,)}, {"algorithm": "hydrology"})
    job.state = JobState.SUCCEEDED
    job.finished_at = finished_at or time.time()
    store.save(job)


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def replace_by(kind: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            path.symlink_to("/etc/passwd")
        elif kind == "pipe":
            os.mkfifo(path)

    return spoil


SPOILED: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "noise": lambda path: path.write_bytes(bytes(range(128, 256)) * 4),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "null": lambda path: path.write_text("null"),
    "list": lambda path: path.write_text("[]"),
    "empty object": lambda path: path.write_text("{}"),
    "number": lambda path: path.write_text("1e999"),
    "deep": lambda path: path.write_text(DEEP),
    "missing": Path.unlink,
    "folder": replace_by("folder"),
    **({} if os.name == "nt" else {"link": replace_by("link"), "pipe": replace_by("pipe")}),
}
WRONG: dict[str, dict[str, Any]] = {
    "time is a text": {"submitted_at": "yesterday"}, "time is null": {"submitted_at": None},
    "attempts": {"attempts": "y"}, "params": {"params": []}, "state": {"state": "gone"}, "state is none": {"state": None},
    "kinds": {"kinds": "cpu"}, "device": {"device": 3}, "outputs": {"outputs": []}, "owner": {"owner": None},
    "error": {"error": {"sentence": "?"}}, "time is infinite": {"finished_at": float("inf")},
    "id of another": {"id": str(uuid.uuid4())}, "id is a path": {"id": "../../x"}, "preview": {"preview": "no"},
}  # fmt: skip


@pytest.mark.parametrize("how", [*SPOILED, *WRONG])
def test_a_spoiled_state_costs_no_other_job_and_not_its_own(tmp_path: Path, how: str) -> None:
    store = Store(tmp_path / "state")
    done, spoiled, waiting = accept(store), accept(store), accept(store)
    end(store, done)
    end(store, spoiled)
    path = store.folder(spoiled.id) / "job.json"
    SPOILED[how](path) if how in SPOILED else change(path, **WRONG[how])
    found = started(store)
    states = {job_id: job.state for job_id, job in found.scheduler.jobs.items()}
    expected = {done.id: JobState.SUCCEEDED, waiting.id: JobState.QUEUED, spoiled.id: JobState.SUCCEEDED}
    assert states == expected, "what was accepted is known from accepted.json, its result from its folder"
    store.close()


@pytest.mark.parametrize("how", [*SPOILED, *WRONG])
def test_a_spoiled_job_of_an_older_version_is_set_aside_counted_and_removed(tmp_path: Path, how: str) -> None:
    store = Store(tmp_path / "state")
    other, spoiled = accept(store), accept(store)
    (store.folder(spoiled.id) / "accepted.json").unlink()
    path = store.folder(spoiled.id) / "job.json"
    SPOILED[how](path) if how in SPOILED else change(path, **WRONG[how])
    found = started(store)
    assert set(found.scheduler.jobs) == {other.id}
    assert [entry.path.name for entry in store.spoiled] == [spoiled.id]
    assert store.spoiled[0].size_bytes >= HEIGHT.values.nbytes
    assert store.folder(spoiled.id).exists(), "it may be wanted yet"
    store.close()
    store = Store(tmp_path / "state")
    found = started(store, max_bytes=10)
    assert store.spoiled == []
    assert not store.folder(spoiled.id).exists()
    assert set(found.scheduler.jobs) == {other.id}
    assert list((tmp_path / "state" / "trash").iterdir()) == []
    store.close()


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize("state", ["running", "cancelling"])
def test_a_spoiled_result_of_a_job_that_ran_fails_that_job_alone(tmp_path: Path, how: str, state: str) -> None:
    store = Store(tmp_path / "state")
    other, job = accept(store), accept(store)
    end(store, job)
    change(store.folder(job.id) / "job.json", state=state, attempts=1)
    SPOILED[how](store.folder(job.id) / "outputs" / "result.json")
    found = started(store)
    assert found.scheduler.jobs[other.id].state is JobState.QUEUED
    known = found.scheduler.jobs[job.id]
    if how == "missing":
        assert known.state is (JobState.QUEUED if state == "running" else JobState.CANCELLED)
    elif how == "link":  # to a place without the file's form
        assert known.state in (JobState.FAILED, JobState.QUEUED, JobState.CANCELLED)
    else:
        assert known.state is JobState.FAILED
        assert "outputs/result.json" in known.error["message"]  # type: ignore[index]
    store.close()


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_description_of_inputs_names_the_file(tmp_path: Path, how: str) -> None:
    store = Store(tmp_path / "state")
    job = accept(store)
    SPOILED[how](store.folder(job.id) / "inputs" / "arrays.json")
    with pytest.raises(InternalError, match=r"inputs/arrays\.json"):
        read_inputs(store.folder(job.id))
    store.close()


@pytest.mark.parametrize(
    "entry",
    [{"dtype": "|O"}, {"dtype": "x"}, {"dtype": None}, {"shape": [-1, 4]}, {"shape": [3.0, 4]}, {"shape": "34"},
     {"shape": [2**60, 2**60]}, {"shape": [12]}, {"kind": "NONE"}, {"file": "../job.json"}, {"file": "/etc/passwd"},
     {"file": 3}, {"port": None}, {"attributes": []}],
)  # fmt: skip
def test_an_entry_that_no_version_wrote_is_refused(tmp_path: Path, entry: dict[str, Any]) -> None:
    store = Store(tmp_path / "state")
    job = accept(store)
    path = store.folder(job.id) / "inputs" / "arrays.json"
    good = json.loads(path.read_text())["arrays"][0]
    path.write_text(json.dumps({"arrays": [good | entry]}))
    with pytest.raises(InternalError, match=r"inputs/arrays\.json"):
        read_inputs(store.folder(job.id))
    store.close()


@pytest.mark.parametrize("how", ["empty", "half", "missing", "longer", "folder", "link"])
def test_a_damaged_input_names_the_file(tmp_path: Path, how: str) -> None:
    store = Store(tmp_path / "state")
    job = accept(store)
    path = store.folder(job.id) / "inputs" / "0.raw"
    if how == "longer":
        path.write_bytes(path.read_bytes() + b"x")
    else:
        SPOILED[how](path)
    with pytest.raises(InternalError, match=r"inputs/0\.raw"):
        read_inputs(store.folder(job.id))
    store.close()


def test_odd_entries_beside_jobs_are_counted_and_harmless(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    job = accept(store)
    jobs = tmp_path / "state" / "jobs"
    (jobs / "no-uuid").mkdir()
    (jobs / "no-uuid" / "job.json").write_text(json.dumps(job.to_json() | {"id": "no-uuid"}))
    (jobs / ".DS_Store").write_bytes(b"x")
    (jobs / str(uuid.uuid4())).mkdir()
    if os.name != "nt":
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "thesis.txt").write_text("years")
        (jobs / str(uuid.uuid4())).symlink_to(tmp_path / "elsewhere")
    found = started(store, max_bytes=0)
    assert set(found.scheduler.jobs) == {job.id}
    assert [path.name for path in jobs.iterdir()] == [job.id]
    assert os.name == "nt" or (tmp_path / "elsewhere" / "thesis.txt").read_text() == "years"
    store.close()


def test_a_job_whose_folder_is_spoiled_can_be_sent_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    folder = store.folder(str(uuid.uuid4()))
    (folder / "inputs").mkdir(parents=True)
    (folder / "job.json").write_text("")
    assert store.load() == []
    job = Job(id=folder.name, owner=str(uuid.uuid4()), algorithm="probe")
    store.accept(job, {"height": (HEIGHT,)})
    assert store.load() == [job]
    store.close()


# Power cuts ---------------------------------------------------------------------------------------------------------


def test_what_is_accepted_is_on_disk_before_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file and every folder with a name of it is synced before accept() returns, the last folder after its rename."""
    store = Store(tmp_path / "state")
    synced: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        synced.append(os.path.realpath(f"/proc/self/fd/{descriptor}") if os.path.isdir("/proc/self/fd") else "")
        fsync(descriptor)

    def note_replace(source: Any, target: Any) -> None:
        synced.append(f"{target} <-")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    job = accept(store)
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no names of descriptors on this system")
    incoming, jobs = tmp_path / "state" / "incoming" / job.id, tmp_path / "state" / "jobs"
    for name in ("inputs/0.raw", "inputs/arrays.json.part", "accepted.json.part", "inputs", ""):
        assert str(incoming / name).rstrip("/") in synced, name
    assert synced[-2:] == [f"{jobs / job.id} <-", str(jobs)]
    store.close()


def test_a_cut_after_the_end_is_told_where_nothing_is_left(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    job = accept(store)
    store.drop_inputs(job.id)
    (store.folder(job.id) / "job.json").write_text("")
    known = started(store).scheduler.jobs[job.id]
    assert known.state is JobState.FAILED
    assert "lost" in known.error["message"]  # type: ignore[index]
    store.close()


@pytest.mark.parametrize("attributes", [{"x": "deep"}, {"x": object()}, {"x": {1, 2}}], ids=["deep", "object", "set"])
def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path, attributes: dict[str, Any]) -> None:
    for _ in range(5000 if attributes["x"] == "deep" else 0):
        attributes = {"x": attributes}
    store = Store(tmp_path / "state")
    job = Job(id=str(uuid.uuid4()), owner=str(uuid.uuid4()), algorithm="probe")
    with pytest.raises(InvalidInput, match="cannot be kept"):
        store.accept(job, {"height": (height_map(HEIGHT.values, 10.0, **attributes),)})
    assert list((tmp_path / "state" / "incoming").iterdir()) == []
    assert store.load() == []
    store.close()


# Digests ------------------------------------------------------------------------------------------------------------


def test_bytes_that_changed_on_the_disk_are_found(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    job = accept(store)
    end(store, job)
    store.trust_result(job.id)
    assert store.is_trusted(job.id)
    path = store.folder(job.id) / "outputs" / "0.raw"
    data = bytearray(path.read_bytes())
    data[5] ^= 4
    path.write_bytes(data)
    assert not store.is_trusted(job.id), "somebody has written to it"
    with pytest.raises(InternalError, match=r"outputs/0\.raw"):
        store.check_result(job.id)
    data[5] ^= 4
    path.write_bytes(data)
    store.check_result(job.id)
    assert store.is_trusted(job.id)
    store.close()
    assert not Store(tmp_path / "state").is_trusted(job.id), "a backend that starts has read nothing yet"


def test_trust_wears_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "state")
    job = accept(store)
    end(store, job)
    store.trust_result(job.id)
    now = clock.counted_s()
    monkeypatch.setattr("backend.server.store.counted_s", lambda: now + 601.0)
    assert not store.is_trusted(job.id)
    store.close()


def test_a_result_of_an_older_version_has_no_digest_and_is_fetched(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    job = accept(store)
    end(store, job)
    path = store.folder(job.id) / "outputs" / "result.json"
    header = json.loads(path.read_text())
    assert len(header["arrays"][0].pop("sha256")) == 64
    path.write_text(json.dumps(header))
    store.check_result(job.id)
    np.testing.assert_array_equal(store.result(job.id).arrays["height"][0].values, HEIGHT.values)
    store.close()


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    """Also of an array whose memory is not in the order of the file."""
    import hashlib

    turned = height_map(HEIGHT.values, 10.0)
    object.__setattr__(turned, "values", HEIGHT.values.T)
    (tmp_path / "job").mkdir()
    write_result(tmp_path / "job", {"height": (turned,)}, {})
    header = job_files.read_header(tmp_path / "job" / "outputs" / "result.json")
    data = (tmp_path / "job" / "outputs" / "0.raw").read_bytes()
    assert header["arrays"][0]["sha256"] == hashlib.sha256(data).hexdigest()


# Clocks -------------------------------------------------------------------------------------------------------------

WEEK_S = 7 * 24 * 3600.0


def test_a_clock_that_is_set_forward_removes_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "state")
    earlier = accept(store)
    end(store, earlier)
    found = started(store, max_age_s=WEEK_S)
    ended = accept(store)
    found.scheduler.add(ended)
    end(store, ended, clock.now())
    time_of_day = time.time
    monkeypatch.setattr(time, "time", lambda: time_of_day() + 8 * 24 * 3600.0)
    found._sweep()
    assert set(found.scheduler.jobs) == {earlier.id, ended.id}
    store.close()


@pytest.mark.parametrize("finished_at", [1.0, time.time() + 10 * WEEK_S, time.time() - 1.1 * WEEK_S])
def test_a_start_under_another_clock_removes_nothing_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished_at: float
) -> None:
    store = Store(tmp_path / "state")
    job = accept(store)
    end(store, job, finished_at)
    found = started(store, max_age_s=WEEK_S)
    assert job.id in found.scheduler.jobs
    counted = clock.counted_s
    monkeypatch.setattr(clock, "counted_s", lambda: counted() + lifecycle.GRACE_S + 1.0)
    found._sweep()
    assert (job.id in found.scheduler.jobs) == (not time.time() - 2 * WEEK_S < finished_at < time.time() - WEEK_S)
    store.close()


def test_files_in_flight_survive_a_clock_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "state")
    name = store.handoff.put(HEIGHT.values)
    old = store.handoff.put(HEIGHT.values)
    os.utime(store.handoff.folder / old, (1.0, 1.0))
    time_of_day = time.time
    monkeypatch.setattr(time, "time", lambda: time_of_day() + 3600.0)
    store.handoff.sweep()
    assert (store.handoff.folder / name).exists()
    assert (store.handoff.folder / old).exists()
    counted = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: counted() + 601.0)
    store.handoff.sweep()
    assert [path.name for path in store.handoff.folder.iterdir()] == ["proof"]
    store.close()
