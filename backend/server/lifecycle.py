"""How jobs live and end: what a worker's word, a cancel, a dead worker and the passing of time do to them.

Holds scheduler, placement, store and worker pool together, and tells owners what happens to their jobs. Answers no request
(service.py does) and knows no socket.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from backend.runtime import device_speeds, registry
from backend.runtime.kernel_compiler import STAGE
from backend.server import clock
from backend.server.background import Background
from backend.server.job import MAX_ATTEMPTS, Job, error_json
from backend.server.placement import Placement
from backend.server.scheduler import Scheduler
from backend.server.send_queue import SendQueue
from backend.server.store import Store, expired
from backend.server.worker_pool import Died, Ready, Said, WorkerPool
from shared.algorithm import AlgorithmSpec
from shared.codec import encode
from shared.devices import AUTO
from shared.errors import RelievoError, UnknownAlgorithm, WorkerDied, error_from_code
from shared.jobs import JobState
from shared.messages import Finished, Progress
from shared.params import completed, parse

log = logging.getLogger(__name__)

CANCEL_GRACE_S = 0.15  # for the algorithm to notice; its worker is killed then
KEEP_GRACE_S = 30.0  # for it to finish early and store what it has
SWEEP_INTERVAL_S = 60.0
GRACE_S = 3600.0  # what an earlier server left is not too old before this one has run so long: its clock may be put right meanwhile
NONSENSE_S = 5 * 365 * 24 * 3600.0  # an age beyond is a clock that was wrong, now or then


def job_kinds(spec: AlgorithmSpec, params: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of devices that a job with these parameters (JSON) runs on, the fastest at a typical size first. All kinds of the
    algorithm where the parameters do not fit it."""
    try:
        return device_speeds.ordered(spec, parse(spec.params, params))
    except RelievoError:
        return spec.devices


class Lifecycle:
    """Every job from acceptance to removal. clients_of: the connections of an owner. placement: the devices of this server.

    devices: those of the machine, as the first worker found them.
    """

    def __init__(
        self,
        *,
        store: Store,
        pool: WorkerPool,
        placement: Placement,
        send_queue: SendQueue,
        sweeper: Background,
        clients_of: Callable[[str], list[bytes]],
        max_age_s: float,
        max_bytes: int,
    ) -> None:
        self.scheduler = Scheduler(lambda job: placement.devices_for(job.device, job.kinds))
        self.store = store
        self.devices: list[dict[str, Any]] = []
        self._pool = pool
        self._placement = placement
        self._send_queue = send_queue
        self._sweeper = sweeper
        self._clients_of = clients_of
        self._max_age_s, self._max_bytes = max_age_s, max_bytes
        self._deadlines: dict[str, float] = {}  # job -> monotonic time at which its worker is killed
        self._kept: set[str] = set()  # jobs that run and were asked to end early with what they have
        self._sizes: dict[str, int] = {}  # bytes on disk of jobs that have ended
        self._swept_at = time.monotonic()
        self._clock = clock.Clock()
        self._earlier: set[str] = set()  # the jobs that an earlier server left
        self._kinds = {spec.name: job_kinds(spec, {}) for spec in registry.algorithms()}

    def recover(self) -> None:
        """Take up what an earlier server left: waiting jobs wait on, one that ran is tried once more, ended ones wait
        for Fetch.
        """
        for job in self.store.load():
            try:
                self._recover(job)
                self._earlier.add(job.id)
            except Exception as error:  # whatever its files hold: it must not keep the other jobs away
                self.scheduler.jobs.pop(job.id, None)
                self.store.set_aside(self.store.folder(job.id), error)
        self._sweep()

    def _recover(self, job: Job) -> None:
        was_running = job.state in (JobState.RUNNING, JobState.CANCELLING)
        if was_running and self.store.has_result(job.id):
            self.scheduler.add(job)
            self._finish(job, JobState.SUCCEEDED)
        elif job.state is JobState.CANCELLING:
            self.scheduler.add(job)
            self._finish(job, JobState.CANCELLED)
        elif was_running and job.attempts >= MAX_ATTEMPTS:
            self.scheduler.add(job)
            sentence = f"The backend ended {job.attempts} times while it computed this job."
            self._finish(job, JobState.FAILED, WorkerDied(sentence, hint="Try a smaller map."))
        else:
            if was_running:
                job.move(JobState.QUEUED)
            if job.algorithm in self._kinds:  # an older version may have known other devices, and fewer parameters
                spec = registry.find_algorithm(job.algorithm)
                job.params = completed(spec.params, job.params)
                job.kinds = list(job_kinds(spec, job.params))
            self.scheduler.add(job)
            if not job.state.is_final and job.algorithm not in self._kinds:
                gone = UnknownAlgorithm(f"This backend has no algorithm {job.algorithm!r} any more.")
                self._finish(job, JobState.FAILED, gone)

    def dispatch(self) -> None:
        """Give idle workers the jobs that wait for their devices; have workers on the devices that are wanted."""
        busy = self.scheduler.running
        for worker, device in self._pool.ready.items():
            job = self.scheduler.start_next(worker, device) if worker not in busy else None
            if job is not None:
                job.started_at = clock.now()
                self.store.save(job)
                folder = str(self.store.folder(job.id))
                self._pool.send(
                    worker,
                    {
                        "do": "compute",
                        "job": job.id,
                        "algorithm": job.algorithm,
                        "params": job.params,
                        "preview": job.preview,
                        "device": job.device,
                        "folder": folder,
                    },
                )
                self._tell_progress(job)
        for device in self.scheduler.wanted_devices:
            self._pool.want(device)

    def cancel(self, job: Job, keep: bool) -> bool:
        """Whether the job has ended by that alone."""
        was = job.state
        self.scheduler.cancel(job)
        if was is JobState.QUEUED:
            self._note_end(job)
            return True
        if job.state is JobState.CANCELLING:
            worker = self.scheduler.worker_of(job.id)
            assert worker is not None
            self._pool.send(worker, {"do": "cancel", "job": job.id, "keep": keep})
            (self._kept.add if keep else self._kept.discard)(job.id)
            deadline = time.monotonic() + (KEEP_GRACE_S if keep else CANCEL_GRACE_S)
            self._deadlines[job.id] = min(deadline, self._deadlines.get(job.id, deadline))
            self.store.save(job)
        return False

    def _finish(self, job: Job, state: JobState, error: RelievoError | None = None) -> None:
        if state is JobState.SUCCEEDED:
            try:
                job.outputs = self.store.outputs(job.id)
                job.done = job.total
            except RelievoError as unreadable:
                state, error = JobState.FAILED, unreadable
        self.scheduler.end(job, state)
        job.error = error_json(error) if error is not None else None
        if state is not JobState.SUCCEEDED:
            self.store.drop_outputs(job.id)
        self._note_end(job)
        self.announce(job)

    def _note_end(self, job: Job) -> None:
        job.finished_at = clock.now()
        job.remaining_s = None
        self._deadlines.pop(job.id, None)
        self._kept.discard(job.id)
        self.store.save(job)
        self.store.drop_inputs(job.id)
        self._sweeper.do(self.store.empty_trash)
        log.info("job %s %s after %.2f s", job.id, job.state.value, job.seconds(job.finished_at))

    def announce(self, job: Job) -> None:
        finished = Finished(
            id=str(uuid.uuid4()),
            job=job.id,
            state=job.state.value,
            seconds=job.seconds(job.finished_at),
            outputs=job.outputs,
            error=job.error,
        )
        for client in self._clients_of(job.owner):
            self._send_queue.send_final(client, job.id, finished)

    def _tell_progress(self, job: Job) -> None:
        clients = self._clients_of(job.owner)
        if clients:
            frames = encode(
                Progress(
                    id=str(uuid.uuid4()),
                    job=job.id,
                    state=job.state.value,
                    done=job.done,
                    total=job.total,
                    stage=job.stage,
                    remaining_s=job.remaining_s,
                )
            )
            for client in clients:
                self._send_queue.send_event(client, (job.id, "Progress"), frames)

    # Workers --------------------------------------------------------------------------------------------------------

    def on_worker(self, event: Ready | Said | Died) -> None:
        """What a worker said, or how it ended."""
        if isinstance(event, Said):
            self._on_said(event)
        elif isinstance(event, Died):
            self._on_died(event)
        else:
            self._on_ready(event)
        self.dispatch()

    def _on_ready(self, ready: Ready) -> None:
        self.devices = ready.devices
        self._placement.learn([device["name"] for device in ready.devices])
        self._placement.set_failed(ready.device, False)
        for device in self.auto_devices.values():  # warm before the first job comes
            self._pool.want(device)

    @property
    def auto_devices(self) -> dict[str, str]:
        """By algorithm the device that "auto" takes with default parameters; empty until the first worker is up."""
        if not self.devices:
            return {}
        found = {name: self._placement.devices_for(AUTO, kinds) for name, kinds in self._kinds.items()}
        return {name: devices[0] for name, devices in found.items() if devices}

    def _on_said(self, said: Said) -> None:
        job = self.scheduler.jobs.get(said.job)
        if job is None or self.scheduler.worker_of(said.job) != said.worker:
            return  # the last words of a worker that was given up
        match said.what:
            case "progress":
                job.done, job.total, job.stage = said.values["done"], said.values["total"], said.values["stage"]
                job.remaining_s = said.values["remaining_s"]
                if job.id in self._kept and job.stage == STAGE:  # it cannot end before its kernels are compiled
                    self._deadlines[job.id] = time.monotonic() + KEEP_GRACE_S
                self._tell_progress(job)
            case "preview":
                for client in self._clients_of(job.owner):
                    self._send_queue.send_event(client, (job.id, "Preview"), list(said.frames))
            case "done":
                self.store.trust_result(job.id)
                self._finish(job, JobState.SUCCEEDED)
            case "cancelled":
                self._finish(job, JobState.CANCELLED)
            case "failed":
                self._finish(job, JobState.FAILED, error_from_code(**said.values["error"]))

    def _on_died(self, died: Died) -> None:
        job_id = self.scheduler.running.get(died.worker)
        if job_id is not None:
            job = self.scheduler.job(job_id)
            if self.store.has_result(job_id):
                self._finish(job, JobState.SUCCEEDED)
            elif job.state is JobState.CANCELLING:
                self._finish(job, JobState.CANCELLED)
            else:
                self._finish(job, JobState.FAILED, WorkerDied(died.reason, hint=died.hint))
        if died.failed:
            self._placement.set_failed(died.device, True)
            for job in self.scheduler.without_device:  # no worker will come for them
                self._finish(job, JobState.FAILED, WorkerDied(died.reason, hint=died.hint))

    def tick(self, now: float) -> None:
        """What time alone brings: workers that did not hear a cancel, and results that are too old or too many."""
        for job_id in [job_id for job_id, deadline in self._deadlines.items() if deadline <= now]:
            del self._deadlines[job_id]
            worker = self.scheduler.worker_of(job_id)
            if worker is not None:
                log.info("worker %s did not react to the cancellation of job %s and is killed", worker, job_id)
                self._pool.kill(worker)
        if now - self._swept_at >= min(SWEEP_INTERVAL_S, max(self._max_age_s / 10, 0.25)):
            self._swept_at = now
            self._sweep()

    def remove(self, job: Job) -> None:
        """Forget a job that has ended, and its files."""
        self.scheduler.forget(job.id)
        self._sizes.pop(job.id, None)
        self._earlier.discard(job.id)
        self.store.drop(job.id)
        self._sweeper.do(self.store.empty_trash)

    def _sweep(self) -> None:
        ended = [job for job in self.scheduler.jobs.values() if job.state.is_final]
        for job in ended:
            if job.id not in self._sizes:
                self._sizes[job.id] = self.store.size_bytes(job.id)
        sized = [(job, self._sizes[job.id]) for job in ended]
        left = self._max_bytes - sum(self._sizes[job.id] for job in ended)
        dropped = self.store.drop_spoiled(self._is_too_old, left)  # these first: nobody can fetch them
        left = self._max_bytes - sum(entry.size_bytes for entry in self.store.spoiled)
        gone = expired(sized, clock.now(), max_age_s=self._max_age_s, max_bytes=left, is_too_old=self._is_too_old)
        for job in gone:
            log.info("job %s is removed: too old, or the store is full", job.id)
            self.remove(job)
        if dropped and not gone:
            self._sweeper.do(self.store.empty_trash)
        self._sweeper.do(self.store.handoff.sweep)

    def _is_too_old(self, since: float, job_id: str = "") -> bool:
        """Of what has lain there since that moment. Of what an earlier server left only where this process's clock and the system's
        agree, and not at once: either may have been set meanwhile, and a result is gone for good.
        """
        age_s = clock.now() - since
        if job_id and job_id not in self._earlier:
            return age_s > self._max_age_s
        age_s = min(age_s, time.time() - since)
        if age_s > NONSENSE_S:
            age_s = self._clock.running_s
        return age_s > self._max_age_s and self._clock.running_s >= min(GRACE_S, self._max_age_s / 100)

    @property
    def next_deadline(self) -> float | None:
        return min(self._deadlines.values(), default=None)

    @property
    def is_busy(self) -> bool:
        """Whether any job waits or runs."""
        return bool(self.scheduler.queued_count or self.scheduler.running)

    def suspend(self) -> None:
        """Before the end: jobs that run go back to the queue on disk, for the next start; it does not count as an
        attempt.
        """
        for job_id in self.scheduler.running.values():
            job = self.scheduler.job(job_id)
            if job.state is JobState.RUNNING and self.store.has_result(job.id):  # done, and not heard any more
                self._finish(job, JobState.SUCCEEDED)
            elif job.state is JobState.RUNNING:
                self.scheduler.requeue(job)
                job.attempts -= 1
                job.started_at = 0.0
                self.store.save(job)
