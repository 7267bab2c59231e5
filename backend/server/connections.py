"""The TCP connections behind the ROUTER socket: how many there are, what each may send, and which are cut off.

libzmq accepts and reads connections in a thread of its own and has no limits before a message is whole. This module follows
them through the socket's monitor, looks at what the system counts for each, and shuts down those that go beyond the limits.
Knows nothing of messages; who has said Hello is told to it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import zmq
from zmq.utils.monitor import parse_monitor_message

from shared.codec import MAX_TOTAL_BYTES

log = logging.getLogger(__name__)

MAX_STRANGERS = 64  # connections that have not said Hello, half-open ones among them
MAX_CLIENTS = 128  # connections that have
HELLO_WITHIN_S = 10.0
STRANGER_BYTES = 64 << 10  # that a connection may send before it has said Hello
STRANGERS_BYTES = 2 << 20  # that all of them may hold together
CLIENT_BYTES = MAX_TOTAL_BYTES + (64 << 20)  # on their way from one client, encryption and headers included
CLIENTS_BYTES = 2 * MAX_TOTAL_BYTES  # of all clients together
SMALL_BYTES = 1 << 20  # that a client may have sent, and we not read, while what we read of it is small messages
SMALL_BYTES_IN_ALL = 4 << 20  # of all clients together
REST_S = 5.0  # that an owner whose connection was dropped for that may not come in
CHECK_INTERVAL_S = 0.01
LAST_WORDS_S = 0.5
EVENTS_A_TURN = 300
FRAME_OVERHEAD_BYTES = 64  # encryption and framing take up to 42
_BYTES_RECEIVED = 128  # offset of tcpi_bytes_received in Linux's struct tcp_info


@dataclass(eq=False)
class Connection:
    """One connection. fd: libzmq's, never closed here. client: its routing id, b"" before its first message. owner, user: who
    it has said to be, with a right token. taken: bytes of its messages that are dealt with. before: what it had sent when it
    was last made a stranger. read, small: when libzmq last had no message for us, what it had sent; and the bytes of headers,
    small frames and their upkeep that were read since.
    """

    fd: int
    peer: object
    since: float
    client: bytes = b""
    owner: str = ""
    user: str = ""
    is_dropped: bool = False
    has_ended: bool = False
    heard: float = 0.0
    taken: int = 0
    before: int = 0
    read: int = 0
    small: int = 0
    refusals: int = 0
    is_mute: bool = False
    closes_at: float = math.inf

    @property
    def is_greeted(self) -> bool:
        """Whether it has said Hello."""
        return bool(self.owner)


class Connections:
    """Every connection of one socket. Poll `socket`, call receive() when it is readable and check() in each turn."""

    def __init__(self, router: zmq.Socket, *, max_strangers: int = MAX_STRANGERS) -> None:
        self._router = router
        self._max_strangers = max_strangers
        self.socket = router.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._by_fd: dict[int, Connection] = {}
        self._next_check = 0.0
        self._is_all_read = False
        self._resting: dict[str, float] = {}  # owners, and until when
        self.count_accepted = 0

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._by_fd.values()))

    @property
    def greeted(self) -> list[Connection]:
        """Those that have said Hello."""
        return [connection for connection in self._by_fd.values() if connection.is_greeted]

    def get(self, fd: int) -> Connection | None:
        return self._by_fd.get(fd)

    def receive(self, now: float) -> list[Connection]:
        """Follow what has happened since the last call; returns the connections that have ended."""
        ended = []
        for _ in range(EVENTS_A_TURN):
            try:
                event = parse_monitor_message(self.socket.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                break
            fd = int(event["value"])
            before = self._by_fd.pop(fd, None)
            if before is not None:
                before.has_ended = True
                ended.append(before)
            if event["event"] == zmq.EVENT_ACCEPTED:
                self.count_accepted += 1
                self._by_fd[fd] = Connection(fd, _peer(fd), now, heard=now)
        return ended

    def note_all_read(self) -> None:
        """libzmq has no message for us now. It may have a part of one."""
        self._is_all_read = True

    def check(self, now: float) -> None:
        """Drop what is over the limits. Cheap when it is called often."""
        if now < self._next_check:
            return
        self._next_check = now + CHECK_INTERVAL_S
        open_ones = [connection for connection in self._by_fd.values() if not connection.is_dropped]
        strangers = [connection for connection in open_ones if not connection.is_greeted]
        for connection in strangers[: max(len(strangers) - self._max_strangers, 0)]:
            self.drop(connection, "too many connections have not said Hello")
        for connection in strangers:
            if now > connection.closes_at:
                self.drop(connection, "what it sends instead of a Hello is no message")
            elif now - connection.since > HELLO_WITHIN_S:
                self.drop(connection, f"no Hello came within {HELLO_WITHIN_S:g} s")
        received = {c: _bytes_received(c.fd) for c in open_ones if not c.is_dropped}
        # of strangers all that they have ever sent counts, of clients what the server has not taken yet
        held = {c: max(size - c.before, 0) for c, size in received.items() if not c.is_greeted}
        self._bound_bytes(held, STRANGER_BYTES, STRANGERS_BYTES)
        clients = {c: size for c, size in received.items() if c.is_greeted}
        self._bound_bytes({c: max(size - c.taken, 0) for c, size in clients.items()}, CLIENT_BYTES, CLIENTS_BYTES)
        self._bound_small_messages(clients)

    def _bound_bytes(self, held: dict[Connection, int], of_one: int, of_all: int) -> None:
        for connection, size in held.items():
            if size > of_one:
                self.drop(connection, f"it has sent more than {of_one >> 10} KiB")
        total = sum(size for connection, size in held.items() if not connection.is_dropped)
        for connection in sorted(held, key=held.__getitem__, reverse=True):
            if total <= of_all:
                break
            if not connection.is_dropped:
                total -= held[connection]
                self.drop(connection, f"all connections together hold more than {of_all >> 20} MiB")

    def _bound_small_messages(self, received: dict[Connection, int]) -> None:
        """Drop who sends small messages faster than they are read: libzmq keeps all of them, at several times their size.

        A large array that is on its way counts for nothing here: until it has come, nothing waits to be read.
        """
        if self._is_all_read:
            self._is_all_read = False
            for connection, count in received.items():
                connection.read, connection.small = count, 0
            return
        unread = {
            c: count - c.read for c, count in received.items() if c.small > SMALL_BYTES // 16 and not c.is_dropped
        }
        total = sum(unread.values())
        for connection in sorted(unread, key=unread.__getitem__, reverse=True):
            is_over = unread[connection] > SMALL_BYTES and connection.small > SMALL_BYTES
            if is_over or total > SMALL_BYTES_IN_ALL:
                total -= unread[connection]
                self.drop_flooding(connection, "its small messages come faster than they can be read")

    def drop(self, connection: Connection, why: str) -> None:
        """Shut the connection down; libzmq then closes it, and receive() reports it. What it sent is not answered any more."""
        if connection.is_dropped:
            return
        connection.is_dropped = True
        log.info("a connection is dropped: %s", why)
        # libzmq may have closed the descriptor a moment ago, and the number may be another connection's by now
        if connection.peer is not None and _peer(connection.fd) == connection.peer:
            with _borrowed(connection.fd) as borrowed:
                borrowed.shutdown(socket.SHUT_RDWR)

    def drop_flooding(self, connection: Connection, why: str) -> None:
        """Drop it, and let nobody of its owner in for a while."""
        now = time.monotonic()
        self._resting = {owner: until for owner, until in self._resting.items() if until > now}
        if connection.owner:
            self._resting[connection.owner] = now + REST_S
        self.drop(connection, why)

    def is_resting(self, owner: str) -> bool:
        """Whether a connection of this owner was dropped for flooding a moment ago."""
        return self._resting.get(owner, 0.0) > time.monotonic()

    def close_soon(self, connection: Connection) -> None:
        """Hear no more of it, and drop it once libzmq has had the time to send what it was told."""
        connection.is_mute = True
        connection.closes_at = time.monotonic() + LAST_WORDS_S

    def demote(self, connection: Connection) -> None:
        """It has to say Hello again, within the time and the bytes that a new connection has."""
        if connection.is_greeted:
            connection.owner = connection.user = ""
            connection.since, connection.before = connection.heard, _bytes_received(connection.fd)

    def make_room(self, keep: frozenset[bytes]) -> bool:
        """Whether one more client may come in: where too many are connected, the one silent for longest goes that is not in
        `keep`, the routing ids of those who have work.
        """
        greeted = [connection for connection in self.greeted if not connection.is_dropped]
        if len(greeted) < MAX_CLIENTS:
            return True
        idle = [connection for connection in greeted if connection.client not in keep]
        if not idle:
            return False
        self.drop(min(idle, key=lambda connection: connection.heard), "a new client needs its place")
        return True

    def close(self) -> None:
        self._router.disable_monitor()
        self.socket.close(linger=0)


@contextlib.contextmanager
def _borrowed(fd: int) -> Iterator[socket.socket]:
    """A socket object over libzmq's descriptor, which stays libzmq's. Errors of a connection that has just gone are ignored."""
    try:
        borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):
            yield borrowed
    finally:
        borrowed.detach()


def _peer(fd: int) -> object:
    """Address and port of the far end, None for a connection that has gone."""
    try:
        borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    except OSError:
        return None
    try:
        return borrowed.getpeername()
    except OSError:
        return None
    finally:
        borrowed.detach()


def bytes_on_wire(frames: Sequence[zmq.Frame]) -> int:
    """What a message, [routing id, frame, ...], took on the wire, rather too much than too little."""
    return sum(len(frame) + FRAME_OVERHEAD_BYTES for frame in frames[1:])


def _bytes_received(fd: int) -> int:
    """What the far end has sent so far; 0 where the system does not say (other than Linux)."""
    if sys.platform != "linux":
        return 0
    try:
        borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    except OSError:
        return 0
    try:
        info = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED + 8)
        return struct.unpack_from("<Q", info, _BYTES_RECEIVED)[0] if len(info) >= _BYTES_RECEIVED + 8 else 0
    except OSError:
        return 0
    finally:
        borrowed.detach()
