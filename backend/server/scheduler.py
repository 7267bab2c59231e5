"""Which job goes next, and to whom. Pure logic: no socket, no clock of its own, no process, no disk.

Owners take turns, so that one who queues fifty jobs does not hold up another who wants one; an owner's own jobs go in
order. A worker gets jobs that may run on its device only; a job that waits for one device holds up none that waits for another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from backend.server.job import Job
from shared.errors import QueueFull, UnknownJob
from shared.jobs import JobState

MAX_QUEUED = 256
MAX_QUEUED_PER_OWNER = 64


class Scheduler:
    """Every job the server knows, the queues of those that wait, and which worker computes which.

    devices_of: the devices whose workers may compute a job, as they are known now; () for a job that has to wait.
    """

    def __init__(
        self,
        devices_of: Callable[[Job], Sequence[str]] = lambda job: ("cpu",),
        *,
        max_queued: int = MAX_QUEUED,
        max_queued_per_owner: int = MAX_QUEUED_PER_OWNER,
    ) -> None:
        self._devices_of = devices_of
        self.jobs: dict[str, Job] = {}
        self._queues: dict[str, deque[str]] = {}  # by owner; the owner whose turn is next comes first
        self._running: dict[str, str] = {}  # worker -> job
        self._max_queued = max_queued
        self._max_queued_per_owner = max_queued_per_owner

    def check_room(self, owner: str, coming: int = 0) -> None:
        """Raises QueueFull when this owner, or all together, have as many jobs waiting as may wait. coming: about to
        be added.
        """
        waiting = len(self._queues.get(owner, ())) + coming
        if waiting >= self._max_queued_per_owner or self.queued_count + coming >= self._max_queued:
            raise QueueFull(
                f"{waiting} of your jobs are already queued, {self.queued_count} of all clients.",
                hint="Wait for some to finish, or cancel them.",
            )

    def add(self, job: Job) -> None:
        """A new job, or one from disk: it waits if its state is QUEUED, and is only remembered otherwise."""
        self.jobs[job.id] = job
        if job.state is JobState.QUEUED:
            self._queues.setdefault(job.owner, deque()).append(job.id)

    def requeue(self, job: Job) -> None:
        """A job that lost its worker through no fault of its own goes back to the head of its owner's queue."""
        self._forget_worker(job.id)
        job.move(JobState.QUEUED)
        self._queues.setdefault(job.owner, deque()).appendleft(job.id)

    def job(self, job_id: str) -> Job:
        try:
            return self.jobs[job_id]
        except KeyError:
            raise UnknownJob(
                f"There is no job {job_id}.", hint="It may have been released, or be too old.", field="job"
            ) from None

    def of_owner(self, owner: str) -> list[Job]:
        return [job for job in self.jobs.values() if job.owner == owner]

    @property
    def queued_count(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    @property
    def running(self) -> dict[str, str]:
        """Job id by worker."""
        return dict(self._running)

    @property
    def wanted_devices(self) -> list[str]:
        """The devices that the waiting jobs may run on, each once."""
        queued = (job_id for queue in self._queues.values() for job_id in queue)
        return list(dict.fromkeys(device for job_id in queued for device in self._devices_of(self.jobs[job_id])))

    @property
    def without_device(self) -> list[Job]:
        """The waiting jobs that no device is known for."""
        queued = [job_id for queue in self._queues.values() for job_id in queue]
        return [self.jobs[job_id] for job_id in queued if not self._devices_of(self.jobs[job_id])]

    def position(self, job_id: str) -> int:
        """How many jobs for the same devices go before this one if no more come; 0 for one that is next, runs or has ended."""
        if self.job(job_id).state is not JobState.QUEUED:
            return 0
        own = set(self._devices_of(self.jobs[job_id]))
        before = 0
        for waiting in self._order():
            if waiting == job_id:
                return before
            others = self._devices_of(self.jobs[waiting])
            before += not own or not others or not own.isdisjoint(others)
        return 0

    def start_next(self, worker: str, device: str = "cpu") -> Job | None:
        """The job that this idle worker, on this device, shall compute now, if one waits; it is RUNNING from here on."""
        if worker in self._running:
            raise ValueError(f"worker {worker} is busy")
        for owner, queue in self._queues.items():
            for job_id in queue:
                if device in self._devices_of(self.jobs[job_id]):
                    return self._start(self.jobs[job_id], owner, worker)
        return None

    def _start(self, job: Job, owner: str, worker: str) -> Job:
        queue = self._queues.pop(owner)
        queue.remove(job.id)
        if queue:
            self._queues[owner] = queue  # at the end: the others are first now
        job.move(JobState.RUNNING)
        job.attempts += 1
        self._running[worker] = job.id
        return job

    def cancel(self, job: Job) -> None:
        """QUEUED becomes CANCELLED, RUNNING becomes CANCELLING; any other state stays as it is."""
        if job.state is JobState.QUEUED:
            self._leave_queue(job)
            job.move(JobState.CANCELLED)
        elif job.state is JobState.RUNNING:
            job.move(JobState.CANCELLING)

    def end(self, job: Job, state: JobState) -> None:
        """The last move of a job; its worker is free again."""
        if job.state is JobState.QUEUED:
            self._leave_queue(job)
        job.move(state)
        self._forget_worker(job.id)

    def forget(self, job_id: str) -> None:
        del self.jobs[job_id]

    def worker_of(self, job_id: str) -> str | None:
        return next((worker for worker, running in self._running.items() if running == job_id), None)

    def _forget_worker(self, job_id: str) -> None:
        worker = self.worker_of(job_id)
        if worker is not None:
            del self._running[worker]

    def _leave_queue(self, job: Job) -> None:
        queue = self._queues[job.owner]
        queue.remove(job.id)
        if not queue:
            del self._queues[job.owner]

    def _order(self) -> Iterator[str]:
        queues = [list(queue) for queue in self._queues.values()]
        for turn in range(max(map(len, queues), default=0)):
            yield from (queue[turn] for queue in queues if turn < len(queue))
