"""What each request means, and its answer.

The server (server.py) hands in decoded messages; jobs live in lifecycle.py; what is slow (checking and storing
arrays, removing old ones) goes to a background thread. Computes nothing, imports no torch.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from backend.runtime import device_speeds, registry
from backend.server import clock
from backend.server.access import Access
from backend.server.background import Background, as_relievo_error
from backend.server.connections import REST_S, Connection, Connections
from backend.server.job import Job, error_json
from backend.server.lifecycle import Lifecycle
from backend.server.quotas import Quotas
from backend.server.result_arrays import bytes_by_frame, in_memory
from backend.server.scheduler import MAX_QUEUED_PER_OWNER
from backend.server.send_queue import SendQueue
from shared.algorithm import AlgorithmSpec, Arrays, check_inputs
from shared.codec import MAX_ARRAYS, MAX_TOTAL_BYTES
from shared.devices import check_name
from shared.errors import (
    AccessDenied,
    InvalidInput,
    ProtocolError,
    QueueFull,
    RelievoError,
    VersionMismatch,
    error_from_code,
)
from shared.handoff import MIN_BYTES, Handoff
from shared.jobs import JobState
from shared.messages import (
    Accepted,
    Cancel,
    Failure,
    Fetch,
    Goodbye,
    Hello,
    Message,
    Ping,
    Pong,
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

MAX_LISTED_JOBS = 256  # in one Status, whose header has its limit
MAX_DEFERRED = 256  # requests about one job that is being stored

Reply = Callable[[Message], None]


@dataclass
class _Pending:
    """A job that is being stored: who waits for the answer, and what else was asked about it meanwhile."""

    owner: str
    replies: list[Reply] = field(default_factory=list)
    deferred: list[tuple[Connection, Message]] = field(default_factory=list)


class Service:
    """What clients get. access: who they may be. reader: a background thread for results that go by frame. starter: the owner
    that started the backend, "" where nobody says. on_shutdown is called when a client asks the backend to end.
    """

    def __init__(
        self,
        *,
        session: str,
        access: Access,
        connections: Connections,
        lifecycle: Lifecycle,
        send_queue: SendQueue,
        background: Background,
        reader: Background,
        starter: str,
        on_shutdown: Callable[[], None],
    ) -> None:
        self._session = session
        self._access = access
        self._connections = connections
        self._lifecycle = lifecycle
        self._store = lifecycle.store
        self._send_queue = send_queue
        self._background = background
        self._reader = reader
        self._starter = starter
        self._on_shutdown = on_shutdown
        self._pending: dict[str, _Pending] = {}
        self._quotas = Quotas(lifecycle.scheduler, len(access.users))
        self._reading: set[Connection] = set()  # whose results are being read
        self._digests = {spec.name: spec.digest for spec in registry.algorithms()}

    def clients_of(self, owner: str) -> list[bytes]:
        return [connection.client for connection in self._connections.greeted if connection.owner == owner]

    def must_wait(self, connection: Connection) -> bool:
        """Whether this client's next request waits: for a result of its own to be read, or for it to read what it has asked for."""
        return connection in self._reading or self._send_queue.is_behind(connection.client)

    def handle(self, connection: Connection, message: Message) -> None:
        """Answer one request."""
        with self._answering(connection, message):
            if isinstance(message, Hello):
                self._reply(connection, message, self._hello(connection, message))
            elif not connection.is_greeted:
                raise AccessDenied(
                    "Say Hello first.", hint="The connection was closed meanwhile, or the backend was restarted."
                )
            else:
                self._handle_known(connection, connection.owner, message)

    @contextlib.contextmanager
    def _answering(self, connection: Connection, message: Message) -> Iterator[None]:
        """Whatever is raised becomes the answer: a defect, a disk that fails. The backend goes on."""
        try:
            yield
        except Exception as error:
            self._discard_arrays(message)
            self._reply(connection, message, Failure(**error_json(as_relievo_error(error))))

    def _discard_arrays(self, message: Message) -> None:
        for given in message.arrays.values() if isinstance(message, Submit) else ():
            for array in given:
                self._store.handoff.discard(array.values)

    def _handle_known(self, connection: Connection, owner: str, message: Message) -> None:
        pending = self._pending.get(_same_uuid(getattr(message, "job", "")))
        if pending is not None and not isinstance(message, Submit):
            if len(pending.deferred) >= MAX_DEFERRED:
                raise QueueFull(f"{MAX_DEFERRED} requests about this job already wait.", hint="Wait for their answers.")
            pending.deferred.append((connection, message))
            return
        match message:
            case Submit():
                self._submit(connection, owner, message)
            case Fetch():
                self._fetch(connection, owner, message)
            case Cancel():
                job = self._own_job(owner, message.job)
                finished = self._lifecycle.cancel(job, message.keep)
                self._reply(connection, message, Status(jobs=[self._status(job)]))
                if finished:
                    self._lifecycle.announce(job)
            case Query():
                jobs = [self._own_job(owner, message.job)] if message.job else self._newest_jobs(owner)
                self._reply(connection, message, Status(jobs=[self._status(job) for job in jobs]))
            case Release():
                self._release(owner, message.job)
                self._reply(connection, message, Released(job=message.job))
            case Ping():
                self._reply(
                    connection,
                    message,
                    Pong(
                        session=self._session,
                        devices=self._lifecycle.devices,
                        auto_devices=self._lifecycle.auto_devices,
                    ),
                )
            case Shutdown():
                self._quotas.check_shutdown(owner, self._starter, self._coming)
                self._reply(connection, message, Goodbye())
                self._on_shutdown()
            case _:
                raise ProtocolError(f"{type(message).__name__} is not a request.")

    def refuse(self, connection: Connection, error: RelievoError) -> None:
        """Answer frames that are no message."""
        if not connection.has_ended:
            self._send_queue.reply(connection.client, Failure(id=str(uuid.uuid4()), **error_json(error)))

    def _reply(self, connection: Connection, request: Message, reply: Message, handoff: Handoff | None = None) -> None:
        if connection.has_ended:  # its routing id may be another client's one day
            return
        object.__setattr__(reply, "id", str(uuid.uuid4()))
        object.__setattr__(reply, "reply_to", request.id)
        self._send_queue.reply(connection.client, reply, handoff)

    def _hello(self, connection: Connection, message: Hello) -> Welcome:
        was_greeted = connection.is_greeted
        self._connections.demote(connection)  # until it has proved itself again
        user = self._access.user_of(message.token)
        if message.protocol.partition(".")[0] != str(PROTOCOL_MAJOR):
            raise VersionMismatch(
                f"The add-on uses protocol {message.protocol}, this backend {PROTOCOL}.",
                hint="Update the older of the two.",
                field="protocol",
            )
        owner = self._access.owner_of(user, _uuid(message.owner, "owner"))
        if self._connections.is_resting(owner):
            raise QueueFull(
                "This client was cut off: it sent requests faster than they can be read.",
                hint=f"It may come back {REST_S:g} s after that.",
            )
        if not was_greeted and not self._connections.make_room(self._clients_with_work()):
            raise QueueFull("As many clients are connected as can be.", hint="Close one of them, or try again later.")
        self._quotas.remember(owner, user)
        connection.owner, connection.user = owner, user
        return Welcome(
            protocol=PROTOCOL,
            backend_version=VERSION,
            session=self._session,
            devices=self._lifecycle.devices,
            auto_devices=self._lifecycle.auto_devices,
            digests=self._digests,
            limits={"total_bytes": MAX_TOTAL_BYTES, "arrays": MAX_ARRAYS, "queued_jobs": MAX_QUEUED_PER_OWNER},
            handoff=self._store.handoff_offer,
        )

    @property
    def _coming(self) -> list[str]:
        """The owners of the jobs that are being stored."""
        return [pending.owner for pending in self._pending.values()]

    def _clients_with_work(self) -> frozenset[bytes]:
        busy = self._quotas.busy_owners(self._coming)
        return frozenset(connection.client for connection in self._connections.greeted if connection.owner in busy)

    def _submit(self, connection: Connection, owner: str, message: Submit) -> None:
        job_id = _uuid(message.job, "job")
        reply: Reply = lambda answer: self._reply(connection, message, answer)
        if job_id in self._pending:
            if self._pending[job_id].owner != owner:
                raise _not_yours(job_id)
            if len(self._pending[job_id].replies) >= MAX_DEFERRED:
                raise QueueFull(f"This job has been sent {MAX_DEFERRED} times.", hint="Wait for the answer.")
            self._discard_arrays(message)
            self._pending[job_id].replies.append(reply)
            return
        if job_id in self._lifecycle.scheduler.jobs:
            self._discard_arrays(message)
            reply(self._accepted(self._own_job(owner, job_id)))
            return
        self._quotas.check_room(owner, self._coming)
        spec = registry.find_algorithm(message.algorithm)
        if message.digest and message.digest != spec.digest:
            raise VersionMismatch(
                f"The add-on and the backend know different versions of {spec.label}.",
                hint="Update the older of the two; the other algorithms work.",
                field=spec.name,
            )
        params = parse(spec.params, message.params)
        device = check_name(message.device)
        job = Job(
            id=job_id,
            owner=owner,
            algorithm=spec.name,
            params=to_json(params),
            preview=message.preview,
            device=device,
            kinds=list(device_speeds.ordered(spec, params, device_speeds.work_pixels(spec, params, message.arrays))),
            submitted_at=clock.now(),
        )
        self._pending[job_id] = _Pending(owner, [reply])
        self._background.do(lambda: self._store_job(spec, job, message), lambda error: self._stored(job, error))

    def _store_job(self, spec: AlgorithmSpec, job: Job, message: Submit) -> None:
        """In the background: reading every value of a large map takes a while, and so does the disk."""
        try:
            check_inputs(spec, message.arrays, message.params)
            self._store.accept(job, message.arrays)
        finally:
            self._discard_arrays(message)

    def _stored(self, job: Job, error: RelievoError | None) -> None:
        pending = self._pending.pop(job.id)
        if error is None:
            self._lifecycle.scheduler.add(job)
            log.info("job %s accepted: %s", job.id, job.algorithm)
        for reply in pending.replies:
            reply(Failure(**error_json(error)) if error is not None else self._accepted(job))
        for connection, message in pending.deferred:
            self.handle(connection, message)
        self._lifecycle.dispatch()

    def _accepted(self, job: Job) -> Accepted:
        return Accepted(job=job.id, state=job.state.value, position=self._lifecycle.scheduler.position(job.id))

    def _fetch(self, connection: Connection, owner: str, message: Fetch) -> None:
        """Answer at once, or when what has to be read has been: arrays that go by frame, and files that nobody has read since they
        were written, which are held to their digests. A large file must not hold up the loop.
        """
        job = self._own_job(owner, message.job)
        if job.state is not JobState.SUCCEEDED:
            if job.error:
                raise error_from_code(**job.error)
            raise InvalidInput(f"The job is {job.state.value}; there is nothing to fetch.", field="job")
        handoff = self._store.handoff if message.handoff else None
        stored = self._store.result(job.id)

        def answer(arrays: Arrays) -> None:
            self._reply(connection, message, Result(job=job.id, recipe=stored.recipe, arrays=arrays), handoff)

        is_trusted = self._store.is_trusted(job.id)
        if is_trusted and bytes_by_frame(stored.arrays, handoff) < MIN_BYTES:
            answer(in_memory(stored.arrays, handoff))
            return
        read: list[Arrays] = []

        def work() -> None:
            if not is_trusted:
                self._store.check_result(job.id)
            read.append(in_memory(stored.arrays, handoff))

        def then(error: RelievoError | None) -> None:
            self._reading.discard(connection)
            with self._answering(connection, message):
                if error is not None:
                    raise error
                if not connection.has_ended:
                    answer(read.pop())

        self._reading.add(connection)
        self._reader.do(work, then)

    def _release(self, owner: str, job_id: str) -> None:
        job = self._own_job(owner, job_id)
        if not job.state.is_final:
            raise InvalidInput(f"The job is still {job.state.value}.", hint="Cancel it first.", field="job")
        self._lifecycle.remove(job)

    def _newest_jobs(self, owner: str) -> list[Job]:
        return self._lifecycle.scheduler.of_owner(owner)[-MAX_LISTED_JOBS:]  # those that wait are among them

    def _own_job(self, owner: str, job_id: str) -> Job:
        job = self._lifecycle.scheduler.job(_uuid(job_id, "job"))
        if job.owner != owner:
            raise _not_yours(job_id)
        return job

    def _status(self, job: Job) -> dict[str, Any]:
        return {
            "job": job.id,
            "algorithm": job.algorithm,
            "state": job.state.value,
            "position": self._lifecycle.scheduler.position(job.id),
            "done": job.done,
            "total": job.total,
            "stage": job.stage,
            "remaining_s": job.remaining_s,
            "error": job.error,
            "seconds": job.seconds(clock.now()),
            "outputs": job.outputs,
            "submitted_at": job.submitted_at,
        }

    @property
    def is_storing(self) -> bool:
        """Whether a job is on its way to the disk."""
        return bool(self._pending)


def _uuid(text: str, field_name: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ProtocolError(f"{text[:80]!r} is not a UUID.", field=field_name) from None


def _same_uuid(text: str) -> str:
    """The usual spelling of a job's id; a text that is none stays as it is."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return text


def _not_yours(job_id: str) -> AccessDenied:
    return AccessDenied(f"Job {job_id} belongs to another client.", field="job")
