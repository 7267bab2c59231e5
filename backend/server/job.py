"""What the server knows of a job. Data and its legal changes only: no clock, no socket, no disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
    def from_json(cls, values: Any) -> Job:
        """Raises ValueError, KeyError or TypeError for what no version has written, a text where a number belongs among it."""
        if not isinstance(values, dict):
            raise TypeError("it is no description of a job")
        known: dict[str, Any] = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        for name, value in known.items():
            if not _IS_VALID[name](value):
                raise ValueError(f"its {name} is {str(value)[:80]!r}")
        known["state"] = JobState(values["state"])
        return cls(**known)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_error(value: Any) -> bool:
    if not isinstance(value, dict):
        return value is None
    needed, known = {"code", "message"}, {"code", "message", "hint", "field"}
    return needed <= value.keys() <= known and all(map(_is_text, value.values()))


_IS_VALID: Mapping[str, Callable[[Any], bool]] = {
    "id": _is_text,
    "owner": _is_text,
    "algorithm": _is_text,
    "params": _is_mapping,
    "preview": lambda value: isinstance(value, bool),
    "device": _is_text,
    "kinds": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "state": _is_text,
    "submitted_at": _is_number,
    "started_at": _is_number,
    "finished_at": _is_number,
    "attempts": _is_count,
    "done": _is_count,
    "total": _is_count,
    "stage": _is_text,
    "remaining_s": lambda value: value is None or _is_number(value),
    "outputs": lambda value: isinstance(value, dict) and all(map(_is_mapping, value.values())),
    "error": _is_error,
}


def error_json(error: RelievoError) -> dict[str, str]:
    """An error as Finished and Failure carry it; what it quotes may be as long as a message, itself it may not."""
    texts = {"code": error.code, "message": error.message, "hint": error.hint, "field": error.field}
    return {
        key: text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - 1] + "…" for key, text in texts.items()
    }
