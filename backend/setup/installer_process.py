"""Runs uv or pip, passes on what it prints, and says in one sentence why it failed. Standard library only."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence

from shared.errors import InstallFailed

Line = Callable[[str], None]
"""Takes one line of the installer's output."""


class NotAvailable(InstallFailed):
    """A package exists nowhere that was asked: another source may have it."""


def run(command: Sequence[str], line: Line, environ: Mapping[str, str] | None = None) -> None:
    """Runs a command to its end; environ is added to the user's. Raises InstallFailed with what its last lines mean."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **(environ or {})},
    )
    tail: list[str] = []
    assert process.stdout is not None
    for text in process.stdout:
        text = text.strip()
        if text:
            tail = [*tail[-30:], text]
            line(text)
    if process.wait() != 0:
        raise explain(tail)


def capture(command: Sequence[str]) -> str:
    """What a command prints, "" where it fails or is not there."""
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def succeeds(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


# (what uv or pip says, what it means, what to do, the class), the first that fits: a missing network also finds no package
_EXPLANATIONS: tuple[tuple[tuple[str, ...], str, str, type[InstallFailed]], ...] = (
    (
        ("Hash mismatch for", "DO NOT MATCH THE HASHES"),
        "A package is not the file that the lock file pins (its SHA-256 differs), and was not installed",
        "Install again. If it happens again, the package index or the folder of wheels has another file than the project.",
        InstallFailed,
    ),
    (
        ("No space left on device", "not enough space"),
        "The disk is full.",
        "Free some space and install again: what is installed is kept.",
        InstallFailed,
    ),
    (
        (
            "Name or service not known",
            "Temporary failure",
            "ConnectionError",
            "NewConnectionError",
            "Connection refused",
            "dns error",
            "timed out",
            "Network is unreachable",
        ),
        "The package index cannot be reached.",
        "Check the connection, or install from a folder of wheels.",
        InstallFailed,
    ),
    (
        ("No matching distribution", "No solution found", "not find a version", "no wheels", "no versions"),
        "A library is not available for this machine and this Python",
        "With a folder of wheels: add the missing one to it.",
        NotAvailable,
    ),
    (
        ("Permission denied",),
        "The folder cannot be written to.",
        "Choose another folder for the backend in the preferences.",
        InstallFailed,
    ),
)


def explain(tail: Sequence[str]) -> InstallFailed:
    """The last lines of an installer's output -> what they mean for the user."""
    text = "\n".join(tail).lower()
    for signs, meaning, hint, kind in _EXPLANATIONS:
        if sign := next((sign.lower() for sign in signs if sign.lower() in text), ""):
            return kind(meaning if meaning.endswith(".") else f"{meaning}: {_detail(tail, sign)}", hint=hint)
    return InstallFailed(
        f"The installation failed: {tail[-1] if tail else 'the installer printed nothing'}.",
        hint="The log below says more.",
    )


def _detail(tail: Sequence[str], sign: str) -> str:
    """The package that it is about: uv names it on the line of the sign or on the next, pip on the next."""
    index = max(index for index, text in enumerate(tail) if sign in text.lower())
    found = re.search(r"([\w.-]+)(?:\{.*?\})?==([\w.+!]*\w)", " ".join(tail[index : index + 2]))
    return f"{found[1]}=={found[2]}." if found else tail[index]
