"""Ctrl-C and SIGTERM while a training runs: noted at once, acted on between two steps, so that no step is saved by half.

Where several processes train together each gets its signal at another moment; they end after the same step.
"""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType

log = logging.getLogger(__name__)

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """`with Interruption() as interruption:` notes signals; the end of the block raises what they would have raised.

    at_once: a second Ctrl-C does not wait. Outside the main thread, which signals go to, nothing changes.
    """

    def __init__(self, *, at_once: bool = True) -> None:
        self._at_once = at_once
        self._heard: int | None = None
        self._before: dict[signal.Signals, object] = {}

    @property
    def is_heard(self) -> bool:
        return self._heard is not None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _NUMBERS}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._at_once:
            if self.is_heard:
                raise KeyboardInterrupt
            log.warning("Stopping after this step. Ctrl-C again stops at once.")
        self._heard = number

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        if self._heard is not None and kind is None:
            signal.raise_signal(self._heard)
