"""Logs that nobody outside can make grow: lines are cut, repeated ones are counted instead of written, files have a limit.

backend.log turns over by size. Standard error has no file of its own to turn over (Blender keeps it in process.log), so that after
a limit it says no more.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import time
from collections.abc import Iterator
from pathlib import Path

LOG_BYTES, LOG_FILES = 2 << 20, 3
STDERR_BYTES = 2 << 20
MAX_CHARS = 2000  # of a line
MAX_TRACEBACK_CHARS = 8000
LINES_A_SPAN, SPAN_S = 20, 10.0  # of one kind


class Bounded(logging.Filter):
    """Cuts lines, and lets only so many of a kind through in so much time; a later one says how many did not come."""

    def __init__(self, max_bytes: int | None = None) -> None:
        """max_bytes: how much goes through in all; None sets no limit."""
        super().__init__()
        self._left = max_bytes
        self._spans: dict[tuple[str, int], tuple[float, int]] = {}  # place in the code -> since when, how many lines

    def filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:
        now, place = time.monotonic(), (record.pathname, record.lineno)
        since, count = self._spans.get(place, (now, 0))
        skipped = 0
        if now - since > SPAN_S:
            skipped, since, count = max(count - LINES_A_SPAN, 0), now, 0
        self._spans[place] = since, count + 1
        if count >= LINES_A_SPAN:
            return False
        brief = logging.makeLogRecord(record.__dict__)  # other handlers get the record as it is
        text = _cut(record.getMessage(), MAX_CHARS)
        brief.msg, brief.args = text + (f" ({skipped} more like this)" if skipped else ""), None
        if record.exc_info:
            formatted = logging.Formatter().formatException(record.exc_info)
            brief.exc_text, brief.exc_info = _cut(formatted, MAX_TRACEBACK_CHARS), None
        return self._spend(brief) and brief

    def _spend(self, record: logging.LogRecord) -> bool:
        if self._left is None:
            return True
        if self._left <= 0:
            return False
        self._left -= len(str(record.msg)) + len(record.exc_text or "") + 100
        if self._left <= 0:
            record.msg = f"{record.msg} (nothing more is written here; backend.log goes on)"
        return True


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """The backend's log goes to this file too, and everything that is written anywhere stays within its limits."""
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES, backupCount=LOG_FILES - 1, encoding="utf-8", errors="replace"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(Bounded())
    bounded = Bounded(STDERR_BYTES)
    others = list(logging.getLogger().handlers)
    for other in others:
        other.addFilter(bounded)
    root = logging.getLogger("backend")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
        for other in others:
            other.removeFilter(bounded)
