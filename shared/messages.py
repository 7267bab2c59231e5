"""Every message of the wire as a frozen dataclass; PROTOCOL.md says what each means. codec.py turns them into frames.

Fields are JSON values (str, int, float, bool, None, lists and dicts of them). A field named `arrays` holds arrays by
port and travels as raw buffers behind the header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .algorithm import Arrays


@dataclass(frozen=True, kw_only=True)
class Message:
    """id: a UUID the sender makes. reply_to: the id of the request that this answers, "" for a request or an event."""

    id: str = ""
    reply_to: str = ""


# Requests -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Hello(Message):
    """The first message of a connection. owner: a UUID; jobs belong to it, and outlive the connection."""

    token: str
    owner: str
    protocol: str
    client: str = ""
    client_version: str = ""


@dataclass(frozen=True, kw_only=True)
class Submit(Message):
    """Compute. job: a UUID the client makes, so that sending twice is harmless. digest: of the declaration the client
    knows. device: "auto" or the name of one.
    """

    job: str
    algorithm: str
    params: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    preview: bool = False
    device: str = "auto"
    arrays: Arrays = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cancel(Message):
    """Stop a job of this owner. keep: finish early with what is there, where the algorithm can."""

    job: str
    keep: bool = False


@dataclass(frozen=True, kw_only=True)
class Query(Message):
    """How a job stands; with job "" the newest jobs of this owner, those that wait or run among them."""

    job: str = ""


@dataclass(frozen=True, kw_only=True)
class Fetch(Message):
    """The arrays of a job that has succeeded. handoff: large ones may come by file (handoff.py)."""

    job: str
    handoff: bool = False


@dataclass(frozen=True, kw_only=True)
class Release(Message):
    """The client has what it wants: the job and its arrays may be forgotten."""

    job: str


@dataclass(frozen=True, kw_only=True)
class Ping(Message):
    pass


@dataclass(frozen=True, kw_only=True)
class Shutdown(Message):
    """Stop the backend. Jobs that wait stay on disk and go on at the next start."""


# Replies ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Welcome(Message):
    """session: a new UUID at each start of the backend. devices: [{"name", "kind", "label", "memory_bytes", "cores"}], empty
    until the first worker has come up. digests: by algorithm. handoff: {"folder", "proof"} for large arrays (handoff.py).
    auto_devices: by algorithm the name of the device that "auto" takes with default parameters; empty as long as devices is.
    """

    protocol: str
    backend_version: str
    session: str
    devices: list[dict[str, Any]]
    digests: Mapping[str, str]
    limits: Mapping[str, int] = field(default_factory=dict)
    handoff: Mapping[str, str] = field(default_factory=dict)
    auto_devices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Accepted(Message):
    """The job is on disk. position: how many go before it, 0 when it is next or running."""

    job: str
    state: str
    position: int = 0


@dataclass(frozen=True, kw_only=True)
class Status(Message):
    """Answers Cancel and Query. jobs: [{"job", "algorithm", "state", "position", "done", "total", "stage",
    "remaining_s",
    "error", "seconds", "outputs", "submitted_at"}]."""

    jobs: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Result(Message):
    """Answers Fetch. recipe: what repeats the job (recipe.py)."""

    job: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Released(Message):
    job: str


@dataclass(frozen=True, kw_only=True)
class Pong(Message):
    """devices, auto_devices: as in Welcome; empty until the first worker has come up, seconds after the backend."""

    session: str
    devices: list[dict[str, Any]] = field(default_factory=list)
    auto_devices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Goodbye(Message):
    """Answers Shutdown, just before the backend ends."""


@dataclass(frozen=True, kw_only=True)
class Failure(Message):
    """Answers any request that cannot be done. code: of errors.py."""

    code: str
    message: str
    hint: str = ""
    field: str = ""


# Events -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Progress(Message):
    """At most 10 per second per job; the latest wins. remaining_s: an estimate, or None."""

    job: str
    state: str
    done: int
    total: int
    stage: str = ""
    remaining_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Preview(Message):
    """The thing itself so far, reduced to a small array. Only for a Submit with preview."""

    job: str
    arrays: Arrays = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Finished(Message):
    """The last word on a job. outputs: {port: {"kind", "shape"}}; error: {"code", "message", "hint", "field"} or
    None.
    """

    job: str
    state: str
    seconds: float
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, str] | None = None


REQUESTS: tuple[type[Message], ...] = (Hello, Submit, Cancel, Query, Fetch, Release, Ping, Shutdown)
REPLIES: tuple[type[Message], ...] = (Welcome, Accepted, Status, Result, Released, Pong, Goodbye, Failure)
EVENTS: tuple[type[Message], ...] = (Progress, Preview, Finished)
MESSAGES: Mapping[str, type[Message]] = {cls.__name__: cls for cls in REQUESTS + REPLIES + EVENTS}
