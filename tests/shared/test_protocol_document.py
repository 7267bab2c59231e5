"""shared/PROTOCOL.md is normative: what it says and what the code does are the same, by reflection."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from backend.server import connections, inbox, server
from backend.server.lifecycle import CANCEL_GRACE_S, KEEP_GRACE_S
from backend.server.quotas import MAX_QUEUED_PER_USER
from backend.server.scheduler import MAX_QUEUED, MAX_QUEUED_PER_OWNER
from backend.server.service import MAX_LISTED_JOBS
from backend.server.store import MAX_AGE_S, MAX_BYTES
from shared import codec, handoff
from shared.arrays import height_map
from shared.codec import decode, encode
from shared.errors import ERRORS
from shared.jobs import MOVES, JobState
from shared.messages import EVENTS, MESSAGES, REPLIES, REQUESTS, Accepted, Message, Submit
from shared.version import PROTOCOL

DOCUMENT = (Path(__file__).resolve().parents[2] / "shared" / "PROTOCOL.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under the heading that begins with these words, up to the next heading of its level or above."""
    head = re.search(rf"^(#+) {re.escape(title)}.*$", DOCUMENT, re.MULTILINE)
    assert head, title
    rest = DOCUMENT[head.end() :]
    end = re.search(rf"^#{{1,{len(head[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def entries(text: str) -> dict[str, str]:
    """Message name -> its part of the document."""
    parts = re.split(r"^\*\*(\w+)\*\*", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_version() -> None:
    assert f"Version: **{PROTOCOL}**" in DOCUMENT
    assert f"- **{PROTOCOL}** " in section("10. Changes"), "every version is in the changelog"


@pytest.mark.parametrize(("title", "messages"), [("Requests", REQUESTS), ("Replies", REPLIES), ("Events", EVENTS)])
def test_every_message_is_documented_in_its_place(title: str, messages: tuple[type[Message], ...]) -> None:
    assert list(entries(section(title))) == [cls.__name__ for cls in messages]


TYPES = {
    "str": "text", "int": "integer", "float": "number", "bool": "boolean", "Arrays": "arrays",
    "float | None": "number or null",
    "Mapping[str, str] | None": "object or null",
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_every_field_is_documented_with_type_and_default(name: str) -> None:
    part = {**entries(section("Requests")), **entries(section("Replies")), **entries(section("Events"))}[name]
    documented = dict(
        re.findall(
            r"(?:^- |, )`(\w+)` "
            r"((?:text|integer|number|boolean|list|object|arrays)(?: or null)?(?:, default `[^`]*`)?)",
            part,
            re.MULTILINE,
        )
    )
    expected = {}
    for field in dataclasses.fields(MESSAGES[name]):
        if field.name in ("id", "reply_to"):
            continue
        kind = TYPES.get(str(field.type)) or ("list" if str(field.type).startswith("list") else "object")
        default = "" if field.default is dataclasses.MISSING else f"`{json.dumps(field.default)}`"
        if field.default_factory is not dataclasses.MISSING and kind != "arrays":
            default = "`[]`" if kind == "list" else "`{}`"
        expected[field.name] = kind + (f", default {default}" if default else "")
    assert documented == expected


LIMITS = ("HEADER_BYTES", "HEADER_VALUES", "ARRAYS", "AXES", "ID_CHARS", "PORT_CHARS", "TOTAL_BYTES")


@pytest.mark.parametrize("name", [f"MAX_{limit}" for limit in LIMITS])
def test_limits(name: str) -> None:
    assert f"| `{name}` | {getattr(codec, name)} |" in DOCUMENT


def test_dtypes() -> None:
    text = DOCUMENT.split("<!-- dtypes -->")[1].split("<!-- /dtypes -->")[0]
    assert [name.replace("\\|", "|") for name in re.findall(r"`([^`]+)`", text)] == list(codec.DTYPES)


def test_error_codes() -> None:
    assert re.findall(r"^\| `(\w+)` \|", section("7. Errors"), re.MULTILINE) == [error.code for error in ERRORS]


def test_job_states_and_moves() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section("5. Jobs"), re.MULTILINE)
    documented = {state: set(re.findall(r"`(\w+)`", moves)) for state, moves in rows}
    assert documented == {state.value: {to.value for to in moves} for state, moves in MOVES.items() if moves}
    for state in JobState:
        assert f"`{state.value}`" in section("5. Jobs")


def test_numbers_in_the_text() -> None:
    assert "within 250 ms" in DOCUMENT
    assert CANCEL_GRACE_S < 0.25
    assert f"it has {KEEP_GRACE_S:.0f} s" in DOCUMENT
    assert f"for {MAX_AGE_S / 86400:.0f} days" in DOCUMENT
    assert f"({MAX_BYTES // 10**9} GB unless" in DOCUMENT
    assert f"the newest {MAX_LISTED_JOBS} are listed" in DOCUMENT
    assert handoff.MIN_BYTES == 1 << 20
    assert "of 1 MiB or more" in DOCUMENT
    assert handoff.MAX_AGE_S == 600
    assert "after ten minutes" in DOCUMENT


def test_numbers_of_connections() -> None:
    text = section("8. Security")
    mib = 1 << 20
    assert (
        f"that have not said Hello | {connections.MAX_STRANGERS}, each for {connections.HELLO_WITHIN_S:.0f} s" in text
    )
    assert f"{connections.STRANGER_BYTES >> 10} KiB, {inbox.MAX_STRANGER_PARTS} frames of a message" in text
    assert f"message and {server.MAX_REFUSALS} messages that are none" in text
    small, small_in_all = connections.SMALL_BYTES // mib, connections.SMALL_BYTES_IN_ALL // mib
    assert f"headers and small frames | {small} MiB of a client, {small_in_all} MiB in all" in text
    assert f"say Hello again after {connections.REST_S:g} s" in text
    assert f"none; {connections.STRANGERS_BYTES // mib} MiB together" in text
    assert f"that have | {connections.MAX_CLIENTS};" in text
    assert f"frames of a message | {inbox.MAX_PARTS} |" in text
    assert f"{inbox.MAX_WAITING} of a client, with {inbox.MAX_WAITING_BYTES // mib} MiB of headers" in text
    assert f"headers; {inbox.MAX_WAITING_BYTES_IN_ALL // mib} MiB of headers in all" in text
    assert f"4 GiB and {(connections.CLIENT_BYTES - codec.MAX_TOTAL_BYTES) // mib} MiB of a client" in text
    assert f"{connections.CLIENTS_BYTES >> 30} GiB in all" in text
    assert f"{MAX_QUEUED_PER_OWNER} of an owner and {MAX_QUEUED} in all" in " ".join(text.split())
    assert MAX_QUEUED_PER_USER == MAX_QUEUED // 2
    assert f"at most {server.HELLO_FRAMES} frames and {server.HELLO_BYTES} bytes" in DOCUMENT


def block(label: str) -> str:
    found = re.search(rf"^```{label}\n(.*?)\n```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found, label
    return found[1]


def test_worked_example() -> None:
    frames = [bytes.fromhex(block("hex 0")), block("json 1").encode(), bytes.fromhex(block("hex 2"))]
    submit = Submit(
        id="4bf9c2a6-0f0e-4f0c-9f5e-3d7e6a1b2c3d", job="0d9e7a34-6c1b-4a57-8f0a-5b1f6e2d4c3b", algorithm="morphology",
        params={"seed": 7}, preview=True, arrays={"height": (height_map(np.array([[0.0, 1.0], [2.0, -0.5]]), 30.0),)},
    )  # fmt: skip
    assert [bytes(frame) for frame in encode(submit)] == frames
    decoded = decode(frames)
    assert isinstance(decoded, Submit)
    np.testing.assert_array_equal(decoded.arrays["height"][0].values, [[0.0, 1.0], [2.0, -0.5]])
    accepted = decode([frames[0], block("json 3").encode()])
    assert isinstance(accepted, Accepted)
    assert (accepted.reply_to, accepted.job) == (submit.id, submit.job)
