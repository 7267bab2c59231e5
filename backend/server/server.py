"""The backend's front: one ROUTER socket, one loop that never blocks and never computes. Imports no torch: it listens
in a moment.

Decoding what comes in, keeping the loop's clock, starting and ending in good order. What a message means is
service.py's.
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
import secrets
import signal
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import zmq

from backend.runtime import registry
from backend.server.background import Background
from backend.server.bind import Connections, Parent, bind, check_address, use_curve
from backend.server.lifecycle import Lifecycle
from backend.server.placement import Placement
from backend.server.send_queue import SendQueue
from backend.server.service import Service
from backend.server.store import MAX_AGE_S, MAX_BYTES, Store
from backend.server.worker_pool import WorkerPool
from shared.codec import decode
from shared.devices import check_name
from shared.endpoint import Endpoint, default_state_dir, write_endpoint
from shared.errors import ProtocolError, RelievoError
from shared.messages import REQUESTS
from shared.version import VERSION

log = logging.getLogger(__name__)

TICK_KILLING_MS, TICK_BUSY_MS, TICK_IDLE_MS = 5, 50, 250
MESSAGES_A_TURN = 64  # of one busy client, before workers and clocks get a look-in
LOG_BYTES, LOG_FILES = 2 << 20, 3


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How to serve.

    state_dir: jobs, results, keys and logs; one server at a time. endpoint_path: the connection file. host: an address of this
    machine; beyond loopback only with curve. port: 0 takes a free one. devices: names of those to compute on beside the CPU, ()
    for what is fastest for each algorithm. idle_exit_s: end after so long without a client or a job. parent_pid: end when that
    process has ended, no job is left and no client is connected.
    """

    state_dir: Path
    endpoint_path: Path
    host: str
    port: int
    curve: bool
    devices: tuple[str, ...]
    parent_pid: int
    idle_exit_s: float | None
    max_age_s: float
    max_bytes: int


def serve(
    *,
    state_dir: Path | None = None,
    endpoint_path: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    curve: bool = False,
    devices: Sequence[str] = (),
    parent_pid: int = 0,
    idle_exit_s: float | None = None,
    max_age_s: float = MAX_AGE_S,
    max_bytes: int = MAX_BYTES,
) -> int:
    """Serve until a signal, a client's Shutdown, or an idle exit; ServerSettings says what each option means.

    Returns 0. Raises RelievoError when it cannot begin: InsecureAddress, AddressInUse, InvalidParameter for what is no device's
    name, or BackendUnavailable for a state folder that another backend uses.
    """
    check_address(host, curve)
    devices = tuple(check_name(device) for device in devices)
    registry.algorithms()  # one that cannot be imported is reported before anything is opened
    state_dir = (state_dir or default_state_dir()).absolute()
    settings = ServerSettings(
        state_dir=state_dir,
        endpoint_path=endpoint_path or state_dir / "endpoint.json",
        host=host,
        port=port,
        curve=curve,
        devices=devices,
        parent_pid=parent_pid,
        idle_exit_s=idle_exit_s,
        max_age_s=max_age_s,
        max_bytes=max_bytes,
    )
    store = Store(state_dir)
    try:
        with _logging_to(state_dir / "backend.log"):
            Server(settings, store).run()
    finally:
        store.close()
    return 0


class Server:
    """Sockets and the loop. One object a run."""

    def __init__(self, settings: ServerSettings, store: Store) -> None:
        self._settings = settings
        self._context = zmq.Context()
        self._session = str(uuid.uuid4())
        self._stopping = False
        self._handoff = store.handoff
        self._last_heard = 0.0
        self._parent = Parent(settings.parent_pid) if settings.parent_pid else None
        public_key = ""
        self._router = self._context.socket(zmq.ROUTER)
        self._connections = Connections(self._router)
        try:
            if settings.curve:
                public_key = use_curve(self._router, settings.state_dir / "curve.json")
            address = bind(self._router, settings.host, settings.port)
        except BaseException:
            self._connections.close()
            self._context.destroy(linger=0)
            raise
        token = secrets.token_hex(32)
        self._endpoint = Endpoint(
            address=address,
            token=token,
            session=self._session,
            pid=os.getpid(),
            version=VERSION,
            server_public_key=public_key,
        )
        self._background = Background(self._context, "intake")
        self._sweeper = Background(self._context, "sweeper")  # removing gigabytes must not hold up a Submit
        self._pool = WorkerPool(self._context, settings.state_dir)
        self._placement = Placement(settings.devices)
        self._send_queue = SendQueue(self._router, lambda client: self._service.forget_client(client))
        self._lifecycle = Lifecycle(
            store=store,
            pool=self._pool,
            placement=self._placement,
            send_queue=self._send_queue,
            sweeper=self._sweeper,
            clients_of=lambda owner: self._service.clients_of(owner),
            max_age_s=settings.max_age_s,
            max_bytes=settings.max_bytes,
        )
        self._service = Service(
            session=self._session,
            token=token,
            lifecycle=self._lifecycle,
            send_queue=self._send_queue,
            background=self._background,
            on_shutdown=self.stop,
        )

    def stop(self) -> None:
        self._stopping = True

    def run(self) -> None:
        """The loop, from the connection file's appearance to its removal."""
        with self._signals():  # to the end: a second signal must not break off the cleaning up
            try:
                for device in self._placement.at_start:
                    self._pool.want(device)
                self._lifecycle.recover()
                write_endpoint(self._settings.endpoint_path, self._endpoint)
                log.info("relievo %s listens on %s, session %s", VERSION, self._endpoint.address, self._session)
                self._loop()
            finally:
                self._close()

    def _loop(self) -> None:
        self._last_heard = time.monotonic()  # from now on somebody can be
        poller = zmq.Poller()
        for socket in (self._router, self._pool.socket, self._background.socket, self._connections.socket):
            poller.register(socket, zmq.POLLIN)
        while not self._stopping:
            ready = dict(poller.poll(self._timeout_ms()))
            now = time.monotonic()
            if self._router in ready:
                self._last_heard = now
                self._receive()
            if self._connections.socket in ready:
                self._connections.receive()
                self._last_heard = now
            if self._background.socket in ready:
                self._background.run_finished()
            for event in self._pool.receive():
                self._lifecycle.on_worker(event)
            self._lifecycle.tick(now)
            for event in self._pool.check(now):  # after tick: it may have killed one
                self._lifecycle.on_worker(event)
            self._send_queue.flush(now)
            if self._is_done(now):  # never an assignment of the old value: a signal may come meanwhile
                self.stop()

    def _timeout_ms(self) -> int:
        tick_ms = (
            TICK_BUSY_MS if self._is_busy or self._send_queue.has_waiting or not self._pool.ready else TICK_IDLE_MS
        )
        if self._pool.is_killing:
            tick_ms = TICK_KILLING_MS
        deadline = self._lifecycle.next_deadline
        if deadline is not None:
            tick_ms = min(tick_ms, max(int((deadline - time.monotonic()) * 1000) + 1, 0))
        return tick_ms

    def _receive(self) -> None:
        for _ in range(MESSAGES_A_TURN):
            try:
                frames = self._router.recv_multipart(flags=zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            client = frames[0].bytes
            try:
                if not client.startswith(b"\0"):  # libzmq's own begin so: one that is chosen could be another's later
                    raise ProtocolError("A client must not choose its routing id.", hint="Leave ZMQ_ROUTING_ID unset.")
                message = decode([frame.buffer for frame in frames[1:]], self._handoff)
                if not isinstance(message, REQUESTS):
                    raise ProtocolError(f"{type(message).__name__} is not a request.")
            except RelievoError as error:
                log.info("frames that are not a request: %s", error)
                self._service.refuse(client, error)
                continue
            self._service.handle(client, message)

    @property
    def _is_busy(self) -> bool:
        return self._lifecycle.is_busy or self._service.is_storing

    def _is_done(self, now: float) -> bool:
        if self._is_busy or self._connections.count:
            return False
        idle_exit_s = self._settings.idle_exit_s
        if idle_exit_s is not None and now - self._last_heard >= idle_exit_s:
            log.info("no client has been connected for %g s", idle_exit_s)
            return True
        if self._parent is not None and self._parent.has_ended:
            log.info("the process that started this backend has ended")
            return True
        return False

    def _close(self) -> None:
        self._pool.close()
        self._sweeper.close()
        self._background.close()  # a job that was being stored is on disk now, and is Accepted
        self._lifecycle.suspend()
        self._send_queue.flush(time.monotonic())
        with contextlib.suppress(OSError, ValueError, KeyError):
            written = json.loads(self._settings.endpoint_path.read_text(encoding="utf-8"))
            if written["session"] == self._session:  # a later backend may have written its own
                self._settings.endpoint_path.unlink()
        self._connections.close()
        self._router.close(linger=1000)
        self._context.term()
        log.info("shut down cleanly")

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the loop; what was there before comes back afterwards."""

        def on_signal(number: int, frame: object) -> None:
            self.stop()

        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES, backupCount=LOG_FILES - 1, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("backend")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
