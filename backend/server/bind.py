"""The backend's socket: which address may be opened, with which keys and options, and whether the parent process lives.

Nothing of the protocol and nothing of jobs; connections.py follows who connects, server.py runs the loop.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import json
import os
import secrets
from pathlib import Path

import zmq

from shared.codec import MAX_TOTAL_BYTES
from shared.errors import AddressInUse, BackendUnavailable, InsecureAddress, RelievoError

_ZERO_COPY_RECV = 10  # zmq.h; pyzmq has no name for it
HIGH_WATER_MARK = 64  # messages a client may leave unread in libzmq; more wait in the send_queue
DEAD_AFTER_S = 30
MAX_FILES = 16_384
NUMBERS = 1 << 32  # of clients: libzmq's routing ids are a zero byte and a number of four
HANDSHAKE_MS = 5000
# What is in here keeps libzmq from its own assertions, which end the process whatever Python does:
# - It must never stop reading (RCVHWM 0; connections.py bounds what waits). A connection that breaks while libzmq does not read
#   it, and is then written to because of a heartbeat, fails "!_io_error" in stream_engine_base.cpp.
# - So no heartbeats from this side: the system's own probes (TCP keepalive) find links that are dead.
_OPTIONS = {
    zmq.ROUTER_MANDATORY: 1,  # tells us of a client that is gone or does not read, where ROUTER would drop in silence
    zmq.SNDHWM: HIGH_WATER_MARK,
    zmq.RCVHWM: 0,
    zmq.MAXMSGSIZE: MAX_TOTAL_BYTES,
    zmq.LINGER: 1000,
    zmq.HANDSHAKE_IVL: HANDSHAKE_MS,
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: DEAD_AFTER_S // 3,
    zmq.TCP_KEEPALIVE_INTVL: DEAD_AFTER_S // 6,
    zmq.TCP_KEEPALIVE_CNT: 4,
    zmq.TCP_MAXRT: DEAD_AFTER_S * 1000,
}


def server_context() -> zmq.Context:
    """A context whose messages have memory of their own.

    As a rule libzmq lets small messages point into the 8 KiB that it has read them with, and keeps these for as long as one of
    them waits: a hundred times their size. Where it was built without the option it stays as it is.
    """
    context = zmq.Context()
    with contextlib.suppress(zmq.ZMQError):
        context.set(_ZERO_COPY_RECV, 0)
    return context


def router_socket(context: zmq.Context) -> zmq.Socket:
    """A ROUTER whose routing ids nobody can foresee.

    libzmq numbers its clients from a number of rand(), which nothing seeds, so that every process begins with the same one. A
    client that announces the next number for its own makes libzmq abort when it gives that number away
    ("Assertion failed: ok", socket_base.cpp).
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.cdll.ucrtbase if os.name == "nt" else ctypes.CDLL(None)
        libc.srand(secrets.randbits(32))
    return context.socket(zmq.ROUTER)


def first_number(context: zmq.Context, router: zmq.Socket) -> int:
    """The number that this socket's next client gets from libzmq, for its routing id. Call it before bind()."""
    address = f"inproc://first-number-{secrets.token_hex(8)}"
    router.bind(address)
    client = context.socket(zmq.DEALER)
    client.connect(address)
    client.send(b"")
    client_id, _ = router.recv_multipart()
    client.close(linger=0)
    router.unbind(address)
    return (int.from_bytes(client_id[1:], "big") + 1) % NUMBERS


def bind(router: zmq.Socket, host: str, port: int) -> str:
    """Bind to the address, port 0 being a free one, and return it as clients on this machine connect to it.

    Raises AddressInUse, or BackendUnavailable for an address that this machine does not have.
    """
    for option, value in _OPTIONS.items():
        router.setsockopt(option, value)
    if host == "localhost":  # libzmq binds to numbers and interfaces, not to names
        host = "127.0.0.1"
    if ":" in host:
        router.setsockopt(zmq.IPV6, 1)
        host = f"[{host.strip('[]')}]"
    try:
        router.bind(f"tcp://{host}:{port or '*'}")
    except zmq.ZMQError as error:
        raise _bind_error(error, host, port) from error
    bound = router.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
    return bound.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")


def use_curve(router: zmq.Socket, path: Path | None = None) -> str:
    """Encrypt; returns the public key. With the keys in this file, or with new ones. Call it before bind()."""
    keys = load_curve_keys(path) if path is not None else new_curve_keys()
    router.setsockopt(zmq.CURVE_SERVER, 1)
    router.setsockopt(zmq.CURVE_SECRETKEY, keys["secret"].encode())
    router.setsockopt(zmq.CURVE_PUBLICKEY, keys["public"].encode())
    return keys["public"]


def new_curve_keys() -> dict[str, str]:
    """{"public", "secret"} as Z85 text. Raises BackendUnavailable where libzmq was built without encryption."""
    try:
        public, secret = zmq.curve_keypair()
    except zmq.ZMQError as error:
        raise BackendUnavailable(
            "This ZeroMQ library has no encryption (CURVE).", hint="Reinstall pyzmq from a wheel of its makers."
        ) from error
    return {"public": public.decode(), "secret": secret.decode()}


def raise_file_limit() -> None:
    """As many open files as the system lets this process have, up to a bound: connections, results and inputs need them."""
    if os.name == "nt":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


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
            f"{host} can be reached from other machines, and without CURVE keys the connection is not encrypted.",
            hint="Add --curve, or use 127.0.0.1.",
            field="host",
        )


def load_curve_keys(path: Path) -> dict[str, str]:
    """The server's CURVE keys {"public", "secret"} as Z85 text; made on first use, readable by the owner alone.

    They stay the same from start to start, so that a client on another machine keeps its copy of the public key.
    """
    if not path.exists():
        part = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(new_curve_keys(), file)
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
            hint="Stop what uses it, or omit --port to get a free one.",
            field="port",
        )
    return BackendUnavailable(
        f"The backend cannot listen on {host}:{port}: {error.strerror}.",
        hint="Use an address of this machine.",
        field="host",
    )


class Parent:
    """Whether the process that asked for this backend lives."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor = None
        if hasattr(os, "pidfd_open"):  # Linux: tells a reused number and a zombie from the process that was meant
            with contextlib.suppress(OSError):
                self._descriptor = os.pidfd_open(pid)  # pyright: ignore[reportAttributeAccessIssue]

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
