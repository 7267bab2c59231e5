"""Logs that nobody outside can make grow: lines are cut, repeated ones are counted instead of written, files have a limit.

backend.log turns over by size. Standard error has no file of its own to turn over (Blender keeps it in process.log), so that after
a limit it says no more, and it must not hold up the server either: not a full disk, not a pipe that nobody empties. Lines are lost
then, jobs are not.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOG_BYTES, LOG_FILES = 2 << 20, 3
STDERR_BYTES = 2 << 20
MAX_CHARS = 2000  # of a line
MAX_TRACEBACK_CHARS = 8000
MAX_LINE_CHARS = 1000  # on standard error: a pipe that is ready takes 4096 bytes in one piece (POSIX, PIPE_BUF)
LINES_A_SPAN, SPAN_S = 20, 10.0  # of one kind


class Bounded(logging.Filter):
    """Cuts lines, and lets only so many of a kind through in so much time; a later one says how many did not come."""

    def __init__(self, max_bytes: int | None = None) -> None:
        """max_bytes: how much goes through in all; None sets no limit."""
        super().__init__()
        self._left = max_bytes
        self._spans: dict[tuple[str, int], tuple[float, int]] = {}  # place in the code -> since when, how many lines

    def filter(self, record: logging.LogRecord) -> bool:
        now, place = time.monotonic(), (record.pathname, record.lineno)
        since, count = self._spans.get(place, (now, 0))
        skipped = 0
        if now - since > SPAN_S:
            skipped, since, count = max(count - LINES_A_SPAN, 0), now, 0
        self._spans[place] = since, count + 1
        if count >= LINES_A_SPAN or (self._left is not None and self._left <= 0):
            return False
        if not getattr(record, "is_cut", False):  # by another handler's filter
            _cut_record(record, f" ({skipped} more like this)" if skipped else "")
        if self._left is not None:
            self._left -= len(record.msg) + len(record.exc_text or "") + 100
            if self._left <= 0:
                record.msg += " (nothing more is written here; backend.log goes on)"
        return True


def _cut_record(record: logging.LogRecord, note: str) -> None:
    record.msg, record.args = _cut(record.getMessage(), MAX_CHARS) + note, None
    if record.exc_info and not record.exc_text:
        record.exc_text = _cut(logging.Formatter().formatException(record.exc_info), MAX_TRACEBACK_CHARS)
    record.is_cut = True


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


class _LogFile(logging.handlers.RotatingFileHandler):
    def _open(self) -> Any:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        return os.fdopen(os.open(self.baseFilename, flags, 0o600), "a", encoding="utf-8", errors="replace")

    def handleError(self, record: logging.LogRecord) -> None:
        """The disk is full, or the folder gone: without a word, for where should it go?"""


class _Console(logging.Handler):
    """Passes lines on to the streams of the command line as long as they take them: a pipe that nobody empties would hold up
    whoever writes to it, for ever.
    """

    def emit(self, record: logging.LogRecord) -> None:
        for handler in logging.getLogger().handlers:
            if record.levelno < handler.level or not handler.filter(record):
                continue
            if not isinstance(handler, logging.StreamHandler):
                handler.handle(record)
            elif _takes_a_line(handler.stream):
                with contextlib.suppress(OSError, ValueError):  # its reader has gone
                    handler.stream.write(handler.format(record)[:MAX_LINE_CHARS] + handler.terminator)
                    handler.stream.flush()


def _takes_a_line(stream: Any) -> bool:
    """Whether a line can be written without waiting. Windows cannot tell of a pipe."""
    try:
        return os.name == "nt" or bool(select.select([], [stream.fileno()], [], 0)[1])
    except (OSError, ValueError):  # no file at all, or one of so high a number that select() takes it not
        return True


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """The backend's log goes to this file too, and everything that is written anywhere stays within its limits."""
    handler = _LogFile(
        path, maxBytes=LOG_BYTES, backupCount=LOG_FILES - 1, encoding="utf-8", errors="replace", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(Bounded())
    console = _Console()
    console.addFilter(Bounded(STDERR_BYTES))
    root = logging.getLogger("backend")
    propagates = root.propagate
    root.addHandler(handler)
    root.addHandler(console)
    root.propagate = False  # the console passes lines on
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.propagate = propagates
        for added in (handler, console):
            root.removeHandler(added)
            added.close()
