"""Whose turn it is, and which results must go: rules without a process or a clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.server.job import Job
from backend.server.placement import Placement
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


def on_devices(**devices: str) -> Scheduler:
    """A scheduler with a job of owner o for each name, which may run on the devices named beside it."""
    scheduler = Scheduler(lambda job: tuple(devices[job.id].split()))
    for name in devices:
        scheduler.add(Job(id=name, owner="o", algorithm="probe"))
    return scheduler


def test_a_worker_gets_jobs_of_its_device_only() -> None:
    scheduler = on_devices(gpu="cuda:0", either="cuda:0 cpu", cpu="cpu", none="")
    assert [scheduler.position(name) for name in ("gpu", "either", "cpu")] == [0, 1, 1]
    started = scheduler.start_next("c", "cpu")
    assert started is not None
    assert started.id == "either", "what waits for the GPU holds up none that does not"
    assert scheduler.wanted_devices == ["cuda:0", "cpu"]
    assert [job.id for job in scheduler.without_device] == ["none"]
    assert scheduler.start_next("m", "mps") is None
    assert [job.id for job in (scheduler.start_next("g", "cuda:0"),) if job] == ["gpu"]


def test_owners_take_turns_on_every_device() -> None:
    scheduler = Scheduler(lambda job: (job.id[1:],))
    for name in ("acpu", "acuda:0", "bcuda:0", "bcpu"):
        scheduler.add(Job(id=name, owner=name[0], algorithm="probe"))
    order = [(scheduler.start_next(f"{device}{n}", device) or Job(id="", owner="", algorithm="")).id
             for n, device in enumerate(("cuda:0", "cpu", "cuda:0", "cpu"))]  # fmt: skip
    assert order == ["acuda:0", "bcpu", "bcuda:0", "acpu"]


@given(st.lists(st.sampled_from(["cpu", "cuda:0", "cuda:0 cpu"]), max_size=12), st.data())
def test_no_job_is_forgotten_and_none_runs_where_it_must_not(wishes: list[str], data: st.DataObject) -> None:
    scheduler = on_devices(**{f"j{index}": wish for index, wish in enumerate(wishes)})
    placed: dict[str, str] = {}
    while scheduler.queued_count:
        device = data.draw(st.sampled_from(["cpu", "cuda:0"]))
        job = scheduler.start_next("worker", device)
        if job is not None:
            placed[job.id] = device
            scheduler.end(job, JobState.SUCCEEDED)
    assert all(placed[f"j{index}"] in wish.split() for index, wish in enumerate(wishes))


NOISE, RELIEF, GPU_FIRST, GPU_ONLY = ("cpu", "cuda"), ("cpu",), ("cuda", "cpu"), ("cuda",)
CARD = ("cuda:0", "cuda:1", "cpu")


@pytest.mark.parametrize(
    ("named", "machine", "failed", "wanted", "kinds", "devices"),
    [
        # auto: what the algorithm prefers among what the machine has
        ((), CARD, (), "auto", NOISE, ("cpu",)),
        ((), CARD, (), "auto", GPU_FIRST, ("cuda:0", "cuda:1")),
        ((), ("cpu",), (), "auto", GPU_FIRST, ("cpu",)),
        ((), ("mps", "cpu"), (), "auto", GPU_FIRST, ("cpu",)),
        (("auto",), CARD, (), "auto", GPU_FIRST, ("cuda:0", "cuda:1")),
        # before the first worker is up only the CPU is sure to be there
        ((), (), (), "auto", NOISE, ("cpu",)),
        ((), (), (), "auto", GPU_FIRST, ()),
        ((), (), (), "cuda", NOISE, ()),
        ((), (), (), "cpu", NOISE, ("cpu",)),
        # a worker that does not come up: auto takes the next kind, a named device is waited for in vain
        ((), CARD, ("cuda:0",), "auto", GPU_FIRST, ("cuda:1",)),
        ((), CARD, ("cuda:0", "cuda:1"), "auto", GPU_FIRST, ("cpu",)),
        ((), CARD, ("cpu",), "auto", NOISE, ("cuda:0", "cuda:1")),
        ((), CARD, ("cpu",), "auto", RELIEF, ()),
        ((), CARD, ("cuda:0",), "cuda:0", NOISE, ()),
        # a device of the job's own
        ((), CARD, (), "cuda", NOISE, ("cuda:0",)),
        ((), CARD, (), "cuda:1", NOISE, ("cuda:1",)),
        ((), CARD, (), "cuda:1", RELIEF, ("cpu",)),
        ((), CARD, (), "cuda:9", NOISE, ("cpu",)),
        ((), CARD, (), "mps", NOISE, ("cpu",)),
        # serve --device: that one where the algorithm can, the CPU for the others
        (("cuda",), CARD, (), "auto", NOISE, ("cuda:0",)),
        (("cuda",), (), (), "auto", NOISE, ("cuda:0",)),
        (("cuda",), CARD, (), "auto", RELIEF, ("cpu",)),
        (("cuda",), CARD, (), "cuda:1", NOISE, ("cpu",)),
        (("cuda:0", "cpu"), CARD, (), "auto", NOISE, ("cpu",)),
        (("cuda:0", "cpu"), CARD, ("cuda:0",), "auto", GPU_FIRST, ("cpu",)),
        (("cpu",), CARD, (), "auto", GPU_FIRST, ("cpu",)),
        (("cuda:9",), ("cpu",), ("cuda:9",), "auto", NOISE, ()),
        (("cuda:9",), ("cpu",), ("cuda:9",), "auto", RELIEF, ("cpu",)),
        # nothing that it runs on: the CPU's worker refuses it
        ((), ("cpu",), (), "auto", GPU_ONLY, ("cpu",)),
        ((), CARD, ("cuda:0", "cuda:1"), "auto", GPU_ONLY, ()),
    ],
)  # fmt: skip
def test_where_a_job_is_computed(named, machine, failed, wanted, kinds, devices) -> None:
    placement = Placement(named)
    placement.learn(machine)
    for device in failed:
        placement.set_failed(device, True)
    assert placement.devices_for(wanted, kinds) == devices


def test_a_cpu_worker_is_always_there() -> None:
    assert Placement().at_start == ("cpu",)
    assert Placement(["cpu"]).at_start == ("cpu",)
    assert Placement(["cuda", "cuda:1", "cuda:0"]).at_start == ("cuda:0", "cuda:1", "cpu")


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


def test_a_job_of_an_older_version_has_no_device_of_its_own() -> None:
    values = Job(id="i", owner="o", algorithm="a").to_json()
    old = Job.from_json({key: value for key, value in values.items() if key not in ("device", "kinds")})
    assert (old.device, old.kinds) == ("auto", ["cpu"])
