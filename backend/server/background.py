"""One thread for what would keep the server from answering: reading large arrays through, writing them, removing old
ones.

Work runs in the order it was given; what follows from it runs on the server's own thread, which a socket wakes.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

import zmq

from shared.errors import InternalError, RelievoError

log = logging.getLogger(__name__)

Work = Callable[[], None]
Then = Callable[["RelievoError | None"], None]


class Background:
    """Poll `socket`; when it is readable, call run_finished()."""

    def __init__(self, context: zmq.Context, name: str) -> None:
        self.socket = context.socket(zmq.PAIR)
        self.socket.bind(f"inproc://{name}")
        self._waker = context.socket(zmq.PAIR)
        self._waker.setsockopt(
            zmq.SNDHWM, 0
        )  # the thread must never wait for the server, which waits for it in close()
        self._waker.connect(f"inproc://{name}")  # from here on only the thread touches it
        self._work: queue.SimpleQueue[tuple[Work, Then | None] | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[tuple[Then, RelievoError | None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)  # a start that fails must not hang
        self._thread.start()

    def do(self, work: Work, then: Then | None = None) -> None:
        """Have `work` done; `then` is called with the error it raised, or None."""
        self._work.put((work, then))

    def run_finished(self) -> None:
        while self.socket.poll(0):
            self.socket.recv()
        while not self._finished.empty():
            then, error = self._finished.get()
            try:
                then(error)
            except Exception:  # a defect in what follows from one piece of work must not end the server
                log.exception("the backend failed after work in the background")

    def close(self, patience_s: float = 10.0) -> None:
        """Finish all work that was given, and what follows from it, then end. Raises TimeoutError where the work takes longer, on
        a disk that does not answer for instance: the thread is left to end with the process.
        """
        self._work.put(None)
        self._thread.join(patience_s)
        self.run_finished()
        self.socket.close()
        if self._thread.is_alive():
            raise TimeoutError(f"the thread {self._thread.name!r} still works after {patience_s:g} s")

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            work, then = item
            error = _attempt(work)
            if then is not None:
                self._finished.put((then, error))
                self._waker.send(b"")
            del item, work, then  # they hold the arrays of a job: let go of them now, not when the next one comes
        self._waker.close()


def _attempt(work: Work) -> RelievoError | None:
    try:
        work()
    except Exception as error:  # the thread must go on; the error travels to whoever asked
        return as_relievo_error(error)
    return None


def as_relievo_error(error: Exception) -> RelievoError:
    """The error as a client may see it; one that nobody foresaw is logged with its traceback."""
    if isinstance(error, RelievoError):
        return error
    log.error("the backend failed", exc_info=error)
    return InternalError(f"The backend failed: {type(error).__name__}: {error}.", hint="The log has the details.")
