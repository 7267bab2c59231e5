"""Ctrl-C and SIGTERM end a command within a second, whatever it does.

Python handles a signal between two bytecode instructions, by an exception that removes unfinished files. A call into compiled code
may last for many seconds: if the command has not ended after GRACE_S, a thread removes the files and ends the process. Code that
holds Python's global lock stops that thread, too; then a second process, which waits for this, kills the first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from backend.cli import INTERRUPTED

GRACE_S = 0.5  # for the command's own end
LAST_GRACE_S = 0.7  # after which the second process kills it: the exit status is that of SIGKILL then
_NUMBERS = (signal.SIGINT, signal.SIGTERM)

# peeks at what the signal handler wrote, for the thread has to see it as well; ends with the command
_SECOND_PROCESS = """
import os, shutil, signal, socket, sys, time
parent, grace_s, half_done, made = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4:]
heard = socket.socket(fileno=0)
while not {2, 15} & set(numbers := heard.recv(64, socket.MSG_PEEK)):
    if not numbers:
        sys.exit()
    time.sleep(0.05)
end = time.monotonic() + grace_s
while os.getppid() == parent:
    if time.monotonic() > end:
        os.kill(parent, signal.SIGKILL)
        while os.getppid() == parent:
            time.sleep(0.01)
        shutil.rmtree(half_done, ignore_errors=True)
        for folder in made:
            try:
                os.rmdir(folder)
            except OSError:
                pass
        sys.exit()
    time.sleep(0.02)
"""


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those of these, the innermost first, that are there and hold nothing."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def ended_promptly(half_done: Path, made: Sequence[Path] = ()) -> Iterator[None]:
    """Within, a signal ends the process within a second. Where the command cannot do so, half_done, a folder, is removed, and
    those of `made`, the innermost first, that are empty then."""
    if threading.current_thread() is not threading.main_thread():  # as signals are the main thread's alone
        yield
        return
    heard, rings = socket.socketpair()
    rings.setblocking(False)
    has_ended = threading.Event()
    before = signal.set_wakeup_fd(rings.fileno(), warn_on_full_buffer=False)  # C writes to it, whatever Python does
    watch = threading.Thread(target=_watch, args=(heard, has_ended, half_done, made), name="interruption", daemon=True)
    watch.start()
    second = _start_second(heard, half_done, made)
    try:
        yield
    finally:
        has_ended.set()
        signal.set_wakeup_fd(before)
        rings.close()
        if second is not None:
            second.kill()
            second.wait()


def _start_second(heard: socket.socket, half_done: Path, made: Sequence[Path]) -> subprocess.Popen[bytes] | None:
    """None where no process is to be had; Windows has none of the calls that it needs."""
    if os.name == "nt":
        return None
    arguments = [str(os.getpid()), str(LAST_GRACE_S), *(str(path.absolute()) for path in (half_done, *made))]
    command = [sys.executable, "-I", "-S", "-c", _SECOND_PROCESS, *arguments]
    try:
        return subprocess.Popen(command, stdin=heard.fileno(), stdout=subprocess.DEVNULL, start_new_session=True)
    except OSError:
        return None


def _watch(heard: socket.socket, has_ended: threading.Event, half_done: Path, made: Sequence[Path]) -> None:
    with heard:
        while numbers := heard.recv(64, socket.MSG_PEEK):
            wanted = [number for number in numbers if number in _NUMBERS]
            if not wanted:
                heard.recv(len(numbers))
                continue
            if not has_ended.wait(GRACE_S):
                shutil.rmtree(half_done, ignore_errors=True)
                remove_empty(made)
                with contextlib.suppress(Exception):  # a standard error that is no file
                    if wanted[0] == signal.SIGINT:
                        os.write(sys.stderr.fileno(), b"\nrelievo: Interrupted; nothing was written.\n")
                os._exit(INTERRUPTED if wanted[0] == signal.SIGINT else 128 + wanted[0])
            return
