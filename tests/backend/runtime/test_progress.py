"""Progress of a job that waits for kernels to be compiled, and what an early end means before its first step."""

from __future__ import annotations

import pytest

from backend.runtime.context import JobContext
from backend.runtime.kernel_compiler import STAGE
from shared.errors import JobCancelled


def test_progress_does_not_run_backwards_where_kernels_are_compiled() -> None:
    seen: list[tuple[int, int, str]] = []
    job = JobContext(on_progress=lambda done, total, stage, left: seen.append((done, total, stage)))
    job.step(0, 3, "reading")
    for done, total in ((0, 50), (20, 50), (20, 90), (80, 90)):  # more is wanted on the way
        job.compiling(done, total, None)
    job.step(1, 1000, "painting")
    job.compiling(90, 90, None)
    for done in (2, 500, 999, 1000):
        job.step(done, 1000, f"painting {done}")
    shares = [done / total for done, total, _ in seen]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    waited = [share for share, (_, _, stage) in zip(shares, seen, strict=True) if stage == STAGE]
    assert waited[0] < waited[1] < waited[3] <= waited[4] < 0.51
    assert seen[-2][0] < seen[-2][1], "it is not done before the end"


def test_a_job_without_compiling_reports_its_own_steps() -> None:
    seen: list[tuple[int, int]] = []
    job = JobContext(on_progress=lambda done, total, stage, left: seen.append((done, total)))
    for done in (0, 3, 7):
        job.step(done, 7, f"part {done}")
    assert seen == [(0, 7), (3, 7), (7, 7)]


def test_a_job_that_is_kept_before_its_first_step_goes_on_until_it_can_end_early() -> None:
    job = JobContext(is_cancelled=lambda: True, is_kept=lambda: True)
    job.step(0, 10, "reading")
    job.compiling(1, 50, None)
    job.step(1, 10, "painting")
    assert job.finish_early
    job.step(2, 10, "drawing")


def test_a_job_that_cannot_end_early_is_cancelled() -> None:
    job = JobContext(is_cancelled=lambda: True, is_kept=lambda: True)
    job.step(1, 10, "filling")
    with pytest.raises(JobCancelled):
        job.step(2, 10, "filling")
    with pytest.raises(JobCancelled):
        job.compiling(1, 50, None)


def test_a_job_that_is_not_kept_is_cancelled_at_once() -> None:
    for report in (lambda job: job.step(0, 10, "reading"), lambda job: job.compiling(0, 50, None)):
        with pytest.raises(JobCancelled):
            report(JobContext(is_cancelled=lambda: True))
