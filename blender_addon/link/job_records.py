"""What the add-on knows of one job, and how it says so to a person. Data only: session.py moves it on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..shared.algorithm import AlgorithmSpec, Arrays
from ..shared.errors import RelievoError
from ..shared.jobs import JobState
from ..shared.messages import Accepted, Finished, Message, Preview, Progress, Result


@dataclass(kw_only=True)
class Job:
    """One request, from pressing the button until its result is in the scene or thrown away.

    feeds: input ports that take an output of an earlier job: port -> (job id, output port). purpose: what becomes
    of the result, as JSON; the session carries it and does not look into it. held: why a result that is here was
    not put into the scene, "" where nothing is wrong. ran_on: where it was computed, "" where there is one device only.
    """

    id: str
    algorithm: str
    spec: AlgorithmSpec | None = None  # None for a job of a Blender that is gone: it is fetched, never sent
    label: str
    params: dict[str, Any]
    inputs: dict[str, Any] = field(default_factory=dict)
    feeds: dict[str, tuple[str, str]] = field(default_factory=dict)
    purpose: dict[str, Any] = field(default_factory=dict)
    wants_preview: bool = False
    silent: bool = False  # only feeds another job; it is not put into the scene
    created: float = field(default_factory=time.time)

    accepted: bool = False
    state: JobState = JobState.QUEUED
    position: int = 0
    stage: str = ""
    done: int = 0
    total: int = 0
    remaining_s: float | None = None
    seconds: float = 0.0
    cancel: str = ""  # "", "cancel" or "keep"
    error: RelievoError | None = None
    preview: Arrays | None = None  # the latest that nobody has shown yet
    outputs: Arrays | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    ran_on: str = ""
    applied: bool = False
    held: str = ""
    warnings: tuple[str, ...] = ()
    recovered: bool = False  # from a Blender that is gone

    @property
    def is_settled(self) -> bool:
        """Nothing more will come from the backend: the result is here, or there will be none."""
        return self.state in (JobState.FAILED, JobState.CANCELLED) or self.outputs is not None or self.applied

    @property
    def awaits_placing(self) -> bool:
        return self.outputs is not None and not self.applied and not self.held and not self.silent

    @property
    def can_be_kept(self) -> bool:
        """Whether it can be asked to end early with what it has: before its own first step there is nothing."""
        return self.wants_preview and bool(self.done) and not self.feeds and not self.cancel and not self.is_settled

    @property
    def fraction(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def device_note(self) -> str:
        """Why it did not run on the device that was meant for it, "" where it did."""
        return str(self.recipe.get("device_note", ""))

    @property
    def sentences(self) -> tuple[str, ...]:
        """Its state in a few plain words, and the same without the time that remains where that is known."""
        full = self.sentence
        left = self._left
        return (full, full.removesuffix(left)) if left and full.endswith(left) else (full,)

    @property
    def _left(self) -> str:
        return "" if self.remaining_s is None else f", {format_seconds(self.remaining_s)} left"

    @property
    def sentence(self) -> str:
        """Its state in a few plain words."""
        if self.error is not None:
            return f"failed: {self.error.message}"
        if self.state is JobState.CANCELLED:
            return "cancelled"
        if self.applied:
            return f"done in {format_seconds(self.seconds)}" + (f" on {self.ran_on}" if self.ran_on else "")
        if self.held:
            return self.held
        if self.outputs is not None:
            return "ready"
        if self.state is JobState.SUCCEEDED:
            return "fetching the result"
        if self.cancel or self.state is JobState.CANCELLING:
            return "finishing early" if self.cancel == "keep" else "cancelling"
        if self.feeds:
            return f"input: {self.stage or 'waits'}, {self.fraction:.0%}".replace("%", " %")
        if not self.accepted:
            return "sending"
        if self.state is JobState.QUEUED:
            return f"waits, {self.position} before it" if self.position else "waits for its turn"
        return f"{self.stage or 'starting'}, {self.fraction:.0%}{self._left}".replace("%", " %")

    def take(self, message: Message) -> JobState | None:
        """Note what a message says of this job; the final state, where the backend has come to one."""
        if isinstance(message, Accepted):
            self.accepted, self.position, self.state = True, message.position, _state(message.state)
            return self.state if self.state.is_final else None  # sent a second time, and done already
        if isinstance(message, Progress):
            self.state, self.stage = _state(message.state), message.stage
            self.done, self.total, self.remaining_s = message.done, message.total, message.remaining_s
        elif isinstance(message, Preview):
            self.preview = {**(self.preview or {}), **message.arrays}  # other ports may have come since the last look
        elif isinstance(message, Finished):
            self.accepted, self.seconds = True, message.seconds
            return _state(message.state)
        elif isinstance(message, Result):
            self.outputs, self.recipe, self.inputs, self.preview = message.arrays, message.recipe, {}, None
            self.state = JobState.SUCCEEDED
        return None

    def take_status(self, entry: Mapping[str, Any]) -> JobState | None:
        """The same for an entry of a Status."""
        state = _state(str(entry.get("state", "")))
        self.position, self.stage = int(entry.get("position") or 0), str(entry.get("stage") or "")
        self.done, self.total = int(entry.get("done") or 0), int(entry.get("total") or 0)
        self.seconds = float(entry.get("seconds") or 0.0)
        if state.is_final:
            return state
        self.state = state
        return None

    def follow(self, source: Job) -> None:
        """While it waits for an earlier job, that one's progress is its own."""
        self.stage, self.done, self.total, self.remaining_s = (
            source.stage,
            source.done,
            source.total,
            source.remaining_s,
        )

    def to_entry(self) -> dict[str, Any]:
        """What the ledger keeps: enough to fetch the result and to put it somewhere."""
        return {
            "algorithm": self.algorithm,
            "label": self.label,
            "params": self.params,
            "purpose": self.purpose,
            "created": self.created,
            "silent": self.silent,
        }

    @classmethod
    def from_entry(cls, id: str, entry: Mapping[str, Any]) -> Job:
        """Raises KeyError or TypeError for an entry that is none."""
        return cls(
            id=id,
            algorithm=str(entry["algorithm"]),
            label=str(entry["label"]),
            params=dict(entry["params"]),
            purpose=dict(entry["purpose"]),
            created=float(entry["created"]),
            accepted=True,
            recovered=True,
        )

    def report(self) -> str:
        """What a person can send to us: no picture data, no paths beyond those in the messages."""
        lines = [
            f"job {self.id} {self.algorithm} {self.state.value}",
            f"params {self.params}",
            f"stage {self.stage} {self.done}/{self.total}",
        ]
        if self.error is not None:
            lines += [
                f"error {self.error.code}: {self.error.message}",
                f"hint {self.error.hint}",
                f"field {self.error.field}",
            ]
        return "\n".join(lines)


def _state(text: str) -> JobState:
    """A state that a newer backend may have and we do not know counts as running."""
    try:
        return JobState(text)
    except ValueError:
        return JobState.RUNNING


def format_seconds(seconds: float) -> str:
    """ "0.4 s", "8 s", "2 min 5 s" """
    if seconds < 1.0:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
