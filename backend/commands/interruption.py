"""Ctrl-C and SIGTERM end a command within a second, whatever it does.

Python heeds a signal between two of its own steps, by an exception that clears away what is half done. A call into compiled code
may last for many seconds: where the command has not ended by itself after GRACE_S, a thread clears away and ends the process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

from backend.cli import INTERRUPTED

GRACE_S = 0.5


@contextlib.contextmanager
def ended_promptly(clear_away: Callable[[], object]) -> Iterator[None]:
    """Within, a signal ends the process GRACE_S later at the latest. clear_away: called before that, on another thread."""
    if threading.current_thread() is not threading.main_thread():  # as signals are the main thread's alone
        yield
        return
    heard, rings = socket.socketpair()
    for end in (heard, rings):
        end.setblocking(end is heard)
    has_ended = threading.Event()
    before = signal.set_wakeup_fd(rings.fileno(), warn_on_full_buffer=False)  # C writes to it, whatever Python does
    thread = threading.Thread(target=_watch, args=(heard, has_ended, clear_away), name="interruption", daemon=True)
    thread.start()
    try:
        yield
    finally:
        has_ended.set()
        signal.set_wakeup_fd(before)
        rings.close()


def _watch(heard: socket.socket, has_ended: threading.Event, clear_away: Callable[[], object]) -> None:
    with heard:
        while numbers := heard.recv(64):
            wanted = [number for number in numbers if number in (signal.SIGINT, signal.SIGTERM)]
            if wanted and not has_ended.wait(GRACE_S):
                with contextlib.suppress(Exception):
                    clear_away()
                with contextlib.suppress(Exception):  # a standard error that is no file
                    if wanted[0] == signal.SIGINT:
                        os.write(sys.stderr.fileno(), b"\nrelievo: Interrupted; nothing was written.\n")
                os._exit(INTERRUPTED if wanted[0] == signal.SIGINT else 128 + wanted[0])
