"""No byte of any engine depends on the number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import backend
from shared.catalog import ALGORITHMS
from shared.errors import InvalidParameter
from tests.support.thread_digests import SETTINGS, THREADS

ROOT = Path(__file__).resolve().parents[3]


def test_every_engine_makes_the_same_bytes_with_any_number_of_threads() -> None:
    """In one process for all, with as many threads as a large machine has; where there are fewer cores they take turns."""
    environment = os.environ | {"NUMBA_NUM_THREADS": str(max(THREADS)), "OMP_NUM_THREADS": str(max(THREADS))}
    command = [sys.executable, "-m", "tests.support.thread_digests"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {job["engine"] for job in found} == {spec.name for spec in ALGORITHMS}
    assert len(found) == sum(len(several) for several in SETTINGS.values())
    assert not [job for job in found if len(set(job["digests"])) != 1 or len(job["digests"]) != len(THREADS)]


@pytest.mark.parametrize(("given", "wanted"), [(1, 1), (3, 3), (None, 2)])
def test_a_run_takes_the_threads_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch, given: int | None, wanted: int
) -> None:
    import torch

    seen: list[int] = []
    monkeypatch.setenv("RELIEVO_THREADS", "2")
    backend.run(
        "noise", width_px=16, height_px=16, device="cpu", threads=given,
        on_progress=lambda *_: seen.append(torch.get_num_threads()),
    )  # fmt: skip
    assert seen, "noise reports"
    assert set(seen) == {wanted}


def test_no_threads_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="0 threads") as refused:
        backend.run("noise", threads=0)
    assert refused.value.field == "threads"
