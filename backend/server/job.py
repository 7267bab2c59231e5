"""What the server knows of a job. Data and its legal changes only: no clock, no socket, no disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from shared.devices import AUTO
from shared.errors import RelievoError
from shared.jobs import JobState, move

MAX_TEXT_CHARS = 1000  # of a sentence for people
MAX_ATTEMPTS = 2  # a job that twice took the whole backend down with it is not tried a third time


@dataclass(kw_only=True)
class Job:
    """One job. Times are seconds since 1970; error is {"code", "message", "hint", "field"} of a job that failed.

    device: "auto" or the name of the device that its owner wants. kinds: of devices that its algorithm runs on with these
    parameters, the preferred first. attempts: how often it was handed to a worker. done, total, stage, remaining_s: its last
    report.
    """

    id: str
    owner: str
    algorithm: str
    params: Mapping[str, Any] = field(default_factory=dict)
    preview: bool = False
    device: str = AUTO
    kinds: list[str] = field(default_factory=lambda: ["cpu"])
    state: JobState = JobState.QUEUED
    submitted_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    attempts: int = 0
    done: int = 0
    total: int = 1
    stage: str = ""
    remaining_s: float | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, str] | None = None

    def move(self, to: JobState) -> None:
        self.state = move(self.state, to)

    def seconds(self, now: float) -> float:
        """How long it has computed, or did."""
        return max((self.finished_at or now) - self.started_at, 0.0) if self.started_at else 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"state": self.state.value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Job:
        known: dict[str, Any] = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        known["state"] = JobState(values["state"])
        return cls(**known)


def error_json(error: RelievoError) -> dict[str, str]:
    """An error as Finished and Failure carry it; what it quotes may be as long as a message, itself it may not."""
    texts = {"code": error.code, "message": error.message, "hint": error.hint, "field": error.field}
    return {
        key: text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - 1] + "…" for key, text in texts.items()
    }
