"""The backend's front: one ROUTER socket, one loop that never blocks and never computes. Imports no torch: it listens in a moment.

Decoding what comes in, keeping the loop's clock, starting and ending in good order. What a message means is service.py's.
"""

from __future__ import annotations

import contextlib
import ipaddress
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
from zmq.utils.monitor import recv_monitor_message

from backend.background import Background
from backend.outbox import Outbox
from backend.service import Service
from backend.store import MAX_AGE_S, MAX_BYTES, Store
from backend.workforce import Ready, Workforce
from shared.codec import MAX_TOTAL_BYTES, decode
from shared.endpoint import Endpoint, default_state_dir, write_endpoint
from shared.errors import AddressInUse, BackendUnavailable, InsecureAddress, ProtocolError, RelievoError
from shared.messages import REQUESTS
from shared.version import VERSION

log = logging.getLogger(__name__)

HIGH_WATER_MARK = 64  # messages a client may leave unread in libzmq; more wait in the outbox
HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS = (
    5000,
    30000,
)  # libzmq's own threads answer, so that a frozen Blender is not a dead one
TICK_BUSY_MS, TICK_IDLE_MS = 50, 250
MESSAGES_A_TURN = 64  # of one busy client, before workers and clocks get a look-in
LOG_BYTES, LOG_FILES = 2 << 20, 3


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How to serve.

    state_dir: jobs, results, keys and logs; one server at a time. endpoint_path: the connection file. host: an address of this
    machine; beyond loopback only with curve. port: 0 takes a free one. devices: names, () for every GPU or else the best there
    is. idle_exit_s: end after so long without a client or a job. parent_pid: end when that process has ended, no job is left and
    no client is connected.
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

    Returns 0. Raises RelievoError when it cannot begin: InsecureAddress, AddressInUse, or BackendUnavailable for a state folder
    that another backend uses.
    """
    check_address(host, curve)
    state_dir = (state_dir or default_state_dir()).absolute()
    settings = ServerSettings(
        state_dir=state_dir,
        endpoint_path=endpoint_path or state_dir / "endpoint.json",
        host=host,
        port=port,
        curve=curve,
        devices=tuple(devices),
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
        self._last_heard = time.monotonic()
        self._parent = _Parent(settings.parent_pid) if settings.parent_pid else None
        public_key = ""
        self._router = self._context.socket(zmq.ROUTER)
        self._connections = Connections(self._router)
        try:
            if settings.curve:
                public_key = self._use_curve(settings.state_dir / "curve.json")
            address = self._bind()
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
        self._background = Background(self._context)
        self._workforce = Workforce(self._context, settings.state_dir)
        self._outbox = Outbox(self._router, lambda client: self._service.forget_client(client))
        self._service = Service(
            session=self._session,
            token=token,
            store=store,
            workforce=self._workforce,
            outbox=self._outbox,
            background=self._background,
            on_shutdown=self.stop,
            max_age_s=settings.max_age_s,
            max_bytes=settings.max_bytes,
        )

    def stop(self) -> None:
        self._stopping = True

    def run(self) -> None:
        """The loop, from the connection file's appearance to its removal."""
        with self._signals():  # to the end: a second signal must not break off the cleaning up
            try:
                for device in self._settings.devices or ("auto",):
                    self._workforce.want(device)
                self._service.recover()
                write_endpoint(self._settings.endpoint_path, self._endpoint)
                log.info("relievo %s listens on %s, session %s", VERSION, self._endpoint.address, self._session)
                self._loop()
            finally:
                self._close()

    def _loop(self) -> None:
        poller = zmq.Poller()
        for socket in (self._router, self._workforce.socket, self._background.socket, self._connections.socket):
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
            for event in self._workforce.receive():
                self._service.on_worker(event)
                if isinstance(event, Ready):
                    self._want_other_gpus(event)
            self._service.tick(now)
            for event in self._workforce.check(now):  # after tick: it may have killed one
                self._service.on_worker(event)
            self._outbox.flush(now)
            self._stopping = self._stopping or self._is_done(now)

    def _timeout_ms(self) -> int:
        tick_ms = (
            TICK_BUSY_MS
            if self._service.is_busy or self._outbox.has_mail or not self._workforce.ready
            else TICK_IDLE_MS
        )
        deadline = self._service.next_deadline
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
                    raise ProtocolError(f"{type(message).__name__} is no request.")
            except RelievoError as error:
                log.info("frames that are no request: %s", error)
                self._service.refuse(client, error)
                continue
            self._service.handle(client, message)

    def _want_other_gpus(self, ready: Ready) -> None:
        if not self._settings.devices and ready.device.startswith("cuda"):
            for device in ready.devices:
                if device["kind"] == "cuda" and device["name"] != "cuda:0":
                    self._workforce.want(device["name"])

    def _is_done(self, now: float) -> bool:
        if self._service.is_busy or self._connections.count:
            return False
        idle_exit_s = self._settings.idle_exit_s
        if idle_exit_s is not None and now - self._last_heard >= idle_exit_s:
            log.info("nobody has been here for %g s", idle_exit_s)
            return True
        if self._parent is not None and self._parent.has_ended:
            log.info("the process that started this backend has ended")
            return True
        return False

    def _close(self) -> None:
        self._workforce.close()
        self._background.close()  # a job that was being stored is on disk now, and is Accepted
        self._service.suspend()
        self._outbox.flush(time.monotonic())
        with contextlib.suppress(OSError, ValueError, KeyError):
            written = json.loads(self._settings.endpoint_path.read_text(encoding="utf-8"))
            if written["session"] == self._session:  # a later backend may have written its own
                self._settings.endpoint_path.unlink()
        self._connections.close()
        self._router.close(linger=1000)
        self._context.term()
        log.info("ended in good order")

    def _bind(self) -> str:
        router = self._router
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        router.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        router.setsockopt(zmq.RCVHWM, HIGH_WATER_MARK)
        router.setsockopt(zmq.MAXMSGSIZE, MAX_TOTAL_BYTES)
        router.setsockopt(zmq.LINGER, 1000)
        router.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        router.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
        router.setsockopt(zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS)
        host, port = self._settings.host, self._settings.port
        if ":" in host:
            router.setsockopt(zmq.IPV6, 1)
            host = f"[{host.strip('[]')}]"
        try:
            router.bind(f"tcp://{host}:{port or '*'}")
        except zmq.ZMQError as error:
            raise _bind_error(error, host, port) from error
        bound = router.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0")
        return bound.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")

    def _use_curve(self, path: Path) -> str:
        keys = load_curve_keys(path)
        self._router.setsockopt(zmq.CURVE_SERVER, 1)
        self._router.setsockopt(zmq.CURVE_SECRETKEY, keys["secret"].encode())
        self._router.setsockopt(zmq.CURVE_PUBLICKEY, keys["public"].encode())
        return keys["public"]

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


def check_address(host: str, curve: bool) -> None:
    """Raises InsecureAddress for an address that others can reach when there is no encryption."""
    if host == "localhost":
        return
    try:
        is_loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name: nobody knows where it will point tomorrow
        is_loopback = False
    if not is_loopback and not curve:
        raise InsecureAddress(
            f"{host} can be reached from other machines, and without CURVE keys anybody in between could read along.",
            hint="Add --curve, or use 127.0.0.1.",
            field="host",
        )


def load_curve_keys(path: Path) -> dict[str, str]:
    """The server's CURVE keys {"public", "secret"} as Z85 text; made on first use, readable by the owner alone.

    They stay the same from start to start, so that a client on another machine keeps its copy of the public key.
    """
    if not path.exists():
        public, secret = zmq.curve_keypair()
        part = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"public": public.decode(), "secret": secret.decode()}, file)
        os.replace(part, path)
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
        return {"public": keys["public"], "secret": keys["secret"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackendUnavailable(
            f"{path} holds no CURVE keys ({error}).", hint="Remove it; new ones will be made.", field="curve"
        ) from error


def _bind_error(error: zmq.ZMQError, host: str, port: int) -> RelievoError:
    if error.errno == zmq.EADDRINUSE:
        return AddressInUse(
            f"Port {port} on {host} is in use.",
            hint="Stop what uses it, or leave --port away to get a free one.",
            field="port",
        )
    return BackendUnavailable(
        f"The backend cannot listen on {host}:{port}: {error.strerror}.",
        hint="Use an address of this machine.",
        field="host",
    )


class Connections:
    """How many clients are connected: libzmq tells that only through a socket's monitor."""

    def __init__(self, router: zmq.Socket) -> None:
        self._router = router
        self.socket = router.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._descriptors: set[int] = set()

    @property
    def count(self) -> int:
        return len(self._descriptors)

    def receive(self) -> None:
        while self.socket.poll(0):
            event = recv_monitor_message(self.socket)
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._descriptors.add(event["value"])
            else:
                self._descriptors.discard(event["value"])

    def close(self) -> None:
        self._router.disable_monitor()
        self.socket.close(linger=0)


class _Parent:
    """Whether the process that asked for this backend lives."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor = None
        if hasattr(os, "pidfd_open"):  # Linux: tells a reused number and a zombie from the process that was meant
            with contextlib.suppress(OSError):
                self._descriptor = os.pidfd_open(pid)

    @property
    def has_ended(self) -> bool:
        if self._descriptor is not None:
            return bool(zmq.select([self._descriptor], [], [], timeout=0)[0])
        if os.name == "nt":
            return _has_ended_on_windows(self._pid)
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


def _has_ended_on_windows(pid: int) -> bool:
    # os.kill(pid, 0) would send Ctrl-C there
    import ctypes

    kernel32 = ctypes.windll.kernel32  # type: ignore[attr-defined]
    synchronize, wait_timeout = 0x00100000, 0x102
    handle = kernel32.OpenProcess(synchronize, False, pid)
    if not handle:
        return True
    try:
        return kernel32.WaitForSingleObject(handle, 0) != wait_timeout
    finally:
        kernel32.CloseHandle(handle)


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
