"""Everything between a pressed button and a result: submits jobs, follows them, fetches and releases their results.

It has no thread, no timer and no bpy: pump() does what can be done now and returns, wait() pumps until a job is
settled. After a reconnect it makes the other side agree with its own records, so that nothing depends on which
message was the last to arrive.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..shared.algorithm import AlgorithmSpec, Arrays, check_inputs
from ..shared.errors import BackendUnavailable, RelievoError, VersionMismatch, error_from_code
from ..shared.jobs import JobState
from ..shared.messages import Cancel, Failure, Fetch, Message, Query, Release, Released, Status, Submit
from ..shared.params import parse, to_json
from .backend_status import LinkState, Standing, describe, place_of
from .connection import Connection, Place
from .job_records import Job
from .ledger import Ledger
from .pending_requests import Correspondence

log = logging.getLogger(__name__)

LOST_S = 60.0  # how long wait() bears a backend that does not come back


class Session:
    """The jobs of one Blender and its connection. data_dir: installation, state and ledger live in it."""

    def __init__(self, data_dir: Path, client_name: str, *, place: Place | None = None, adopt: bool = True) -> None:
        self.ledger = Ledger(data_dir / "sessions", adopt=adopt)
        self.connection = Connection(data_dir, self.ledger.owner, client_name, place)
        self.jobs: dict[str, Job] = {}
        self.revision = 0  # rises when there is something new to draw
        self._letters = Correspondence(self.connection)
        self._to_release: set[str] = set()
        self._handshakes = 0
        self._backend_session = ""
        self._drawn: Any = None
        self._recover()

    def _recover(self) -> None:
        for id, entry in self.ledger.entries().items():
            try:
                self.jobs[id] = Job.from_entry(id, entry)
            except (KeyError, TypeError, ValueError):
                log.warning("dropping the ledger entry %s: not of this version", id)
                self.ledger.remove(id)

    # Asking ---------------------------------------------------------------------------------------------------

    def why_unavailable(self, spec: AlgorithmSpec) -> str:
        """Why the connected backend cannot run this algorithm, "" when it can (or when none is connected yet)."""
        welcome = self.connection.welcome
        if welcome is None or welcome.digests.get(spec.name) == spec.digest:
            return ""
        if spec.name not in welcome.digests:
            return f"The backend (version {welcome.backend_version}) has no {spec.label}. Update it."
        return (
            f"{spec.label} differs between this add-on and the backend (version {welcome.backend_version}). "
            "Update the older of the two."
        )

    def submit(
        self,
        spec: AlgorithmSpec,
        params: Mapping[str, Any],
        inputs: Arrays,
        *,
        feeds: Mapping[str, tuple[Job, str]] | None = None,
        purpose: dict[str, Any] | None = None,
        preview: bool = False,
        silent: bool = False,
        warnings: tuple[str, ...] = (),
    ) -> Job:
        """Take a job on. It is sent as soon as there is a link and its feeds have finished.

        Raises InvalidParameter, InvalidInput or VersionMismatch at once for what the backend would refuse anyway.
        """
        if reason := self.why_unavailable(spec):
            raise VersionMismatch(reason)
        checked = to_json(parse(spec.params, params))
        feeding = {port: (job.id, output) for port, (job, output) in (feeds or {}).items()}
        given = {port: tuple(arrays) for port, arrays in inputs.items() if arrays}
        if not feeding:
            check_inputs(spec, given, checked)
        number = 1 + sum(job.algorithm == spec.name and not job.silent for job in self.jobs.values())
        job = Job(
            id=_new_id(),
            spec=spec,
            algorithm=spec.name,
            label=f"{spec.label} {number}",
            params=checked,
            inputs=given,
            feeds=feeding,
            purpose=purpose or {},
            wants_preview=preview,
            silent=silent,
            warnings=warnings,
        )
        self.jobs[job.id] = job
        self.ledger.write(job.id, job.to_entry())
        self._submit_if_complete(job)
        self._touch()
        return job

    def cancel(self, job: Job, *, keep: bool = False) -> None:
        """Stop a job; keep: let it end early with what it has.

        A job that nobody has accepted yet ends here and now.
        """
        if job.is_settled or job.state is JobState.SUCCEEDED:
            return
        job.cancel = "keep" if keep else "cancel"
        for source, _ in list(job.feeds.values()):
            if source in self.jobs:
                self.cancel(self.jobs[source])
        if job.feeds or not self._was_sent(job):
            self._settle(job, JobState.CANCELLED)
        else:
            self._letters.ask(Cancel(id=_new_id(), job=job.id, keep=keep), job.id)
        self._touch()

    def discard(self, job: Job) -> None:
        """Forget a job and its result, here and at the backend."""
        if not job.is_settled:
            self.cancel(job)
        if not job.applied:  # released when it went into the scene
            self._release(job)
        del self.jobs[job.id]
        self._touch()

    def mark_applied(self, job: Job) -> None:
        """The result is in the scene: the backend may forget it, and so may we."""
        job.applied, job.outputs, job.held, job.preview = True, None, "", None
        self._release(job)
        self._touch()

    def hold(self, job: Job, reason: str) -> None:
        """Keep a result that could not be put into the scene, until a person says where it goes."""
        job.held = reason
        self._touch()

    @property
    def standing(self) -> Standing:
        """The state of the connection to the backend, as shown to the user."""
        return describe(self.connection)

    # Stepping -------------------------------------------------------------------------------------------------

    def pump(self, budget_s: float = 0.01) -> bool:
        """Do what can be done now, for at most about budget_s. True when there is something new to draw."""
        deadline = time.monotonic() + budget_s
        self.connection.in_use = any(not job.is_settled for job in self.jobs.values())
        self.connection.pump()
        while self.connection.receive(self._on_message):
            self._agree_after_handshake()
            if time.monotonic() > deadline:
                break
        self._letters.flush()
        for job in list(self.jobs.values()):
            if job.feeds and not job.is_settled:
                self._feed(job)
        drawn = (self.revision, self.standing, self.connection.progress)
        changed, self._drawn = drawn != self._drawn, drawn
        return changed

    def hear(self, seconds: float) -> None:
        """Wait for the next message, at most so long: the next pump() deals with it."""
        if self.connection.client is not None:
            self.connection.client.wait(seconds)

    def wait(self, job: Job, *, on_pump: Callable[[], None] | None = None) -> Job:
        """Pump until the job is settled; for background mode. Raises the job's own error, or BackendUnavailable."""
        ready = time.monotonic()
        while not job.is_settled:
            self.pump(1.0)
            if on_pump is not None:
                on_pump()
            standing = self.standing
            if standing.state in (LinkState.READY, LinkState.INSTALLING, LinkState.STARTING):
                ready = time.monotonic()
            elif standing.state not in (LinkState.CONNECTING, LinkState.LOST) or time.monotonic() - ready > LOST_S:
                raise self.connection.error or BackendUnavailable(standing.sentence, hint=standing.hint)
            if not job.is_settled:
                self._sleep(0.05)
        if job.error is not None:
            raise job.error
        return job

    def wait_ready(self, timeout_s: float = LOST_S) -> None:
        """Pump until the backend has welcomed us; for background mode. Raises what keeps it from doing so."""
        deadline = time.monotonic() + timeout_s
        while not self.connection.is_ready:
            self.pump()
            standing = self.standing
            patient = standing.state in (
                LinkState.CONNECTING,
                LinkState.STARTING,
                LinkState.LOST,
                LinkState.INSTALLING,
                LinkState.READY,
            )
            if not patient or time.monotonic() > deadline:
                raise self.connection.error or BackendUnavailable(standing.sentence, hint=standing.hint)
            self._sleep(0.02)

    def _sleep(self, seconds: float) -> None:
        if self.connection.client is not None:
            self.connection.client.wait(seconds)
        else:
            time.sleep(seconds)

    def close(self) -> None:
        self.connection.close()
        self.ledger.close()

    # Sending --------------------------------------------------------------------------------------------------

    def _submit_if_complete(self, job: Job) -> None:
        spec = job.spec
        if job.feeds or spec is None or not self.connection.is_ready:
            return
        if reason := self.why_unavailable(spec):
            self._fail(job, VersionMismatch(reason))
            return
        self._letters.ask(
            Submit(
                id=_new_id(),
                job=job.id,
                algorithm=job.algorithm,
                params=job.params,
                digest=spec.digest,
                preview=job.wants_preview,
                arrays=job.inputs,
            ),
            job.id,
        )

    def _was_sent(self, job: Job) -> bool:
        return job.accepted or self._letters.is_open(Submit, job.id)

    def _release(self, job: Job) -> None:
        self.ledger.remove(job.id)
        if job.accepted and job.state.is_final:
            self._to_release.add(job.id)
            self._letters.ask(Release(id=_new_id(), job=job.id), job.id)

    def _agree_after_handshake(self) -> None:
        """After every Welcome: ask after what was accepted, send what was not. Sending a job twice is harmless:
        it has its own id.
        """
        if self._handshakes == self.connection.handshakes:
            return
        self._handshakes = self.connection.handshakes
        welcome = self.connection.welcome
        if welcome is not None and self._backend_session and welcome.session != self._backend_session:
            log.info("the backend was restarted")
        self._backend_session = welcome.session if welcome is not None else ""
        self._letters.forget()
        for job in self._to_release:
            self._letters.ask(Release(id=_new_id(), job=job), job)
        for job in list(self.jobs.values()):
            if job.is_settled:
                continue
            if not job.accepted:
                self._submit_if_complete(job)
                continue
            self._letters.ask(Query(id=_new_id(), job=job.id), job.id)
            if job.cancel:
                self._letters.ask(Cancel(id=_new_id(), job=job.id, keep=job.cancel == "keep"), job.id)
        self._touch()

    def _feed(self, job: Job) -> None:
        """Take finished outputs of earlier jobs as inputs; when the last has come, send the job."""
        for port, (source_id, output) in list(job.feeds.items()):
            source = self.jobs.get(source_id)
            if source is not None and source.state is JobState.CANCELLED:
                self._settle(job, JobState.CANCELLED)
                return
            if source is None or source.state is JobState.FAILED:
                gone = BackendUnavailable(
                    "The job that was to compute its input no longer exists.", hint="Generate it again."
                )
                self._fail(job, source.error or gone if source is not None else gone)
                return
            if source.outputs is None:
                job.follow(source)
                return
            job.inputs[port] = (*job.inputs.get(port, ()), *source.outputs[output])
            job.purpose.setdefault("feed_recipes", {})[port] = dict(source.recipe)
            del job.feeds[port]
            if source.silent:
                self.mark_applied(source)
                del self.jobs[source.id]
        self.ledger.write(job.id, job.to_entry())
        job.stage, job.done, job.total, job.remaining_s = "", 0, 0, None
        self._submit_if_complete(job)
        self._touch()

    # Hearing --------------------------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        request, job_id = self._letters.close_case(message.reply_to)
        job = self.jobs.get(getattr(message, "job", "") or job_id)
        if isinstance(message, Status):
            for entry in message.jobs:
                known = self.jobs.get(str(entry.get("job", "")))
                if known is not None and not known.is_settled:
                    self._end(known, known.take_status(entry), entry.get("error"))
        elif isinstance(message, Failure):
            self._on_failure(message, request, job, job_id)
        elif isinstance(message, Released):
            self._to_release.discard(message.job)
        elif job is not None and not job.is_settled:
            self._end(job, job.take(message), getattr(message, "error", None))
            job.ran_on = place_of(str(job.recipe.get("device", "")), self.connection.devices)
        self._touch()

    def _on_failure(self, message: Failure, request: type[Message] | None, job: Job | None, job_id: str) -> None:
        error = error_from_code(message.code, message.message, hint=message.hint, field=message.field)
        if request is Release:
            self._to_release.discard(job_id)  # it knows no such job any more: that is what was wanted
        elif job is None or job.is_settled:
            log.warning("the backend says: %s", error)
        elif error.code == "unknown_job" and request is Query and (job.inputs or not job.recovered):
            job.accepted = False  # another backend, or one whose disk was emptied: it gets the job again
            self._submit_if_complete(job)
        elif error.code == "unknown_job" and request is Query:
            self._fail(
                job,
                BackendUnavailable(
                    "Blender was closed before the backend had accepted this job.", hint="Generate it again."
                ),
            )
        elif error.code == "unknown_job" and request is Cancel:
            self._settle(job, JobState.CANCELLED)
        else:
            self._fail(job, error)

    def _end(self, job: Job, state: JobState | None, error: Mapping[str, str] | None) -> None:
        if state is None:
            return
        if state is JobState.SUCCEEDED:
            self._fetch(job)
        elif state is JobState.FAILED:
            fields = error or {}
            self._fail(
                job,
                error_from_code(
                    fields.get("code", "internal"),
                    fields.get("message", "The job failed."),
                    hint=fields.get("hint", ""),
                    field=fields.get("field", ""),
                ),
            )
        else:
            self._settle(job, state)

    def _fetch(self, job: Job) -> None:
        job.state = JobState.SUCCEEDED
        if not self._letters.is_open(Fetch, job.id):
            self._letters.ask(Fetch(id=_new_id(), job=job.id, handoff=self.connection.takes_files), job.id)

    def _fail(self, job: Job, error: RelievoError) -> None:
        job.error = error
        self._settle(job, JobState.FAILED)

    def _settle(self, job: Job, state: JobState) -> None:
        job.state, job.inputs, job.preview = state, {}, None
        self._release(job)
        self._touch()

    def _touch(self) -> None:
        self.revision += 1


def _new_id() -> str:
    return str(uuid.uuid4())
