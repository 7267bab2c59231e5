"""The backend's front: one ROUTER socket, one loop that never blocks and never computes. Imports no torch: it listens
in a moment.

Decoding what comes in, keeping the loop's clock, starting and ending in good order. What a message means is
service.py's.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import zmq

from backend.runtime import registry
from backend.server.access import Access, check_users
from backend.server.background import Background
from backend.server.bind import (
    Parent,
    bind,
    check_address,
    first_number,
    raise_file_limit,
    router_socket,
    server_context,
    use_curve,
)
from backend.server.connections import Connection, Connections, bytes_on_wire
from backend.server.inbox import Frames, Inbox
from backend.server.lifecycle import Lifecycle
from backend.server.logs import logging_to
from backend.server.placement import Placement
from backend.server.send_queue import SendQueue
from backend.server.service import Service
from backend.server.state_folder import FULL
from backend.server.stopping import Stopping, step
from backend.server.store import MAX_AGE_S, MAX_BYTES, Store
from backend.server.worker_pool import WorkerPool
from shared.codec import decode
from shared.devices import check_name
from shared.endpoint import Endpoint, default_state_dir
from shared.errors import BackendUnavailable, ProtocolError, RelievoError, StorageFull
from shared.messages import REQUESTS, Message
from shared.version import VERSION

log = logging.getLogger(__name__)

TICK_KILLING_MS, TICK_BUSY_MS, TICK_IDLE_MS = 5, 50, 250
TURN_S = 0.01  # of clients' requests, before what has newly come is looked at, and workers and clocks get their turn
FAILED_TURN_PAUSE_S = 0.05
MAX_REFUSALS = 3  # of what comes before Hello, until its connection is closed
HELLO_BYTES, HELLO_FRAMES = 16 << 10, 2  # of a message before Hello, without the routing id
FOLDER_INTERVAL_S = 1.0  # between two looks whether the state folder is still there


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How to serve.

    state_dir: jobs, results, keys and logs; one server at a time. endpoint_path: the connection file. host: an address of this
    machine; beyond loopback only with curve. port: 0 takes a free one. curve: keys that stay the same from start to start, for
    clients on other machines; without it they are new at each start. devices: names of those to compute on beside the CPU, ()
    for what is fastest for each algorithm. users: names of people who share this backend, each with a connection file and a token
    of their own. starter: the owner id of the client that starts it, which may always end it. idle_exit_s: end after so long
    without a client or a job. parent_pid: end when that process has ended, no job is left and no client is connected.
    """

    state_dir: Path
    endpoint_path: Path
    host: str
    port: int
    curve: bool
    devices: tuple[str, ...]
    users: tuple[str, ...]
    starter: str
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
    users: Sequence[str] = (),
    starter: str = "",
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
        users=check_users(users),
        starter=starter,
        parent_pid=parent_pid,
        idle_exit_s=idle_exit_s,
        max_age_s=max_age_s,
        max_bytes=max_bytes,
    )
    raise_file_limit()
    store = Store(state_dir)
    files = _ConnectionFiles(settings)
    try:
        with logging_to(state_dir / "backend.log"), Stopping(state_dir, files.remove) as stopping:
            Server(settings, store, stopping, files).run()
    finally:
        store.close()
    return 0


class _ConnectionFiles:
    """The connection files of this run: written once it listens, removed at its end unless a later backend has written its own."""

    def __init__(self, settings: ServerSettings) -> None:
        self._path = settings.endpoint_path
        self._access: Access | None = None
        self._session = ""

    def write(self, access: Access, endpoint: Endpoint, store: Store) -> None:
        """Raises StorageFull, or BackendUnavailable where one cannot be written."""
        self._access, self._session = access, endpoint.session
        try:
            store.state_folder.with_room(lambda: access.write(self._path, endpoint))
        except OSError as error:
            if error.errno in FULL:
                raise StorageFull(
                    f"There is no room for the connection file {self._path}: the disk is full.",
                    hint="Free a few kilobytes, start the backend, and release old results.",
                ) from error
            raise BackendUnavailable(
                f"The connection file {self._path} cannot be written: {error.strerror or error}.",
                hint="Choose another file with --endpoint.",
                field="endpoint",
            ) from error
        store.state_folder.keep_room()

    def remove(self) -> None:
        if self._access is not None:
            self._access.remove(self._path, self._session)


class Server:
    """Sockets and the loop. One object a run."""

    def __init__(
        self, settings: ServerSettings, store: Store, stopping: Stopping, connection_files: _ConnectionFiles
    ) -> None:
        self._settings = settings
        self._store = store
        self._stopping = stopping
        self._connection_files = connection_files
        self._context = server_context()
        self._session = str(uuid.uuid4())
        self._handoff = store.handoff
        self._last_heard = 0.0
        self._has_requests = False  # that could be dealt with at once
        self._folder_seen = 0.0
        self._parent = Parent(settings.parent_pid) if settings.parent_pid else None
        self._router = router_socket(self._context)
        self._connections = Connections(self._router)
        first = first_number(self._context, self._router)
        self._inbox = Inbox(self._router, self._connections, self._follow_connections, first)
        try:
            # keys that stay the same are for clients on other machines, which keep a copy
            public_key = use_curve(self._router, settings.state_dir / "curve.json" if settings.curve else None)
            address = bind(self._router, settings.host, settings.port)
        except BaseException:
            self._connections.close()
            self._context.destroy(linger=0)
            raise
        self._access = Access(settings.users)
        self._endpoint = Endpoint(
            address=address,
            token="",  # each user's own
            session=self._session,
            pid=os.getpid(),
            version=VERSION,
            server_public_key=public_key,
        )
        self._background = Background(self._context, "intake")
        self._reader = Background(self._context, "reader")
        self._sweeper = Background(self._context, "sweeper")  # removing gigabytes must not hold up a Submit
        self._pool = WorkerPool(self._context, settings.state_dir)
        self._placement = Placement(settings.devices)
        self._send_queue = SendQueue(self._router, self._drop_client)
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
            access=self._access,
            connections=self._connections,
            lifecycle=self._lifecycle,
            send_queue=self._send_queue,
            background=self._background,
            reader=self._reader,
            starter=settings.starter,
            on_shutdown=self.stop,
        )

    def stop(self) -> None:
        self._stopping.ask()

    def run(self) -> None:
        """The loop, from the connection file's appearance to its removal. Raises BackendUnavailable when its folder is gone."""
        try:
            for device in self._placement.at_start:
                self._pool.want(device)
            self._lifecycle.recover()
            self._connection_files.write(self._access, self._endpoint, self._store)
            log.info("relievo %s listens on %s, session %s", VERSION, self._endpoint.address, self._session)
            self._loop()
        finally:
            self._close()

    def _loop(self) -> None:
        self._last_heard = time.monotonic()  # from now on somebody can be
        poller = zmq.Poller()
        sockets = (self._background.socket, self._reader.socket, *self._pool.sockets)
        for socket in (self._router, self._connections.socket, *sockets):
            poller.register(socket, zmq.POLLIN)
        while not self._stopping.is_asked:
            self._check_folder(time.monotonic())
            try:
                self._turn(poller)
            except Exception:  # a defect, in one message or one worker's word: the others' work must not end with it
                log.exception("the backend failed and goes on")
                time.sleep(FAILED_TURN_PAUSE_S)

    def _turn(self, poller: zmq.Poller) -> None:
        poller.poll(self._timeout_ms())
        now = time.monotonic()
        self._follow_connections()
        self._inbox.take(now)
        self._answer_clients(now)
        self._connections.check(now)
        for background in (self._background, self._reader):
            background.run_finished()
        for event in self._pool.receive():
            self._lifecycle.on_worker(event)
        self._lifecycle.tick(now)
        for event in self._pool.check(now):  # after tick: it may have killed one
            self._lifecycle.on_worker(event)
        self._send_queue.flush(now)
        if self._is_done(now):  # never an assignment of the old value: a signal may come meanwhile
            self.stop()

    def _follow_connections(self) -> None:
        now = time.monotonic()
        for connection in self._connections.receive(now):
            self._send_queue.forget(connection.client)
            self._inbox.note_end(connection)
            if connection.is_greeted:
                self._last_heard = now

    def _drop_client(self, client: bytes) -> None:
        for connection in self._connections:
            if connection.client == client:
                self._connections.drop(connection, "it does not read its answers")

    def _timeout_ms(self) -> int:
        tick_ms = (
            TICK_BUSY_MS if self._is_busy or self._send_queue.has_waiting or not self._pool.ready else TICK_IDLE_MS
        )
        if self._pool.is_killing:
            tick_ms = TICK_KILLING_MS
        if self._has_requests:
            return 0
        deadline = self._lifecycle.next_deadline
        if deadline is not None:
            tick_ms = min(tick_ms, max(int((deadline - time.monotonic()) * 1000) + 1, 0))
        return tick_ms

    def _answer_clients(self, now: float) -> None:
        """Deal with requests for a moment: at least one, of the client that has had the least time lately."""
        until = time.perf_counter() + TURN_S
        while True:
            start = time.perf_counter()
            found = self._inbox.next(now, self._service.must_wait) if start < until else None
            self._has_requests = found is not None or start >= until
            if found is None:
                return
            connection, frames = found
            try:
                if frames[0].bytes == connection.client:  # else it is of the connection that had the descriptor before
                    self._answer(connection, frames)
            except Exception:  # nothing that a client sends may end the loop, or keep others from their answers
                log.exception("a request could not be answered")
            connection.taken += bytes_on_wire(frames)
            self._inbox.charge(connection, time.perf_counter() - start)

    def _answer(self, connection: Connection, frames: Frames) -> None:
        try:
            message = self._decode(connection, frames)
        except RelievoError as error:
            log.info("frames that are not a request: %s", error)
            self._service.refuse(connection, error)
            connection.refusals += not connection.is_greeted
            if connection.refusals >= MAX_REFUSALS:
                self._connections.close_soon(connection)
                self._inbox.forget(connection)
            return
        self._service.handle(connection, message)
        if connection.is_greeted:
            self._last_heard = time.monotonic()

    def _decode(self, connection: Connection, frames: Frames) -> Message:
        buffers = [frame.buffer for frame in frames[1:]]
        if not connection.is_greeted and self._inbox.has_chosen_id(connection):  # it could be another's later
            raise ProtocolError("A client must not choose its routing id.", hint="Leave ZMQ_ROUTING_ID unset.")
        if not connection.is_greeted and (
            len(buffers) > HELLO_FRAMES or sum(len(buffer) for buffer in buffers) > HELLO_BYTES
        ):
            raise ProtocolError(
                f"Before Hello a message has at most {HELLO_FRAMES} frames and {HELLO_BYTES} bytes.",
                hint="Say Hello first.",
            )
        message = decode(buffers, self._handoff if connection.is_greeted else None)
        if not isinstance(message, REQUESTS):
            raise ProtocolError(f"{type(message).__name__} is not a request.")
        return message

    @property
    def _is_busy(self) -> bool:
        return self._lifecycle.is_busy or self._service.is_storing

    def _is_done(self, now: float) -> bool:
        if self._is_busy or self._connections.greeted:
            return False
        idle_exit_s = self._settings.idle_exit_s
        if idle_exit_s is not None and now - self._last_heard >= idle_exit_s:
            log.info("no client has been connected for %g s", idle_exit_s)
            return True
        if self._parent is not None and self._parent.has_ended:
            log.info("the process that started this backend has ended")
            return True
        return False

    def _check_folder(self, now: float) -> None:
        """A backend without its folder keeps nothing that it accepts, and another may begin beside it: it ends."""
        if now - self._folder_seen >= FOLDER_INTERVAL_S:
            self._folder_seen = now
            if not self._store.state_folder.is_there:
                raise BackendUnavailable(
                    f"The folder {self._settings.state_dir} was deleted or replaced while the backend used it.",
                    hint="Start the backend again; jobs and results that were in the folder are gone.",
                    field="state_dir",
                )

    def _close(self) -> None:
        """Every step is tried, each in its time; what cannot be waited for is left behind with the process."""
        self._stopping.ask()
        failures: list[str] = []
        with step("ending the workers", failures):
            self._pool.close()
        with step("removing old files", failures):
            self._sweeper.close(3.0)
        with step("reading results", failures):
            self._reader.close(3.0)
        with step("storing what was sent", failures):
            self._background.close(10.0)  # a job that was being stored is on disk now, and is Accepted
        with step("noting what did not end", failures):
            self._lifecycle.suspend()
        with step("sending the last answers", failures):
            self._send_queue.flush(time.monotonic())
        self._connection_files.remove()
        with step("keeping room", failures):
            self._store.state_folder.keep_room()
        with step("closing the connections", failures):
            self._connections.close()
            self._router.close(linger=1000)
            closing = threading.Thread(target=self._context.term, name="closing", daemon=True)
            closing.start()  # on a thread: nothing bounds this wait but its caller
            closing.join(3.0)
            if closing.is_alive():
                raise TimeoutError("libzmq still holds a socket")
        if failures:
            self._stopping.dump_stacks()
            log.warning("ended all the same, with this left behind: %s", ", ".join(failures))
            os._exit(1)  # whatever hangs would hold up the interpreter's own end, too
        log.info("shut down cleanly")
