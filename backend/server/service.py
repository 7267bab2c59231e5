"""What each request means, and its answer.

The server (server.py) hands in decoded messages; jobs live in lifecycle.py; what is slow (checking and storing
arrays, removing old ones) goes to a background thread. Computes nothing, imports no torch.
"""

from __future__ import annotations

import hmac
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backend.runtime import registry
from backend.server.background import Background, as_relievo_error
from backend.server.job import Job, error_json
from backend.server.lifecycle import Lifecycle
from backend.server.scheduler import MAX_QUEUED_PER_OWNER
from backend.server.send_queue import SendQueue
from shared.algorithm import AlgorithmSpec, check_inputs
from shared.codec import MAX_ARRAYS, MAX_TOTAL_BYTES
from shared.devices import check_name
from shared.errors import AccessDenied, InvalidInput, ProtocolError, RelievoError, VersionMismatch, error_from_code
from shared.handoff import Handoff
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

Reply = Callable[[Message], None]


@dataclass
class _Pending:
    """A job that is being stored: who waits for the answer, and what else was asked about it meanwhile."""

    owner: str
    replies: list[Reply] = field(default_factory=list)
    deferred: list[tuple[bytes, Message]] = field(default_factory=list)


class Service:
    """Who is connected, and what they get. on_shutdown is called when a client asks the backend to end."""

    def __init__(
        self,
        *,
        session: str,
        token: str,
        lifecycle: Lifecycle,
        send_queue: SendQueue,
        background: Background,
        on_shutdown: Callable[[], None],
    ) -> None:
        self._session = session
        self._token = token
        self._lifecycle = lifecycle
        self._store = lifecycle.store
        self._send_queue = send_queue
        self._background = background
        self._on_shutdown = on_shutdown
        self._owners: dict[bytes, str] = {}  # who is behind each connection that has said Hello
        self._pending: dict[str, _Pending] = {}
        self._digests = {spec.name: spec.digest for spec in registry.algorithms()}

    def clients_of(self, owner: str) -> list[bytes]:
        return [client for client, known in self._owners.items() if known == owner]

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
        except Exception as error:  # a defect, a disk that fails: one request gets an answer, the backend goes on
            self._discard_arrays(message)
            self._reply(client, message, Failure(**error_json(as_relievo_error(error))))

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
                finished = self._lifecycle.cancel(job, message.keep)
                self._reply(client, message, Status(jobs=[self._status(job)]))
                if finished:
                    self._lifecycle.announce(job)
            case Query():
                jobs = [self._own_job(owner, message.job)] if message.job else self._newest_jobs(owner)
                self._reply(client, message, Status(jobs=[self._status(job) for job in jobs]))
            case Release():
                self._release(owner, message.job)
                self._reply(client, message, Released(job=message.job))
            case Ping():
                self._reply(
                    client,
                    message,
                    Pong(
                        session=self._session,
                        devices=self._lifecycle.devices,
                        auto_devices=self._lifecycle.auto_devices,
                    ),
                )
            case Shutdown():
                self._reply(client, message, Goodbye())
                self._on_shutdown()
            case _:
                raise ProtocolError(f"{type(message).__name__} is not a request.")

    def refuse(self, client: bytes, error: RelievoError) -> None:
        """Answer frames that are no message."""
        self._send_queue.reply(client, Failure(id=str(uuid.uuid4()), **error_json(error)))

    def forget_client(self, client: bytes) -> None:
        self._owners.pop(client, None)

    def _reply(self, client: bytes, request: Message, reply: Message, handoff: Handoff | None = None) -> None:
        object.__setattr__(reply, "id", str(uuid.uuid4()))
        object.__setattr__(reply, "reply_to", request.id)
        self._send_queue.reply(client, reply, handoff)

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
                f"The add-on uses protocol {message.protocol}, this backend {PROTOCOL}.",
                hint="Update the older of the two.",
                field="protocol",
            )
        self._owners[client] = _uuid(message.owner, "owner")
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

    def _submit(self, client: bytes, owner: str, message: Submit) -> None:
        job_id = _uuid(message.job, "job")
        reply: Reply = lambda answer: self._reply(client, message, answer)
        if job_id in self._pending:
            if self._pending[job_id].owner != owner:
                raise _not_yours(job_id)
            self._discard_arrays(message)
            self._pending[job_id].replies.append(reply)
            return
        if job_id in self._lifecycle.scheduler.jobs:
            self._discard_arrays(message)
            reply(self._accepted(self._own_job(owner, job_id)))
            return
        self._lifecycle.scheduler.check_room(owner, sum(pending.owner == owner for pending in self._pending.values()))
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
            kinds=list(spec.job_devices(params)),
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
            self._lifecycle.scheduler.add(job)
            log.info("job %s accepted: %s", job.id, job.algorithm)
        for reply in pending.replies:
            reply(Failure(**error_json(error)) if error is not None else self._accepted(job))
        for client, message in pending.deferred:
            self.handle(client, message)
        self._lifecycle.dispatch()

    def _accepted(self, job: Job) -> Accepted:
        return Accepted(job=job.id, state=job.state.value, position=self._lifecycle.scheduler.position(job.id))

    def _fetch(self, owner: str, message: Fetch) -> Result:
        job = self._own_job(owner, message.job)
        if job.state is not JobState.SUCCEEDED:
            if job.error:
                raise error_from_code(**job.error)
            raise InvalidInput(f"The job is {job.state.value}; there is nothing to fetch.", field="job")
        result = self._store.result(job.id)
        return Result(job=job.id, recipe=result.recipe, arrays=result.arrays)

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
            "seconds": job.seconds(time.time()),
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


def _not_yours(job_id: str) -> AccessDenied:
    return AccessDenied(f"Job {job_id} belongs to another client.", field="job")
