"""What each message means: the answer to every request, and what a worker's word does to its job.

The server (server.py) hands in decoded messages and the time; everything slow (checking and storing arrays, removing old ones) goes
to a background thread. Computes nothing, imports no torch.
"""

from __future__ import annotations

import hmac
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backend import registry
from backend.background import Background
from backend.job import MAX_ATTEMPTS, Job, error_json
from backend.outbox import Outbox
from backend.scheduler import MAX_QUEUED_PER_OWNER, Scheduler
from backend.store import MAX_AGE_S, MAX_BYTES, Store, expired
from backend.workforce import Died, Ready, Said, Workforce
from shared.algorithm import AlgorithmSpec, check_inputs
from shared.codec import MAX_ARRAYS, MAX_TOTAL_BYTES, encode
from shared.errors import (
    AccessDenied,
    InvalidInput,
    ProtocolError,
    RelievoError,
    UnknownAlgorithm,
    VersionMismatch,
    WorkerDied,
    error_from_code,
)
from shared.handoff import Handoff
from shared.jobs import JobState
from shared.messages import (
    Accepted,
    Cancel,
    Failure,
    Fetch,
    Finished,
    Goodbye,
    Hello,
    Message,
    Ping,
    Pong,
    Progress,
    Query,
    Release,
    Released,
    Result,
    Shutdown,
    Status,
    Submit,
    Welcome,
)
from shared.params import parse, to_json
from shared.version import PROTOCOL, PROTOCOL_MAJOR, VERSION

log = logging.getLogger(__name__)

CANCEL_GRACE_S = 0.15  # for the algorithm to notice; its worker is killed then
KEEP_GRACE_S = 30.0  # for it to finish early and store what it has
SWEEP_INTERVAL_S = 60.0

Reply = Callable[[Message], None]


@dataclass
class _Pending:
    """A job that is being stored: who waits for the answer, and what else was asked about it meanwhile."""

    owner: str
    replies: list[Reply] = field(default_factory=list)
    deferred: list[tuple[bytes, Message]] = field(default_factory=list)


class Service:
    """The backend's state and rules. on_shutdown is called when a client asks the backend to end."""

    def __init__(
        self,
        *,
        session: str,
        token: str,
        store: Store,
        workforce: Workforce,
        outbox: Outbox,
        background: Background,
        on_shutdown: Callable[[], None],
        max_age_s: float = MAX_AGE_S,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._session = session
        self._token = token
        self._store = store
        self._workforce = workforce
        self._outbox = outbox
        self._background = background
        self._on_shutdown = on_shutdown
        self._max_age_s, self._max_bytes = max_age_s, max_bytes
        self._scheduler = Scheduler()
        self._owners: dict[bytes, str] = {}  # who is behind each connection that has said Hello
        self._pending: dict[str, _Pending] = {}
        self._deadlines: dict[str, float] = {}  # job -> monotonic time at which its worker is killed
        self._devices: list[dict[str, Any]] = []
        self._swept_at = time.monotonic()
        self._digests = {spec.name: spec.digest for spec in registry.algorithms()}

    # Requests --------------------------------------------------------------------------------------------------------------------

    def handle(self, client: bytes, message: Message) -> None:
        """Answer one request."""
        try:
            if isinstance(message, Hello):
                self._reply(client, message, self._hello(client, message))
                return
            owner = self._owners.get(client)
            if owner is None:
                raise AccessDenied(
                    "Say Hello first.", hint="The connection was closed meanwhile, or the backend was restarted."
                )
            self._handle_known(client, owner, message)
        except RelievoError as error:
            self._discard_arrays(message)
            self._reply(client, message, Failure(**error_json(error)))

    def _discard_arrays(self, message: Message) -> None:
        for given in message.arrays.values() if isinstance(message, Submit) else ():
            for array in given:
                self._store.handoff.discard(array.values)

    def _handle_known(self, client: bytes, owner: str, message: Message) -> None:
        pending = self._pending.get(getattr(message, "job", ""))
        if pending is not None and not isinstance(message, Submit):
            pending.deferred.append((client, message))
            return
        match message:
            case Submit():
                self._submit(client, owner, message)
            case Fetch():
                result = self._fetch(owner, message)
                self._reply(client, message, result, self._store.handoff if message.handoff else None)
            case Cancel():
                job = self._own_job(owner, message.job)
                finished = self._cancel(job, message.keep)
                self._reply(client, message, Status(jobs=[self._status(job)]))
                if finished:
                    self._announce(job)
            case Query():
                jobs = [self._own_job(owner, message.job)] if message.job else self._scheduler.of_owner(owner)
                self._reply(client, message, Status(jobs=[self._status(job) for job in jobs]))
            case Release():
                self._release(owner, message.job)
                self._reply(client, message, Released(job=message.job))
            case Ping():
                self._reply(client, message, Pong(session=self._session, devices=self._devices))
            case Shutdown():
                self._reply(client, message, Goodbye())
                self._on_shutdown()
            case _:
                raise ProtocolError(f"{type(message).__name__} is no request.")

    def refuse(self, client: bytes, error: RelievoError) -> None:
        """Answer frames that are no message."""
        self._outbox.reply(client, Failure(id=str(uuid.uuid4()), **error_json(error)))

    def forget_client(self, client: bytes) -> None:
        self._owners.pop(client, None)

    def _reply(self, client: bytes, request: Message, reply: Message, handoff: Handoff | None = None) -> None:
        object.__setattr__(reply, "id", str(uuid.uuid4()))
        object.__setattr__(reply, "reply_to", request.id)
        self._outbox.reply(client, reply, handoff)

    def _hello(self, client: bytes, message: Hello) -> Welcome:
        self.forget_client(client)  # until it has proved itself again
        if not hmac.compare_digest(message.token.encode(), self._token.encode()):
            raise AccessDenied(
                "The token is wrong.",
                hint="Take it from the connection file that the backend wrote at its last start.",
                field="token",
            )
        if message.protocol.partition(".")[0] != str(PROTOCOL_MAJOR):
            raise VersionMismatch(
                f"The add-on speaks protocol {message.protocol}, this backend {PROTOCOL}.",
                hint="Update the older of the two.",
                field="protocol",
            )
        self._owners[client] = _uuid(message.owner, "owner")
        return Welcome(
            protocol=PROTOCOL,
            backend_version=VERSION,
            session=self._session,
            devices=self._devices,
            digests=self._digests,
            limits={"total_bytes": MAX_TOTAL_BYTES, "arrays": MAX_ARRAYS, "queued_jobs": MAX_QUEUED_PER_OWNER},
            handoff=self._store.handoff_offer,
        )

    def _submit(self, client: bytes, owner: str, message: Submit) -> None:
        job_id = _uuid(message.job, "job")
        reply: Reply = lambda answer: self._reply(client, message, answer)
        if job_id in self._pending:
            if self._pending[job_id].owner != owner:
                raise _not_yours(job_id)
            self._pending[job_id].replies.append(reply)
            return
        if job_id in self._scheduler.jobs:
            reply(self._accepted(self._own_job(owner, job_id)))
            return
        self._scheduler.check_room(owner, sum(pending.owner == owner for pending in self._pending.values()))
        spec = registry.find_algorithm(message.algorithm)
        if message.digest and message.digest != spec.digest:
            raise VersionMismatch(
                f"The add-on and the backend know different versions of {spec.label}.",
                hint="Update the older of the two; the other algorithms work.",
                field=spec.name,
            )
        params = parse(spec.params, message.params)
        job = Job(
            id=job_id,
            owner=owner,
            algorithm=spec.name,
            params=to_json(params),
            preview=message.preview,
            submitted_at=time.time(),
        )
        self._pending[job_id] = _Pending(owner, [reply])
        self._background.do(lambda: self._store_job(spec, job, message), lambda error: self._stored(job, error))

    def _store_job(self, spec: AlgorithmSpec, job: Job, message: Submit) -> None:
        """In the background: reading every value of a large map takes a while, and so does the disk."""
        try:
            check_inputs(spec, message.arrays)
            self._store.accept(job, message.arrays)
        finally:
            self._discard_arrays(message)

    def _stored(self, job: Job, error: RelievoError | None) -> None:
        pending = self._pending.pop(job.id)
        if error is None:
            self._scheduler.add(job)
            log.info("job %s accepted: %s", job.id, job.algorithm)
        for reply in pending.replies:
            reply(Failure(**error_json(error)) if error is not None else self._accepted(job))
        for client, message in pending.deferred:
            self.handle(client, message)
        self._dispatch()

    def _accepted(self, job: Job) -> Accepted:
        return Accepted(job=job.id, state=job.state.value, position=self._scheduler.position(job.id))

    def _fetch(self, owner: str, message: Fetch) -> Result:
        job = self._own_job(owner, message.job)
        if job.state is not JobState.SUCCEEDED:
            if job.error:
                raise error_from_code(**{**job.error, "message": job.error["message"]})
            raise InvalidInput(f"The job is {job.state.value}; there is nothing to fetch.", field="job")
        result = self._store.result(job.id)
        return Result(job=job.id, recipe=result.recipe, arrays=result.arrays)

    def _release(self, owner: str, job_id: str) -> None:
        job = self._own_job(owner, job_id)
        if not job.state.is_final:
            raise InvalidInput(f"The job is {job.state.value} still.", hint="Cancel it first.", field="job")
        self._scheduler.forget(job.id)
        self._store.drop(job.id)
        self._background.do(self._store.empty_trash)

    def _own_job(self, owner: str, job_id: str) -> Job:
        job = self._scheduler.job(_uuid(job_id, "job"))
        if job.owner != owner:
            raise _not_yours(job_id)
        return job

    def _status(self, job: Job) -> dict[str, Any]:
        return {
            "job": job.id,
            "algorithm": job.algorithm,
            "state": job.state.value,
            "position": self._scheduler.position(job.id),
            "done": job.done,
            "total": job.total,
            "stage": job.stage,
            "remaining_s": job.remaining_s,
            "error": job.error,
            "seconds": job.seconds(time.time()),
            "outputs": job.outputs,
            "submitted_at": job.submitted_at,
        }

    # Jobs ------------------------------------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Take up what an earlier server left: waiting jobs wait on, one that ran is tried once more, ended ones wait for Fetch."""
        for job in self._store.load():
            was_running = job.state in (JobState.RUNNING, JobState.CANCELLING)
            if was_running and self._store.has_result(job.id):
                self._scheduler.add(job)
                self._finish(job, JobState.SUCCEEDED)
            elif job.state is JobState.CANCELLING:
                self._scheduler.add(job)
                self._finish(job, JobState.CANCELLED)
            elif was_running and job.attempts >= MAX_ATTEMPTS:
                self._scheduler.add(job)
                self._finish(
                    job,
                    JobState.FAILED,
                    WorkerDied(
                        f"The backend ended {job.attempts} times while it computed this job.", hint="Try a smaller map."
                    ),
                )
            else:
                if was_running:
                    job.move(JobState.QUEUED)
                self._scheduler.add(job)
                if not job.state.is_final and job.algorithm not in self._digests:
                    self._finish(
                        job,
                        JobState.FAILED,
                        UnknownAlgorithm(f"This backend has no algorithm {job.algorithm!r} any more."),
                    )
        self._sweep()

    def _dispatch(self) -> None:
        busy = self._scheduler.running
        for worker in self._workforce.ready:
            job = self._scheduler.start_next(worker) if worker not in busy else None
            if job is not None:
                job.started_at = time.time()
                self._store.save(job)
                folder = str(self._store.folder(job.id))
                self._workforce.send(
                    worker,
                    {
                        "do": "compute",
                        "job": job.id,
                        "algorithm": job.algorithm,
                        "params": job.params,
                        "preview": job.preview,
                        "folder": folder,
                    },
                )
                self._tell_progress(job)

    def _cancel(self, job: Job, keep: bool) -> bool:
        """Whether the job has ended by that alone."""
        was = job.state
        self._scheduler.cancel(job)
        if was is JobState.QUEUED:
            self._note_end(job)
            return True
        if job.state is JobState.CANCELLING:
            worker = self._scheduler.worker_of(job.id)
            assert worker is not None
            self._workforce.send(worker, {"do": "cancel", "job": job.id, "keep": keep})
            deadline = time.monotonic() + (KEEP_GRACE_S if keep else CANCEL_GRACE_S)
            self._deadlines[job.id] = min(deadline, self._deadlines.get(job.id, deadline))
            self._store.save(job)
        return False

    def _finish(self, job: Job, state: JobState, error: RelievoError | None = None) -> None:
        self._scheduler.end(job, state)
        job.error = error_json(error) if error is not None else None
        if state is JobState.SUCCEEDED:
            job.outputs = self._store.outputs(job.id)
            job.done = job.total
        else:
            self._store.drop_outputs(job.id)
        self._note_end(job)
        self._announce(job)

    def _note_end(self, job: Job) -> None:
        job.finished_at = time.time()
        job.remaining_s = None
        self._deadlines.pop(job.id, None)
        self._store.save(job)
        self._store.drop_inputs(job.id)
        self._background.do(self._store.empty_trash)
        log.info("job %s %s after %.2f s", job.id, job.state.value, job.seconds(job.finished_at))

    def _announce(self, job: Job) -> None:
        finished = Finished(
            id=str(uuid.uuid4()),
            job=job.id,
            state=job.state.value,
            seconds=job.seconds(job.finished_at),
            outputs=job.outputs,
            error=job.error,
        )
        for client in self._clients_of(job.owner):
            self._outbox.last_word(client, job.id, finished)

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
                self._outbox.news(client, (job.id, "Progress"), frames)

    def _clients_of(self, owner: str) -> list[bytes]:
        return [client for client, known in self._owners.items() if known == owner]

    # Workers ---------------------------------------------------------------------------------------------------------------------

    def on_worker(self, event: Ready | Said | Died) -> None:
        """What a worker said, or how it ended."""
        if isinstance(event, Said):
            self._on_said(event)
        elif isinstance(event, Died):
            self._on_died(event)
        else:
            self._devices = event.devices
        self._dispatch()

    def _on_said(self, said: Said) -> None:
        job = self._scheduler.jobs.get(said.job)
        if job is None or self._scheduler.worker_of(said.job) != said.worker:
            return  # the last words of a worker that was given up
        match said.what:
            case "progress":
                job.done, job.total, job.stage = said.values["done"], said.values["total"], said.values["stage"]
                job.remaining_s = said.values["remaining_s"]
                self._tell_progress(job)
            case "preview":
                for client in self._clients_of(job.owner):
                    self._outbox.news(client, (job.id, "Preview"), list(said.frames))
            case "done":
                self._finish(job, JobState.SUCCEEDED)
            case "cancelled":
                self._finish(job, JobState.CANCELLED)
            case "failed":
                self._finish(job, JobState.FAILED, error_from_code(**said.values["error"]))

    def _on_died(self, died: Died) -> None:
        job_id = self._scheduler.running.get(died.worker)
        if job_id is not None:
            job = self._scheduler.job(job_id)
            if self._store.has_result(job_id):
                self._finish(job, JobState.SUCCEEDED)
            elif job.state is JobState.CANCELLING:
                self._finish(job, JobState.CANCELLED)
            else:
                self._finish(job, JobState.FAILED, WorkerDied(died.reason, hint=died.hint))
        if died.hopeless:  # nobody will come for those who wait
            for job in [job for job in self._scheduler.jobs.values() if job.state is JobState.QUEUED]:
                self._finish(job, JobState.FAILED, WorkerDied(died.reason, hint=died.hint))

    def tick(self, now: float) -> None:
        """What time alone brings: workers that did not hear a cancel, and results that are too old or too many."""
        for job_id in [job_id for job_id, deadline in self._deadlines.items() if deadline <= now]:
            del self._deadlines[job_id]
            worker = self._scheduler.worker_of(job_id)
            if worker is not None:
                log.info("worker %s does not hear the cancel of job %s and is killed", worker, job_id)
                self._workforce.kill(worker)
        if now - self._swept_at >= SWEEP_INTERVAL_S:
            self._swept_at = now
            self._sweep()

    def _sweep(self) -> None:
        jobs = list(self._scheduler.jobs.values())
        sized = [(job, self._store.size_bytes(job.id)) for job in jobs]
        for job in expired(sized, time.time(), max_age_s=self._max_age_s, max_bytes=self._max_bytes):
            log.info("job %s is removed: too old, or the store is full", job.id)
            self._scheduler.forget(job.id)
            self._store.drop(job.id)
        self._background.do(self._store.empty_trash)
        self._background.do(self._store.handoff.sweep)

    @property
    def next_deadline(self) -> float | None:
        return min(self._deadlines.values(), default=None)

    @property
    def is_busy(self) -> bool:
        """Whether any job waits, runs or is being stored."""
        return bool(self._pending or self._scheduler.queued_count or self._scheduler.running)

    @property
    def has_clients(self) -> bool:
        return bool(self._owners)

    def suspend(self) -> None:
        """Before the end: jobs that run go back to the queue on disk, for the next start; it does not count as an attempt."""
        for job_id in self._scheduler.running.values():
            job = self._scheduler.job(job_id)
            if job.state is JobState.RUNNING:
                self._scheduler.requeue(job)
                job.attempts -= 1
                job.started_at = 0.0
                self._store.save(job)


def _uuid(text: str, field_name: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ProtocolError(f"{text[:80]!r} is no UUID.", field=field_name) from None


def _not_yours(job_id: str) -> AccessDenied:
    return AccessDenied(f"Job {job_id} belongs to another client.", field="job")
