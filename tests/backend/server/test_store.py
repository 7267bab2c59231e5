"""Jobs on disk: whole or not at all, and gone when they are dropped."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.server.job import Job
from backend.server.job_files import read_inputs, write_result
from backend.server.store import Store
from shared.arrays import height_map
from shared.errors import InternalError
from shared.jobs import JobState

HEIGHT = height_map(np.arange(12.0).reshape(3, 4), 10.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state")
    yield made
    made.close()


def accept(store: Store) -> Job:
    job = Job(id=str(uuid.uuid4()), owner=str(uuid.uuid4()), algorithm="probe")
    store.accept(job, {"height": (HEIGHT, HEIGHT)})
    return job


def test_what_was_accepted_is_read_back(store: Store) -> None:
    job = accept(store)
    assert store.load() == [job]
    heights = read_inputs(store.folder(job.id))["height"]
    assert [array.pixel_size_m for array in heights] == [10.0, 10.0]
    heights[0].values[:] = 0.0
    again = read_inputs(store.folder(job.id))["height"][0]
    np.testing.assert_array_equal(again.values, HEIGHT.values, err_msg="writing to them changes no file")


def test_a_result_takes_the_place_of_one_that_nobody_heard_of(store: Store) -> None:
    job = accept(store)
    for factor in (1.0, 2.0):
        write_result(store.folder(job.id), {"height": (height_map(factor * HEIGHT.values, 10.0),)}, {"factor": factor})
    result = store.result(job.id)
    np.testing.assert_array_equal(result.arrays["height"][0].values, 2.0 * HEIGHT.values)
    assert result.recipe == {"factor": 2.0}
    assert store.outputs(job.id) == {"height": {"kind": "HEIGHT_MAP", "shape": [3, 4]}}


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_damaged_result_is_told(store: Store, damage: str) -> None:
    job = accept(store)
    write_result(store.folder(job.id), {"height": (HEIGHT,)}, {})
    path = store.folder(job.id) / "outputs" / "0.raw"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(b"1234")
    with pytest.raises(InternalError, match="cannot be read"):
        store.result(job.id)


def test_a_copied_job_folder_is_left_alone(store: Store) -> None:
    job = accept(store)
    copy = store.folder(job.id).with_name("copy")
    copy.mkdir()
    (copy / "job.json").write_text(json.dumps(job.to_json()))
    assert store.load() == [job]


def test_sizes_count_inputs_once_they_are_gone_no_more(store: Store) -> None:
    job = accept(store)
    write_result(store.folder(job.id), {"height": (HEIGHT,)}, {})
    store.drop_inputs(job.id)
    job.state = JobState.SUCCEEDED
    store.save(job)
    folder = store.folder(job.id)
    expected = sum(os.path.getsize(Path(base) / name) for base, _, names in os.walk(folder) for name in names)
    assert store.size_bytes(job.id) == expected >= HEIGHT.values.nbytes


def test_what_cannot_be_dropped_now_is_dropped_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where a file that a client still maps cannot be moved."""
    job, kept = accept(store), accept(store)
    with monkeypatch.context() as mapped:

        def refuse(*_: object) -> None:
            raise PermissionError(13, "in use")

        mapped.setattr(os, "replace", refuse)
        store.drop(job.id)
        store.empty_trash()
        assert store.folder(job.id).exists()
    store.empty_trash()
    assert store.load() == [kept]
    assert list((store.root / "trash").iterdir()) == []
