"""Whose turn it is, and which results must go: rules without a process or a clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.server.job import Job
from backend.server.scheduler import Scheduler
from backend.server.store import expired
from shared.errors import QueueFull, UnknownJob
from shared.jobs import MOVES, JobState, move


def queue(scheduler: Scheduler, *owners: str) -> list[Job]:
    jobs = [Job(id=f"{owner}{index}", owner=owner, algorithm="probe") for index, owner in enumerate(owners)]
    for job in jobs:
        scheduler.add(job)
    return jobs


def run_all(scheduler: Scheduler) -> list[str]:
    order = []
    while (job := scheduler.start_next("worker")) is not None:
        order.append(job.id)
        scheduler.end(job, JobState.SUCCEEDED)
    return order


def test_owners_take_turns_and_keep_their_own_order() -> None:
    scheduler = Scheduler()
    queue(scheduler, "a", "a", "a", "b", "c", "b")
    assert run_all(scheduler) == ["a0", "b3", "c4", "a1", "b5", "a2"]


@given(st.lists(st.sampled_from("abcd"), max_size=30))
def test_positions_are_those_of_the_order_that_follows(owners: list[str]) -> None:
    scheduler = Scheduler()
    positions = {job.id: scheduler.position(job.id) for job in queue(scheduler, *owners)}
    positions = {job_id: scheduler.position(job_id) for job_id in positions}
    order = run_all(scheduler)
    assert sorted(order) == sorted(positions), "every job runs once"
    assert [positions[job_id] for job_id in order] == list(range(len(order)))


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=20), st.data())
def test_cancelled_jobs_never_run(owners: list[str], data: st.DataObject) -> None:
    scheduler = Scheduler()
    jobs = queue(scheduler, *owners)
    cancelled = data.draw(st.sets(st.sampled_from([job.id for job in jobs])))
    for job_id in cancelled:
        scheduler.cancel(scheduler.job(job_id))
    assert set(run_all(scheduler)) == {job.id for job in jobs} - cancelled
    assert scheduler.queued_count == 0


def test_a_worker_has_one_job_at_a_time() -> None:
    scheduler = Scheduler()
    queue(scheduler, "a", "a")
    assert scheduler.start_next("worker") is not None
    with pytest.raises(ValueError, match="busy"):
        scheduler.start_next("worker")
    assert scheduler.start_next("another") is not None


def test_a_job_that_lost_its_worker_goes_first() -> None:
    scheduler = Scheduler()
    queue(scheduler, "a", "a")
    job = scheduler.start_next("worker")
    assert job is not None
    scheduler.requeue(job)
    assert run_all(scheduler) == ["a0", "a1"]
    assert job.attempts == 2


def test_limits_are_of_one_and_of_all() -> None:
    scheduler = Scheduler(max_queued=3, max_queued_per_owner=2)
    queue(scheduler, "a", "a")
    with pytest.raises(QueueFull):
        scheduler.check_room("a")
    scheduler.check_room("b")
    with pytest.raises(QueueFull):
        scheduler.check_room("b", coming=1)


def test_what_is_forgotten_is_unknown() -> None:
    scheduler = Scheduler()
    (job,) = queue(scheduler, "a")
    scheduler.cancel(job)
    scheduler.forget(job.id)
    with pytest.raises(UnknownJob):
        scheduler.job(job.id)


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("to", JobState)
def test_only_the_legal_moves_exist(state: JobState, to: JobState) -> None:
    if to in MOVES[state]:
        assert move(state, to) is to
    else:
        with pytest.raises(ValueError, match="cannot go"):
            move(state, to)
    assert state.is_final == (state.value in ("succeeded", "failed", "cancelled"))


def ended(name: str, finished_at: float, state: JobState = JobState.SUCCEEDED) -> Job:
    return Job(id=name, owner="o", algorithm="probe", state=state, finished_at=finished_at)


def test_old_results_go_then_the_oldest_until_the_rest_fits() -> None:
    jobs = [(ended("new", 90.0), 40), (ended("old", 10.0), 40), (ended("middle", 50.0), 40)]
    assert [job.id for job in expired(jobs, 100.0, max_age_s=1000.0, max_bytes=100)] == ["old"]
    assert [job.id for job in expired(jobs, 100.0, max_age_s=60.0, max_bytes=1000)] == ["old"]
    assert [job.id for job in expired(jobs, 100.0, max_age_s=1000.0, max_bytes=0)] == ["old", "middle", "new"]
    assert expired(jobs, 100.0, max_age_s=1000.0, max_bytes=120) == []


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING])
def test_a_job_that_has_not_ended_is_never_removed(state: JobState) -> None:
    assert expired([(ended("busy", 0.0, state), 10**12)], 10.0**9, max_age_s=0.0, max_bytes=0) == []


def test_a_job_survives_its_json() -> None:
    job = Job(id="i", owner="o", algorithm="a", params={"x": 1}, state=JobState.RUNNING, attempts=1, stage="s")
    assert Job.from_json(job.to_json() | {"field_of_a_newer_version": 1}) == job
