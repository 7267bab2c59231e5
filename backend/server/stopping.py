"""How the server comes to an end: asked once it ends in good order, every wait bounded and logged; asked twice it ends at once.

`kill -USR1 PID` writes the stack of every thread to stacks.log in the state folder, and so does an end that takes too long: what a
server waited for must not stay a riddle. Knows no socket and no job.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from backend.server.state_folder import open_new

log = logging.getLogger(__name__)

LIMIT_S = 30.0  # from the first signal: whatever still waits then is broken off
SAME_SIGNAL_S = 0.5  # `timeout` and terminals send a signal twice; that is one wish
SLOW_S = 1.0  # a wait that is worth a line in the log
STACKS = "stacks.log"


class Stopping:
    """Whether the server shall end. `with` it: signals are heeded, and what was there before comes back afterwards.

    leave_at_once: called by a second signal before the process ends, from a signal handler: it must wait for nothing.
    """

    def __init__(self, log_dir: Path, leave_at_once: Callable[[], None]) -> None:
        self.is_asked = False
        self._leave_at_once = leave_at_once
        self._asked_at = 0.0
        self._path = log_dir / STACKS
        self._stacks: IO[bytes] | None = None

    def ask(self) -> None:
        """End in good order, within LIMIT_S."""
        if not self.is_asked:
            self.is_asked = True
            self._asked_at = time.monotonic()
            if self._stacks is not None:  # a thread of C's: it needs neither Python nor its locks
                faulthandler.dump_traceback_later(LIMIT_S, exit=True, file=self._stacks)

    def dump_stacks(self) -> None:
        """Write what every thread does now to stacks.log."""
        if self._stacks is not None:
            faulthandler.dump_traceback(self._stacks, all_threads=True)

    def __enter__(self) -> Stopping:
        with contextlib.suppress(OSError):  # a full disk: then there are no stacks to read, and all else works
            self._path.unlink(missing_ok=True)
            self._stacks = os.fdopen(open_new(self._path), "wb", buffering=0)
        if self._stacks is not None and sys.platform != "win32":
            faulthandler.register(signal.SIGUSR1, file=self._stacks, all_threads=True)
        self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        faulthandler.cancel_dump_traceback_later()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._stacks is not None:
            if sys.platform != "win32":
                faulthandler.unregister(signal.SIGUSR1)
            self._stacks.close()
            with contextlib.suppress(OSError):
                if self._path.stat().st_size == 0:
                    self._path.unlink()

    def _on_signal(self, number: int, frame: object) -> None:
        if not self.is_asked:
            self.ask()
        elif time.monotonic() - self._asked_at > SAME_SIGNAL_S:
            self.dump_stacks()
            with contextlib.suppress(OSError):
                self._leave_at_once()
            os._exit(128 + number)  # no lock, no thread and no destructor can hold this up


@contextlib.contextmanager
def step(what: str, failures: list[str]) -> Iterator[None]:
    """One step of the end: logged where it is slow; where it fails the others follow all the same, and its name is in `failures`.

    A step that waits for something raises TimeoutError when its time is over.
    """
    began = time.monotonic()
    try:
        yield
    except Exception as error:
        failures.append(what)
        log.warning("while the backend ends: %s: %s", what, error, exc_info=not isinstance(error, TimeoutError))
    elapsed = time.monotonic() - began
    if elapsed > SLOW_S:
        log.warning("while the backend ends: %s took %.1f s", what, elapsed)
